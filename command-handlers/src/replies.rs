//! Replies: to whoever waits in this process, at once; to others one message a page and endpoint process on `command.replies`. A lost one
//! is only a slower answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use daybook_bus::{Headers, Record};
use daybook_proto::v1::{Replies, Reply};
use prost::Message as _;

use crate::batch::Answer;
use crate::endpoint::Waiters;

/// Answers those who wait in this process; the records that carry the other answers to those who wait elsewhere.
pub(crate) fn answer(waiters: &Waiters, topic: &Arc<str>, answers: Vec<Answer>) -> Vec<Record> {
    let mut by_partition: BTreeMap<i32, Replies> = BTreeMap::new();
    for answer in answers {
        let Some(to) = answer.reply_to else { continue };
        let reply = Reply {
            request_id: to.request_id,
            command_id: answer.command_id.as_bytes().to_vec(),
            replayed: answer.replayed,
            answer: Some(answer.answer),
            next: answer.next,
        };
        if let Some(elsewhere) = waiters.answer(reply) {
            by_partition.entry(to.partition).or_default().replies.push(elsewhere);
        }
    }
    by_partition
        .into_iter()
        .map(|(partition, replies)| Record {
            topic: topic.clone(),
            partition,
            key: Bytes::new(),
            headers: Headers::new(),
            value: Some(Bytes::from(replies.encode_to_vec())),
        })
        .collect()
}
