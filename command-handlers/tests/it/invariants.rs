//! Rules that must hold of any log, whatever happened: asked of the database in SQL, without the engine's own reading code.

use daybook_testkit::eventually;

use crate::support::{Install, PARTITIONS};

/// I3 (dense offsets and versions), the chain, I2 (one ledger row a command), I5 (the topic has the log, in order).
pub(crate) async fn hold(install: &Install) {
    for service in ["catalog", "inventory"] {
        for (what, sql) in [
            (
                "offsets are dense",
                format!(
                    "SELECT count(*) FROM (SELECT \"offset\" - lag(\"offset\", 1, -1::bigint) OVER (PARTITION BY partition ORDER BY \"offset\") AS step FROM {service}.event) s WHERE step <> 1"
                ),
            ),
            (
                "versions are dense",
                format!(
                    "SELECT count(*) FROM (SELECT version - lag(version, 1, 0::bigint) OVER (PARTITION BY stream_id ORDER BY version) AS step FROM {service}.event) s WHERE step <> 1"
                ),
            ),
            (
                "pages are chained",
                format!(
                    "SELECT count(*) FROM (SELECT previous, lag(digest) OVER w AS before, page - lag(page, 1, -1::bigint) OVER w AS step FROM {service}.page WINDOW w AS (PARTITION BY partition ORDER BY page)) s WHERE step <> 1 OR (before IS NOT NULL AND before <> previous)"
                ),
            ),
            (
                "pages cover their events",
                format!(
                    "SELECT count(*) FROM {service}.page p WHERE count <> (SELECT count(*) FROM {service}.event e WHERE e.partition = p.partition AND e.\"offset\" >= p.first_offset AND e.\"offset\" < p.first_offset + p.count AND e.page = p.page)"
                ),
            ),
            (
                "no event stands outside its page",
                format!(
                    "SELECT count(*) FROM {service}.event e WHERE NOT EXISTS (SELECT FROM {service}.page p WHERE p.partition = e.partition AND p.page = e.page AND e.\"offset\" >= p.first_offset AND e.\"offset\" < p.first_offset + p.count)"
                ),
            ),
        ] {
            assert_eq!(install.count(&sql).await, 0, "{service}: {what}");
        }
        for partition in 0..PARTITIONS.cast_signed() {
            let log = install.count(&format!("SELECT count(*) FROM {service}.event WHERE partition = {partition}")).await;
            if log == 0 {
                continue;
            }
            // A process that stopped may leave the end of its events to its successor.
            let topic = install.topic(&install.bus.events(service), partition).await;
            let mut next = 0;
            for message in &topic {
                let offset: i64 = message.headers.get_parsed(daybook_bus::headers::OFFSET).expect("a number").expect("there");
                assert!(offset <= next, "{service}/{partition}: {offset} stands before {next}");
                next = next.max(offset + 1);
            }
            assert!(next <= log, "{service}/{partition}: Kafka holds what the log does not");
        }
    }
}

/// And once a process has caught up, nothing is missing on Kafka.
pub(crate) async fn published(install: &Install) {
    for service in ["catalog", "inventory"] {
        for partition in 0..PARTITIONS.cast_signed() {
            let log = install.count(&format!("SELECT count(*) FROM {service}.event WHERE partition = {partition}")).await;
            eventually("the topic to hold the log", || async {
                let topic = install.topic(&install.bus.events(service), partition).await;
                let last = topic
                    .iter()
                    .filter_map(|m| m.headers.get_parsed::<i64>(daybook_bus::headers::OFFSET).ok().flatten())
                    .max()
                    .unwrap_or(-1);
                (last + 1 == log).then_some(())
            })
            .await;
        }
    }
}
