//! The statements, one a file. `{parts}`, a table's name, is their only parameter that is no value.

pub(crate) const LIVE_GENERATIONS: &str = include_str!("sql/live_generations.sql");
pub(crate) const READ_CHECKPOINTS: &str = include_str!("sql/read_checkpoints.sql");
pub(crate) const READ_FILL: &str = include_str!("sql/read_fill.sql");
pub(crate) const READ_LIST: &str = include_str!("sql/read_list.sql");
pub(crate) const READ_PARTS: &str = include_str!("sql/read_parts.sql");

/// A statement on one generation's tables.
pub(crate) fn at(statement: &str, parts: &str) -> String {
    statement.replace("{parts}", parts)
}
