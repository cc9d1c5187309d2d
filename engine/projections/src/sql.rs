//! The statements, one a file. `{parts}`, a table's name, is their only parameter that is no value.

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file));)*
    };
}

statements! {
    ANALYZE_FILLED = "analyze_filled.sql",
    ASK = "ask.sql",
    GENERATION = "generation.sql",
    GIVE_UP = "give_up.sql",
    INDEX_PARTS = "index_parts.sql",
    INDEX_VIEWS = "index_views.sql",
    INDEX_WRITERS = "index_writers.sql",
    INSERT_CHECKPOINTS = "insert_checkpoints.sql",
    INSERT_GENERATION = "insert_generation.sql",
    KEPT_UP_GENERATIONS = "kept_up_generations.sql",
    ONE_GENERATION = "one_generation.sql",
    PARKED_STREAMS = "parked_streams.sql",
    READ_ASKED = "read_asked.sql",
    READ_CHECKPOINT = "read_checkpoint.sql",
    READ_PARKED = "read_parked.sql",
    READ_REMOVED = "read_removed.sql",
    READ_SHOWN = "read_shown.sql",
    READ_SKIPPED = "read_skipped.sql",
    READ_VIEWS = "read_views.sql",
    TAKE_OVER = "take_over.sql",
    WRITE_BATCH = "write_batch.sql",
    WRITE_KNOWN = "write_known.sql",
    WRITE_PUSHED = "write_pushed.sql",
    WRITE_RETRIED = "write_retried.sql",
}

/// A statement on one generation's tables. The name was checked when the generation was made.
pub(crate) fn at(statement: &str, parts: &str) -> String {
    statement.replace("{parts}", parts)
}
