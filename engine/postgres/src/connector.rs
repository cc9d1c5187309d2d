//! From a URL to connections.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls;
use crate::{DatabaseError, Role};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How soon a peer that is gone is noticed.
const SILENCE: Duration = Duration::from_secs(10);
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

const FORM: &str = "it must be postgres://user:password@host:port/database (DAYBOOK_DATABASE_URL)";

/// How to connect to one database, under one role, with settings of Postgres's own. The role and the settings go with the
/// connection's start, so they cost no round trip and stand before the first statement.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// Connects under a role, or as the owner without one. `application` is how `pg_stat_activity` shows it.
    ///
    /// # Errors
    /// [`DatabaseError::Configuration`] when the URL is not valid, or the file of its `sslrootcert` holds no certificates.
    pub fn new(url: &str, role: Option<Role>, settings: &[(&str, &str)], application: &str) -> Result<Self, DatabaseError> {
        let (url, tls) = tls::split(url)?;
        // What the driver says of a bad URL may hold the password.
        let mut config: Config = url.parse().map_err(|_| DatabaseError::Configuration(format!("the database URL is not valid: {FORM}")))?;
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
        Ok(Self { config, tls: tls.connector()? })
    }

    /// A connection. Somebody must await its second half, or nothing moves.
    ///
    /// # Errors
    /// When the database can't be reached, or is not the one that the certificate is for.
    pub async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>), DatabaseError> {
        Ok(self.config.connect(self.tls.clone()).await?)
    }

    /// Gives up on connecting after `connect`, and on a peer that is silent after `silence`: for who must answer at once.
    pub fn within(mut self, connect: Duration, silence: Duration) -> Self {
        self.config.connect_timeout(connect);
        self.config.keepalives_idle(silence);
        self.config.tcp_user_timeout(silence);
        self
    }

    /// At most `size` connections, made when they are first needed; who gets none within `patience` hears of it. A
    /// connection must be left as it was found.
    ///
    /// # Errors
    /// [`DatabaseError::Pool`] when the pool can't be made.
    pub fn pool(&self, size: usize, patience: Duration) -> Result<Pool, DatabaseError> {
        let manager =
            Manager::from_config(self.config.clone(), self.tls.clone(), ManagerConfig { recycling_method: RecyclingMethod::Fast });
        Pool::builder(manager)
            .max_size(size.max(1))
            .wait_timeout(Some(patience))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| DatabaseError::Pool(e.to_string()))
    }
}
