//! One log partition folded into one generation of a read model: what the runner, a rebuild and an audit share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use daybook_bus::Message;
use daybook_kernel::{ReadModel, StreamId};
use daybook_log::{LogError, PartitionLog};
use metrics::{Counter, Gauge};

use crate::ProjectorError;
use crate::batch::{Before, Folded, Pace, fold};
use crate::config::Limits;
use crate::event::Event;
use crate::generation::Generation;
use crate::held::Held;
use crate::store::{Move, Place, ReadStore};

/// What a projector has met since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that went into a view.
    pub folded: u64,
    /// Messages whose offset had been passed.
    pub repeats: u64,
    /// Times that Kafka went on beyond the next offset, and the log had to be read.
    pub gaps: u64,
    /// Messages that were no event.
    pub unreadable: u64,
    /// Streams that were parked.
    pub parked: u64,
}

/// Folds one partition. It holds nothing that can't be forgotten: after any error, [`resume`](Self::resume) it.
pub struct Projector {
    model: Arc<ReadModel>,
    generation: Arc<Generation>,
    store: ReadStore,
    log: PartitionLog,
    partitions: u32,
    limits: Limits,
    held: Held,
    parked: BTreeSet<String>,
    next: i64,
    epoch: i32,
    /// The log's next offset, as far as is known.
    end: i64,
    /// Events to read at once: fewer when they are large.
    read_at_once: i64,
    counts: Counts,
    meters: Meters,
}

struct Meters {
    folded: Counter,
    repeats: Counter,
    gaps: Counter,
    unreadable: Counter,
    parked: Counter,
    waiting: Gauge,
    lag: Gauge,
}

impl Meters {
    fn new(projection: &str, service: &str, partition: i32) -> Self {
        let of = [("projection", projection.to_owned()), ("service", service.to_owned())];
        let own = [of[0].clone(), of[1].clone(), ("partition", partition.to_string())];
        Self {
            folded: metrics::counter!("daybook_projector_events_total", &of),
            repeats: metrics::counter!("daybook_projector_repeats_total", &of),
            gaps: metrics::counter!("daybook_projector_gaps_total", &of),
            unreadable: metrics::counter!("daybook_projector_unreadable_messages_total", &of),
            parked: metrics::counter!("daybook_projector_parked_total", &of),
            waiting: metrics::gauge!("daybook_projector_parked_streams", &own),
            lag: metrics::gauge!("daybook_projector_lag_events", &own),
        }
    }
}

