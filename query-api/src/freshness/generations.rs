//! The generations of read models: the one that answers of each, and what is held of it.
//!
//! A process goes over to another generation when that is as far as what it has shown of the one before, everywhere: so
//! none of its readers sees what is older after what is newer. What was begun on the one before is finished on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::QueryError;
use crate::memory::{Cache, Memory};
use crate::observers::Observers;
use crate::source::Position;
use crate::store::{Checkpoints, Generation, Store, stamps};

/// Time between two looks at the live generations, when nothing tells of a switch.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at a generation that is about to answer, until it is far enough.
const CATCH_UP: Duration = Duration::from_millis(20);

/// Keys that a generation has in memory before it answers.
const WARM_KEYS: usize = 1_000;

/// The generations that answer, and those that are about to.
pub(crate) struct Generations {
    observers: BTreeMap<String, Arc<Observers>>,
    cache: Cache,
    store: Store,
    /// Time that warming up may take.
    warm_up: Duration,
    answering: RwLock<HashMap<String, Arc<Memory>>>,
    /// All that pushes are applied to.
    followed: Mutex<Vec<Arc<Memory>>>,
    /// Those that another generation is about to take over.
    switching: Mutex<BTreeSet<String>>,
    slots: AtomicU32,
    /// Pushes are followed.
    pub(crate) following: AtomicBool,
    /// Something says that another generation is live.
    pub(crate) hint: Notify,
    /// A generation answers that did not before.
    pub(crate) switched: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a generation that stands at `stamps` has come to all that was shown of the one before: in the database, and in memory, where
/// it would answer from there.
pub(crate) fn is_as_far(next: &Memory, stamps: &[Position], shown: &[Position]) -> bool {
    let mut each = shown.iter().zip(stamps).zip(next.sources.iter());
    each.all(|((shown, stamp), source)| stamp >= shown && (!next.is_trusted() || source.reached() >= *shown))
}

impl Generations {
    pub(crate) fn new(observers: BTreeMap<String, Arc<Observers>>, cache: Cache, store: Store, warm_up: Duration) -> Self {
        Self {
            observers,
            cache,
            store,
            warm_up,
            answering: RwLock::default(),
            followed: Mutex::default(),
            switching: Mutex::default(),
            slots: AtomicU32::new(0),
            following: AtomicBool::new(false),
            hint: Notify::new(),
            switched: Notify::new(),
        }
    }

    /// The read models that have generations.
    pub(crate) fn models(&self) -> impl Iterator<Item = &String> {
        self.observers.keys()
    }

    /// The generation that answers for a read model; none when it was never built.
    pub(crate) fn answering(&self, model: &str) -> Option<Arc<Memory>> {
        self.answering.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned()
    }

    /// All that answer.
    pub(crate) fn all_answering(&self) -> Vec<Arc<Memory>> {
        self.answering.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Has pushes applied to one, as long as it does not [leave](Self::leave).
    pub(crate) fn follow(&self, memory: &Arc<Memory>) {
        lock(&self.followed).push(memory.clone());
    }

    /// All that pushes are applied to.
    pub(crate) fn followed(&self) -> Vec<Arc<Memory>> {
        lock(&self.followed).clone()
    }

    /// The number of entries that are held, and of their bytes; about.
    pub(crate) fn held(&self) -> (u64, u64) {
        self.cache.size()
    }

    /// Looks now. A switch goes on by itself.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<(), QueryError> {
        for (model, live) in self.store.live().await? {
            let Some(observers) = self.observers.get(&model) else { continue };
            let answering = self.answering(&model);
            let same = |memory: &Arc<Memory>| *memory.generation == live && !memory.outdated.load(Ordering::SeqCst);
            if answering.as_ref().is_some_and(same) || lock(&self.switching).contains(&model) {
                continue;
            }
            let next = self.begin(&model, live, observers.clone()).await?;
            match answering {
                None => self.answer(None, &next),
                Some(old) => {
                    lock(&self.switching).insert(model.clone());
                    let all = self.clone();
                    tokio::spawn(async move { all.switch(old, next).await });
                }
            }
        }
        Ok(())
    }

