//! Looks into the database once a second, whatever is pushed: whether pushes keep up, and where read models stand while
//! they don't.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::QueryError;
use crate::feed::Feed;
use crate::generations::{Generations, stamps};
use crate::store::{Live, Store};

/// How often it looks when all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it looks where pushes are behind.
const DOUBT_EVERY: Duration = Duration::from_millis(250);
/// How long pushes may stay away before they are followed anew.
const SILENCE: Duration = Duration::from_secs(5);

/// The looks.
pub(crate) struct Watch {
    generations: Arc<Generations>,
    feed: Arc<Feed>,
    store: Store,
    /// How long pushes may be behind before nothing is shown from memory.
    patience: Duration,
    /// How often it looks while somebody waits whom no push would wake.
    waited_every: Duration,
    /// Somebody begins to wait whom no push would wake.
    pub(crate) wanted: Notify,
    looks: tokio::sync::Mutex<()>,
    /// How many looks have begun, and the last of them that ended well.
    begun: std::sync::atomic::AtomicU64,
    ended: std::sync::atomic::AtomicU64,
}

/// What one look found.
#[derive(Default)]
struct Found {
    doubted: bool,
    lost: bool,
    silent: bool,
}

impl Watch {
    pub(crate) fn new(generations: Arc<Generations>, feed: Arc<Feed>, store: Store, patience: Duration, waited_every: Duration) -> Self {
        Self {
            generations,
            feed,
            store,
            patience,
            waited_every,
            wanted: Notify::new(),
            looks: tokio::sync::Mutex::default(),
            begun: Default::default(),
            ended: Default::default(),
        }
    }

    /// Looks once; the caller holds the lock of looks.
    async fn look(&self) -> Result<Found, QueryError> {
        use std::sync::atomic::Ordering::SeqCst;
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let (followed, began) = (self.generations.followed(), Instant::now());
        let asked: Vec<(&str, &Live)> = followed.iter().map(|m| (&*m.model, &*m.live)).collect();
        let mut all = Found::default();
        for (memory, checkpoints) in followed.iter().zip(self.store.checkpoints(&asked).await?) {
            memory.learn(&checkpoints);
            let Some(stamps) = stamps(memory, &checkpoints) else {
                memory.outdated.store(true, std::sync::atomic::Ordering::SeqCst);
                continue;
            };
            let found = memory.look(began, &stamps, self.patience);
            all.doubted |= found.doubted;
            all.lost |= !memory.is_trusted();
            all.silent |= found.lost_for.is_some_and(|long| long > SILENCE);
        }
        self.ended.store(number, SeqCst);
        Ok(all)
    }

    /// Returns once a look has ended that began after this was called: one look for all who ask meanwhile.
    pub(crate) async fn fresh(&self) -> Result<(), QueryError> {
        use std::sync::atomic::Ordering::SeqCst;
        let before = self.begun.load(SeqCst);
        let _looking = self.looks.lock().await;
        if self.ended.load(SeqCst) > before {
            return Ok(());
        }
        self.look().await.map(|_| ())
    }

    /// Never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut told = Instant::now();
        loop {
            let looking = self.looks.lock().await;
            let found = self.look().await;
            drop(looking);
            let rest = match found {
                Ok(found) => {
                    if found.silent {
                        self.feed.again.notify_one();
                    }
                    match found {
                        Found { lost: true, .. } if self.waits() > 0 => self.waited_every,
                        Found { doubted: true, .. } => DOUBT_EVERY,
                        _ => LOOK_EVERY,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "checkpoints can't be read");
                    DOUBT_EVERY
                }
            };
            if told.elapsed() >= LOOK_EVERY {
                told = Instant::now();
                self.tell();
            }
            let _ = tokio::time::timeout(rest, self.wanted.notified()).await;
            // However many begin to wait.
            tokio::time::sleep(self.waited_every.min(rest)).await;
        }
    }

    fn waits(&self) -> usize {
        self.generations.followed().iter().map(|m| m.waits()).sum()
    }

    /// Once a second: the gauges, and those who follow keys that nothing wakes.
    fn tell(&self) {
        for memory in self.generations.all_answering() {
            let (trusted, meters) = (memory.is_trusted(), &memory.told.meters);
            meters.trusted.set(if trusted { 1.0 } else { 0.0 });
            meters.waits.set(memory.waits() as f64);
            meters.subscribers.set(memory.told.subscriptions.count() as f64);
            meters.age.set(memory.lock().pushed.elapsed().as_secs_f64());
            if !trusted {
                memory.told.subscriptions.wake_all();
            }
        }
        let (entries, bytes) = self.generations.held();
        metrics::gauge!("daybook_query_cache_entries").set(entries as f64);
        metrics::gauge!("daybook_query_cache_bytes").set(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::Pin;
    use std::sync::atomic::Ordering;

    use daybook_bus::BusConfig;
    use daybook_testkit::{TestDatabase, eventually};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::cache::Cache;

    fn watch(url: &str) -> Watch {
        let store = Store::new(url, 1).expect("a URL");
        let generations = Arc::new(Generations::new(BTreeMap::new(), Cache::new(1 << 20), store.clone(), Duration::ZERO));
        let feed = Arc::new(Feed::new(BusConfig::new("127.0.0.1:1"), std::iter::empty(), generations.clone(), store.clone()));
        Watch::new(generations, feed, store, Duration::ZERO, Duration::ZERO)
    }

    /// Three who ask while somebody else looks.
    async fn three(watch: &Watch) -> [Result<(), QueryError>; 3] {
        let looking = watch.looks.lock().await;
        let mut asking: [Pin<Box<_>>; 3] = [(); 3].map(|()| Box::pin(watch.fresh()));
        for one in &mut asking {
            assert!(one.as_mut().now_or_never().is_none(), "that look began before it asked");
        }
        drop(looking);
        let [one, two, three] = asking;
        [one.await, two.await, three.await]
    }

    #[tokio::test]
    async fn all_who_ask_meanwhile_are_served_by_one_look_and_whoever_asks_later_by_another() {
        let database = TestDatabase::migrated(&["catalog"], 1).await;
        let watch = watch(&database.url);
        // Connected, however long that takes here.
        eventually("it to answer", || async { watch.store.live().await.ok() }).await;
        let looks = || watch.begun.load(Ordering::SeqCst);
        for all in 1..=2 {
            for looked in three(&watch).await {
                looked.expect("it answers");
            }
            assert_eq!(looks(), all);
        }
        watch.fresh().await.expect("it answers");
        assert_eq!(looks(), 3);
    }

    #[tokio::test]
    async fn a_look_that_failed_is_none_for_anybody_who_waited_for_it() {
        let watch = watch("postgres://u:p@127.0.0.1:1/x");
        for looked in three(&watch).await {
            looked.expect_err("nobody answers there");
        }
    }
}
