//! Finds out that a client stands still, which it does not know itself.
//!
//! librdkafka (2.12) takes for granted that a partition's leader epoch only grows. A topic that was deleted and made again begins
//! with a low one: a client that knew a higher one ignores the new leader, reads nothing, and says nothing for as long as it
//! lives (found by the fault harness, `kafka-wiped`; redpanda met it too, in its pull request 30671). So a consumer's thread has
//! somebody else look, now and then, whether there is anything to read where it stands. And a member of a group was seen never to
//! find its coordinator again after the broker had been paused: one that waits for partitions for long, while others have answers, is
//! made anew as well.
//!
//! One that waits behind a client's open transaction stands still as well, and rightly: another would wait there too. That is told.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::BusConfig;
use crate::ends::Unread;
use crate::error::BusError;
use crate::inspector::Inspector;
use crate::position::ConsumerPosition;

/// Time that a partition must have stood still before it is looked into.
const EVERY: Duration = Duration::from_secs(10);
/// Time for a client to read a message that was found; it may have come a moment ago.
const GRACE: Duration = Duration::from_secs(3);
/// Each wait for the look's answer.
const ANSWER: Duration = Duration::from_millis(200);
/// The three together; a test has another.
const PACE: Pace = Pace { every: EVERY, grace: GRACE, answer: ANSWER };
/// Longest wait of a group's member for its partitions before somebody asks whether brokers answer others.
const ABSENT: Duration = Duration::from_secs(25);
/// Number of partitions that are looked into at once: all in turn.
const AT_ONCE: usize = 16;

/// The watch's intervals and patience.
#[derive(Clone, Copy)]
struct Pace {
    every: Duration,
    grace: Duration,
    answer: Duration,
}

/// Whether there is something to read at a place; without one, whether brokers answer. May block.
type Look = Arc<dyn Fn(Option<&ConsumerPosition>) -> bool + Send + Sync>;

/// A consumer's watch, on its thread.
pub(crate) struct Watch {
    look: Look,
    pace: Pace,
    due: Instant,
    /// Its positions at the last look.
    before: Vec<ConsumerPosition>,
    /// The next of those that are looked into in turn.
    turn: usize,
    /// Answers with a place at which there is something to read.
    asked: Option<Receiver<ConsumerPosition>>,
    suspect: Option<ConsumerPosition>,
    /// Since when it has waited for partitions.
    absent: Option<Instant>,
    /// Answers whether brokers answer.
    reached: Option<Receiver<bool>>,
}

impl Watch {
    pub(crate) fn new(config: &BusConfig) -> Result<Self, BusError> {
        let (inspector, told) = (Inspector::new(config)?, TransactionWarnings::default());
        let look = move |place: Option<&ConsumerPosition>| match place {
            Some(place) => told.may_read(place, inspector.unread_at(place)),
            None => inspector.is_answered(),
        };
        Ok(Self::looking(Arc::new(look), Instant::now()))
    }

    /// One that looks ten times a second. `finds` hears the look's result, and may say otherwise.
    #[cfg(test)]
    pub(crate) fn hasty(config: &BusConfig, finds: impl Fn(bool) -> bool + Send + Sync + 'static) -> Result<Self, BusError> {
        let Self { look, .. } = Self::new(config)?;
        let look = move |place: Option<&ConsumerPosition>| finds(look(place));
        let pace = Pace { every: Duration::from_millis(100), grace: Duration::from_secs(1), answer: Duration::from_millis(10) };
        Ok(Self { pace, due: Instant::now(), ..Self::looking(Arc::new(look), Instant::now()) })
    }

    fn looking(look: Look, now: Instant) -> Self {
        Self { look, pace: PACE, due: now + EVERY, before: Vec::new(), turn: 0, asked: None, suspect: None, absent: None, reached: None }
    }

