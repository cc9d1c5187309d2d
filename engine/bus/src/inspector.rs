//! Look-ups: a topic's last message, a group's committed offset. The ends of a partition stand in `ends.rs`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Quiet, blocking, consumer_config, drain, elsewhere, lone_consumer};
use crate::config::BusConfig;
use crate::error::BusError;
use crate::message::{Message, own};

/// Longest time of a look-up, all its requests together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Longest time of a look-up if somebody else waits behind it.
pub(crate) const BRIEFLY: Duration = Duration::from_secs(3);

/// Interval at which a waiting question looks whether its turn has come.
const TURN: Duration = Duration::from_millis(1);

/// Reading single messages: the fetch of the question before must not hold up this one.
const SINGLE: [(&str, &str); 2] = [("enable.partition.eof", "true"), ("fetch.wait.max.ms", "5")];

/// Reading, and ends, without regard to transactions.
const WRITTEN: (&str, &str) = ("isolation.level", "read_uncommitted");

/// All that are in use: those of one configuration share their clients.
static IN_USE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Answers questions about topics and groups. Cheap to clone, and all of one configuration share their clients; each look-up
/// is a request or two to the brokers, in a blocking task, and gives up after 10 s.
#[derive(Clone)]
pub struct Inspector {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: BusConfig,
    clients: Mutex<HashMap<Purpose, Client>>,
    /// Single messages are read for one question at a time.
    tail: Mutex<()>,
}

pub(crate) type Client = Arc<BaseConsumer<Quiet>>;

/// A client's purpose. None ever joins a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// All that was written, and metadata. Of transactions it knows nothing.
    Written,
    /// All that can be read.
    Readable,
    /// Single messages.
    Single,
    /// Single messages that were written, and can't be read yet: only where one stands is told of them, and how old it is.
    SingleWritten,
    /// A group's committed offsets: librdkafka asks for them only under the group's own name.
    Group(String),
}

/// Which message of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    Last,
}

impl Inspector {
    /// Starts the client's threads. Does not wait for a connection.
    ///
    /// # Errors
    /// [`BusError::Configuration`] when librdkafka refuses a property.
    pub fn new(config: &BusConfig) -> Result<Self, BusError> {
        let mut in_use = lock(&IN_USE);
        in_use.retain(|inner| inner.strong_count() > 0);
        if let Some(inner) = in_use.iter().filter_map(Weak::upgrade).find(|inner| inner.config == *config) {
            return Ok(Self { inner });
        }
        let inner = Arc::new(Inner { config: config.clone(), clients: Mutex::default(), tail: Mutex::default() });
        inner.client(&Purpose::Written)?;
        in_use.push(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// Of the cluster that it asks.
    pub fn config(&self) -> &BusConfig {
        &self.inner.config
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Inner) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || question(&inner)).await
    }

    /// The last message that can be read; none when there is none. Offsets without a message are stepped over, and so are those that a
    /// transaction holds back.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn last_message(&self, topic: &str, partition: i32) -> Result<Option<Message>, BusError> {
        let topic: Arc<str> = Arc::from(topic);
        self.ask(move |inner| {
            let deadline = Instant::now() + PATIENCE;
            let offsets = inner.readable(&topic, partition, deadline)?.offsets();
            let _alone = inner.alone(deadline)?;
            inner.with(&Purpose::Single, |client| inner.last_message(client, &topic, partition, offsets, deadline))
        })
        .await
    }

    /// The first message that can be read; none when there is none.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn first_message(&self, topic: &str, partition: i32) -> Result<Option<Message>, BusError> {
        let topic: Arc<str> = Arc::from(topic);
        self.ask(move |inner| {
            let deadline = Instant::now() + PATIENCE;
            let offsets = inner.readable(&topic, partition, deadline)?.offsets();
            let _alone = inner.alone(deadline)?;
            inner.with(&Purpose::Single, |client| inner.one_between(client, &topic, partition, Which::First, offsets, deadline))
        })
        .await
    }

    /// Whether brokers answer. Blocks, for 3 s at the most.
    pub(crate) fn is_answered(&self) -> bool {
        let inner = &self.inner;
        let asked = |client: &Client| {
            client.fetch_metadata(None, BRIEFLY).map_err(|error| inner.unreachable("ask whether brokers answer".to_owned(), error))
        };
        inner.with(&Purpose::Written, asked).is_ok()
    }

    /// The offset that `group` (its full name) has committed: the next one to read. Does not join the group.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn committed(&self, group: &str, topic: &str, partition: i32) -> Result<Option<i64>, BusError> {
        let (purpose, topic) = (Purpose::Group(group.to_owned()), topic.to_owned());
        self.ask(move |inner| inner.with(&purpose, |client| inner.committed(client, &topic, partition))).await
    }

    /// Sets the offset that `group` (its full name) has committed, further back too. Only of a group without members, who would set it anew; those
    /// of a process that was killed are counted until their session ends.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], also where the group has members.
    pub async fn set_committed(&self, group: &str, topic: &str, partition: i32, offset: i64) -> Result<(), BusError> {
        let (purpose, topic) = (Purpose::Group(group.to_owned()), topic.to_owned());
        self.ask(move |inner| {
            let failed = |error| inner.unreachable(format!("set the committed offset in {topic}/{partition}"), error);
            inner.with(&purpose, |client| {
                let mut list = TopicPartitionList::with_capacity(1);
                list.add_partition_offset(&topic, partition, Offset::Offset(offset)).map_err(failed)?;
                client.commit(&list, CommitMode::Sync).map_err(failed)
            })
        })
        .await
    }

    /// Number of a topic's partitions; none when it does not exist.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn partitions(&self, topic: &str) -> Result<Option<i32>, BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| inner.with(&Purpose::Written, |client| partitions(client, &inner.config, &topic))).await
    }

    /// Number of the cluster's brokers.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn brokers(&self) -> Result<usize, BusError> {
        self.ask(|inner| {
            inner.with(&Purpose::Written, |client| {
                let metadata = client.fetch_metadata(None, PATIENCE);
                let metadata = metadata.map_err(|error| inner.unreachable("list the brokers".to_owned(), error))?;
                Ok(metadata.brokers().len())
            })
        })
        .await
    }
}

