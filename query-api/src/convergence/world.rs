//! A database, its projectors, what they push, and the memory that it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::entry::{Entry, Part, PartsQuery, View};
use crate::memory::{Cache, Landing, Memory, PushedBatch};
use crate::observers::{Change, Content, Follower, Observers};
use crate::source::Position;
use crate::store::{Generation, Snapshot};

const KEYS: [&str; 2] = ["a", "b"];
const PARTS: [[&str; 2]; 2] = [["p0", "p1"], ["q0", "q1"]];
/// What is looked at: each key, pages of the first one, and parts of both.
pub(super) const VIEWS: usize = 6;

fn views() -> [Arc<View>; VIEWS] {
    let both = || KEYS.map(str::to_owned).into();
    [
        View::all(KEYS[0]),
        View::all(KEYS[1]),
        View::page(KEYS[0], None, 1),
        View::page(KEYS[0], None, 2),
        View::page(KEYS[0], Some("p0"), 2),
        View::beginning(both(), "p"),
    ]
    .map(Arc::new)
}

/// (key, part): the place of a part.
pub(super) type PartPlace = (usize, usize);

/// A part as it became by a commit. The number of the commit is its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Became {
    to: i64,
    number: u64,
    there: bool,
    in_place: bool,
}

/// The database at one moment.
#[derive(Clone, Default)]
struct State {
    next: [i64; 2],
    parts: BTreeMap<(usize, PartPlace), u64>,
}

pub(super) struct World {
    pub(super) memory: Memory,
    states: Vec<State>,
    history: BTreeMap<(usize, PartPlace), Vec<Became>>,
    number: u64,
    pub(super) queue: [Vec<PushedBatch>; 2],
    pub(super) archive: [Vec<PushedBatch>; 2],
    /// Up to where everything was pushed; and whether something that leaves no gap was lost.
    pub(super) pushed: [i64; 2],
    pub(super) owed: [bool; 2],
    pub(super) views: [Arc<View>; VIEWS],
    snapshots: [Option<Snapshot>; VIEWS],
    pub(super) flying: [bool; VIEWS],
    /// The number of the commit that each part was shown at: by a view, and by any where it was there.
    shown: BTreeMap<(usize, usize, PartPlace), u64>,
    newest: BTreeMap<(usize, PartPlace), u64>,
    /// Loads may be answered by a replica that lags.
    pub(super) lagging: bool,
}

pub(super) fn at(next: i64) -> Position {
    Position::new(1, next)
}

impl World {
    pub(super) fn new(lagging: bool) -> Self {
        let memory = Self::unsynced(Vec::new());
        memory.sync(&[at(0), at(0)]);
        Self {
            memory,
            states: vec![State::default()],
            history: BTreeMap::new(),
            number: 0,
            queue: Default::default(),
            archive: Default::default(),
            pushed: [0; 2],
            owed: [false; 2],
            views: views(),
            snapshots: Default::default(),
            flying: [false; VIEWS],
            shown: BTreeMap::new(),
            newest: BTreeMap::new(),
            lagging,
        }
    }

    /// Of two sources, and not yet compared with any database.
    pub(super) fn unsynced(followers: Vec<Arc<dyn Follower>>) -> Memory {
        let places = [("s".to_owned(), 0), ("s".to_owned(), 1)];
        Memory::new("m", Arc::new(Generation::new(1, "m_1")), &places, Cache::new(1 << 20), 0, Arc::new(Observers::new("m", followers)))
    }

    fn now(&self) -> &State {
        self.states.last().expect("there is always one")
    }

    pub(super) fn stamps(&self) -> Vec<Position> {
        self.now().next.map(at).to_vec()
    }

    fn change(source: usize, place: PartPlace, number: Option<&u64>) -> Change {
        let content = number.map_or(Content::Removed, |n| Content::Bytes(Bytes::from(n.to_string())));
        let (key, part) = (KEYS[place.0].to_owned(), PARTS[source][place.1].to_owned());
        Change { key, part, stream: String::new(), offset: 0, content, stale: false }
    }

