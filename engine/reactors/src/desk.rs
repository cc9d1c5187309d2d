//! The desk of a rule in a partition: it does the calls that are open there, several at once, one after the other for one target.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daybook_follow::Event;
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
use crate::common::Common;
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
    calls: UnboundedSender<Vec<Call>>,
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
        };
        Self { calls, task: tokio::spawn(work.run(arriving)).abort_handle() }
    }

    /// The rows of these stand by now.
    pub(crate) fn add(&self, calls: Vec<Call>) {
        // A desk that has found its term over does nothing more.
        let _ = self.calls.send(calls);
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
}

impl Work {
    async fn run(mut self, mut arriving: UnboundedReceiver<Vec<Call>>) {
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.has_more && self.held.len() <= HELD / 2 {
                match self.read().await {
                    Ok(()) => self.pause.succeeded(),
                    Err(error) => {
                        tracing::warn!(lookup = self.shared.lookup.name(), %error, "calls can't be read; trying again");
                        tokio::time::sleep(self.pause.pause()).await;
                        continue;
                    }
                }
            }
            self.begin();
            self.meters.open.set(self.held.len() as f64);
            let next = self.due.first().map(|(at, _)| *at).filter(|_| self.under_way.len() < AT_ONCE);
            tokio::select! {
                calls = arriving.recv() => match calls {
                    Some(calls) => self.add(calls),
                    None => return,
                },
                Some(back) = self.under_way.join_next(), if !self.under_way.is_empty() => match back {
                    Ok((_, Came::Over)) => return,
                    Ok((at, came)) => self.came(at, came).await,
                    Err(error) => {
                        tracing::error!(lookup = self.shared.lookup.name(), %error, "a call's task has ended; its rows are read again");
                        self.forget();
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

    /// Nothing is lost by that: the rows stand.
    fn forget(&mut self) {
        self.held.clear();
        self.targets.clear();
        self.due.clear();
        self.sent.clear();
        self.under_way = JoinSet::new();
        (self.read_to, self.has_more) = (BEGINNING, true);
    }

    fn hold(&mut self, call: Call, row: Option<(Option<ServiceMessage>, i32)>) {
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
        let repeats = row.is_some();
        let (outcome, tries) = row.unwrap_or_default();
        self.held.insert(at, Held { call, outcome, tries, repeats, since: now, sent: None });
    }

    fn add(&mut self, calls: Vec<Call>) {
        if self.has_more || self.held.len() + calls.len() > HELD {
            // Those before them come first, from the table. A parked stream that flows again has older ones than were read.
            let before = calls.iter().map(|call| (call.event.offset - 1, Uuid::max())).min();
            self.read_to = before.map_or(self.read_to, |before| self.read_to.min(before));
            self.has_more = true;
            return;
        }
        for call in calls {
            self.hold(call, None);
        }
    }

    /// Reads rows behind those that are held, with their events.
    async fn read(&mut self) -> Result<(), ReactorError> {
        let shared = self.shared.clone();
        let rows = shared.store.calls_after(self.read_to, READ_AT_ONCE).await?;
        let is_last = rows.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
        for row in rows {
            let at = (row.offset, row.outcome_id);
            match shared.call(row).await? {
                Some((call, outcome, tries)) => self.hold(call, Some((outcome, tries))),
                None => {
                    tracing::warn!(lookup = shared.lookup.name(), offset = at.0, "a call that no event asks for is dropped");
                    shared.store.end_calls(&[at]).await?;
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
        // For operators; what stands there changes nothing.
        let _ = self.shared.store.keep_failure(&call, tries, &failed, self.shared.term).await;
    }

    /// Their rows go, and the next calls of their targets have their turn.
    async fn ended(&mut self, ended: &[At]) {
        if let Err(error) = self.shared.store.end_calls(ended).await {
            tracing::warn!(lookup = self.shared.lookup.name(), %error, "the rows of calls that have ended could not be taken away");
            // They are found again.
            self.due.extend(ended.iter().map(|at| (Instant::now() + LONGEST_PAUSE, *at)));
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
    /// A row's call, as its event asks for it. None: the log has another event there, or none.
    async fn call(&self, row: CallRow) -> Result<Option<(Call, Option<ServiceMessage>, i32)>, ReactorError> {
        let events = self.log.read_events(row.offset, 1).await?;
        let Some(stored) = events.into_iter().find(|event| event.offset == row.offset) else { return Ok(None) };
        let event = Arc::new(Event::stored(stored)?);
        let asked = self.common.call(&*self.lookup, &self.log, &event);
        let asked = match asked {
            Ok(asked) => asked.filter(|call| call.outcome_id == row.outcome_id),
            // A newer build has written the row, and kept an outcome perhaps; this one can't do it.
            Err(why) => return Err(ReactorError::Configuration(format!("the event at offset {} asks for a call: {why}", row.offset))),
        };
        let Some(call) = asked else { return Ok(None) };
        let outcome = row.outcome.map(|(type_name, bytes)| -> Result<ServiceMessage, ReactorError> {
            let type_name = self.common.command_type(&type_name)?;
            Ok(ServiceMessage { service: call.service, type_name, bytes, target: row.target })
        });
        Ok(Some((call, outcome.transpose()?, row.tries)))
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
                let place = Place { service: self.log.service(), partition: self.log.number(), offset: call.event.offset };
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
