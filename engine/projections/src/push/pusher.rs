//! One partition's batches on their way to Kafka: how many there are, and how far they are acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{Delivery, Producer, Record};
use daybook_process::metrics::{self, Counter};
use daybook_proto::v1::HiddenStreams;
use futures_util::FutureExt as _;

use super::records::{PushedPart, batch};
use crate::Push;
use crate::config::PushLimits;

/// Longest time that a fail-point waits for Kafka to have the parts.
const BETWEEN: Duration = Duration::from_secs(10);

/// The source of pushed changes, and their topic. Kafka's partition is the log's.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) topic: Arc<str>,
    pub(crate) generation: i32,
    pub(crate) service: Arc<str>,
    pub(crate) partition: i32,
}

/// A marker's claim: everything of [from, to) stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Of the log, at `to`.
    pub(crate) epoch: i32,
}

struct Underway {
    delivery: Delivery,
    /// Held until it has settled: another one may have taken its place.
    _producer: Arc<Producer>,
    to: i64,
    bytes: usize,
    /// Its acknowledgement clears the hold that stood when it was sent.
    clears_hold: bool,
}

struct Meters {
    batches: Counter,
    parts: Counter,
    lost: Counter,
}

/// Pushes one partition. It never waits: a batch that Kafka does not take in time is given up, and found again by how far the
/// acknowledgements go.
pub(crate) struct Pusher {
    push: Push,
    limits: PushLimits,
    at: Source,
    underway: VecDeque<Underway>,
    bytes: usize,
    acknowledged: i64,
    /// Changes that lie in no span of events, and so leave no gap where they are lost, hold the acknowledgement here
    /// until Kafka has them.
    held_at: Option<i64>,
    /// Something was lost: nothing more is sent before the rest of what is underway has settled.
    broken: bool,
    meters: Meters,
}

impl Pusher {
    pub(crate) fn new(push: Push, limits: PushLimits, projection: &str, at: Source) -> Self {
        let of = [projection, &*at.service];
        let meters = Meters {
            batches: metrics::PUSH_BATCHES.with(of),
            parts: metrics::PUSH_PARTS.with(of),
            lost: metrics::PUSH_LOST_BATCHES.with(of),
        };
        let underway = VecDeque::new();
        Self { push, limits, at, underway, bytes: 0, acknowledged: 0, held_at: None, broken: false, meters }
    }

    /// Begins anew at `next`, everything before `pushed` being pushed and acknowledged.
    pub(crate) fn reset(&mut self, pushed: i64, next: i64) {
        // A batch that is underway says nothing of what comes now; it counts until it has settled, for it takes memory.
        self.broken = !self.underway.is_empty();
        // There may be changes between the two that lie in no span.
        self.held_at = (pushed < next).then_some(pushed);
        self.acknowledged = pushed;
        self.settle();
    }

    /// Everything before it is pushed, and Kafka has acknowledged that.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.held_at.map_or(self.acknowledged, |at| at.min(self.acknowledged))
    }

    /// Changes outside the span of any batch come next: were they lost, [`acknowledged`](Self::acknowledged) stays at
    /// `at`, and they are pushed again from there.
    pub(crate) fn hold_ack_at(&mut self, at: i64) {
        self.held_at = Some(self.acknowledged().min(at));
    }

    /// Whether nothing is underway, and something can be sent.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.settle();
        self.underway.is_empty()
    }

    /// Whether the changes that hold the acknowledgement were lost, so that the next marker would join and hide it.
    pub(crate) fn hides_a_loss(&mut self) -> bool {
        self.settle();
        self.held_at.is_some() && !self.broken && !self.underway.iter().any(|u| u.clears_hold)
    }

    /// Takes in what Kafka has said so far.
    pub(crate) fn settle(&mut self) {
        while let Some(outcome) = self.underway.front_mut().and_then(|first| (&mut first.delivery).now_or_never()) {
            let Some(done) = self.underway.pop_front() else { break };
            self.bytes -= done.bytes;
            match outcome {
                Ok(_) if self.broken => {}
                Ok(_) => {
                    self.acknowledged = done.to;
                    if done.clears_hold && !self.underway.iter().any(|u| u.clears_hold) {
                        self.held_at = None;
                    }
                }
                Err(error) => self.lost(&error.to_string()),
            }
        }
        if self.underway.is_empty() {
            self.broken = false;
        }
    }

    fn lost(&mut self, why: &str) {
        self.meters.lost.increment(1);
        if !self.broken {
            let (topic, partition) = (&self.at.topic, self.at.partition);
            tracing::warn!(%topic, partition, service = %self.at.service, why, "changes were not pushed; who follows them reads instead");
        }
        self.broken = true;
    }

    /// Sends a batch. `hidden`: the source's streams that show nothing. `clears_hold`: it has the changes that hold the acknowledgement.
    pub(crate) fn push(&mut self, span: Span, parts: Vec<PushedPart>, hidden: HiddenStreams, clears_hold: bool) {
        self.settle();
        if self.broken {
            self.meters.lost.increment(1);
            return;
        }
        let count = parts.len() as u64;
        let records = batch(&self.at, span, parts, hidden, self.limits.largest_part);
        let bytes: usize = records.iter().map(Record::size).sum();
        let full = self.underway.len() >= self.limits.batches || self.bytes + bytes > self.limits.bytes;
        if full && !self.underway.is_empty() {
            return self.lost("Kafka does not acknowledge what was sent before");
        }
        let producer = self.push.producer();
        let delivery = send(&producer, records);
        self.bytes += bytes;
        self.underway.push_back(Underway { delivery, _producer: producer, to: span.to, bytes, clears_hold });
        self.meters.batches.increment(1);
        self.meters.parts.increment(count);
    }
}

