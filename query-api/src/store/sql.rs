//! The statements, one a file. `{parts}`, a table's name, is their only parameter that is no value.

pub(crate) const LIVE_GENERATIONS: &str = include_str!("sql/live_generations.sql");
pub(crate) const READ_ALL_PARTS: &str = include_str!("sql/read_all_parts.sql");
pub(crate) const READ_BY_KEY: &str = include_str!("sql/read_by_key.sql");
pub(crate) const READ_CHECKPOINTS: &str = include_str!("sql/read_checkpoints.sql");
pub(crate) const READ_FILL: &str = include_str!("sql/read_fill.sql");
pub(crate) const READ_FOLDED: &str = include_str!("sql/read_folded.sql");
pub(crate) const READ_LIST: &str = include_str!("sql/read_list.sql");
pub(crate) const READ_LIVE_PARTS: &str = include_str!("sql/read_live_parts.sql");
pub(crate) const READ_PARTS: &str = include_str!("sql/read_parts.sql");
pub(crate) const READ_PARTS_OF_KEYS: &str = include_str!("sql/read_parts_of_keys.sql");
pub(crate) const READ_PART_OFFSETS: &str = include_str!("sql/read_part_offsets.sql");
pub(crate) const READ_HIDDEN: &str = include_str!("sql/read_hidden.sql");
pub(crate) const READ_WHOLE: &str = include_str!("sql/read_whole.sql");

/// A statement on one generation's tables.
pub(crate) fn at(statement: &str, parts: &str) -> String {
    statement.replace("{parts}", parts)
}
