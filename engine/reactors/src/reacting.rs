//! One rule in one partition, among the other followers of the partition.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_bus::Record;
use daybook_follow::{Event, FollowError, Follower, Moved, Standing};
use daybook_kernel::{ReactError, StreamId};
use daybook_log::{LogError, PartitionLog};
use daybook_process::metrics::{self, Counter, Gauge};
use deadpool_postgres::Client;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_postgres::Statement;

use crate::call::Notes;
use crate::clock::LogClock;
use crate::common::{Common, places};
use crate::desk::{Desk, DeskMeters};
use crate::hearing;
use crate::news::News;
use crate::queue::{Queue, Reaction};
use crate::store::{Mark, ParkedRow, Store};
use crate::{ReactorError, Rule};

/// Events read from the log at once.
pub(crate) const READ_AT_ONCE: i64 = 1_000;
/// Most reactions of one reactor and partition that may be on their way to Kafka.
const MOST_IN_FLIGHT: usize = 10_000;
/// The marks are written no more often than this while events go by: a message sent twice after a crash is a repeat.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Longest time that a holder that lets go waits for what it has sent.
const LAST_SENDS: Duration = Duration::from_secs(2);
/// While there is no room for more.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Meters {
    lag: Gauge,
    pub(crate) parked: Gauge,
    sent: Counter,
    pub(crate) sent_again: Counter,
}

/// The source of events: only the log is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Log,
    Kafka,
}

/// Marks that are to be written, and the statement for the connection that they were prepared on.
struct Write {
    to: Mark,
    statement: Statement,
}

/// What events ask for.
#[derive(Default)]
pub(crate) struct Asked {
    /// Messages to send, with their records.
    pub(crate) messages: Vec<(Reaction, Record)>,
    /// Calls to note, and what need not fire.
    pub(crate) notes: Notes,
}

impl Asked {
    pub(crate) fn extend(&mut self, more: Self) {
        self.messages.extend(more.messages);
        self.notes.extend(more.notes);
    }
}

/// Carries a rule out for the events of one log partition.
pub(crate) struct Reacting {
    pub(crate) rule: Rule,
    pub(crate) log: PartitionLog,
    pub(crate) common: Arc<Common>,
    clock: Arc<LogClock>,
    pub(crate) store: Store,
    /// The next event to react to.
    pub(crate) next: i64,
    epoch: i32,
    end: i64,
    /// The marks as they are stored.
    pub(crate) stored: Mark,
    has_held: bool,
    pub(crate) queue: Queue,
    /// Streams that wait, and the version that they wait at.
    pub(crate) parked: HashMap<StreamId, i64>,
    /// Of these, those that are not stored yet.
    to_park: Vec<ParkedRow>,
    /// Calls that are not stored yet.
    to_note: Notes,
    /// Does the calls that are stored. None: the rule asks for none, or this process has not got the partition.
    pub(crate) desk: Option<Desk>,
    /// The desk of deadlines fires nothing before it has heard this: of the last takeover from another one.
    news: Option<News>,
    /// Parked streams that this process has not tried yet.
    pub(crate) untried: HashSet<StreamId>,
    write: Option<Write>,
    written_at: Instant,
    pub(crate) meters: Meters,
}