/// Sends a batch. Where a harness wants a death between parts and marker, Kafka has the parts first; should it not get them, the
/// marker's count tells.
fn send(producer: &Producer, mut records: Vec<Record>) -> Delivery {
    let marker = if daybook_failpoint::is_armed("push.between") { records.pop() } else { None };
    let delivery = producer.send(records);
    let Some(marker) = marker else { return delivery };
    let _ = producer.flush(BETWEEN);
    daybook_failpoint::reach("push.between");
    producer.send(vec![marker])
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use daybook_bus::{BusConfig, TopicSpec, ensure_topics};
    use daybook_testkit::{bus, eventually};

    use super::*;

    async fn pusher(bus: &BusConfig, change: impl FnOnce(&mut PushLimits)) -> Pusher {
        let mut limits = PushLimits::default();
        change(&mut limits);
        ensure_topics(bus, &[TopicSpec::read(bus, "m", 1)]).await.expect("Kafka answers");
        let push = Push::new(bus).expect("it starts");
        let at = Source { topic: push.topic("m"), generation: 1, service: "s".into(), partition: 0 };
        Pusher::new(push, limits, "m", at)
    }

    /// One part of so many bytes, and its marker.
    fn push(pusher: &mut Pusher, from: i64, to: i64, bytes: usize, clears_hold: bool) {
        let part =
            PushedPart { key: "k".into(), part: "p".into(), stream: "a/1".into(), offset: from, bytes: Some(vec![0; bytes]), stale: false };
        pusher.push(Span { from, to, epoch: 1 }, vec![part], HiddenStreams::default(), clears_hold);
    }

    async fn settled(pusher: &mut Pusher) {
        let pusher = Mutex::new(pusher);
        eventually("Kafka to answer", || async { pusher.lock().expect("no panic").is_idle().then_some(()) }).await;
    }

    #[tokio::test]
    async fn changes_outside_spans_hold_the_acknowledgement_until_kafka_has_them() {
        let bus = bus();
        let mut pusher = pusher(&bus, |_| {}).await;
        // There may be changes between the two that lie in no span.
        pusher.reset(5, 9);
        assert_eq!((pusher.acknowledged(), pusher.hides_a_loss()), (5, true));
        push(&mut pusher, 5, 9, 1, true);
        assert!(!pusher.hides_a_loss(), "it is underway");
        settled(&mut pusher).await;
        assert_eq!((pusher.acknowledged(), pusher.hides_a_loss()), (9, false));

        pusher.reset(9, 9);
        assert_eq!((pusher.acknowledged(), pusher.hides_a_loss()), (9, false));
        pusher.hold_ack_at(8);
        pusher.hold_ack_at(10);
        assert_eq!(pusher.acknowledged(), 8, "what is held further back is held still");
        push(&mut pusher, 9, 12, 1, false);
        settled(&mut pusher).await;
        assert_eq!((pusher.acknowledged(), pusher.hides_a_loss()), (8, true), "that did not hold it");
        push(&mut pusher, 12, 12, 1, true);
        push(&mut pusher, 12, 12, 1, true);
        settled(&mut pusher).await;
        assert_eq!(pusher.acknowledged(), 12);
    }

    #[tokio::test]
    async fn once_something_is_lost_nothing_is_sent_or_counts_before_the_rest_has_settled() {
        for one in [|limits: &mut PushLimits| limits.batches = 1, |limits: &mut PushLimits| limits.bytes = 2_500] {
            let bus = bus();
            let mut pusher = pusher(&bus, one).await;
            // Unless Kafka is quicker than the next line.
            for _ in 0..100 {
                pusher.reset(0, 0);
                push(&mut pusher, 0, 1, 1_500, false);
                push(&mut pusher, 1, 2, 1_500, false);
                if pusher.broken {
                    break;
                }
                settled(&mut pusher).await;
            }
            assert!(pusher.broken, "the second is one too many");
            assert_eq!(pusher.underway.len(), 1);
            push(&mut pusher, 2, 3, 1, false);
            assert_eq!(pusher.underway.len(), 1, "nothing is sent behind what was lost");
            settled(&mut pusher).await;
            assert_eq!(pusher.acknowledged(), 0, "a gap follows: what is pushed again begins at the first");
            push(&mut pusher, 0, 3, 1, false);
            settled(&mut pusher).await;
            assert_eq!(pusher.acknowledged(), 3);
        }
    }

    #[tokio::test]
    async fn what_was_underway_when_it_began_anew_says_nothing_of_what_comes() {
        let bus = bus();
        let mut pusher = pusher(&bus, |_| {}).await;
        for _ in 0..100 {
            pusher.reset(0, 0);
            push(&mut pusher, 0, 7, 1, false);
            pusher.reset(3, 3);
            if pusher.broken {
                break;
            }
            assert_eq!(pusher.acknowledged(), 3);
        }
        assert!(pusher.broken, "it was underway");
        settled(&mut pusher).await;
        assert_eq!(pusher.acknowledged(), 3);
    }

    #[tokio::test]
    async fn a_batch_that_is_larger_than_what_may_be_underway_is_sent_alone() {
        let bus = bus();
        let mut pusher = pusher(&bus, |limits| limits.bytes = 10).await;
        pusher.reset(0, 0);
        push(&mut pusher, 0, 1, 1_000, false);
        assert_eq!(pusher.underway.len(), 1);
        settled(&mut pusher).await;
        assert_eq!(pusher.acknowledged(), 1);
    }
}
