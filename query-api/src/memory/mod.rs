//! Memory: the entries that this process holds of one generation of a read model, and the rules by which pushes change them.
//!
//! A *source* is one log partition that the generation reads. `reached` says that all its changes before that are in what
//! is held. A batch is applied as a whole, under one lock: first the entries, then `reached`, then those who wait are
//! woken. So whoever sees a position sees what it covers.
//!
//! | interleaving | what holds |
//! |---|---|
//! | a batch is lost, or comes in part | the next marker's `from` lies beyond `reached` (or the count is wrong): a new *era*, nothing held before it is believed |
//! | a paused projector pushes late | `to` lies before `reached`: passed over |
//! | the same is pushed twice, or changed in place (a parked stream is mended, and no checkpoint moves) | `to` is `reached`: where an entry says something else, it is dropped and read |
//! | an entry was read from a state further than what was pushed | it keeps that position (`ahead`); batches before it don't touch it |
//! | a load crosses a push | the load was registered before its query: what is pushed meanwhile is kept with it and applied when it lands ([`landing`]) |
//! | a load answers from an older state (a replica that lags) | it is older than what had been seen when it was registered: read again |
//! | a load is further than what is held of another view of the same parts | where the two are at odds, that one is dropped; what is being read beside it is read again ([`View`]) |
//! | a stream is parked before it shows anything | its name comes with the position that covers it ([`Hidden`]) |
//! | nothing is pushed any more | the database is looked at every second ([`Trust`]) |

mod cache;
mod flight;
mod landing;
mod load;
mod look;
mod trust;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderValue;
use daybook_kernel::ConsistencyToken;
use tokio::time::Instant;

pub(crate) use cache::Cache;
pub(crate) use flight::LoadError;
#[cfg(test)]
pub(crate) use flight::Loaded;
#[cfg(test)]
pub(crate) use landing::Landing;

use crate::entry::{After, BETWEEN, Entry, Part, PartNow, View, Views};
use crate::observers::{Change, Content, Observers};
use crate::source::{Hidden, Position, Source, Sources, Streams, position_text};
use crate::store::{Checkpoint, Checkpoints, Generation};
use flight::Flight;
use trust::Trust;

/// All changes of [from, to) of one source.
#[derive(Clone, Debug)]
pub(crate) struct PushedBatch {
    /// The number of the source.
    pub(crate) source: u16,
    pub(crate) epoch: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) changes: Vec<Change>,
    /// False: it has fewer or more changes than its marker counts.
    pub(crate) complete: bool,
    /// The source's streams that show nothing, as of `to`. None: who pushed it does not say.
    pub(crate) hidden: Option<Streams>,
}

/// The effect of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was applied.
    Whole,
    /// It was known already.
    Late,
    /// Something before it, or in it, is missing: nothing that was held is believed any more.
    Gap,
}

/// A position that an answer must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) source: u16,
    pub(crate) position: Position,
}

/// An entry, and the positions of its sources that it covers, in their order.
#[derive(Clone)]
pub(crate) struct EntryAt {
    pub(crate) entry: Arc<Entry>,
    pub(crate) positions: Vec<Position>,
    /// The streams that show nothing, as answers name them.
    pub(crate) hidden: Option<HeaderValue>,
}

/// A change that was pushed: all of its source's before `reached` are in what is held, and with it all before `to`.
struct Pushed<'a> {
    source: u16,
    reached: Position,
    to: Position,
    change: &'a Change,
}

/// The state that is changed under the lock.
pub(crate) struct Core {
    /// By their views' ids.
    pub(crate) flights: HashMap<Box<str>, Flight>,
    pub(crate) views: Views,
    /// By source: the furthest that anything was shown at. What is older is not shown any more.
    pub(crate) shown: Vec<Position>,
    pub(crate) trust: Trust,
    /// When something was pushed last.
    pub(crate) pushed: Instant,
}

/// The memory of one generation.
pub(crate) struct Memory {
    pub(crate) model: Arc<str>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) sources: Sources,
    pub(crate) cache: Cache,
    pub(crate) slot: u32,
    pub(crate) observers: Arc<Observers>,
    /// Raised before a position that entries of before don't cover.
    pub(crate) era: AtomicU64,
    /// Raised after entries have changed and before the position that covers them is published: who finds it unchanged
    /// around a look has seen one state.
    version: AtomicU64,
    pub(crate) hidden: Hidden,
    pub(crate) trusted: AtomicBool,
    /// Another generation answers.
    pub(crate) retired: AtomicBool,
    /// Its checkpoints are not those it was made for: it must be made anew.
    pub(crate) outdated: AtomicBool,
    /// It is the one that answers: followers follow it.
    pub(crate) followed: AtomicBool,
    /// The number of batches that have come, late ones too.
    pub(crate) batches: AtomicU64,
    /// The number of times that a key was read from the database.
    pub(crate) loads: AtomicU64,
    core: Mutex<Core>,
}

