//! Digests, partitions and ids, worked out from `docs/digests.md` and the protocol alone: the engine's code has no part in it.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::evidence::{Event, Ledger, Page};

/// The namespace of derived ids.
const NAMESPACE: Uuid = Uuid::from_u128(0xab38_9f60_a143_5b93_9b27_6a4e_2dc3_55e8);

/// The encoding that is digested.
struct Digested(Sha256);

impl Digested {
    fn tagged(tag: &str) -> Self {
        Self(Sha256::new()).text(tag)
    }

    fn int(mut self, value: i64) -> Self {
        self.0.update(value.to_be_bytes());
        self
    }

    fn bytes(self, value: &[u8]) -> Self {
        self.int(i64::try_from(value.len()).expect("no value is that long")).bare(value)
    }

    fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    fn bare(mut self, value: &[u8]) -> Self {
        self.0.update(value);
        self
    }

    fn done(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

/// An event's digest, of its fields.
pub fn event(partition: i32, e: &Event) -> Vec<u8> {
    let d = Digested::tagged("daybook.event.1").int(partition.into()).int(e.offset).text(&e.stream_id).int(e.version);
    d.text(&e.r#type).bytes(&e.payload).bytes(&e.metadata).int(e.recorded_at).done()
}

/// A page's digest, of its fields, the digests of its events as they stand, and its ledger rows.
///
/// # Errors
/// When a row's command id is no UUID.
pub fn page(partition: i32, p: &Page, events: &[&Event], rows: &[&Ledger]) -> Result<Vec<u8>, uuid::Error> {
    let mut d = Digested::tagged("daybook.page.1").bytes(&p.previous).int(partition.into()).int(p.page).int(p.epoch.into());
    d = d.int(p.first_offset).int(p.count.into()).int(p.message_offset).text(&p.writer).int(p.recorded_at);
    for event in events {
        d = d.bare(&event.digest);
    }
    d = d.int(i64::try_from(rows.len()).expect("no page has that many"));
    for row in rows {
        let id: Uuid = row.command_id.parse()?;
        d = d.text(&row.stream_id).bytes(id.as_bytes()).bytes(&row.request_digest).bare(&Sha256::digest(&row.result));
    }
    Ok(d.done())
}

/// `previous` of page 0.
pub fn birth(service: &str, log_id: Uuid, partition: i32, partitions: i32) -> Vec<u8> {
    let d = Digested::tagged("daybook.birth.1").text(service).bytes(log_id.as_bytes());
    d.int(partition.into()).int(partitions.into()).done()
}

/// The digest that a repeat is compared with; −1: no If-Match.
pub fn command(type_name: &str, command: &[u8], if_match: i64) -> Vec<u8> {
    Digested::tagged("daybook.command.1").text(type_name).bytes(command).int(if_match).done()
}

/// A command's id.
pub fn command_id(service: &str, caller: &str, stream: &str, key: &str) -> Uuid {
    derived(["command", service, caller, stream, key].iter().map(|part| part.as_bytes()))
}

/// Where an event stands; the epoch is its page's.
#[derive(Clone, Copy, Debug)]
pub struct EventPlace<'a> {
    /// From 1.
    pub epoch: i32,
    /// The service.
    pub service: &'a str,
    /// The log partition.
    pub partition: i32,
    /// In it.
    pub offset: i64,
}

/// The id of the first command of its type that a reactor sends to a stream for an event.
pub fn reaction_id(at: &EventPlace<'_>, reactor: &str, command_type: &str, target: &str) -> Uuid {
    nth_reaction_id(at, reactor, command_type, target, 0)
}

/// The id of the `n`-th of those, from 0.
pub fn nth_reaction_id(at: &EventPlace<'_>, reactor: &str, command_type: &str, target: &str, n: u32) -> Uuid {
    let n = n.to_be_bytes();
    of_a_place("reaction", at, &[reactor.as_bytes(), command_type.as_bytes(), target.as_bytes(), &n])
}

/// The id of the one outcome that a lookup or an effect has for an event.
pub fn outcome_id(at: &EventPlace<'_>, rule: &str, target: &str) -> Uuid {
    of_a_place("effect", at, &[rule.as_bytes(), target.as_bytes()])
}

/// The id of what a deadline sends: of the event that armed it.
pub fn deadline_id(at: &EventPlace<'_>, rule: &str, deadline: &str, target: &str) -> Uuid {
    of_a_place("deadline", at, &[rule.as_bytes(), deadline.as_bytes(), target.as_bytes()])
}

fn of_a_place(kind: &str, at: &EventPlace<'_>, more: &[&[u8]]) -> Uuid {
    let (epoch, partition, offset) = (at.epoch.to_be_bytes(), at.partition.to_be_bytes(), at.offset.to_be_bytes());
    let place: [&[u8]; 5] = [kind.as_bytes(), &epoch, at.service.as_bytes(), &partition, &offset];
    derived(place.into_iter().chain(more.iter().copied()))
}

/// UUIDv5 of parts, each behind its length.
fn derived<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&u32::try_from(part.len()).expect("no part is that long").to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The partition of a stream in a log of `partitions`.
pub fn partition(stream: &str, partitions: i32) -> i32 {
    let hash = (murmur2(stream.as_bytes()) & 0x7fff_ffff).cast_signed();
    hash % partitions.max(1)
}

/// The Java client's hash, seed included.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let (words, tail) = data.as_chunks::<4>();
    let mut h = 0x9747_b28c ^ u32::try_from(data.len()).expect("no stream id is that long");
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        h = (h ^ rest).wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn the_event() -> Event {
        Event {
            offset: 41,
            stream_id: "product/A-1".into(),
            version: 2,
            r#type: "shop.catalog.v1.ProductRepriced".into(),
            payload: vec![1, 2, 3],
            metadata: vec![9],
            recorded_at: 1_700_000_000_000_001,
            ..Event::default()
        }
    }

    /// The table "Vectors" of `docs/digests.md`.
    #[test]
    fn digests_are_those_of_the_document() {
        let digest = event(3, &the_event());
        assert_eq!(hex::encode(&digest), "f649d2173d2a652b21b8ce39f6a12448186b592b5195730e5096451c828679d3");
        let the_page = Page {
            page: 7,
            epoch: 1,
            first_offset: 41,
            count: 1,
            message_offset: 99,
            writer: "lane-1".into(),
            recorded_at: 1_700_000_000_000_001,
            previous: vec![0xaa; 32],
            digest: Vec::new(),
        };
        let row = Ledger {
            stream_id: "product/A-1".into(),
            command_id: Uuid::from_u128(5).to_string(),
            page: 7,
            ordinal: 0,
            request_digest: vec![0xbb; 32],
            result: vec![4, 5],
        };
        let with_digest = Event { digest, ..the_event() };
        let digest = page(3, &the_page, &[&with_digest], &[&row]).expect("a UUID");
        assert_eq!(hex::encode(digest), "19a4f24eee405379f720cf97ce9ac8b61fa4913a871e54b681826b76f996159f");
        let digest = birth("catalog", Uuid::from_u128(1), 3, 16);
        assert_eq!(hex::encode(digest), "a7dbbde0a19ed5142a0bc2c4ed3f532a767e2f49cd19cca160ff75a64a413145");
        let digest = command("shop.catalog.v1.RepriceProduct", &[1, 2], 4);
        assert_eq!(hex::encode(digest), "f49603212a06d9ce10afb39819f41ac90e7482aabfc710379e6a0f5699bf8880");
    }

    #[test]
    fn a_command_id_is_that_of_the_document() {
        assert_eq!(command_id("catalog", "anonymous", "product/A-1", "k").to_string(), "cb7d6c79-c9af-5014-8111-b2fab416fcf2");
    }

    /// Worked out by Python's hashlib from the table "Derived ids" of `docs/digests.md`.
    #[test]
    fn a_reactions_id_is_that_of_the_document() {
        let at = EventPlace { epoch: 1, service: "inventory", partition: 3, offset: 7 };
        let id = reaction_id(&at, "reorder", "shop.inventory.v1.OpenReorderProposal", "reorder/A-1@w-1");
        assert_eq!(id.to_string(), "426ca12c-964c-568a-979a-1d7ad79db926");
    }

    /// From Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_the_java_clients() {
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }
}