    pub(super) fn commit(&mut self, source: usize, changes: &[(PartPlace, bool)], moves: bool) {
        self.number += 1;
        let mut next = self.now().clone();
        let from = next.next[source];
        next.next[source] += i64::from(moves);
        let to = next.next[source];
        let changes: BTreeMap<PartPlace, bool> = changes.iter().copied().collect();
        for (place, there) in &changes {
            let part = (source, *place);
            if *there {
                next.parts.insert(part, self.number);
            } else {
                next.parts.remove(&part);
            }
            self.history.entry(part).or_default().push(Became { to, number: self.number, there: *there, in_place: !moves });
        }
        let changes = changes.keys().map(|place| Self::change(source, *place, next.parts.get(&(source, *place)))).collect();
        let batch = PushedBatch { source: source as u16, epoch: 1, from, to, changes, complete: true, hidden: None };
        self.queue[source].push(batch.clone());
        self.archive[source].push(batch);
        self.states.push(next);
    }

    /// What a projector does that takes over, or has lost what leaves no gap.
    pub(super) fn take_over(&mut self, source: usize) {
        let to = self.now().next[source];
        let mended = self.owed[source] || self.queue[source].iter().any(|b| b.from == b.to);
        let from = if mended { self.pushed[source].min((to - 1).max(0)) } else { self.pushed[source] };
        self.queue[source].clear();
        let touched = self
            .history
            .iter()
            .filter(|((s, _), became)| *s == source && became.iter().any(|b| b.to > from || (b.in_place && b.to >= from)));
        let changes: Vec<Change> =
            touched.map(|((_, place), _)| Self::change(source, *place, self.now().parts.get(&(source, *place)))).collect();
        let batch = PushedBatch { source: source as u16, epoch: 1, from, to, changes, complete: true, hidden: None };
        self.memory.apply(&batch);
        self.archive[source].push(batch);
        (self.pushed[source], self.owed[source]) = (to, false);
    }

    pub(super) fn take(&mut self, source: usize) -> Option<PushedBatch> {
        (!self.queue[source].is_empty()).then(|| self.queue[source].remove(0))
    }

    pub(super) fn lost(&mut self, source: usize, batch: &PushedBatch) {
        self.owed[source] |= batch.from == batch.to;
    }

