//! The desk of a rule in a partition: it does the calls that are open there, several at once, one after the other for one target. Deadlines
//! stay in the table until they are due.

mod firing;
mod performing;
mod rows;
mod speaking;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daybook_kernel::{Instant as Moment, ServiceMessage, StreamId};
use daybook_log::PartitionLog;
use daybook_process::Backoff;
use daybook_process::metrics::{self, Counter, Gauge, Histogram};
use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::call::Work::Speak;
use crate::call::{AT_ONCE, At, Call};
use crate::common::Common;
use crate::hearing;
use crate::news::News;
use crate::store::{CallRow, Store};
use crate::{ReactorError, Rule};
use rows::Read;

/// Calls of one rule and partition that are held in memory; those beyond stay in the table until there is room.
const HELD: usize = 4_096;
/// Rows that are read at once.
const READ_AT_ONCE: i64 = 1_024;
/// Events of rows that are read side by side.
const EVENTS_AT_ONCE: usize = 4;
/// Sent outcomes that are looked up at once, the oldest first; and deadlines that are fired at once, in one batch.
const LOOKED_UP_AT_ONCE: usize = 1_024;
/// Calls of one rule and partition that are under way at once.
const UNDER_WAY: usize = 32;
/// Between two looks which outcomes the ledger has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Between two looks whether another process has the partition.
const BETWEEN_TERMS: Duration = Duration::from_secs(5);
/// Between two looks what an operator has hastened.
const BETWEEN_NOTES: Duration = Duration::from_secs(1);
/// Whoever has not seen the table for longer, by the clock, has missed what others were told meanwhile.
const MISSED: Duration = Duration::from_secs(10);
/// An outcome that has no result by then is sent again; later ones after twice the time each.
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(2);
const SENT_AGAIN_AFTER_AT_MOST: Duration = Duration::from_secs(60);
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
}

impl Shared {
    fn now(&self) -> Moment {
        (self.common.clock)()
    }

    /// The time that is left until then, by the clock; none where it is over.
    fn until(&self, end: Moment) -> Option<Duration> {
        u64::try_from(end.micros().saturating_sub(self.now().micros())).ok().filter(|left| *left > 0).map(Duration::from_micros)
    }
}

/// Meters of a desk.
pub(crate) struct DeskMeters {
    pub(crate) open: Gauge,
    failures: Counter,
    time: Histogram,
    /// Of deadlines: all that were sent, and those of them that were late. Of effects: all calls that were begun, and those of them that were not
    /// the first.
    fired: Counter,
    late: Counter,
    /// Answers of the outside that can't be.
    unusable: Counter,
}

impl DeskMeters {
    pub(crate) fn of(rule: &Rule, log: &PartitionLog) -> Self {
        let (name, service, partition) = (rule.name(), log.service(), log.number().to_string());
        let (open, failures, time) = match rule {
            Rule::Deadlines(_) => (&metrics::DEADLINES_DUE, &metrics::DEADLINE_FAILURES, &metrics::DEADLINE_TIME),
            Rule::Effect(_) => (&metrics::EFFECT_CALLS, &metrics::EFFECT_FAILURES, &metrics::EFFECT_TIME),
            Rule::Lookup(_) | Rule::Reactor(_) => (&metrics::LOOKUP_CALLS, &metrics::LOOKUP_FAILURES, &metrics::LOOKUP_TIME),
        };
        let (fired, late) = match rule {
            Rule::Deadlines(_) => (metrics::DEADLINES_FIRED.with([name, service]), metrics::DEADLINES_LATE.with([name, service])),
            Rule::Effect(_) => (metrics::EFFECT_ATTEMPTS.with([name, service]), metrics::EFFECT_RETRIES.with([name, service])),
            Rule::Lookup(_) | Rule::Reactor(_) => (Counter::noop(), Counter::noop()),
        };
        let unusable = match rule {
            Rule::Effect(_) => metrics::EFFECT_UNUSABLE.with([name, service]),
            Rule::Deadlines(_) | Rule::Lookup(_) | Rule::Reactor(_) => Counter::noop(),
        };
        Self {
            unusable,
            open: open.with([name, service, &partition]),
            failures: failures.with([name, service]),
            time: time.with([name, service]),
            fired,
            late,
        }
    }
}

