//! Settings: the command line before the environment before the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use daybook_bus::BusConfig;
use daybook_kernel::{Wait, Waits};
use daybook_postgres::{Connector, Databases, ServiceDatabases};
use serde::Deserialize;

use crate::cli::Global;

/// The connections of a pool, where nobody says otherwise, and how many may be said: as the option has it.
const CONNECTIONS: u16 = 8;
const CONNECTIONS_RANGE: std::ops::RangeInclusive<u16> = 2..=1_000;

/// Something on the command line or in the file is wrong; exit code 2.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Serves every schema that is not named below.
    database_url: Option<String>,
    connections: Option<u16>,
    kafka: Option<String>,
    kafka_prefix: Option<String>,
    /// Passed to librdkafka as they are, for example security.protocol.
    kafka_properties: BTreeMap<String, String>,
    /// `[services.catalog]`
    services: BTreeMap<String, Service>,
    /// `[read]`
    read: Read,
    /// `[waits]`: `payment = "30s"`
    waits: BTreeMap<String, String>,
    /// `[payment]`: the payment provider.
    payment: PaymentProvider,
    /// `[carrier]`
    carrier: Counterpart,
}

/// The payment provider, as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PaymentProvider {
    url: Option<String>,
    key_file: Option<PathBuf>,
    webhook_secret_file: Option<PathBuf>,
    webhook_secret: Option<String>,
    /// `[payment.currencies]`: `EUR = 50`, `KWD = "100/10"`
    currencies: Option<BTreeMap<String, String>>,
}

