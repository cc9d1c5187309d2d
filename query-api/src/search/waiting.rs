//! Pushed changes that are not in the index yet: the newest of each part, so that however long the index is being read, no
//! more wait than there are parts. And losses, until what was lost has been read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::positions::Positions;
use crate::observers::{Change, Content};
use crate::source::{Position, SourceId};

/// One part as it is as of a place in the log.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// The batch that brought it ends there.
    pub(super) to: i64,
    /// Of the last event that the part rests on.
    pub(super) offset: i64,
    /// None: it is gone.
    pub(super) bytes: Option<bytes::Bytes>,
}

/// The pending changes of one source: all of [from, to).
#[derive(Debug)]
pub(super) struct SourceChanges {
    pub(super) epoch: i32,
    pub(super) from: i64,
    pub(super) to: i64,
    /// By key and part.
    pub(super) changes: HashMap<(String, String), Now>,
}

/// Something of a source was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// All of it lies before this.
    before: Position,
    /// Its number: a part that is mended in place moves no position.
    number: u64,
}

/// The last loss of each source.
pub(super) type Losses = BTreeMap<SourceId, Loss>;

#[derive(Debug, Default)]
struct Held {
    batches: BTreeMap<SourceId, SourceChanges>,
    lost: Losses,
    losses: u64,
}

/// The next thing to do.
#[derive(Debug)]
pub(super) enum Next {
    /// The changes of one source that waited.
    SourceChanges(SourceId, SourceChanges),
    /// Something was missed: what waits cannot be applied before it has been read.
    Lost,
}

/// The changes that are not in the index yet.
#[derive(Debug, Default)]
pub(super) struct PendingChanges {
    held: Mutex<Held>,
    more: Notify,
}

impl PendingChanges {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch was pushed.
    pub(super) fn push(&self, at: &SourceId, from: i64, to: i64, epoch: i32, changes: &[Change]) {
        let mut held = self.lock();
        let joins = held.batches.get(at).is_none_or(|batch| batch.epoch == epoch && from <= batch.to);
        if !joins || changes.iter().any(|c| c.content == Content::TooLarge) {
            held.lose(at, Position::new(epoch, to));
        } else {
            let batch = held.batches.entry(at.clone()).or_insert_with(|| SourceChanges { epoch, from, to, changes: HashMap::new() });
            batch.add(from, to, changes);
        }
        drop(held);
        self.more.notify_one();
    }

    /// Something before this position was missed.
    pub(super) fn lose(&self, at: &SourceId, before: Position) {
        self.lock().lose(at, before);
        self.more.notify_one();
    }

    /// The losses so far: a reading that begins now has them, where it gets as far.
    pub(super) fn losses(&self) -> Losses {
        self.lock().lost.clone()
    }

    /// Everything was read up to these positions, by a reading that began when this was lost.
    pub(super) fn read(&self, lost: &Losses, up_to: &Positions) {
        let mut held = self.lock();
        held.lost.retain(|at, loss| match up_to.position(at) {
            // As far as it, but begun before it was told: something may have been mended in place meanwhile.
            Some(read) => loss.before > read || (loss.before == read && lost.get(at) != Some(loss)),
            None => at.generation > up_to.generation,
        });
        held.batches.retain(|at, _| at.generation >= up_to.generation);
    }

    /// Waits for what comes next.
    pub(super) async fn next(&self) -> Next {
        loop {
            let more = self.more.notified();
            if let Some(next) = self.lock().next() {
                return next;
            }
            more.await;
        }
    }

    /// The number of changes that wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().batches.values().map(|b| b.changes.len()).sum()
    }

    /// The next thing to do, when something waits.
    #[cfg(test)]
    pub(super) fn try_next(&self) -> Option<Next> {
        self.lock().next()
    }
}

impl Held {
    fn lose(&mut self, at: &SourceId, before: Position) {
        // What waits of it ends before that, or will be read with it.
        self.batches.remove(at);
        self.losses += 1;
        let before = self.lost.get(at).map_or(before, |loss| loss.before.max(before));
        self.lost.insert(at.clone(), Loss { before, number: self.losses });
    }

    fn next(&mut self) -> Option<Next> {
        if !self.lost.is_empty() {
            return Some(Next::Lost);
        }
        self.batches.pop_first().map(|(at, batch)| Next::SourceChanges(at, batch))
    }
}

impl SourceChanges {
    fn add(&mut self, from: i64, to: i64, changes: &[Change]) {
        // Late, by one who was paused: it is older than what waits.
        if to < self.to {
            return;
        }
        (self.from, self.to) = (self.from.min(from), to);
        for change in changes {
            let bytes = match &change.content {
                Content::Bytes(bytes) => Some(bytes.clone()),
                Content::Removed | Content::TooLarge => None,
            };
            let now = Now { to, offset: change.offset, bytes };
            let place = (change.key.clone(), change.part.clone());
            match self.changes.entry(place) {
                std::collections::hash_map::Entry::Vacant(free) => _ = free.insert(now),
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    let older = known.get();
                    // As of a later place it counts whatever it rests on; as of the same, what rests on older events does not.
                    if (now.to, now.offset) >= (older.to, older.offset) {
                        known.insert(now);
                    }
                }
            }
        }
    }
}
