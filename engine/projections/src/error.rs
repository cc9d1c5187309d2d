//! Infrastructure errors. What an event holds never ends up here: it parks its stream.

use daybook_bus::BusError;
use daybook_log::LogError;
use daybook_postgres::DatabaseError;

/// A projector could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// Postgres: a log, or the read models.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Kafka.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A read model that does not say who may read it.
    #[error("a read model {0}")]
    Access(#[from] daybook_kernel::AccessError),
    /// The read model has no tables yet.
    #[error("there is no read model {0} in this database: run `daybook migrate`")]
    NotPrepared(String),
    /// The tables were filled by other folds than this build's. To go on would mix two readings of the same events.
    #[error(
        "read model {model} generation {generation} was built by other folds than this build has: rebuild it with \
         `daybook replay rebuild {model} --promote`, or run the build that made it"
    )]
    Outdated {
        /// The read model.
        model: String,
        /// The generation that is live.
        generation: i32,
    },
    /// Somebody else moved the checkpoint: everything in memory is of no use.
    #[error("another projector has moved the checkpoint of {0}")]
    Superseded(String),
    /// The log ends before a place that the read model has been at: it was restored to an older state.
    #[error(
        "{place}: the read model has been at offset {at}, but the log ends at {end}: its database was restored to an older state; \
         see `daybook replay reconcile`, then rebuild the read model"
    )]
    AheadOfLog {
        /// Read model and partition.
        place: String,
        /// The next offset to fold.
        at: i64,
        /// The next offset of the log.
        end: i64,
    },
    /// The log was restored to an older state and has grown again: before the checkpoint it holds other events than those
    /// that were folded.
    #[error(
        "{place}: the read model has folded events of epoch {folded} up to offset {at}, but the log holds events of epoch {epoch} there: \
         its database was restored to an older state; rebuild the read model with `daybook replay rebuild`"
    )]
    OfAnotherEpoch {
        /// Read model and partition.
        place: String,
        /// The next offset to fold.
        at: i64,
        /// The epoch of what was folded.
        folded: i32,
        /// The epoch of the event before `at`.
        epoch: i32,
    },
    /// Somebody else's transaction holds the checkpoint, for example a promotion.
    #[error("the checkpoint of {0} is held by a transaction of somebody else")]
    Locked(String),
    /// A name that could not be a table's.
    #[error("{0:?} can't be a read model: a name must match [a-z][a-z0-9-]{{0,39}}")]
    Name(String),
    /// A bug: the partition is started again.
    #[error("a projector panicked: {0}")]
    Panicked(String),
}

impl ProjectorError {
    /// Whether the same may go well another time: nothing of what it was done with is the cause.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Superseded(_) | Self::Locked(_) | Self::Log(LogError::Pool(_)) => true,
            Self::Log(error) => error.postgres().is_some_and(|said| match said.as_db_error().map(|db| db.code().code()) {
                // The connection; another transaction; too little of something; a lock; a server on its way down or up.
                Some(code) => ["08", "40", "53", "55P03", "57P"].iter().any(|class| code.starts_with(class)),
                // It was the driver that met it: the connection is lost.
                None => true,
            }),
            _ => false,
        }
    }
}

impl From<DatabaseError> for ProjectorError {
    fn from(e: DatabaseError) -> Self {
        Self::Log(e.into())
    }
}

impl From<tokio_postgres::Error> for ProjectorError {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Log(e.into())
    }
}
