//! A reader of one partition, without a group, on a thread of its own.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::buffer::{Idle, Limits, Taken};
use crate::client::{Quiet, blocking, elsewhere, lone_consumer};
use crate::config::BusConfig;
use crate::ends::StableEnd;
use crate::error::BusError;
use crate::group::StartAt;
use crate::inspector::{PATIENCE, watermarks};
use crate::message::Message;
use crate::partition::{Flow, Partition};
use crate::position::ConsumerPosition;
use crate::pump::{self, Directory};
use crate::signals::Signals;
use crate::watch::Watch;

/// Longest wait of [`PartitionReader::recv_before`] at the log's end for messages that should be there.
const GAP_PATIENCE: Duration = Duration::from_secs(5);

/// Bounds of a reader's buffer.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Messages that may wait before the partition is paused (16,384 by default).
    pub max_messages: usize,
    /// Bytes that may wait before the partition is paused (8 MiB by default; one fetch may overshoot).
    pub max_bytes: usize,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { max_messages: 16_384, max_bytes: 8 * 1024 * 1024 }
    }
}

/// Reads one partition, alone: replies from their end, audits from an offset up to the end. Dropping it is quick.
pub struct PartitionReader {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    position: i64,
    held: Arc<Partition>,
    consumer: Arc<BaseConsumer<Quiet>>,
}

impl PartitionReader {
    /// Opens the partition at a place that is fixed before this returns: with [`StartAt::End`] nothing produced afterwards
    /// is missed. [`StartAt::Committed`] means the earliest, for there is no group; so does an offset out of range.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`], [`BusError::Configuration`], [`BusError::Thread`].
    pub async fn open(config: &BusConfig, topic: &str, partition: i32, at: StartAt) -> Result<Self, BusError> {
        Self::open_with(config, topic, partition, at, ReaderOptions::default()).await
    }

