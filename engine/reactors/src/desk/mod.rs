//! The desk of a rule in a partition: it does the calls that are open there, several at once, one after the other for one target. Deadlines
//! stay in the table until they are due.

mod book;
mod firing;
mod meters;
mod performing;
mod rows;
mod speaking;
mod taking;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use daybook_kernel::{Instant as Moment, ServiceMessage, panic_text};
use daybook_log::PartitionLog;
use daybook_process::{Backoff, Shutdown, shutdown};
use futures_util::FutureExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::call::Work::Speak;
use crate::call::{AT_ONCE, At, Call};
use crate::clock::LogClock;
use crate::common::Common;
use crate::hearing;
use crate::news::News;
use crate::store::Store;
use crate::{ReactorError, Rule};
use book::Book;
pub(crate) use meters::DeskMeters;

/// Calls of one rule and partition that are held in memory; those beyond stay in the table until there is room.
const HELD: usize = 4_096;
/// Sent outcomes that are looked up at once; and deadlines that are fired at once, in one batch.
const LOOKED_UP_AT_ONCE: usize = 1_024;
/// Calls of one rule and partition that are under way at once.
const UNDER_WAY: usize = 32;
/// Between two looks which outcomes the ledger has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Between two looks whether another process has the partition.
const BETWEEN_TERMS: Duration = Duration::from_secs(5);
/// Whoever has not seen the table for longer, by the clock, has missed what others were told meanwhile.
const MISSED: Duration = Duration::from_secs(10);
/// Pauses after a call that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const FIRST_PAUSE_OUTSIDE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE_OUTSIDE: Duration = Duration::from_secs(30);

/// Before all calls.
const BEGINNING: At = (AT_ONCE, -1, Uuid::nil());

/// Parts that the desk shares with the calls under way.
struct Shared {
    rule: Rule,
    log: PartitionLog,
    common: Arc<Common>,
    store: Store,
    term: i64,
    meters: DeskMeters,
    clock: Arc<LogClock>,
    /// Nothing is begun any more.
    finishing: Shutdown,
}

impl Shared {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The time of this machine: what it has missed is measured by its own clock, for the log's may stand still, and jump.
    fn machine_time(&self) -> Moment {
        (self.common.clock)()
    }

    /// The time that is left until then, by the clock; none where it is over.
    fn until(&self, end: Moment) -> Option<Duration> {
        u64::try_from(end.micros().saturating_sub(self.now().micros())).ok().filter(|left| *left > 0).map(Duration::from_micros)
    }
}

/// What the follower tells its desk.
enum Told {
    /// The rows of these stand by now; and whether they may have been done before.
    Calls(Vec<Call>, bool),
    /// Rows may stand that the desk was not told of. Deadlines are begun once this is heard.
    Again(Option<News>),
}

/// The handle of a desk. What it has under way ends with it; its rows stay.
pub(crate) struct Desk {
    told: UnboundedSender<Told>,
    finish: watch::Sender<bool>,
    term: i64,
    task: JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    /// Opens a desk for the holder of this term. It begins with the rows that stand, once it has heard the good news.
    pub(crate) fn open(
        rule: Rule,
        log: PartitionLog,
        common: Arc<Common>,
        store: Store,
        term: i64,
        news: Option<News>,
        clock: Arc<LogClock>,
    ) -> Self {
        let meters = DeskMeters::of(&rule, &log);
        let (told, hears) = unbounded_channel();
        let (finish, finishing) = shutdown();
        let waits = matches!(rule, Rule::Deadlines(_));
        let shared = Arc::new(Shared { rule, log, common, store, term, meters, clock, finishing });
        let work = Work {
            waits,
            looked_at: shared.machine_time(),
            shared,
            news,
            book: Book::default(),
            left: HashSet::new(),
            under_way: JoinSet::new(),
            read_to: BEGINNING,
            next_due: Some(AT_ONCE),
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            read_at: Instant::now(),
            rests: false,
        };
        Self { told, finish, term, task: tokio::spawn(work.run(hears)) }
    }

    /// The rows of these stand by now. `repeats`: they may have been done before.
    pub(crate) fn add(&self, calls: Vec<Call>, repeats: bool) {
        // A desk that has found its term over does nothing more.
        let _ = self.told.send(Told::Calls(calls, repeats));
    }

