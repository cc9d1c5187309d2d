//! A lane's lag, and whether it waits: looked at beside the lane, for one that stands still says nothing itself.
//! Sources: the protocol's alarm at half of the messages' retention, and `degraded` of the contract's `/readyz`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use daybook_bus::{BusError, Inspector, Unread};
use daybook_kernel::Instant;
use daybook_process::metrics::{self, Gauge};
use tokio::task::JoinHandle;

/// Time between looks where the topic stands, of each partition.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A client's transaction that is open for so long is told of: ordinary ones are over before.
const OPEN_LONG: Duration = Duration::from_secs(5);
/// The retention of `<service>.messages` is 14 days: at half of it somebody must know.
const ALARMING_LAG: Duration = Duration::from_secs(7 * 86_400);
/// Time between repeats of an alarm.
const ALARM_EVERY: Duration = Duration::from_secs(60);

type Lanes = Mutex<BTreeMap<(Arc<str>, i32), Arc<Standing>>>;

/// The lanes of one process, and what each waits for.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Lanes>);

impl Board {
    /// The partitions that wait, as `service/partition`, and why.
    pub(crate) fn waiting(&self) -> Vec<(String, String)> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |((service, partition), lane): (&(Arc<str>, i32), &Arc<Standing>)| {
            lane.why_it_waits().map(|why| (format!("{service}/{partition}"), why))
        };
        lanes.iter().filter_map(waits).collect()
    }

    /// Looks after a lane that goes on at offset `next` of its topic, for as long as the returned value lives.
    pub(crate) fn look_after(&self, service: &Arc<str>, partition: i32, topic: &Arc<str>, inspector: &Inspector, next: i64) -> LookedAfter {
        let lag = metrics::LANE_LAG.with([service, &partition.to_string()]);
        let standing = Arc::new(Standing { topic: Arc::clone(topic), partition, next: AtomicI64::new(next), lag, waits: Mutex::default() });
        let key = (Arc::clone(service), partition);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Arc::clone(&standing));
        let beside = tokio::spawn(Arc::clone(&standing).look_on(inspector.clone()));
        LookedAfter { standing, board: self.clone(), key, beside }
    }
}

/// A lane that is on the board. When this goes it is not, and its partition has no lag here.
pub(crate) struct LookedAfter {
    standing: Arc<Standing>,
    board: Board,
    key: (Arc<str>, i32),
    beside: JoinHandle<()>,
}

impl std::ops::Deref for LookedAfter {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        &self.standing
    }
}

impl Drop for LookedAfter {
    fn drop(&mut self) {
        self.beside.abort();
        let mut lanes = self.board.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lane of this partition that came later has its own place.
        if lanes.get(&self.key).is_some_and(|lane| Arc::ptr_eq(lane, &self.standing)) {
            lanes.remove(&self.key);
            self.standing.lag.set(0.0);
        }
    }
}

/// A lane's place in its topic.
pub(crate) struct Standing {
    topic: Arc<str>,
    partition: i32,
    /// Behind the last message that is done with.
    next: AtomicI64,
    lag: Gauge,
    waits: Mutex<Waits>,
}

/// The causes of a lane's wait.
#[derive(Default)]
struct Waits {
    /// Why it could not go on; none from the moment that it works again.
    trouble: Option<String>,
    held_back: Option<HeldBack>,
}

/// A message that waits for a client's transaction to be committed or aborted.
struct HeldBack {
    unread: Unread,
    /// When it was seen first.
    seen: Moment,
    /// It was told of.
    told: bool,
}

impl Standing {
    /// All before `next` is done with.
    pub(crate) fn done(&self, next: i64) {
        self.next.store(next, Ordering::Relaxed);
        // The message that comes next says how old it is; without one nothing waits.
        self.lag.set(0.0);
    }

