//! The loop of a consumer's thread: polls, sorts messages into their partitions' buffers, wakes those who wait.
//!
//! `BaseConsumer` on a thread, because rdkafka's `StreamConsumer` has lost wake-ups and hung when dropped.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use daybook_process::metrics;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::message::own;
use crate::partition::Partition;
use crate::position::ConsumerPosition;
use crate::signals::Signals;
use crate::watch::Watch;

/// The thread's sleep when nothing comes; also how soon it notices that it should stop.
const IDLE: Duration = Duration::from_millis(100);

/// Number of messages that are sorted before those who wait are woken: one wake-up brings a page, not a message.
const BURST: usize = 256;

/// Finds a message's partition for the loop, and hears all else that comes.
pub(crate) trait Directory {
    /// The partition, if it is held now.
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>>;
    /// The end of a partition was reached.
    fn at_end(&self, partition: i32);
    /// An error; a break ends the loop.
    fn error(&self, error: KafkaError) -> ControlFlow<()>;
    /// Its positions in all partitions that messages are wanted from.
    fn flowing(&self) -> Vec<ConsumerPosition>;
    /// Whether it has no partitions, and has not been told that it gets none.
    fn waits(&self) -> bool;
    /// It waits in vain: the loop ends.
    fn waits_in_vain(&self);
    /// The consumer stands still there although there is more to read: the loop ends.
    fn stands_still(&self, at: &ConsumerPosition);
}

/// Runs the work of a consumer's thread, to its end. False: that was a panic, which is a bug. Those who read from it must hear of
/// either: they would wait for ever.
pub(crate) fn ends_well(purpose: &str, run: impl FnOnce()) -> bool {
    let ended = catch_unwind(AssertUnwindSafe(run)).is_ok();
    if !ended {
        tracing::error!("the thread of {purpose} panicked");
    }
    ended
}

/// Polls until it is told to stop, or `directory` has had enough.
pub(crate) fn run<C: ConsumerContext>(consumer: &BaseConsumer<C>, signals: &Signals, directory: &impl Directory, mut watch: Watch) {
    // Messages come in runs of one partition: the last one found is most often the next one wanted.
    let mut touched: Vec<Arc<Partition>> = Vec::new();
    let mut burst = 0;
    while !signals.is_stopped() {
        signals.laps.fetch_add(1, Ordering::SeqCst);
        let patience = if touched.is_empty() { IDLE } else { Duration::ZERO };
        match consumer.poll(patience) {
            Some(Ok(message)) => {
                burst += 1;
                if let Some(partition) = place(&message, &mut touched, directory) {
                    partition.push(own(&message, &partition.topic));
                }
                if burst < BURST {
                    continue;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => directory.at_end(partition),
            Some(Err(error)) => match directory.error(error) {
                ControlFlow::Break(()) => break,
                ControlFlow::Continue(()) => {}
            },
            None => {}
        }
        burst = 0;
        for partition in touched.drain(..) {
            partition.buffer.wake();
        }
        if watch.waits_in_vain(Instant::now(), directory.waits()) {
            metrics::KAFKA_CONSUMERS_REPLACED.get().increment(1);
            directory.waits_in_vain();
            break;
        }
        if let Some(place) = watch.stands_still(Instant::now(), || directory.flowing()) {
            metrics::KAFKA_CONSUMERS_REPLACED.get().increment(1);
            directory.stands_still(&place);
            break;
        }
    }
}

/// The message's partition, noted as touched. It is looked up anew for each burst, for a rebalance may have replaced it.
fn place<'a>(
    message: &BorrowedMessage<'_>,
    touched: &'a mut Vec<Arc<Partition>>,
    directory: &impl Directory,
) -> Option<&'a Arc<Partition>> {
    let (topic, number) = (message.topic(), message.partition());
    let known = touched.iter().rposition(|held| held.partition == number && *held.topic == *topic);
    let index = match known {
        Some(index) => index,
        None => {
            touched.push(directory.find(topic, number)?);
            touched.len() - 1
        }
    };
    touched.get(index)
}
