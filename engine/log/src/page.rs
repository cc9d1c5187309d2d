//! Pages: what a lane decided, put together with its digests.

use daybook_kernel::{Digest, Instant, digest};
use daybook_proto::v1::Requests;
use prost::Message as _;
use uuid::Uuid;

/// The last word of a log partition: the page that the next one must continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// From 0.
    pub page: i64,
    /// From 1.
    pub epoch: i32,
    /// The offset of its first event, or of the next one.
    pub first_offset: i64,
    /// Number of events.
    pub count: i32,
    /// The last offset of `<service>.messages` that was consumed; −1 before any.
    pub message_offset: i64,
    /// The lane that wrote it.
    pub writer: String,
    /// The digest of the page before.
    pub previous: Vec<u8>,
    /// Its digest.
    pub digest: Vec<u8>,
    /// Its time.
    pub recorded_at: Instant,
}

impl PageHead {
    /// The offset that the next event gets.
    pub fn next_offset(&self) -> i64 {
        self.first_offset + i64::from(self.count)
    }
}

/// An event that was decided and has no place yet.
#[derive(Clone, Debug)]
pub struct NewEvent {
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
}

/// One command's row in the ledger; its place in the page is its ordinal.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    /// The whole stream id.
    pub stream_id: String,
    /// The command's id.
    pub command_id: Uuid,
    /// `daybook.v1.Request`, encoded canonically.
    pub request: Vec<u8>,
    /// `daybook.v1.CommandResult`, encoded.
    pub result: Vec<u8>,
}

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
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
    /// The page's time.
    pub recorded_at: Instant,
    /// Its digest.
    pub digest: Vec<u8>,
    /// The page that holds it.
    pub page: i64,
    /// That page's epoch.
    pub epoch: i32,
    /// That page's digest.
    pub page_digest: Vec<u8>,
}

/// A page, ready to be appended. Its digests are worked out once, here.
#[derive(Clone, Debug)]
pub struct Page {
    pub(crate) head: PageHead,
    pub(crate) reason: Option<String>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) event_digests: Vec<Digest>,
    pub(crate) ledger: Vec<LedgerRow>,
    pub(crate) request_digests: Vec<Digest>,
    pub(crate) requests: Option<Vec<u8>>,
}

impl Page {
    /// Most commands of one page.
    pub const MAX_COMMANDS: usize = 2_000;
    /// Most bytes of one page.
    pub const MAX_BYTES: usize = 4 << 20;

    /// The page that continues `after` in `partition`.
    pub fn following(
        after: &PageHead,
        partition: i32,
        writer: &str,
        recorded_at: Instant,
        message_offset: i64,
        events: Vec<NewEvent>,
        ledger: Vec<LedgerRow>,
    ) -> Self {
        // A clock set back stands still: time never goes backwards in a partition.
        let recorded_at = recorded_at.max(after.recorded_at);
        let first_offset = after.next_offset();
        let event_digests: Vec<Digest> = (first_offset..)
            .zip(&events)
            .map(|(offset, e)| {
                digest::event(&digest::EventFields {
                    partition,
                    offset,
                    stream_id: &e.stream_id,
                    version: e.version,
                    type_name: &e.type_name,
                    payload: &e.payload,
                    metadata: &e.metadata,
                    recorded_at,
                })
            })
            .collect();
        let request_digests: Vec<Digest> = ledger.iter().map(|row| digest::sha256(&row.request)).collect();
        let count = i32::try_from(events.len()).expect("a page is bounded");
        let fields = digest::PageFields {
            previous: &after.digest,
            partition,
            page: after.page + 1,
            epoch: after.epoch,
            first_offset,
            count,
            message_offset,
            writer,
            recorded_at,
        };
        let rows = ledger.iter().zip(&request_digests).map(|(row, request_digest)| digest::LedgerFields {
            stream_id: &row.stream_id,
            command_id: row.command_id,
            request_digest,
            result: &row.result,
        });
        let page_digest = digest::page(&fields, event_digests.iter().map(|d| d.as_slice()), rows);
        let requests =
            (!ledger.is_empty()).then(|| Requests { requests: ledger.iter().map(|row| row.request.clone()).collect() }.encode_to_vec());
        let head = PageHead {
            page: after.page + 1,
            epoch: after.epoch,
            first_offset,
            count,
            message_offset,
            writer: writer.to_owned(),
            previous: after.digest.clone(),
            digest: page_digest.to_vec(),
            recorded_at,
        };
        Self { head, reason: None, events, event_digests, ledger, request_digests, requests }
    }

    /// An opening page: no events, no commands, its writer's name. The one that has written it is the writer.
    pub fn opening(after: &PageHead, partition: i32, writer: &str, now: Instant) -> Self {
        Self::following(after, partition, writer, now, after.message_offset, Vec::new(), Vec::new())
    }

    /// An opening page that begins an epoch, with the reason.
    pub fn beginning_epoch(after: &PageHead, partition: i32, writer: &str, now: Instant, epoch: i32, reason: &str) -> Self {
        // The page's own epoch is digested.
        let after = PageHead { epoch, ..after.clone() };
        Self { reason: Some(reason.to_owned()), ..Self::opening(&after, partition, writer, now) }
    }

    /// The head that the next page continues once this one stands.
    pub fn head(&self) -> &PageHead {
        &self.head
    }

    /// The events with the places that they get, as the log will keep them.
    pub fn stored_events(&self) -> impl Iterator<Item = StoredEvent> + '_ {
        (self.head.first_offset..).zip(self.events.iter().zip(&self.event_digests)).map(|(offset, (e, digest))| StoredEvent {
            offset,
            stream_id: e.stream_id.clone(),
            version: e.version,
            type_name: e.type_name.clone(),
            payload: e.payload.clone(),
            metadata: e.metadata.clone(),
            recorded_at: self.head.recorded_at,
            digest: digest.to_vec(),
            page: self.head.page,
            epoch: self.head.epoch,
            page_digest: self.head.digest.clone(),
        })
    }

    /// The ledger rows, in ordinal order.
    pub fn ledger(&self) -> &[LedgerRow] {
        &self.ledger
    }
}
