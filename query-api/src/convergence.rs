//! Whatever order commits, pushes and loads come in, and whatever is lost, late or doubled: nobody is shown what is older
//! than what was shown before, or than what it says of itself; and once all is pushed, what is held is what is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::entry::{Entry, Part};
use crate::flight::{Landing, Snapshot};
use crate::follow::{Change, Content};
use crate::hot::Hot;
use crate::memory::{Batch, Memory, Told};
use crate::meters::Meters;
use crate::position::Position;
use crate::store::Live;

const KEYS: [&str; 2] = ["a", "b"];
const PARTS: [[&str; 2]; 2] = [["p0", "p1"], ["q0", "q1"]];

/// (key, part): the place of a part.
type Place = (usize, usize);

#[derive(Clone, Debug)]
enum Step {
    /// A projector commits: these parts are written, or removed.
    Commit(usize, Vec<(Place, bool)>),
    /// A projector changes a part in place.
    Mend(usize, Place, bool),
    /// What was committed first and not pushed is pushed.
    Push(usize),
    /// It is lost instead.
    Lose(usize),
    /// It comes without one of its changes.
    Tear(usize),
    /// Somebody pushes again what was pushed, or lost, long ago.
    Late(usize, usize),
    /// Another projector takes over, and pushes again what may not have been.
    TakeOver(usize),
    Depart(usize),
    /// The load's query, answered from a state so many commits ago.
    Query(usize, usize),
    Land(usize),
    Read(usize),
    Look,
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2_usize, 0..2_usize);
    prop_oneof![
        5 => (0..2_usize, prop::collection::vec((place(), prop::bool::weighted(0.8)), 0..3)).prop_map(|(s, c)| Step::Commit(s, c)),
        1 => (0..2_usize, place(), prop::bool::weighted(0.8)).prop_map(|(s, p, w)| Step::Mend(s, p, w)),
        6 => (0..2_usize).prop_map(Step::Push),
        1 => (0..2_usize).prop_map(Step::Lose),
        1 => (0..2_usize).prop_map(Step::Tear),
        1 => (0..2_usize, any::<usize>()).prop_map(|(s, n)| Step::Late(s, n)),
        1 => (0..2_usize).prop_map(Step::TakeOver),
        4 => (0..2_usize).prop_map(Step::Depart),
        4 => (0..2_usize, 0..3_usize).prop_map(|(k, ago)| Step::Query(k, ago)),
        4 => (0..2_usize).prop_map(Step::Land),
        6 => (0..2_usize).prop_map(Step::Read),
        1 => Just(Step::Look),
        1 => Just(Step::Sync),
    ]
}

/// A part as it became by a commit. The number of the commit is its content.
#[derive(Clone, Copy, Debug)]
struct Became {
    to: i64,
    number: u64,
    there: bool,
    in_place: bool,
}

/// The database at one moment.
#[derive(Clone, Default)]
struct State {
    next: [i64; 2],
    parts: BTreeMap<(usize, Place), u64>,
}

struct World {
    memory: Memory,
    states: Vec<State>,
    history: BTreeMap<(usize, Place), Vec<Became>>,
    number: u64,
    queue: [Vec<Batch>; 2],
    archive: [Vec<Batch>; 2],
    /// Up to where everything was pushed; and whether something that leaves no gap was lost.
    pushed: [i64; 2],
    owed: [bool; 2],
    snapshots: [Option<Snapshot>; 2],
    flying: [bool; 2],
    /// The number of the commit that each part was shown at.
    shown: BTreeMap<(usize, Place), u64>,
    /// Loads may be answered by a replica that lags.
    lagging: bool,
}

fn at(next: i64) -> Position {
    Position::new(1, next)
}

