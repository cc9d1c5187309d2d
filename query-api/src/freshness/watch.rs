//! Looks into the database once a second, whatever is pushed: whether pushes keep up, and where read models stand while
//! they don't.

use std::sync::Arc;
use std::time::Duration;

use daybook_process::metrics;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::feed::Feed;
use super::generations::Generations;
use crate::QueryError;
use crate::store::{Generation, Store, stamps};

/// Time between two looks when all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks where pushes are behind.
const DOUBT_EVERY: Duration = Duration::from_millis(250);
/// Time that pushes may stay away before they are followed anew.
const SILENCE: Duration = Duration::from_secs(5);

/// The looks.
pub(crate) struct Watch {
    generations: Arc<Generations>,
    feed: Arc<Feed>,
    store: Store,
    /// Time that pushes may be behind before nothing is shown from memory.
    patience: Duration,
    /// Time between two looks while a request waits that no push would wake.
    waited_every: Duration,
    /// A request begins to wait that no push would wake.
    pub(crate) wanted: Notify,
    looks: tokio::sync::Mutex<()>,
    /// The number of the look that began last, and of the last one that ended well.
    begun: std::sync::atomic::AtomicU64,
    ended: std::sync::atomic::AtomicU64,
}

/// The findings of one look.
#[derive(Default)]
struct LookSummary {
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
    async fn look(&self) -> Result<LookSummary, QueryError> {
        use std::sync::atomic::Ordering::SeqCst;
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let (followed, began) = (self.generations.followed(), Instant::now());
        let asked: Vec<(&str, &Generation)> = followed.iter().map(|m| (&*m.model, &*m.generation)).collect();
        let mut all = LookSummary::default();
        for (memory, checkpoints) in followed.iter().zip(self.store.checkpoints(&asked).await?) {
            memory.learn(&checkpoints);
            let Some(stamps) = stamps(&memory.sources, &checkpoints) else {
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
                        LookSummary { lost: true, .. } if self.waits() > 0 => self.waited_every,
                        LookSummary { doubted: true, .. } => DOUBT_EVERY,
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
                self.tell(told);
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
    fn tell(&self, now: Instant) {
        for memory in self.generations.all_answering() {
            let (trusted, meters) = (memory.is_trusted(), &memory.observers.meters);
            meters.trusted.set(if trusted { 1.0 } else { 0.0 });
            meters.waits.set(memory.waits() as f64);
            meters.subscribers.set(memory.observers.subscriptions.count() as f64);
            meters.age.set(now.saturating_duration_since(memory.lock().pushed).as_secs_f64());
            if !trusted {
                memory.observers.subscriptions.wake_all();
            }
        }
        let (entries, bytes) = self.generations.held();
        metrics::QUERY_CACHE_ENTRIES.get().set(entries as f64);
        metrics::QUERY_CACHE_BYTES.get().set(bytes as f64);
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
    use crate::entry::View;
    use crate::memory::{Cache, Landing, Memory};
    use crate::prepared::{MODEL, Metered, Prepared, observers};
    use crate::source::Position;
    use crate::store::Snapshot;

    fn watch(url: &str) -> Watch {
        let store = Store::new(url, 1).expect("a URL");
        let generations = Arc::new(Generations::new(BTreeMap::new(), Cache::new(1 << 20), store.clone(), Duration::ZERO));
        of(generations, store)
    }

    fn of(generations: Arc<Generations>, store: Store) -> Watch {
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

    #[tokio::test]
    async fn a_look_is_as_old_as_its_beginning_and_says_nothing_of_what_was_lost_while_it_was_answered() {
        let prepared = Prepared::new().await;
        let generations = prepared.generations(observers());
        generations.following.store(true, Ordering::SeqCst);
        let memory = prepared.answering(&generations).await;
        let watch = of(generations, prepared.store.clone());
        assert!(memory.is_trusted());
        let held = prepared.store.connection().await.expect("it answers");
        let mut looking = Box::pin(watch.look());
        assert!(looking.as_mut().now_or_never().is_none(), "it waits for the connection");
        memory.connected(false);
        memory.connected(true);
        drop(held);
        looking.await.expect("it answers");
        assert!(!memory.is_trusted(), "what was pushed while Kafka was away may not have been there when it looked");
        watch.look().await.expect("it answers");
        assert!(memory.is_trusted());
    }

    /// Of one source; what is read of it has come to 4.
    fn read(memory: &Memory, key: &str) {
        let view = Arc::new(View::all(key));
        memory.depart(&view);
        let snapshot = Snapshot { parts: Vec::new(), stamps: vec![Position::new(1, 4)], hidden: Vec::new() };
        assert!(matches!(memory.land(&view, snapshot), Landing::Landed(_)));
    }

    #[tokio::test]
    async fn gauges_say_how_it_is_and_while_nothing_is_shown_from_memory_those_are_woken_whom_no_push_wakes() {
        let metered = Metered::new();
        let watch = watch("postgres://u:p@127.0.0.1:1/x");
        let (observers, cache) = (metered.within(observers), Cache::new(1 << 20));
        let generations = Arc::new(Generations::new(BTreeMap::new(), cache.clone(), watch.store.clone(), Duration::ZERO));
        let watch = of(generations, watch.store.clone());
        let live = Arc::new(Generation::new(7, "m_7"));
        let memory = Arc::new(Memory::new(MODEL, live, &[("s".to_owned(), 0)], cache, 0, observers.clone()));
        watch.generations.answer(None, &memory);
        let gauge = |name: &str| metered.gauge(&format!("daybook_query_{name}"));
        assert_eq!(gauge("generation"), Some(7.0));

        // Further than anything here gets.
        let _waits = [20, 30].map(|next| memory.sources[0].waits.begin(Position::new(1, next)));
        let mut follows = ["a", "a", "b"].map(|key| observers.subscriptions.begin(key));
        read(&memory, "a");
        let held = eventually("it to be counted", || async {
            read(&memory, "b");
            Some(watch.generations.held()).filter(|(entries, _)| *entries == 2)
        });
        let (_, bytes) = held.await;
        let tell = |later: u64| {
            let now = memory.lock().pushed + Duration::from_secs(later);
            metered.within(|| watch.tell(now));
            ["cache_trusted", "waits", "subscribers", "push_age_seconds"].map(|name| gauge(name).expect("it is set"))
        };
        assert_eq!(tell(3_600), [0.0, 2.0, 3.0, 3_600.0]);
        assert_eq!((gauge("cache_entries"), gauge("cache_bytes")), (Some(2.0), Some(bytes as f64)));
        assert!(follows.iter_mut().all(|follow| follow.changed().now_or_never().is_some()), "each looks once more");

        memory.sync(&[Position::new(1, 4)]);
        follows.iter_mut().for_each(|follow| follow.changed().now_or_never().unwrap_or_default());
        assert_eq!(tell(60), [1.0, 2.0, 3.0, 60.0]);
        assert!(follows.iter_mut().all(|follow| follow.changed().now_or_never().is_none()), "pushes wake them");

        memory.look(Instant::now(), &[Position::new(1, 9)], Duration::MAX);
        assert_eq!(gauge("push_lag_events"), Some(5.0));
    }

    #[tokio::test]
    async fn it_goes_on_telling_whether_or_not_the_database_answers() {
        let metered = Metered::new();
        let watch = Arc::new(watch("postgres://u:p@127.0.0.1:1/x"));
        let live = Arc::new(Generation::new(1, "m_1"));
        let memory = Arc::new(Memory::new(MODEL, live, &[], Cache::new(1 << 20), 0, metered.within(observers)));
        watch.generations.answer(None, &memory);
        let running = tokio::spawn(watch.run());
        let mut follows = Vec::new();
        for followers in 1..=2 {
            follows.push(memory.observers.subscriptions.begin("a"));
            let told = || async { metered.gauge("daybook_query_subscribers").filter(|told| *told == f64::from(followers)) };
            eventually("it to be told", told).await;
        }
        running.abort();
    }
}
