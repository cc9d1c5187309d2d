//! Parked streams, folded again: because an operator asks for it, and once by itself when a process takes the partition, for
//! it may be of a build that knows the event. The task that owns the partition does it, so that parts have one writer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use daybook_follow::{Ask, Event};
use daybook_kernel::StreamId;
use daybook_log::LogError;

use super::Projector;
use crate::ProjectorError;
use crate::batch::{Before, Changes, Folded, Pace, PartView, fold};
use crate::push::{PushedPart, Span};
use crate::store::{Retried, StreamToRetry, WrittenPart};

/// Streams that are looked up at once.
const AT_ONCE: usize = 100;
/// Events of a stream that are in memory at once.
const PAGE: i64 = 500;

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
                let before = self.untried.len();
                self.untried.retain(|s| *s != what.stream);
                let unasked = self.untried.len() < before;
                if let Err(error) = self.retry(&what).await {
                    if !error.is_passing() {
                        self.leave_parked(&what, &error).await?;
                        continue;
                    }
                    // It was not the stream's fault, and it has its turn again.
                    if unasked {
                        self.untried.push(what.stream);
                    }
                    return Err(error);
                }
                if begun.elapsed() > self.limits.idle / 2 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Folds a parked stream from its beginning to the checkpoint, and writes the differences from what stands.
    async fn retry(&mut self, what: &StreamToRetry) -> Result<(), ProjectorError> {
        let skipped = (what.asked == Some(Ask::Skip)).then_some(what.offset);
        if let Some(offset) = skipped {
            // If this is not committed, all that is held is read again.
            self.skipped.add(what.stream.clone(), offset);
        }
        let stream = StreamId::parse(&what.stream).map_err(|why| LogError::Damaged(format!("a parked stream: {why}")))?;
        let mut again = self.fold_again(&stream).await?;
        // It got less far than when the stream was parked: a newer build has folded what this one can't. The stored parts are newer than
        // what this one would make, and stay.
        let knows_less = again.stopped.as_ref().is_some_and(|(offset, _)| *offset < what.offset);
        if let Some((offset, _)) = again.stopped.as_mut().filter(|_| knows_less) {
            *offset = what.offset;
        }
        let parked = again.stopped.clone();
        let shows = if knows_less { !self.hidden.contains(&what.stream) } else { !again.parts.is_empty() };
        let (retried, mut shown) = if knows_less {
            (Retried { skipped, stopped: again.stopped, ..Retried::default() }, Vec::new())
        } else {
            let streams = [stream.as_str()];
            let stands = self.store.shown(&self.place(), &streams, 0, &streams).await?;
            compare(again, &stream, stands, skipped)
        };
        daybook_failpoint::reach("project.before-commit");
        if !self.store.write_retried(&self.place(), self.next, what, &retried).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        daybook_failpoint::reach("project.after-commit");
        if !retried.noted.is_empty() {
            self.removals_before = Some(self.next);
        }
        // The held view is from before.
        let _ = self.held.take(&stream);
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
        let named = if parked.is_some() && !shows { self.hidden.insert(what.stream.clone()) } else { self.hidden.remove(&what.stream) };
        if named || !retried.noted.is_empty() {
            self.mark_stale(&mut shown);
            self.push_out_of_turn(shown);
        }
        Ok(())
    }

    /// A stream that can't be folded again for a reason of its own would hold up all others at each attempt: it stays parked, with
    /// that reason, until it is asked for again.
    async fn leave_parked(&mut self, what: &StreamToRetry, error: &ProjectorError) -> Result<(), ProjectorError> {
        tracing::error!(projector = self.name(), stream = what.stream, %error, "a parked stream can't be folded again");
        let retried = Retried { stopped: Some((what.offset, error.to_string())), ..Retried::default() };
        if !self.store.write_retried(&self.place(), self.next, what, &retried).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        // The event that was to be done without is not, then.
        self.skipped = self.store.skipped(&self.place()).await?;
        Ok(())
    }

    /// Folds a stream from its first event to the checkpoint, a page after the other: a long one is never in memory as a whole.
    async fn fold_again(&mut self, stream: &StreamId) -> Result<Again, ProjectorError> {
        let (mut again, service) = (Again::default(), self.log.service());
        let mut version = 0;
        while again.stopped.is_none() {
            let stored = self.log.read_stream_after(stream.as_str(), version, PAGE).await?;
            let events = stored.into_iter().map(Event::stored).collect::<Result<Vec<_>, _>>()?;
            // Events beyond the checkpoint come in their turn.
            let events: Vec<&Event> = events.iter().filter(|e| e.offset < self.next).collect();
            let Some(last) = events.last() else { break };
            version = last.version;
            let quick = fold(&self.model, service, &events, again.before(stream), &self.skipped, Pace::Quick);
            let folded = quick.or_else(|_| fold(&self.model, service, &events, again.before(stream), &self.skipped, Pace::Careful));
            again.take(folded.map_err(|stopped| ProjectorError::Panicked(stopped.reason))?);
        }
        Ok(again)
    }

    /// Pushes changes that no event of a batch has made. Lost, they leave no gap, so their acknowledgement is waited for.
    fn push_out_of_turn(&mut self, shown: Vec<PushedPart>) {
        let far_behind = self.end - self.next > self.limits.push.silent_beyond;
        let Some(pusher) = &mut self.pusher else { return };
        pusher.hold_ack_at(self.next - 1);
        self.pushed = self.pushed.min(self.next - 1);
        if !far_behind {
            self.send(Span { from: self.next, to: self.next, epoch: self.epoch }, shown, true);
        }
    }
}

