//! Which followers of which partitions this process has, and how they are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// (follower, generation, service, partition)
pub type FollowerKey = (&'static str, i32, String, i32);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Works,
    StandsBy,
    StandsStill(String),
}

/// The followers of a process.
#[derive(Default)]
pub struct Board(Mutex<BTreeMap<FollowerKey, State>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FollowerKey, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, place: &FollowerKey, state: State) {
        if let Some(now) = self.lock().get_mut(place)
            && *now != state
        {
            *now = state;
        }
    }

    pub(crate) fn took(&self, place: &FollowerKey) {
        self.lock().insert(place.clone(), State::Works);
    }

    pub(crate) fn gave_up(&self, place: &FollowerKey) {
        self.lock().remove(place);
    }

    pub(crate) fn works(&self, place: &FollowerKey) {
        self.set(place, State::Works);
    }

    pub(crate) fn stands_by(&self, place: &FollowerKey) {
        self.set(place, State::StandsBy);
    }

    pub(crate) fn stands_still(&self, place: &FollowerKey, why: String) {
        self.set(place, State::StandsStill(why));
    }

    /// The places where this process works, be it in vain; not those where it stands by.
    pub fn places(&self) -> Vec<FollowerKey> {
        self.lock().iter().filter(|(_, state)| **state != State::StandsBy).map(|(place, _)| place.clone()).collect()
    }

    /// The places that stand still, and why.
    pub fn troubles(&self) -> Vec<(FollowerKey, String)> {
        let still = |(place, state): (&FollowerKey, &State)| match state {
            State::StandsStill(why) => Some((place.clone(), why.clone())),
            State::Works | State::StandsBy => None,
        };
        self.lock().iter().filter_map(still).collect()
    }
}
