//! From a URL to connections.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Unreachable;
use crate::tls::Tls;
use crate::{DatabaseError, Pool, Role, tls, url};

/// Longest time that a host may take to be connected to, and again until the session has begun.
const CONNECT: Duration = Duration::from_secs(5);
/// Time until a peer that is gone is noticed.
const SILENCE: Duration = Duration::from_secs(10);
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Makes connections to one database, under one role, with settings of Postgres's own. The role and the settings go with the connection's
/// start, so they cost no round trip and stand before the first statement.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    /// As the URL says it; and what follows from it.
    how: Tls,
    tls: MakeRustlsConnect,
    /// For people: `host:port`.
    at: Arc<str>,
}

impl Connector {
    /// Connects under a role, or as the owner without one. `application` is how `pg_stat_activity` shows it.
    ///
    /// # Errors
    /// [`DatabaseError::Configuration`] when the URL is not valid, or the file of its `sslrootcert` holds no certificates.
    pub fn new(url: &str, role: Option<Role>, settings: &[(&str, &str)], application: &str) -> Result<Self, DatabaseError> {
        let (url, tls) = tls::split(url)?;
        let mut config = url::read(&url)?;
        let mut options = config.get_options().unwrap_or_default().to_owned();
        if let Some(role) = role {
            options.push_str(&format!(" -c role={}", role.name()));
        }
        for (name, value) in settings {
            options.push_str(&format!(" -c {name}={value}"));
        }
        config.options(options.trim());
        config.application_name(application);
        config.connect_timeout(CONNECT);
        config.keepalives_idle(SILENCE);
        config.tcp_user_timeout(UNACKNOWLEDGED);
        config.ssl_mode(tls.mode.driver());
        Ok(Self { at: url::place(&config).into(), config, tls: tls.connector()?, how: tls })
    }

    /// Whether a URL can be one, before anybody connects.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(url: &str) -> Result<(), DatabaseError> {
        Self::new(url, None, &[], "daybook").map(drop)
    }

    /// A connection. Somebody must await its second half, or nothing moves.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`], also where it is not the one that the certificate is for.
    pub async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>), DatabaseError> {
        let limit = limit(&self.config);
        match tokio::time::timeout(limit, self.config.connect(self.tls.clone())).await {
            Ok(connected) => Ok(connected.map_err(|cause| Unreachable::failed(&self.at, cause))?),
            Err(_) => Err(Unreachable::silent(&self.at, limit).into()),
        }
    }

    /// Gives up on connecting after `connect`, and on a peer that is silent after `silence`: for callers that must answer at once.
    pub fn within(mut self, connect: Duration, silence: Duration) -> Self {
        self.config.connect_timeout(connect);
        self.config.keepalives_idle(silence);
        self.config.tcp_user_timeout(silence);
        self
    }

    /// A pool of one's own: at most `size` connections, made when they are first needed; a caller that gets none within `patience` hears of it. A
    /// connection must be left as it was found. [`Databases::pool`](crate::Databases::pool) has those that a process shares.
    ///
    /// # Errors
    /// [`DatabaseError::Pool`] when the pool can't be made.
    pub fn pool(&self, size: usize, patience: Duration) -> Result<Pool, DatabaseError> {
        Pool::new(self.config.clone(), self.tls.clone(), self.at.clone(), size, patience)
    }

    /// Whether the connections of both are the same to whoever gets one.
    pub(crate) fn connects_as(&self, other: &Self) -> bool {
        (&self.config, &self.how) == (&other.config, &other.how)
    }
}

/// Longest time from the first attempt at a connection until a session has begun. The driver's own limit is each host's, and ends where the host
/// takes the connection: one that is silent then would be waited for without an end.
pub(crate) fn limit(config: &Config) -> Duration {
    let hosts = u32::try_from(config.get_hosts().len().max(config.get_hostaddrs().len())).unwrap_or(u32::MAX);
    config.get_connect_timeout().copied().unwrap_or(CONNECT).saturating_mul(hosts.saturating_add(1))
}