    /// Looks again and again. Never returns.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        loop {
            let _ = tokio::time::timeout(LOOK_EVERY, self.hint.notified()).await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the live generations can't be read; those known are served");
            }
        }
    }

    /// Begins to follow a generation.
    async fn begin(&self, model: &str, live: Generation, observers: Arc<Observers>) -> Result<Arc<Memory>, QueryError> {
        let checkpoints = self.store.checkpoints(&[(model, &live)]).await?.remove(0);
        let places: Vec<(String, i32)> = checkpoints.iter().map(|folded| (folded.service.clone(), folded.partition)).collect();
        let slot = self.slots.fetch_add(1, Ordering::SeqCst);
        let memory = Arc::new(Memory::new(model, Arc::new(live), &places, self.cache.clone(), slot, observers));
        memory.learn(&checkpoints);
        self.follow(&memory);
        if self.following.load(Ordering::SeqCst) {
            // Read again: what was pushed before it was followed is in these, or in none.
            match self.store.checkpoints(&[(model, &memory.generation)]).await.map(|mut all| all.remove(0)) {
                Ok(checkpoints) => {
                    memory.learn(&checkpoints);
                    if let Some(stamps) = stamps(&memory.sources, &checkpoints) {
                        memory.sync(&stamps);
                    }
                }
                Err(error) => {
                    self.leave(&memory);
                    return Err(error);
                }
            }
            if !self.following.load(Ordering::SeqCst) {
                memory.connected(false);
            }
        }
        Ok(memory)
    }

    fn leave(&self, memory: &Arc<Memory>) {
        lock(&self.followed).retain(|m| !Arc::ptr_eq(m, memory));
    }

    pub(crate) fn answer(&self, old: Option<&Arc<Memory>>, next: &Arc<Memory>) {
        if let Some(old) = old {
            old.followed.store(false, Ordering::SeqCst);
        }
        next.followed.store(true, Ordering::SeqCst);
        for source in (0..).take(next.sources.len()) {
            next.lost(source, next.sources[usize::from(source)].known());
        }
        self.answering.write().unwrap_or_else(PoisonError::into_inner).insert(next.model.to_string(), next.clone());
        if let Some(old) = old {
            old.retired.store(true, Ordering::SeqCst);
        }
        next.observers.meters.generation.set(f64::from(next.generation.number));
        tracing::info!(model = &*next.model, generation = next.generation.number, "a generation answers");
    }

    /// Goes over to another generation as soon as that is far enough.
    async fn switch(self: Arc<Self>, old: Arc<Memory>, next: Arc<Memory>) {
        let (model, generation) = (next.model.to_string(), next.generation.number);
        let hottest = old.observers.hot.hottest(WARM_KEYS);
        next.warm(&self.store, hottest, Instant::now() + self.warm_up).await;
        loop {
            match self.far_enough(&old, &next).await {
                Ok(true) => break,
                Ok(false) => tokio::time::sleep(CATCH_UP).await,
                Err(error) => {
                    tracing::warn!(model, generation, %error, "a generation that is about to answer can't be looked at");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
        self.leave(&old);
        lock(&self.switching).remove(&model);
        next.observers.subscriptions.wake_all();
        self.switched.notify_waiters();
        let (cache, slot) = (self.cache.clone(), old.slot);
        let _ = tokio::task::spawn_blocking(move || cache.forget(slot)).await;
    }

    /// Looks whether the next generation is far enough, and switches then.
    async fn far_enough(&self, old: &Arc<Memory>, next: &Arc<Memory>) -> Result<bool, QueryError> {
        let checkpoints = self.store.checkpoints(&[(&next.model, &next.generation)]).await?.remove(0);
        Ok(self.go_over(old, next, &checkpoints))
    }

    /// Switches when the next generation, whose checkpoints these are, is as far as what was shown, everywhere.
    pub(crate) fn go_over(&self, old: &Arc<Memory>, next: &Arc<Memory>, checkpoints: &Checkpoints) -> bool {
        next.learn(checkpoints);
        let Some(stamps) = stamps(&next.sources, checkpoints) else { return false };
        // Nothing more is shown of the old one while it is compared.
        let held = old.lock();
        let mut shown = vec![Position::UNKNOWN; next.sources.len()];
        for (source, at) in old.sources.iter().zip(&held.shown) {
            if let Some(place) = next.sources.find(&source.at.service, source.at.partition) {
                shown[usize::from(place)] = (*at).max(source.known());
            }
        }
        let there = is_as_far(next, &stamps, &shown);
        if there {
            next.shown_elsewhere(&shown);
            self.answer(Some(old), next);
        }
        drop(held);
        there
    }
}

#[cfg(test)]
mod tests {
    use daybook_testkit::eventually;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::entry::View;
    use crate::prepared::{MODEL, Prepared, observers};

    /// Begins to follow the first generation while pushes are followed. What happens meanwhile happens when its checkpoints have been
    /// read once, and before they are read again.
    async fn begun(meanwhile: impl AsyncFnOnce(&Prepared, &Generations)) -> (Arc<Generations>, Result<Arc<Memory>, QueryError>) {
        let prepared = Prepared::new().await;
        let (observers, store) = (observers(), &prepared.store);
        let generations = prepared.generations(observers.clone());
        generations.following.store(true, Ordering::SeqCst);
        let held = store.connection().await.expect("it answers");
        // The one connection is given to those who wait in the order in which they came.
        let mut beginning = Box::pin(generations.begin(MODEL, Generation::new(1, "product_pages_1"), observers));
        let mut between = Box::pin(store.connection());
        assert!(beginning.as_mut().now_or_never().is_none() && between.as_mut().now_or_never().is_none());
        drop(held);
        let meanwhile = async {
            let held = between.await.expect("it answers");
            assert_eq!(generations.followed().len(), 1, "it is followed before checkpoints are read again");
            meanwhile(&prepared, &generations).await;
            drop(held);
        };
        let (memory, ()) = tokio::join!(beginning, meanwhile);
        (generations, memory)
    }

    #[tokio::test]
    async fn what_was_committed_and_pushed_before_a_generation_is_followed_is_in_the_checkpoints_that_are_read_then() {
        let (generations, memory) = begun(async |prepared, _| {
            prepared.execute("UPDATE read.checkpoint SET next_offset = 7 WHERE projection = 'product-pages' AND service = 'catalog'").await;
        })
        .await;
        let memory = memory.expect("they are read");
        let reached: Vec<i64> = memory.sources.iter().map(|source| source.reached().next()).collect();
        assert_eq!(reached, [7, 7, 0, 0]);
        assert!(memory.is_trusted());
        assert!(generations.followed().iter().all(|followed| Arc::ptr_eq(followed, &memory)));
    }

    #[tokio::test]
    async fn a_generation_whose_checkpoints_cannot_be_read_again_is_not_followed() {
        let (generations, memory) = begun(async |prepared, _| {
            prepared.execute("REVOKE SELECT ON read.checkpoint FROM daybook_query").await;
        })
        .await;
        assert!(memory.is_err());
        assert!(generations.followed().is_empty());
    }

    #[tokio::test]
    async fn a_generation_that_begins_while_following_ends_does_not_answer_from_memory() {
        let (_, memory) = begun(async |_, generations| generations.following.store(false, Ordering::SeqCst)).await;
        assert!(!memory.expect("they are read").is_trusted());
    }

    #[tokio::test]
    async fn one_generation_at_a_time_is_warmed_up_and_takes_over_and_then_nothing_is_left_of_the_one_before() {
        let prepared = Prepared::new().await;
        let observers = observers();
        let generations = prepared.generations(observers.clone());
        let old = prepared.answering(&generations).await;
        let view = Arc::new(View::all("A-1"));
        old.load(&prepared.store, &view, &[], Instant::now() + Duration::from_secs(60)).await.expect("it is read");
        observers.hot.missed("A-1");
        // As far as no generation is yet.
        let far = Position::new(1, 9);
        old.shown_elsewhere(&[far; 4]);
        let second = "INSERT INTO read.generation SELECT projection, 2, fingerprint, 'ready', 'product_pages_2' FROM read.generation WHERE projection = 'product-pages'; \
                      CREATE TABLE read.product_pages_2 (LIKE read.product_pages_1 INCLUDING ALL); GRANT SELECT ON read.product_pages_2 TO daybook_query; \
                      INSERT INTO read.checkpoint SELECT projection, 2, service, partition, 0, 1 FROM read.checkpoint WHERE projection = 'product-pages'; \
                      UPDATE read.generation SET state = 'kept' WHERE projection = 'product-pages' AND generation = 1; \
                      UPDATE read.generation SET state = 'live' WHERE projection = 'product-pages' AND generation = 2";
        prepared.execute(second).await;
        for _ in 0..2 {
            let answering = prepared.answering(&generations).await;
            assert!(Arc::ptr_eq(&answering, &old), "the next one is not as far");
        }
        let followed = |generation: i32| generations.followed().iter().filter(|m| m.generation.number == generation).count();
        assert_eq!((followed(1), followed(2)), (1, 1), "it has begun, and none beside it");

        let mut follows = observers.subscriptions.begin("A-1");
        let switched = generations.switched.notified();
        prepared.execute("UPDATE read.checkpoint SET next_offset = 9 WHERE projection = 'product-pages' AND generation = 2").await;
        let next = eventually("it to take over", || async { generations.answering(MODEL).filter(|m| m.generation.number == 2) }).await;
        eventually("the switch to end", || async { (!lock(&generations.switching).contains(MODEL)).then_some(()) }).await;
        assert_eq!((followed(1), followed(2)), (0, 1));
        assert_eq!(next.loads.load(Ordering::SeqCst), 1, "what is asked for most was loaded before it answered");
        assert!(follows.changed().now_or_never().is_some(), "who follows a key looks at it once more");
        assert!(switched.now_or_never().is_some(), "this process says so");
        let held = |memory: &Memory| generations.cache.has(memory.slot, "A-1");
        eventually("what was held to be forgotten", || async { (!held(&old)).then_some(()) }).await;
        assert!(held(&next));
    }
}