impl Memory {
    /// Of a generation whose checkpoints these are, in order. `slot` is nobody else's.
    pub(crate) fn new(
        model: &str,
        generation: Arc<Generation>,
        places: &[(String, i32)],
        cache: Cache,
        slot: u32,
        observers: Arc<Observers>,
    ) -> Self {
        let sources = Sources::new(generation.number, places);
        let core = Core {
            flights: HashMap::new(),
            views: Views::default(),
            shown: vec![Position::UNKNOWN; sources.len()],
            trust: Trust::new(sources.len()),
            pushed: Instant::now(),
        };
        Self {
            model: model.into(),
            generation,
            hidden: Hidden::new(sources.len()),
            sources,
            cache,
            slot,
            observers,
            era: AtomicU64::new(1),
            version: AtomicU64::new(0),
            trusted: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            outdated: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            core: Mutex::new(core),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody holds the lock.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self.core.try_lock(), Err(std::sync::TryLockError::WouldBlock))
    }

    /// The position that an answer to this token must cover; none: there is no such log partition.
    pub(crate) fn need(&self, token: &ConsistencyToken) -> Option<Need> {
        let source = self.sources.find(&token.service, token.partition)?;
        Some(Need { source, position: Position::of(token) })
    }

    /// Looks into memory, for a key or the id of a view. None: nothing is held that may be shown.
    pub(crate) fn hit(&self, id: &str, needs: &[Need]) -> Option<EntryAt> {
        if !self.trusted.load(Ordering::Acquire) {
            return None;
        }
        // Again only where a batch was published within these nanoseconds.
        for _ in 0..64 {
            let version = self.version.load(Ordering::SeqCst);
            // Before the entry: a stream that is shown there may be named for nothing, but none is missing in both.
            let hidden = self.hidden.header();
            let entry = self.cache.get(self.slot, id)?;
            if entry.era != self.era.load(Ordering::SeqCst) {
                return None;
            }
            let covers = |source: u16| self.sources[usize::from(source)].reached().max(entry.ahead(source));
            if !needs.iter().all(|need| covers(need.source) >= need.position) {
                return None;
            }
            let positions = entry.sources().iter().map(|source| covers(*source)).collect();
            if self.version.load(Ordering::SeqCst) == version {
                return Some(EntryAt { entry, positions, hidden });
            }
        }
        None
    }

