//! Landing: what a load has read becomes an entry.
//!
//! A flight is registered before its query begins. What is pushed for its key meanwhile is kept with it, and applied when
//! it lands, where the snapshot is older. A snapshot that is older than what had been shown when the flight was registered
//! (a replica that lags) does not land: it is read again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::flight::{Flight, LoadResult, Loaded};
use super::{Core, Memory};
use crate::entry::{After, Entry, Parts, View};
use crate::source::Position;
use crate::store::Snapshot;

/// The end of a snapshot.
pub(crate) enum Landing {
    Landed(Arc<Loaded>),
    /// Something was missed meanwhile: register again, and read again.
    Again,
    /// It is too old: read again.
    TooOld,
}

impl Memory {
    /// Joins the flight of a view, or registers one: then the sender is there, and the query is the caller's to make.
    pub(crate) fn depart(&self, view: &Arc<View>) -> (watch::Receiver<LoadResult>, Option<watch::Sender<LoadResult>>) {
        let mut core = self.lock();
        let core = &mut *core;
        if let Some(flight) = core.flights.get(&view.id) {
            self.observers.meters.coalesced.increment(1);
            return (flight.outcome.clone(), None);
        }
        let (flight, sender) = Flight::new(core.shown.clone());
        let outcome = flight.outcome.clone();
        core.flights.insert(view.id.clone(), flight);
        core.views.add(view, |view| core.flights.contains_key(&view.id) || self.cache.has(self.slot, &view.id));
        (outcome, Some(sender))
    }

    /// A flight that must begin again is registered anew.
    pub(crate) fn depart_again(&self, id: &str) {
        let mut core = self.lock();
        let from = core.shown.clone();
        if let Some(flight) = core.flights.get_mut(id) {
            flight.restart(from);
        }
    }

    /// Lands a snapshot that was taken after the flight was registered.
    pub(crate) fn land(&self, view: &Arc<View>, snapshot: Snapshot) -> Landing {
        let mut core = self.lock();
        match core.flights.get(&view.id) {
            Some(flight) if !flight.again => {
                if snapshot.stamps.iter().zip(&flight.from).any(|(stamp, from)| stamp < from) {
                    return Landing::TooOld;
                }
            }
            _ => return Landing::Again,
        }
        let mut at = snapshot.stamps;
        let ahead: Vec<(u16, Position)> = (0..)
            .zip(self.sources.iter())
            .zip(&at)
            .filter(|((_, source), stamp)| **stamp > source.reached())
            .map(|((n, _), stamp)| (n, *stamp))
            .collect();
        let era = self.era.load(Ordering::SeqCst);
        let mut entry = Entry::new(era, snapshot.parts, ahead);
        if !view.is_all() {
            entry = entry.resting_on(self.sources.len(), view.weight());
        }
        for now in core.flights.get(&view.id).map(|flight| flight.kept.as_slice()).unwrap_or_default() {
            // Against the snapshot's own stamp: what it does not have is applied, in the order of arrival.
            match entry.after(view, now, at.get(usize::from(now.source)).copied().unwrap_or_default()) {
                After::Same => {}
                After::Changed(next) => entry = *next,
                After::Unsure => return Landing::Again,
            }
        }
        let core = &mut *core;
        // The entry that was shown meanwhile may be further, or have been mended in place.
        let flight = core.flights.get(&view.id);
        if flight.is_some_and(|flight| flight.beside.iter().any(|(other, theirs)| view.is_at_odds(entry.parts(), other, theirs))) {
            return Landing::Again;
        }
        core.flights.remove(&view.id);
        for ((source, at), streams) in (0..).zip(&at).zip(snapshot.hidden) {
            self.hidden.learn(source, *at, streams);
        }
        for ((shown, source), stamp) in core.shown.iter_mut().zip(self.sources.iter()).zip(&at) {
            *shown = (*shown).max(*stamp);
            source.looked(*stamp);
        }
        for (stamp, source) in at.iter_mut().zip(self.sources.iter()) {
            *stamp = (*stamp).max(source.reached());
        }
        let entry = Arc::new(entry);
        self.tell_others(core, view, entry.parts());
        self.cache.put(self.slot, &view.id, entry.clone());
        Landing::Landed(Arc::new(Loaded { entry, at, hidden: self.hidden.header() }))
    }

    /// Other views of the same keys must not show what is older than this one will: those that are held and would are
    /// dropped, and those that are being read find out when they land.
    fn tell_others(&self, core: &mut Core, view: &Arc<View>, parts: &Parts) {
        let Core { flights, views, .. } = core;
        let mut tell = |other: &View| {
            if other.id == view.id {
                return;
            }
            if let Some(held) = self.cache.get(self.slot, &other.id)
                && view.is_at_odds(parts, other, held.parts())
            {
                self.cache.drop(self.slot, &other.id);
            }
            if let Some(flight) = flights.get_mut(&other.id) {
                flight.keep_beside(view, parts);
            }
        };
        for key in &view.keys {
            if !view.is_all() {
                tell(&View::all(key));
            }
            views.of(key).iter().for_each(|other| tell(other));
        }
    }
}
