//! Reading a whole partition as fast as Postgres gives it: binary COPY, in the order in which the rows lie, without an
//! object a field.
//!
//! One writer inserts into a partition and nothing is updated or deleted, so rows lie in the order of their offsets; only where
//! vacuum freed the room of an append that failed may a later row lie before an earlier one. So the order is never
//! believed: each offset is compared with the one before, and a reader that meets a disorder reads again, sorted by Postgres.

mod decoder;

use std::pin::Pin;

use daybook_kernel::Instant;
use futures_util::TryStreamExt as _;
use tokio_postgres::CopyOutStream;

use crate::{LogError, PartitionLog, sql};
use daybook_postgres::{OwnConnection, Role};
use decoder::Decoder;

/// An event as a fold needs it. It lives in the buffer that it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkEvent<'a> {
    /// Its place in the log partition.
    pub offset: i64,
    /// The whole stream id.
    pub stream_id: &'a str,
    /// From 1.
    pub version: i64,
    /// Full protobuf name.
    pub type_name: &'a str,
    /// The event, encoded.
    pub payload: &'a [u8],
    /// Its page's time.
    pub recorded_at: Instant,
}

/// In which order to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkOrder {
    /// As the rows lie: nothing is sorted, no index is read.
    AsTheyLie,
    /// Sorted by offset.
    Sorted,
}

/// The outcome of [`BulkEvents::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkRead {
    /// Some events; there may be more.
    Some,
    /// All of them have been read, without a gap.
    All,
    /// The rows do not lie in order, or one is missing: read again, [`BulkOrder::Sorted`].
    Disorder,
}

/// Events 0 to `end` of one partition, on a connection of its own.
pub struct BulkEvents {
    rows: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    order: BulkOrder,
    expected: i64,
    end: i64,
    name: String,
    _connection: OwnConnection,
}

/// A scan that another one is under way with would begin in the middle; several workers would mix their rows.
const SCAN: &[(&str, &str)] = &[("synchronize_seqscans", "off"), ("max_parallel_workers_per_gather", "0"), ("lock_timeout", "5000")];
const NO_INDEX: &[(&str, &str)] = &[("enable_indexscan", "off"), ("enable_indexonlyscan", "off"), ("enable_bitmapscan", "off")];

impl PartitionLog {
    /// Begins to read events 0 to `end` (exclusive; at most the log's end), under `role`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn bulk_events(&self, role: Role, end: i64, order: BulkOrder) -> Result<BulkEvents, LogError> {
        let (settings, statement) = match order {
            BulkOrder::AsTheyLie => ([SCAN, NO_INDEX].concat(), sql::BULK_EVENTS),
            BulkOrder::Sorted => (SCAN.to_vec(), sql::BULK_EVENTS_SORTED),
        };
        let connection = OwnConnection::new(&self.url, Some(role), &settings, "daybook bulk reader").await?;
        // COPY takes no parameters.
        let rows = connection.copy_out(&self.sql(statement).replace("{end}", &end.to_string())).await?;
        Ok(BulkEvents {
            rows: Box::pin(rows),
            decoder: Decoder::default(),
            order,
            expected: 0,
            end,
            name: self.name(),
            _connection: connection,
        })
    }
}

impl BulkEvents {
    /// Waits for more, and hands each event over, in order. After anything but [`BulkRead::Some`] it is done.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when an offset is missing; otherwise when Postgres does not answer.
    pub async fn next(&mut self, mut each: impl FnMut(BulkEvent<'_>)) -> Result<BulkRead, LogError> {
        let Some(chunk) = self.rows.try_next().await? else {
            return if self.decoder.is_complete() && self.expected == self.end { Ok(BulkRead::All) } else { self.gap(self.end) };
        };
        let (mut expected, mut stranger) = (self.expected, None);
        let read = self.decoder.rows(&chunk, |event| {
            if event.offset == expected {
                expected += 1;
                each(event);
                return true;
            }
            stranger = Some(event.offset);
            false
        });
        self.expected = expected;
        read.map_err(|why| LogError::Damaged(format!("{}: Postgres sent a COPY that can't be read: {why}", self.name)))?;
        stranger.map_or(Ok(BulkRead::Some), |found| self.gap(found))
    }

    /// Number of events that were read, and so the next offset.
    pub fn read(&self) -> i64 {
        self.expected
    }

    fn gap(&self, found: i64) -> Result<BulkRead, LogError> {
        match self.order {
            BulkOrder::AsTheyLie => Ok(BulkRead::Disorder),
            BulkOrder::Sorted => {
                let Self { name, expected, .. } = self;
                Err(LogError::Damaged(format!("{name}:{expected} is missing ({found} comes next): run `daybook replay verify`")))
            }
        }
    }
}
