//! Shared by all clients: librdkafka's log lines as tracing events, and the settings of consumers.

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::config::BusConfig;
use crate::error::BusError;

/// The largest message that travels, in bytes; the size of appended ones is checked far below.
pub(crate) const MAX_MESSAGE_BYTES: &str = "4194304";

/// Settings of consumers, unless the properties say otherwise.
const CONSUMER: &[(&str, &str)] = &[
    ("fetch.min.bytes", "1"),
    // A partition that starts or resumes waits for the fetch that is under way without it: at most this long.
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    // librdkafka stops fetching when its queue is full, and by default looks again only a second later.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.message.max.bytes", MAX_MESSAGE_BYTES),
    ("fetch.max.bytes", "16777216"),
    // Its queue is emptied into the inboxes: their bounds count.
    ("queued.max.messages.kbytes", "16384"),
];

/// A consumer's configuration; `invariants` can't be overridden by properties.
pub(crate) fn consumer_config(config: &BusConfig, group: &str, invariants: &[(&str, &str)]) -> ClientConfig {
    let mut all = vec![
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.offset.store", "false"),
        ("allow.auto.create.topics", "false"),
        // Aborted messages are nobody's to see. It is librdkafka's default, and no property may change it.
        ("isolation.level", "read_committed"),
    ];
    all.extend_from_slice(invariants);
    config.client(CONSUMER, &all)
}

/// A consumer that belongs to no group. librdkafka wants a group name even so; nothing is ever committed under it.
pub(crate) fn lone_consumer(config: &BusConfig, purpose: &str, invariants: &[(&str, &str)]) -> Result<BaseConsumer<Quiet>, BusError> {
    let mut all = vec![("enable.auto.commit", "false")];
    all.extend_from_slice(invariants);
    let purpose = format!("daybook.{purpose}");
    consumer_config(config, &config.group(&purpose), &all)
        .create_with_context(Quiet)
        .map_err(|error| BusError::configuration(purpose, error))
}

/// The context of clients that have nobody to tell.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Quiet {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, _: RDKafkaRespErr, _: &mut TopicPartitionList) {
        // Only comes when the client is closed. rdkafka's own answer asks for the protocol first, and was seen to hang.
        if let Err(error) = consumer.unassign() {
            tracing::debug!(%error, "unassign");
        }
    }
}

/// librdkafka's log lines: addresses and states, never message content.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// Runs blocking librdkafka calls where they hold nobody up.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BusError> + Send + 'static) -> Result<T, BusError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(BusError::Thread(error.to_string())),
    }
}

/// Closes what would wait for a client's threads where it holds nobody up. False: there is no thread for it, and what `close` holds
/// was dropped here.
pub(crate) fn elsewhere(what: &str, close: impl FnOnce() + Send + 'static) -> bool {
    let spawned = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(close);
    if let Err(error) = &spawned {
        tracing::warn!(%error, "no thread to close {what} on");
    }
    spawned.is_ok()
}

/// Serves the events of a client that no thread polls: they would pile up for as long as it lives.
pub(crate) fn drain<C: ConsumerContext>(consumer: &Arc<BaseConsumer<C>>) {
    for _ in 0..16 {
        if consumer.poll(std::time::Duration::ZERO).is_some() {
            tracing::trace!("an error that nobody waits for");
        }
    }
}