impl World {
    fn new(lagging: bool) -> Self {
        let told = Told { followers: Vec::new(), subscriptions: Arc::default(), meters: Meters::new("m"), hot: Hot::default() };
        let live = Live { generation: 1, parts: "m_1".into(), read_parts: String::new() };
        let places = [("s".to_owned(), 0), ("s".to_owned(), 1)];
        let memory = Memory::new("m", Arc::new(live), &places, Cache::new(1 << 20), 0, Arc::new(told));
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
            snapshots: [None, None],
            flying: [false; 2],
            shown: BTreeMap::new(),
            lagging,
        }
    }

    fn now(&self) -> &State {
        self.states.last().expect("there is always one")
    }

    fn stamps(&self) -> Vec<Position> {
        self.now().next.map(at).to_vec()
    }

    fn change(source: usize, place: Place, number: Option<&u64>) -> Change {
        let content = number.map_or(Content::Removed, |n| Content::Bytes(Bytes::from(n.to_string())));
        let (key, part) = (KEYS[place.0].to_owned(), PARTS[source][place.1].to_owned());
        Change { key, part, stream: String::new(), offset: 0, content, stale: false }
    }

    fn commit(&mut self, source: usize, changes: &[(Place, bool)], moves: bool) {
        self.number += 1;
        let mut next = self.now().clone();
        let from = next.next[source];
        next.next[source] += i64::from(moves);
        let to = next.next[source];
        let changes: BTreeMap<Place, bool> = changes.iter().copied().collect();
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
        let batch = Batch { source: source as u16, epoch: 1, from, to, changes, complete: true };
        self.queue[source].push(batch.clone());
        self.archive[source].push(batch);
        self.states.push(next);
    }

    /// What a projector does that takes over, or has lost what leaves no gap.
    fn take_over(&mut self, source: usize) {
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
        let batch = Batch { source: source as u16, epoch: 1, from, to, changes, complete: true };
        self.memory.apply(&batch);
        self.archive[source].push(batch);
        (self.pushed[source], self.owed[source]) = (to, false);
    }

    fn take(&mut self, source: usize) -> Option<Batch> {
        (!self.queue[source].is_empty()).then(|| self.queue[source].remove(0))
    }

    fn lost(&mut self, source: usize, batch: &Batch) {
        self.owed[source] |= batch.from == batch.to;
    }

    /// Checks what is shown of a key against what is stored, and was shown before.
    fn show(&mut self, key: usize, entry: &Entry, covered: impl Fn(usize) -> Option<i64>) -> Result<(), TestCaseError> {
        for (source, parts) in PARTS.iter().enumerate() {
            for (part, id) in parts.iter().enumerate() {
                let place = (source, (key, part));
                let held = entry.parts().iter().find(|p| *p.id == **id);
                let number: Option<u64> = held.map(|p| std::str::from_utf8(&p.bytes).expect("text").parse().expect("a number"));
                let history = self.history.get(&place).cloned().unwrap_or_default();
                let before = self.shown.get(&place).copied().unwrap_or_default();
                let wanted = covered(source).map_or(0, |covered| {
                    history.iter().filter(|b| !b.in_place && b.to <= covered).map(|b| b.number).max().unwrap_or_default()
                });
                let least = before.max(wanted);
                let now = match number {
                    Some(number) => Some(number).filter(|n| *n >= least),
                    None if least == 0 => Some(0),
                    None => history.iter().find(|b| !b.there && b.number >= least).map(|b| b.number),
                };
                prop_assert!(now.is_some(), "{place:?} shows {number:?}, was shown at {before}, must be at {wanted} or later; {history:?}");
                self.shown.insert(place, now.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn read(&mut self, key: usize) -> Result<(), TestCaseError> {
        let Some(seen) = self.memory.hit(KEYS[key], &[]) else { return Ok(()) };
        let covered: BTreeMap<usize, i64> =
            seen.entry.sources().iter().zip(&seen.positions).map(|(s, p)| (usize::from(*s), p.next())).collect();
        self.show(key, &seen.entry, |source| covered.get(&source).copied())
    }

    fn query(&mut self, key: usize, ago: usize) {
        let ago = if self.lagging { ago.min(self.states.len() - 1) } else { 0 };
        let state = &self.states[self.states.len() - 1 - ago];
        let of = state.parts.iter().filter(|((_, place), _)| place.0 == key);
        let parts = of.map(|((source, place), number)| {
            let (id, bytes) = (PARTS[*source][place.1].into(), Bytes::from(number.to_string()));
            Arc::new(Part { id, bytes, source: *source as u16, stale: None })
        });
        self.snapshots[key] = Some(Snapshot { parts: parts.collect(), stamps: state.next.map(at).to_vec() });
    }

    fn land(&mut self, key: usize) -> Result<(), TestCaseError> {
        let Some(snapshot) = self.snapshots[key].take() else { return Ok(()) };
        match self.memory.land(KEYS[key], snapshot) {
            Landing::Landed(landed) => {
                self.flying[key] = false;
                let covered: Vec<i64> = landed.at.iter().map(|p| p.next()).collect();
                self.show(key, &landed.entry, |source| Some(covered[source]))
            }
            Landing::Again => {
                self.memory.depart_again(KEYS[key]);
                Ok(())
            }
            Landing::TooOld => Ok(()),
        }
    }

    fn depart(&mut self, key: usize) {
        if !self.flying[key] {
            self.flying[key] = true;
            self.memory.depart(KEYS[key]);
        }
    }

    fn look(&self) {
        self.memory.look(Instant::now(), &self.stamps(), Duration::ZERO);
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Commit(source, changes) => self.commit(*source, changes, true),
            Step::Mend(source, place, there) if !self.lagging => self.commit(*source, &[(*place, *there)], false),
            Step::Mend(..) => {}
            Step::Push(source) if self.owed[*source] => self.take_over(*source),
            Step::Push(source) => {
                if let Some(batch) = self.take(*source) {
                    self.memory.apply(&batch);
                    if self.pushed[*source] == batch.from {
                        self.pushed[*source] = batch.to;
                    }
                }
            }
            Step::Lose(source) => {
                if let Some(batch) = self.take(*source) {
                    self.lost(*source, &batch);
                }
            }
            Step::Tear(source) => {
                if let Some(mut batch) = self.take(*source).filter(|b| !b.changes.is_empty()) {
                    self.lost(*source, &batch);
                    batch.changes.pop();
                    batch.complete = false;
                    self.memory.apply(&batch);
                }
            }
            Step::Late(source, n) => {
                if let Some(batch) = n.checked_rem(self.archive[*source].len()).map(|n| self.archive[*source][n].clone()) {
                    // What was not pushed yet is not late.
                    if !self.queue[*source].iter().any(|q| q.to == batch.to) {
                        self.memory.apply(&batch);
                    }
                }
            }
            Step::TakeOver(source) => self.take_over(*source),
            Step::Depart(key) => self.depart(*key),
            Step::Query(key, ago) => {
                if self.flying[*key] {
                    self.query(*key, *ago);
                }
            }
            Step::Land(key) => self.land(*key)?,
            Step::Read(key) => self.read(*key)?,
            Step::Look => self.look(),
            Step::Sync => self.memory.sync(&self.stamps()),
        }
        Ok(())
    }

    fn is_stored(&self, key: usize, entry: &Entry) -> Result<(), TestCaseError> {
        let held: BTreeMap<String, Bytes> = entry.parts().iter().map(|p| (p.id.to_string(), p.bytes.clone())).collect();
        let stored = self.now().parts.iter().filter(|((_, place), _)| place.0 == key);
        let stored: BTreeMap<String, Bytes> =
            stored.map(|((source, place), n)| (PARTS[*source][place.1].to_owned(), Bytes::from(n.to_string()))).collect();
        prop_assert_eq!(held, stored);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        // All that was lost is found: by a look, or by who takes over.
        self.look();
        self.look();
        for source in 0..2 {
            self.take_over(source);
        }
        self.look();
        prop_assert!(self.memory.is_trusted());
        for (key, name) in KEYS.iter().enumerate() {
            if let Some(seen) = self.memory.hit(name, &[]) {
                self.is_stored(key, &seen.entry)?;
            }
            self.depart(key);
            for _ in 0..3 {
                if self.flying[key] {
                    self.query(key, 0);
                    self.land(key)?;
                }
            }
            let seen = self.memory.hit(name, &[]);
            prop_assert!(seen.is_some());
            if let Some(seen) = seen {
                self.is_stored(key, &seen.entry)?;
            }
        }
        Ok(())
    }
}

#[test]
fn what_comes_late_moves_no_position_back_so_that_what_comes_later_still_is_late() {
    let mut world = World::new(false);
    world.depart(0);
    world.query(0, 0);
    world.land(0).expect("it is landed");
    for _ in 0..3 {
        world.commit(0, &[((0, 0), true)], true);
        world.step(&Step::Push(0)).expect("it is pushed");
    }
    for late in [0, 1] {
        world.step(&Step::Late(0, late)).expect("it is pushed again");
        assert_eq!(world.memory.sources[0].reached(), at(3));
        world.read(0).expect("nothing goes back");
    }
    let seen = world.memory.hit(KEYS[0], &[]).expect("it is held");
    world.is_stored(0, &seen.entry).expect("the newest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_back_and_in_the_end_what_is_held_is_what_is_stored(lagging in any::<bool>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(lagging);
        for step in &steps {
            world.step(step)?;
        }
        world.settle()?;
    }
}
