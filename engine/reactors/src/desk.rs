//! The desk of a rule in a partition: it does the calls that are open there, several at once, one after the other for one target.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daybook_follow::Event;
use daybook_kernel::ids::effect_outcome_id;
use daybook_kernel::{ErasedLookup, ServiceMessage, StreamId};
use daybook_log::PartitionLog;
use daybook_process::Backoff;
use daybook_process::metrics::{Counter, Gauge, Histogram};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::ReactorError;
use crate::answering::answer;
use crate::call::Call;
use crate::common::{Common, places};
use crate::pages::Place;
use crate::store::{CallRow, Kept, Store};

/// Calls of one rule and partition that are held in memory; those beyond stay in the table until there is room.
const HELD: usize = 4_096;
/// Rows that are read at once.
const READ_AT_ONCE: i64 = 1_024;
/// Sent outcomes that are looked up at once, the oldest first.
const LOOKED_UP_AT_ONCE: usize = 1_024;
/// Calls of one rule and partition that are under way at once.
const AT_ONCE: usize = 32;
/// Between two looks which outcomes the ledger has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Between two looks whether another process has the partition.
const BETWEEN_TERMS: Duration = Duration::from_secs(5);
/// An outcome that has no result by then is sent again; later ones after twice the time each.
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(2);
const SENT_AGAIN_AFTER_AT_MOST: Duration = Duration::from_secs(60);
/// Pauses after a call that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The place of a call: unique, and in the order of the events.
type At = (i64, Uuid);

/// Before all calls.
const BEGINNING: At = (-1, Uuid::nil());

/// Parts that the desk shares with the calls under way.
struct Shared {
    lookup: Arc<dyn ErasedLookup>,
    log: PartitionLog,
    common: Arc<Common>,
    store: Store,
    term: i64,
}

/// Meters of a desk.
#[derive(Clone)]
pub(crate) struct DeskMeters {
    pub(crate) open: Gauge,
    pub(crate) failures: Counter,
    pub(crate) time: Histogram,
}

/// The handle of a desk. What it has under way ends with it; its rows stay.
pub(crate) struct Desk {
    calls: UnboundedSender<(Vec<Call>, bool)>,
    task: AbortHandle,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    /// Opens a desk for the holder of this term. It begins with the rows that stand.
    pub(crate) fn open(
        lookup: Arc<dyn ErasedLookup>,
        log: PartitionLog,
        common: Arc<Common>,
        store: Store,
        term: i64,
        meters: DeskMeters,
    ) -> Self {
        let (calls, arriving) = unbounded_channel();
        let shared = Arc::new(Shared { lookup, log, common, store, term });
        let work = Work {
            shared,
            meters,
            held: BTreeMap::new(),
            targets: HashMap::new(),
            due: BTreeSet::new(),
            sent: BTreeSet::new(),
            under_way: JoinSet::new(),
            read_to: BEGINNING,
            has_more: true,
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            read_at: Instant::now(),
        };
        Self { calls, task: tokio::spawn(work.run(arriving)).abort_handle() }
    }

    /// The rows of these stand by now. `repeats`: they may have been done before.
    pub(crate) fn add(&self, calls: Vec<Call>, repeats: bool) {
        // A desk that has found its term over does nothing more.
        let _ = self.calls.send((calls, repeats));
    }

