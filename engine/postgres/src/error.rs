//! Errors that keep a database from being reached or from answering.

use std::error::Error as _;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// A database can't be reached, or did not do what was asked.
///
/// A text names the whole cause, once: none has a source that would say it again.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection could be made.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The driver or the server said so.
    #[error("Postgres: {}", describe(.0))]
    Postgres(tokio_postgres::Error),
    /// No connection was to be had from the pool.
    #[error("no connection to Postgres: {0}")]
    Pool(String),
    /// A schema could not be brought to what this build needs.
    #[error("migration: {0}")]
    Migration(String),
    /// A URL, or a file that it names, that can't be right.
    #[error("{0}")]
    Configuration(String),
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// A connection that could not be made: to where, why, and what may help. It never tells a password.
#[derive(Debug)]
pub struct Unreachable {
    at: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// The driver or the server said so.
    Failed(tokio_postgres::Error),
    /// Nobody has said anything for so long.
    Silent(Duration),
}

impl Unreachable {
    pub(crate) fn failed(at: &str, cause: tokio_postgres::Error) -> Self {
        Self { at: at.to_owned(), cause: Cause::Failed(cause) }
    }

    pub(crate) fn silent(at: &str, waited: Duration) -> Self {
        Self { at: at.to_owned(), cause: Cause::Silent(waited) }
    }

    /// The address: `host:port`, or several of them.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The error of the driver or the server; none: nobody has answered.
    pub fn cause(&self) -> Option<&tokio_postgres::Error> {
        match &self.cause {
            Cause::Failed(error) => Some(error),
            Cause::Silent(_) => None,
        }
    }
}

impl Display for Unreachable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (why, remedy) = match &self.cause {
            Cause::Failed(error) => (describe(error), remedy(error)),
            Cause::Silent(waited) => (format!("no session has begun in {waited:?}"), SILENT),
        };
        // The driver's own word for it would say the same again.
        let why = why.strip_prefix("error connecting to server: ").unwrap_or(&why);
        write!(f, "can't connect to Postgres at {}: {why}; {remedy}", self.at)
    }
}

impl std::error::Error for Unreachable {}

/// Advice where nobody answers.
const SILENT: &str = "see that what listens there is a Postgres (DAYBOOK_DATABASE_URL), and that it is neither stopped nor overloaded";

/// Advice for a connection that could not be made.
fn remedy(cause: &tokio_postgres::Error) -> &'static str {
    let Some(db) = cause.as_db_error() else {
        return "see that Postgres serves there, and that the database's URL (DAYBOOK_DATABASE_URL) has the right host, port, password and sslmode";
    };
    match db.code().code() {
        "28000" | "28P01" => "see the user, the password and the sslmode of the database's URL, and the server's pg_hba.conf",
        "3D000" => "make the database (CREATE DATABASE), or name another one in its URL (DAYBOOK_DATABASE_URL)",
        "22023" if db.message().starts_with("role ") => "run `daybook migrate`, which makes the roles",
        "53300" => "raise the server's max_connections, or end some of its sessions",
        "57P01" | "57P02" | "57P03" => "the server is on its way up or down: try again in a moment",
        _ => "see the database's URL (DAYBOOK_DATABASE_URL) and the server's log",
    }
}

/// The server's own words, where it has any: the driver's text alone says "db error".
pub fn describe(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} {}{}", db.code().code(), db.message(), db.detail().map(|d| format!(" ({d})")).unwrap_or_default()),
        None => match e.source() {
            Some(source) => format!("{e}: {source}"),
            None => e.to_string(),
        },
    }
}
