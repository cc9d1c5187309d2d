//! Look-ups: where a topic begins and ends, its last message, what a group has committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Quiet, blocking, consumer_config, drain, lone_consumer};
use crate::config::BusConfig;
use crate::error::BusError;
use crate::message::Message;
use crate::pump::own;

/// How long a look-up may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers questions about topics and groups. Cheap to clone; each look-up is a request or two to the brokers, in
/// a blocking task, and gives up after 10 s.
#[derive(Clone)]
pub struct Inspector {
    inner: Arc<Inner>,
}

struct Inner {
    config: BusConfig,
    /// For watermarks and metadata.
    lookup: Arc<BaseConsumer<Quiet>>,
    /// For reading single messages, one question at a time.
    tail: Mutex<Option<Arc<BaseConsumer<Quiet>>>>,
    /// A client a group: librdkafka asks for committed offsets only under its own group's name. None ever joins.
    groups: Mutex<HashMap<String, Arc<BaseConsumer<Quiet>>>>,
}

impl Inspector {
    /// Starts the client's threads. Does not wait for a connection.
    ///
    /// # Errors
    /// [`BusError::Configuration`] when librdkafka refuses a property.
    pub fn new(config: &BusConfig) -> Result<Self, BusError> {
        Ok(Self {
            inner: Arc::new(Inner {
                config: config.clone(),
                lookup: Arc::new(lone_consumer(config, "inspector", &[])?),
                tail: Mutex::default(),
                groups: Mutex::default(),
            }),
        })
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Inner) -> Result<T, BusError> + Send + 'static) -> Result<T, BusError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || question(&inner)).await
    }

    /// The offsets of the first message and of the one to come next.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| watermarks(&inner.lookup, &inner.config, &topic, partition)).await
    }

    /// The partition's last message; none when it is empty. Offsets without a message are stepped over.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn last_message(&self, topic: &str, partition: i32) -> Result<Option<Message>, BusError> {
        let topic: Arc<str> = Arc::from(topic);
        self.ask(move |inner| inner.last_message(&topic, partition)).await
    }

    /// What `group` (its full name) has committed: the next offset to read. Does not join the group.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn committed(&self, group: &str, topic: &str, partition: i32) -> Result<Option<i64>, BusError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.ask(move |inner| inner.committed(&group, &topic, partition)).await
    }

    /// How many partitions a topic has; none when it does not exist.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn partitions(&self, topic: &str) -> Result<Option<i32>, BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| {
            drain(&inner.lookup);
            partitions(&inner.lookup, &inner.config, &topic)
        })
        .await
    }

    /// How many brokers the cluster has.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn brokers(&self) -> Result<usize, BusError> {
        self.ask(|inner| {
            drain(&inner.lookup);
            let metadata = inner.lookup.fetch_metadata(None, PATIENCE);
            let metadata = metadata.map_err(|error| inner.unreachable("list the brokers".to_owned(), error))?;
            Ok(metadata.brokers().len())
        })
        .await
    }
}

impl Inner {
    fn unreachable(&self, action: String, error: KafkaError) -> BusError {
        BusError::unreachable(&self.config.brokers, action, error)
    }

    fn committed(&self, group: &str, topic: &str, partition: i32) -> Result<Option<i64>, BusError> {
        let consumer = self.of_group(group)?;
        drain(&consumer);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        let failed = |error| self.unreachable(format!("committed offset of {group} in {topic}/{partition}"), error);
        let answer = consumer.committed_offsets(list, PATIENCE).map_err(failed)?;
        let Some(element) = answer.find_partition(topic, partition) else {
            return Ok(None);
        };
        element.error().map_err(failed)?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    fn of_group(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, BusError> {
        let mut groups = lock(&self.groups);
        if let Some(known) = groups.get(group) {
            return Ok(Arc::clone(known));
        }
        let consumer: BaseConsumer<Quiet> = consumer_config(&self.config, group, &[("enable.auto.commit", "false")])
            .create_with_context(Quiet)
            .map_err(|error| BusError::configuration(format!("look-ups of group {group}"), error))?;
        let consumer = Arc::new(consumer);
        groups.insert(group.to_owned(), Arc::clone(&consumer));
        Ok(consumer)
    }

    fn last_message(&self, topic: &Arc<str>, partition: i32) -> Result<Option<Message>, BusError> {
        let (low, high) = watermarks(&self.lookup, &self.config, topic, partition)?;
        let mut tail = lock(&self.tail);
        let consumer = match &*tail {
            Some(consumer) => Arc::clone(consumer),
            None => {
                // The fetch of the question before must not hold up this one.
                let quick = [("enable.partition.eof", "true"), ("fetch.wait.max.ms", "5")];
                Arc::clone(tail.insert(Arc::new(lone_consumer(&self.config, "tail", &quick)?)))
            }
        };
        let deadline = Instant::now() + PATIENCE;
        if low == high {
            return Ok(None);
        }
        let mut back = 1;
        loop {
            let from = low.max(high.saturating_sub(back));
            let found = self.last_between(&consumer, topic, partition, from..high, deadline);
            if found.is_err() {
                // A client was seen never to read again from a topic that was deleted and made anew: the next question has another.
                close(tail.take());
            }
            let found = found?;
            if found.is_some() || from == low {
                return Ok(found);
            }
            // The last offsets hold no message (compaction, transaction markers): further back each time.
            back = back.saturating_mul(8);
        }
    }

    /// The last message among these offsets.
    fn last_between(
        &self,
        consumer: &BaseConsumer<Quiet>,
        topic: &Arc<str>,
        partition: i32,
        offsets: std::ops::Range<i64>,
        deadline: Instant,
    ) -> Result<Option<Message>, BusError> {
        let failed = |error| self.unreachable(format!("last message of {topic}/{partition}"), error);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(offsets.start)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        let mut last = None;
        let outcome = loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < offsets.end {
                        last = Some(own(&message, topic));
                    }
                    if offset + 1 >= offsets.end {
                        break Ok(last);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(last),
                // Passing troubles: tried again by librdkafka, until the deadline.
                Some(Err(error)) => tracing::debug!(%error, "last message"),
                None => {}
            }
            if Instant::now() >= deadline {
                break Err(failed(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
            }
        };
        consumer.unassign().map_err(failed)?;
        outcome
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut clients = vec![Arc::clone(&self.lookup)];
        clients.extend(lock(&self.tail).take());
        clients.extend(lock(&self.groups).drain().map(|(_, client)| client));
        close(clients);
    }
}

/// On a thread of its own: closing a client waits for its threads.
fn close(clients: impl IntoIterator<Item = Arc<BaseConsumer<Quiet>>> + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || clients.into_iter().for_each(drop)) {
        tracing::warn!(%error, "no thread to close an inspector's clients on");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The offsets of the first message and of the one to come next.
pub(crate) fn watermarks(
    consumer: &Arc<BaseConsumer<Quiet>>,
    config: &BusConfig,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), BusError> {
    drain(consumer);
    consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(|error| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            BusError::MissingTopic { topic: format!("{topic} (partition {partition})") }
        }
        _ => BusError::unreachable(&config.brokers, format!("watermarks of {topic}/{partition}"), error),
    })
}

/// How many partitions a topic has, if it exists.
pub(crate) fn partitions(consumer: &BaseConsumer<Quiet>, config: &BusConfig, topic: &str) -> Result<Option<i32>, BusError> {
    let failed = |error: String| BusError::unreachable(&config.brokers, format!("metadata of {topic}"), error);
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|error| failed(error.to_string()))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(i32::try_from(found.partitions().len()).ok()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(error) => Err(failed(error.to_string())),
    }
}
