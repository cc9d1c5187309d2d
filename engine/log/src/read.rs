//! Reading a log partition: streams for a lane's batch, events in order, pages, the ledger.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use daybook_kernel::{Digest, Instant};
use daybook_proto::v1::{CommandResult, Requests};
use prost::Message as _;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::page::{PageHead, StoredEvent};
use crate::{LogError, PartitionLog, sql};

/// A stream as a lane needs it: the start of folding, and the events to fold.
#[derive(Clone, Debug, Default)]
pub struct LoadedStream {
    /// (version, digest of that event, state) of a snapshot.
    pub snapshot: Option<(i64, Vec<u8>, Vec<u8>)>,
    /// (version, type, payload, digest) of the events after it, in order.
    pub events: Vec<(i64, String, Vec<u8>, Vec<u8>)>,
}

/// The state that a lane reads for one batch.
#[derive(Clone, Debug, Default)]
pub struct BatchState {
    /// By stream id; a stream without events is not in it.
    pub streams: BTreeMap<String, LoadedStream>,
    /// Results that the ledger has already.
    pub results: BTreeMap<Uuid, CommandResult>,
}

/// A ledger row as an audit reads it.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// The page.
    pub page: i64,
    /// Its place in the page, from 0.
    pub ordinal: i32,
    /// The whole stream id.
    pub stream_id: String,
    /// The command's id.
    pub command_id: Uuid,
    /// SHA-256 of the request.
    pub request_digest: Vec<u8>,
    /// `daybook.v1.CommandResult`, encoded.
    pub result: Vec<u8>,
}

pub(crate) fn instant(row: &Row, column: &str) -> Instant {
    Instant::from(row.get::<_, DateTime<Utc>>(column))
}

pub(crate) fn page_head(row: &Row) -> PageHead {
    PageHead {
        page: row.get("page"),
        epoch: row.get("epoch"),
        first_offset: row.get("first_offset"),
        count: row.get("count"),
        message_offset: row.get("message_offset"),
        writer: row.get("writer"),
        previous: row.get("previous"),
        digest: row.get("digest"),
        recorded_at: instant(row, "recorded_at"),
    }
}

fn stored_event(row: &Row) -> StoredEvent {
    StoredEvent {
        offset: row.get("offset"),
        stream_id: row.get("stream_id"),
        version: row.get("version"),
        type_name: row.get("type"),
        payload: row.get("payload"),
        metadata: row.get("metadata"),
        recorded_at: instant(row, "recorded_at"),
        digest: row.get("digest"),
        page: row.get("page"),
        epoch: row.get("epoch"),
        page_digest: row.get("page_digest"),
    }
}

pub(crate) fn ledger_entry(row: &Row) -> LedgerEntry {
    LedgerEntry {
        page: row.get(0),
        ordinal: row.get(1),
        stream_id: row.get(2),
        command_id: row.get(3),
        request_digest: row.get(4),
        result: row.get(5),
    }
}

pub(crate) fn result_of(bytes: &[u8]) -> Result<CommandResult, LogError> {
    CommandResult::decode(bytes).map_err(|e| LogError::Damaged(format!("a result of the ledger can't be read: {e}")))
}

pub(crate) async fn last_page(client: &Client, partition: &PartitionLog) -> Result<PageHead, LogError> {
    last_page_of(client.query_opt(&partition.sql(sql::LAST_PAGE), &[]).await?.as_ref(), partition)
}

fn last_page_of(row: Option<&Row>, partition: &PartitionLog) -> Result<PageHead, LogError> {
    row.map(page_head).ok_or_else(|| LogError::Damaged(format!("{} has no page 0: run `daybook migrate`", partition.name())))
}

/// Rows of `read_streams.sql` as a batch's state. `UNION ALL` promises no order, so versions are put in order here.
pub(crate) fn batch_state(rows: &[Row]) -> Result<BatchState, LogError> {
    let mut state = BatchState::default();
    for row in rows {
        let stream_id: String = row.get("stream_id");
        let payload: Vec<u8> = row.get("payload");
        match row.get::<_, i32>("kind") {
            0 => state.streams.entry(stream_id).or_default().snapshot = Some((row.get("version"), row.get("digest"), payload)),
            1 => {
                let event = (row.get("version"), row.get("type"), payload, row.get("digest"));
                state.streams.entry(stream_id).or_default().events.push(event);
            }
            _ => {
                state.results.insert(row.get("command_id"), result_of(&payload)?);
            }
        }
    }
    for (stream_id, stream) in &mut state.streams {
        stream.events.sort_by_key(|(version, ..)| *version);
        let first = stream.snapshot.as_ref().map_or(0, |(version, ..)| *version) + 1;
        if (first..).zip(&stream.events).any(|(expected, (version, ..))| expected != *version) {
            return Err(LogError::Damaged(format!("the versions of {stream_id} are not 1, 2, 3 …: run `daybook replay verify`")));
        }
    }
    Ok(state)
}

