//! From events to committed batches.

use std::collections::{HashMap, HashSet};

use daybook_follow::{Event, Moved};
use daybook_kernel::StreamId;
use daybook_log::LogError;

use super::Projector;
use crate::ProjectorError;
use crate::batch::{Before, Folded, Pace, fold};
use crate::push::{Pusher, Span};
use crate::store::Move;

impl Projector {
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
        self.apply(events).await
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

    /// Folds a batch of the log that begins at the next offset, and commits it.
    async fn apply(&mut self, events: Vec<Event>) -> Result<(), ProjectorError> {
        let events: Vec<&Event> = events.iter().collect();
        let Some(by) = self.span(&events).await? else { return Ok(()) };
        let folded = match self.fold_batch(&events, Pace::Quick).await? {
            Ok(folded) => folded,
            Err(why) => {
                tracing::info!(projector = self.name(), why, "a batch is folded again, event by event");
                // Another generation's projector may have been told meanwhile to do without the event that would park here.
                self.skipped = self.store.skipped(&self.place()).await?;
                self.fold_batch(&events, Pace::Careful).await?.map_err(ProjectorError::Panicked)?
            }
        };
        self.write(by.from, by.to, by.epoch, folded).await
    }

    /// The span of a batch; none: there are no events.
    pub(super) async fn span(&self, events: &[&Event]) -> Result<Option<Span>, ProjectorError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        self.compare_epochs(last.epoch).await?;
        Ok(Some(Span { from: first.offset, to: last.offset + 1, epoch: last.epoch.max(self.epoch) }))
    }

    /// The inner error: a stream stopped, and all views in memory are forgotten.
    pub(super) async fn fold_batch(&mut self, events: &[&Event], pace: Pace) -> Result<Result<Folded, String>, ProjectorError> {
        let service = self.log.service().clone();
        let folds = |e: &&&Event| self.model.fold(&service, e.stream.aggregate()).is_some() && !self.parked.contains(e.stream.as_str());
        let relevant: Vec<&Event> = events.iter().filter(folds).copied().collect();
        let before = self.views_of(&relevant).await?;
        Ok(fold(&self.model, &service, &relevant, before, &self.skipped, pace).map_err(|stopped| {
            self.held.clear();
            format!("{} at offset {}: {}", stopped.stream, stopped.offset, stopped.reason)
        }))
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
        let by = self.moves(Span { from, to, epoch });
        daybook_failpoint::reach("project.before-commit");
        match self.store.write(&self.place(), by, &folded.changes).await? {
            Moved::Yes => {}
            Moved::No => return Err(ProjectorError::Superseded(self.name())),
            Moved::Locked => {
                self.held.clear();
                return Err(ProjectorError::Locked(self.name()));
            }
        }
        daybook_failpoint::reach("project.after-commit");
        self.wrote(by, folded).await
    }

    /// The checkpoint's move over a batch.
    pub(super) fn moves(&mut self, span: Span) -> Move {
        if let Some(pusher) = &mut self.pusher {
            pusher.settle();
        }
        Move { from: span.from, to: span.to, epoch: span.epoch, pushed: self.pusher.as_ref().map(Pusher::acknowledged) }
    }

    /// A batch stands: the views in memory move on, and the changes are pushed.
    pub(super) async fn wrote(&mut self, by: Move, folded: Folded) -> Result<(), ProjectorError> {
        let Folded { changes, views, events } = folded;
        // The statement takes away the removals that lie before the pushed offset.
        if changes.removes() {
            self.removals_before = Some(by.to);
        } else if self.removals_before.is_some_and(|before| by.pushed.is_none_or(|pushed| pushed >= before)) {
            self.removals_before = None;
        }
        // Not before: a superseded projector finds views that are ahead of it, and that parks nothing.
        for s in &changes.stopped {
            tracing::error!(projector = self.name(), stream = %s.stream, offset = s.offset, reason = s.reason, "a stream is parked: later events of it wait");
        }
        let parked = changes.stopped.len() as u64;
        self.counts.folded += events;
        self.counts.parked += parked;
        self.meters.folded.increment(events);
        self.meters.parked.increment(parked);
        (self.next, self.epoch) = (by.to, by.epoch);
        self.pushed = by.pushed.unwrap_or(self.pushed);
        self.end = self.end.max(by.to);
        for (row, view) in changes.views.into_iter().zip(views) {
            self.held.put(row.stream, view, row.size);
        }
        let stopped: Vec<&str> = changes.stopped.iter().map(|s| s.stream.as_str()).collect();
        // All that stands of them is older than the log from now on.
        let stale = if stopped.is_empty() { Vec::new() } else { self.store.shown(&self.place(), &stopped, by.from, &stopped).await? };
        let hidden = stopped.iter().filter(|stream| !stale.iter().any(|part| part.stream == **stream));
        self.hidden.extend(hidden.map(|stream| (*stream).to_owned()));
        self.parked.extend(stopped.iter().map(|stream| (*stream).to_owned()));
        self.meters.waiting.set(self.parked.len() as f64);
        self.meters.lag.set((self.end - self.next) as f64);
        self.push(by, changes.parts, &stopped, stale).await
    }
}
