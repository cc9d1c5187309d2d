//! Which followers of which partitions this process has, and how they are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// (follower, generation, service, partition)
pub type Place = (&'static str, i32, String, i32);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Works,
    StandsBy,
    StandsStill(String),
}

/// The followers of a process.
#[derive(Default)]
pub struct Board(Mutex<BTreeMap<Place, State>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, place: &Place, state: State) {
        if let Some(now) = self.lock().get_mut(place)
            && *now != state
        {
            *now = state;
        }
    }

    pub(crate) fn took(&self, place: &Place) {
        self.lock().insert(place.clone(), State::Works);
    }

    pub(crate) fn gave_up(&self, place: &Place) {
        self.lock().remove(place);
    }

    pub(crate) fn works(&self, place: &Place) {
        self.set(place, State::Works);
    }

    pub(crate) fn stands_by(&self, place: &Place) {
        self.set(place, State::StandsBy);
    }

    pub(crate) fn stands_still(&self, place: &Place, why: String) {
        self.set(place, State::StandsStill(why));
    }

    /// The places where this process works, be it in vain; not those where it stands by.
    pub fn places(&self) -> Vec<Place> {
        self.lock().iter().filter(|(_, state)| **state != State::StandsBy).map(|(place, _)| place.clone()).collect()
    }

    /// The places that stand still, and why.
    pub fn troubles(&self) -> Vec<(Place, String)> {
        let still = |(place, state): (&Place, &State)| match state {
            State::StandsStill(why) => Some((place.clone(), why.clone())),
            State::Works | State::StandsBy => None,
        };
        self.lock().iter().filter_map(still).collect()
    }
}
