//! Connections that are shared.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Connect, Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{DatabaseError, Unreachable, describe};

/// Connections to one database, made when they are first needed.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool_postgres::Pool,
    at: Arc<str>,
    patience: Duration,
}

impl Pool {
    pub(crate) fn new(config: Config, tls: MakeRustlsConnect, at: &str, size: usize, patience: Duration) -> Result<Self, DatabaseError> {
        let at: Arc<str> = at.into();
        let connecting = Connecting { tls, at: at.clone() };
        let manager = Manager::from_connect(config, connecting, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .wait_timeout(Some(patience))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| DatabaseError::Pool(e.to_string()))?;
        Ok(Self { connections, at, patience })
    }

    /// A connection; it goes back when it is dropped, and must be left as it was found.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`], or [`DatabaseError::Pool`] where all of them stay in use for too long.
    pub async fn get(&self) -> Result<Client, DatabaseError> {
        self.connections.get().await.map_err(|error| match error {
            PoolError::Backend(cause) => DatabaseError::Unreachable(Unreachable::new(&self.at, cause)),
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