impl Reacting {
    pub(crate) fn new(rule: Rule, log: PartitionLog, common: Arc<Common>, store: Store) -> Self {
        let (name, service, partition) = (rule.name(), log.service(), log.number().to_string());
        let meters = Meters {
            lag: metrics::REACTOR_LAG.with([name, service, &partition]),
            parked: metrics::REACTOR_PARKED_STREAMS.with([name, service, &partition]),
            sent: metrics::REACTIONS_SENT.with([name, service]),
            sent_again: metrics::REACTOR_REWINDS.with([name, service]),
        };
        Self {
            rule,
            log,
            clock: Arc::new(LogClock::new(common.clock.clone())),
            common,
            store,
            next: 0,
            epoch: 1,
            end: 0,
            stored: Mark { next: 0, settled: 0, epoch: 1, term: 0 },
            has_held: false,
            queue: Queue::default(),
            parked: HashMap::new(),
            to_park: Vec::new(),
            to_note: Notes::default(),
            desk: None,
            news: None,
            untried: HashSet::new(),
            write: None,
            written_at: Instant::now(),
            meters,
        }
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.rule.name(), self.log.name())
    }

    /// Forgets what it holds, and stands at these marks.
    async fn stand_at(&mut self, mark: Mark) -> Result<(), ReactorError> {
        (self.next, self.epoch, self.stored, self.write) = (mark.next, mark.epoch, mark, None);
        self.queue = Queue::at(mark.settled, mark.next);
        self.to_park.clear();
        self.to_note = Notes::default();
        self.have_desk();
        self.parked = self.store.parked().await?.into_iter().map(|row| (row.stream, row.version)).collect();
        self.untried.retain(|stream| self.parked.contains_key(stream));
        self.meters.parked.set(self.parked.len() as f64);
        self.look().await
    }

    async fn take_over(&mut self) -> Result<(), ReactorError> {
        let mark = self.store.take_over().await?;
        let had_it_last = self.has_held && mark.term == self.stored.term + 1;
        // Also where nobody else had it meanwhile: this process may have been away for long.
        self.wait_for_news();
        let is_its_own = had_it_last && Mark { term: self.stored.term, ..mark } == self.stored;
        if is_its_own && self.queue.look().is_ok() {
            self.stored.term = mark.term;
            self.write = None;
            self.have_desk();
            self.look().await?;
        } else {
            self.stand_at(mark).await?;
        }
        self.has_held = true;
        if !had_it_last {
            // This may be a newer build than the one that had it.
            self.untried = self.parked.keys().cloned().collect();
        }
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), ReactorError> {
        let mark = self.store.mark().await?;
        if mark.term != self.stored.term {
            return Err(ReactorError::Superseded(self.full_name()));
        }
        // The database may have been away, and what lanes could not decide meanwhile still be good news.
        self.wait_for_news();
        self.stand_at(mark).await
    }

    /// From now on deadlines fire only when what stands now has been heard.
    fn wait_for_news(&mut self) {
        if matches!(self.rule, Rule::Deadlines(_)) {
            self.news = Some(hearing::wait(&self.common));
        }
    }

    /// Looks where the log ends now. A log that was restored, and holds other events than those that were reacted to, is gone back in.
    async fn look(&mut self) -> Result<(), ReactorError> {
        let head = self.log.last_page().await?;
        self.end = head.next_offset();
        self.clock.stands_at(head.recorded_at);
        self.meters.lag.set((self.end - self.next) as f64);
        if head.epoch > self.epoch && self.next > 0 {
            let first = self.log.first_offset_after_epoch(self.epoch).await?.unwrap_or(self.next);
            if first < self.next {
                return self.go_back(first, head.epoch).await;
            }
            if self.end == self.next {
                // An epoch begins without events.
                self.epoch = head.epoch;
            }
        }
        if self.end < self.next {
            return self.go_back(self.end, head.epoch).await;
        }
        Ok(())
    }

    async fn go_back(&mut self, to: i64, epoch: i32) -> Result<(), ReactorError> {
        tracing::warn!(reactor = self.full_name(), from = self.next, to, "the log was restored to an older state; going back in it");
        let mark = Mark { next: self.stored.next.min(to), settled: self.stored.settled.min(to), epoch, ..self.stored };
        match self.store.write_alone(&self.stored, &mark, &[], &Notes::default()).await? {
            Moved::Yes => {}
            Moved::No | Moved::Locked => return Err(ReactorError::Superseded(self.full_name())),
        }
        (self.next, self.epoch, self.stored, self.write) = (mark.next, epoch, mark, None);
        self.queue = Queue::at(mark.settled, mark.next);
        self.to_note = Notes::default();
        self.open_desk();
        Ok(())
    }

    /// The calls that stand are done under the term that is this one's. A desk that does so goes on, and is told that it may not know all of
    /// them: what it has under way must not be cut off for each hiccup of the database.
    fn have_desk(&mut self) {
        match self.desk.as_ref().filter(|desk| desk.works_under(self.stored.term)) {
            Some(desk) => desk.read_again(self.news.clone()),
            None => self.open_desk(),
        }
    }

    /// Begins anew with the calls that stand, under the term that is this one's.
    fn open_desk(&mut self) {
        if !self.rule.has_desk() {
            return;
        }
        let (log, common, store) = (self.log.clone(), self.common.clone(), self.store.clone());
        let (term, news, clock) = (self.stored.term, self.news.clone(), self.clock.clone());
        self.desk = Some(Desk::open(self.rule.clone(), log, common, store, term, news, clock));
    }

    /// The messages and calls that an event asks for. Nothing for events of other aggregates.
    pub(crate) fn react(&self, event: &Arc<Event>) -> Result<Asked, ReactError> {
        let mut asked = Asked::default();
        if event.stream.aggregate() != self.rule.aggregate() {
            return Ok(asked);
        }
        match &self.rule {
            Rule::Lookup(lookup) => asked.notes.calls.extend(self.common.call(&**lookup, &self.log, event)?),
            Rule::Effect(effect) => asked.notes.calls.extend(self.common.outward(&**effect, &self.log, event)?),
            Rule::Deadlines(deadlines) => asked.notes = self.common.deadlines(&**deadlines, &self.log, event)?,
            Rule::Reactor(reactor) => {
                let (at, place) = places(&self.log, event);
                let caller = format!("reactor/{}", reactor.name());
                for (command_id, message) in reactor.react(&event.type_name, &event.payload, &event.decoded, &at, &place)? {
                    let record = self.common.record(&self.log, event, &caller, command_id, message);
                    asked.messages.push(record.map_err(|why| ReactError::Panicked(why.to_string()))?);
                }
            }
        }
        Ok(asked)
    }

    pub(crate) fn is_parked(&self, event: &Event) -> bool {
        self.parked.get(&event.stream).is_some_and(|version| event.version >= *version)
    }

    fn park(&mut self, event: &Event, why: &ReactError) {
        let (reactor, stream, offset) = (self.full_name(), event.stream.as_str(), event.offset);
        tracing::error!(reactor, stream, offset, %why, "a stream is parked for a reactor: see `daybook parked list`");
        metrics::REACTOR_PARKED.with([self.rule.name()]).increment(1);
        self.parked.insert(event.stream.clone(), event.version);
        self.meters.parked.set(self.parked.len() as f64);
        self.to_park.push(ParkedRow {
            stream: event.stream.clone(),
            version: event.version,
            offset: event.offset,
            reason: why.to_string(),
            parked_at: event.recorded_at,
            asked: None,
        });
    }

    /// Reacts to the next events, in order, and sends what they ask for. Only what the log says may park a stream: where an event that
    /// Kafka brought can't be reacted to, nothing is done, and the log is asked.
    ///
    /// # Errors
    /// [`FollowError::Carefully`], of events that are not from the log.
    fn work(&mut self, events: &[Arc<Event>], from: Source) -> Result<(), FollowError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let mut asked = Asked::default();
        for event in events {
            if self.is_parked(event) {
                continue;
            }
            match self.react(event) {
                Ok(more) => asked.extend(more),
                Err(why) if from == Source::Kafka => return Err(FollowError::Carefully(why.to_string())),
                Err(why) => self.park(event, &why),
            }
        }
        self.to_note.extend(asked.notes);
        self.to_note.settle();
        let (reactions, records): (Vec<Reaction>, Vec<Record>) = asked.messages.into_iter().unzip();
        let delivery = (!records.is_empty()).then(|| {
            daybook_failpoint::reach("react.before-send");
            self.meters.sent.increment(records.len() as u64);
            self.common.sender.send(records).boxed()
        });
        self.queue.sent(first.offset, last.offset + 1, reactions, delivery);
        (self.next, self.epoch) = (last.offset + 1, last.epoch);
        self.clock.heard(last.recorded_at);
        self.meters.lag.set((self.end - self.next) as f64);
        Ok(())
    }

    /// The marks as they should be stored. They never go back: reactions that are sent again lie before them.
    fn marks(&self) -> Mark {
        let next = self.queue.acknowledged().max(self.stored.next);
        let settled = self.queue.settled().clamp(self.stored.settled, next);
        let epoch = if next == self.next { self.epoch } else { self.stored.epoch };
        Mark { next, settled, epoch, ..self.stored }
    }

    /// Whether there is something to write, and it is time for it.
    fn is_due(&self) -> bool {
        !self.to_park.is_empty() || !self.to_note.is_empty() || (self.marks() != self.stored && self.written_at.elapsed() >= WRITE_EVERY)
    }

    async fn write_marks(&mut self) -> Result<(), ReactorError> {
        let to = self.marks();
        if to == self.stored && self.to_park.is_empty() && self.to_note.is_empty() {
            return Ok(());
        }
        daybook_failpoint::reach("react.before-checkpoint");
        match self.store.write_alone(&self.stored, &to, &self.to_park, &self.to_note).await? {
            Moved::Yes => self.wrote(to),
            Moved::No | Moved::Locked => return Err(ReactorError::Superseded(self.full_name())),
        }
        Ok(())
    }

    fn wrote(&mut self, mark: Mark) {
        (self.stored, self.written_at) = (mark, Instant::now());
        self.to_park.clear();
        let calls = std::mem::take(&mut self.to_note).calls;
        if let (Some(desk), false) = (&self.desk, calls.is_empty()) {
            desk.add(calls, false);
        }
    }

    pub(crate) async fn stored_events(&self, from: i64, limit: i64) -> Result<Vec<Arc<Event>>, ReactorError> {
        let stored = self.log.read_events(from, limit).await?;
        Ok(stored.into_iter().map(|event| Event::stored(event).map(Arc::new)).collect::<Result<Vec<_>, LogError>>()?)
    }

    /// One batch from the log.
    async fn step(&mut self) -> Result<(), ReactorError> {
        match tokio::time::timeout(PAUSE, self.queue.has_room(MOST_IN_FLIGHT)).await {
            Ok(has_room) => has_room?,
            Err(_) => return Ok(()),
        }
        self.queue.look()?;
        let limit = READ_AT_ONCE.min(self.end - self.next);
        if limit > 0 {
            let events = self.stored_events(self.next, limit).await?;
            // From the log nothing is refused.
            let _ = self.work(&events, Source::Log);
            self.queue.look()?;
        }
        if self.is_due() { self.write_marks().await } else { Ok(()) }
    }

    /// Between batches: marks, parked streams, and reactions that have come to an end.
    async fn tend(&mut self) -> Result<(), ReactorError> {
        if self.desk.as_ref().is_some_and(Desk::is_over) {
            if self.store.mark().await?.term != self.stored.term {
                return Err(ReactorError::Superseded(self.full_name()));
            }
            self.open_desk();
        }
        self.queue.look()?;
        self.settle().await?;
        self.write_marks().await?;
        self.tend_parked().await
    }

    async fn let_go(&mut self) -> Result<(), ReactorError> {
        let until = tokio::time::Instant::now() + LAST_SENDS;
        while self.queue.in_flight() > 0 {
            match tokio::time::timeout_at(until, self.queue.next_arrives()).await {
                Ok(arrived) => arrived?,
                Err(_) => break,
            }
        }
        self.queue.look()?;
        // Whoever has the partition next does the calls that are left again.
        if let Some(desk) = self.desk.take() {
            desk.finish(until).await;
        }
        self.write_marks().await
    }
}