impl PartitionLog {
    /// For one batch of a lane: streams (with their aggregate's fingerprint), and which of these commands the ledger has.
    ///
    /// # Errors
    /// When Postgres does not answer, or the log is damaged.
    pub async fn read_batch(&self, client: &Client, streams: &[(&str, Digest)], commands: &[(&str, Uuid)]) -> Result<BatchState, LogError> {
        let (ids, fingerprints): (Vec<&str>, Vec<&[u8]>) = streams.iter().map(|(id, f)| (*id, f.as_slice())).unzip();
        let (of, command_ids): (Vec<&str>, Vec<Uuid>) = commands.iter().copied().unzip();
        let rows = client.query(&self.sql(sql::READ_STREAMS), &[&ids, &fingerprints, &of, &command_ids]).await?;
        batch_state(&rows)
    }

    /// The last page.
    ///
    /// # Errors
    /// When Postgres does not answer, or the partition was never made.
    pub async fn last_page(&self) -> Result<PageHead, LogError> {
        // Whoever follows a log asks once a second, of every partition.
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::LAST_PAGE)).await?;
        last_page_of(client.query_opt(&statement, &[]).await?.as_ref(), self)
    }

    /// Up to `limit` events from an offset on, in order.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_events(&self, from: i64, limit: i64) -> Result<Vec<StoredEvent>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_EVENTS)).await?;
        Ok(client.query(&statement, &[&from, &limit]).await?.iter().map(stored_event).collect())
    }

    /// All events of one stream.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_stream(&self, stream_id: &str) -> Result<Vec<StoredEvent>, LogError> {
        self.read_stream_after(stream_id, 0, i64::MAX).await
    }

    /// Up to `limit` events of one stream after a version (0: from its first on), in order.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_stream_after(&self, stream_id: &str, version: i64, limit: i64) -> Result<Vec<StoredEvent>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_STREAM)).await?;
        Ok(client.query(&statement, &[&stream_id, &version, &limit]).await?.iter().map(stored_event).collect())
    }

    /// Up to `limit` pages from a number on, in order.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_pages(&self, from: i64, limit: i64) -> Result<Vec<PageHead>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_PAGES)).await?;
        Ok(client.query(&statement, &[&from, &limit]).await?.iter().map(page_head).collect())
    }

    /// The ledger rows of a range of pages, both ends inclusive.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_ledger(&self, from: i64, to: i64) -> Result<Vec<LedgerEntry>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_LEDGER)).await?;
        Ok(client.query(&statement, &[&from, &to]).await?.iter().map(ledger_entry).collect())
    }

    /// The requests of one page, as they came; none when the range was detached.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_requests(&self, page: i64) -> Result<Option<Requests>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_REQUESTS)).await?;
        let row = client.query_opt(&statement, &[&page]).await?;
        row.map(|r| {
            Requests::decode(r.get::<_, &[u8]>(0))
                .map_err(|e| LogError::Damaged(format!("requests of page {page} of {}: {e}", self.name())))
        })
        .transpose()
    }

    /// The first offset of the first epoch after this one; none when the log is in it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn first_offset_after_epoch(&self, epoch: i32) -> Result<Option<i64>, LogError> {
        let row = self.pool.get().await?.query_opt(&self.sql(sql::FIRST_OF_EPOCH), &[&epoch]).await?;
        Ok(row.map(|r| r.get(0)))
    }

    /// The result of one command, from the ledger.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_result(&self, stream_id: &str, command_id: Uuid) -> Result<Option<CommandResult>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::READ_RESULT)).await?;
        let row = client.query_opt(&statement, &[&stream_id, &command_id]).await?;
        row.map(|r| result_of(r.get(0))).transpose()
    }

    /// The offset before which all that a rule sends has come to an end; none where it has no mark yet.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn rule_settled(&self, rule: &str) -> Result<Option<i64>, LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::RULE_SETTLED)).await?;
        Ok(client.query_opt(&statement, &[&rule, &self.number()]).await?.map(|row| row.get(0)))
    }
}
