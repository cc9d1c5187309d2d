//! The events of a partition that were read last, for all its followers: each has its own place among them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Event;

/// The outcome of adding an event to a [`Ring`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It follows the one before.
    Next,
    /// It begins the ring anew: the events there lie before a gap, or are of an epoch that is over. A follower that stands before it must
    /// read the log.
    Anew,
    /// Its offset has been passed.
    Repeat,
    /// It is of an epoch that is over: the log has something else at its offset.
    Over,
}

/// A run of events without a gap, the newest ones, up to a number of events and bytes.
#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Behind the last event that was added; none before the first.
    end: Option<i64>,
    epoch: i32,
    max_events: usize,
    max_bytes: usize,
}

impl Ring {
    /// Empty. Keeps at most so many events and bytes, but always the newest event.
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, end: None, epoch: 0, max_events: max_events.max(1), max_bytes }
    }

    /// The offset of the first event that is there, or where the next one belongs; none before the first was added.
    pub fn start(&self) -> Option<i64> {
        self.events.front().map(|event| event.offset).or(self.end)
    }

    /// Behind the last event; none before the first was added.
    pub fn end(&self) -> Option<i64> {
        self.end
    }

    /// The epoch of the last event, or that the log has begun; 0 before the first.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The log is in this epoch: where it is a new one, all that is here is forgotten, for it may be of a past that the log has not. The
    /// log says.
    pub fn begin(&mut self, epoch: i32) {
        if epoch > self.epoch {
            *self = Self { epoch, ..Self::new(self.max_events, self.max_bytes) };
        }
    }

    /// Adds the event that was read next.
    pub fn add(&mut self, event: Event) -> Added {
        if event.epoch < self.epoch {
            return Added::Over;
        }
        let (begun, restored) = (self.end, event.epoch > self.epoch);
        let added = match begun {
            Some(end) if event.offset == end => Added::Next,
            // A log that was restored goes on from before: its events there are over.
            Some(end) if event.offset < end && !restored => return Added::Repeat,
            _ => Added::Anew,
        };
        if added == Added::Anew {
            self.events.clear();
            self.bytes = 0;
        }
        self.epoch = event.epoch;
        self.end = Some(event.offset + 1);
        self.bytes += event.size();
        self.events.push_back(Arc::new(event));
        while self.events.len() > self.max_events || (self.bytes > self.max_bytes && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.size();
        }
        added
    }

    /// Whether the events from `next` on are here, or the next one to be added is the one at `next`, or lies before it.
    pub fn reaches(&self, next: i64) -> bool {
        self.start().is_some_and(|start| next >= start)
    }

    /// The events from `next` on, at most so many, of about so many bytes, at least one if there is one. None: they are not here any more, or not yet
    /// known to come.
    pub fn from(&self, next: i64, max_events: usize, max_bytes: usize) -> Option<Vec<Arc<Event>>> {
        let start = self.start()?;
        let skip = usize::try_from(next - start).ok()?;
        let mut bytes = 0;
        let fits = |event: &&Arc<Event>| {
            let first = bytes == 0;
            bytes += event.size();
            first || bytes <= max_bytes
        };
        Some(self.events.iter().skip(skip).take(max_events).take_while(fits).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::{DecodedOnce, StreamId};
    use proptest::prelude::*;

    use super::*;
    use crate::event::Trail;

    fn event(offset: i64, epoch: i32, bytes: usize) -> Event {
        Event {
            offset,
            epoch,
            stream: StreamId::new("a", "1"),
            version: offset + 1,
            type_name: "t".to_owned(),
            payload: vec![0; bytes].into(),
            recorded_at: chrono::DateTime::UNIX_EPOCH.into(),
            decoded: DecodedOnce::default(),
            trail: Trail::Metadata(Default::default()),
        }
    }

    fn offsets(ring: &Ring, next: i64) -> Option<Vec<i64>> {
        ring.from(next, 100, usize::MAX).map(|events| events.iter().map(|e| e.offset).collect())
    }

    #[test]
    fn each_follower_reads_on_from_its_own_place() {
        let mut ring = Ring::new(100, 1 << 20);
        assert_eq!((ring.start(), offsets(&ring, 0)), (None, None));
        assert_eq!([5, 6, 7].map(|o| ring.add(event(o, 1, 1))), [Added::Anew, Added::Next, Added::Next]);
        assert_eq!(offsets(&ring, 5), Some(vec![5, 6, 7]));
        assert_eq!(offsets(&ring, 7), Some(vec![7]));
        assert_eq!(offsets(&ring, 8), Some(vec![]), "at its end: the next one comes");
        assert_eq!(offsets(&ring, 20), Some(vec![]), "it has read further in the log");
        assert_eq!((offsets(&ring, 4), ring.reaches(4), ring.reaches(5)), (None, false, true));
    }

    #[test]
    fn a_repeat_changes_nothing_and_a_gap_begins_anew() {
        let mut ring = Ring::new(100, 1 << 20);
        ring.add(event(5, 1, 1));
        ring.add(event(6, 1, 1));
        assert_eq!([5, 6, 0].map(|o| ring.add(event(o, 1, 1))), [Added::Repeat; 3]);
        assert_eq!(offsets(&ring, 5), Some(vec![5, 6]));
        assert_eq!(ring.add(event(9, 1, 1)), Added::Anew);
        assert_eq!((offsets(&ring, 7), offsets(&ring, 9)), (None, Some(vec![9])));
    }

    #[test]
    fn a_later_epoch_takes_the_place_of_what_it_replaces() {
        let mut ring = Ring::new(100, 1 << 20);
        (0..4).for_each(|o| _ = ring.add(event(o, 1, 1)));
        assert_eq!(ring.add(event(2, 2, 1)), Added::Anew);
        assert_eq!(ring.add(event(4, 1, 1)), Added::Over, "of the epoch that is over");
        assert_eq!((ring.end(), offsets(&ring, 2)), (Some(3), Some(vec![2])));
        assert_eq!(ring.add(event(3, 3, 1)), Added::Next, "an epoch that goes on where the one before ended");
    }

    #[test]
    fn an_epoch_that_the_log_has_begun_ends_what_was_read_before_it() {
        let mut ring = Ring::new(100, 1 << 20);
        ring.begin(1);
        (0..4).for_each(|o| _ = ring.add(event(o, 1, 1)));
        ring.begin(1);
        assert_eq!(offsets(&ring, 0), Some(vec![0, 1, 2, 3]));
        ring.begin(2);
        assert_eq!((ring.start(), ring.add(event(4, 1, 1))), (None, Added::Over));
        assert_eq!((ring.add(event(3, 2, 1)), offsets(&ring, 3)), (Added::Anew, Some(vec![3])));
    }

    #[test]
    fn it_is_bounded_and_hands_out_no_more_than_asked() {
        let mut ring = Ring::new(3, 1 << 20);
        (0..10).for_each(|o| _ = ring.add(event(o, 1, 1)));
        assert_eq!(offsets(&ring, 7), Some(vec![7, 8, 9]));
        let size = event(0, 1, 100).size();
        let mut ring = Ring::new(100, 2 * size);
        (0..10).for_each(|o| _ = ring.add(event(o, 1, 100)));
        assert_eq!(offsets(&ring, 8), Some(vec![8, 9]));
        assert_eq!(ring.from(8, 1, usize::MAX).expect("there").len(), 1);
        assert_eq!(ring.from(8, 9, size).expect("there").len(), 1);
        assert_eq!(ring.from(8, 9, 1).expect("there").len(), 1, "one that is larger comes alone");
        ring.add(event(10, 1, 10 * size));
        assert_eq!(offsets(&ring, 10), Some(vec![10]), "the newest is kept, however large");
    }

    proptest! {
        /// Arrivals may come in any order: a follower that takes what the ring has, and the log where it has nothing, takes every offset
        /// once.
        #[test]
        fn nothing_is_missed_or_taken_twice(arrivals in prop::collection::vec(0_i64..60, 0..200), every in 1_usize..5, kept in 1_usize..20) {
            let mut ring = Ring::new(kept, usize::MAX);
            let mut taken: Vec<i64> = Vec::new();
            let mut next = 0;
            for (n, offset) in arrivals.iter().enumerate() {
                ring.add(event(*offset, 1, 1));
                if n % every == 0 {
                    match ring.from(next, 7, usize::MAX) {
                        Some(events) => taken.extend(events.iter().map(|e| e.offset)),
                        None => taken.extend(next..ring.start().expect("begun")),
                    }
                    next = taken.last().map_or(0, |last| last + 1);
                }
            }
            prop_assert_eq!(taken.clone(), (0..i64::try_from(taken.len()).expect("few")).collect::<Vec<_>>());
        }
    }
}
