//! Loads: what is not in memory is read from the database once, however many ask.
//!
//! A flight is registered before its query begins. What is pushed for its key meanwhile is kept with it, and applied when
//! it lands, where the snapshot is older. A snapshot that is older than what had been shown when the flight was registered
//! (a replica that lags) does not land: it is read again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::entry::{After, Entry, Part, PartNow};
use crate::hidden::Streams;
use crate::memory::{Core, Memory, Need, Seen};
use crate::position::Position;
use crate::store::Store;
use crate::view::View;

/// More changes than this during one load: it is read again instead.
const MAX_KEPT: usize = 10_000;
/// More landings beside one load: it is read again instead.
const MAX_BESIDE: usize = 64;
/// How long a flight rests when the database answered from a state that is too old.
const REST: Duration = Duration::from_millis(5);
/// How long a flight tries to get a state that is not too old.
const PATIENCE: Duration = Duration::from_secs(5);

/// Parts of a view, and all checkpoints of the generation, in one snapshot.
pub(crate) struct Snapshot {
    pub(crate) parts: Vec<Arc<Part>>,
    /// In the order of the generation's sources.
    pub(crate) stamps: Vec<Position>,
    /// By source: the streams that show nothing.
    pub(crate) hidden: Vec<Streams>,
}

/// Why nothing could be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// The database does not answer.
    Unreachable,
    /// It answers from a state that is older than what was shown already.
    TooOld,
    /// It was not done in time.
    Slow,
    /// Another generation answers by now: ask that one.
    Retired,
}

/// What a flight brought: the entry, and how far each source was.
pub(crate) struct Landed {
    pub(crate) entry: Arc<Entry>,
    pub(crate) at: Vec<Position>,
    /// The streams that show nothing, as answers name them.
    hidden: Option<HeaderValue>,
}

type Outcome = Option<Result<Arc<Landed>, LoadError>>;

/// A load that is under way.
pub(crate) struct Flight {
    /// What was pushed for its view since it was registered.
    kept: Vec<PartNow>,
    /// What has landed since of other views that show the same keys.
    beside: Vec<(Arc<View>, Arc<Entry>)>,
    /// By source: what is older than this may not be shown.
    from: Vec<Position>,
    /// What it reads may miss something: it must begin again.
    pub(crate) again: bool,
    outcome: watch::Receiver<Outcome>,
}

impl Flight {
    /// Keeps a change for the landing.
    pub(crate) fn keep(&mut self, now: PartNow) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(now);
        } else {
            self.again = true;
        }
    }
}

/// Takes a flight that does not land off the list, also where it panics: nobody would ever join another.
struct Begun<'a> {
    memory: &'a Memory,
    id: &'a str,
    landed: bool,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.memory.lock().flights.remove(self.id);
        }
    }
}

/// What becomes of a snapshot.
pub(crate) enum Landing {
    Landed(Arc<Landed>),
    /// Something was missed meanwhile: register again, and read again.
    Again,
    /// It is too old: read again.
    TooOld,
}

impl Memory {
    /// Joins the flight of a view, or registers one: then the sender is there, and the query is the caller's to make.
    pub(crate) fn depart(&self, view: &Arc<View>) -> (watch::Receiver<Outcome>, Option<watch::Sender<Outcome>>) {
        let mut core = self.lock();
        let core = &mut *core;
        if let Some(flight) = core.flights.get(&view.id) {
            self.told.meters.coalesced.increment(1);
            return (flight.outcome.clone(), None);
        }
        let (sender, outcome) = watch::channel(None);
        let flight = Flight { kept: Vec::new(), beside: Vec::new(), from: core.shown.clone(), again: false, outcome: outcome.clone() };
        core.flights.insert(view.id.clone(), flight);
        core.views.add(view, |view| core.flights.contains_key(&view.id) || self.cache.has(self.slot, &view.id));
        (outcome, Some(sender))
    }

