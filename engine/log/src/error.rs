//! Infrastructure errors. Refusals never travel as one of these.

use daybook_postgres::{DatabaseError, Unreachable, describe};

/// Postgres did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No connection could be made.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The driver or the server said so. It is no source: the text has it already.
    #[error("Postgres: {}", describe(.0))]
    Postgres(tokio_postgres::Error),
    /// No connection was to be had from the pool.
    #[error("no connection to Postgres: {0}")]
    Pool(String),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(String),
    /// Configuration that can't be right.
    #[error("{0}")]
    Configuration(String),
    /// Something in the log can't have been written by Daybook.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// Another process writes this partition now.
    #[error("another process took over {0}")]
    Superseded(String),
}

impl LogError {
    /// The error of Postgres or the driver, whether on a statement or on an attempt to connect.
    pub fn postgres(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Self::Unreachable(unreachable) => unreachable.cause(),
            Self::Postgres(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for LogError {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Postgres(e)
    }
}

impl From<DatabaseError> for LogError {
    fn from(e: DatabaseError) -> Self {
        match e {
            DatabaseError::Unreachable(e) => Self::Unreachable(e),
            DatabaseError::Postgres(e) => Self::Postgres(e),
            DatabaseError::Pool(why) => Self::Pool(why),
            DatabaseError::Migration(why) => Self::Migration(why),
            DatabaseError::Configuration(why) => Self::Configuration(why),
        }
    }
}