impl Inner {
    fn unreachable(&self, action: String, error: KafkaError) -> BusError {
        BusError::unreachable(&self.config.brokers, action, error)
    }

    /// The client of a purpose, made where there is none.
    fn client(&self, purpose: &Purpose) -> Result<Client, BusError> {
        let mut clients = lock(&self.clients);
        if let Some(known) = clients.get(purpose) {
            return Ok(Arc::clone(known));
        }
        let client = match purpose {
            Purpose::Written => lone_consumer(&self.config, "inspector", &[WRITTEN])?,
            Purpose::Readable => lone_consumer(&self.config, "inspector", &[])?,
            Purpose::Single => lone_consumer(&self.config, "tail", &SINGLE)?,
            Purpose::SingleWritten => lone_consumer(&self.config, "tail", &[SINGLE[0], SINGLE[1], WRITTEN])?,
            Purpose::Group(group) => consumer_config(&self.config, group, &[("enable.auto.commit", "false")])
                .create_with_context(Quiet)
                .map_err(|error| BusError::configuration(format!("look-ups of group {group}"), error))?,
        };
        let client = Arc::new(client);
        clients.insert(purpose.clone(), Arc::clone(&client));
        Ok(client)
    }

    /// Asks a client. One that had no answer is given up: clients were seen never to answer again after their broker had
    /// been paused, to go on saying that a topic is not there which is, and never to read again from a topic that was deleted and
    /// made anew. The next question has another.
    pub(crate) fn with<T>(&self, purpose: &Purpose, question: impl FnOnce(&Client) -> Result<T, BusError>) -> Result<T, BusError> {
        let client = self.client(purpose)?;
        drain(&client);
        let answer = question(&client);
        if answer.is_err() {
            let mut clients = lock(&self.clients);
            // Others that asked it meanwhile fail as well, and must not give up the one that has come instead.
            if clients.get(purpose).is_some_and(|current| Arc::ptr_eq(current, &client)) {
                clients.remove(purpose);
            }
            drop(clients);
            elsewhere("an inspector's client", move || drop(client));
        }
        answer
    }

    /// The turn of one question that reads single messages.
    pub(crate) fn alone(&self, deadline: Instant) -> Result<MutexGuard<'_, ()>, BusError> {
        loop {
            match self.tail.try_lock() {
                Ok(turn) => return Ok(turn),
                Err(TryLockError::Poisoned(turn)) => return Ok(turn.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(TURN),
                Err(TryLockError::WouldBlock) => {
                    return Err(BusError::unreachable(&self.config.brokers, "read one message", "others had their turn too long"));
                }
            }
        }
    }

    /// The first offset, and the end as a client of this purpose sees it.
    pub(crate) fn watermarks(&self, purpose: &Purpose, topic: &str, partition: i32, deadline: Instant) -> Result<(i64, i64), BusError> {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.with(purpose, |client| watermarks(client, &self.config, topic, partition, patience))
    }

    fn committed(&self, client: &Client, topic: &str, partition: i32) -> Result<Option<i64>, BusError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        let failed = |error| self.unreachable(format!("committed offset in {topic}/{partition}"), error);
        let answer = client.committed_offsets(list, PATIENCE).map_err(failed)?;
        let Some(element) = answer.find_partition(topic, partition) else {
            return Ok(None);
        };
        element.error().map_err(failed)?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// The last message before the end of `offsets`, which are all that can be read.
    fn last_message(
        &self,
        client: &Client,
        topic: &Arc<str>,
        partition: i32,
        offsets: Range<i64>,
        deadline: Instant,
    ) -> Result<Option<Message>, BusError> {
        let Range { start: low, end: high } = offsets;
        let mut back = 1;
        loop {
            let from = low.max(high.saturating_sub(back));
            let found = self.one_between(client, topic, partition, Which::Last, from..high, deadline)?;
            if found.is_some() || from == low {
                return Ok(found);
            }
            // The last offsets hold no message (compaction, transaction markers): further back each time.
            back = back.saturating_mul(8);
        }
    }