/// The handle of a desk. What it has under way ends with it; its rows stay.
pub(crate) struct Desk {
    /// None: it begins nothing any more.
    calls: Option<UnboundedSender<(Vec<Call>, bool)>>,
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
        meters: DeskMeters,
    ) -> Self {
        let (calls, arriving) = unbounded_channel();
        let waits = matches!(rule, Rule::Deadlines(_));
        let shared = Arc::new(Shared { rule, log, common, store, term, meters });
        let work = Work {
            waits,
            looked_at: shared.now(),
            shared,
            news,
            held: BTreeMap::new(),
            targets: HashMap::new(),
            due: BTreeSet::new(),
            sent: BTreeSet::new(),
            left: HashSet::new(),
            under_way: JoinSet::new(),
            read_to: BEGINNING,
            next_due: Some(AT_ONCE),
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            read_at: Instant::now(),
        };
        Self { calls: Some(calls), task: tokio::spawn(work.run(arriving)) }
    }

    /// The rows of these stand by now. `repeats`: they may have been done before.
    pub(crate) fn add(&self, calls: Vec<Call>, repeats: bool) {
        // A desk that has found its term over does nothing more.
        let _ = self.calls.as_ref().map(|desk| desk.send((calls, repeats)));
    }

    /// Begins nothing any more, and waits until then for what is under way: a call to the outside that is cut off must be asked about.
    pub(crate) async fn finish(mut self, until: Instant) {
        self.calls = None;
        let _ = tokio::time::timeout_at(until, &mut self.task).await;
    }

    /// It has found its term over, or has panicked.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

