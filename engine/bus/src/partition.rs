//! One partition that a consumer holds: the buffer between its thread and a task, and the way back to librdkafka.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use daybook_process::metrics::{self, Gauge};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use crate::buffer::{Buffer, Limits, State, Taken};
use crate::ends::StableEnd;
use crate::error::BusError;
use crate::message::Message;
use crate::position::ConsumerPosition;
use crate::signals::Signals;

/// Longest time of `start`. librdkafka answers a seek from memory; only a busy machine needs longer.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of a consumer that a partition needs, whatever its context.
pub(crate) trait Flow: Send + Sync {
    fn pause(&self, topic: &str, partition: i32) -> KafkaResult<()>;
    fn resume(&self, topic: &str, partition: i32) -> KafkaResult<()>;
    fn seek(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()>;
    fn store(&self, topic: &str, partition: i32, next_offset: i64) -> KafkaResult<()>;
    fn stable_end(&self, topic: &str, partition: i32) -> KafkaResult<StableEnd>;
}

fn one(topic: &str, partition: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, partition);
    list
}

impl<C: ConsumerContext> Flow for BaseConsumer<C> {
    fn pause(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        // librdkafka returns when it has taken effect. A resume that came before would be dropped without a word, and the partition
        // stay paused for ever.
        Consumer::pause(self, &one(topic, partition))
    }

    fn resume(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        Consumer::resume(self, &one(topic, partition))
    }

    fn seek(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        // A time-out of 0 would report nothing: also not that the partition has not started yet.
        Consumer::seek(self, topic, partition, Offset::Offset(offset), Duration::from_secs(1))
    }

    fn store(&self, topic: &str, partition: i32, next_offset: i64) -> KafkaResult<()> {
        // Not `store_offset`, which would commit one more than it is given.
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(next_offset))?;
        self.store_offsets(&list)
    }

    fn stable_end(&self, topic: &str, partition: i32) -> KafkaResult<StableEnd> {
        // Every consumer is `read_committed`, so this is the last stable offset.
        let (_, stable) = self.fetch_watermarks(topic, partition, START_TIMEOUT)?;
        Ok(StableEnd::new(stable))
    }
}

