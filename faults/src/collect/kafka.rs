//! Topics as Kafka keeps them, and how far groups have read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::evidence::{HEADERS, Published, Rejected};

/// The longest that Kafka may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

fn config(kafka: &str, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "false");
    config
}

fn consumer(kafka: &str, group: &str) -> anyhow::Result<BaseConsumer> {
    Ok(config(kafka, group).create()?)
}

/// First and next offset of each partition of a topic, whether what stands there can be read yet or not.
///
/// # Errors
/// When Kafka does not answer.
pub fn ends(kafka: &str, topic: &str, partitions: i32) -> anyhow::Result<Vec<(i64, i64)>> {
    let consumer: BaseConsumer = config(kafka, "daybook-faults").set("isolation.level", "read_uncommitted").create()?;
    (0..partitions).map(|p| watermarks(&consumer, topic, p)).collect()
}

/// First and next offset of a partition, as this client may read it. A broker that is busy says for a moment that it knows none: it is asked
/// again.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> anyhow::Result<(i64, i64)> {
    let until = Instant::now() + PATIENCE;
    loop {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > until => return Err(error).with_context(|| format!("the ends of {topic}/{partition}")),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// The number of a topic's partitions that hold back what was written to them: a client's transaction is open.
///
/// # Errors
/// When Kafka does not answer.
pub fn held_back(kafka: &str, topic: &str, partitions: i32) -> anyhow::Result<u64> {
    let written = ends(kafka, topic, partitions)?;
    let consumer = consumer(kafka, "daybook-faults")?;
    let mut held_back = 0;
    for (partition, (_, end)) in (0..).zip(written) {
        let (_, readable) = watermarks(&consumer, topic, partition)?;
        held_back += u64::from(readable < end);
    }
    Ok(held_back)
}

/// Whether there is a message to read in a partition between these offsets: they may all be those of transactions' markers, and of
/// aborted messages.
///
/// # Errors
/// When Kafka does not answer.
pub fn any_message(kafka: &str, topic: &str, partition: i32, offsets: std::ops::Range<i64>) -> anyhow::Result<bool> {
    let consumer: BaseConsumer = config(kafka, "daybook-faults").set("enable.partition.eof", "true").create()?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, partition, Offset::Offset(offsets.start))?;
    consumer.assign(&from)?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => return Ok(offsets.contains(&message.offset())),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(false),
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    bail!("{topic}/{partition} can't be read")
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

/// Reads a topic from its beginning to its present end: what `read` makes of each message, by partition.
pub(super) fn topic<T>(
    kafka: &str,
    topic: &str,
    partitions: i32,
    read: fn(&BorrowedMessage<'_>) -> anyhow::Result<T>,
) -> impl FnOnce() -> anyhow::Result<BTreeMap<i32, Vec<T>>> + Send + use<T> {
    let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
    move || {
        let ends = ends(&kafka, &topic, partitions)?;
        let consumer = consumer(&kafka, "daybook-faults")?;
        let mut from = TopicPartitionList::new();
        let mut all: BTreeMap<i32, Vec<T>> = BTreeMap::new();
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
                let read = read(&message).with_context(|| format!("{topic}/{partition}, message {}, can't be read", message.offset()))?;
                all.entry(message.partition()).or_default().push(read);
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

/// A message's headers by name: of one that stands there twice the last counts.
fn headers(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.filter_map(|h| Some((h.key.to_owned(), String::from_utf8_lossy(h.value?).into_owned()))).collect()
}

/// An event.
pub(super) fn published(message: &BorrowedMessage<'_>) -> anyhow::Result<Published> {
    let mut headers = headers(message);
    let text = |name: &str| headers.get(name).cloned().with_context(|| format!("no {name}"));
    Ok(Published {
        key: String::from_utf8(message.key().context("no key")?.to_vec())?,
        epoch: text("daybook-epoch")?.parse()?,
        offset: text("daybook-offset")?.parse()?,
        version: text("daybook-version")?.parse()?,
        r#type: text("ce_type")?,
        page_digest: hex::decode(text("daybook-page-digest")?)?,
        value: message.payload().unwrap_or_default().to_vec(),
        headers: {
            headers.retain(|name, _| HEADERS.contains(&name.as_str()));
            Some(headers)
        },
    })
}

/// The record of a message that was rejected.
pub(super) fn rejected(message: &BorrowedMessage<'_>) -> anyhow::Result<Rejected> {
    let headers = headers(message);
    let text = |name: &str| headers.get(name).cloned().unwrap_or_default();
    Ok(Rejected { from: text("daybook-rejected-from"), reason: text("daybook-rejected-reason") })
}