    /// The first or the last message among these offsets.
    pub(crate) fn one_between(
        &self,
        client: &Client,
        topic: &Arc<str>,
        partition: i32,
        which: Which,
        offsets: Range<i64>,
        deadline: Instant,
    ) -> Result<Option<Message>, BusError> {
        if offsets.is_empty() {
            return Ok(None);
        }
        let failed = |error| self.unreachable(format!("{which:?} message of {topic}/{partition}"), error);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(offsets.start)).map_err(failed)?;
        client.assign(&list).map_err(failed)?;
        let mut found = None;
        let outcome = loop {
            match client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < offsets.end {
                        found = Some(own(&message, topic));
                    }
                    if offset + 1 >= offsets.end || which == Which::First {
                        break Ok(found);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(found),
                // Passing troubles: tried again by librdkafka, until the deadline.
                Some(Err(error)) => tracing::debug!(%error, "one message"),
                None => {}
            }
            if Instant::now() >= deadline {
                break Err(failed(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
            }
        };
        client.unassign().map_err(failed)?;
        outcome
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let clients = std::mem::take(&mut *lock(&self.clients));
        elsewhere("an inspector's clients", move || drop(clients));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first offset, and the end as this client sees it: a `read_committed` one sees the last stable offset, which is not the offset
/// that the next message will get while a client's transaction is open. Blocks, for `patience` at the most.
pub(crate) fn watermarks(
    consumer: &Arc<BaseConsumer<Quiet>>,
    config: &BusConfig,
    topic: &str,
    partition: i32,
    patience: Duration,
) -> Result<(i64, i64), BusError> {
    consumer.fetch_watermarks(topic, partition, patience).map_err(|error| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            BusError::MissingTopic { topic: format!("{topic} (partition {partition})") }
        }
        _ => BusError::unreachable(&config.brokers, format!("watermarks of {topic}/{partition}"), error),
    })
}

/// Number of a topic's partitions, if it exists.
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

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    #[tokio::test]
    async fn a_client_that_had_no_answer_is_given_up_and_the_next_question_has_another() {
        let inspector = Inspector::new(&BusConfig::new("127.0.0.1:1")).expect("it starts");
        let asked = inspector.inner.client(&Purpose::Written).expect("it is there");
        inspector.written("nobody", 0).await.expect_err("nobody answers there");
        let next = inspector.inner.client(&Purpose::Written).expect("another");
        assert!(!Arc::ptr_eq(&asked, &next));
        assert!(Arc::ptr_eq(&next, &inspector.inner.client(&Purpose::Written).expect("the same")));
    }

    #[tokio::test]
    async fn a_client_for_single_messages_reads_nothing_between_two_questions() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let producer: BaseProducer = bus.client(&[], &[]).create().expect("a producer");
        producer.send(BaseRecord::<(), str>::to("pipe").partition(0).payload("x")).map_err(|(error, _)| error).expect("sent");
        producer.flush(PATIENCE).expect("delivered");
        let inspector = Inspector::new(&bus).expect("it starts");
        assert!(inspector.last_message("pipe", 0).await.expect("answers").is_some());
        let client = inspector.inner.client(&Purpose::Single).expect("it is there");
        assert_eq!(client.assignment().expect("it answers").count(), 0);
    }

    #[test]
    fn who_fails_late_does_not_give_up_the_client_that_has_come_instead() {
        let inspector = Inspector::new(&BusConfig::new("127.0.0.1:3")).expect("it starts");
        let inner = &inspector.inner;
        let no_answer = || BusError::Thread("no answer".to_owned());
        let mut instead = None;
        let late: Result<(), BusError> = inner.with(&Purpose::Written, |_| {
            // Another one that asked the same client had no answer, and the next one has another client.
            inner.with(&Purpose::Written, |_| Err::<(), _>(no_answer())).expect_err("no answer");
            instead = Some(inner.client(&Purpose::Written)?);
            Err(no_answer())
        });
        late.expect_err("no answer");
        assert!(instead.is_some_and(|instead| Arc::ptr_eq(&instead, &inner.client(&Purpose::Written).expect("it is there"))));
    }

    #[test]
    fn who_waits_for_its_turn_gives_up_in_time() {
        let inspector = Inspector::new(&BusConfig::new("127.0.0.1:2")).expect("it starts");
        let reading = lock(&inspector.inner.tail);
        let begun = Instant::now();
        let refused = inspector.inner.alone(begun + Duration::from_millis(50)).expect_err("somebody reads");
        assert!(refused.is_transient() && begun.elapsed() >= Duration::from_millis(50), "{refused}");
        drop(reading);
        drop(inspector.inner.alone(begun).expect("it is free"));
    }
}
