//! Streams that are parked for a reactor, taken up again: once by itself, and because an operator asks for it.

use std::sync::Arc;
use std::time::Instant;

use daybook_bus::Record;
use daybook_follow::{Ask, Event};

use crate::ReactorError;
use crate::queue::Reaction;
use crate::reacting::{Asked, PAUSE, Reacting};
use crate::settling::LOST_AFTER;
use crate::store::ParkedRow;

impl Reacting {
    /// Tries parked streams again: once by itself, for this may be a newer build, and when an operator asks for it.
    pub(crate) async fn tend_parked(&mut self) -> Result<(), ReactorError> {
        if self.parked.is_empty() {
            return Ok(());
        }
        for row in self.store.parked().await? {
            if row.asked.is_some() || self.untried.contains(&row.stream) {
                self.retry(row).await?;
            }
        }
        Ok(())
    }

    /// Reacts to the events that wait, up to where this reactor stands. The stream flows again when all that was sent has come to an
    /// end: until then nobody else would send it again.
    async fn retry(&mut self, row: ParkedRow) -> Result<(), ReactorError> {
        let after = if row.asked == Some(Ask::Skip) { row.version } else { row.version - 1 };
        let stored = self.log.read_stream_after(row.stream.as_str(), after, i64::MAX).await?;
        let (mut asked, mut stopped) = (Asked::default(), None);
        for event in stored.into_iter().filter(|event| event.offset < self.next) {
            let event = Arc::new(Event::stored(event)?);
            match self.react(&event) {
                Ok(more) => asked.extend(more),
                Err(why) => {
                    stopped = Some((event.version, event.offset, why.to_string()));
                    break;
                }
            }
        }
        asked.notes.settle();
        if !asked.notes.is_empty() {
            if !self.store.add_calls(&asked.notes, self.stored.term).await? {
                return Err(ReactorError::Superseded(self.full_name()));
            }
            if let Some(desk) = &self.desk {
                // Perhaps they were, by a process that died before the stream was freed.
                desk.add(asked.notes.calls, true);
            }
        }
        let (mut open, records): (Vec<Reaction>, Vec<Record>) = asked.messages.into_iter().unzip();
        if !records.is_empty() {
            self.common.sender.send(records).await?;
        }
        let until = Instant::now() + LOST_AFTER;
        while !open.is_empty() && Instant::now() < until {
            tokio::time::sleep(PAUSE).await;
            let ended = self.ended(&open).await?;
            open.retain(|reaction| !ended.contains(&reaction.command_id));
        }
        if !open.is_empty() {
            // It has its turn again.
            return Ok(());
        }
        self.untried.remove(&row.stream);
        let (reactor, stream) = (self.full_name(), row.stream.as_str().to_owned());
        let stands = match stopped {
            None => {
                tracing::info!(reactor, stream, "a parked stream flows again");
                self.parked.remove(&row.stream);
                self.store.free(&row.stream, self.stored.term).await?
            }
            Some((version, offset, reason)) => {
                tracing::warn!(reactor, stream, offset, reason, "a parked stream was tried again in vain");
                self.parked.insert(row.stream.clone(), version);
                self.store.park_again(&ParkedRow { version, offset, reason, asked: None, ..row }, self.stored.term).await?
            }
        };
        self.meters.parked.set(self.parked.len() as f64);
        if stands { Ok(()) } else { Err(ReactorError::Superseded(self.full_name())) }
    }
}
