//! Why a generation could not be made, served or dropped.

use daybook_bus::{BusError, DeliveryError};
use daybook_log::LogError;
use daybook_postgres::DatabaseError;

use crate::ProjectorError;

/// A generation could not be made, served or dropped.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// Folding, or a database.
    #[error(transparent)]
    Projector(#[from] ProjectorError),
    /// Kafka.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Kafka did not take a message.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// Somebody else is filling a generation of this read model, or clearing one away.
    #[error("generations of {model} are being changed by {who}: wait until it has ended, or end it")]
    Running {
        /// The read model.
        model: String,
        /// The holder, as Postgres sees it.
        who: String,
    },
    /// There is no such generation, or it can't be what it is asked to be.
    #[error("{0}")]
    Usage(String),
    /// It would not be right, for all that stands in the database. Nothing was changed.
    #[error("refused: {0}")]
    Refused(String),
    /// The rule that each part has one stream as its writer does not hold in this build's folds.
    #[error("two streams render the same part ({0}): a part must have one stream as its writer")]
    TwoWriters(String),
}

impl LifecycleError {
    /// Whether asking differently would help.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// Whether findings were the reason to refuse it.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::TwoWriters(_))
    }

    /// As `daybook migrate` says it.
    pub(crate) fn while_migrating(self) -> ProjectorError {
        match self {
            Self::Projector(error) => error,
            other => LogError::Migration(other.to_string()).into(),
        }
    }
}

impl From<LogError> for LifecycleError {
    fn from(e: LogError) -> Self {
        Self::Projector(e.into())
    }
}

impl From<DatabaseError> for LifecycleError {
    fn from(e: DatabaseError) -> Self {
        Self::Projector(e.into())
    }
}

impl From<tokio_postgres::Error> for LifecycleError {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Projector(e.into())
    }
}