/// One partition, for the length of one assignment.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// The consumer's position until it is told otherwise.
    pub(crate) assigned_at: i64,
    pub(crate) buffer: Buffer,
    pub(crate) signals: Arc<Signals>,
    paused_gauge: Gauge,
    flow: Weak<dyn Flow>,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        partition: i32,
        assigned_at: i64,
        limits: Limits,
        signals: Arc<Signals>,
        flow: Weak<dyn Flow>,
    ) -> Self {
        Self {
            paused_gauge: metrics::KAFKA_PAUSED_PARTITIONS.with([&topic]),
            topic,
            partition,
            assigned_at,
            buffer: Buffer::new(limits),
            signals,
            flow,
        }
    }

    /// Takes a message in. Consumer's thread only: nobody else may pause, for the message after the last one that the
    /// thread took is where librdkafka goes on.
    pub(crate) fn push(&self, message: Message) {
        if !self.buffer.push(message) {
            return;
        }
        let Some(flow) = self.flow.upgrade() else {
            return;
        };
        if let Err(error) = flow.pause(&self.topic, self.partition) {
            tracing::warn!(topic = %self.topic, partition = self.partition, %error, "could not pause a full partition");
            return;
        }
        let mut state = self.buffer.lock();
        if state.ended {
            return;
        }
        if state.below_half(self.buffer.limits) {
            // Read empty in the meantime: nobody would resume it later.
            self.resume(&*flow);
        } else {
            state.paused = true;
            self.paused_gauge.increment(1.0);
        }
    }

    /// Its position, if messages are wanted.
    pub(crate) fn flowing(&self) -> Option<ConsumerPosition> {
        let state = self.buffer.lock();
        let flows = state.started && !state.paused && !state.ended && !state.detached;
        flows.then(|| ConsumerPosition { topic: Arc::clone(&self.topic), partition: self.partition, next: state.next })
    }

    /// Messages that came, below offset `before`.
    pub(crate) fn take(&self, max_messages: usize, max_bytes: usize, before: i64) -> Taken {
        self.buffer.take(max_messages, max_bytes, before, || {
            self.paused_gauge.decrement(1.0);
            if let Some(flow) = self.flow.upgrade() {
                self.resume(&*flow);
            }
        })
    }

    fn resume(&self, flow: &dyn Flow) {
        if let Err(error) = flow.resume(&self.topic, self.partition) {
            tracing::error!(topic = %self.topic, partition = self.partition, %error, "could not resume a partition");
        }
    }

    /// Begins to read at `offset`, or where the partition was assigned. Blocks for as long as librdkafka takes.
    pub(crate) fn start(&self, offset: Option<i64>) -> Result<(), BusError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let again = self.buffer.lock().started;
        if again {
            self.stand_still(deadline)?;
        }
        let target = match offset {
            None if again => Some(self.assigned_at),
            other => other.filter(|offset| again || *offset != self.assigned_at),
        };
        loop {
            let mut state = self.buffer.lock();
            let flow = self.attached(&state)?;
            state.clear();
            let sought = match target {
                Some(offset) => flow.seek(&self.topic, self.partition, offset),
                None => Ok(()),
            };
            match sought {
                Ok(()) => {
                    state.started = true;
                    state.next = target.unwrap_or(self.assigned_at);
                    if state.paused {
                        state.paused = false;
                        self.paused_gauge.decrement(1.0);
                    }
                    return flow.resume(&self.topic, self.partition).map_err(|error| self.cannot("begin to read", error));
                }
                // Right after an assignment librdkafka refuses to seek until it has started the partition.
                Err(error) if Instant::now() >= deadline => return Err(self.cannot("move in", error)),
                Err(_) => drop(state),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Pauses a running partition, and waits until the thread has handed out all that came before the pause.
    fn stand_still(&self, deadline: Instant) -> Result<(), BusError> {
        {
            let state = self.buffer.lock();
            let flow = self.attached(&state)?;
            flow.pause(&self.topic, self.partition).map_err(|error| self.cannot("pause", error))?;
        }
        let lap = self.signals.laps.load(Ordering::SeqCst);
        while self.signals.laps.load(Ordering::SeqCst) == lap {
            if Instant::now() >= deadline {
                return Err(self.cannot("pause", "the consumer's thread is busy: does its handler block?"));
            }
            self.attached(&self.buffer.lock())?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn attached(&self, state: &State) -> Result<Arc<dyn Flow>, BusError> {
        self.flow
            .upgrade()
            .filter(|_| !state.ended && !state.detached)
            .ok_or_else(|| BusError::Revoked { topic: self.topic.to_string(), partition: self.partition })
    }

    fn cannot(&self, what: &str, error: impl ToString) -> BusError {
        let action = format!("{what} {}/{}", self.topic, self.partition);
        BusError::unreachable(&self.signals.brokers, action, error)
    }

    /// Asks the broker where reading ends for now. Blocks.
    pub(crate) fn stable_end(&self) -> Result<StableEnd, BusError> {
        // The look-up is no matter of this assignment, and takes a round trip: not under the lock.
        let flow = self.attached(&self.buffer.lock())?;
        flow.stable_end(&self.topic, self.partition).map_err(|error| self.cannot("find the end of", error))
    }

    /// Notes the offset to commit.
    pub(crate) fn store(&self, next_offset: i64) {
        let state = self.buffer.lock();
        let flow = self.flow.upgrade().filter(|_| !state.detached);
        if let Some(flow) = flow
            && let Err(error) = flow.store(&self.topic, self.partition, next_offset)
        {
            tracing::warn!(topic = %self.topic, partition = self.partition, %error, "could not store an offset");
        }
    }

    /// Ends the stream of messages: each one that waits for them hears so.
    pub(crate) fn end(&self) {
        let mut state = self.buffer.lock();
        state.ended = true;
        state.clear();
        if state.paused {
            state.paused = false;
            self.paused_gauge.decrement(1.0);
        }
        drop(state);
        self.buffer.wake();
    }

    /// From here on nothing reaches librdkafka through this.
    pub(crate) fn detach(&self) {
        self.buffer.lock().detached = true;
    }

    /// Nobody reads any more: throws waiting messages away, and keeps the partition paused.
    pub(crate) fn abandon(&self) {
        let mut state = self.buffer.lock();
        state.clear();
        if let Ok(flow) = self.attached(&state)
            && let Err(error) = flow.pause(&self.topic, self.partition)
        {
            tracing::warn!(topic = %self.topic, partition = self.partition, %error, "could not pause a partition");
        }
    }
}

#[cfg(test)]
mod tests;