    /// A place where the consumer stands still although there is something to read: it should be made anew. Called at every lap of
    /// its thread; never waits. `flowing` tells where it stands in all partitions that it wants to read from.
    pub(crate) fn stands_still(&mut self, now: Instant, flowing: impl Fn() -> Vec<ConsumerPosition>) -> Option<ConsumerPosition> {
        if now < self.due {
            return None;
        }
        if let Some(suspect) = self.suspect.take()
            && flowing().contains(&suspect)
        {
            return Some(suspect);
        }
        match self.asked.as_ref().map(Receiver::try_recv) {
            Some(Ok(place)) => {
                (self.suspect, self.asked, self.due) = (Some(place), None, now + self.pace.grace);
                return None;
            }
            Some(Err(TryRecvError::Empty)) => {
                self.due = now + self.pace.answer;
                return None;
            }
            // Nothing was found.
            Some(Err(TryRecvError::Disconnected)) => {
                (self.asked, self.due) = (None, now + self.pace.every);
                return None;
            }
            None => {}
        }
        self.due = now + self.pace.every;
        let places = flowing();
        let unmoved: Vec<ConsumerPosition> = places.iter().filter(|place| self.before.contains(place)).cloned().collect();
        self.before = places;
        if !unmoved.is_empty() {
            let start = self.turn % unmoved.len();
            self.turn = start + AT_ONCE;
            self.look_into(unmoved.iter().cycle().skip(start).take(AT_ONCE.min(unmoved.len())).cloned().collect());
        }
        if self.asked.is_some() {
            self.due = now + self.pace.answer;
        }
        None
    }

    /// Whether a member of a group waits for partitions in vain: for long, although brokers answer. Called at every lap, as
    /// [`stands_still`](Self::stands_still); `waits` says whether it has none, and has not been told that it gets none.
    pub(crate) fn waits_in_vain(&mut self, now: Instant, waits: bool) -> bool {
        if !waits {
            (self.absent, self.reached) = (None, None);
            return false;
        }
        if now.saturating_duration_since(*self.absent.get_or_insert(now)) < ABSENT {
            return false;
        }
        let Some(reached) = &self.reached else {
            let ((answer, reached), look) = (channel(), self.look.clone());
            self.reached = Some(reached);
            if let Err(error) = std::thread::Builder::new().name("kafka-watch".to_owned()).spawn(move || answer.send(look(None))) {
                tracing::warn!(%error, "no thread to look after a consumer on");
            }
            return false;
        };
        match reached.try_recv() {
            Ok(true) => return true,
            // Nobody is answered: it waits with all others.
            Ok(false) | Err(TryRecvError::Disconnected) => (self.absent, self.reached) = (Some(now), None),
            Err(TryRecvError::Empty) => {}
        }
        false
    }

    /// On a thread of its own: a broker that does not answer must not hold up the consumer's.
    fn look_into(&mut self, places: Vec<ConsumerPosition>) {
        let (found, asked) = channel();
        let look = self.look.clone();
        let look = move || {
            if let Some(place) = places.into_iter().find(|place| look(Some(place))) {
                let _ = found.send(place);
            }
        };
        match std::thread::Builder::new().name("kafka-watch".to_owned()).spawn(look) {
            Ok(_) => self.asked = Some(asked),
            Err(error) => tracing::warn!(%error, "no thread to look after a consumer on"),
        }
    }
}

/// Warnings that were given of partitions behind an open transaction: each transaction is told once.
#[derive(Default)]
struct TransactionWarnings(Mutex<HashMap<(Arc<str>, i32), i64>>);

impl TransactionWarnings {
    /// Whether an unread message can be read; one that is held back is told of.
    fn may_read(&self, place: &ConsumerPosition, unread: Result<Option<Unread>, BusError>) -> bool {
        match unread {
            Ok(Some(unread)) if unread.held_back => {
                if self.is_news(place, unread.offset) {
                    let (topic, partition, offset) = (&place.topic, place.partition, unread.offset);
                    tracing::warn!(%topic, partition, offset, "a consumer waits: a Kafka client's transaction is open there, and holds back all that came after it");
                }
                false
            }
            Ok(unread) => unread.is_some(),
            // A broker that can't be asked is asked another time.
            Err(_) => false,
        }
    }

    fn is_news(&self, place: &ConsumerPosition, offset: i64) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert((Arc::clone(&place.topic), place.partition), offset) != Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn place(partition: i32, next: i64) -> ConsumerPosition {
        ConsumerPosition { topic: "t".into(), partition, next }
    }

