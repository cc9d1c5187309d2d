//! The calls that a desk holds, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use daybook_kernel::{ServiceMessage, StreamId};
use tokio::time::Instant;

use crate::call::{At, Call};

/// An outcome that has no result by then is sent again; later ones after twice the time each.
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(2);
const SENT_AGAIN_AFTER_AT_MOST: Duration = Duration::from_secs(60);

/// An open call.
pub(super) struct Held {
    pub(super) call: Call,
    pub(super) tries: i32,
    /// Perhaps it was done before, by whoever had the row.
    pub(super) repeats: bool,
    pub(super) since: Instant,
    /// Kafka has the outcome; where no result comes, it is sent again after so long.
    sent: Option<Duration>,
    /// It was logged that the outside answers what can't be.
    pub(super) is_told: bool,
}

impl Held {
    /// Whether Kafka has had the outcome.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.is_some()
    }
}

/// The calls that a desk holds.
#[derive(Default)]
pub(super) struct Book {
    held: BTreeMap<At, Held>,
    /// The calls of each target, in order: only the first of them is worked on, until the ledger has its outcome.
    targets: HashMap<StreamId, VecDeque<At>>,
    /// The first calls of targets, and when there is something to do for them.
    turns: BTreeSet<(Instant, At)>,
    /// Calls whose outcomes Kafka has.
    sent: BTreeSet<At>,
    /// The last one of these that was looked up.
    looked_up: Option<At>,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn holds(&self, at: &At) -> bool {
        self.held.contains_key(at)
    }

    pub(super) fn get(&self, at: &At) -> Option<&Held> {
        self.held.get(at)
    }

    pub(super) fn get_mut(&mut self, at: &At) -> Option<&mut Held> {
        self.held.get_mut(at)
    }

    /// Holds a call, unless it is held. True: the call before it for its target has been sent, so the ledger's answer is all that it waits for.
    pub(super) fn hold(&mut self, call: Call, tries: i32, repeats: bool) -> bool {
        let (at, now) = (call.at(), Instant::now());
        if self.holds(&at) {
            return false;
        }
        let of_target = self.targets.entry(call.target.clone()).or_default();
        let waits_for_the_ledger = of_target.front().is_some_and(|first| self.sent.contains(first));
        if of_target.is_empty() {
            self.turns.insert((now, at));
        }
        of_target.push_back(at);
        self.held.insert(at, Held { call, tries, repeats, since: now, sent: None, is_told: false });
        waits_for_the_ledger
    }

    /// When the next one has its turn.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.turns.first().map(|(when, _)| *when)
    }

    /// The next one that has its turn by now.
    pub(super) fn take_turn(&mut self) -> Option<&mut Held> {
        let now = Instant::now();
        while let Some((when, at)) = self.turns.first().copied().filter(|(when, _)| *when <= now) {
            self.turns.remove(&(when, at));
            // One that has ended leaves its turn behind.
            if self.holds(&at) {
                return self.held.get_mut(&at);
            }
        }
        None
    }

    /// It has its turn again after so long.
    pub(super) fn again(&mut self, at: At, pause: Duration) {
        self.turns.insert((Instant::now() + pause, at));
    }

    /// Kafka has its outcome. True: another call of its target waits for the ledger's answer.
    pub(super) fn sent(&mut self, at: At, outcome: ServiceMessage) -> bool {
        let Some(held) = self.held.get_mut(&at) else { return false };
        let is_waited_for = self.targets.get(&held.call.target).is_some_and(|of_target| of_target.len() > 1);
        let wait = held.sent.map_or(SENT_AGAIN_AFTER, |wait| (wait * 2).min(SENT_AGAIN_AFTER_AT_MOST));
        (held.call.outcome, held.sent) = (Some(outcome), Some(wait));
        self.sent.insert(at);
        self.again(at, wait);
        is_waited_for
    }

    pub(super) fn is_sent(&self, at: &At) -> bool {
        self.sent.contains(at)
    }

    /// Whether an outcome is with Kafka.
    pub(super) fn waits_for_results(&self) -> bool {
        !self.sent.is_empty()
    }

    /// So many of those that were sent, behind those that were looked up last: where some have no end, the others have their turn all the same.
    pub(super) fn next_to_look_up(&mut self, most: usize) -> Vec<At> {
        let behind = self.looked_up.map_or(Unbounded, Excluded);
        let before = self.sent.iter().take_while(|at| self.looked_up.is_some_and(|last| **at <= last));
        let some: Vec<At> = self.sent.range((behind, Unbounded)).chain(before).take(most).copied().collect();
        self.looked_up = some.last().copied();
        some
    }

    /// It is done with, and the next call of its target has its turn.
    pub(super) fn end(&mut self, at: &At) -> Option<Held> {
        self.sent.remove(at);
        let held = self.held.remove(at)?;
        if let Some(of_target) = self.targets.get_mut(&held.call.target) {
            of_target.retain(|other| other != at);
            match of_target.front().copied() {
                Some(next) => self.again(next, Duration::ZERO),
                None => _ = self.targets.remove(&held.call.target),
            }
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::call::tests::call;

    fn outcome(target: &str) -> ServiceMessage {
        ServiceMessage { service: "s", type_name: "t.Done", bytes: Vec::new(), target: StreamId::new("a", target) }
    }

    fn turns(book: &mut Book) -> Vec<i64> {
        std::iter::from_fn(|| book.take_turn().map(|held| held.call.event.offset)).collect()
    }

    #[test]
    fn of_a_target_one_has_its_turn_until_it_has_ended() {
        let mut book = Book::default();
        for (offset, target) in [(1, "x"), (2, "y"), (3, "x")] {
            book.hold(call(offset, target), 0, false);
            book.hold(call(offset, target), 0, false);
        }
        assert_eq!((turns(&mut book), book.len()), (vec![1, 2], 3));
        assert!(book.sent(call(1, "x").at(), outcome("x")), "another one waits for it");
        assert!(!book.sent(call(2, "y").at(), outcome("y")));
        assert_eq!(turns(&mut book), [0; 0], "it waits for the result");
        book.end(&call(1, "x").at()).expect("it is held");
        assert_eq!((turns(&mut book), book.len()), (vec![3], 2));
    }

    #[test]
    fn those_whose_results_do_not_come_hold_up_nobody_elses() {
        let mut book = Book::default();
        for offset in 0..10 {
            let target = offset.to_string();
            book.hold(call(offset, &target), 0, false);
            book.sent(call(offset, &target).at(), outcome(&target));
        }
        // Nobody has an end, and all have been looked up after a round, again and again.
        for _ in 0..3 {
            let looked_up: BTreeSet<i64> = (0..3).flat_map(|_| book.next_to_look_up(4)).map(|(_, offset, _)| offset).collect();
            assert_eq!(looked_up, (0..10).collect());
        }
        assert_eq!(book.next_to_look_up(100).len(), 10, "each once");
    }
}
