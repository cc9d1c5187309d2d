//! Digests: SHA-256 over a fixed encoding, documented byte by byte in `docs/digests.md` with these vectors.
//! Integers are 8 bytes, big-endian, two's complement; texts and bytes are preceded by their length as such an
//! integer; digests inside a page stand bare. Nothing of the environment goes in.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::Instant;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Collects the bytes to digest.
struct Encoder(Sha256);

impl Encoder {
    fn new(tag: &str) -> Self {
        let mut e = Self(Sha256::new());
        e.bytes(tag.as_bytes());
        e
    }

    fn int(&mut self, value: i64) -> &mut Self {
        self.0.update(value.to_be_bytes());
        self
    }

    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    fn bare(&mut self, value: &[u8]) -> &mut Self {
        self.0.update(value);
        self
    }

    fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// SHA-256 of bytes as they are.
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// The fields that an event's digest covers.
#[derive(Clone, Copy, Debug)]
pub struct EventFields<'a> {
    /// The log partition.
    pub partition: i32,
    /// The event's offset.
    pub offset: i64,
    /// The whole stream id.
    pub stream_id: &'a str,
    /// The event's version, from 1.
    pub version: i64,
    /// Full protobuf name.
    pub type_name: &'a str,
    /// The event, encoded.
    pub payload: &'a [u8],
    /// Its metadata, encoded.
    pub metadata: &'a [u8],
    /// The page's time.
    pub recorded_at: Instant,
}

/// The digest of one event.
pub fn event(e: &EventFields<'_>) -> Digest {
    let mut d = Encoder::new("daybook.event.1");
    d.int(e.partition.into()).int(e.offset).bytes(e.stream_id.as_bytes()).int(e.version).bytes(e.type_name.as_bytes());
    d.bytes(e.payload).bytes(e.metadata).int(e.recorded_at.micros());
    d.finish()
}

/// The fields that a page's digest covers, before its events and ledger rows.
#[derive(Clone, Copy, Debug)]
pub struct PageFields<'a> {
    /// The digest of the page before; of page 0: [`birth`].
    pub previous: &'a [u8],
    /// The log partition.
    pub partition: i32,
    /// The page's number, from 0.
    pub page: i64,
    /// The log's epoch, from 1.
    pub epoch: i32,
    /// The offset of its first event, or of the next one when it has none.
    pub first_offset: i64,
    /// Number of events.
    pub count: i32,
    /// The last offset of `<service>.messages` that it consumed; −1 before any.
    pub message_offset: i64,
    /// The lane that wrote it.
    pub writer: &'a str,
    /// Its time.
    pub recorded_at: Instant,
}

/// The fields of one ledger row that a page's digest covers, in ordinal order.
#[derive(Clone, Copy, Debug)]
pub struct LedgerFields<'a> {
    /// The whole stream id.
    pub stream_id: &'a str,
    /// The command's id.
    pub command_id: Uuid,
    /// The digest of the request in its canonical form.
    pub request_digest: &'a [u8],
    /// The result, encoded; the digest covers its hash.
    pub result: &'a [u8],
}

/// The digest of one page.
pub fn page<'a>(
    p: &PageFields<'_>,
    events: impl ExactSizeIterator<Item = &'a [u8]>,
    ledger: impl ExactSizeIterator<Item = LedgerFields<'a>>,
) -> Digest {
    let mut d = Encoder::new("daybook.page.1");
    d.bytes(p.previous).int(p.partition.into()).int(p.page).int(p.epoch.into()).int(p.first_offset).int(p.count.into());
    d.int(p.message_offset).bytes(p.writer.as_bytes()).int(p.recorded_at.micros());
    for event in events {
        d.bare(event);
    }
    d.int(i64::try_from(ledger.len()).unwrap_or(i64::MAX));
    for row in ledger {
        d.bytes(row.stream_id.as_bytes()).bytes(row.command_id.as_bytes()).bytes(row.request_digest).bare(&sha256(row.result));
    }
    d.finish()
}