/// An open call.
struct Held {
    call: Call,
    tries: i32,
    /// Perhaps it was done before, by whoever had the row.
    repeats: bool,
    since: Instant,
    /// Kafka has the outcome; where no result comes, it is sent again after so long.
    sent: Option<Duration>,
    /// It was logged that the outside answers what can't be.
    is_told: bool,
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

struct Work {
    shared: Arc<Shared>,
    /// Whether its calls wait for their time: deadlines.
    waits: bool,
    /// Nothing is begun before this is heard.
    news: Option<News>,
    /// When the table was seen last, by the clock.
    looked_at: Moment,
    held: BTreeMap<At, Held>,
    /// The calls of each target, in order: only the first of them is worked on, until the ledger has its outcome.
    targets: HashMap<StreamId, VecDeque<At>>,
    /// The first calls of targets, and when there is something to do for them.
    due: BTreeSet<(Instant, At)>,
    /// Calls whose outcomes Kafka has.
    sent: BTreeSet<At>,
    /// Hastened deadlines that this build can't send.
    left: HashSet<At>,
    under_way: JoinSet<Vec<(At, Came)>>,
    /// All rows up to here are held, or done.
    read_to: At,
    /// When the first of the rows behind it is due; none: there are none.
    next_due: Option<Moment>,
    pause: Backoff,
    /// Rows are read no sooner.
    read_at: Instant,
}

/// Returns when the news are told.
async fn told(news: &mut Option<News>) {
    let Some(news) = news else { return std::future::pending().await };
    // One that has gone tells nothing any more.
    let _ = news.wait_for(|told| *told).await;
}

impl Work {
    async fn run(mut self, mut arriving: UnboundedReceiver<(Vec<Call>, bool)>) {
        let every = |pause| {
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut looks, mut terms, mut notes) = (every(BETWEEN_LOOKS), every(BETWEEN_TERMS), every(BETWEEN_NOTES));
        loop {
            let now = self.mind_the_time();
            let begins = self.news.is_none();
            let wants_more = begins && self.held.len() <= HELD / 2 && self.next_due.is_some_and(|due| due <= now);
            if wants_more && self.read_at <= Instant::now() {
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
            self.shared.meters.open.set(self.held.len() as f64);
            let next = self.next(now, wants_more).filter(|_| begins);
            tokio::select! {
                calls = arriving.recv() => match calls {
                    Some((calls, repeats)) => self.add(calls, repeats),
                    None => {
                        while let Some(back) = self.under_way.join_next().await {
                            self.came_back(back.unwrap_or_default()).await;
                        }
                        return;
                    }
                },
                _ = terms.tick() => if self.is_superseded().await { return },
                _ = notes.tick(), if self.waits => self.look_for_hastened(begins).await,
                () = told(&mut self.news) => self.news = None,
                Some(back) = self.under_way.join_next(), if !self.under_way.is_empty() => match back {
                    Ok(back) if back.iter().any(|(_, came)| matches!(came, Came::Over)) => return,
                    Ok(back) => self.came_back(back).await,
                    Err(error) => {
                        tracing::error!(rule = self.shared.rule.name(), %error, "a call's task has ended; its rows are read again");
                        self.forget();
                        self.read_at = Instant::now() + LONGEST_PAUSE;
                    }
                },
                _ = looks.tick(), if !self.sent.is_empty() => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(rule = self.shared.rule.name(), %error, "it can't be seen which outcomes the ledger has");
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// The time, by the clock. Who has not seen the table for long was paused, or cut off: others may have been told meanwhile what no
    /// deadline may overtake.
    fn mind_the_time(&mut self) -> Moment {
        let now = self.shared.now();
        let since = now.micros().saturating_sub(self.looked_at.micros());
        if self.waits && u128::try_from(since).is_ok_and(|since| since > MISSED.as_micros()) {
            self.hear_news_first();
            self.looked_at = now;
        }
        now
    }

    fn hear_news_first(&mut self) {
        self.news = Some(hearing::wait(&self.shared.common));
    }

    /// When there is something to do without being told.
    fn next(&self, now: Moment, wants_more: bool) -> Option<Instant> {
        let is_free = if self.waits { self.under_way.is_empty() } else { self.under_way.len() < UNDER_WAY };
        let call = self.due.first().map(|(at, _)| *at).filter(|_| is_free);
        let row = match self.next_due {
            _ if wants_more => Some(self.read_at),
            Some(due) if due > now && self.held.len() <= HELD / 2 => {
                // No longer than a look: a clock may be set.
                let micros = u64::try_from(due.micros().saturating_sub(now.micros())).unwrap_or(0);
                Some(Instant::now() + Duration::from_micros(micros).min(BETWEEN_NOTES))
            }
            _ => None,
        };
        call.into_iter().chain(row).min()
    }

    /// Another process has the partition. It may have come and gone without an event: only the term tells.
    async fn is_superseded(&self) -> bool {
        self.shared.store.mark().await.is_ok_and(|mark| mark.term != self.shared.term)
    }

    /// Nothing is lost by that: the rows stand.
    fn forget(&mut self) {
        self.held.clear();
        self.targets.clear();
        self.due.clear();
        self.sent.clear();
        self.under_way = JoinSet::new();
        (self.read_to, self.next_due) = (BEGINNING, Some(AT_ONCE));
    }

    fn hold(&mut self, call: Call, tries: i32, repeats: bool) {
        let (at, now) = (call.at(), Instant::now());
        if self.held.contains_key(&at) {
            return;
        }
        let of_target = self.targets.entry(call.target.clone()).or_default();
        if of_target.is_empty() {
            self.due.insert((now, at));
        }
        of_target.push_back(at);
        self.held.insert(at, Held { call, tries, repeats, since: now, sent: None, is_told: false });
    }

    fn add(&mut self, calls: Vec<Call>, repeats: bool) {
        if !self.waits && self.next_due.is_none() && self.held.len() + calls.len() <= HELD {
            for call in calls {
                self.read_to = self.read_to.max(call.at());
                self.hold(call, 0, repeats);
            }
            return;
        }
        // Those before them come first, from the table. A parked stream that flows again has older ones than were read, and a deadline may be
        // due sooner than those that were.
        for (due_at, offset, id) in calls.iter().map(Call::at) {
            if (due_at, offset, id) <= self.read_to {
                self.read_to = (due_at, offset - 1, Uuid::max());
            }
            self.next_due = Some(self.next_due.map_or(due_at, |next| next.min(due_at)));
        }
    }

    /// Reads rows behind those that are held, as far as they are due, with their events.
    async fn read(&mut self, now: Moment) -> Result<(), ReactorError> {
        let rows = self.shared.store.calls_after(self.read_to, now, READ_AT_ONCE).await?;
        let is_last = rows.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
        self.take(rows, true).await?;
        self.next_due = match is_last {
            false => Some(now),
            true if self.waits => self.shared.store.next_due(self.read_to).await?,
            true => None,
        };
        Ok(())
    }

    /// Holds the calls of these rows. `in_order`: they come behind those that were read.
    async fn take(&mut self, rows: Vec<CallRow>, in_order: bool) -> Result<(), ReactorError> {
        let shared = self.shared.clone();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<(At, i32, Option<CallRow>)> = rows
                .by_ref()
                .take(EVENTS_AT_ONCE)
                .map(|row| (row.at, row.tries, (!self.held.contains_key(&row.at)).then_some(row)))
                .collect();
            let read = join_all(some.into_iter().map(async |(at, tries, row)| match row {
                Some(row) => (at, tries, shared.read(row).await.map(Some)),
                None => (at, tries, Ok(None)),
            }));
            for (at, tries, read) in read.await {
                match read? {
                    None => {}
                    Some(Read::Call(call)) => self.hold(*call, tries, true),
                    Some(Read::Stays(why)) => {
                        tracing::error!(rule = shared.rule.name(), offset = at.1, why, "this build can't do a call; its row stays");
                        shared.meters.failures.increment(1);
                        self.left.insert(at);
                        shared.store.keep_failure(at, tries.saturating_add(1), &why, shared.term).await?;
                    }
                    Some(Read::OfAnotherPast) => {
                        tracing::warn!(rule = shared.rule.name(), offset = at.1, "a call of events that the log has not is dropped");
                        shared.store.end_calls(&[at], shared.term).await?;
                    }
                }
                if in_order {
                    self.read_to = self.read_to.max(at);
                }
            }
        }
        Ok(())
    }

    /// Sees the table, and takes in what an operator has hastened.
    async fn look_for_hastened(&mut self, begins: bool) {
        let looked = match self.shared.store.hastened(READ_AT_ONCE).await {
            Ok(mut rows) => {
                self.looked_at = self.shared.now();
                rows.retain(|row| begins && !self.left.contains(&row.at));
                self.take(rows, false).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = looked {
            tracing::warn!(rule = self.shared.rule.name(), %error, "it can't be seen which deadlines are hastened");
        }
    }

    /// Begins what is due, so many at once.
    fn begin(&mut self) {
        if self.waits {
            return self.begin_firing();
        }
        while self.under_way.len() < UNDER_WAY
            && let Some((due, at)) = self.due.first().copied()
            && due <= Instant::now()
        {
            self.due.pop_first();
            let Some(held) = self.held.get_mut(&at) else { continue };
            let (shared, call) = (self.shared.clone(), held.call.clone());
            let repeats = std::mem::replace(&mut held.repeats, true);
            self.under_way.spawn(async move { vec![(at, shared.perform(&call, repeats).await)] });
        }
    }

    /// Fires what is due, in its order: one batch after the other, for two at once could overtake each other.
    fn begin_firing(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        while batch.len() < LOOKED_UP_AT_ONCE
            && let Some((due, at)) = self.due.first().copied()
            && due <= Instant::now()
        {
            self.due.pop_first();
            let Some(held) = self.held.get_mut(&at) else { continue };
            batch.push((held.call.clone(), std::mem::replace(&mut held.repeats, true) && held.sent.is_some()));
        }
        if !batch.is_empty() {
            batch.sort_by_key(|(call, _)| call.at());
            let shared = self.shared.clone();
            self.under_way.spawn(async move { shared.fire(batch).await });
        }
    }

    async fn came_back(&mut self, back: Vec<(At, Came)>) {
        let mut ended = Vec::new();
        for (at, came) in back {
            match came {
                Came::Ended | Came::Over => ended.push(at),
                other => self.came(at, other).await,
            }
        }
        if !ended.is_empty() {
            self.ended(&ended).await;
        }
    }

    async fn came(&mut self, at: At, came: Came) {
        let Some(held) = self.held.get_mut(&at) else { return };
        let (mut overtakes, was_told) = (false, held.is_told);
        let failed = match came {
            Came::Sent(outcome) => {
                let wait = held.sent.map_or(SENT_AGAIN_AFTER, |wait| (wait * 2).min(SENT_AGAIN_AFTER_AT_MOST));
                (held.call.outcome, held.sent) = (Some(outcome), Some(wait));
                self.sent.insert(at);
                self.due.insert((Instant::now() + wait, at));
                return;
            }
            Came::Kept(outcome, why) => {
                held.call.outcome = Some(outcome);
                // Nor has Kafka taken what others had to tell.
                overtakes = self.waits;
                why
            }
            Came::Failed(why) => why,
            Came::Unusable(why) => {
                self.shared.meters.unusable.increment(1);
                if !std::mem::replace(&mut held.is_told, true) {
                    let (rule, stream) = (self.shared.rule.name(), held.call.event.stream.as_str());
                    tracing::error!(
                        rule,
                        stream,
                        why,
                        "the outside answers what can't be; it is asked again, and `daybook calls list` shows it"
                    );
                }
                why
            }
            Came::Waits(pause) => {
                self.due.insert((Instant::now() + pause, at));
                return;
            }
            Came::Ended | Came::Over => return,
        };
        self.shared.meters.failures.increment(1);
        held.tries = held.tries.saturating_add(1);
        let pause = match self.shared.rule {
            // Those who call the same destination must not come all at once.
            Rule::Effect(_) => {
                (LONGEST_PAUSE_OUTSIDE.min(FIRST_PAUSE_OUTSIDE * (1 << held.tries.clamp(1, 10)))).mul_f64(0.5 + fastrand::f64() / 2.0)
            }
            Rule::Reactor(_) | Rule::Lookup(_) | Rule::Deadlines(_) => LONGEST_PAUSE.min(FIRST_PAUSE * (1 << held.tries.clamp(0, 10))),
        };
        // A call that is too late by then ends then, and not at some moment after.
        let pause = match &held.call.work {
            Speak(Some(end), _) => self.shared.until(*end).map_or(pause, |left| pause.min(left)),
            _ => pause,
        };
        self.due.insert((Instant::now() + pause, at));
        let (call, tries, is_told) = (held.call.clone(), held.tries, held.is_told);
        if overtakes && self.news.is_none() {
            self.hear_news_first();
        }
        let (rule, stream) = (self.shared.rule.name(), call.event.stream.as_str());
        if !is_told {
            tracing::warn!(rule, stream, tries, why = failed, "a call has failed; trying again");
        }
        // For operators; what stands there changes nothing. Not each time: while read models are away, the log's database has other work.
        if tries <= 3 || tries % 12 == 0 || is_told && !was_told {
            let _ = self.shared.store.keep_failure(at, tries, &failed, self.shared.term).await;
        }
    }

    /// Their rows go, and the next calls of their targets have their turn.
    async fn ended(&mut self, ended: &[At]) {
        if let Err(error) = self.shared.store.end_calls(ended, self.shared.term).await {
            tracing::warn!(rule = self.shared.rule.name(), %error, "the rows of calls that have ended could not be taken away");
            // Those that were sent are found again by the next look.
            let unsent = ended.iter().filter(|at| !self.sent.contains(*at));
            self.due.extend(unsent.map(|at| (Instant::now() + LONGEST_PAUSE, *at)));
            return;
        }
        for at in ended {
            self.sent.remove(at);
            let Some(held) = self.held.remove(at) else { continue };
            self.shared.meters.time.record(held.since.elapsed().as_secs_f64());
            if let Some(of_target) = self.targets.get_mut(&held.call.target) {
                of_target.retain(|other| other != at);
                match of_target.front() {
                    Some(next) => _ = self.due.insert((Instant::now(), *next)),
                    None => _ = self.targets.remove(&held.call.target),
                }
            }
        }
    }

    /// Looks which outcomes the ledger has.
    async fn look(&mut self) -> Result<(), ReactorError> {
        let sent: Vec<&Call> = self.sent.iter().take(LOOKED_UP_AT_ONCE).filter_map(|at| self.held.get(at)).map(|held| &held.call).collect();
        let found = self.shared.ended(&sent).await?;
        let ended: Vec<At> = sent.iter().filter(|call| found.contains(&call.outcome_id)).map(|call| call.at()).collect();
        if !ended.is_empty() {
            self.ended(&ended).await;
        }
        Ok(())
    }
}
