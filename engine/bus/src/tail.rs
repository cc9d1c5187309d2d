//! A reader of new messages in whole topics, without a group, on a thread of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use daybook_process::metrics::{self, Gauge};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::watch;

use crate::buffer::{Buffer, Limits, Taken};
use crate::client::{Quiet, blocking, elsewhere, lone_consumer};
use crate::config::BusConfig;
use crate::error::BusError;
use crate::inspector::{PATIENCE, partitions, watermarks};
use crate::message::{Message, own};
use crate::position::ConsumerPosition;
use crate::pump::ends_well;
use crate::reader::ReaderOptions;
use crate::signals::Signals;
use crate::watch::Watch;

/// The thread's sleep when nothing comes; also how soon it notices that it should stop.
const IDLE: Duration = Duration::from_millis(100);
/// Number of messages that are taken in before the reader is woken.
const BURST: usize = 256;
/// Interval of questions whether a lost connection stands again, and longest wait for an answer.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Reads all partitions of several topics from their stable ends: messages produced after [`open`](Self::open) has returned, and
/// those that a transaction held back then. Messages of one partition come in order. Dropping it is quick.
///
/// It ends, and says so, when it could not promise that any more: a topic is gone, or the client has failed. What Kafka
/// itself has lost (a topic that was made anew, offsets that were deleted) is read again from the earliest message.
pub struct Tail {
    held: Arc<Held>,
    connected: watch::Receiver<bool>,
    consumer: Arc<BaseConsumer<Quiet>>,
}

/// Shared by the thread and the reader.
struct Held {
    buffer: Buffer,
    signals: Arc<Signals>,
    /// Why it has ended.
    ended: Mutex<Option<BusError>>,
    paused: Gauge,
}

impl Tail {
    /// Opens the topics (full names) at their ends, which are fixed before this returns.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`], [`BusError::Configuration`], [`BusError::Thread`].
    pub async fn open(config: &BusConfig, topics: &[String], options: ReaderOptions) -> Result<Self, BusError> {
        let (config, topics) = (config.clone(), topics.to_vec());
        blocking(move || Self::open_now(&config, &topics, &options, Watch::new(&config)?)).await
    }

    fn open_now(config: &BusConfig, topics: &[String], options: &ReaderOptions, watch: Watch) -> Result<Self, BusError> {
        let consumer = Arc::new(lone_consumer(config, "tail", &[])?);
        let failed = |error: KafkaError| BusError::unreachable(&config.brokers, "read topics from their ends", error);
        let (mut list, mut places) = (TopicPartitionList::new(), Vec::new());
        for topic in topics {
            let count = partitions(&consumer, config, topic)?.ok_or_else(|| BusError::MissingTopic { topic: topic.clone() })?;
            for partition in 0..count {
                // Always a plain offset: a logical one would be looked up later, and the end be another by then.
                let (_, stable_end) = watermarks(&consumer, config, topic, partition, PATIENCE)?;
                list.add_partition_offset(topic, partition, Offset::Offset(stable_end)).map_err(failed)?;
                places.push(ConsumerPosition { topic: Arc::from(topic.as_str()), partition, next: stable_end });
            }
        }
        consumer.assign(&list).map_err(failed)?;
        let limits = Limits { messages: options.max_messages.max(1), bytes: options.max_bytes.max(1) };
        let held = Arc::new(Held {
            buffer: Buffer::new(limits),
            signals: Signals::new(&config.brokers),
            ended: Mutex::default(),
            paused: metrics::KAFKA_PAUSED_TAILS.get(),
        });
        let (connection, connected) = watch::channel(true);
        let thread = Thread { consumer: consumer.clone(), held: held.clone(), connection, places };
        let spawned = std::thread::Builder::new().name("kafka-tail".to_owned()).spawn(move || thread.run(watch));
        spawned.map_err(|error| BusError::Thread(error.to_string()))?;
        Ok(Self { held, connected, consumer })
    }

