//! Calls: work that takes longer than a batch may wait. An event asks for one, its row is written with the marks, and a desk beside the
//! follower does it: what it finds out is kept in the row, sent as one command, and the row goes when the ledger has that. A deadline is a
//! call whose outcome is known from the start, and which waits for its time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use daybook_follow::Event;
use daybook_kernel::{Instant, PageKey, ServiceMessage, StreamId};
use uuid::Uuid;

/// The place of a call among those of its rule and partition: unique, and in the order in which they are done. When it is due, the offset of
/// its event, the id of its outcome.
pub(crate) type At = (Instant, i64, Uuid);

/// The time at which calls are due that wait for nothing.
pub(crate) const AT_ONCE: Instant = Instant::from_micros(0);
/// No deadline is due before or after these: the first moment after [`AT_ONCE`], and the end of the year 9999. Both databases and calendars have them.
const FIRST_DUE: Instant = Instant::from_micros(1);
const LAST_DUE: Instant = Instant::from_micros(253_402_300_799_000_000);

/// A call that an event asks for.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) event: Arc<Event>,
    /// The service and the stream that hear the outcome.
    pub(crate) service: &'static str,
    pub(crate) target: StreamId,
    pub(crate) outcome_id: Uuid,
    /// [`AT_ONCE`], unless it is a deadline.
    pub(crate) due_at: Instant,
    pub(crate) work: Work,
    /// The outcome, once there is one.
    pub(crate) outcome: Option<ServiceMessage>,
}

/// The work of a call, until it has an outcome.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// These pages are read first.
    Read(Vec<PageKey>),
    /// The outside is called; nothing is begun any more from that time on. And the number of the last call that this process has begun for it.
    Speak(Option<Instant>, Arc<AtomicI32>),
    /// Nothing: its outcome is known, and waits for the time of the deadline of this name.
    Wait(String),
}

/// The number of a call that was not begun.
pub(crate) fn none_yet() -> Arc<AtomicI32> {
    Arc::new(AtomicI32::new(-1))
}

impl Call {
    pub(crate) fn at(&self) -> At {
        (self.due_at, self.event.offset, self.outcome_id)
    }

    /// The name of the deadline that it is, and the stream that armed it.
    pub(crate) fn deadline(&self) -> Option<(&str, &StreamId)> {
        match &self.work {
            Work::Wait(name) => Some((name, &self.event.stream)),
            Work::Read(_) | Work::Speak(..) => None,
        }
    }
}

/// The time at which a deadline of this time fires, as a row can have it.
pub(crate) fn due(at: Instant) -> Instant {
    at.clamp(FIRST_DUE, LAST_DUE)
}

/// A stream's deadlines of one name that need not fire any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disarmed {
    pub(crate) source: StreamId,
    pub(crate) deadline: &'static str,
    /// Of the event that says so: those that events before it have armed.
    pub(crate) before: i64,
}

/// What a rule is to note of events: calls, and deadlines that need not fire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) calls: Vec<Call>,
    pub(crate) disarmed: Vec<Disarmed>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.disarmed.is_empty()
    }

    /// Adds what later events say.
    pub(crate) fn extend(&mut self, later: Self) {
        self.calls.extend(later.calls);
        self.disarmed.extend(later.disarmed);
    }

    /// Takes out the calls that a later event disarms: one statement writes all, and its deletion does not see what it inserts. Of several events that
    /// disarm the same, the last counts.
    pub(crate) fn settle(&mut self) {
        if self.disarmed.is_empty() {
            return;
        }
        let mut last: HashMap<&'static str, HashMap<StreamId, i64>> = HashMap::new();
        for Disarmed { source, deadline, before } in self.disarmed.drain(..) {
            let last = last.entry(deadline).or_default().entry(source).or_insert(before);
            *last = before.max(*last);
        }
        self.calls.retain(|call| {
            let disarmed = call.deadline().and_then(|(name, source)| last.get(name)?.get(source));
            disarmed.is_none_or(|before| call.event.offset >= *before)
        });
        for (deadline, sources) in last {
            self.disarmed.extend(sources.into_iter().map(|(source, before)| Disarmed { source, deadline, before }));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use daybook_log::StoredEvent;

    use super::*;

    /// A call that an event at this offset asks for, for a stream of this key.
    pub(crate) fn call(offset: i64, target: &str) -> Call {
        let mut call = armed(offset, "a/1", "pay").calls.remove(0);
        (call.target, call.outcome_id) = (StreamId::new("a", target), Uuid::from_u128(offset.unsigned_abs().into()));
        call
    }

    fn armed(offset: i64, stream: &str, name: &str) -> Notes {
        let event = StoredEvent { stream_id: stream.to_owned(), offset, version: offset + 1, epoch: 1, ..stored() };
        let call = Call {
            event: Arc::new(Event::stored(event).expect("in order")),
            service: "s",
            target: StreamId::new("a", "1"),
            outcome_id: Uuid::from_u128(1),
            due_at: due(Instant::from_micros(9)),
            work: Work::Wait(name.to_owned()),
            outcome: None,
        };
        Notes { calls: vec![call], disarmed: Vec::new() }
    }

    fn stored() -> StoredEvent {
        StoredEvent {
            offset: 0,
            epoch: 1,
            stream_id: "a/1".into(),
            version: 1,
            type_name: "t.Happened".into(),
            payload: Vec::new(),
            metadata: Vec::new(),
            recorded_at: Instant::default(),
            digest: Vec::new(),
            page: 1,
            page_digest: Vec::new(),
        }
    }

    #[test]
    fn what_a_later_event_disarms_is_not_noted_and_what_it_arms_itself_is() {
        let mut notes = Notes::default();
        for (offset, stream, name) in [(1, "a/1", "pay"), (2, "a/1", "ship"), (3, "a/2", "pay"), (4, "a/1", "pay")] {
            notes.extend(armed(offset, stream, name));
        }
        let disarmed = vec![Disarmed { source: StreamId::new("a", "1"), deadline: "pay", before: 5 }];
        notes.extend(Notes { disarmed, ..armed(5, "a/1", "pay") });
        notes.extend(Notes { disarmed: vec![Disarmed { before: 4, ..notes.disarmed[0].clone() }], calls: Vec::new() });
        notes.settle();
        let left: Vec<i64> = notes.calls.iter().map(|call| call.event.offset).collect();
        assert_eq!(left, [2, 3, 5]);
        let before: Vec<i64> = notes.disarmed.iter().map(|disarmed| disarmed.before).collect();
        assert_eq!(before, [5], "and rows that stand from before are still to be taken away");
    }

    #[test]
    fn a_time_that_no_calendar_has_is_far_away_and_not_now() {
        assert_eq!(due(Instant::from_micros(i64::MAX)).to_string(), "9999-12-31T23:59:59.000000Z");
        assert_eq!(due(Instant::from_micros(i64::MIN)), Instant::from_micros(1));
    }
}
