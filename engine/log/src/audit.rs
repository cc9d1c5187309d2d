//! Reading a partition as an audit does: whole tables in order, a row at a time, without a join that could hide a row.

use std::pin::Pin;

use daybook_kernel::Instant;
use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use crate::read::{instant, ledger_entry};
use crate::{LedgerEntry, LogError, PartitionLog, sql};

/// An event as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The event's offset.
    pub offset: i64,
    /// The whole stream id.
    pub stream_id: String,
    /// From 1.
    pub version: i64,
    /// Full protobuf name.
    pub type_name: String,
    /// The event, encoded.
    pub payload: Vec<u8>,
    /// `daybook.v1.Metadata`, encoded.
    pub metadata: Vec<u8>,
    /// Its own time; its page's, if nobody changed it.
    pub recorded_at: Instant,
    /// Its digest.
    pub digest: Vec<u8>,
    /// The page that it names.
    pub page: i64,
}

/// The requests of one page, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// The page.
    pub page: i64,
    /// `daybook.v1.Requests`, encoded.
    pub requests: Vec<u8>,
}

/// A snapshot as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The whole stream id.
    pub stream_id: String,
    /// The version that it covers.
    pub version: i64,
    /// Of the build that took it.
    pub fingerprint: Vec<u8>,
    /// The digest of the event of that version.
    pub event_digest: Vec<u8>,
    /// The state, encoded.
    pub state: Vec<u8>,
}

/// A row that belongs to no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// `event`, `command` or `request`.
    pub kind: String,
    /// An event's offset; of the others, the page that they name.
    pub place: i64,
    /// The page that it names.
    pub page: i64,
}

/// Rows that arrive one by one: so many as the network has in flight are in memory, no more.
pub struct Rows<T> {
    rows: Pin<Box<RowStream>>,
    convert: fn(&Row) -> T,
    peeked: Option<T>,
    /// The driver tells its end once, and calls the next question an error.
    over: bool,
    /// The connection must outlive its rows; others would only wait behind them.
    _client: deadpool_postgres::Object,
}

impl<T> Rows<T> {
    /// The next row.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn next(&mut self) -> Result<Option<T>, LogError> {
        if self.peeked.is_some() || self.over {
            return Ok(self.peeked.take());
        }
        let row = self.rows.try_next().await?;
        self.over = row.is_none();
        Ok(row.as_ref().map(self.convert))
    }

    /// The next row, if it fits; one that does not stays the next.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn next_if(&mut self, fits: impl FnOnce(&T) -> bool) -> Result<Option<T>, LogError> {
        match self.next().await? {
            Some(row) if fits(&row) => Ok(Some(row)),
            other => {
                self.peeked = other;
                Ok(None)
            }
        }
    }
}

fn event_row(row: &Row) -> EventRow {
    EventRow {
        offset: row.get(0),
        stream_id: row.get(1),
        version: row.get(2),
        type_name: row.get(3),
        payload: row.get(4),
        metadata: row.get(5),
        recorded_at: instant(row, "recorded_at"),
        digest: row.get(7),
        page: row.get(8),
    }
}

/// The numbers of `FOR VALUES FROM ('0') TO ('250000')`.
fn bounds(text: &str) -> Option<(i64, i64)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

impl PartitionLog {
    async fn rows<T>(&self, statement: &str, values: &[&(dyn ToSql + Sync)], convert: fn(&Row) -> T) -> Result<Rows<T>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(statement)).await?;
        let rows = client.query_raw(&statement, values.iter().copied()).await?;
        Ok(Rows { rows: Box::pin(rows), convert, peeked: None, over: false, _client: client })
    }

    /// Events of a range of offsets, the end exclusive.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_events(&self, from: i64, to: i64) -> Result<Rows<EventRow>, LogError> {
        self.rows(sql::AUDIT_EVENTS, &[&from, &to], event_row).await
    }

    /// Ledger rows of a range of pages, both ends inclusive.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_ledger(&self, from: i64, to: i64) -> Result<Rows<LedgerEntry>, LogError> {
        self.rows(sql::READ_LEDGER, &[&from, &to], ledger_entry).await
    }

    /// Requests of a range of pages, both ends inclusive; those that were detached are not among them.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_requests(&self, from: i64, to: i64) -> Result<Rows<RequestRow>, LogError> {
        self.rows(sql::AUDIT_REQUESTS, &[&from, &to], |row| RequestRow { page: row.get(0), requests: row.get(1) }).await
    }

    /// Every snapshot; those of one stream and fingerprint in the order of their versions.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_snapshots(&self) -> Result<Rows<SnapshotRow>, LogError> {
        let convert = |row: &Row| SnapshotRow {
            stream_id: row.get(0),
            version: row.get(1),
            fingerprint: row.get(2),
            event_digest: row.get(3),
            state: row.get(4),
        };
        self.rows(sql::AUDIT_SNAPSHOTS, &[], convert).await
    }

    /// The events of one stream, in order of their versions.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_stream(&self, stream_id: &str) -> Result<Rows<EventRow>, LogError> {
        self.rows(sql::AUDIT_STREAM, &[&stream_id], event_row).await
    }

    /// Rows behind a page and its end that belong to no page, at most `limit` of a kind.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_strays(&self, after_page: i64, from_offset: i64, limit: i64) -> Result<Vec<Stray>, LogError> {
        let convert = |row: &Row| Stray { kind: row.get(0), place: row.get(1), page: row.get(2) };
        let mut rows = self.rows(sql::AUDIT_STRAYS, &[&after_page, &from_offset, &limit], convert).await?;
        let mut strays = Vec::new();
        while let Some(stray) = rows.next().await? {
            strays.push(stray);
        }
        Ok(strays)
    }

    /// The ranges of pages (the end exclusive) whose requests have not been detached.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn audit_request_ranges(&self) -> Result<Vec<(i64, i64)>, LogError> {
        let client = self.pool.get().await?;
        let rows = client.query(&self.sql(sql::AUDIT_REQUEST_RANGES), &[]).await?;
        Ok(rows.iter().filter_map(|row| bounds(row.get(0))).collect())
    }
}