impl Projector {
    /// Stands where the checkpoint stands. `partitions` is how many the log has.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn open(
        model: Arc<ReadModel>,
        generation: Arc<Generation>,
        store: ReadStore,
        log: PartitionLog,
        partitions: u32,
        limits: Limits,
    ) -> Result<Self, ProjectorError> {
        let meters = Meters::new(model.name, log.service(), log.number());
        let mut projector = Self {
            held: Held::new(limits.held_bytes),
            read_at_once: i64::try_from(limits.batch_events).unwrap_or(i64::MAX).max(1),
            parked: BTreeSet::new(),
            next: 0,
            epoch: 1,
            end: 0,
            counts: Counts::default(),
            model,
            generation,
            store,
            log,
            partitions,
            limits,
            meters,
        };
        projector.resume().await?;
        Ok(projector)
    }

    /// Forgets all that it holds, and stands where the stored checkpoint stands.
    ///
    /// # Errors
    /// When Postgres does not answer, or the log ends before the checkpoint.
    pub async fn resume(&mut self) -> Result<(), ProjectorError> {
        self.held.clear();
        let (next, epoch) = self.store.checkpoint(&self.place()).await?;
        let parked = self.store.parked(&self.place()).await?;
        (self.next, self.epoch, self.parked) = (next, epoch, parked);
        self.meters.waiting.set(self.parked.len() as f64);
        self.look().await?;
        Ok(())
    }

    /// The next offset to fold: all before it is done with.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// What it has met since it was made.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// `model service/partition`, for people.
    pub fn name(&self) -> String {
        format!("{} {}", self.model.name, self.log.name())
    }

    /// Whether the log holds more than is folded. Looks into the log.
    ///
    /// # Errors
    /// When Postgres does not answer, or the log ends before the checkpoint.
    pub async fn is_behind(&mut self) -> Result<bool, ProjectorError> {
        self.look().await?;
        Ok(self.next < self.end)
    }

    /// One batch from the log, if it holds more as far as is known.
    ///
    /// # Errors
    /// [`ProjectorError::Superseded`], or that Postgres does not answer.
    pub async fn step(&mut self) -> Result<(), ProjectorError> {
        self.step_to(self.end).await
    }

    /// All that the log holds when this is called.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn catch_up(&mut self) -> Result<(), ProjectorError> {
        self.look().await?;
        self.catch_up_to(self.end).await
    }

    /// Messages of `<service>.events`, in order. Repeats are dropped; what is missing between them is read from the log, and
    /// so is what can't be read from Kafka.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn follow(&mut self, messages: &[Message]) -> Result<(), ProjectorError> {
        let mut batch: Vec<Event> = Vec::with_capacity(messages.len());
        let (mut bytes, mut ask) = (0, false);
        for message in messages {
            let event = match Event::arrived(message, self.partitions) {
                // Of before the log was restored: the log has something else at this offset.
                Ok(event) if event.epoch < self.epoch => continue,
                Ok(event) => event,
                Err(why) => {
                    self.counts.unreadable += 1;
                    self.meters.unreadable.increment(1);
                    tracing::warn!(projector = self.name(), kafka_offset = message.offset, %why, "a message is no event; the log is read");
                    ask = true;
                    continue;
                }
            };
            let expected = self.next + i64::try_from(batch.len()).unwrap_or(i64::MAX);
            if event.offset < expected {
                self.counts.repeats += 1;
                self.meters.repeats.increment(1);
            } else if event.offset == expected {
                bytes += event.size();
                batch.push(event);
                if batch.len() >= self.limits.batch_events || bytes >= self.limits.batch_bytes {
                    bytes = 0;
                    self.apply(std::mem::take(&mut batch), false).await?;
                }
            } else {
                self.counts.gaps += 1;
                self.meters.gaps.increment(1);
                tracing::warn!(projector = self.name(), from = expected, to = event.offset, "a gap on Kafka; the log is read");
                bytes = 0;
                self.apply(std::mem::take(&mut batch), false).await?;
                self.catch_up_to(event.offset + 1).await?;
            }
        }
        self.apply(batch, false).await?;
        if ask {
            self.catch_up().await?;
        }
        Ok(())
    }

    async fn catch_up_to(&mut self, end: i64) -> Result<(), ProjectorError> {
        while self.next < end {
            self.step_to(end).await?;
        }
        Ok(())
    }

    async fn step_to(&mut self, end: i64) -> Result<(), ProjectorError> {
        if self.next >= end {
            return Ok(());
        }
        let events = self.read(end).await?;
        if events.is_empty() {
            // Somebody has seen more than there is.
            self.look().await?;
            return Err(ProjectorError::AheadOfLog { place: self.name(), at: end, end: self.end });
        }
        self.apply(events, true).await
    }

    /// Where the log ends now, and in which epoch.
    async fn look(&mut self) -> Result<(), ProjectorError> {
        let head = self.log.last_page().await?;
        self.end = head.next_offset();
        self.meters.lag.set((self.end - self.next) as f64);
        if self.end < self.next {
            return Err(ProjectorError::AheadOfLog { place: self.name(), at: self.next, end: self.end });
        }
        if self.end == self.next && head.epoch > self.epoch {
            // An epoch begins without events. Tokens of it are waited for by the epoch that the checkpoint shows.
            self.write(Move { from: self.next, to: self.next, epoch: head.epoch }, Folded::default()).await?;
        }
        Ok(())
    }

    /// Up to one batch of events from the log, from the next offset on, before `end`.
    async fn read(&mut self, end: i64) -> Result<Vec<Event>, ProjectorError> {
        let stored = self.log.read_events(self.next, self.read_at_once.min(end - self.next)).await?;
        let events = stored.into_iter().map(Event::stored).collect::<Result<Vec<_>, _>>()?;
        if let Some((at, found)) = (self.next..).zip(&events).find(|(at, e)| *at != e.offset) {
            return Err(LogError::Damaged(format!("{}: offset {at} is missing ({} stands there)", self.log.name(), found.offset)).into());
        }
        // The next read brings about one batch of bytes, if events stay as large as these.
        if let Some(average) = events.iter().map(Event::size).sum::<usize>().checked_div(events.len()) {
            let fitting = (self.limits.batch_bytes / average.max(1)).clamp(1, self.limits.batch_events.max(1));
            self.read_at_once = i64::try_from(fitting).unwrap_or(i64::MAX);
        }
        Ok(events)
    }

    /// Folds a batch that begins at the next offset, and commits it.
    async fn apply(&mut self, events: Vec<Event>, from_log: bool) -> Result<(), ProjectorError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let by = Move { from: first.offset, to: last.offset + 1, epoch: last.epoch.max(self.epoch) };
        match self.try_apply(by, &events, Pace::Quick).await? {
            Ok(()) => return Ok(()),
            Err(why) => tracing::info!(projector = self.name(), why, "a batch is folded again, event by event"),
        }
        if from_log {
            return self.carefully(by, &events).await;
        }
        // Only what the log says may park a stream: what came from Kafka is not believed to be wrong before that.
        while self.next < by.to {
            let events = self.read(by.to).await?;
            let Some(last) = events.last() else {
                return Err(ProjectorError::AheadOfLog { place: self.name(), at: by.to, end: self.next });
            };
            let part = Move { from: self.next, to: last.offset + 1, epoch: last.epoch.max(self.epoch) };
            self.carefully(part, &events).await?;
        }
        Ok(())
    }

    async fn carefully(&mut self, by: Move, events: &[Event]) -> Result<(), ProjectorError> {
        self.try_apply(by, events, Pace::Careful).await?.map_err(ProjectorError::Panicked)
    }

    /// The inner error: a stream stopped, and nothing was written.
    async fn try_apply(&mut self, by: Move, events: &[Event], pace: Pace) -> Result<Result<(), String>, ProjectorError> {
        let service = self.log.service().clone();
        let folds = |e: &&Event| self.model.fold(&service, e.stream.aggregate()).is_some() && !self.parked.contains(e.stream.as_str());
        let relevant: Vec<&Event> = events.iter().filter(folds).collect();
        let before = self.views_of(&relevant).await?;
        let folded = match fold(&self.model, &service, &relevant, before, pace) {
            Ok(folded) => folded,
            Err(stopped) => {
                self.held.clear();
                return Ok(Err(format!("{} at offset {}: {}", stopped.stream, stopped.offset, stopped.reason)));
            }
        };
        for s in &folded.changes.stopped {
            tracing::error!(projector = self.name(), stream = %s.stream, offset = s.offset, reason = s.reason, "a stream is parked: later events of it wait");
        }
        let (events, parked) = (folded.events, folded.changes.stopped.len() as u64);
        self.write(by, folded).await?;
        self.counts.folded += events;
        self.meters.folded.increment(events);
        self.counts.parked += parked;
        self.meters.parked.increment(parked);
        Ok(Ok(()))
    }

    /// The views of a batch's streams: those in memory, the others in one query.
    async fn views_of(&mut self, events: &[&Event]) -> Result<HashMap<StreamId, Before>, ProjectorError> {
        let mut views = HashMap::new();
        let mut missing: HashSet<StreamId> = HashSet::new();
        for event in events {
            if views.contains_key(&event.stream) || missing.contains(&event.stream) {
                continue;
            }
            match self.held.take(&event.stream) {
                Some(view) => _ = views.insert(event.stream.clone(), Before::Held(view)),
                None => _ = missing.insert(event.stream.clone()),
            }
        }
        if !missing.is_empty() {
            let missing: Vec<StreamId> = missing.into_iter().collect();
            views.extend(self.store.views(&self.place(), &missing).await?);
        }
        Ok(views)
    }

    /// Commits, and only then believes it.
    async fn write(&mut self, by: Move, Folded { changes, views, .. }: Folded) -> Result<(), ProjectorError> {
        if !self.store.write(&self.place(), by, &changes).await? {
            return Err(ProjectorError::Superseded(self.name()));
        }
        (self.next, self.epoch) = (by.to, by.epoch);
        self.end = self.end.max(by.to);
        for (row, view) in changes.views.into_iter().zip(views) {
            self.held.put(row.stream, view, row.bytes.len());
        }
        self.parked.extend(changes.stopped.into_iter().map(|s| s.stream.as_str().to_owned()));
        self.meters.waiting.set(self.parked.len() as f64);
        self.meters.lag.set((self.end - self.next) as f64);
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        Place { projection: self.model.name, generation: &self.generation, service: self.log.service(), partition: self.log.number() }
    }
}
