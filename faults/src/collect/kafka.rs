//! Topics as Kafka keeps them, and how far groups have read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::evidence::Published;

/// How long Kafka may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

fn consumer(kafka: &str, group: &str) -> anyhow::Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "false")
        .create()?)
}

/// First and next offset of each partition of a topic.
///
/// # Errors
/// When Kafka does not answer.
pub fn ends(kafka: &str, topic: &str, partitions: i32) -> anyhow::Result<Vec<(i64, i64)>> {
    let consumer = consumer(kafka, "daybook-faults")?;
    (0..partitions).map(|p| Ok(consumer.fetch_watermarks(topic, p, PATIENCE)?)).collect()
}

/// Where a group goes on reading, by partition; none where it has committed nothing.
///
/// # Errors
/// When Kafka does not answer.
pub fn committed(kafka: &str, group: &str, topic: &str, partitions: i32) -> anyhow::Result<Vec<Option<i64>>> {
    let consumer = consumer(kafka, group)?;
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        wanted.add_partition(topic, partition);
    }
    let found = consumer.committed_offsets(wanted, PATIENCE)?;
    Ok((0..partitions)
        .map(|p| match found.find_partition(topic, p).map(|e| e.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
        .collect())
}

/// Reads a topic of events from its beginning to its present end.
pub fn topic(kafka: &str, topic: &str, partitions: i32) -> impl FnOnce() -> anyhow::Result<BTreeMap<i32, Vec<Published>>> + Send + use<> {
    let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
    move || {
        let ends = ends(&kafka, &topic, partitions)?;
        let consumer = consumer(&kafka, "daybook-faults")?;
        let mut from = TopicPartitionList::new();
        let mut all: BTreeMap<i32, Vec<Published>> = BTreeMap::new();
        let mut missing = 0;
        for (partition, (first, next)) in (0..).zip(&ends) {
            all.insert(partition, Vec::new());
            if first < next {
                from.add_partition_offset(&topic, partition, Offset::Offset(*first))?;
                missing += 1;
            }
        }
        if missing == 0 {
            return Ok(all);
        }
        consumer.assign(&from)?;
        let until = Instant::now() + Duration::from_secs(60);
        let mut done = vec![false; ends.len()];
        while missing > 0 {
            if Instant::now() > until {
                bail!("{topic} can't be read to its end in 60 s: {missing} partitions are missing");
            }
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message?;
            let partition = usize::try_from(message.partition())?;
            if message.offset() < ends[partition].1 {
                all.entry(message.partition())
                    .or_default()
                    .push(published(&message).with_context(|| format!("{topic}/{partition}, message {}, is no event", message.offset()))?);
            }
            // The last offsets of a partition may be no messages.
            if message.offset() + 1 >= ends[partition].1 && !done[partition] {
                done[partition] = true;
                missing -= 1;
            }
        }
        Ok(all)
    }
}

fn published(message: &BorrowedMessage<'_>) -> anyhow::Result<Published> {
    let headers = message.headers().context("no headers")?;
    let header = |name: &str| headers.iter().filter(|h| h.key == name).filter_map(|h| h.value).last();
    let text = |name: &str| anyhow::Ok(std::str::from_utf8(header(name).with_context(|| format!("no {name}"))?)?.to_owned());
    Ok(Published {
        key: String::from_utf8(message.key().context("no key")?.to_vec())?,
        epoch: text("daybook-epoch")?.parse()?,
        offset: text("daybook-offset")?.parse()?,
        version: text("daybook-version")?.parse()?,
        r#type: text("ce_type")?,
        page_digest: hex::decode(text("daybook-page-digest")?)?,
        value: message.payload().unwrap_or_default().to_vec(),
    })
}