    /// As [`open`](Self::open), with other bounds.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(config: &BusConfig, topic: &str, partition: i32, at: StartAt, options: ReaderOptions) -> Result<Self, BusError> {
        let config = config.clone();
        let topic: Arc<str> = Arc::from(topic);
        blocking(move || Self::open_now(&config, topic, partition, at, &options, Watch::new(&config)?)).await
    }

    fn open_now(
        config: &BusConfig,
        topic: Arc<str>,
        partition: i32,
        at: StartAt,
        options: &ReaderOptions,
        watch: Watch,
    ) -> Result<Self, BusError> {
        let consumer = Arc::new(lone_consumer(config, "reader", &[("enable.partition.eof", "true")])?);
        let (first, stable_end) = watermarks(&consumer, config, &topic, partition, PATIENCE)?;
        // Always a plain offset: a logical one would be looked up later, and the end be another by then.
        let position = match at {
            StartAt::Committed | StartAt::Earliest => first,
            StartAt::End => stable_end,
            StartAt::Offset(offset) if (first..=stable_end).contains(&offset) => offset,
            // Out of range, or held back: reading again is always right.
            StartAt::Offset(_) => first,
        };
        let failed = |error: KafkaError| BusError::unreachable(&config.brokers, format!("read {topic}/{partition}"), error);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&topic, partition, Offset::Offset(position)).map_err(failed)?;
        let signals = Signals::new(&config.brokers);
        let limits = Limits { messages: options.max_messages.max(1), bytes: options.max_bytes.max(1) };
        let flow: Arc<dyn Flow> = Arc::clone(&consumer) as _;
        let flow: Weak<dyn Flow> = Arc::downgrade(&flow);
        let held = Arc::new(Partition::new(Arc::clone(&topic), partition, position, limits, signals, flow));
        let mut state = held.buffer.lock();
        (state.started, state.next) = (true, position);
        drop(state);
        consumer.assign(&list).map_err(failed)?;
        let (polled, sorted) = (Arc::clone(&consumer), Only(Arc::clone(&held)));
        std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || {
                pump::ends_well("a reader", || pump::run(&polled, &sorted.0.signals, &sorted, watch));
                sorted.0.end();
                sorted.0.detach();
            })
            .map_err(|error| BusError::Thread(error.to_string()))?;
        Ok(Self { topic, partition, position, held, consumer })
    }

    /// Messages that came, at most `max_messages` and about `max_bytes` (at least one message). Waits when there is nothing;
    /// none when the client has ended, on a fatal error or because it stood still: open another. Loses nothing when cancelled.
    pub async fn recv(&mut self, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        loop {
            match self.held.take(max_messages, max_bytes, i64::MAX) {
                Taken::Messages(messages) => return Some(self.advance(messages)),
                Taken::Ended => return None,
                Taken::Nothing(_) => self.held.buffer.woken().await,
            }
        }
    }

    /// As [`recv`](Self::recv), but only messages before `end`: none when they have all been read, also where the last offsets
    /// before `end` hold no message (known after 5 s at the log's end).
    pub async fn recv_before(&mut self, end: StableEnd, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        let end = end.offset();
        while self.position < end {
            match self.held.take(max_messages, max_bytes, end) {
                Taken::Messages(messages) => return Some(self.advance(messages)),
                // There is none between the last one and `end`.
                Taken::Ended | Taken::Nothing(Idle::Beyond) => return None,
                Taken::Nothing(Idle::Empty) => self.held.buffer.woken().await,
                Taken::Nothing(Idle::AtEnd) => {
                    // Either the messages are on their way here, or there are none: the offsets are those of a producer's
                    // transaction markers, or of compacted messages.
                    if tokio::time::timeout(GAP_PATIENCE, self.held.buffer.woken()).await.is_err() {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn advance(&mut self, messages: Vec<Message>) -> Vec<Message> {
        if let Some(last) = messages.last() {
            self.position = last.offset + 1;
        }
        messages
    }

    /// The offset to be read next: one past the last message received, or where it was opened.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Asks the broker where reading ends for now. Messages behind it may have been acknowledged: for conclusions from
    /// absent messages there is [`Inspector::decided`](crate::Inspector::decided).
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn stable_end(&self) -> Result<StableEnd, BusError> {
        let held = Arc::clone(&self.held);
        blocking(move || held.stable_end()).await
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        self.held.signals.stop();
        let consumer = Arc::clone(&self.consumer);
        elsewhere("a reader", move || drop(consumer));
    }
}

/// The directory of a reader: one partition.
struct Only(Arc<Partition>);

impl Directory for Only {
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        (self.0.partition == partition && *self.0.topic == *topic).then(|| Arc::clone(&self.0))
    }

    fn at_end(&self, _: i32) {
        let mut state = self.0.buffer.lock();
        state.at_end = true;
        drop(state);
        self.0.buffer.wake();
    }

    fn flowing(&self) -> Vec<ConsumerPosition> {
        self.0.flowing().into_iter().collect()
    }

    fn waits(&self) -> bool {
        false
    }

    fn waits_in_vain(&self) {}

    fn stands_still(&self, at: &ConsumerPosition) {
        tracing::warn!(topic = %at.topic, partition = at.partition, offset = at.next, "a reader stood still although there was more: it ends");
    }

    fn error(&self, error: KafkaError) -> ControlFlow<()> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                tracing::error!(topic = %self.0.topic, partition = self.0.partition, %error, "a reader has ended");
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_stands_still_before_messages_ends_and_one_that_has_read_them_goes_on() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let producer: BaseProducer = bus.client(&[], &[]).create().expect("a producer");
        let send = || {
            producer.send(BaseRecord::<(), str>::to("pipe").partition(0).payload("x")).map_err(|(error, _)| error).expect("sent");
            producer.flush(Duration::from_secs(30)).expect("delivered");
        };
        send();
        let open =
            |watch| PartitionReader::open_now(&bus, "pipe".into(), 0, StartAt::End, &ReaderOptions::default(), watch).expect("opens");
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let found = move |found| {
            counted.fetch_add(1, Ordering::SeqCst);
            found
        };
        let mut reader = open(Watch::hasty(&bus, found).expect("a watch"));
        for round in 1..=3 {
            // Somebody looks where it stands now, and again, with a grace in between.
            let until = looks.load(Ordering::SeqCst) + 3;
            while looks.load(Ordering::SeqCst) < until {
                assert!(!reader.held.buffer.lock().ended, "round {round}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            send();
            assert_eq!(reader.recv(10, usize::MAX).await.map(|some| some.len()), Some(1));
        }
        // The end was reached, and a message came since: that it was reached says nothing.
        while !reader.held.buffer.lock().at_end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        send();
        let end = reader.stable_end().await.expect("answers");
        assert_eq!(reader.recv_before(end, 10, usize::MAX).await.map(|some| some.len()), Some(1));
        let held = Arc::clone(&reader.held);
        drop(reader);
        while !held.buffer.lock().ended {
            // Its thread ends when it has seen that.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut reader = open(Watch::hasty(&bus, |_| true).expect("a watch"));
        assert_eq!(reader.recv(10, usize::MAX).await, None, "it stands still");
    }
}