/// A stream folded from its first event on, as far as that has got.
#[derive(Default)]
struct Again {
    /// Bytes, and the offset of the last event that they rest on.
    parts: BTreeMap<(String, String), (Vec<u8>, i64)>,
    keys: BTreeSet<String>,
    view: Option<StreamView>,
    stopped: Option<(i64, String)>,
}

/// The view of a stream, wherever it is to be kept.
struct StreamView {
    /// Of the last event folded into it.
    offset: i64,
    version: i64,
    bytes: Vec<u8>,
}

impl Again {
    /// The view that the next page goes on from.
    fn before(&self, stream: &StreamId) -> HashMap<StreamId, Before> {
        let Some(view) = &self.view else { return HashMap::new() };
        HashMap::from([(stream.clone(), Before::Stored { version: view.version, bytes: view.bytes.clone() })])
    }

    fn take(&mut self, page: Folded) {
        let Changes { parts, writers, views, stopped } = page.changes;
        let mut in_its_part = None;
        for (place, change) in parts {
            match change.bytes {
                Some(bytes) => {
                    in_its_part = change.view.map(|view| view.bytes.unwrap_or_else(|| bytes.clone()));
                    self.parts.insert(place, (bytes, change.offset))
                }
                None => self.parts.remove(&place),
            };
        }
        self.keys.extend(writers.into_iter().map(|(key, _)| key));
        if let Some(row) = views.into_iter().next() {
            let bytes = row.bytes.or(in_its_part).unwrap_or_default();
            self.view = Some(StreamView { offset: row.offset, version: row.version, bytes });
        }
        self.stopped = stopped.into_iter().next().map(|s| (s.offset, s.reason));
    }
}

/// The rows to write, and the parts to push, so that `stands` becomes what was folded.
fn compare(again: Again, stream: &StreamId, stands: Vec<PushedPart>, skipped: Option<i64>) -> (Retried, Vec<PushedPart>) {
    let Again { parts, keys, view, stopped } = again;
    let freed = stopped.is_none();
    let mut retried = Retried { keys, skipped, stopped, ..Retried::default() };
    let mut in_its_part = None;
    match view {
        Some(view) if parts.len() == 1 => in_its_part = Some(view),
        Some(view) => retried.view = Some((view.offset, view.version, view.bytes)),
        None => {}
    }
    let mut before: BTreeMap<(String, String), PushedPart> = stands.into_iter().map(|s| ((s.key.clone(), s.part.clone()), s)).collect();
    let mut shown = Vec::new();
    for ((key, part), (bytes, offset)) in parts {
        let view = in_its_part.take().map(|v| PartView { version: v.version, bytes: (v.bytes != bytes).then_some(v.bytes) });
        // Also where it stands: its row holds the view, or holds it no longer.
        retried.written.push(WrittenPart { place: (key.clone(), part.clone()), bytes: bytes.clone(), offset, view });
        match before.remove(&(key.clone(), part.clone())) {
            // It stands as it is; only that it is not older than the log any more is new.
            Some(same) if same.bytes.as_ref() == Some(&bytes) => shown.extend(freed.then_some(same)),
            _ => {
                let stream = stream.as_str().to_owned();
                shown.push(PushedPart { key, part, stream, offset, bytes: Some(bytes), stale: false });
            }
        }
    }
    for (place, gone) in before {
        shown.push(PushedPart { bytes: None, ..gone });
        retried.gone.push(place);
    }
    retried.noted = shown.iter().map(|s| (s.key.clone(), s.part.clone())).collect();
    (retried, shown)
}
