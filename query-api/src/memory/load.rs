//! Loads: what is not in memory is read from the database once, however many ask.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::flight::{LoadError, Loaded};
use super::landing::Landing;
use super::{EntryAt, Memory, Need};
use crate::entry::View;
use crate::store::Store;

/// Time that a flight rests when the database answered from a state that is too old.
const REST: Duration = Duration::from_millis(5);
/// Time that a flight tries to get a state that is not too old.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are loaded at once to warm up.
const AT_ONCE: usize = 4;

/// Takes a flight that does not land off the list, also where it panics: nobody would ever join another.
struct FlightGuard<'a> {
    memory: &'a Memory,
    id: &'a str,
    landed: bool,
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.memory.lock().flights.remove(self.id);
        }
    }
}

impl Memory {
    async fn fly(&self, store: &Store, view: &Arc<View>) -> Result<Arc<Loaded>, LoadError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.observers.meters.loads.increment(1);
            self.loads.fetch_add(1, Ordering::SeqCst);
            let snapshot = store.snapshot(&self.model, &self.generation, &self.sources, view).await.map_err(|error| {
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
    ) -> Result<EntryAt, LoadError> {
        loop {
            let (mut outcome, sender) = self.depart(view);
            if let Some(sender) = sender {
                // A task of its own: it goes on for the others when the one who began it goes away.
                let (memory, store, view) = (self.clone(), store.clone(), view.clone());
                tokio::spawn(async move {
                    let mut begun = FlightGuard { memory: &memory, id: &view.id, landed: false };
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
            if self.retired.load(Ordering::SeqCst) {
                return Err(LoadError::Retired);
            }
            let at = |source: u16| landed.at.get(usize::from(source)).copied().unwrap_or_default();
            if needs.iter().all(|need| at(need.source) >= need.position) {
                let positions = landed.entry.sources().iter().map(|source| at(*source)).collect();
                return Ok(EntryAt { entry: landed.entry.clone(), positions, hidden: landed.hidden.clone() });
            }
            // It was begun before what is needed, or a replica is not there yet.
            if Instant::now() >= deadline {
                return Err(LoadError::TooOld);
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Loads these keys, as far as it is done by the deadline.
    pub(crate) async fn warm(self: &Arc<Self>, store: &Store, keys: Vec<String>, deadline: Instant) {
        let count = keys.len();
        let loading = stream::iter(keys).for_each_concurrent(AT_ONCE, async |key| {
            if Instant::now() < deadline && self.hit(&key, &[]).is_none() {
                // What can't be loaded is loaded when it is asked for.
                let _ = self.load(store, &Arc::new(View::all(&key)), &[], deadline).await;
            }
        });
        loading.await;
        if count > 0 {
            tracing::info!(model = &*self.model, generation = self.generation.number, keys = count, "warmed up");
        }
    }
}
