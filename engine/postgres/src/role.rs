//! Under which role to go to a database.

/// Rights of a connection. Each is a role in Postgres (see `migrations/daybook`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Appends to logs.
    Writer,
    /// Reads logs and read models.
    Reader,
    /// Reads logs, writes read models.
    Projector,
    /// Reads read models.
    Query,
}

impl Role {
    /// As Postgres names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Writer => "daybook_writer",
            Self::Reader => "daybook_reader",
            Self::Projector => "daybook_projector",
            Self::Query => "daybook_query",
        }
    }
}
