//! One connection of our own, outside any pool, for a writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_postgres::{Connector, Role};
use tokio::sync::watch;
use tokio_postgres::Client;

use crate::LogError;
use crate::sql::PLANNER_SETTINGS;

/// A writer's connection holds nothing that must survive it: a paused process is cut off instead of holding locks.
const WRITER_SETTINGS: &[(&str, &str)] = &[
    ("idle_session_timeout", "60000"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("lock_timeout", "3000"),
    ("statement_timeout", "30000"),
];
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A connection that knows its backend, so that another connection can end it.
pub struct Session {
    client: Client,
    pid: i32,
    backend_start: DateTime<Utc>,
    closed: watch::Receiver<bool>,
}

impl Session {
    /// Connects as a writer.
    ///
    /// # Errors
    /// When the database can't be reached or the role is missing (`daybook migrate` makes it).
    pub async fn writer(url: &str, application: &str) -> Result<Self, LogError> {
        let connector = Connector::new(url, None, &[WRITER_SETTINGS, PLANNER_SETTINGS].concat(), application)?;
        let (client, connection) = connector.connect().await?;
        let (closing, closed) = watch::channel(false);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a writer's connection ended");
            }
            let _ = closing.send(true);
        });
        let row = client.query_one("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()", &[]).await?;
        // Only now: under the role, Postgres would hide from this session when its own backend started.
        client.batch_execute(&format!("SET ROLE {}", Role::Writer.name())).await?;
        Ok(Self { pid: row.get(0), backend_start: row.get(1), client, closed })
    }

    /// The driver's client; statements sent without awaiting are pipelined.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow() || self.client.is_closed()
    }

    /// The backend's process and when it started; together they name it for ever.
    pub fn backend(&self) -> (i32, DateTime<Utc>) {
        (self.pid, self.backend_start)
    }
}

/// Ends another session, only while it is the one that was meant: process ids are used again.
///
/// # Errors
/// When the database can't be reached.
pub(crate) async fn terminate(url: &str, (pid, backend_start): (i32, DateTime<Utc>)) -> Result<bool, LogError> {
    // Without a role of ours: ending a session takes the rights of the user that opened it.
    let (client, connection) = Connector::new(url, None, &[], "daybook settle")?.connect().await?;
    let driving = tokio::spawn(connection);
    let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2";
    let ended = client.query_opt(sql, &[&pid, &backend_start]).await?.is_none_or(|row| row.get(0));
    drop(client);
    let _ = driving.await;
    Ok(ended)
}

/// The writer's connections of one process: a few a database, shared by its lanes, replaced when they end.
pub struct WriterSessions {
    per_database: usize,
    open: tokio::sync::Mutex<BTreeMap<(String, usize), Arc<Session>>>,
}

impl WriterSessions {
    /// At most `per_database` connections for pages, and one for opening pages.
    pub fn new(per_database: usize) -> Self {
        Self { per_database: per_database.max(1), open: tokio::sync::Mutex::default() }
    }

    /// The connections for a partition: for its pages, and for opening pages.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn of(&self, url: &str, partition: u32) -> Result<(Arc<Session>, Arc<Session>), LogError> {
        let slot = 1 + partition as usize % self.per_database;
        Ok((self.get(url, slot, "daybook writer").await?, self.get(url, 0, "daybook takeover").await?))
    }

    async fn get(&self, url: &str, slot: usize, application: &str) -> Result<Arc<Session>, LogError> {
        let mut open = self.open.lock().await;
        let key = (url.to_owned(), slot);
        if let Some(session) = open.get(&key).filter(|s| !s.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::writer(url, application).await?);
        let beating = Arc::downgrade(&session);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                // Ends with the last lane that holds the session, or with the session itself.
                let Some(session) = beating.upgrade() else { return };
                if session.client.simple_query("").await.is_err() {
                    return;
                }
            }
        });
        open.insert(key, session.clone());
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_that_has_an_ended_ones_process_id_is_left_alone() {
        let database = daybook_testkit::TestDatabase::migrated(&["ledger"], 1).await;
        let session = Session::writer(&database.url, "a writer").await.expect("it connects");
        let (pid, start) = session.backend();
        terminate(&database.url, (pid, start - chrono::Duration::microseconds(1))).await.expect("it answers");
        session.client().simple_query("SELECT 1").await.expect("another one was meant");
        assert!(terminate(&database.url, (pid, start)).await.expect("it answers"));
        assert!(session.client().simple_query("SELECT 1").await.is_err(), "this one was meant");
    }
}
