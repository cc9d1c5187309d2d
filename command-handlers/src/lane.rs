//! A lane: the single writer of one log partition, for as long as the group assigns it. Takes all that has arrived,
//! decides it, appends one page, and only then tells anybody.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{Inbox, Inspector, Message, Record, StartAt};
use daybook_kernel::{Digest, Instant, StreamId};
use daybook_log::{AppendOutcome, Opened, PageHead, PartitionLog, Settled, Snapshot, Writer, WriterSessions};
use daybook_log::{LoadedStream, Page};
use daybook_messages::LocalLanes;
use daybook_process::metrics;
use daybook_proto::v1::CommandResult;
use futures_util::FutureExt as _;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use crate::batch::{Answer, Decided, PageContext, decide};
use crate::endpoint::Waiters;
use crate::error::backoff;
use crate::intake::{Arrival, Intake};
use crate::memory::{Held, Memory};
use crate::producers::Producers;
use crate::published::{Published, first_unpublished};
use crate::relay::Relay;
use crate::standing::{Board, Standing};
use crate::{HandlerConfig, HandlerError, OnCommit, replies};

/// After a conflict and at the start, ids are looked up first, until so many in a row were new.
const LOOK_UP_FIRST: usize = 1_000;
/// Most commands that were decided beside Kafka, and that Kafka has not brought yet, that are remembered; those beyond are ordinary repeats.
const BROUGHT_LATER: usize = 10_000;
/// Most parked commands that are remembered, so that what was handed over of them is dropped.
const SET_ASIDE: usize = 1_000;

/// Parts that all lanes of a service in one process share.
pub(crate) struct LaneParts {
    pub(crate) config: HandlerConfig,
    pub(crate) service: Arc<str>,
    pub(crate) sessions: Arc<WriterSessions>,
    pub(crate) producers: Producers,
    pub(crate) inspector: Inspector,
    pub(crate) messages_topic: Arc<str>,
    pub(crate) events_topic: Arc<str>,
    pub(crate) rejected_topic: Arc<str>,
    pub(crate) replies_topic: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) committed: OnCommit,
    pub(crate) local: LocalLanes,
    pub(crate) waiters: Waiters,
    pub(crate) board: Board,
}

/// The source of the context's time.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The state that a partition's lanes leave to each other within a process.
pub(crate) struct Handover {
    pub(crate) memory: Memory,
    /// The digest of the last page that the memory rests on.
    pub(crate) digest: Option<Vec<u8>>,
}

pub(crate) struct Lane {
    pub(crate) parts: Arc<LaneParts>,
    pub(crate) intake: Intake,
    pub(crate) partition: PartitionLog,
    pub(crate) inbox: Inbox,
    /// The offset that this assignment has stored of late: behind the last message that is done with. None before the first one.
    pub(crate) done: Option<i64>,
}

/// One ownership of the partition: from an opening page until it is lost.
pub(crate) struct Tenure<'a> {
    pub(crate) lane: &'a mut Lane,
    pub(crate) handover: &'a mut Handover,
    standing: &'a Standing,
    writer: Writer,
    relay: Relay,
    head: PageHead,
    /// Ids are looked up before deciding while this is above 0.
    look_up_first: usize,
    /// Most arrivals that the next page covers: fewer after one was refused for its content, to find the command.
    limit: usize,
    /// The command that was found, and why it can't be written; until it is parked.
    unwritable: Option<(Uuid, String)>,
    /// Commands that were decided beside Kafka, and that it is still to bring.
    brought_later: HashSet<Uuid>,
    /// Commands that were parked of late: what was handed over of one waited behind its message, and takes no effect.
    set_aside: HashSet<Uuid>,
}