    /// Messages that came, at most `max_messages`. Waits when there is nothing. Loses nothing when cancelled.
    ///
    /// # Errors
    /// It has ended: messages from now on are read by one that is opened again, and those in between are not.
    pub async fn recv(&mut self, max_messages: usize) -> Result<Vec<Message>, BusError> {
        loop {
            match self.held.buffer.take(max_messages, usize::MAX, i64::MAX, || self.held.resume(&self.consumer)) {
                Taken::Messages(messages) => return Ok(messages),
                Taken::Ended => {
                    let why = self.held.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
                    return Err(why.unwrap_or_else(|| BusError::Thread("a tail's thread has ended".to_owned())));
                }
                Taken::Nothing(_) => self.held.buffer.woken().await,
            }
        }
    }

    /// Whether a broker can be reached, as far as the client knows: a connection that hangs is noticed late.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Tells of changes of [`is_connected`](Self::is_connected).
    pub fn connection(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.held.signals.stop();
        let consumer = Arc::clone(&self.consumer);
        elsewhere("a tail", move || drop(consumer));
    }
}

impl Held {
    /// Called under the buffer's lock.
    fn resume(&self, consumer: &BaseConsumer<Quiet>) {
        self.paused.decrement(1.0);
        if let Err(error) = consumer.assignment().and_then(|all| consumer.resume(&all)) {
            tracing::error!(%error, "could not resume a tail");
        }
    }
}

/// The consumer's thread.
struct Thread {
    consumer: Arc<BaseConsumer<Quiet>>,
    held: Arc<Held>,
    connection: watch::Sender<bool>,
    /// Its position in each partition.
    places: Vec<ConsumerPosition>,
}

impl Thread {
    fn run(mut self, watch: Watch) {
        let mut why = Some(BusError::Thread("a tail's thread panicked".to_owned()));
        ends_well("a tail", || why = self.poll(watch));
        *self.held.ended.lock().unwrap_or_else(PoisonError::into_inner) = why;
        let mut state = self.held.buffer.lock();
        state.ended = true;
        state.clear();
        if state.paused {
            self.held.paused.decrement(1.0);
        }
        drop(state);
        self.held.buffer.wake();
    }

