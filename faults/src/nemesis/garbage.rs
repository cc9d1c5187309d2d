//! Garbage on topics that only Daybook writes to. It is set aside by nobody: it must be passed over, end nothing,
//! and show up in no answer.

use daybook_proto::Named as _;
use daybook_proto::v1::{PartChange, PushMarker, Replies, Reply, part_change};
use futures_util::future::join_all;
use prost_reflect::prost::Message as _;
use rand::RngExt as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::Field;
use super::poison::PATIENCE;
use crate::shop::names::{ANOTHER_STREAM, PAGES, POISONED};

struct Garbage {
    what: &'static str,
    r#type: Option<&'static str>,
    value: Vec<u8>,
}

/// Throws every kind of it onto each of these topics, under keys that put it into random partitions; a note of what came there.
pub(super) async fn throw(field: &mut Field<'_>, producer: &FutureProducer) -> String {
    let noise: Vec<u8> = (0..256).map(|_| field.random.random()).collect();
    let all = every(field.random.random(), &noise);
    let topics = ["command.replies".to_owned(), format!("read.{PAGES}")];
    let mut thrown = Vec::new();
    for topic in &topics {
        for garbage in &all {
            // A compacted topic takes nothing without a key.
            thrown.push((topic, garbage, format!("garbage-{:016x}", field.random.random::<u64>())));
        }
    }
    let sent = join_all(thrown.iter().map(|(topic, garbage, key)| send(producer, topic, garbage, key))).await;
    let (taken, not): (Vec<_>, Vec<_>) = thrown.iter().zip(sent).partition(|(_, sent)| sent.is_ok());
    let mut note = format!("{} pieces of garbage on {}", taken.len(), topics.join(" and "));
    for ((topic, garbage, _), why) in not {
        note.push_str(&format!("; not taken: {} on {topic}: {:?}", garbage.what, why.err()));
    }
    note
}

async fn send(producer: &FutureProducer, topic: &str, garbage: &Garbage, key: &str) -> Result<(), rdkafka::error::KafkaError> {
    let headers = garbage.r#type.iter().fold(OwnedHeaders::new(), |all, name| all.insert(Header { key: "ce_type", value: Some(*name) }));
    let record = FutureRecord::to(topic).key(key).payload(&garbage.value).headers(headers);
    producer.send(record, PATIENCE).await.map(drop).map_err(|(error, _)| error)
}

fn every(number: u64, noise: &[u8]) -> Vec<Garbage> {
    let change = PartChange {
        key: "garbage".to_owned(),
        part: "garbage".to_owned(),
        generation: 1,
        service: POISONED.to_owned(),
        stream: ANOTHER_STREAM.to_owned(),
        batch: vec![7; 16],
        content: Some(part_change::Content::Bytes(noise.to_vec())),
        ..PartChange::default()
    };
    // Its last bytes are those of a number that takes two: without them it is cut within.
    let marker = PushMarker { generation: 1, service: POISONED.to_owned(), batch: vec![7; 16], changes: 300, ..PushMarker::default() };
    let replies = Replies { replies: vec![Reply { request_id: number, command_id: noise[..16].to_vec(), ..Reply::default() }] };
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let garbage = |what, r#type, value| Garbage { what, r#type, value };
    vec![
        garbage("noise without a type", None, noise.to_vec()),
        garbage("of a type that nobody knows", Some("nowhere.v1.Nothing"), noise.to_vec()),
        garbage("noise for a part", Some(PartChange::TYPE), noise.to_vec()),
        garbage("noise for a marker", Some(PushMarker::TYPE), noise.to_vec()),
        garbage("a truncated part", Some(PartChange::TYPE), cut(change.encode_to_vec())),
        garbage("a truncated marker", Some(PushMarker::TYPE), cut(marker.encode_to_vec())),
        garbage("truncated replies", None, cut(replies.encode_to_vec())),
        garbage("an empty part", Some(PartChange::TYPE), Vec::new()),
        garbage("an empty marker", Some(PushMarker::TYPE), Vec::new()),
    ]
}
