//! Errors of serving read models.

use daybook_postgres::{DatabaseError, Unreachable, describe};

/// Serving could not begin, or Postgres did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Configuration that can't be right.
    #[error("{0}")]
    Configuration(String),
    /// The read model that is searched is not what its schema says.
    #[error(transparent)]
    Schema(#[from] daybook_search::SchemaError),
    /// A read model's message is not among the descriptors.
    #[error("read model {model} is made of {message}, which this build does not describe")]
    UnknownMessage {
        /// The read model.
        model: String,
        /// Its message.
        message: String,
    },
    /// A generation has other checkpoints than when it was first looked at.
    #[error("the checkpoints of {model}, generation {generation}, have changed: it is looked at anew")]
    Checkpoints {
        /// The read model.
        model: String,
        /// Its generation.
        generation: i32,
    },
    /// A replica that lags, or a database that was set back.
    #[error("the database shows an older state of {0} than was read before: it is asked again")]
    Behind(String),
    /// No connection could be made.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The driver or the server said so. It is no source: the text has it already.
    #[error("Postgres: {}", describe(.0))]
    Postgres(tokio_postgres::Error),
    /// No connection was to be had.
    #[error("no connection to Postgres: {0}")]
    Pool(String),
}

impl From<DatabaseError> for QueryError {
    fn from(e: DatabaseError) -> Self {
        match e {
            DatabaseError::Unreachable(e) => Self::Unreachable(e),
            DatabaseError::Postgres(e) => Self::Postgres(e),
            DatabaseError::Pool(why) => Self::Pool(why),
            DatabaseError::Migration(why) | DatabaseError::Configuration(why) => Self::Configuration(why),
        }
    }
}

impl From<tokio_postgres::Error> for QueryError {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Postgres(e)
    }
}

impl QueryError {
    /// Whether what is missing is what `daybook migrate` makes.
    pub(crate) fn is_not_migrated(&self) -> bool {
        // No table, no schema, no right, no role.
        let codes = ["42P01", "3F000", "42501", "22023"];
        let said = match self {
            Self::Postgres(e) => Some(e),
            Self::Unreachable(e) => e.cause(),
            _ => None,
        };
        said.and_then(tokio_postgres::Error::as_db_error).is_some_and(|db| codes.contains(&db.code().code()))
    }
}
