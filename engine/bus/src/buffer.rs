//! Messages of one partition that wait for the task that reads them.
//!
//! Filled by a consumer's thread, emptied by one task. When it is full the thread pauses the partition; the task
//! resumes it once half is read. So it holds at most its bound and the messages that one fetch had already brought.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::message::Message;

/// When a buffer counts as full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// A buffer's messages, and its partition's position. Guarded by one lock, under which every call into librdkafka that
/// belongs to an assignment is made: so none of them can hit a later assignment of the same partition.
#[derive(Default)]
pub(crate) struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Paused because it was full. Only then does the task resume it.
    pub(crate) paused: bool,
    /// Messages are wanted: `start` has been called.
    pub(crate) started: bool,
    /// Nothing more comes out: revoked or shut down.
    pub(crate) ended: bool,
    /// Nothing more may reach librdkafka: the partition has been given back.
    pub(crate) detached: bool,
    /// The log's end was reached, and nothing has come since.
    pub(crate) at_end: bool,
    /// The offset behind the last message that came, or where it was begun. Of a buffer for several partitions it says nothing.
    pub(crate) next: i64,
}

impl State {
    /// Throws waiting messages away.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.at_end = false;
    }

    fn over(&self, limits: Limits) -> bool {
        self.messages.len() >= limits.messages || self.bytes >= limits.bytes
    }

    pub(crate) fn below_half(&self, limits: Limits) -> bool {
        self.messages.len() <= limits.messages / 2 && self.bytes <= limits.bytes / 2
    }

    fn take(&mut self, max_messages: usize, max_bytes: usize, before: i64) -> Vec<Message> {
        let mut bytes = 0;
        let mut count = 0;
        for message in self.messages.iter().take(max_messages.max(1)) {
            let size = message.size();
            if message.offset >= before || (count > 0 && bytes + size > max_bytes) {
                break;
            }
            bytes += size;
            count += 1;
        }
        self.bytes -= bytes;
        self.messages.drain(..count).collect()
    }
}

/// Why nothing came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// There is nothing, and there may be more to come.
    Empty,
    /// There is nothing, and the log's end was reached.
    AtEnd,
    /// The next message is not below the limit.
    Beyond,
}

/// The outcome of a look into the buffer.
pub(crate) enum Taken {
    Messages(Vec<Message>),
    Nothing(Idle),
    Ended,
}

pub(crate) struct Buffer {
    pub(crate) limits: Limits,
    state: Mutex<State>,
    ready: Notify,
}

