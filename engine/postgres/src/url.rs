//! A database's URL, read, and refused by the name of its fault. A refused one may hold a password, so no
//! value of it is ever repeated.

use std::error::Error as _;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::DatabaseError;

const FORM: &str = "it must be postgres://user:password@host:port/database";

/// Parameters that the driver takes, beside `sslmode` and `sslrootcert`.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

pub(crate) fn refused<T>(why: impl Into<String>) -> Result<T, DatabaseError> {
    Err(DatabaseError::Configuration(why.into()))
}

/// A URL cut before its parameters. A `?` before the credentials' end belongs to the password.
pub(crate) fn cut(url: &str) -> (&str, Option<&str>) {
    let credentials = url.find('@').map_or(0, |at| at + 1);
    match url[credentials..].split_once('?') {
        Some((base, query)) => (&url[..credentials + base.len()], Some(query)),
        None => (url, None),
    }
}

/// Reads a URL from which the settings of TLS were taken out.
pub(crate) fn read(url: &str) -> Result<Config, DatabaseError> {
    let (base, query) = cut(url);
    let Some(rest) = ["postgres://", "postgresql://"].iter().find_map(|scheme| base.strip_prefix(scheme)) else {
        return refused(format!("the database URL does not begin with postgres://; {FORM}"));
    };
    let (credentials, host) = rest.split_once('@').unwrap_or(("", rest));
    let user = credentials.split(':').next().unwrap_or_default();
    if host.contains('@') || user.contains(['/', '?']) {
        return refused(format!("the database URL has an @ too many; in a user, a password or a value it is written %40; {FORM}"));
    }
    if let Err(error) = base.parse::<Config>() {
        return refused(format!("the database URL can't be read: {}; {FORM}", cause(&error)));
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        check(pair)?;
    }
    let config: Config = url.parse().map_err(|_| DatabaseError::Configuration(format!("the database URL can't be read; {FORM}")))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return refused(format!("the database URL names no host; {FORM}"));
    }
    Ok(config)
}

/// Whether a parameter is one, and has a value that it can have.
fn check(pair: &str) -> Result<(), DatabaseError> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    if !PARAMETERS.contains(&name) {
        let known = PARAMETERS.join(", ");
        return refused(format!("the database URL has a parameter that is not known: {name:?}; there are sslmode, sslrootcert, {known}"));
    }
    match format!("postgres://host/database?{name}={value}").parse::<Config>() {
        Ok(_) => Ok(()),
        Err(_) => refused(format!("the database URL's parameter {name} has a value that it can't have: see docs/databases.md")),
    }
}

/// The driver's reason, where it repeats nothing of the URL.
fn cause(error: &tokio_postgres::Error) -> String {
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    match why.strip_prefix("invalid value for option `").and_then(|rest| rest.strip_suffix('`')) {
        Some(option) => format!("its {option} is no {option}"),
        None => "part of it is not UTF-8 once its %XX are read".to_owned(),
    }
}

/// `host:port`, for people; several with commas.
pub(crate) fn place(config: &Config) -> String {
    let hosts: Vec<String> = if config.get_hosts().is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        config.get_hosts().iter().map(host).collect()
    };
    let ports = config.get_ports();
    let port = |n: usize| ports.get(n).or_else(|| ports.first()).copied().unwrap_or(5432);
    let named = hosts.iter().enumerate().map(|(n, host)| match host.contains(':') {
        true => format!("[{host}]:{}", port(n)),
        false => format!("{host}:{}", port(n)),
    });
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str) -> String {
        read(url).expect_err("it is refused").to_string()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, named) in [
            ("localhost:5432/d", "does not begin with postgres://"),
            ("host=h password=geheim", "does not begin with postgres://"),
            ("postgres://u:geheim@h:54x2/d", "its port is no port"),
            ("postgres://u:geheim@[::1/d", "its host is no host"),
            ("postgres://%FF:geheim@h/d", "UTF-8"),
            ("postgres://u:geheim@/d", "names no host"),
            ("postgres://u:p@geheim@h/d", "written %40"),
            ("postgres://h/d?password=p@geheim", "written %40"),
            ("postgres://u:geheim@h/d?foo=bar", "not known: \"foo\"; there are sslmode, sslrootcert, application_name,"),
            ("postgres://u:geheim@h/d?foo", "not known: \"foo\""),
            ("postgres://u:geheim@h/d?options=-c%20a%3Db&Port=1", "not known: \"Port\""),
            ("postgres://h/d?password=geheim&connect_timeout=soon", "parameter connect_timeout has a value"),
            ("postgres://h/d?password=geheim&port=0x1", "parameter port has a value"),
        ] {
            let why = why(url);
            assert!(why.contains(named), "{url}: {why}");
            assert!(!why.contains("geheim"), "{why}");
        }
    }

    #[test]
    fn every_parameter_of_the_list_is_one_of_the_drivers() {
        for name in PARAMETERS {
            let config = format!("postgres://h/d?{name}=").parse::<Config>();
            let why = config.err().and_then(|e| e.source().map(ToString::to_string)).unwrap_or_default();
            assert!(!why.starts_with("unknown option"), "{name}: {why}");
        }
    }

    #[test]
    fn a_place_has_each_host_and_its_port() {
        for (url, at) in [
            ("postgres://u:geheim@h/d", "h:5432"),
            ("postgres://u:ge?heim@h:6000/d", "h:6000"),
            ("postgres://[::1]:6000/d", "[::1]:6000"),
            ("postgres://a:1,b:2/d", "a:1, b:2"),
            ("postgres:///d?hostaddr=127.0.0.1&port=7000", "127.0.0.1:7000"),
            ("postgres://%2Frun%2Fpostgres/d", "/run/postgres:5432"),
        ] {
            assert_eq!(place(&read(url).expect(url)), at);
        }
    }
}