impl Drop for Reacting {
    /// The gauges of its partition are another one's to set.
    fn drop(&mut self) {
        self.meters.lag.set(0.0);
        self.meters.parked.set(0.0);
        if self.rule.has_desk() {
            DeskMeters::of(&self.rule, &self.log).open.set(0.0);
        }
    }
}

impl Follower for Reacting {
    fn name(&self) -> String {
        self.full_name()
    }

    fn next(&self) -> i64 {
        self.next
    }

    fn epoch(&self) -> i32 {
        self.epoch
    }

    fn term(&self) -> i64 {
        self.stored.term
    }

    fn heard(&mut self, end: i64) {
        self.end = self.end.max(end);
        self.meters.lag.set((self.end - self.next) as f64);
    }

    fn take_over(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::take_over(self).await?) }.boxed()
    }

    fn resume(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::resume(self).await?) }.boxed()
    }

    fn standing(&self) -> BoxFuture<'_, Result<Standing, FollowError>> {
        async { Ok(self.store.standing().await?) }.boxed()
    }

    fn prepare<'a>(&'a mut self, client: &'a Client, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<(), FollowError>> {
        async move {
            if events.iter().any(|event| event.epoch != self.epoch) {
                return Err(FollowError::Carefully("an event is of another epoch: the log says where that began".to_owned()));
            }
            self.queue.look().map_err(ReactorError::from)?;
            if self.queue.in_flight() >= MOST_IN_FLIGHT {
                return Err(FollowError::Busy(self.full_name()));
            }
            self.work(events, Source::Kafka)?;
            // What asks for no message is done with: the mark moves over it in the statement that notes its calls.
            self.queue.look().map_err(ReactorError::from)?;
            self.write = None;
            if self.is_due() {
                let statement = self.store.prepare_write(client).await?;
                self.write = Some(Write { to: self.marks(), statement });
            }
            Ok(())
        }
        .boxed()
    }

    fn has_statement(&self) -> bool {
        self.write.is_some()
    }

    fn execute<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Moved, tokio_postgres::Error>> {
        async move {
            match &self.write {
                Some(Write { to, statement }) => {
                    daybook_failpoint::reach("react.before-checkpoint");
                    self.store.write(client, statement, &self.stored, to, &self.to_park, &self.to_note).await
                }
                None => Ok(Moved::Yes),
            }
        }
        .boxed()
    }

    fn committed(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            if let Some(Write { to, .. }) = self.write.take() {
                self.wrote(to);
            }
            Ok(())
        }
        .boxed()
    }

    fn again(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            self.write = None;
            Ok(self.write_marks().await?)
        }
        .boxed()
    }

    fn log_end(&self) -> BoxFuture<'_, Result<i64, FollowError>> {
        async { Ok(self.log.last_page().await.map_err(ReactorError::from)?.next_offset()) }.boxed()
    }

    fn is_behind(&mut self) -> BoxFuture<'_, Result<bool, FollowError>> {
        async {
            self.look().await?;
            Ok(self.next < self.end)
        }
        .boxed()
    }

    fn step(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::step(self).await?) }.boxed()
    }

    fn wants_tending(&mut self) -> bool {
        let is_over = self.desk.as_ref().is_some_and(Desk::is_over);
        is_over || self.queue.is_open() || self.marks() != self.stored || !self.parked.is_empty()
    }

    fn tend(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::tend(self).await?) }.boxed()
    }

    fn let_go(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::let_go(self).await?) }.boxed()
    }

    fn give_up(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            if self.has_held {
                self.store.give_up(self.stored.term).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
