//! Whatever order commits, pushes and loads come in, and whatever is lost, late or doubled: nobody is shown what is older
//! than what was shown before, or than what it says of itself; and once all is pushed, what is held is what is stored. Of
//! whole keys, of pages of lists, and of parts of several keys.

mod rules;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::entry::Part;
use crate::memory::{EntryAt, Landing, LoadError, Memory, Need};
use crate::store::{Snapshot, Store};
use world::{PartPlace, VIEWS, World, at};

#[derive(Clone, Debug)]
enum Step {
    /// A projector commits: these parts are written, or removed.
    Commit(usize, Vec<(PartPlace, bool)>),
    /// A projector changes a part in place.
    Mend(usize, PartPlace, bool),
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
        8 => (0..VIEWS).prop_map(Step::Depart),
        8 => (0..VIEWS, 0..3_usize).prop_map(|(v, ago)| Step::Query(v, ago)),
        8 => (0..VIEWS).prop_map(Step::Land),
        10 => (0..VIEWS).prop_map(Step::Read),
        1 => Just(Step::Look),
        1 => Just(Step::Sync),
    ]
}

impl World {
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
            Step::Depart(view) => self.depart(*view),
            Step::Query(view, ago) => {
                if self.flying[*view] {
                    self.query(*view, *ago);
                }
            }
            Step::Land(view) => self.land(*view)?,
            Step::Read(view) => self.read(*view)?,
            Step::Look => self.look(),
            Step::Sync => self.memory.sync(&self.stamps()),
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
    let seen = world.memory.hit(&world.views[0].id, &[]).expect("it is held");
    world.is_stored(0, &seen.entry).expect("the newest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_back_and_in_the_end_what_is_held_is_what_is_stored(lagging in any::<bool>(), steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(lagging);
        for step in &steps {
            world.step(step)?;
        }
        world.settle()?;
    }
}

/// What a load's query answers where source 0 has come to `next`: of its first part, or of none.
fn snapshot(next: i64, part: Option<&'static [u8]>) -> Snapshot {
    let part = part.map(|bytes| Arc::new(Part { id: "p0".into(), bytes: Bytes::from_static(bytes), source: 0, stale: None }));
    Snapshot { parts: part.into_iter().collect(), stamps: vec![at(next), at(0)], hidden: Vec::new() }
}

#[test]
fn a_reader_beside_a_push_is_told_no_position_that_its_entry_does_not_cover() {
    let mut world = World::new(false);
    for _ in 0..30_000 {
        world.commit(0, &[((0, 0), true)], true);
    }
    world.depart(0);
    let batches = std::mem::take(&mut world.queue[0]);
    world.memory.apply(&batches[0]);
    let (memory, view) = (&world.memory, world.views[0].clone());
    assert!(matches!(memory.land(&view, snapshot(1, Some(b"1"))), Landing::Landed(_)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0_u64;
            while !done.load(Ordering::SeqCst) {
                let Some(seen) = memory.hit(&view.id, &[]) else { continue };
                // Each batch writes its own number, which is where it ends.
                let shown = std::str::from_utf8(&seen.entry.parts().find("p0").expect("it is never gone").bytes).expect("text");
                let shown: i64 = shown.parse().expect("a number");
                assert!(shown >= seen.positions[0].next(), "shows {shown}, says {}", seen.positions[0].next());
                looks += 1;
            }
            looks
        });
        for batch in &batches[1..] {
            memory.apply(batch);
        }
        done.store(true, Ordering::SeqCst);
        assert!(reader.join().expect("no torn look") > 100);
    });
}

/// What comes of joining a load of the first view that has read the state of 0, where the memory comes to be `otherwise` meanwhile.
/// The database is not there: what must be read again fails.
async fn joined(needs: Vec<Need>, otherwise: impl FnOnce(&Memory)) -> Result<EntryAt, LoadError> {
    let World { memory, views, .. } = World::new(false);
    let (memory, view) = (Arc::new(memory), views[0].clone());
    let (_, sender) = memory.depart(&view);
    let sender = sender.expect("nobody reads it yet");
    let others = sender.receiver_count();
    let joined = tokio::spawn({
        let (memory, view) = (memory.clone(), view.clone());
        async move {
            let store = Store::new("postgres://u:p@127.0.0.1:1/x", 1).expect("a url");
            memory.load(&store, &view, &needs, Instant::now() + Duration::from_secs(5)).await
        }
    });
    while sender.receiver_count() == others {
        tokio::task::yield_now().await;
    }
    let Landing::Landed(landed) = memory.land(&view, snapshot(0, None)) else { panic!("it lands") };
    otherwise(&memory);
    sender.send_replace(Some(Ok(landed)));
    joined.await.expect("it ends")
}

#[tokio::test]
async fn a_reader_with_a_newer_token_that_joins_a_load_is_not_shown_what_that_has_read() {
    let need = |next| vec![Need { source: 0, position: at(next) }];
    assert!(joined(need(0), |_| {}).await.is_ok(), "it covers that");
    let error = joined(need(1), |_| {}).await.err().expect("it must be read again");
    assert!(matches!(error, LoadError::Unreachable | LoadError::Slow), "{error:?}");
}

#[tokio::test]
async fn what_was_read_of_a_generation_that_is_retired_is_not_shown() {
    let retired = joined(Vec::new(), |memory| memory.retired.store(true, Ordering::SeqCst)).await;
    assert_eq!(retired.err(), Some(LoadError::Retired));
}
