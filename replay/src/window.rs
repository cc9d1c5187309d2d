//! A log beside the messages of its topic.

use std::collections::HashMap;

use daybook_bus::{Message, headers as h};
use daybook_log::{LogError, PartitionLog, StoredEvent};

/// Events of the log held for comparison.
const WINDOW: i64 = 500;

/// A stretch of the log, around the event that was asked for last. Messages come in runs of offsets, from wherever a relay took up: a stretch
/// is read once for each run.
pub(crate) struct Window<'a> {
    log: &'a PartitionLog,
    events: Vec<StoredEvent>,
    /// Where the epoch after each begins, as far as that was asked.
    epochs: HashMap<i32, Option<i64>>,
}

impl<'a> Window<'a> {
    pub(crate) fn of(log: &'a PartitionLog) -> Self {
        Self { log, events: Vec::new(), epochs: HashMap::new() }
    }

    /// The event at an offset; none where the log has it not.
    pub(crate) async fn at(&mut self, offset: i64) -> Result<Option<&StoredEvent>, LogError> {
        if !self.events.first().zip(self.events.last()).is_some_and(|(first, last)| (first.offset..=last.offset).contains(&offset)) {
            self.events = self.log.read_events(offset, WINDOW).await?;
        }
        let found = self.events.binary_search_by_key(&offset, |event| event.offset).ok();
        Ok(found.map(|index| &self.events[index]))
    }

    /// Whether an operator has begun another epoch before the event of this message: it is of a past that the log does not have.
    pub(crate) async fn is_void(&mut self, message: &Message) -> Result<bool, LogError> {
        let epoch = message.headers.get_parsed::<i32>(h::EPOCH).ok().flatten();
        let offset = message.headers.get_parsed::<i64>(h::OFFSET).ok().flatten();
        let (Some(epoch), Some(offset)) = (epoch, offset) else { return Ok(false) };
        let begins = match self.epochs.get(&epoch) {
            Some(known) => *known,
            None => *self.epochs.entry(epoch).or_insert(self.log.first_offset_after_epoch(epoch).await?),
        };
        Ok(begins.is_some_and(|first| first <= offset))
    }
}