/// `previous` of page 0: it makes one log partition different from every other.
pub fn birth(service: &str, log_id: Uuid, partition: i32, partitions: i32) -> Digest {
    let mut d = Encoder::new("daybook.birth.1");
    d.bytes(service.as_bytes()).bytes(log_id.as_bytes()).int(partition.into()).int(partitions.into());
    d.finish()
}

/// The digest by which a repeat under the same command id is known: type, command and If-Match (−1: none).
pub fn command(type_name: &str, command: &[u8], if_match: Option<u64>) -> Digest {
    let mut d = Encoder::new("daybook.command.1");
    d.bytes(type_name.as_bytes()).bytes(command).int(if_match.map_or(-1, |v| i64::try_from(v).unwrap_or(i64::MAX)));
    d.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> EventFields<'static> {
        EventFields {
            partition: 3,
            offset: 41,
            stream_id: "product/A-1",
            version: 2,
            type_name: "shop.catalog.v1.ProductRepriced",
            payload: &[1, 2, 3],
            metadata: &[9],
            recorded_at: Instant::from_micros(1_700_000_000_000_001),
        }
    }

    fn sample_page(events: &[Digest], ledger: &[LedgerFields<'_>]) -> Digest {
        let fields = PageFields {
            previous: &[0xaa; 32],
            partition: 3,
            page: 7,
            epoch: 1,
            first_offset: 41,
            count: 1,
            message_offset: 99,
            writer: "lane-1",
            recorded_at: Instant::from_micros(1_700_000_000_000_001),
        };
        page(&fields, events.iter().map(|d| d.as_slice()), ledger.iter().copied())
    }

    fn row() -> LedgerFields<'static> {
        LedgerFields { stream_id: "product/A-1", command_id: Uuid::from_u128(5), request_digest: &[0xbb; 32], result: &[4, 5] }
    }

    /// The vectors stand in the document too, so that an auditor with another language can check both.
    #[test]
    fn the_documented_vectors_hold() {
        let document = include_str!("../../../docs/digests.md");
        let event = event(&sample());
        for (name, digest) in [
            ("event", event),
            ("page", sample_page(&[event], &[row()])),
            ("birth", birth("catalog", Uuid::from_u128(1), 3, 16)),
            ("command", command("shop.catalog.v1.RepriceProduct", &[1, 2], Some(4))),
        ] {
            let hex = hex::encode(digest);
            assert!(document.contains(&hex), "docs/digests.md lacks the vector of {name}: {hex}");
        }
    }

    #[test]
    fn every_field_of_an_event_changes_its_digest() {
        let base = event(&sample());
        for changed in [
            EventFields { partition: 4, ..sample() },
            EventFields { offset: 42, ..sample() },
            EventFields { stream_id: "product/A-2", ..sample() },
            EventFields { version: 3, ..sample() },
            EventFields { type_name: "shop.catalog.v1.ProductRetired", ..sample() },
            EventFields { payload: &[1, 2], ..sample() },
            EventFields { payload: &[1, 2, 3, 9], metadata: &[], ..sample() },
            EventFields { metadata: &[8], ..sample() },
            EventFields { recorded_at: Instant::from_micros(1), ..sample() },
        ] {
            assert_ne!(base, event(&changed), "{changed:?}");
        }
    }

    #[test]
    fn a_page_covers_results_requests_and_order() {
        let (a, b) = ([1; 32], [2; 32]);
        let base = sample_page(&[a, b], &[row()]);
        assert_ne!(base, sample_page(&[b, a], &[row()]));
        assert_ne!(base, sample_page(&[a, b], &[LedgerFields { result: &[4], ..row() }]));
        assert_ne!(base, sample_page(&[a, b], &[LedgerFields { request_digest: &[0xbc; 32], ..row() }]));
        assert_ne!(base, sample_page(&[a, b], &[]));
    }
}