    /// Laps of 100 ms for so many seconds, in a moment; the place that was found, and the time.
    fn laps(
        seconds: u64,
        holds: impl Fn(&ConsumerPosition) -> bool + Send + Sync + 'static,
        at: impl Fn(Duration) -> Vec<ConsumerPosition>,
    ) -> Option<(ConsumerPosition, Duration)> {
        let begun = Instant::now();
        let mut watch = Watch::looking(Arc::new(move |place: Option<&ConsumerPosition>| place.is_some_and(&holds)), begun);
        (0..seconds * 10).map(|lap| Duration::from_millis(lap * 100)).find_map(|passed| {
            let found = watch.stands_still(begun + passed, || at(passed));
            if watch.asked.is_some() {
                // The look has a real thread.
                std::thread::sleep(Duration::from_millis(2));
            }
            found.map(|place| (place, passed))
        })
    }

    #[test]
    fn who_stands_still_before_messages_is_found_within_half_a_minute() {
        let (found, after) = laps(60, |_| true, |_| vec![place(0, 7)]).expect("it is found");
        assert_eq!(found, place(0, 7));
        assert!((20..30).contains(&after.as_secs()), "{after:?}");
    }

    #[test]
    fn who_waits_behind_an_open_transaction_is_left_alone_and_each_transaction_is_told_once() {
        let told = TransactionWarnings::default();
        let unread = |offset, held_back| Ok(Some(Unread { offset, timestamp_ms: None, held_back }));
        assert!(told.may_read(&place(0, 7), unread(7, false)), "that can be read");
        assert!(!told.may_read(&place(0, 7), unread(9, true)) && !told.is_news(&place(0, 7), 9), "it was told");
        assert!(told.is_news(&place(1, 7), 9) && told.is_news(&place(0, 12), 12), "another partition, another transaction");
        assert!(!told.may_read(&place(0, 7), Ok(None)));
        assert!(!told.may_read(&place(0, 7), Err(BusError::Thread("nobody answers".to_owned()))));
    }

    #[test]
    fn who_has_nothing_to_read_is_looked_into_every_ten_seconds() {
        let looks = Arc::new(AtomicI64::new(0));
        let counted = looks.clone();
        assert_eq!(laps(300, move |_| counted.fetch_add(1, Ordering::SeqCst) < 0, |_| vec![place(0, 7)]), None);
        let looks = looks.load(Ordering::SeqCst);
        assert!((10..30).contains(&looks), "{looks} in five minutes");
    }

    #[test]
    fn who_reads_a_second_after_it_was_found_to_stand_still_is_left_alone() {
        // It was found after twenty seconds.
        let at = |passed: Duration| vec![place(0, if passed < Duration::from_millis(21_500) { 7 } else { 8 })];
        assert_eq!(laps(60, |place| place.next == 7, at), None);
    }

    #[test]
    fn who_waits_for_partitions_while_others_are_answered_is_found_and_nobody_else() {
        let waited = |answered: bool, waits: fn(u64) -> bool| {
            let begun = Instant::now();
            let mut watch = Watch::looking(Arc::new(move |_: Option<&ConsumerPosition>| answered), begun);
            (0..600_u64).find(|lap| {
                if watch.reached.is_some() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                watch.waits_in_vain(begun + Duration::from_millis(lap * 200), waits(lap * 200))
            })
        };
        assert!((125..150).contains(&waited(true, |_| true).expect("it is found")));
        assert_eq!(waited(false, |_| true), None);
        assert_eq!(waited(true, |_| false), None);
        // It comes back in time, again and again.
        assert_eq!(waited(true, |at| at % 22_000 > 2_000), None);
    }

    #[test]
    fn one_of_many_is_found_among_those_that_read_and_those_that_have_nothing_to_read() {
        let at = |passed: Duration| (0..100).map(|n| place(n, if n < 40 { passed.as_millis() as i64 } else { 5 })).collect();
        let (found, _) = laps(300, |place| place.partition == 93, at).expect("it is found");
        assert_eq!(found, place(93, 5));
    }

    #[test]
    fn who_reads_or_has_nothing_to_read_or_reads_just_then_is_left_alone() {
        assert_eq!(laps(300, |_| false, |_| vec![place(0, 7)]), None);
        assert_eq!(laps(300, |_| true, |passed| vec![place(0, passed.as_millis() as i64)]), None);
        // It is seen to be there before the consumer has it.
        let seen = Arc::new(AtomicI64::new(0));
        let counted = seen.clone();
        let holds = move |_: &ConsumerPosition| counted.fetch_add(1, Ordering::SeqCst) >= 0;
        assert_eq!(laps(300, holds, |_| vec![place(0, seen.load(Ordering::SeqCst))]), None);
        assert!(seen.load(Ordering::SeqCst) > 5);
    }
}
