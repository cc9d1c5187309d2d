//! The statements, one a file. `{parts}`, a table's name, is their only parameter that is no value, but for those that write parts: where
//! a read model is kept as SQL, comments in them become its columns.

use daybook_kernel::SqlRows;

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
    SHOWN_VIEW = "shown_view.sql",
    SHOW_VIEW = "show_view.sql",
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

/// As [`at`], of a statement that makes or writes parts, with their rows where they have any. The values of the columns are an array each,
/// behind the statement's other parameters.
pub(crate) fn with_rows(statement: &str, parts: &str, rows: Option<&SqlRows>) -> String {
    let statement = at(statement, parts);
    let Some(rows) = rows else { return statement };
    let all = |of: &dyn Fn(&str, &str) -> String| -> String {
        rows.columns.iter().map(|column| format!(", {}", of(&format!("\"{}\"", column.name), column.kind.name()))).collect()
    };
    let statement = statement
        .replace("/* definitions */", &all(&|name, kind| format!("{name} {kind}")))
        .replace("/* columns */", &all(&|name, _| name.to_owned()))
        .replace("/* of w */", &all(&|name, _| format!("w.{name}")))
        .replace("/* changed */", &all(&|name, _| format!("{name} = w.{name}")))
        .replace("/* excluded */", &all(&|name, _| format!("{name} = EXCLUDED.{name}")));
    let Some((before, rest)) = statement.split_once("/* arrays from $") else { return statement };
    let (first, after) = rest.split_once(" */").expect("a comment has an end");
    let first: usize = first.parse().expect("a parameter has a number");
    let arrays: String = (first..).zip(&rows.columns).map(|(n, column)| format!(", ${n}::{}[]", column.kind.name())).collect();
    format!("{before}{arrays}{after}")
}
