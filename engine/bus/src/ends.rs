//! The ends of a partition. There are two, and a method for each: `docs/watermarks.md` says which one is for which use, and why.
//!
//! A client's open transaction holds back all that came after its first message, from any sender. So the readable part ends
//! at the *last stable offset*; all that Kafka has taken ends at the *high watermark*. The offsets of a transaction's markers, and
//! those of aborted messages, are never a message for anybody: an end may lie behind the last message by any number of them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::error::BusError;
use crate::inspector::{BRIEFLY, Inner, Inspector, PATIENCE, Purpose, Which};
use crate::message::Message;
use crate::position::ConsumerPosition;

/// All that Kafka has taken of a partition, whether it can be read or not. An offset that is not in here is no message of this
/// topic (any more); one that is in here may be held back, or never be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The first offset that there is.
    pub first: i64,
    /// The offset that the next message will get: the high watermark.
    pub end: i64,
}

impl Written {
    /// Whether an offset is one of these.
    pub fn contains(&self, offset: i64) -> bool {
        (self.first..self.end).contains(&offset)
    }
}

/// The part of a partition that can be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The first offset that there is.
    pub first: i64,
    /// The end of reading.
    pub stable_end: StableEnd,
}

impl Readable {
    pub(crate) fn offsets(&self) -> Range<i64> {
        self.first..self.stable_end.offset()
    }
}

/// The end of reading for now, the last stable offset: a reader up to there gets each message before it. Messages behind
/// it may have been written, and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StableEnd(i64);

impl StableEnd {
    /// The offset.
    pub fn offset(self) -> i64 {
        self.0
    }

    pub(crate) fn new(offset: i64) -> Self {
        Self(offset)
    }
}

/// The oldest message that a reader has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970, as the broker says (or the producer, where the topic takes its word).
    pub timestamp_ms: Option<i64>,
    /// It can't be read before a client's transaction is committed or aborted.
    pub held_back: bool,
}

impl Unread {
    fn of(message: &Message, held_back: bool) -> Self {
        Self { offset: message.offset, timestamp_ms: message.timestamp_ms, held_back }
    }
}

impl Inspector {
    /// All that Kafka has taken, whether it can be read or not: for questions of what is there, and what is lost.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn written(&self, topic: &str, partition: i32) -> Result<Written, BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| inner.written(&topic, partition, Instant::now() + PATIENCE)).await
    }

    /// The part that can be read now: for one who begins to read, or reads up to an end. Messages behind it may have been acknowledged.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn readable(&self, topic: &str, partition: i32) -> Result<Readable, BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| inner.readable(&topic, partition, Instant::now() + PATIENCE)).await
    }

    /// The part that can be read now, if that is all that was written: for conclusions from messages that are *not* there.
    ///
    /// # Errors
    /// [`BusError::Undecided`] while a client's transaction holds something back; [`BusError::MissingTopic`],
    /// [`BusError::Unreachable`].
    pub async fn decided(&self, topic: &str, partition: i32) -> Result<Readable, BusError> {
        let topic = topic.to_owned();
        self.ask(move |inner| {
            let deadline = Instant::now() + PATIENCE;
            // First the written end: messages before that end that can't be read later are held back.
            let written = inner.written(&topic, partition, deadline)?;
            let readable = inner.readable(&topic, partition, deadline)?;
            match readable.stable_end.offset() {
                offset if offset < written.end => Err(BusError::Undecided { topic, partition, offset }),
                _ => Ok(readable),
            }
        })
        .await
    }

    /// The oldest message that one who reads `next` next has not read, also where it is held back. None: all that was written is
    /// read, or is nothing to read (markers, aborted messages). Whoever stands outside of the topic will go on at its beginning.
    ///
    /// # Errors
    /// [`BusError::MissingTopic`], [`BusError::Unreachable`].
    pub async fn unread(&self, topic: &str, partition: i32, next: i64) -> Result<Option<Unread>, BusError> {
        let place = ConsumerPosition { topic: Arc::from(topic), partition, next };
        self.ask(move |inner| inner.unread(&place, Instant::now() + PATIENCE)).await
    }

    /// The same, for a consumer's watch. Blocks, for 3 s at the most.
    pub(crate) fn unread_at(&self, place: &ConsumerPosition) -> Result<Option<Unread>, BusError> {
        self.inner.unread(place, Instant::now() + BRIEFLY)
    }
}

impl Inner {
    pub(crate) fn written(&self, topic: &str, partition: i32, deadline: Instant) -> Result<Written, BusError> {
        let (first, end) = self.watermarks(&Purpose::Written, topic, partition, deadline)?;
        Ok(Written { first, end })
    }

    pub(crate) fn readable(&self, topic: &str, partition: i32, deadline: Instant) -> Result<Readable, BusError> {
        let (first, end) = self.watermarks(&Purpose::Readable, topic, partition, deadline)?;
        Ok(Readable { first, stable_end: StableEnd(end) })
    }

    fn unread(&self, place: &ConsumerPosition, deadline: Instant) -> Result<Option<Unread>, BusError> {
        let (topic, partition) = (&place.topic, place.partition);
        let written = self.written(topic, partition, deadline)?;
        let from = if (written.first..=written.end).contains(&place.next) { place.next } else { written.first };
        if from == written.end {
            return Ok(None);
        }
        let stable = self.readable(topic, partition, deadline)?.stable_end.offset();
        let first = |purpose: &Purpose, offsets: Range<i64>| {
            let _alone = self.alone(deadline)?;
            self.with(purpose, |client| self.one_between(client, topic, partition, Which::First, offsets, deadline))
        };
        if let Some(message) = first(&Purpose::Single, from..stable)? {
            return Ok(Some(Unread::of(&message, false)));
        }
        // The first that is held back is the first of the oldest transaction: it ends the stable part.
        let held_back = first(&Purpose::SingleWritten, stable.max(from)..written.end)?;
        Ok(held_back.map(|message| Unread::of(&message, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_and_what_is_yet_to_come_is_not_there() {
        let written = Written { first: 3, end: 5 };
        let there: Vec<i64> = (0..9).filter(|offset| written.contains(*offset)).collect();
        assert_eq!(there, [3, 4]);
        assert!(!Written { first: 4, end: 4 }.contains(4), "an empty one holds nothing");
    }
}
