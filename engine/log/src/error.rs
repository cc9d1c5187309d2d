//! Infrastructure errors. Refusals never travel as one of these.

use daybook_postgres::{DatabaseError, describe};

/// Postgres did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The driver or the server said so.
    #[error("Postgres: {}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection was to be had from the pool.
    #[error("no connection to Postgres: {0}")]
    Pool(String),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(String),
    /// Configuration that can't be right.
    #[error("{0}")]
    Configuration(String),
    /// What stands in the log can't have been written by Daybook.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// Another process writes this partition now.
    #[error("another process took over {0}")]
    Superseded(String),
}

impl From<deadpool_postgres::PoolError> for LogError {
    fn from(e: deadpool_postgres::PoolError) -> Self {
        match e {
            deadpool_postgres::PoolError::Backend(e) => Self::Postgres(e),
            other => Self::Pool(other.to_string()),
        }
    }
}

impl From<DatabaseError> for LogError {
    fn from(e: DatabaseError) -> Self {
        match e {
            DatabaseError::Postgres(e) => Self::Postgres(e),
            DatabaseError::Pool(why) => Self::Pool(why),
            DatabaseError::Configuration(why) => Self::Configuration(why),
        }
    }
}