    /// Why the lane could not go on; none: it works.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.waits().trouble = trouble;
    }

    /// The age of the message that the lane is at; none: there is none that it has not done.
    pub(crate) fn lags(&self, timestamp_ms: Option<i64>, now: Instant) -> Duration {
        let lag = timestamp_ms.and_then(|at| lag(at, now)).unwrap_or_default();
        self.lag.set(lag.as_secs_f64());
        lag
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_it_waits(&self) -> Option<String> {
        let waits = self.waits();
        match (&waits.trouble, &waits.held_back) {
            (Some(trouble), _) => Some(format!("does not go on: {trouble}")),
            (None, Some(held_back)) if held_back.seen.elapsed() >= OPEN_LONG => Some(self.held_back_since(&held_back.unread)),
            _ => None,
        }
    }

    fn held_back_since(&self, unread: &Unread) -> String {
        let since = unread.timestamp_ms.map_or("an unknown time".to_owned(), |at| Instant::from_micros(at * 1_000).to_string());
        let (topic, partition, offset) = (&self.topic, self.partition, unread.offset);
        format!(
            "waits since {since} behind an open transaction of a Kafka client, at offset {offset} of {topic}/{partition}: commands are \
             taken, and decided when it is committed or aborted"
        )
    }

    /// Looks where the topic stands, again and again.
    async fn look_on(self: Arc<Self>, inspector: Inspector) {
        let (mut nothing_at, mut alarmed) = (None, None::<Moment>);
        loop {
            match self.look(&inspector, &mut nothing_at).await {
                Ok(lag) if lag > ALARMING_LAG && alarmed.is_none_or(|at| at.elapsed() >= ALARM_EVERY) => {
                    alarmed = Some(Moment::now());
                    let days = lag.as_secs() / 86_400;
                    tracing::error!(topic = %self.topic, partition = self.partition, lag_days = days, "the lane lags half of the messages' retention: they will be lost in as long again");
                }
                Ok(_) => {}
                // Kafka is away, which others tell.
                Err(error) => {
                    tracing::debug!(topic = %self.topic, partition = self.partition, %error, "where the topic stands can't be seen")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The age of the oldest message that is not done with. `nothing_at`: where there was nothing to do, and the topic's end then.
    async fn look(&self, inspector: &Inspector, nothing_at: &mut Option<(i64, i64)>) -> Result<Duration, BusError> {
        let next = self.next.load(Ordering::Relaxed);
        // One question is enough where nothing has happened. At rest the end may lie behind `next` for ever: markers take offsets.
        let end = inspector.written(&self.topic, self.partition).await?.end;
        let unread = match *nothing_at == Some((next, end)) || next == end {
            true => None,
            false => inspector.unread(&self.topic, self.partition, next).await?,
        };
        // The lane has got on meanwhile, and says how old that was.
        if self.next.load(Ordering::Relaxed) != next {
            return Ok(Duration::ZERO);
        }
        *nothing_at = unread.is_none().then_some((next, end));
        self.is_held_back(unread.filter(|unread| unread.held_back));
        Ok(self.lags(unread.and_then(|unread| unread.timestamp_ms), daybook_log::Writer::now()))
    }

    /// Notes the message that a client's transaction holds back. Its beginning and its end are told once.
    fn is_held_back(&self, unread: Option<Unread>) {
        let mut waits = self.waits();
        let same = |held_back: &HeldBack| unread.is_some_and(|unread| unread.offset == held_back.unread.offset);
        let before = waits.held_back.take();
        if let Some(over) = before.as_ref().filter(|before| before.told && !same(before)) {
            tracing::info!(topic = %self.topic, partition = self.partition, offset = over.unread.offset, "the Kafka client's transaction is over: the partition goes on");
        }
        waits.held_back = unread.map(|unread| match before.filter(same) {
            Some(before) => before,
            None => HeldBack { unread, seen: Moment::now(), told: false },
        });
        if let Some(held_back) = waits.held_back.as_mut().filter(|h| !h.told && h.seen.elapsed() >= OPEN_LONG) {
            held_back.told = true;
            tracing::warn!("{}/{} {}", self.topic, self.partition, self.held_back_since(&held_back.unread));
        }
    }
}

/// The age of a message, by Kafka's clock and ours; none when it is from the future.
fn lag(timestamp_ms: i64, now: Instant) -> Option<Duration> {
    u64::try_from(now.micros() / 1_000 - timestamp_ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use daybook_bus::{Headers, Producer, ProducerOptions, Record, TopicSpec, ensure_topics};
    use daybook_testkit::{TestBus, TransactionalClient, bus};

    use super::*;

    /// A topic of messages, a lane that has done three, and looks of its own.
    struct Fixture {
        bus: TestBus,
        inspector: Inspector,
        standing: Standing,
        nothing_at: Option<(i64, i64)>,
    }

    impl Fixture {
        async fn new() -> Self {
            let bus = bus();
            ensure_topics(&bus, &[TopicSpec::messages(&bus, "catalog", 1)]).await.expect("Kafka answers");
            let (topic, inspector) = (bus.messages("catalog").into(), Inspector::new(&bus).expect("Kafka answers"));
            let lag = metrics::LANE_LAG.with(["catalog", "0"]);
            let standing = Standing { topic, partition: 0, next: AtomicI64::new(0), lag, waits: Mutex::default() };
            let f = Self { bus, inspector, standing, nothing_at: None };
            f.produce(3).await;
            f
        }

        fn record(&self) -> Record {
            Record { topic: Arc::clone(&self.standing.topic), partition: 0, key: Bytes::new(), headers: Headers::new(), value: None }
        }

        async fn produce(&self, count: usize) {
            let producer = Producer::new(&self.bus, ProducerOptions::default()).expect("it starts");
            producer.send((0..count).map(|_| self.record()).collect()).await.expect("delivered");
        }

        async fn client(&self) -> TransactionalClient {
            TransactionalClient::new(&self.bus, "shop", Duration::from_secs(600)).await
        }

        /// Whether there is a lag.
        async fn lags(&mut self) -> bool {
            // The broker's clock and ours are the same here; a message has an age a moment later.
            tokio::time::sleep(Duration::from_millis(3)).await;
            self.standing.look(&self.inspector, &mut self.nothing_at).await.expect("Kafka answers") > Duration::ZERO
        }

        /// The cause of its wait was seen so long ago.
        fn seen(&self, ago: Duration) {
            let mut waits = self.standing.waits();
            waits.held_back.as_mut().expect("something is held back").seen = Moment::now().checked_sub(ago).expect("up for longer");
        }
    }

    #[tokio::test]
    async fn the_lag_is_the_age_of_the_oldest_message_that_is_not_done_and_none_at_rest() {
        let mut f = Fixture::new().await;
        assert!(f.lags().await, "three are to be done");
        f.standing.done(2);
        assert!(f.lags().await, "one is to be done");
        f.standing.done(3);
        assert!(!f.lags().await);
        let client = f.client().await;
        client.begin();
        client.send(f.record()).await;
        assert!(f.lags().await, "what is held back was sent, and is not done");
        client.abort().await;
        // An aborted message and its marker are the last things in the topic.
        assert!(!f.lags().await);
        assert_eq!(f.nothing_at, Some((3, 5)), "it is not asked again");
        assert!(!f.lags().await);
        f.produce(1).await;
        assert!(f.lags().await);
    }

    #[tokio::test]
    async fn a_transaction_that_is_open_for_long_is_named_with_its_beginning_and_trouble_comes_first() {
        let mut f = Fixture::new().await;
        f.standing.done(3);
        let client = f.client().await;
        client.begin();
        let offset = client.send(f.record()).await;
        f.produce(1).await;
        assert!(f.lags().await);
        assert_eq!(f.standing.why_it_waits(), None, "an ordinary one is over soon");
        f.seen(OPEN_LONG);
        assert!(f.lags().await);
        let why = f.standing.why_it_waits().expect("it waits");
        assert!(why.starts_with("waits since 20") && why.contains(&format!("at offset {offset} of ")), "{why}");
        f.standing.trouble(Some("no database".to_owned()));
        assert_eq!(f.standing.why_it_waits().as_deref(), Some("does not go on: no database"));
        f.standing.trouble(None);
        client.commit().await.expect("commits");
        assert!(f.lags().await, "it is to be done now");
        assert_eq!(f.standing.why_it_waits(), None, "and waits for nobody");
        // The next one counts for itself.
        f.standing.done(6);
        client.begin();
        client.send(f.record()).await;
        assert!(f.lags().await);
        f.seen(Duration::ZERO);
        assert_eq!(f.standing.why_it_waits(), None);
        client.abort().await;
    }

    #[tokio::test]
    async fn a_lane_that_ends_leaves_the_board_and_its_successor_stays_on_it() {
        let f = Fixture::new().await;
        let board = Board::default();
        let (service, topic) = (Arc::from("catalog"), Arc::clone(&f.standing.topic));
        let first = board.look_after(&service, 0, &topic, &f.inspector, 3);
        first.trouble(Some("no database".to_owned()));
        assert_eq!(board.waiting(), [("catalog/0".to_owned(), "does not go on: no database".to_owned())]);
        let second = board.look_after(&service, 0, &topic, &f.inspector, 3);
        second.trouble(Some("no database".to_owned()));
        drop(first);
        assert_eq!(board.waiting().len(), 1, "that is the second's");
        drop(second);
        assert_eq!(board.waiting(), []);
    }

    #[test]
    fn a_lane_that_lags_half_of_the_retention_is_alarming() {
        let now = Instant::from_micros(1_800_000_000_000_000);
        let days_ago = |days: i64| now.micros() / 1_000 - days * 86_400_000;
        assert!(lag(days_ago(8), now).expect("past") > ALARMING_LAG);
        assert!(lag(days_ago(6), now).expect("past") < ALARMING_LAG);
        assert_eq!(lag(days_ago(-1), now), None);
    }
}
