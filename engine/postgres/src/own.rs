//! A connection of one's own, outside any pool, that ends at once when it is dropped: a long statement must not outlive who
//! asked for it, nor the locks that the session holds.

use std::ops::{Deref, DerefMut};

use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::{Connector, DatabaseError, Role, describe};

/// The server looks every second whether the client is still there, also in the middle of a statement.
const SETTINGS: &[(&str, &str)] = &[("client_connection_check_interval", "1000"), ("jit", "off")];

/// A connection that is cut when it is dropped.
pub struct OwnConnection {
    client: Client,
    driving: JoinHandle<()>,
}

impl OwnConnection {
    /// Connects under a role, or as the owner without one. `settings` are Postgres's own, in force from the start;
    /// `application` is how `pg_stat_activity` shows it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn new(url: &str, role: Option<Role>, settings: &[(&str, &str)], application: &str) -> Result<Self, DatabaseError> {
        let (client, connection) = Connector::new(url, role, &[SETTINGS, settings].concat(), application)?.connect().await?;
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = describe(&error), "a connection ended");
            }
        });
        Ok(Self { client, driving })
    }
}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Deref for OwnConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for OwnConnection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