    /// A flight that must begin again is registered anew.
    pub(crate) fn depart_again(&self, id: &str) {
        let mut core = self.lock();
        let from = core.shown.clone();
        if let Some(flight) = core.flights.get_mut(id) {
            (flight.again, flight.from) = (false, from);
            flight.kept.clear();
            flight.beside.clear();
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
            .zip(&self.sources)
            .zip(&at)
            .filter(|((_, source), stamp)| **stamp > source.reached())
            .map(|((n, _), stamp)| (n, *stamp))
            .collect();
        let era = self.era.load(std::sync::atomic::Ordering::SeqCst);
        let mut entry = Entry::new(era, snapshot.parts, ahead);
        if !view.is_all() {
            entry = entry.resting_on(self.sources.len(), view.weight());
        }
        for now in core.flights.get(&view.id).map(|flight| flight.kept.as_slice()).unwrap_or_default() {
            // Against the snapshot's own stamp: what it does not have is applied, in the order of arrival.
            match view.after(&entry, now, at.get(usize::from(now.source)).copied().unwrap_or_default()) {
                After::Same => {}
                After::Changed(next) => entry = *next,
                After::Unsure => return Landing::Again,
            }
        }
        let core = &mut *core;
        // What was shown meanwhile may be further, or have been mended in place.
        let flight = core.flights.get(&view.id);
        if flight.is_some_and(|flight| flight.beside.iter().any(|(other, theirs)| view.is_at_odds(&entry, other, theirs))) {
            return Landing::Again;
        }
        core.flights.remove(&view.id);
        for ((source, at), streams) in (0..).zip(&at).zip(snapshot.hidden) {
            self.hidden.learn(source, *at, streams);
        }
        for ((shown, source), stamp) in core.shown.iter_mut().zip(&self.sources).zip(&at) {
            *shown = (*shown).max(*stamp);
            source.looked(*stamp);
        }
        for (stamp, source) in at.iter_mut().zip(&self.sources) {
            *stamp = (*stamp).max(source.reached());
        }
        let entry = Arc::new(entry);
        self.tell_others(core, view, &entry);
        self.cache.put(self.slot, &view.id, entry.clone());
        Landing::Landed(Arc::new(Landed { entry, at, hidden: self.hidden.header() }))
    }

    /// Other views of the same keys must not show what is older than this one will: those that are held and would are
    /// dropped, and those that are being read find out when they land.
    fn tell_others(&self, core: &mut Core, view: &Arc<View>, entry: &Arc<Entry>) {
        let Core { flights, views, .. } = core;
        let mut tell = |other: &View| {
            if other.id == view.id {
                return;
            }
            if let Some(held) = self.cache.get(self.slot, &other.id)
                && view.is_at_odds(entry, other, &held)
            {
                self.cache.drop(self.slot, &other.id);
            }
            if let Some(flight) = flights.get_mut(&other.id) {
                flight.again |= flight.beside.len() >= MAX_BESIDE;
                if !flight.again {
                    flight.beside.push((view.clone(), entry.clone()));
                }
            }
        };
        for key in &view.keys {
            if !view.is_all() {
                tell(&View::all(key));
            }
            views.of(key).iter().for_each(|other| tell(other));
        }
    }

    async fn fly(&self, store: &Store, view: &Arc<View>) -> Result<Arc<Landed>, LoadError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.told.meters.loads.increment(1);
            self.loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let snapshot = store.snapshot(self, view).await.map_err(|error| {
                tracing::warn!(model = &*self.model, %error, "parts can't be read");
                LoadError::Unreachable
            })?;
            daybook_failpoint::reach("serve.load");
            match self.land(view, snapshot) {
                Landing::Landed(landed) => return Ok(landed),
                Landing::Again => self.depart_again(&view.id),
                Landing::TooOld => tokio::time::sleep(REST).await,
            }
            if Instant::now() > deadline {
                return Err(LoadError::TooOld);
            }
        }
    }

    /// Reads a view from the database, together with all who want it now, and keeps it.
    ///
    /// # Errors
    /// When it can't be read, or not in time, or not far enough for `needs`.
    pub(crate) async fn load(
        self: &Arc<Self>,
        store: &Store,
        view: &Arc<View>,
        needs: &[Need],
        deadline: Instant,
    ) -> Result<Seen, LoadError> {
        loop {
            let (mut outcome, sender) = self.depart(view);
            if let Some(sender) = sender {
                // A task of its own: it goes on for the others when the one who began it goes away.
                let (memory, store, view) = (self.clone(), store.clone(), view.clone());
                tokio::spawn(async move {
                    let mut begun = Begun { memory: &memory, id: &view.id, landed: false };
                    let landed = memory.fly(&store, &view).await;
                    begun.landed = landed.is_ok();
                    drop(begun);
                    sender.send_replace(Some(landed));
                });
            }
            let landed = match tokio::time::timeout_at(deadline, outcome.wait_for(Option::is_some)).await {
                Err(_) => return Err(LoadError::Slow),
                Ok(Err(_)) => return Err(LoadError::Unreachable),
                Ok(Ok(landed)) => landed.clone().unwrap_or(Err(LoadError::Unreachable))?,
            };
            if self.retired.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(LoadError::Retired);
            }
            let at = |source: u16| landed.at.get(usize::from(source)).copied().unwrap_or_default();
            if needs.iter().all(|need| at(need.source) >= need.position) {
                let positions = landed.entry.sources().iter().map(|source| at(*source)).collect();
                return Ok(Seen { entry: landed.entry.clone(), positions, hidden: landed.hidden.clone() });
            }
            // It was begun before what is needed, or a replica is not there yet.
            if Instant::now() >= deadline {
                return Err(LoadError::TooOld);
            }
            tokio::time::sleep(REST).await;
        }
    }
}
