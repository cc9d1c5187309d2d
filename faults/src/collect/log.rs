//! The logs as their tables hold them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::evidence::{Aside, Event, Ledger, Log, Page};

/// Every log of the database, by service.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn logs(client: &Client) -> anyhow::Result<BTreeMap<String, Log>> {
    let mut logs = BTreeMap::new();
    for service in services(client).await? {
        let row = client.query_one(&format!("SELECT log_id, partitions FROM \"{service}\".log"), &[]).await?;
        let pages = client
            .query(
                &format!(
                    "SELECT partition, page, epoch, first_offset, count, message_offset, writer, recorded_at, previous, digest \
                     FROM \"{service}\".page ORDER BY partition, page"
                ),
                &[],
            )
            .await?;
        let events = client
            .query(
                &format!(
                    "SELECT partition, \"offset\", stream_id, version, type, payload, metadata, recorded_at, digest, page \
                     FROM \"{service}\".event ORDER BY partition, \"offset\""
                ),
                &[],
            )
            .await?;
        let commands = client
            .query(
                &format!(
                    "SELECT partition, stream_id, command_id, page, ordinal, request_digest, result \
                     FROM \"{service}\".command ORDER BY partition, page, ordinal"
                ),
                &[],
            )
            .await?;
        let log = Log {
            log_id: row.get::<_, Uuid>(0).to_string(),
            partitions: row.get(1),
            pages: by_partition(&pages, page),
            events: by_partition(&events, event),
            commands: by_partition(&commands, ledger),
        };
        logs.insert(service, log);
    }
    Ok(logs)
}

/// A service whose log has pages that were written since these logs were read.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn grown<'l>(client: &Client, logs: &'l BTreeMap<String, Log>) -> anyhow::Result<Option<&'l String>> {
    for (service, log) in logs {
        let pages: i64 = client.query_one(&format!("SELECT count(*) FROM \"{service}\".page"), &[]).await?.get(0);
        if usize::try_from(pages)? != log.pages.values().map(Vec::len).sum::<usize>() {
            return Ok(Some(service));
        }
    }
    Ok(None)
}

/// The services that have a log: schemas with a table `log`.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn services(client: &Client) -> anyhow::Result<Vec<String>> {
    let rows = client.query("SELECT schemaname::text FROM pg_tables WHERE tablename = 'log' ORDER BY 1", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn by_partition<T>(rows: &[Row], read: fn(&Row) -> T) -> BTreeMap<i32, Vec<T>> {
    let mut all: BTreeMap<i32, Vec<T>> = BTreeMap::new();
    for row in rows {
        all.entry(row.get(0)).or_default().push(read(row));
    }
    all
}

fn micros(row: &Row, column: usize) -> i64 {
    row.get::<_, DateTime<Utc>>(column).timestamp_micros()
}

fn page(row: &Row) -> Page {
    Page {
        page: row.get(1),
        epoch: row.get(2),
        first_offset: row.get(3),
        count: row.get(4),
        message_offset: row.get(5),
        writer: row.get(6),
        recorded_at: micros(row, 7),
        previous: row.get(8),
        digest: row.get(9),
    }
}

fn event(row: &Row) -> Event {
    Event {
        offset: row.get(1),
        stream_id: row.get(2),
        version: row.get(3),
        r#type: row.get(4),
        payload: row.get(5),
        metadata: row.get(6),
        recorded_at: micros(row, 7),
        digest: row.get(8),
        page: row.get(9),
    }
}

fn ledger(row: &Row) -> Ledger {
    Ledger {
        stream_id: row.get(1),
        command_id: row.get::<_, Uuid>(2).to_string(),
        page: row.get(3),
        ordinal: row.get(4),
        request_digest: row.get(5),
        result: row.get(6),
    }
}

/// Messages that were parked or rejected, with the reason.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn aside(client: &Client, services: &[&String]) -> anyhow::Result<Vec<Aside>> {
    let mut all = Vec::new();
    for service in services {
        let sql = format!(
            "SELECT command_id, kind, reason, settled_at IS NULL, partition, message_offset FROM \"{service}\".parked \
             UNION ALL SELECT command_id, 'rejected', reason, false, partition, message_offset FROM \"{service}\".rejected"
        );
        for row in client.query(&sql, &[]).await? {
            let command_id = row.get::<_, Option<Uuid>>(0).map(|id| id.to_string());
            let (service, kind, reason, open) = ((*service).clone(), row.get(1), row.get(2), row.get(3));
            all.push(Aside { service, command_id, kind, reason, open, place: Some((row.get(4), row.get(5))) });
        }
    }
    Ok(all)
}