    /// The positions that were seen, each with its source.
    pub(crate) fn positions<'a>(&'a self, seen: &'a EntryAt) -> impl ExactSizeIterator<Item = (&'a Source, Position)> {
        let sources = seen.entry.sources().iter().map(|source| &self.sources[usize::from(*source)]);
        sources.zip(seen.positions.iter().copied())
    }

    /// The positions as `Consistency-Position` writes them; empty where it rests on nothing.
    pub(crate) fn position_text(&self, seen: &EntryAt) -> String {
        position_text(self.positions(seen))
    }

    /// The same as a header; none where it rests on nothing. It is made once for as long as the positions stay.
    pub(crate) fn position_header(&self, seen: &EntryAt) -> Option<HeaderValue> {
        seen.entry.written(&seen.positions, || HeaderValue::try_from(self.position_text(seen)).ok().filter(|text| !text.is_empty()))
    }

    /// An entry weighs more than when it was put: its forms were made.
    pub(crate) fn weigh_again(&self, id: &str, entry: &Arc<Entry>) {
        // Under the lock: meanwhile nobody puts a newer one, which this would overwrite.
        let _core = self.lock();
        if self.cache.get(self.slot, id).is_some_and(|held| Arc::ptr_eq(&held, entry)) {
            self.cache.put(self.slot, id, entry.clone());
        }
    }

    /// Applies what was pushed.
    pub(crate) fn apply(&self, batch: &PushedBatch) -> Applied {
        let applied = self.apply_now(batch);
        self.batches.fetch_add(1, Ordering::SeqCst);
        applied
    }

    fn apply_now(&self, batch: &PushedBatch) -> Applied {
        let Some(source) = self.sources.get(usize::from(batch.source)) else { return Applied::Late };
        let mut core = self.lock();
        core.pushed = Instant::now();
        let reached = source.reached();
        let (from, to) = (Position::new(batch.epoch, batch.from), Position::new(batch.epoch, batch.to));
        if to < reached {
            self.observers.meters.late.increment(1);
            return Applied::Late;
        }
        if let Some(streams) = &batch.hidden {
            self.hidden.learn(batch.source, to, streams.clone());
        }
        // Also one of another epoch, which lies beyond all of the one before: a log that begins one may have been cut, and what was
        // folded from it is not a state of it.
        if !batch.complete || from > reached {
            self.miss(&mut core, &[(batch.source, to)]);
            drop(core);
            self.observers.subscriptions.wake_all();
            return Applied::Gap;
        }
        for change in &batch.changes {
            self.change(&mut core, batch.source, reached, to, change);
        }
        if self.followed.load(Ordering::SeqCst) {
            for follower in &self.observers.followers {
                follower.applied(&source.at, batch.from, batch.to, batch.epoch, &batch.changes);
            }
        }
        self.publish(&mut core, batch.source, to);
        drop(core);
        self.observers.meters.batches.increment(1);
        self.observers.subscriptions.wake(batch.changes.iter().map(|c| c.key.as_str()));
        Applied::Whole
    }

    fn change(&self, core: &mut Core, source: u16, reached: Position, to: Position, change: &Change) {
        // No reader asks for such a key, which would be taken for the id of a view.
        if change.key.contains(BETWEEN) {
            return;
        }
        let pushed = Pushed { source, reached, to, change };
        let Core { flights, views, .. } = core;
        self.change_view(flights, &View::all(&change.key), &pushed);
        views.each(&change.key, |view| {
            self.change_view(flights, view, &pushed);
            flights.contains_key(&view.id) || self.cache.has(self.slot, &view.id)
        });
    }

    /// Changes what is held of a view, and what is being read for it.
    fn change_view(&self, flights: &mut HashMap<Box<str>, Flight>, view: &View, pushed: &Pushed<'_>) {
        let Pushed { source, reached, to, change } = *pushed;
        let Some(id) = view.part_id(&change.key, &change.part) else { return };
        let part = match &change.content {
            Content::TooLarge => {
                self.cache.drop(self.slot, &view.id);
                if let Some(flight) = flights.get_mut(&view.id) {
                    flight.again = true;
                }
                return;
            }
            Content::Removed => None,
            Content::Bytes(bytes) => Some(Arc::new(Part {
                id: (*id).into(),
                bytes: bytes.clone(),
                source,
                stale: change.stale.then(|| change.stream.as_str().into()),
            })),
        };
        let now = PartNow { id: (*id).into(), source, part, to };
        if let Some(held) = self.cache.get(self.slot, &view.id)
            && held.era == self.era.load(Ordering::SeqCst)
        {
            match held.after(view, &now, reached) {
                After::Same => {}
                After::Changed(next) => self.cache.put(self.slot, &view.id, Arc::from(next)),
                After::Unsure => self.cache.drop(self.slot, &view.id),
            }
        }
        if let Some(flight) = flights.get_mut(&view.id) {
            flight.keep(now);
        }
    }

    /// Changes up to these positions were missed: nothing that was held or is being read is believed any more.
    pub(crate) fn miss(&self, core: &mut Core, missed: &[(u16, Position)]) {
        if missed.is_empty() {
            return;
        }
        self.era.fetch_add(1, Ordering::SeqCst);
        for flight in core.flights.values_mut() {
            flight.again = true;
        }
        for (source, to) in missed {
            if self.sources[usize::from(*source)].reached() != Position::UNKNOWN {
                self.observers.meters.gaps.increment(1);
            }
            self.lost(*source, *to);
            self.publish(core, *source, *to);
        }
    }

    /// Checkpoints were read: what shows nothing as of them. To be called before they are believed.
    pub(crate) fn learn(&self, checkpoints: &Checkpoints) {
        for Checkpoint { service, partition, at, hidden } in checkpoints {
            if let Some(source) = self.sources.find(service, *partition) {
                self.hidden.learn(source, *at, hidden.clone());
            }
        }
    }

    /// Tells the followers that they may have missed changes of a source before a position.
    pub(crate) fn lost(&self, source: u16, before: Position) {
        if self.followed.load(Ordering::SeqCst) {
            for follower in &self.observers.followers {
                follower.lost(&self.sources[usize::from(source)].at, before);
            }
        }
    }

    fn publish(&self, core: &mut Core, at: u16, to: Position) {
        let (source, at) = (&self.sources[usize::from(at)], usize::from(at));
        core.shown[at] = core.shown[at].max(to);
        self.version.fetch_add(1, Ordering::SeqCst);
        source.publish(to);
    }

    /// Another generation has shown this much: nothing older may be shown after it.
    pub(crate) fn shown_elsewhere(&self, shown: &[Position]) {
        for (mine, theirs) in self.lock().shown.iter_mut().zip(shown) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// The number of waits for a position: one a request and token.
    pub(crate) fn waits(&self) -> usize {
        self.sources.iter().map(|s| s.waits.count()).sum()
    }
}