impl Buffer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), ready: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message; the task is woken by [`wake`](Self::wake). True when the partition must be paused.
    pub(crate) fn push(&self, message: Message) -> bool {
        let mut state = self.lock();
        if state.ended {
            return false;
        }
        state.bytes += message.size();
        state.next = message.offset + 1;
        state.messages.push_back(message);
        state.at_end = false;
        state.over(self.limits) && !state.paused
    }

    /// Wakes the task, now or when it next waits.
    pub(crate) fn wake(&self) {
        self.ready.notify_one();
    }

    /// Waits for [`wake`](Self::wake); a wake-up between a look and this is not lost.
    pub(crate) async fn woken(&self) {
        self.ready.notified().await;
    }

    /// Messages that came, with offsets below `before`. `resume` is called, under the lock, when the partition was paused and
    /// half is read: outside of it, it could overtake the thread's next pause, and the buffer would grow without bound.
    pub(crate) fn take(&self, max_messages: usize, max_bytes: usize, before: i64, resume: impl FnOnce()) -> Taken {
        let mut state = self.lock();
        if state.ended {
            return Taken::Ended;
        }
        let messages = state.take(max_messages, max_bytes, before);
        if state.paused && state.below_half(self.limits) {
            state.paused = false;
            resume();
        }
        if !messages.is_empty() {
            Taken::Messages(messages)
        } else if !state.messages.is_empty() {
            Taken::Nothing(Idle::Beyond)
        } else if state.at_end {
            Taken::Nothing(Idle::AtEnd)
        } else {
            Taken::Nothing(Idle::Empty)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::headers::Headers;

    fn message(offset: i64, value: usize) -> Message {
        Message {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            value: Some(Bytes::from(vec![0; value])),
            headers: Headers::new(),
        }
    }

    fn offsets(taken: Taken) -> Vec<i64> {
        match taken {
            Taken::Messages(messages) => messages.iter().map(|message| message.offset).collect(),
            Taken::Nothing(_) | Taken::Ended => Vec::new(),
        }
    }

    #[test]
    fn one_message_comes_out_however_large_it_is() {
        let buffer = Buffer::new(Limits { messages: 10, bytes: 1_000_000 });
        buffer.push(message(7, 10_000));
        buffer.push(message(8, 10_000));
        assert_eq!(offsets(buffer.take(100, 1, i64::MAX, || ())), [7]);
    }

    #[test]
    fn it_is_full_at_its_bound_and_resumed_at_half() {
        let buffer = Buffer::new(Limits { messages: 4, bytes: 1_000_000 });
        let full: Vec<bool> = (0..4).map(|offset| buffer.push(message(offset, 1))).collect();
        assert_eq!(full, [false, false, false, true]);
        buffer.lock().paused = true;
        assert!(!buffer.push(message(4, 1)), "asked to pause what is paused");
        let mut resumed = 0;
        assert_eq!(offsets(buffer.take(2, 1_000, i64::MAX, || resumed += 1)), [0, 1]);
        assert_eq!(resumed, 0);
        assert_eq!(offsets(buffer.take(1, 1_000, i64::MAX, || resumed += 1)), [2]);
        assert_eq!(resumed, 1);
        assert!(!buffer.lock().paused);
    }

    #[test]
    fn it_is_resumed_when_half_is_read_of_its_bytes_too() {
        let buffer = Buffer::new(Limits { messages: 1_000, bytes: 100_000 });
        let full: Vec<bool> =
            [10, 10, 90_000, 10_000].into_iter().zip(0..).map(|(size, offset)| buffer.push(message(offset, size))).collect();
        assert_eq!(full, [false, false, false, true]);
        buffer.lock().paused = true;
        let mut resumed = 0;
        assert_eq!(offsets(buffer.take(2, usize::MAX, i64::MAX, || resumed += 1)), [0, 1]);
        assert_eq!(resumed, 0, "nearly all of the bytes are there still");
        assert_eq!(offsets(buffer.take(1, usize::MAX, i64::MAX, || resumed += 1)), [2]);
        assert_eq!(resumed, 1);
    }

    #[test]
    fn the_end_that_was_reached_is_none_any_more_when_a_message_has_come() {
        let buffer = Buffer::new(Limits { messages: 4, bytes: 1_000_000 });
        buffer.lock().at_end = true;
        assert!(matches!(buffer.take(9, 1_000, i64::MAX, || ()), Taken::Nothing(Idle::AtEnd)));
        buffer.push(message(0, 1));
        assert_eq!(offsets(buffer.take(9, 1_000, i64::MAX, || ())), [0]);
        assert!(matches!(buffer.take(9, 1_000, i64::MAX, || ()), Taken::Nothing(Idle::Empty)), "there may be more behind it");
        buffer.lock().at_end = true;
        buffer.lock().clear();
        assert!(matches!(buffer.take(9, 1_000, i64::MAX, || ()), Taken::Nothing(Idle::Empty)), "nobody knows where it is now");
    }

    #[test]
    fn nothing_comes_out_of_an_ended_one_and_nothing_gets_in() {
        let buffer = Buffer::new(Limits { messages: 1, bytes: 1_000_000 });
        buffer.push(message(0, 1));
        buffer.lock().clear();
        buffer.lock().ended = true;
        assert!(!buffer.push(message(1, 1)), "asked to pause what has ended");
        assert!(matches!(buffer.take(1, 1, i64::MAX, || ()), Taken::Ended));
        let state = buffer.lock();
        assert_eq!((state.messages.len(), state.bytes), (0, 0), "nobody reads it");
    }

    #[test]
    fn what_is_not_before_the_limit_stays() {
        let buffer = Buffer::new(Limits { messages: 4, bytes: 1_000_000 });
        buffer.push(message(1, 1));
        buffer.push(message(2, 1));
        assert_eq!(offsets(buffer.take(9, 1_000, 2, || ())), [1]);
        assert!(matches!(buffer.take(9, 1_000, 2, || ()), Taken::Nothing(Idle::Beyond)));
    }
}
