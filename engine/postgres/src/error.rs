//! What keeps a database from being reached or from answering.

/// A database can't be reached, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The driver or the server said so.
    #[error("Postgres: {}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection was to be had from the pool.
    #[error("no connection to Postgres: {0}")]
    Pool(String),
    /// A URL, or a file that it names, that can't be right.
    #[error("{0}")]
    Configuration(String),
}

/// The server's own words, where it has any: the driver's text alone says "db error".
pub fn describe(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} {}{}", db.code().code(), db.message(), db.detail().map(|d| format!(" ({d})")).unwrap_or_default()),
        None => match std::error::Error::source(e) {
            Some(source) => format!("{e}: {source}"),
            None => e.to_string(),
        },
    }
}