/// Somebody outside, as the file has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Counterpart {
    pub(crate) url: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) webhook_secret_file: Option<PathBuf>,
    pub(crate) webhook_secret: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Service {
    database_url: Option<String>,
    /// `partitions."8-15" = "postgres://…"`
    partitions: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Read {
    database_url: Option<String>,
}

/// What every role needs to know of the world.
pub(crate) struct Settings {
    database_url: Option<String>,
    /// Of a pool of a process that serves.
    pub(crate) connections: usize,
    kafka: Option<String>,
    kafka_prefix: String,
    kafka_properties: BTreeMap<String, String>,
    services: BTreeMap<String, ServiceDatabases>,
    read_url: Option<String>,
    /// The payment provider, as the file has it.
    pub(crate) payment: Counterpart,
    /// The currencies that it takes, each with its least amount, as the file has them.
    pub(crate) currencies: Option<BTreeMap<String, String>>,
    /// The carrier, as the file has it.
    pub(crate) carrier: Counterpart,
    waits: BTreeMap<String, String>,
}

impl Settings {
    pub(crate) fn read(global: &Global) -> anyhow::Result<Self> {
        let file = read_file(global.config.as_deref())?;
        let services = file
            .services
            .into_iter()
            .map(|(name, service)| {
                let partitions =
                    service.partitions.iter().map(|(range, url)| Ok((range_of(range)?, url.clone()))).collect::<anyhow::Result<_>>()?;
                Ok((name, ServiceDatabases { url: service.database_url, partitions }))
            })
            .collect::<anyhow::Result<_>>()?;
        let connections = global.connections.or(file.connections).unwrap_or(CONNECTIONS);
        if !CONNECTIONS_RANGE.contains(&connections) {
            let (least, most) = (CONNECTIONS_RANGE.start(), CONNECTIONS_RANGE.end());
            return Err(usage(format!("connections of the settings' file must be from {least} to {most}, not {connections}")));
        }
        Ok(Self {
            database_url: global.database_url.clone().or(file.database_url),
            connections: connections.into(),
            kafka: global.brokers.clone().or(file.kafka),
            kafka_prefix: global.kafka_prefix.clone().or(file.kafka_prefix).unwrap_or_default(),
            kafka_properties: file.kafka_properties,
            services,
            read_url: file.read.database_url,
            currencies: file.payment.currencies,
            payment: Counterpart {
                url: file.payment.url,
                key_file: file.payment.key_file,
                webhook_secret_file: file.payment.webhook_secret_file,
                webhook_secret: file.payment.webhook_secret,
            },
            carrier: file.carrier,
            waits: file.waits,
        })
    }

    /// The map from service and partition to database. Each URL can be one; a bad one is refused by the name of its setting.
    pub(crate) fn databases(&self) -> anyhow::Result<Databases> {
        let url = self.database_url.as_ref().ok_or_else(|| usage("no database: set --database-url or DAYBOOK_DATABASE_URL"))?;
        check_url("--database-url (DAYBOOK_DATABASE_URL, or database_url of the settings' file)", url)?;
        let mut databases = Databases::one(url);
        for (name, service) in &self.services {
            if let Some(url) = &service.url {
                check_url(&format!("services.{name}.database_url of the settings' file"), url)?;
            }
            for (range, url) in &service.partitions {
                let range = format!("{}-{}", range.start(), range.end());
                check_url(&format!("services.{name}.partitions.{range:?} of the settings' file"), url)?;
            }
            databases = databases.with_service(name, service.clone());
        }
        if let Some(url) = &self.read_url {
            check_url("read.database_url of the settings' file", url)?;
            databases = databases.with_read(url);
        }
        Ok(databases)
    }

    /// The same, for a process that serves: all of its parts share the pools, which are as large as is set. To be asked for once.
    pub(crate) fn shared_databases(&self) -> anyhow::Result<Databases> {
        Ok(self.databases()?.with_connections(self.connections))
    }

    pub(crate) fn bus(&self, client_id: &str) -> anyhow::Result<BusConfig> {
        let brokers = self.kafka.as_ref().ok_or_else(|| usage("no Kafka: set --brokers or DAYBOOK_KAFKA"))?;
        let mut bus = BusConfig::new(brokers).with_prefix(&self.kafka_prefix).with_client_id(client_id);
        bus.properties = self.kafka_properties.clone();
        Ok(bus)
    }
}

impl Settings {
    /// The times that processes wait: of the file, and before them those that were given, as `NAME=TIME`. Only those that the build knows.
    ///
    /// # Errors
    /// Wrong usage: a name that the build does not know, or a time that can't be read.
    pub(crate) fn waits(&self, given: &[String], known: &[Wait]) -> anyhow::Result<Waits> {
        let mut waits = Waits::default();
        for (name, time) in &self.waits {
            waits = waits.with(name, wait("[waits] of the settings' file", name, time, known)?);
        }
        for one in given {
            let setting = "--wait (DAYBOOK_WAITS)";
            let (name, time) =
                one.split_once('=').ok_or_else(|| usage(format!("{setting}: {one:?} must be NAME=TIME, such as payment=30s")))?;
            waits = waits.with(name.trim(), wait(setting, name.trim(), time, known)?);
        }
        Ok(waits)
    }
}

/// The longest time that a process can be told to wait: ten years.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 366 * 86_400);

fn wait(setting: &str, name: &str, time: &str, known: &[Wait]) -> anyhow::Result<Duration> {
    if !known.iter().any(|wait| wait.name == name) {
        let names: Vec<&str> = known.iter().map(|wait| wait.name).collect();
        return Err(usage(format!("{setting}: nothing waits for {name:?} in this build; it has {}", or_none(&names))));
    }
    match humantime::parse_duration(time.trim()) {
        Ok(time) if time <= LONGEST_WAIT => Ok(time),
        Ok(_) => Err(usage(format!("{setting}: {name}: {time:?} is longer than ten years"))),
        Err(why) => Err(usage(format!("{setting}: {name}: {time:?} is no time such as 500ms, 30s, 15m or 1h: {why}"))),
    }
}

/// Names for people; `none` where there are none.
pub(crate) fn or_none(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn check_url(setting: &str, url: &str) -> anyhow::Result<()> {
    Connector::check(url).map_err(|why| usage(format!("{setting}: {why}")))
}

fn read_file(named: Option<&Path>) -> anyhow::Result<File> {
    let path = match named {
        Some(path) => path,
        None if Path::new("daybook.toml").exists() => Path::new("daybook.toml"),
        None => return Ok(File::default()),
    };
    let source = config::File::from(path).format(config::FileFormat::Toml);
    let read = config::Config::builder().add_source(source).build().and_then(config::Config::try_deserialize);
    read.with_context(|| format!("settings in {}", path.display())).map_err(|e| usage(format!("{e:#}")))
}

/// `8-15`, or `8`.
fn range_of(text: &str) -> anyhow::Result<std::ops::RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(usage(format!("partitions.{text:?} must be a range such as \"8-15\""))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use daybook_testkit::fuzz::{damaged, damaged_text};
    use proptest::prelude::*;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_file_maps_services_partitions_and_read_models_to_their_databases() {
        let dir = std::env::temp_dir().join(format!("daybook-settings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let path = dir.join("daybook.toml");
        let text = "database_url = \"postgres://d\"\n[services.catalog]\ndatabase_url = \"postgres://c\"\npartitions.\"8-15\" = \"postgres://p\"\n[read]\ndatabase_url = \"postgres://r\"\n";
        std::fs::write(&path, text).expect("a file");
        let file = read_file(Some(&path)).expect("valid");
        assert_eq!(file.services["catalog"].partitions["8-15"], "postgres://p");
        std::fs::write(&path, "databse_url = \"x\"").expect("a file");
        let error = read_file(Some(&path)).expect_err("a misspelt key").to_string();
        assert!(error.contains("databse_url"), "{error}");
        assert_eq!(range_of("8-15").expect("a range"), 8..=15);
        assert!(range_of("9-3").is_err());
    }

    const GOOD: &str = "database_url = \"postgres://d\"\nkafka = \"k:9092\"\nkafka_prefix = \"p.\"\n[kafka_properties]\n\"security.protocol\" = \"SSL\"\n[services.catalog]\ndatabase_url = \"postgres://c\"\npartitions.\"8-15\" = \"postgres://p\"\n[read]\ndatabase_url = \"postgres://r\"\n";

    /// Settings read from a file of their own.
    fn read(name: &str, text: &[u8]) -> anyhow::Result<Settings> {
        let path = std::env::temp_dir().join(format!("daybook-settings-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a file");
        let cli = Cli::try_parse_from([Path::new("daybook"), Path::new("--config"), &path, Path::new("migrate")]).expect("a command line");
        let read = Settings::read(&cli.global);
        std::fs::remove_file(&path).expect("it was written");
        read
    }

    #[test]
    fn a_url_that_can_t_be_one_is_wrong_usage_and_named_by_its_setting() {
        let bad = "postgres://u:geheim@h/d?foo=bar";
        let good = "database_url = \"postgres://h/d\"\n";
        for (n, (text, setting)) in [
            (format!("database_url = {bad:?}"), "--database-url (DAYBOOK_DATABASE_URL"),
            (format!("{good}[services.catalog]\ndatabase_url = {bad:?}"), "services.catalog.database_url"),
            (format!("{good}[services.catalog]\npartitions.\"8-15\" = {bad:?}"), "services.catalog.partitions.\"8-15\""),
            (format!("{good}[read]\ndatabase_url = {bad:?}"), "read.database_url"),
        ]
        .into_iter()
        .enumerate()
        {
            let settings = read(&format!("url-{n}"), text.as_bytes()).expect("it can be read");
            let error = settings.databases().expect_err("it is no URL of a database");
            assert!(error.is::<UsageError>(), "{error}");
            let said = error.to_string();
            assert!(said.starts_with(setting) && said.contains("\"foo\"") && !said.contains("geheim"), "{said}");
        }
    }

    const PAYMENT: Wait = Wait { name: "payment", by_default: Duration::from_secs(900) };
    const ALLOCATION: Wait = Wait { name: "allocation", by_default: Duration::from_secs(60) };

    #[test]
    fn what_is_given_stands_before_the_file_and_the_file_before_the_build() {
        let settings = read("waits", b"[waits]\npayment = \"1h\"\nallocation = \"500ms\"\n").expect("it can be read");
        let waits = |given: &[&str]| settings.waits(&given.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>(), &[PAYMENT, ALLOCATION]);
        let some = waits(&["payment = 15m 30s"]).expect("a time");
        assert_eq!((some.of(&PAYMENT), some.of(&ALLOCATION)), (Duration::from_secs(930), Duration::from_millis(500)));
        let none = read("no-waits", b"").expect("nothing").waits(&[], &[PAYMENT]).expect("nothing is set");
        assert_eq!(none.of(&PAYMENT), PAYMENT.by_default);
        for (given, said) in [
            ("payment", "--wait (DAYBOOK_WAITS): \"payment\" must be NAME=TIME"),
            ("pay=3s", "--wait (DAYBOOK_WAITS): nothing waits for \"pay\" in this build; it has payment, allocation"),
            ("payment=soon", "--wait (DAYBOOK_WAITS): payment: \"soon\" is no time such as 500ms"),
            ("payment=11years", "--wait (DAYBOOK_WAITS): payment: \"11years\" is longer than ten years"),
        ] {
            let error = waits(&[given]).expect_err(given);
            assert!(error.is::<UsageError>() && error.to_string().starts_with(said), "{error}");
        }
        let misspelt =
            read("misspelt", b"[waits]\npaiment = \"1h\"\n").expect("it can be read").waits(&[], &[PAYMENT]).expect_err("no such one");
        assert!(misspelt.to_string().starts_with("[waits] of the settings' file: nothing waits for \"paiment\""), "{misspelt}");
    }

    fn a_name() -> impl Strategy<Value = String> {
        "[a-z][a-z_.A-Z]{0,12}"
    }

    fn quoted(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_file_is_read_or_refused_with_a_reason(text in damaged(Just(GOOD.as_bytes().to_vec()))) {
            if let Err(error) = read("damaged", &text) {
                prop_assert!(error.is::<UsageError>() && error.to_string().len() > 20, "{}", error);
            }
        }

        #[test]
        fn every_value_of_a_file_is_kept_as_it_stands(
            properties in prop::collection::btree_map(a_name(), "[ -~ä]{0,20}", 0..4),
            services in prop::collection::btree_map("[a-z]{1,8}", ("[ -~]{0,30}", 0..9_u32, 0..9_u32), 0..3),
        ) {
            let mut text = String::from("[kafka_properties]\n");
            properties.iter().for_each(|(name, value)| text += &format!("{} = {}\n", quoted(name), quoted(value)));
            for (name, (url, first, more)) in &services {
                text += &format!("[services.{name}]\ndatabase_url = {}\npartitions.\"{first}-{}\" = {}\n", quoted(url), first + more, quoted(url));
            }
            let settings = read("kept", text.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(&settings.kafka_properties, &properties);
            prop_assert_eq!(settings.services.len(), services.len());
            for (name, (url, first, more)) in &services {
                let service = &settings.services[name];
                prop_assert_eq!(service.url.as_ref(), Some(url));
                prop_assert_eq!(&service.partitions, &vec![(*first..=first + more, url.clone())]);
            }
        }

        #[test]
        fn a_range_is_read_or_refused_by_its_name(text in damaged_text(Just("8-15".to_owned()))) {
            match range_of(&text) {
                Ok(range) => prop_assert!(range.start() <= range.end()),
                Err(error) => prop_assert!(error.to_string().starts_with("partitions."), "{}", error),
            }
        }

        /// Options and variables are read by the same parsers.
        #[test]
        fn an_option_is_read_or_refused_by_its_name(
            (command, option) in prop::sample::select(vec![
                ("up", "--commands-listen"), ("up", "--session-timeout"), ("up", "--max-in-flight"), ("up", "--linger-ms"), ("migrate", "--partitions"),
            ]),
            value in damaged_text(prop::sample::select(vec!["127.0.0.1:0", "8", "100"]).prop_map(str::to_owned)),
        ) {
            if let Err(error) = Cli::try_parse_from(["daybook", command, &format!("{option}={value}")]) {
                prop_assert!(error.to_string().contains(option), "{}", error);
            }
        }
    }
}