    /// It has found its term over, or has panicked.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

/// An open call.
struct Held {
    call: Call,
    /// Once it is kept.
    outcome: Option<ServiceMessage>,
    tries: i32,
    /// Perhaps it was done before, by whoever had the row.
    repeats: bool,
    since: Instant,
    /// Kafka has the outcome; where no result comes, it is sent again after so long.
    sent: Option<Duration>,
}

/// What a row is to this build.
enum Read {
    /// A call, with its outcome once there is one.
    Call(Box<Call>, Option<ServiceMessage>),
    /// A call that another build has noted, and this one can't do.
    Stays(String),
    /// The log has other events there, or none: it was restored.
    OfAnotherPast,
}

/// How a call came back.
enum Came {
    /// Its outcome is kept, and Kafka has it.
    Sent(ServiceMessage),
    /// Its outcome is kept, and Kafka does not have it.
    Kept(ServiceMessage, String),
    /// The ledger has an outcome already.
    Ended,
    Failed(String),
    /// Another process has the partition.
    Over,
}

struct Work {
    shared: Arc<Shared>,
    meters: DeskMeters,
    held: BTreeMap<At, Held>,
    /// The calls of each target, in order: only the first of them is worked on, until the ledger has its outcome.
    targets: HashMap<StreamId, VecDeque<At>>,
    /// The first calls of targets, and when there is something to do for them.
    due: BTreeSet<(Instant, At)>,
    /// Calls whose outcomes Kafka has.
    sent: BTreeSet<At>,
    under_way: JoinSet<(At, Came)>,
    /// All rows up to here are held, or done; those behind it are in the table alone while `has_more`.
    read_to: At,
    has_more: bool,
    pause: Backoff,
    /// Rows are read no sooner.
    read_at: Instant,
}

impl Work {
    async fn run(mut self, mut arriving: UnboundedReceiver<(Vec<Call>, bool)>) {
        let (mut looks, mut terms) = (tokio::time::interval(BETWEEN_LOOKS), tokio::time::interval(BETWEEN_TERMS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        terms.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wants_more = self.has_more && self.held.len() <= HELD / 2;
            if wants_more && self.read_at <= Instant::now() {
                match self.read().await {
                    Ok(()) => self.pause.succeeded(),
                    Err(error) => {
                        tracing::warn!(lookup = self.shared.lookup.name(), %error, "calls can't be read; trying again");
                        self.read_at = Instant::now() + self.pause.pause();
                    }
                }
                continue;
            }
            self.begin();
            self.meters.open.set(self.held.len() as f64);
            let next = self.due.first().map(|(at, _)| *at).filter(|_| self.under_way.len() < AT_ONCE);
            let next = next.into_iter().chain(wants_more.then_some(self.read_at)).min();
            tokio::select! {
                calls = arriving.recv() => match calls {
                    Some((calls, repeats)) => self.add(calls, repeats),
                    None => return,
                },
                _ = terms.tick() => if self.is_superseded().await { return },
                Some(back) = self.under_way.join_next(), if !self.under_way.is_empty() => match back {
                    Ok((_, Came::Over)) => return,
                    Ok((at, came)) => self.came(at, came).await,
                    Err(error) => {
                        tracing::error!(lookup = self.shared.lookup.name(), %error, "a call's task has ended; its rows are read again");
                        self.forget();
                        self.read_at = Instant::now() + LONGEST_PAUSE;
                    }
                },
                _ = looks.tick(), if !self.sent.is_empty() => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(lookup = self.shared.lookup.name(), %error, "it can't be seen which outcomes the ledger has");
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
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
        (self.read_to, self.has_more) = (BEGINNING, true);
    }

    fn hold(&mut self, call: Call, outcome: Option<ServiceMessage>, tries: i32, repeats: bool) {
        let (at, now) = ((call.event.offset, call.outcome_id), Instant::now());
        self.read_to = self.read_to.max(at);
        if self.held.contains_key(&at) {
            return;
        }
        let of_target = self.targets.entry(call.target.clone()).or_default();
        if of_target.is_empty() {
            self.due.insert((now, at));
        }
        of_target.push_back(at);
        self.held.insert(at, Held { call, outcome, tries, repeats, since: now, sent: None });
    }

    fn add(&mut self, calls: Vec<Call>, repeats: bool) {
        if self.has_more || self.held.len() + calls.len() > HELD {
            // Those before them come first, from the table. A parked stream that flows again has older ones than were read.
            let before = calls.iter().map(|call| (call.event.offset - 1, Uuid::max())).min();
            self.read_to = before.map_or(self.read_to, |before| self.read_to.min(before));
            self.has_more = true;
            return;
        }
        for call in calls {
            self.hold(call, None, 0, repeats);
        }
    }

    /// Reads rows behind those that are held, with their events.
    async fn read(&mut self) -> Result<(), ReactorError> {
        let shared = self.shared.clone();
        let rows = shared.store.calls_after(self.read_to, READ_AT_ONCE).await?;
        let is_last = rows.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
        for row in rows {
            let (at, tries) = ((row.offset, row.outcome_id), row.tries);
            if !self.held.contains_key(&at) {
                match shared.read(row).await? {
                    Read::Call(call, outcome) => self.hold(*call, outcome, tries, true),
                    Read::Stays(why) => {
                        tracing::error!(lookup = shared.lookup.name(), offset = at.0, why, "this build can't do a call; its row stays");
                        self.meters.failures.increment(1);
                        shared.store.keep_failure(at, tries.saturating_add(1), &why, shared.term).await?;
                    }
                    Read::OfAnotherPast => {
                        tracing::warn!(lookup = shared.lookup.name(), offset = at.0, "a call of events that the log has not is dropped");
                        shared.store.end_calls(&[at], shared.term).await?;
                    }
                }
            }
            self.read_to = self.read_to.max(at);
        }
        self.has_more = !is_last;
        Ok(())
    }

    /// Begins what is due, so many at once.
    fn begin(&mut self) {
        while self.under_way.len() < AT_ONCE
            && let Some((due, at)) = self.due.first().copied()
            && due <= Instant::now()
        {
            self.due.pop_first();
            let Some(held) = self.held.get_mut(&at) else { continue };
            let (shared, call, outcome) = (self.shared.clone(), held.call.clone(), held.outcome.clone());
            let repeats = std::mem::replace(&mut held.repeats, true);
            self.under_way.spawn(async move { (at, shared.perform(&call, outcome, repeats).await) });
        }
    }

    async fn came(&mut self, at: At, came: Came) {
        let Some(held) = self.held.get_mut(&at) else { return };
        let failed = match came {
            Came::Sent(outcome) => {
                let wait = held.sent.map_or(SENT_AGAIN_AFTER, |wait| (wait * 2).min(SENT_AGAIN_AFTER_AT_MOST));
                (held.outcome, held.sent) = (Some(outcome), Some(wait));
                self.sent.insert(at);
                self.due.insert((Instant::now() + wait, at));
                return;
            }
            Came::Ended | Came::Over => return self.ended(&[at]).await,
            Came::Kept(outcome, why) => {
                held.outcome = Some(outcome);
                why
            }
            Came::Failed(why) => why,
        };
        self.meters.failures.increment(1);
        held.tries = held.tries.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << held.tries.clamp(0, 10)).min(LONGEST_PAUSE);
        self.due.insert((Instant::now() + pause, at));
        let (call, tries) = (held.call.clone(), held.tries);
        let (lookup, stream) = (self.shared.lookup.name(), call.event.stream.as_str());
        tracing::warn!(lookup, stream, tries, why = failed, "a call has failed; trying again");
        // For operators; what stands there changes nothing. Not each time: while read models are away, the log's database has other work.
        if tries <= 3 || tries % 12 == 0 {
            let _ = self.shared.store.keep_failure(at, tries, &failed, self.shared.term).await;
        }
    }

    /// Their rows go, and the next calls of their targets have their turn.
    async fn ended(&mut self, ended: &[At]) {
        if let Err(error) = self.shared.store.end_calls(ended, self.shared.term).await {
            tracing::warn!(lookup = self.shared.lookup.name(), %error, "the rows of calls that have ended could not be taken away");
            // Those that were sent are found again by the next look.
            let unsent = ended.iter().filter(|at| !self.sent.contains(*at));
            self.due.extend(unsent.map(|at| (Instant::now() + LONGEST_PAUSE, *at)));
            return;
        }
        for at in ended {
            self.sent.remove(at);
            let Some(held) = self.held.remove(at) else { continue };
            self.meters.time.record(held.since.elapsed().as_secs_f64());
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
        let mut by_partition: BTreeMap<(&'static str, i32), Vec<(At, &Held)>> = BTreeMap::new();
        for at in self.sent.iter().take(LOOKED_UP_AT_ONCE) {
            let Some(held) = self.held.get(at) else { continue };
            let partition = held.call.target.partition(self.shared.common.target(held.call.service)?.log.partitions());
            by_partition.entry((held.call.service, partition)).or_default().push((*at, held));
        }
        let mut ended = Vec::new();
        for ((service, partition), sent) in by_partition {
            let asked: Vec<(&str, Uuid)> = sent.iter().map(|(_, held)| (held.call.target.as_str(), held.call.outcome_id)).collect();
            let found = self.shared.common.target(service)?.log.partition(partition)?.ended(&asked).await?;
            ended.extend(sent.iter().filter(|(_, held)| found.contains(&held.call.outcome_id)).map(|(at, _)| *at));
        }
        if !ended.is_empty() {
            self.ended(&ended).await;
        }
        Ok(())
    }
}

impl Shared {
    /// A row, and the event that has asked for it.
    async fn read(&self, row: CallRow) -> Result<Read, ReactorError> {
        let events = self.log.read_events(row.offset, 1).await?;
        let Some(stored) = events.into_iter().find(|event| event.offset == row.offset) else { return Ok(Read::OfAnotherPast) };
        let event = Arc::new(Event::stored(stored)?);
        let (_, place) = places(&self.log, &event);
        if effect_outcome_id(&place, self.lookup.name(), row.target.as_str()) != row.outcome_id {
            return Ok(Read::OfAnotherPast);
        }
        if let Some((type_name, bytes)) = row.outcome {
            // It needs no rule any more, so another build's will do.
            let Some((service, _)) = self.common.targets.get_key_value(row.service.as_str()) else {
                return Ok(Read::Stays(format!("its outcome is for {}, which is no service of this build", row.service)));
            };
            let type_name = match self.common.command_type(&type_name) {
                Ok(type_name) => type_name,
                Err(why) => return Ok(Read::Stays(why.to_string())),
            };
            let outcome = ServiceMessage { service, type_name, bytes, target: row.target.clone() };
            let call = Call { event, service, target: row.target, outcome_id: row.outcome_id, pages: Vec::new() };
            return Ok(Read::Call(Box::new(call), Some(outcome)));
        }
        Ok(match self.common.call(&*self.lookup, &self.log, &event) {
            Ok(Some(call)) if call.outcome_id == row.outcome_id => Read::Call(Box::new(call), None),
            Ok(_) => Read::Stays("this build's rule does not ask for it".to_owned()),
            Err(why) => Read::Stays(why.to_string()),
        })
    }

    /// One attempt. `repeats`: it may have been done before.
    async fn perform(&self, call: &Call, outcome: Option<ServiceMessage>, repeats: bool) -> Came {
        match self.attempt(call, outcome, repeats).await {
            Ok(came) => came,
            Err(error) => Came::Failed(error.to_string()),
        }
    }

    async fn attempt(&self, call: &Call, outcome: Option<ServiceMessage>, repeats: bool) -> Result<Came, ReactorError> {
        if repeats {
            let to = self.common.target(call.service)?;
            let partition = to.log.partition(call.target.partition(to.log.partitions()))?;
            if !partition.ended(&[(call.target.as_str(), call.outcome_id)]).await?.is_empty() {
                return Ok(Came::Ended);
            }
        }
        let outcome = match outcome {
            Some(kept) => kept,
            None => {
                let place =
                    Place { service: self.log.service(), partition: self.log.number(), offset: call.event.offset, epoch: call.event.epoch };
                let found = match answer(&*self.lookup, call, &self.common.reader, place).await {
                    Ok(found) => found,
                    Err(why) => return Ok(Came::Failed(why.to_string())),
                };
                match self.store.keep_outcome(call, &found, self.term).await? {
                    Kept::Stands(type_name, bytes) => ServiceMessage { type_name: self.common.command_type(&type_name)?, bytes, ..found },
                    Kept::Gone => return Ok(Came::Ended),
                    Kept::Over => return Ok(Came::Over),
                }
            }
        };
        let caller = format!("lookup/{}", self.lookup.name());
        let (_, record) = self.common.record(&self.log, &call.event, &caller, call.outcome_id, outcome.clone())?;
        Ok(match self.common.producer.send(vec![record]).await {
            Ok(_) => Came::Sent(outcome),
            Err(error) => Came::Kept(outcome, error.to_string()),
        })
    }
}
