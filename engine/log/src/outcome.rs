//! The outcome of appending a page: worked out from SQLSTATE and constraint name, here and nowhere else.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// The outcome of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The page stands.
    Appended,
    /// Another page stands under this number: I am the old writer.
    NotTheWriter,
    /// The page before is not there, or is not the one that this page continues.
    PredecessorMissing,
    /// A command of the page is in the ledger already; nothing was written.
    Repeated,
    /// Nothing was written, for this reason (SQLSTATE first). Classes 22, 23 and 54 blame the page's own content.
    Failed(String),
    /// It may stand or not; [`crate::Writer::settle`] finds out.
    Unknown(String),
    /// It waited for a lock for too long: someone's transaction holds the place. Nothing was written.
    Locked,
}

impl AppendOutcome {
    /// Whether the page's own content is to blame: sending it again would fail again.
    pub fn blames_content(&self) -> bool {
        matches!(self, Self::Failed(why) if ["22", "23", "54"].iter().any(|class| why.starts_with(class)))
    }

    /// Of the driver's answer to `append_page.sql`.
    pub(crate) fn of(result: Result<u64, Error>) -> Self {
        match result {
            Ok(_) => Self::Appended,
            Err(error) => Self::of_error(&error),
        }
    }

    fn of_error(error: &Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // No answer of the server's: the connection went, before or after.
            return Self::Unknown(error.to_string());
        };
        let code = db.code();
        let text = || format!("{} {}", code.code(), db.message());
        if db.severity() == "FATAL" || db.severity() == "PANIC" || code.code().starts_with("08") || code.code().starts_with("57P") {
            return Self::Unknown(text());
        }
        // The constraint is the partition's own: page_3_pkey, command_3_pkey.
        let constraint = db.constraint().unwrap_or_default();
        if *code == SqlState::UNIQUE_VIOLATION && constraint.starts_with("page_") && constraint.ends_with("_pkey") {
            Self::NotTheWriter
        } else if *code == SqlState::UNIQUE_VIOLATION && constraint.starts_with("command_") && constraint.ends_with("_pkey") {
            Self::Repeated
        } else if *code == SqlState::NOT_NULL_VIOLATION && db.column() == Some("previous") {
            Self::PredecessorMissing
        } else if *code == SqlState::LOCK_NOT_AVAILABLE {
            Self::Locked
        } else {
            Self::Failed(text())
        }
    }
}
