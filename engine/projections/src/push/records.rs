//! The parts and markers on `read.<projection>`, as Kafka records.

use bytes::Bytes;
use daybook_bus::{Headers, Record, headers as h};
use daybook_proto::Named;
use daybook_proto::v1::{HiddenStreams, PartChange, PushMarker, part_change::Content};
use prost::Message;
use uuid::Uuid;

use super::pusher::{Source, Span};

/// A part as it is after a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushedPart {
    pub(crate) key: String,
    pub(crate) part: String,
    pub(crate) stream: String,
    /// Of the last event that it rests on.
    pub(crate) offset: i64,
    /// None: it is gone.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Its stream is parked.
    pub(crate) stale: bool,
}

/// The records of one batch: each part, a tombstone behind each that is gone, and the marker that counts them.
pub(super) fn batch(at: &Source, span: Span, parts: Vec<PushedPart>, hidden: HiddenStreams, largest: usize) -> Vec<Record> {
    let id = Uuid::new_v4().into_bytes().to_vec();
    let mut records = Vec::with_capacity(parts.len() + 1);
    let changes = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    for part in parts {
        let key: Bytes = [part.key.as_bytes(), &[0], part.part.as_bytes()].concat().into();
        let content = match part.bytes {
            None => Content::Removed(true),
            Some(bytes) if bytes.len() > largest => Content::TooLarge(true),
            Some(bytes) => Content::Bytes(bytes),
        };
        let removed = matches!(content, Content::Removed(_));
        let change = PartChange {
            key: part.key,
            part: part.part,
            generation: at.generation,
            service: at.service.to_string(),
            partition: at.partition,
            stream: part.stream,
            offset: part.offset,
            batch: id.clone(),
            content: Some(content),
            stale: part.stale,
        };
        records.push(record(at, key.clone(), &change));
        if removed {
            // The value told those who listen; this one tells the compaction.
            records.push(Record { topic: at.topic.clone(), partition: at.partition, key, headers: Headers::new(), value: None });
        }
    }
    let marker = PushMarker {
        generation: at.generation,
        service: at.service.to_string(),
        partition: at.partition,
        epoch: span.epoch,
        from: span.from,
        to: span.to,
        batch: id,
        changes,
        hidden: Some(hidden),
    };
    records.push(record(at, format!("{}/{}", at.service, at.partition).into(), &marker));
    records
}

fn record<M: Message + Named>(at: &Source, key: Bytes, message: &M) -> Record {
    let headers = Headers::with_capacity(1).with(h::CE_TYPE, M::TYPE);
    Record { topic: at.topic.clone(), partition: at.partition, key, headers, value: Some(message.encode_to_vec().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_its_parts_and_then_a_marker_that_counts_them() {
        let at = Source { topic: "t".into(), generation: 3, service: "s".into(), partition: 7 };
        let part = |id: &str, bytes: Option<&[u8]>| PushedPart {
            key: "k".into(),
            part: id.into(),
            stream: "a/1".into(),
            offset: 9,
            bytes: bytes.map(<[u8]>::to_vec),
            stale: false,
        };
        let parts = vec![part("p1", Some(b"small")), part("p2", None), part("p3", Some(b"too large"))];
        let hidden = HiddenStreams { streams: vec!["a/2".into()], more: false };
        let records = batch(&at, Span { from: 5, to: 10, epoch: 2 }, parts, hidden.clone(), 5);
        let keys: Vec<&[u8]> = records.iter().map(|r| &r.key[..]).collect();
        assert_eq!(keys, [b"k\0p1".as_slice(), b"k\0p2", b"k\0p2", b"k\0p3", b"s/7"]);
        assert!(records.iter().all(|r| r.partition == 7 && *r.topic == *"t"));
        assert_eq!(records[2].value, None, "a tombstone follows the removal");
        let types: Vec<_> = [0, 4].iter().map(|i| records[*i].headers.get_str(h::CE_TYPE).expect("text").expect("there")).collect();
        assert_eq!(types, ["daybook.v1.PartChange", "daybook.v1.PushMarker"]);
        let change = |i: usize| PartChange::decode(records[i].value.clone().expect("a value")).expect("a change");
        assert_eq!(change(0).content, Some(Content::Bytes(b"small".to_vec())));
        assert_eq!((change(1).content, change(3).content), (Some(Content::Removed(true)), Some(Content::TooLarge(true))));
        let marker = PushMarker::decode(records[4].value.clone().expect("a value")).expect("a marker");
        assert_eq!((marker.generation, marker.from, marker.to, marker.epoch, marker.changes), (3, 5, 10, 2, 3));
        assert_eq!((marker.batch.len(), &marker.batch, marker.hidden), (16, &change(0).batch, Some(hidden)));
    }
}
