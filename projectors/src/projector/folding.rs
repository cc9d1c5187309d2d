//! From messages and the log to committed batches.

use std::collections::{HashMap, HashSet};

use daybook_bus::Message;
use daybook_kernel::StreamId;
use daybook_log::LogError;

use super::Projector;
use crate::ProjectorError;
use crate::batch::{Before, Folded, Pace, fold};
use crate::event::Event;
use crate::push::{Pusher, Span};
use crate::store::Move;

impl Projector {
    /// Messages of `<service>.events`, in order. Repeats are dropped; what is missing between them is read from the log, and
    /// so is what can't be read from Kafka.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn follow(&mut self, messages: &[Message]) -> Result<(), ProjectorError> {
        let mut batch: Vec<Event> = Vec::with_capacity(messages.len());
        let (mut bytes, mut ask) = (0, false);
        for message in messages {
            let event = match Event::arrived(message, self.partitions) {
                // Of before the log was restored: the log has something else at this offset.
                Ok(event) if event.epoch < self.epoch => continue,
                Ok(event) => event,
                Err(why) => {
                    self.counts.unreadable += 1;
                    self.meters.unreadable.increment(1);
                    tracing::warn!(projector = self.name(), kafka_offset = message.offset, %why, "a message is no event; the log is read");
                    ask = true;
                    continue;
                }
            };
            let expected = self.next + i64::try_from(batch.len()).unwrap_or(i64::MAX);
            if event.offset < expected {
                self.counts.repeats += 1;
                self.meters.repeats.increment(1);
            } else if event.offset == expected {
                bytes += event.size();
                batch.push(event);
                if batch.len() >= self.limits.batch_events || bytes >= self.limits.batch_bytes {
                    bytes = 0;
                    self.apply(std::mem::take(&mut batch), false).await?;
                }
            } else {
                self.counts.gaps += 1;
                self.meters.gaps.increment(1);
                tracing::warn!(projector = self.name(), from = expected, to = event.offset, "a gap on Kafka; the log is read");
                bytes = 0;
                self.apply(std::mem::take(&mut batch), false).await?;
                self.catch_up_to(event.offset + 1).await?;
            }
        }
        self.apply(batch, false).await?;
        if ask {
            self.catch_up().await?;
        }
        Ok(())
    }

    /// All before `end`, which the log must have come to, and nothing behind it.
    pub(crate) async fn catch_up_to(&mut self, end: i64) -> Result<(), ProjectorError> {
        while self.next < end {
            self.step_to(end).await?;
        }
        Ok(())
    }

    pub(super) async fn step_to(&mut self, end: i64) -> Result<(), ProjectorError> {
        if self.next >= end {
            return Ok(());
        }
        let events = self.read(end).await?;
        if events.is_empty() {
            // Somebody has seen more than there is.
            self.look().await?;
            return Err(ProjectorError::AheadOfLog { place: self.name(), at: end, end: self.end });
        }
        self.apply(events, true).await
    }

    /// Up to one batch of events from the log, from the next offset on, before `end`.
    async fn read(&mut self, end: i64) -> Result<Vec<Event>, ProjectorError> {
        let stored = self.log.read_events(self.next, self.read_at_once.min(end - self.next)).await?;
        let events = stored.into_iter().map(Event::stored).collect::<Result<Vec<_>, _>>()?;
        if let Some((at, found)) = (self.next..).zip(&events).find(|(at, e)| *at != e.offset) {
            return Err(LogError::Damaged(format!("{}: offset {at} is missing ({} stands there)", self.log.name(), found.offset)).into());
        }
        // The next read brings about one batch of bytes, if events stay as large as these. It grows by steps: what it costs where
        // they don't is bounded.
        if let Some(average) = events.iter().map(Event::size).sum::<usize>().checked_div(events.len()) {
            let fitting = (self.limits.batch_bytes / average.max(1)).clamp(1, self.limits.catch_up_events.max(1));
            self.read_at_once = i64::try_from(fitting).unwrap_or(i64::MAX).min(self.read_at_once.saturating_mul(2));
        }
        Ok(events)
    }

    /// Folds a batch that begins at the next offset, and commits it.
    async fn apply(&mut self, events: Vec<Event>, from_log: bool) -> Result<(), ProjectorError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let by = Span { from: first.offset, to: last.offset + 1, epoch: last.epoch.max(self.epoch) };
        match self.try_apply(by, &events, Pace::Quick).await? {
            Ok(()) => return Ok(()),
            Err(why) => tracing::info!(projector = self.name(), why, "a batch is folded again, event by event"),
        }
        if from_log {
            return self.carefully(by, &events).await;
        }
        // Only what the log says may park a stream: what came from Kafka is not believed to be wrong before that.
        while self.next < by.to {
            let events = self.read(by.to).await?;
            let Some(last) = events.last() else {
                return Err(ProjectorError::AheadOfLog { place: self.name(), at: by.to, end: self.next });
            };
            let part = Span { from: self.next, to: last.offset + 1, epoch: last.epoch.max(self.epoch) };
            self.carefully(part, &events).await?;
        }
        Ok(())
    }

    async fn carefully(&mut self, by: Span, events: &[Event]) -> Result<(), ProjectorError> {
        // Another generation's projector may have been told meanwhile to do without what would park here.
        self.skipped = self.store.skipped(&self.place()).await?;
        self.try_apply(by, events, Pace::Careful).await?.map_err(ProjectorError::Panicked)
    }

    /// The inner error: a stream stopped, and nothing was written.
    async fn try_apply(&mut self, by: Span, events: &[Event], pace: Pace) -> Result<Result<(), String>, ProjectorError> {
        let service = self.log.service().clone();
        let folds = |e: &&Event| self.model.fold(&service, e.stream.aggregate()).is_some() && !self.parked.contains(e.stream.as_str());
        let relevant: Vec<&Event> = events.iter().filter(folds).collect();
        let before = self.views_of(&relevant).await?;
        let folded = match fold(&self.model, &service, &relevant, before, &self.skipped, pace) {
            Ok(folded) => folded,
            Err(stopped) => {
                self.held.clear();
                return Ok(Err(format!("{} at offset {}: {}", stopped.stream, stopped.offset, stopped.reason)));
            }
        };
        let (events, parked) = (folded.events, folded.changes.stopped.len() as u64);
        self.write(by.from, by.to, by.epoch, folded).await?;
        self.counts.folded += events;
        self.meters.folded.increment(events);
        self.counts.parked += parked;
        self.meters.parked.increment(parked);
        Ok(Ok(()))
    }

    /// The views of a batch's streams: those in memory, the others in one query.
    async fn views_of(&mut self, events: &[&Event]) -> Result<HashMap<StreamId, Before>, ProjectorError> {
        let mut views = HashMap::new();
        let mut missing: HashSet<StreamId> = HashSet::new();
        for event in events {
            if views.contains_key(&event.stream) || missing.contains(&event.stream) {
                continue;
            }
            match self.held.take(&event.stream) {
                Some(view) => _ = views.insert(event.stream.clone(), Before::Held(view)),
                None => _ = missing.insert(event.stream.clone()),
            }
        }
        if !missing.is_empty() {
            let missing: Vec<StreamId> = missing.into_iter().collect();
            views.extend(self.store.views(&self.place(), &missing).await?);
        }
        Ok(views)
    }

    /// Commits, only then believes it, and only then tells it.
    pub(super) async fn write(&mut self, from: i64, to: i64, epoch: i32, folded: Folded) -> Result<(), ProjectorError> {
        let Folded { changes, views, .. } = folded;
        if let Some(pusher) = &mut self.pusher {
            pusher.settle();
        }
        let by = Move { from, to, epoch, pushed: self.pusher.as_ref().map(Pusher::acknowledged) };
        daybook_failpoint::reach("project.before-commit");
        if !self.store.write(&self.place(), by, &changes).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        daybook_failpoint::reach("project.after-commit");
        // Not before: who is superseded finds views that are ahead of it, and that parks nothing.
        for s in &changes.stopped {
            tracing::error!(projector = self.name(), stream = %s.stream, offset = s.offset, reason = s.reason, "a stream is parked: later events of it wait");
        }
        (self.next, self.epoch) = (to, epoch);
        self.pushed = by.pushed.unwrap_or(self.pushed);
        self.end = self.end.max(to);
        for (row, view) in changes.views.into_iter().zip(views) {
            self.held.put(row.stream, view, row.size);
        }
        let stopped: Vec<&str> = changes.stopped.iter().map(|s| s.stream.as_str()).collect();
        // All that stands of them is older than the log from now on.
        let stale = if stopped.is_empty() { Vec::new() } else { self.store.shown(&self.place(), &stopped, from, &stopped).await? };
        let unshown = stopped.iter().filter(|stream| !stale.iter().any(|part| part.stream == **stream));
        self.unshown.extend(unshown.map(|stream| (*stream).to_owned()));
        self.parked.extend(stopped.iter().map(|stream| (*stream).to_owned()));
        self.meters.waiting.set(self.parked.len() as f64);
        self.meters.lag.set((self.end - self.next) as f64);
        self.push(by, changes.parts, &stopped, stale).await
    }
}