    /// Checks what is shown of a view against what is stored, and was shown before.
    fn show(&mut self, view: usize, entry: &Entry, covered: impl Fn(usize) -> Option<i64>) -> Result<(), TestCaseError> {
        let looked_at = self.views[view].clone();
        for (place, id) in places(&looked_at) {
            if !looked_at.knows(KEYS[place.1.0], &id, entry.parts()) {
                continue;
            }
            let part = entry.parts().find(&id);
            let number: Option<u64> = part.map(|p| std::str::from_utf8(&p.bytes).expect("text").parse().expect("a number"));
            let history = self.history.get(&place).cloned().unwrap_or_default();
            let before = self.shown.get(&(view, place.0, place.1)).copied().unwrap_or_default();
            let wanted = covered(place.0)
                .map_or(0, |covered| history.iter().filter(|b| !b.in_place && b.to <= covered).map(|b| b.number).max().unwrap_or_default());
            let least = before.max(wanted);
            let now = match number {
                Some(number) => Some(number).filter(|n| *n >= least),
                None if least == 0 => Some(0),
                None => history.iter().find(|b| !b.there && b.number >= least).map(|b| b.number),
            };
            prop_assert!(now.is_some(), "{place:?} shows {number:?}, was shown at {before}, must be at {wanted} or later; {history:?}");
            self.shown.insert((view, place.0, place.1), now.unwrap_or_default());
            if let Some(number) = number {
                let newest = self.newest.entry(place).or_default();
                prop_assert!(number >= *newest, "{place:?} shows {number}, and {newest} was shown in another view");
                *newest = number;
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, view: usize) -> Result<(), TestCaseError> {
        let Some(seen) = self.memory.hit(&self.views[view].id, &[]) else { return Ok(()) };
        let covered: BTreeMap<usize, i64> =
            seen.entry.sources().iter().zip(&seen.positions).map(|(s, p)| (usize::from(*s), p.next())).collect();
        self.show(view, &seen.entry, |source| covered.get(&source).copied())
    }

    pub(super) fn query(&mut self, view: usize, ago: usize) {
        let ago = if self.lagging { ago.min(self.states.len() - 1) } else { 0 };
        let state = &self.states[self.states.len() - 1 - ago];
        let parts = stored(&self.views[view], state).into_iter().map(|(id, (source, number))| {
            let bytes = Bytes::from(number.to_string());
            Arc::new(Part { id: id.into(), bytes, source: source as u16, stale: None })
        });
        self.snapshots[view] = Some(Snapshot { parts: parts.collect(), stamps: state.next.map(at).to_vec(), hidden: Vec::new() });
    }

    pub(super) fn land(&mut self, view: usize) -> Result<(), TestCaseError> {
        let Some(snapshot) = self.snapshots[view].take() else { return Ok(()) };
        match self.memory.land(&self.views[view], snapshot) {
            Landing::Landed(landed) => {
                self.flying[view] = false;
                let covered: Vec<i64> = landed.at.iter().map(|p| p.next()).collect();
                self.show(view, &landed.entry, |source| Some(covered[source]))
            }
            Landing::Again => {
                self.memory.depart_again(&self.views[view].id);
                Ok(())
            }
            Landing::TooOld => Ok(()),
        }
    }

    pub(super) fn depart(&mut self, view: usize) {
        if !self.flying[view] {
            self.flying[view] = true;
            self.memory.depart(&self.views[view]);
        }
    }

    pub(super) fn look(&self) {
        self.memory.look(Instant::now(), &self.stamps(), Duration::ZERO);
    }

    pub(super) fn is_stored(&self, view: usize, entry: &Entry) -> Result<(), TestCaseError> {
        let held: BTreeMap<String, Bytes> = entry.parts().iter().map(|p| (p.id.to_string(), p.bytes.clone())).collect();
        let stored = stored(&self.views[view], self.now()).into_iter();
        let stored: BTreeMap<String, Bytes> = stored.map(|(id, (_, n))| (id, Bytes::from(n.to_string()))).collect();
        prop_assert_eq!(held, stored);
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Result<(), TestCaseError> {
        // All that was lost is found: by a look, or by who takes over.
        self.look();
        self.look();
        for source in 0..2 {
            self.take_over(source);
        }
        self.look();
        prop_assert!(self.memory.is_trusted());
        for view in 0..VIEWS {
            if let Some(seen) = self.memory.hit(&self.views[view].id, &[]) {
                self.is_stored(view, &seen.entry)?;
            }
            self.depart(view);
            for _ in 0..3 {
                if self.flying[view] {
                    self.query(view, 0);
                    self.land(view)?;
                }
            }
            let seen = self.memory.hit(&self.views[view].id, &[]);
            prop_assert!(seen.is_some());
            if let Some(seen) = seen {
                self.is_stored(view, &seen.entry)?;
            }
        }
        Ok(())
    }
}

/// All places that a view could show, and their ids there.
fn places(view: &View) -> Vec<((usize, PartPlace), String)> {
    let mut all = Vec::new();
    for (source, parts) in PARTS.iter().enumerate() {
        for (key, name) in KEYS.iter().enumerate().filter(|(_, name)| view.keys.iter().any(|k| k == *name)) {
            let ids = parts.iter().enumerate().filter_map(|(part, id)| Some((part, view.part_id(name, id)?)));
            all.extend(ids.map(|(part, id)| ((source, (key, part)), id.into_owned())));
        }
    }
    all
}

/// What the database answers: by id, the source and the content.
fn stored(view: &View, state: &State) -> BTreeMap<String, (usize, u64)> {
    let there = places(view).into_iter().filter_map(|(place, id)| Some((id, (place.0, *state.parts.get(&place)?))));
    let all: BTreeMap<String, (usize, u64)> = there.collect();
    let limit = match view.query() {
        PartsQuery::Page { limit, .. } => usize::try_from(limit).expect("few"),
        _ => all.len(),
    };
    all.into_iter().take(limit).collect()
}
