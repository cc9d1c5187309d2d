//! Connections that are shared.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, Connect, Hook, HookError, Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::connector::limit;
use crate::error::{DatabaseError, Unreachable, describe};

/// Connections to one database, made when they are first needed. Clones share them.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool_postgres::Pool,
    at: Arc<str>,
    /// Longest wait for one that others have.
    patience: Duration,
    /// Longest time until a new one has a session.
    limit: Duration,
}

impl Pool {
    pub(crate) fn new(
        config: Config,
        tls: MakeRustlsConnect,
        at: Arc<str>,
        size: usize,
        patience: Duration,
    ) -> Result<Self, DatabaseError> {
        let limit = limit(&config);
        let connecting = Connecting { tls, at: at.clone() };
        let manager = Manager::from_connect(config, connecting, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            // Who drives a connection has told its end, with the cause; the library would tell it again, without.
            .pre_recycle(Hook::sync_fn(|client, _| if client.is_closed() { Err(HookError::message("it has ended")) } else { Ok(()) }))
            .build()
            .map_err(|e| DatabaseError::Pool(e.to_string()))?;
        Ok(Self { connections, at, patience, limit })
    }

    /// The same connections, for a caller that waits so long for one.
    pub(crate) fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// A connection; it goes back when it is dropped, and must be left as it was found.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`], also where nobody answers, or [`DatabaseError::Pool`] where all of them stay in use for too long.
    pub async fn get(&self) -> Result<Client, DatabaseError> {
        // Nothing is asked of a connection that is used again, so that takes no time.
        let timeouts = Timeouts { wait: Some(self.patience), create: Some(self.limit), recycle: None };
        self.connections.timeout_get(&timeouts).await.map_err(|error| match error {
            PoolError::Backend(cause) => DatabaseError::Unreachable(Unreachable::failed(&self.at, cause)),
            PoolError::Timeout(TimeoutType::Create) => DatabaseError::Unreachable(Unreachable::silent(&self.at, self.limit)),
            PoolError::Timeout(_) => {
                let (all, patience) = (self.connections.status().max_size, self.patience);
                DatabaseError::Pool(format!(
                    "all {all} that go to {} were in use for {patience:?}: ask again, or for less at once",
                    self.at
                ))
            }
            other => DatabaseError::Pool(format!("{}: {other}", self.at)),
        })
    }
}

/// Makes a pool's connections. The pool's own way tells their end without its cause.
struct Connecting {
    tls: MakeRustlsConnect,
    at: Arc<str>,
}

impl Connect for Connecting {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(self.tls.clone()).await?;
            let at = self.at.clone();
            let driving = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(%at, error = describe(&error), "a connection to Postgres has ended");
                }
            });
            Ok((client, driving))
        })
    }
}