    /// Polls until it is told to stop, or returns the reason of its end.
    fn poll(&mut self, mut watch: Watch) -> Option<BusError> {
        let (mut burst, mut asked) = (0, Instant::now());
        while !self.held.signals.is_stopped() {
            let patience = if burst == 0 { IDLE } else { Duration::ZERO };
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    burst += 1;
                    let of = |place: &&mut ConsumerPosition| place.partition == message.partition() && *place.topic == *message.topic();
                    if let Some(place) = self.places.iter_mut().find(of) {
                        place.next = message.offset() + 1;
                        if self.held.buffer.push(own(&message, &place.topic)) {
                            self.pause();
                        }
                    }
                    if burst < BURST {
                        continue;
                    }
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AllBrokersDown) => {
                        if self.connection.send_replace(false) {
                            tracing::warn!("Kafka can't be reached: a tail waits for it");
                        }
                    }
                    Some(
                        RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::TopicAuthorizationFailed,
                    ) => return Some(self.failed(error)),
                    _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => return Some(self.failed(error)),
                    _ => tracing::debug!(%error, "a tail"),
                },
                None => {}
            }
            if burst > 0 {
                burst = 0;
                self.held.buffer.wake();
            }
            if let Some(place) = watch.stands_still(Instant::now(), || self.flowing()) {
                metrics::KAFKA_CONSUMERS_REPLACED.get().increment(1);
                return Some(BusError::StoodStill { topic: place.topic.to_string(), partition: place.partition, offset: place.next });
            }
            if !*self.connection.borrow() && asked.elapsed() >= ASK_EVERY {
                let stands = self.places.first().is_none_or(|p| self.consumer.fetch_watermarks(&p.topic, p.partition, ASK_EVERY).is_ok());
                asked = Instant::now();
                if stands {
                    tracing::info!("Kafka can be reached again");
                    self.connection.send_replace(true);
                }
            }
        }
        None
    }

    /// Its positions, if messages are wanted: one that is full stands still on purpose.
    fn flowing(&self) -> Vec<ConsumerPosition> {
        if self.held.buffer.lock().paused { Vec::new() } else { self.places.clone() }
    }

    fn failed(&self, error: KafkaError) -> BusError {
        BusError::unreachable(&self.held.signals.brokers, "read topics as they grow", error)
    }

    /// The buffer is full. Only this thread pauses, for librdkafka goes on behind the last message that it took.
    fn pause(&self) {
        let paused: KafkaResult<()> = self.consumer.assignment().and_then(|all| self.consumer.pause(&all));
        if let Err(error) = paused {
            tracing::warn!(%error, "could not pause a tail that is full");
            return;
        }
        self.held.paused.increment(1.0);
        let mut state = self.held.buffer.lock();
        if state.below_half(self.held.buffer.limits) {
            // Read empty in the meantime: nobody would resume it later.
            self.held.resume(&self.consumer);
        } else {
            state.paused = true;
        }
        drop(state);
        // It is full, so there is something to read.
        self.held.buffer.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;
    use crate::headers::Headers;

    #[test]
    fn a_tail_that_is_full_is_paused_and_not_watched_and_one_that_was_read_empty_meanwhile_goes_on() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let limits = Limits { messages: 2, bytes: 1_000_000 };
        let (signals, paused) = (Signals::new("nowhere"), metrics::KAFKA_PAUSED_TAILS.get());
        let held = Arc::new(Held { buffer: Buffer::new(limits), signals, ended: Mutex::default(), paused });
        let places = vec![ConsumerPosition { topic: "pipe".into(), partition: 0, next: 0 }];
        let consumer = Arc::new(lone_consumer(&bus, "test", &[]).expect("a consumer"));
        let thread = Thread { consumer, held: Arc::clone(&held), connection: watch::channel(true).0, places: places.clone() };
        let message = |offset| Message {
            topic: "pipe".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            value: Some(Bytes::from_static(b"x")),
            headers: Headers::new(),
        };
        assert_eq!(thread.flowing(), places);
        assert!(!held.buffer.push(message(0)) && held.buffer.push(message(1)));
        thread.pause();
        assert!(held.buffer.lock().paused);
        assert_eq!(thread.flowing(), []);
        let mut resumed = 0;
        held.buffer.take(9, usize::MAX, i64::MAX, || resumed += 1);
        assert_eq!((resumed, thread.flowing()), (1, places));
        // It was full, and is read before the thread has got to it.
        thread.pause();
        assert!(!held.buffer.lock().paused, "nobody would resume it");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tail_that_stands_still_before_messages_ends_and_one_that_has_read_them_goes_on() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 2, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let producer: BaseProducer = bus.client(&[], &[]).create().expect("a producer");
        let open = |watch| Tail::open_now(&bus, &["pipe".to_owned()], &ReaderOptions::default(), watch).expect("opens");
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let found = move |found| {
            counted.fetch_add(1, Ordering::SeqCst);
            found
        };
        let mut tail = open(Watch::hasty(&bus, found).expect("a watch"));
        for round in 1..=3 {
            for partition in 0..2 {
                producer
                    .send(BaseRecord::<(), str>::to("pipe").partition(partition).payload("x"))
                    .map_err(|(error, _)| error)
                    .expect("sent");
            }
            producer.flush(Duration::from_secs(30)).expect("delivered");
            let mut left = 2;
            while left > 0 {
                left -= tail.recv(10).await.expect("it goes on").len();
            }
            // Somebody looks into both where it stands now, and again.
            let until = looks.load(Ordering::SeqCst) + 4;
            while looks.load(Ordering::SeqCst) < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(tail.held.ended.lock().expect("not poisoned").as_ref().map(ToString::to_string), None, "round {round}");
        }
        let held = Arc::clone(&tail.held);
        drop(tail);
        while !held.buffer.lock().ended {
            // Its thread ends when it has seen that.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut tail = open(Watch::hasty(&bus, |_| true).expect("a watch"));
        let ended = tail.recv(10).await.expect_err("it stands still");
        assert!(matches!(ended, BusError::StoodStill { offset: 3, .. }), "{ended}");
    }
}
