//! The statements, one a file. `{schema}` and `{n}` are their only parameters that are no values.

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file));)*
        /// Every statement with its file's name, for the test that explains them.
        #[cfg(test)]
        #[allow(dead_code)]
        pub(crate) const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

statements! {
    APPEND_PAGE = "append_page.sql",
    AUDIT_EVENTS = "audit_events.sql",
    AUDIT_REQUEST_RANGES = "audit_request_ranges.sql",
    AUDIT_REQUESTS = "audit_requests.sql",
    AUDIT_SNAPSHOTS = "audit_snapshots.sql",
    AUDIT_STRAYS = "audit_strays.sql",
    AUDIT_STREAM = "audit_stream.sql",
    BULK_EVENTS = "bulk_events.sql",
    BULK_EVENTS_SORTED = "bulk_events_sorted.sql",
    ENDED_COMMANDS = "ended_commands.sql",
    ENDED_MESSAGES = "ended_messages.sql",
    FATE_OF_MESSAGE = "fate_of_message.sql",
    FIRST_OF_EPOCH = "first_of_epoch.sql",
    INSERT_PARKED = "insert_parked.sql",
    INSERT_REJECTED = "insert_rejected.sql",
    INSERT_SNAPSHOT = "insert_snapshot.sql",
    LAST_PAGE = "last_page.sql",
    PARTITION = "partition.sql",
    READ_EVENTS = "read_events.sql",
    READ_LEDGER = "read_ledger.sql",
    READ_PAGES = "read_pages.sql",
    READ_PARKED = "read_parked.sql",
    READ_REQUESTS = "read_requests.sql",
    READ_RESULT = "read_result.sql",
    READ_STREAM = "read_stream.sql",
    READ_STREAMS = "read_streams.sql",
    RULE_SETTLED = "rule_settled.sql",
    SETTLE_PARKED = "settle_parked.sql",
}

/// A statement for one partition of one service. The schema's name was checked when the log was opened.
pub(crate) fn at(statement: &str, schema: &str, partition: u32) -> String {
    statement.replace("{schema}", schema).replace("{n}", &partition.to_string())
}

/// The log's statements are index look-ups by construction; the planner, seeing small tables, would scan them, and keep
/// that plan while they grow. No parameter could make another plan better, and planning a page's statement costs as much as a small page:
/// it is planned once a connection.
pub(crate) const PLANNER_SETTINGS: &[(&str, &str)] = &[
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];
