//! A batch on its way: counts its records home, and answers once.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::Client;
use crate::error::DeliveryError;

/// Of a record that was not acknowledged yet.
const UNKNOWN_OFFSET: i64 = -1;

/// The fate of the first record that failed.
struct Failure {
    index: usize,
    message: String,
    queue_full: bool,
}

type Delivered = Result<Vec<i64>, DeliveryError>;

/// Shared by the records of one batch. Each record's delivery report ends here; there is no future a message.
pub(super) struct SentBatch {
    offsets: Vec<AtomicI64>,
    /// Records that have not settled, and one for the sender until it has enqueued all.
    open: AtomicUsize,
    failure: Mutex<Option<Failure>>,
    done: Mutex<Option<oneshot::Sender<Delivered>>>,
}

impl SentBatch {
    pub(super) fn new(records: usize) -> (Self, oneshot::Receiver<Delivered>) {
        let (done, answer) = oneshot::channel();
        let batch = Self {
            offsets: (0..records).map(|_| AtomicI64::new(UNKNOWN_OFFSET)).collect(),
            open: AtomicUsize::new(1),
            failure: Mutex::new(None),
            done: Mutex::new(Some(done)),
        };
        (batch, answer)
    }

    /// Before a record is enqueued: its report may come before the call returns.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// A record has settled, or the sender has enqueued all it could.
    pub(super) fn settle(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    /// Notes where a record stands; false where that is not said, and then it has failed. librdkafka takes "duplicate sequence number" for a
    /// delivery, and that comes without an offset: a broker that has come back may have taken a later message first, and calls the earlier one,
    /// which it never had, a duplicate (librdkafka's issue 4134; seen by the fault harness: commands that were accepted, and lost). Whoever sends again
    /// sends at worst twice.
    pub(super) fn delivered(&self, index: usize, offset: i64, place: impl FnOnce() -> String) -> bool {
        if offset < 0 {
            self.failed(index, format!("{}: the broker calls it a repeat, and does not say where it is", place()), false);
        } else if let Some(slot) = self.offsets.get(index) {
            slot.store(offset, Ordering::Release);
        }
        offset >= 0
    }

    /// Notes that a record failed. Reports come in any order; the lowest index counts.
    pub(super) fn failed(&self, index: usize, message: String, queue_full: bool) {
        let mut failure = lock(&self.failure);
        let queue_full = queue_full || failure.as_ref().is_some_and(|known| known.queue_full);
        match &mut *failure {
            Some(known) if known.index < index => known.queue_full = queue_full,
            slot => *slot = Some(Failure { index, message, queue_full }),
        }
    }

    fn finish(&self) {
        let outcome = match lock(&self.failure).take() {
            None => Ok(self.offsets.iter().map(|offset| offset.load(Ordering::Acquire)).collect()),
            // Every record before the first that failed has settled, and did not fail.
            Some(failure) => Err(DeliveryError {
                index_first_failed: failure.index,
                acknowledged: failure.index,
                // Whether the client is done for, it says itself: when its answer is read.
                fatal: false,
                queue_full: failure.queue_full,
                message: failure.message,
            }),
        };
        if let Some(done) = lock(&self.done).take() {
            // The sender may have lost interest.
            let _ = done.send(outcome);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch on its way. Completes when every record has settled: with Kafka's offset of each, in order (−1 where the
/// broker did not say), or with the error. Dropping it cancels nothing.
#[must_use = "a failed delivery is known only here"]
pub struct Delivery {
    answer: oneshot::Receiver<Delivered>,
    client: Weak<Client>,
}

impl Delivery {
    pub(super) fn new(answer: oneshot::Receiver<Delivered>, client: Weak<Client>) -> Self {
        Self { answer, client }
    }
}

impl Future for Delivery {
    type Output = Result<Vec<i64>, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match ready!(Pin::new(&mut self.answer).poll(context)) {
            Ok(outcome) => outcome,
            Err(_) => Err(DeliveryError {
                index_first_failed: 0,
                acknowledged: 0,
                fatal: true,
                queue_full: false,
                message: "the producer is gone".to_owned(),
            }),
        };
        Poll::Ready(outcome.map_err(|mut error| {
            // Not every record's own error says that the client is done for, and this one does.
            error.fatal |= self.client.upgrade().is_none_or(|client| client.fatal().is_some());
            error
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_in_order_counts_whichever_is_reported_first() {
        let (batch, mut answer) = SentBatch::new(4);
        for _ in 0..4 {
            batch.begin();
        }
        batch.settle();
        batch.failed(3, "third".to_owned(), false);
        batch.settle();
        batch.failed(1, "first".to_owned(), false);
        batch.settle();
        assert!(batch.delivered(0, 17, String::new));
        batch.settle();
        assert!(answer.try_recv().is_err(), "answered before all had settled");
        assert!(batch.delivered(2, 18, String::new));
        batch.settle();
        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!((error.index_first_failed, error.acknowledged), (1, 1));
        assert_eq!(error.message, "first");
    }

    #[test]
    fn what_is_acknowledged_without_an_offset_is_not_delivered() {
        let (batch, mut answer) = SentBatch::new(2);
        for _ in 0..2 {
            batch.begin();
        }
        batch.settle();
        assert!(batch.delivered(0, 17, || "t/0".to_owned()));
        batch.settle();
        assert!(!batch.delivered(1, -1001, || "t/0".to_owned()));
        batch.settle();
        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!((error.index_first_failed, error.acknowledged, error.fatal), (1, 1, false));
        assert!(error.message.starts_with("t/0: "), "{error}");
    }

    #[test]
    fn a_queue_that_was_full_is_not_forgotten_for_another_failure() {
        let (batch, mut answer) = SentBatch::new(3);
        for _ in 0..3 {
            batch.begin();
        }
        batch.settle();
        for (index, full) in [(2, false), (1, true), (0, false)] {
            batch.failed(index, index.to_string(), full);
            batch.settle();
        }
        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!((error.message.as_str(), error.queue_full), ("0", true));
    }

    #[test]
    fn an_empty_batch_is_answered_at_once() {
        let (batch, mut answer) = SentBatch::new(0);
        batch.settle();
        assert_eq!(answer.try_recv().unwrap(), Ok(vec![]));
    }
}