impl Lane {
    /// Works until the partition is revoked. Errors of the infrastructure are waited out here: the lane takes the
    /// partition over again, from where the log stands.
    pub(crate) async fn run(mut self, handover: &mut Handover) {
        let (name, parts) = (self.partition.name(), self.parts.clone());
        let next = self.inbox.committed.unwrap_or_default();
        let standing = parts.board.look_after(&parts.service, self.partition.number(), &parts.messages_topic, &parts.inspector, next);
        let mut backoff = backoff();
        while !self.inbox.is_ended() {
            let begun = std::time::Instant::now();
            // A panic anywhere on the way is a bug; it costs the partition a moment, never the rest of the process's life.
            let ended = AssertUnwindSafe(self.tenure(handover, &standing)).catch_unwind().await;
            let ended = ended.unwrap_or_else(|panic| {
                // Nobody knows how far it got with it.
                handover.memory.forget_all();
                handover.digest = None;
                Err(HandlerError::panicked(panic.as_ref()))
            });
            match ended {
                Ok(()) => return,
                Err(error) if self.inbox.is_ended() => {
                    tracing::debug!(partition = %name, %error, "revoked");
                    return;
                }
                Err(error) => {
                    metrics::LANE_RESTARTS.with([&self.parts.service]).increment(1);
                    tracing::warn!(partition = %name, %error, "the lane begins again from the log");
                    standing.trouble(Some(error.to_string()));
                }
            }
            if begun.elapsed() > Duration::from_secs(10) {
                backoff.succeeded();
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn tenure(&mut self, handover: &mut Handover, standing: &Standing) -> Result<(), HandlerError> {
        let parts = self.parts.clone();
        let begun = std::time::Instant::now();
        let cursor = first_unpublished(&parts.inspector, &parts.events_topic, &self.partition).await?;
        let writer = Writer::new(self.partition.clone(), &parts.sessions).await?;
        let Opened { head, before } = writer.open((parts.clock)()).await?;
        daybook_failpoint::reach("open.after");
        tracing::info!(partition = %self.partition.name(), page = head.page, writer = writer.name(), after_ms = begun.elapsed().as_millis() as u64, "took the partition over");
        metrics::LANE_TAKEOVERS.with([&parts.service]).increment(1);
        // Nobody wrote since my last page: my memory is still good.
        if handover.digest.as_ref() != Some(&before.digest) {
            handover.memory.forget_all();
        }
        handover.digest = Some(head.digest.clone());
        handover.memory.unblock_all();
        let published = Published {
            inspector: parts.inspector.clone(),
            topic: parts.events_topic.clone(),
            partition: self.partition.clone(),
            writer: writer.name().to_owned(),
            next: None,
            low: 0,
        };
        let relay = Relay::start(published, parts.producers.clone(), cursor, head.next_offset());
        // The inbox knows the offset committed when it was assigned: a lane that begins again within the assignment goes on from there.
        let start = match self.done.or(self.inbox.committed) {
            // Without a committed offset the group has never got anywhere: only the ledger says what has been done.
            None => StartAt::Earliest,
            Some(next) => StartAt::Offset(next.min(head.message_offset + 1)),
        };
        standing.done(if let StartAt::Offset(next) = start { next } else { 0 });
        // A log that has lost pages meanwhile has fewer messages done.
        if let (Some(_), StartAt::Offset(next)) = (self.done, start) {
            self.done = Some(next);
        }
        let mut tenure = Tenure {
            lane: self,
            handover,
            standing,
            writer,
            relay,
            head,
            look_up_first: LOOK_UP_FIRST,
            limit: Page::MAX_COMMANDS,
            unwritable: None,
            brought_later: HashSet::new(),
            set_aside: HashSet::new(),
        };
        let served = tenure.serve(start).await;
        // A writer that takes over need not wait for the courtesy lock.
        tenure.writer.release().await;
        served
    }
}

impl Tenure<'_> {
    pub(crate) fn service(&self) -> &str {
        &self.lane.parts.service
    }

    async fn serve(&mut self, start: StartAt) -> Result<(), HandlerError> {
        self.take_up_parked().await?;
        let mut handed = self.lane.parts.local.open(&self.lane.parts.messages_topic, self.lane.partition.number());
        self.lane.inbox.start(start).await?;
        self.standing.trouble(None);
        loop {
            tokio::select! {
                biased;
                messages = self.lane.inbox.recv(Page::MAX_COMMANDS, Page::MAX_BYTES) => match messages {
                    Some(messages) => self.handle(messages).await?,
                    None => return Ok(()),
                },
                Some(record) = handed.recv() => self.handle_beside(record, &mut handed).await?,
            }
        }
    }

    /// Commands that were handed over in this process. What can't be read or decided waits until Kafka brings it.
    async fn handle_beside(&mut self, first: Record, more: &mut Receiver<Record>) -> Result<(), HandlerError> {
        let rest = std::iter::from_fn(|| more.try_recv().ok());
        let mut arrivals: Vec<Arrival> =
            std::iter::once(first).chain(rest).filter_map(|record| self.lane.intake.read_beside(record)).collect();
        let (memory, set_aside) = (&mut self.handover.memory, &self.set_aside);
        arrivals.retain(|arrival| {
            let (id, stream) = (&arrival.command_id, &arrival.stream);
            memory.result(id).is_none() && memory.blocked(stream).is_none() && !set_aside.contains(id)
        });
        self.pages(&arrivals).await?;
        if self.brought_later.len() > BROUGHT_LATER {
            self.brought_later.clear();
        }
        let memory = &mut self.handover.memory;
        let decided = arrivals.iter().map(|arrival| arrival.command_id).filter(|id| memory.result(id).is_some());
        let before = self.brought_later.len();
        self.brought_later.extend(decided);
        metrics::COMMANDS_HANDED_OVER.with([self.service()]).increment((self.brought_later.len() - before) as u64);
        Ok(())
    }

    /// Whether this is a command that was decided beside Kafka, as Kafka brings it.
    fn is_brought_later(&mut self, arrival: &Arrival) -> bool {
        self.brought_later.remove(&arrival.command_id)
            && self.handover.memory.result(&arrival.command_id).is_some_and(|result| result.command_digest == arrival.digest)
    }

    /// One batch of messages: afterwards each has its result in the log, or is rejected or parked for good.
    async fn handle(&mut self, messages: Vec<Message>) -> Result<(), HandlerError> {
        let Some(last) = messages.last().map(|m| m.offset) else { return Ok(()) };
        self.standing.lags(messages[0].timestamp_ms, (self.lane.parts.clock)());
        let mut arrivals = Vec::with_capacity(messages.len());
        let mut answers = Vec::new();
        for message in messages {
            match self.lane.intake.read(message) {
                Ok(arrival) if self.is_brought_later(&arrival) => {}
                Ok(arrival) => arrivals.push(arrival),
                Err(misfit) => answers.push(self.set_aside(*misfit).await?),
            }
        }
        self.reply(answers);
        self.pages(&arrivals).await?;
        daybook_failpoint::reach("reply.after");
        self.lane.inbox.store(last + 1);
        // Not the highest that there was: a topic that was wiped begins again.
        self.lane.done = Some(last + 1);
        self.standing.done(last + 1);
        Ok(())
    }

    pub(crate) async fn pages(&mut self, arrivals: &[Arrival]) -> Result<(), HandlerError> {
        let mut done = 0;
        while done < arrivals.len() {
            done += self.page(&arrivals[done..]).await?;
        }
        Ok(())
    }

    /// One page of these arrivals, committed; returns how many it covers.
    async fn page(&mut self, arrivals: &[Arrival]) -> Result<usize, HandlerError> {
        loop {
            let (streams, known) = self.load(arrivals).await?;
            let now = self.now();
            let place = PageContext {
                service: &self.lane.parts.service,
                partition: self.lane.partition.number(),
                writer: self.writer.name(),
                after: &self.head,
                message_offset: self.lane.done.map_or(self.head.message_offset, |next| next - 1),
                now,
                secret: &self.lane.intake.secret,
                waits: &self.lane.parts.config.waits,
                registry: &self.lane.intake.registry,
                limit: self.limit,
                unwritable: self.unwritable.as_ref().map(|(id, why)| (*id, why.as_str())),
            };
            let mut decided = decide(arrivals, streams, &known, &mut self.handover.memory, &place);
            for parked in &decided.parked {
                daybook_failpoint::reach("aside.before");
                self.lane.partition.park(parked).await?;
                daybook_failpoint::reach("aside.after");
                if self.set_aside.len() >= SET_ASIDE {
                    self.set_aside.clear();
                }
                self.set_aside.insert(parked.command_id);
                metrics::MESSAGES_PARKED.with([self.service(), &parked.kind]).increment(1);
            }
            for rejected in &decided.rejected {
                tracing::warn!(partition = %self.lane.partition.name(), reason = rejected.reason, "a reaction is not the one of before");
                self.lane.partition.reject(rejected).await?;
                metrics::MESSAGES_REJECTED.with([self.service()]).increment(1);
            }
            let Some(page) = decided.page.take() else {
                return self.finish(decided, None).await;
            };
            let begun = std::time::Instant::now();
            daybook_failpoint::reach("append.before");
            let outcome = self.writer.append(&page).await;
            metrics::APPEND_TIME.with([self.service()]).record(begun.elapsed().as_secs_f64());
            match outcome {
                AppendOutcome::Appended => return self.finish(decided, Some(page)).await,
                // Some of these commands have their results already: find out which, and decide the others again.
                AppendOutcome::Repeated => self.look_up_first = LOOK_UP_FIRST,
                AppendOutcome::NotTheWriter | AppendOutcome::PredecessorMissing => {
                    return Err(HandlerError::NotTheWriter(self.lane.partition.name()));
                }
                AppendOutcome::Unknown(why) => {
                    tracing::warn!(partition = %self.lane.partition.name(), page = page.head().page, why, "the answer to a page was lost");
                    match self.writer.settle(&page, &self.head, self.now()).await? {
                        Settled::Committed => return self.finish(decided, Some(page)).await,
                        Settled::NeverWritten(head) => self.stands(&head),
                        Settled::Superseded => return Err(HandlerError::NotTheWriter(self.lane.partition.name())),
                    }
                }
                ref failed @ AppendOutcome::Failed(ref why) if failed.blames_content() => self.narrow(decided.consumed, &page, why),
                AppendOutcome::Failed(why) => return Err(HandlerError::Log(daybook_log::LogError::Pool(why))),
                AppendOutcome::Locked => return Err(HandlerError::Log(daybook_log::LogError::Pool("a page waited for a lock".to_owned()))),
            }
        }
    }

    /// Postgres refuses something in the content of a page that covers so many arrivals: half of them is tried, until the one
    /// command is found and parked.
    fn narrow(&mut self, covered: usize, page: &Page, why: &str) {
        tracing::error!(partition = %self.lane.partition.name(), why, commands = page.ledger().len(), "a page can't be written");
        if let [only] = page.ledger() {
            self.unwritable = Some((only.command_id, why.to_owned()));
            // The commands that it left no room for must wait until it is parked: they may not be written either.
            self.limit = covered;
        } else {
            self.limit = covered / 2;
        }
    }

    fn stands(&mut self, head: &PageHead) {
        self.head = head.clone();
        self.handover.digest = Some(head.digest.clone());
    }

    pub(crate) fn now(&self) -> Instant {
        let now = (self.lane.parts.clock)();
        if now < self.head.recorded_at {
            let behind = self.head.recorded_at.micros() - now.micros();
            metrics::CLOCK_BEHIND.with([self.service()]).set(behind as f64 / 1e6);
        }
        now
    }

    /// The states of the streams that these arrivals are addressed to, and those of their results that the ledger has.
    /// One query, and none when memory knows it all.
    async fn load(&mut self, arrivals: &[Arrival]) -> Result<(HashMap<StreamId, Held>, HashMap<Uuid, Arc<CommandResult>>), HandlerError> {
        let mut streams: HashMap<StreamId, Held> = HashMap::new();
        let mut missing: HashMap<StreamId, &Arrival> = HashMap::new();
        for arrival in arrivals.iter().take(self.limit) {
            if streams.contains_key(&arrival.stream) || self.handover.memory.blocked(&arrival.stream).is_some() {
                continue;
            }
            match self.handover.memory.take_stream(&arrival.stream) {
                Some(held) => {
                    streams.insert(arrival.stream.clone(), held);
                }
                None => {
                    missing.insert(arrival.stream.clone(), arrival);
                }
            }
        }
        let mut known = HashMap::new();
        if missing.is_empty() && self.look_up_first == 0 {
            return Ok((streams, known));
        }
        let wanted: Vec<(&str, Digest)> = missing.iter().map(|(id, a)| (id.as_str(), a.aggregate.fingerprint())).collect();
        let asked: HashSet<(&str, Uuid)> = arrivals.iter().take(self.limit).map(|a| (a.stream.as_str(), a.command_id)).collect();
        let asked: Vec<(&str, Uuid)> = asked.into_iter().collect();
        let mut found = self.writer.read_batch(&wanted, &asked).await?;
        for (id, result) in found.results {
            known.insert(id, Arc::new(result));
        }
        for (id, arrival) in missing {
            let loaded = found.streams.remove(id.as_str()).unwrap_or_default();
            match fold(arrival, loaded) {
                Ok(held) => {
                    streams.insert(id, held);
                }
                // It holds an event that this build does not know: its messages wait for one that does.
                Err(reason) => self.handover.memory.block(id, reason),
            }
        }
        Ok((streams, known))
    }

    /// The page stands, or there was nothing to write: now it may be told, first of all to those who wait.
    async fn finish(&mut self, mut decided: Decided, page: Option<Page>) -> Result<usize, HandlerError> {
        let service = self.service().to_owned();
        let answers = std::mem::take(&mut decided.answers);
        if let Some(page) = page {
            daybook_failpoint::reach("append.after");
            let page = Arc::new(page);
            self.stands(page.head());
            self.reply(answers);
            self.relay.committed(page.clone());
            (self.lane.parts.committed)(&self.lane.parts.service, self.lane.partition.number(), &page);
            self.snapshots(&decided, &page);
            metrics::PAGE_COMMANDS.with([&service]).record(page.ledger().len() as f64);
            // Ranges of requests are made a quarter of a million pages at a time; asking now and then is enough.
            if page.head().page % 10_000 == 0 {
                self.writer.extend_requests(page.head().page + 10_000).await?;
            }
        } else {
            self.reply(answers);
        }
        let Decided { consumed, streams, results, new, repeats, taken_up, .. } = decided;
        for (id, held) in streams {
            self.handover.memory.keep_stream(id, held);
        }
        for (id, result) in results {
            self.handover.memory.keep_result(id, result);
        }
        self.look_up_first = if repeats > 0 { LOOK_UP_FIRST } else { self.look_up_first.saturating_sub(new) };
        self.limit = (self.limit * 2).min(Page::MAX_COMMANDS);
        self.unwritable = None;
        metrics::COMMANDS_DECIDED.with([&service]).increment(new as u64);
        metrics::COMMANDS_REPEATED.with([&service]).increment(repeats as u64);
        for parked_id in taken_up {
            self.lane.partition.settle_parked(parked_id, self.now(), "decided").await?;
        }
        Ok(consumed)
    }

    fn reply(&self, answers: Vec<Answer>) {
        if answers.iter().all(|answer| answer.reply_to.is_none()) {
            return;
        }
        daybook_failpoint::reach("reply.before");
        let parts = &self.lane.parts;
        let records = replies::answer(&parts.waiters, &parts.replies_topic, answers);
        if !records.is_empty() {
            // Not waited for: a lost reply is only a slower answer, for the result stands in the ledger.
            let delivery = self.lane.parts.producers.repeatable(records.len()).send(records);
            tokio::spawn(async move {
                if let Err(error) = delivery.await {
                    tracing::warn!(%error, "replies were not delivered; who waits asks by its handle");
                }
            });
        }
    }

    /// Snapshots of streams that have grown by another `snapshot_every` events; taken of committed state only, and
    /// beside the lane's work.
    fn snapshots(&self, decided: &Decided, page: &Arc<Page>) {
        let every = self.lane.parts.config.snapshot_every.max(1);
        for event in page.stored_events() {
            if event.version.cast_unsigned() % every != 0 {
                continue;
            }
            let Ok(stream) = StreamId::parse(&event.stream_id) else { continue };
            let Some(aggregate) = self.lane.intake.registry.aggregate(&self.lane.parts.service, stream.aggregate()) else { continue };
            let Some(held) = decided.streams.get(&stream).filter(|h| h.version == event.version.cast_unsigned()) else { continue };
            let snapshot = Snapshot {
                stream_id: event.stream_id,
                version: event.version,
                event_digest: event.digest,
                fingerprint: aggregate.fingerprint(),
                state: aggregate.encode_state(&held.state),
                recorded_at: event.recorded_at,
            };
            let partition = self.lane.partition.clone();
            tokio::spawn(async move {
                if let Err(error) = partition.insert_snapshot(&snapshot).await {
                    tracing::warn!(stream = snapshot.stream_id, %error, "a snapshot was not kept; the stream is folded from further back");
                }
            });
        }
    }
}

/// The state of a stream as it was read.
fn fold(arrival: &Arrival, loaded: LoadedStream) -> Result<Held, String> {
    let aggregate = &arrival.aggregate;
    let (mut state, mut version) = (aggregate.new_state(), 0_u64);
    if let Some((at, _, bytes)) = loaded.snapshot {
        // The fingerprint is this build's, so it can be read; if not, the log is asked for more than it can say.
        state = aggregate.decode_state(&bytes).map_err(|e| format!("its snapshot: {e}"))?;
        version = at.cast_unsigned();
    }
    for (at, type_name, payload, _) in loaded.events {
        aggregate.evolve(&mut state, &type_name, &payload).map_err(|e| format!("event {at}: {e}"))?;
        version = at.cast_unsigned();
    }
    Ok(Held { state, version })
}
