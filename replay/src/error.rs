//! Why an audit could not be made. What it found is no error: that stands in its report.

use daybook_bus::BusError;
use daybook_log::LogError;

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
}

impl ReplayError {
    /// Whether asking differently would help: exit code 2, where the others are 3.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}