    /// Rows may stand that it was not told of. Deadlines fire once this is heard; what is under way goes on.
    pub(crate) fn read_again(&self, news: Option<News>) {
        let _ = self.told.send(Told::Again(news));
    }

    /// Whether it works, and for the holder of this term.
    pub(crate) fn works_under(&self, term: i64) -> bool {
        self.term == term && !self.is_over()
    }

    /// Begins nothing any more, and waits until then for what is under way: a call to the outside that is cut off must be asked about.
    pub(crate) async fn finish(mut self, until: Instant) {
        self.finish.send_replace(true);
        let _ = tokio::time::timeout_at(until, &mut self.task).await;
    }

    /// It has found its term over, or has panicked.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

/// How a call came back.
enum Came {
    /// Its outcome is kept, and Kafka has it.
    Sent(ServiceMessage),
    /// Its outcome is kept, and Kafka does not have it.
    Kept(ServiceMessage, String),
    /// The ledger has an outcome already, or the row has gone.
    Ended,
    Failed(String),
    /// The outside has answered what can't be.
    Unusable(String),
    /// It may not be begun for so long.
    Waits(Duration),
    /// Another process has the partition.
    Over,
}

/// What the work comes to; a panic is a failure.
async fn guarded<T>(work: impl Future<Output = Result<T, ReactorError>>) -> Result<T, String> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|why| why.to_string()),
        Err(panic) => Err(format!("it panicked: {}", panic_text(panic.as_ref()))),
    }
}

struct Work {
    shared: Arc<Shared>,
    /// Whether its calls wait for their time: deadlines.
    waits: bool,
    /// Nothing is begun before this is heard.
    news: Option<News>,
    /// When the table was seen last, by the clock.
    looked_at: Moment,
    book: Book,
    /// Rows that this build can't do.
    left: HashSet<At>,
    under_way: JoinSet<Vec<(At, Came)>>,
    /// All rows up to here are held, or done.
    read_to: At,
    /// When the first of the rows behind it is due; none: there are none.
    next_due: Option<Moment>,
    pause: Backoff,
    /// Rows are read no sooner.
    read_at: Instant,
    /// What it has said last: its destination is given a rest.
    rests: bool,
}

/// Returns when the news are told.
async fn heard(news: &mut Option<News>) {
    let Some(news) = news else { return std::future::pending().await };
    // One that has gone tells nothing any more.
    let _ = news.wait_for(|told| *told).await;
}

