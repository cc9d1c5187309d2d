//! Infrastructure errors. What an event holds never ends up here: it parks its stream.

use daybook_bus::{BusError, DeliveryError};
use daybook_follow::FollowError;
use daybook_log::LogError;
use daybook_postgres::DatabaseError;

/// A reactor could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    /// Postgres.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Kafka.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A message was not taken by Kafka: the reactions that it is among are sent again.
    #[error("a reaction was not delivered: {0}")]
    Delivery(#[from] DeliveryError),
    /// `migrate` has not heard of it.
    #[error("there is no checkpoint of the reactor {0}: run `daybook migrate`")]
    NotPrepared(String),
    /// Another process has taken it over.
    #[error("another process has moved the checkpoint of {0}")]
    Superseded(String),
    /// A bug of the list of reactors.
    #[error("{0}")]
    Configuration(String),
}

impl From<tokio_postgres::Error> for ReactorError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Log(error.into())
    }
}

impl From<DatabaseError> for ReactorError {
    fn from(error: DatabaseError) -> Self {
        Self::Log(error.into())
    }
}

impl From<ReactorError> for FollowError {
    fn from(error: ReactorError) -> Self {
        match error {
            ReactorError::Superseded(who) => Self::Moved(who),
            ReactorError::NotPrepared(who) => Self::Gone(who),
            other => Self::Failed(Box::new(other)),
        }
    }
}
