//! Why an audit could not be made. What it found is no error: that stands in its report.

use daybook_bus::BusError;
use daybook_log::LogError;
use daybook_postgres::DatabaseError;
use daybook_projections::lifecycle::LifecycleError;

/// An audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It was asked for something that is not there, or in a way that can't be right.
    #[error("{0}")]
    Usage(String),
    /// Postgres.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Kafka.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A generation of a read model.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}

impl From<DatabaseError> for ReplayError {
    fn from(e: DatabaseError) -> Self {
        Self::Log(e.into())
    }
}

impl From<tokio_postgres::Error> for ReplayError {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Log(e.into())
    }
}

impl ReplayError {
    /// Whether asking differently would help: exit code 2, where the others are 3.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) => true,
            Self::Lifecycle(e) => e.is_usage(),
            Self::Log(_) | Self::Bus(_) => false,
        }
    }

    /// Whether it was refused for what was found: exit code 1.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Lifecycle(e) if e.is_refusal())
    }
}
