//! After a commit: changes are pushed; those that a death, a silence or Kafka kept back are pushed again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_proto::v1::HiddenStreams;
use tokio::time::Instant;

use super::Projector;
use crate::ProjectorError;
use crate::batch::Change;
use crate::push::{Push, PushedPart, Pusher, Source, Span};
use crate::store::Move;

/// Events whose streams are read at once to be pushed again.
const AT_ONCE: i64 = 1_000;
/// Longest wait for Kafka's acknowledgements when a partition goes elsewhere, and the time between looks for them.
const LETTING_GO: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(10);
/// Hidden streams that a marker names, at the most.
const NAMED: usize = 20;

impl Projector {
    /// Pushes what it commits from now on, and first what was committed and may not have been pushed.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn pushing(mut self, push: &Push) -> Result<Self, ProjectorError> {
        self = self.with_pusher(push);
        self.resume().await?;
        Ok(self)
    }

    /// Pushes what it commits; changes to be pushed again, it finds when it takes over.
    pub(crate) fn with_pusher(mut self, push: &Push) -> Self {
        let at = Source {
            topic: push.topic(self.model.name),
            generation: self.generation.number,
            service: self.log.service().clone(),
            partition: self.log.number(),
        };
        self.pusher = Some(Pusher::new(push.clone(), self.limits.push.clone(), self.model.name, at));
        self
    }

    /// Work of each second, busy or not: folds parked streams again where that is asked for, notes what Kafka
    /// has acknowledged, and pushes again what it lost.
    ///
    /// # Errors
    /// [`ProjectorError::Superseded`], or that Postgres does not answer.
    pub async fn tend(&mut self) -> Result<(), ProjectorError> {
        self.tend_parked().await?;
        let behind = self.end - self.next;
        let (silent_beyond, next) = (self.limits.push.silent_beyond, self.next);
        let Some(pusher) = &mut self.pusher else { return Ok(()) };
        if pusher.is_idle() && pusher.acknowledged() < next && behind <= silent_beyond {
            self.push_again().await?;
        }
        self.note_pushed().await
    }

    /// Waits a moment for Kafka's acknowledgements, and notes them: the next holder need not push that again.
    pub(super) async fn let_go(&mut self) -> Result<(), ProjectorError> {
        let until = Instant::now() + LETTING_GO;
        while self.pusher.as_mut().is_some_and(|pusher| !pusher.is_idle()) && Instant::now() < until {
            tokio::time::sleep(GLANCE).await;
        }
        self.note_pushed().await
    }

    /// Writes how far Kafka has acknowledged, where no batch has done so.
    async fn note_pushed(&mut self) -> Result<(), ProjectorError> {
        let Some(pushed) = self.pusher.as_ref().map(Pusher::acknowledged).filter(|pushed| *pushed != self.pushed) else {
            return Ok(());
        };
        if !self.store.write_pushed(&self.place(), self.next, pushed).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        self.pushed = pushed;
        Ok(())
    }

    /// Pushes what a batch that is committed has changed; `stale` is all that stands of the streams that `stopped` in it.
    pub(super) async fn push(
        &mut self,
        by: Move,
        parts: BTreeMap<(String, String), Change>,
        stopped: &[&str],
        stale: Vec<PushedPart>,
    ) -> Result<(), ProjectorError> {
        let far_behind = self.end - by.to > self.limits.push.silent_beyond;
        let Some(pusher) = &mut self.pusher else { return Ok(()) };
        if far_behind {
            return Ok(());
        }
        if pusher.hides_a_loss() {
            return self.push_again().await;
        }
        let mut shown: Vec<PushedPart> = parts
            .into_iter()
            .filter(|(_, c)| !c.is_same)
            .map(|((key, part), c)| PushedPart {
                key,
                part,
                stream: c.stream.as_str().to_owned(),
                offset: c.offset,
                bytes: c.bytes,
                stale: false,
            })
            .collect();
        if !stopped.is_empty() {
            shown.retain(|s| s.bytes.is_none() || !stopped.contains(&s.stream.as_str()));
            shown.extend(stale);
            self.mark_stale(&mut shown);
        }
        self.send(Span { from: by.from, to: by.to, epoch: by.epoch }, shown, false);
        Ok(())
    }

    /// Sends a batch, and with it which streams show nothing. `clears_hold`: it has the changes that hold the acknowledgement.
    pub(super) fn send(&mut self, span: Span, shown: Vec<PushedPart>, clears_hold: bool) {
        let streams = self.hidden.iter().take(NAMED).cloned().collect();
        let hidden = HiddenStreams { streams, more: self.hidden.len() > NAMED };
        if let Some(pusher) = &mut self.pusher {
            pusher.push(span, shown, hidden, clears_hold);
        }
    }

    pub(super) fn mark_stale(&self, shown: &mut [PushedPart]) {
        for part in shown {
            part.stale = part.bytes.is_some() && self.parked.contains(&part.stream);
        }
    }

    /// Pushes again, from the tables, all that was touched since the last acknowledgement; or, where that is too much, a
    /// marker that does not join, so that pods read through.
    pub(super) async fn push_again(&mut self) -> Result<(), ProjectorError> {
        let (to, epoch) = (self.next, self.epoch);
        let Some(pusher) = &mut self.pusher else { return Ok(()) };
        let from = pusher.acknowledged();
        if !pusher.is_idle() || from >= to {
            return Ok(());
        }
        let touched = if to - from <= self.limits.push.again_up_to { self.touched_since(from).await? } else { None };
        let (from, mut shown) = match touched {
            Some(shown) => (from, shown),
            // Changes in no span of events would leave no gap where nothing has come after them.
            None => (to, self.store.removed(&self.place(), to - 1).await?),
        };
        self.mark_stale(&mut shown);
        tracing::info!(projector = self.name(), from, to, parts = shown.len(), "pushed again");
        self.send(Span { from, to, epoch }, shown, true);
        Ok(())
    }

    /// The parts that events from `from` on have touched, as they stand; none where they would be more than may be underway.
    async fn touched_since(&mut self, from: i64) -> Result<Option<Vec<PushedPart>>, ProjectorError> {
        let mut all: BTreeMap<(String, String), PushedPart> = BTreeMap::new();
        let (mut bytes, bound) = (0, self.limits.push.bytes);
        let mut add = |parts: Vec<PushedPart>| {
            for part in parts {
                bytes += part.bytes.as_ref().map_or(0, Vec::len) + part.key.len() + part.part.len();
                all.insert((part.key.clone(), part.part.clone()), part);
            }
            bytes <= bound
        };
        let mut at = from;
        while at < self.next {
            let events = self.log.read_events(at, AT_ONCE.min(self.next - at)).await?;
            let Some(last) = events.last() else { break };
            at = last.offset + 1;
            let streams: BTreeSet<&str> = events.iter().map(|e| e.stream_id.as_str()).collect();
            let parked: Vec<&str> = streams.iter().copied().filter(|s| self.parked.contains(*s)).collect();
            let streams: Vec<&str> = streams.into_iter().collect();
            if !add(self.store.shown(&self.place(), &streams, from, &parked).await?) {
                return Ok(None);
            }
        }
        if !add(self.store.removed(&self.place(), from).await?) {
            return Ok(None);
        }
        Ok(Some(all.into_values().collect()))
    }
}
