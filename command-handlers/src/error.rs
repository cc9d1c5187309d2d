//! Why command handlers can't start, or a lane can't go on.

use std::time::Duration;

use daybook_bus::BusError;
use daybook_log::LogError;
use daybook_postgres::DatabaseError;
use daybook_process::Backoff;

/// Infrastructure failed; refusals never travel as one of these.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Kafka.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Postgres.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An event could not be published, or a message could not be produced.
    #[error("Kafka: {0}")]
    Delivery(#[from] daybook_bus::DeliveryError),
    /// `<service>.events` holds what the log does not: the database was restored to an older state.
    #[error(
        "{partition} does not start: its events topic and its log disagree at offset {offset} ({why}). The database was probably restored \
         to an older state; run `daybook replay reconcile SERVICE`, which says what differs and what to do"
    )]
    AheadOfLog {
        /// `service/partition`
        partition: String,
        /// The log offset of the topic's last event.
        offset: i64,
        /// The difference.
        why: String,
    },
    /// Settings that can't be right together.
    #[error("{0}")]
    Configuration(String),
    /// A bug: code panicked that has no business to.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Another process writes this partition now.
    #[error("another process writes {0} now")]
    NotTheWriter(String),
}

impl From<DatabaseError> for HandlerError {
    fn from(error: DatabaseError) -> Self {
        Self::Log(error.into())
    }
}

impl HandlerError {
    /// Of a panic.
    pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        Self::Panicked(daybook_kernel::panic_text(panic))
    }
}

/// Pauses after errors, of a lane and of its relay: 100 ms to 5 s.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}
