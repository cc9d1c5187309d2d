//! One partition's messages, for the task that owns it.

use std::sync::Arc;

use crate::buffer::Taken;
use crate::client::blocking;
use crate::error::BusError;
use crate::message::Message;
use crate::partition::Partition;

/// The place to read a partition from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The group's committed offset, as it was at the assignment; the earliest message when there is none or it is out of range.
    Committed,
    /// This offset; the earliest message when it is out of range (the topic was wiped, or retention passed it).
    Offset(i64),
    /// The earliest message there is.
    Earliest,
    /// Behind the last message that can be read now: all that can be read later is read.
    End,
}

/// One partition of a group, for as long as this process has it. Bounded: when it is full its partition is paused, and
/// resumed when half is read. Dropping it stops reading; messages that were not stored are read again by the next owner.
pub struct Inbox {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The group's committed offset when the partition was assigned: the next to read. None also when it could not be
    /// learnt: then everything is read again, which is always right.
    pub committed: Option<i64>,
    held: Arc<Partition>,
}

impl Inbox {
    pub(super) fn new(held: Arc<Partition>, committed: Option<i64>) -> Self {
        Self { topic: Arc::clone(&held.topic), partition: held.partition, committed, held }
    }

    /// Begins to deliver. May be called again, to begin elsewhere: waiting messages are thrown away.
    ///
    /// # Errors
    /// [`BusError::Revoked`]; [`BusError::Unreachable`] when the client could not be moved to the offset in time.
    pub async fn start(&self, at: StartAt) -> Result<(), BusError> {
        let held = Arc::clone(&self.held);
        blocking(move || {
            let offset = match at {
                StartAt::Committed => None,
                StartAt::Offset(offset) => Some(offset.max(0)),
                StartAt::Earliest => Some(0),
                StartAt::End => Some(held.stable_end()?.offset()),
            };
            held.start(offset)
        })
        .await
    }

    /// Messages that came, at most `max_messages` and about `max_bytes` (at least one message). Waits when there is nothing;
    /// none when the partition was revoked or the consumer shut down. Loses nothing when cancelled.
    pub async fn recv(&mut self, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        loop {
            match self.held.take(max_messages, max_bytes, i64::MAX) {
                Taken::Messages(messages) => return Some(messages),
                Taken::Ended => return None,
                Taken::Nothing(_) => self.held.buffer.woken().await,
            }
        }
    }

    /// Messages that wait now, like [`recv`](Self::recv), but none also when there is nothing.
    pub fn try_recv(&mut self, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        match self.held.take(max_messages, max_bytes, i64::MAX) {
            Taken::Messages(messages) => Some(messages),
            Taken::Nothing(_) | Taken::Ended => None,
        }
    }

    /// All before `next_offset` is done with: commits it, soon. Without effect after revocation.
    pub fn store(&self, next_offset: i64) {
        self.held.store(next_offset);
    }

    /// Whether the partition was revoked, or the consumer shut down.
    pub fn is_ended(&self) -> bool {
        self.held.buffer.lock().ended
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.held.abandon();
    }
}