impl Work {
    async fn run(mut self, mut hears: UnboundedReceiver<Told>) {
        let every = |pause| {
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut looks, mut terms, mut notes) = (every(BETWEEN_LOOKS), every(BETWEEN_TERMS), every(taking::BETWEEN_NOTES));
        let finishing = self.shared.finishing.clone();
        while !finishing.is_requested() {
            let now = self.mind_the_time();
            let begins = self.news.is_none();
            if begins && self.wants_more(now) && self.read_at <= Instant::now() {
                match self.read(now).await {
                    Ok(()) => self.pause.succeeded(),
                    Err(error) => {
                        tracing::warn!(rule = self.shared.rule.name(), %error, "calls can't be read; trying again");
                        self.read_at = Instant::now() + self.pause.pause();
                    }
                }
                continue;
            }
            if begins {
                self.begin();
            }
            self.shared.meters.open.set(self.book.len() as f64);
            let next = self.next(now).filter(|_| begins);
            tokio::select! {
                () = finishing.requested() => {}
                told = hears.recv() => match told {
                    // An event that came of an outcome asks for the next call of its target: the ledger has that outcome.
                    Some(Told::Calls(calls, repeats)) => if self.add(calls, repeats) {
                        looks.reset_immediately();
                    },
                    Some(Told::Again(news)) => {
                        self.news = news.filter(|_| self.waits);
                        self.read_again();
                    }
                    None => return,
                },
                _ = terms.tick() => if self.say().await.is_some_and(|term| term != self.shared.term) { return },
                _ = notes.tick(), if self.waits => self.look_for_hastened(begins).await,
                () = heard(&mut self.news) => self.news = None,
                Some(back) = self.under_way.join_next(), if !self.under_way.is_empty() => {
                    let back = back.unwrap_or_default();
                    if back.iter().any(|(_, came)| matches!(came, Came::Over)) {
                        return;
                    }
                    // An event that came of an outcome may have been quicker than Kafka's word for that.
                    if self.came_back(back).await {
                        looks.reset_immediately();
                    }
                }
                _ = looks.tick(), if self.book.waits_for_results() => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(rule = self.shared.rule.name(), %error, "it can't be seen which outcomes the ledger has");
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
        while let Some(back) = self.under_way.join_next().await {
            self.came_back(back.unwrap_or_default()).await;
        }
    }

    /// The time, by the clock. Who has not seen the table for long was paused, or cut off: others may have been told meanwhile what no
    /// deadline may overtake.
    fn mind_the_time(&mut self) -> Moment {
        let machine = self.shared.machine_time();
        let since = machine.micros().saturating_sub(self.looked_at.micros());
        if self.waits && u128::try_from(since).is_ok_and(|since| since > MISSED.as_micros()) {
            self.hear_news_first();
            self.looked_at = machine;
        }
        self.shared.now()
    }

    fn hear_news_first(&mut self) {
        self.news = Some(hearing::wait(&self.shared.common));
    }

    /// When there is something to do without being told.
    fn next(&self, now: Moment) -> Option<Instant> {
        let is_free = if self.waits { self.under_way.is_empty() } else { self.under_way.len() < UNDER_WAY };
        self.book.next_turn().filter(|_| is_free).into_iter().chain(self.next_read(now)).min()
    }

    /// Says how the desk stands, and sees which term does: another process may have come and gone without an event. None: the database does not
    /// answer.
    async fn say(&mut self) -> Option<i64> {
        let rests = self.destination_rests();
        // Another build may be able to do what this one can't: it is to have its turn.
        let does_all = self.left.is_empty();
        let term = self.shared.store.say(self.shared.term, rests, does_all).await.ok()?;
        self.rests = rests;
        Some(term)
    }

    /// Whether calls can't be begun, for their destination is given a rest.
    fn destination_rests(&self) -> bool {
        let Rule::Effect(effect) = &self.shared.rule else { return false };
        self.shared.common.destination(effect.destination()).is_ok_and(|destination| destination.breaker.is_open())
    }

    /// Begins what is due, so many at once.
    fn begin(&mut self) {
        if self.waits {
            return self.begin_firing();
        }
        while self.under_way.len() < UNDER_WAY
            && let Some(held) = self.book.take_turn()
        {
            let (shared, call) = (self.shared.clone(), held.call.clone());
            let repeats = std::mem::replace(&mut held.repeats, true);
            self.under_way.spawn(async move { vec![(call.at(), shared.perform(&call, repeats).await)] });
        }
    }

    /// Fires what is due, in its order: one batch after the other, for two at once could overtake each other.
    fn begin_firing(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        while batch.len() < LOOKED_UP_AT_ONCE
            && let Some(held) = self.book.take_turn()
        {
            batch.push((held.call.clone(), std::mem::replace(&mut held.repeats, true) && held.was_sent()));
        }
        if !batch.is_empty() {
            batch.sort_by_key(|(call, _)| call.at());
            let shared = self.shared.clone();
            self.under_way.spawn(async move { shared.fire(batch).await });
        }
    }

    /// True: a call waits for nothing but that the ledger has what was sent.
    async fn came_back(&mut self, back: Vec<(At, Came)>) -> bool {
        let (mut ended, mut waits_for_the_ledger) = (Vec::new(), false);
        for (at, came) in back {
            match came {
                Came::Ended | Came::Over => ended.push(at),
                Came::Sent(outcome) => waits_for_the_ledger |= self.book.sent(at, outcome),
                Came::Waits(pause) => self.put_off(at, pause).await,
                Came::Failed(why) => self.failed(at, why, false).await,
                Came::Unusable(why) => self.unusable(at, why).await,
                Came::Kept(outcome, why) => {
                    if let Some(held) = self.book.get_mut(&at) {
                        held.call.outcome = Some(outcome);
                    }
                    // Nor has Kafka taken what others had to tell.
                    if self.waits && self.news.is_none() {
                        self.hear_news_first();
                    }
                    self.failed(at, why, false).await;
                }
            }
        }
        if !ended.is_empty() {
            self.ended(&ended).await;
        }
        waits_for_the_ledger
    }

    /// It could not be begun. Where that is because its destination rests, nobody is to wait for it: that is said at once.
    async fn put_off(&mut self, at: At, pause: Duration) {
        self.book.again(at, pause);
        if !self.rests && self.destination_rests() {
            self.say().await;
        }
    }

    /// An operator hears of it once a call, and finds it in the list of open calls.
    async fn unusable(&mut self, at: At, why: String) {
        self.shared.meters.unusable.increment(1);
        let Some(held) = self.book.get_mut(&at) else { return };
        let is_news = !std::mem::replace(&mut held.is_told, true);
        if is_news {
            let (rule, stream) = (self.shared.rule.name(), held.call.event.stream.as_str());
            tracing::error!(rule, stream, why, "the outside answers what can't be; it is asked again, and `daybook calls list` shows it");
        }
        self.failed(at, why, is_news).await;
    }

    /// `is_news`: the reason is to stand in the row in any case.
    async fn failed(&mut self, at: At, why: String, is_news: bool) {
        let Some(held) = self.book.get_mut(&at) else { return };
        self.shared.meters.failures.increment(1);
        held.tries = held.tries.saturating_add(1);
        let (tries, is_told, stream) = (held.tries, held.is_told, held.call.event.stream.clone());
        let pause = match self.shared.rule {
            // Those who call the same destination must not come all at once.
            Rule::Effect(_) => {
                (LONGEST_PAUSE_OUTSIDE.min(FIRST_PAUSE_OUTSIDE * (1 << tries.clamp(1, 10)))).mul_f64(0.5 + fastrand::f64() / 2.0)
            }
            Rule::Reactor(_) | Rule::Lookup(_) | Rule::Deadlines(_) => LONGEST_PAUSE.min(FIRST_PAUSE * (1 << tries.clamp(0, 10))),
        };
        // A call that is too late by then ends then, and not at some moment after.
        let pause = match &held.call.work {
            Speak(Some(end), _) => self.shared.until(*end).map_or(pause, |left| pause.min(left)),
            _ => pause,
        };
        self.book.again(at, pause);
        if !is_told {
            tracing::warn!(rule = self.shared.rule.name(), stream = stream.as_str(), tries, why, "a call has failed; trying again");
        }
        // For operators; what stands there changes nothing. Not each time: while read models are away, the log's database has other work.
        if is_news || tries <= 3 || tries % 12 == 0 {
            let _ = self.shared.store.keep_failure(at, tries, &why, self.shared.term).await;
        }
    }

    /// Their rows go, and the next calls of their targets have their turn.
    async fn ended(&mut self, ended: &[At]) {
        if let Err(error) = self.shared.store.end_calls(ended, self.shared.term).await {
            tracing::warn!(rule = self.shared.rule.name(), %error, "the rows of calls that have ended could not be taken away");
            // Those that were sent are found again by the next look.
            for at in ended.iter().filter(|at| !self.book.is_sent(at)).copied().collect::<Vec<_>>() {
                self.book.again(at, LONGEST_PAUSE);
            }
            return;
        }
        for held in ended.iter().filter_map(|at| self.book.end(at)).collect::<Vec<_>>() {
            self.shared.meters.time.record(held.since.elapsed().as_secs_f64());
        }
    }

    /// Looks which outcomes the ledger has.
    async fn look(&mut self) -> Result<(), ReactorError> {
        let some = self.book.next_to_look_up(LOOKED_UP_AT_ONCE);
        let sent: Vec<&Call> = some.iter().filter_map(|at| self.book.get(at)).map(|held| &held.call).collect();
        let found = self.shared.ended(&sent).await?;
        let ended: Vec<At> = sent.iter().filter(|call| found.contains(&call.outcome_id)).map(|call| call.at()).collect();
        if !ended.is_empty() {
            self.ended(&ended).await;
        }
        Ok(())
    }
}
