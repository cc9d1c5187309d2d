//! The hot statements never scan a log.

use daybook_log::Session;

use crate::support::{Fixture, append, event, row};

const APPEND: &str = include_str!("../../src/sql/append_page.sql");
const READ_STREAMS: &str = include_str!("../../src/sql/read_streams.sql");

#[tokio::test]
async fn no_statement_of_a_lane_or_a_reader_scans_a_log() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    for page in 0..20 {
        let streams: Vec<String> = (0..200).map(|i| format!("a/{page}-{i}")).collect();
        let events = streams.iter().map(|s| event(s, 1)).collect();
        let ledger = streams.iter().zip(0..).map(|(s, i)| row(s, page * 1000 + i)).collect();
        append(&writer, &mut head, events, ledger).await;
    }
    f.database.owner().await.batch_execute("ANALYZE").await.expect("the owner may");
    let lane = Session::writer(&f.database.url, "explain").await.expect("it answers");
    for sql in [APPEND, READ_STREAMS] {
        explain(lane.client(), sql, true).await;
    }
    let reader = f.database.owner().await;
    reader
        .batch_execute("SET ROLE daybook_reader; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        .await
        .expect("the owner may take it");
    for sql in [
        include_str!("../../src/sql/read_events.sql"),
        include_str!("../../src/sql/read_stream.sql"),
        include_str!("../../src/sql/last_page.sql"),
        include_str!("../../src/sql/read_pages.sql"),
        include_str!("../../src/sql/read_ledger.sql"),
        include_str!("../../src/sql/read_result.sql"),
        include_str!("../../src/sql/read_requests.sql"),
        include_str!("../../src/sql/audit_events.sql"),
        include_str!("../../src/sql/audit_requests.sql"),
        include_str!("../../src/sql/audit_snapshots.sql"),
        include_str!("../../src/sql/audit_stream.sql"),
        include_str!("../../src/sql/audit_strays.sql"),
    ] {
        explain(&reader, sql, false).await;
    }
}

/// Every lane asks it when it starts: a log that is in the epoch that is asked for must not be read for that.
#[tokio::test]
async fn where_the_next_epoch_begins_is_looked_for_only_where_there_is_one() {
    let f = Fixture::new().await;
    let reader = f.database.owner().await;
    let sql = include_str!("../../src/sql/first_of_epoch.sql").replace("{schema}", "ledger").replace("{n}", "0");
    let plan = reader.simple_query(&format!("EXPLAIN (GENERIC_PLAN, COSTS OFF) {sql}")).await.expect("explainable");
    let lines = plan.iter().filter_map(|m| if let tokio_postgres::SimpleQueryMessage::Row(r) = m { r.get(0) } else { None });
    let lines: Vec<&str> = lines.collect();
    assert!(lines.iter().any(|line| line.contains("One-Time Filter")), "{}", lines.join("\n"));
}

/// A lane prepares its statements while the log is new, and keeps the plans.
#[tokio::test]
async fn no_statement_of_a_lane_scans_a_log_that_has_hardly_begun() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    let lane = Session::writer(&f.database.url, "explain").await.expect("it answers");
    for page in 0..3 {
        for sql in [APPEND, READ_STREAMS] {
            if page > 0 {
                explain(lane.client(), sql, true).await;
            }
        }
        let streams: Vec<String> = (0..20).map(|i| format!("a/{page}-{i}")).collect();
        let events = streams.iter().map(|s| event(s, 1)).collect();
        let ledger = streams.iter().zip(0..).map(|(s, i)| row(s, page * 1000 + i)).collect();
        append(&writer, &mut head, events, ledger).await;
    }
    // Statistics that Postgres takes of so small a log by itself.
    f.database
        .owner()
        .await
        .batch_execute("ANALYZE ledger.event_0; ANALYZE ledger.command_0; ANALYZE ledger.page_0")
        .await
        .expect("it may");
    for sql in [APPEND, READ_STREAMS] {
        explain(lane.client(), sql, true).await;
    }
}

async fn explain(client: &tokio_postgres::Client, sql: &str, lane: bool) {
    let sql = sql.replace("{schema}", "ledger").replace("{n}", "0");
    let plan = client.simple_query(&format!("EXPLAIN (GENERIC_PLAN, COSTS OFF) {sql}")).await.expect("explainable");
    let lines: Vec<String> = plan
        .iter()
        .filter_map(|m| match m {
            tokio_postgres::SimpleQueryMessage::Row(r) => r.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    // The partition alone as an index condition is the whole index: an audit may read that, a lane must not.
    let whole_index = lane && lines.iter().any(|l| l.trim() == "Index Cond: (partition = 0)");
    assert!(!whole_index, "{sql}\n{}", lines.join("\n"));
    assert!(!lines.iter().any(|l| l.contains("Seq Scan on")), "{sql}\n{}", lines.join("\n"));
    assert!(
        !lines.iter().any(|l| [" on page_1", " on event_1", " on command_1"].iter().any(|t| l.contains(t))),
        "it names its own partition only\n{}",
        lines.join("\n")
    );
}
