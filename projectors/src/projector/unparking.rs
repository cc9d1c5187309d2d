//! Parked streams, folded again: because an operator asks for it, and once by itself when a process takes the partition, for
//! it may be of a build that knows the event. The task that owns the partition does it, so that parts have one writer.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use daybook_kernel::StreamId;

use super::Projector;
use crate::ProjectorError;
use crate::batch::{Folded, Pace, fold};
use crate::event::Event;
use crate::parked::Ask;
use crate::push::{Shown, Span};
use crate::store::{Retried, Waiting};

/// How many are looked up at once.
const AT_ONCE: usize = 100;

impl Projector {
    /// Each stream that is parked now will be folded again once, by [`tend`](Self::tend).
    pub fn try_parked_again(&mut self) {
        self.untried = self.parked.iter().cloned().collect();
    }

    /// Folds parked streams again whose turn it is; for no longer than half of the time between two looks.
    pub(super) async fn tend_parked(&mut self) -> Result<(), ProjectorError> {
        let begun = Instant::now();
        while !self.parked.is_empty() {
            let from = self.untried.len().saturating_sub(AT_ONCE);
            let untried: Vec<&str> = self.untried[from..].iter().map(String::as_str).collect();
            let waiting = self.store.asked(&self.place(), &untried, AT_ONCE as i64).await?;
            if waiting.is_empty() {
                self.untried.truncate(from);
                return Ok(());
            }
            for what in waiting {
                self.untried.retain(|s| *s != what.stream);
                self.retry(&what).await?;
                if begun.elapsed() > self.limits.idle / 2 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Folds a parked stream from its beginning to the checkpoint, and writes what of it is otherwise than it stands.
    async fn retry(&mut self, what: &Waiting) -> Result<(), ProjectorError> {
        let skipped = (what.asked == Some(Ask::Skip)).then_some(what.offset);
        if let Some(offset) = skipped {
            // Where this is not committed, all that is held is read again.
            self.skipped.add(what.stream.clone(), offset);
        }
        let folded = self.fold_again(&what.stream).await?;
        let streams = [what.stream.as_str()];
        let stands = self.store.shown(&self.place(), &streams, 0, &streams).await?;
        let parked = folded.changes.stopped.first().map(|s| (s.offset, s.reason.clone()));
        let (retried, mut shown) = compare(folded, stands, skipped);
        daybook_failpoint::reach("project.before-commit");
        if !self.store.write_retried(&self.place(), self.next, what, &retried).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        daybook_failpoint::reach("project.after-commit");
        if let Ok(stream) = StreamId::parse(&what.stream) {
            // What is held is of before.
            let _ = self.held.take(&stream);
        }
        match &parked {
            Some((offset, reason)) => {
                tracing::warn!(projector = self.name(), stream = what.stream, offset, reason, "a parked stream was folded again in vain");
            }
            None => {
                tracing::info!(projector = self.name(), stream = what.stream, "a parked stream flows again");
                self.parked.remove(&what.stream);
            }
        }
        self.meters.waiting.set(self.parked.len() as f64);
        if !retried.noted.is_empty() {
            self.mark_stale(&mut shown);
            self.push_out_of_turn(shown);
        }
        Ok(())
    }

    async fn fold_again(&mut self, stream: &str) -> Result<Folded, ProjectorError> {
        let stored = self.log.read_stream(stream).await?;
        let events = stored.into_iter().map(Event::stored).collect::<Result<Vec<_>, _>>()?;
        // What lies beyond the checkpoint comes in its turn.
        let events: Vec<&Event> = events.iter().filter(|e| e.offset < self.next).collect();
        let service = self.log.service();
        let quick = fold(&self.model, service, &events, HashMap::new(), &self.skipped, Pace::Quick);
        let folded = quick.or_else(|_| fold(&self.model, service, &events, HashMap::new(), &self.skipped, Pace::Careful));
        folded.map_err(|stopped| ProjectorError::Panicked(stopped.reason))
    }

    /// Pushes what no event of a batch has changed. It leaves no gap where it is lost, so its acknowledgement is waited for.
    fn push_out_of_turn(&mut self, shown: Vec<Shown>) {
        let far_behind = self.end - self.next > self.limits.push.silent_beyond;
        let Some(pusher) = &mut self.pusher else { return };
        pusher.owe(self.next - 1);
        self.pushed = self.pushed.min(self.next - 1);
        if !far_behind {
            pusher.push(Span { from: self.next, to: self.next, epoch: self.epoch }, shown, true);
        }
    }
}

/// What to write, and what to push, so that `stands` becomes what was folded.
fn compare(folded: Folded, stands: Vec<Shown>, skipped: Option<i64>) -> (Retried, Vec<Shown>) {
    let changes = folded.changes;
    let stopped = changes.stopped.into_iter().next().map(|s| (s.offset, s.reason));
    let freed = stopped.is_none();
    let keys = changes.writers.into_iter().map(|(key, _)| key).collect();
    let mut retried = Retried { keys, skipped, stopped, ..Retried::default() };
    retried.view = changes.views.into_iter().next().map(|v| (v.offset, v.version, v.bytes));
    let mut before: BTreeMap<(String, String), Shown> = stands.into_iter().map(|s| ((s.key.clone(), s.part.clone()), s)).collect();
    let mut shown = Vec::new();
    for ((key, part), change) in changes.parts {
        let Some(bytes) = change.bytes else { continue };
        match before.remove(&(key.clone(), part.clone())) {
            // It stands as it is; only that it is not older than the log any more is new.
            Some(same) if same.bytes.as_ref() == Some(&bytes) => shown.extend(freed.then_some(same)),
            _ => {
                retried.written.push((key.clone(), part.clone(), bytes.clone(), change.offset));
                let stream = change.stream.as_str().to_owned();
                shown.push(Shown { key, part, stream, offset: change.offset, bytes: Some(bytes), stale: false });
            }
        }
    }
    for (place, gone) in before {
        shown.push(Shown { bytes: None, ..gone });
        retried.gone.push(place);
    }
    retried.noted = shown.iter().map(|s| (s.key.clone(), s.part.clone())).collect();
    (retried, shown)
}
