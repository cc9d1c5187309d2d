//! One log partition folded into one generation of a read model: what the runner, a rebuild and an audit share.

mod folding;
mod following;
mod pushing;
mod unparking;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use daybook_kernel::ReadModel;
use daybook_log::PartitionLog;
use daybook_process::metrics::{self, Counter, Gauge};

use crate::ProjectorError;
use crate::batch::{Folded, Skipped};
use crate::config::Limits;
use crate::generation::Generation;
use crate::held::Held;
use crate::push::Pusher;
use crate::store::{Checkpoint, CheckpointKey, ReadStore};

pub(crate) use following::GenerationKind;
use following::Prepared;

/// Counts of what a projector has met since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that went into a view.
    pub folded: u64,
    /// Streams that were parked.
    pub parked: u64,
}

/// Folds one partition. It holds nothing that can't be forgotten: after any error, [`resume`](Self::resume) it.
pub struct Projector {
    model: Arc<ReadModel>,
    generation: Arc<Generation>,
    store: ReadStore,
    log: PartitionLog,
    limits: Limits,
    held: Held,
    parked: BTreeSet<String>,
    /// Parked streams that no part is of: no part can say that what it shows is old.
    hidden: BTreeSet<String>,
    /// Parked streams that are to be folded again, though nobody has asked for it.
    untried: Vec<String>,
    skipped: Skipped,
    pusher: Option<Pusher>,
    /// Everything before it is pushed, says the stored checkpoint.
    pushed: i64,
    next: i64,
    epoch: i32,
    /// Of the checkpoint, as it was read: another one means that another holder has it.
    term: i64,
    /// Whether it has taken the checkpoint over before.
    has_held: bool,
    prepared: Option<Prepared>,
    /// Removals that end before this offset may wait to be pushed; none: there are none.
    removals_before: Option<i64>,
    /// The log's next offset, as far as is known.
    end: i64,
    /// Events to read at once: fewer when they are large.
    read_at_once: i64,
    counts: Counts,
    meters: Meters,
}

struct Meters {
    folded: Counter,
    parked: Counter,
    waiting: Gauge,
    lag: Gauge,
}

impl Meters {
    fn new(projection: &str, generation: i32, service: &str, partition: i32) -> Self {
        let (generation, partition) = (generation.to_string(), partition.to_string());
        let own = [projection, service, &generation, &partition];
        Self {
            folded: metrics::PROJECTOR_EVENTS.with([projection, service]),
            parked: metrics::PROJECTOR_PARKED.with([projection, service]),
            waiting: metrics::PROJECTOR_PARKED_STREAMS.with(own),
            lag: metrics::PROJECTOR_LAG.with(own),
        }
    }
}

impl Projector {
    /// Stands where the checkpoint stands. Takes it over from nobody: the first one to move it has moved it.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn open(
        model: Arc<ReadModel>,
        generation: Arc<Generation>,
        store: ReadStore,
        log: PartitionLog,
        limits: Limits,
    ) -> Result<Self, ProjectorError> {
        let mut projector = Self::new(model, generation, store, log, limits);
        projector.resume().await?;
        Ok(projector)
    }

    /// Stands nowhere yet.
    pub(crate) fn new(model: Arc<ReadModel>, generation: Arc<Generation>, store: ReadStore, log: PartitionLog, limits: Limits) -> Self {
        let meters = Meters::new(model.name, generation.number, log.service(), log.number());
        Self {
            held: Held::new(limits.held_bytes),
            read_at_once: i64::try_from(limits.batch_events.min(limits.catch_up_events)).unwrap_or(i64::MAX).max(1),
            parked: BTreeSet::new(),
            hidden: BTreeSet::new(),
            untried: Vec::new(),
            skipped: Skipped::default(),
            pusher: None,
            pushed: 0,
            next: 0,
            epoch: 1,
            term: 0,
            has_held: false,
            prepared: None,
            removals_before: None,
            end: 0,
            counts: Counts::default(),
            model,
            generation,
            store,
            log,
            limits,
            meters,
        }
    }

    /// Forgets all that it holds, and stands where the stored checkpoint stands.
    ///
    /// # Errors
    /// [`ProjectorError::Superseded`] where it has held the checkpoint, and another one has it now: it must not go on under the other's
    /// term. When Postgres does not answer, or the log ends before the checkpoint.
    pub async fn resume(&mut self) -> Result<(), ProjectorError> {
        self.held.clear();
        let checkpoint = self.store.checkpoint(&self.place()).await?;
        if self.has_held && checkpoint.term != self.term {
            return Err(ProjectorError::Superseded(self.name()));
        }
        self.stand_at(checkpoint).await
    }

    /// Takes the checkpoint over from any holder, and stands where it stands. What is held in memory stays good while the
    /// checkpoint is its own last one. Where somebody else had it before, streams that are parked are tried again once: this may be a
    /// newer build.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn take_over(&mut self) -> Result<(), ProjectorError> {
        let checkpoint = self.store.take_over(&self.place()).await?;
        let had_it_last = self.has_held && checkpoint.term == self.term + 1;
        let is_its_own = had_it_last && checkpoint.next == self.next && self.prepared.is_none();
        if !is_its_own {
            self.held.clear();
        }
        self.stand_at(checkpoint).await?;
        self.has_held = true;
        if !had_it_last {
            self.try_parked_again();
        }
        Ok(())
    }

    /// Gives the checkpoint up, so that nobody who stands by waits to see it stand still. It writes nothing from then on, until it takes over again.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn give_up(&mut self) -> Result<(), ProjectorError> {
        if self.has_held { self.store.give_up(&self.place()).await } else { Ok(()) }
    }

    async fn stand_at(&mut self, checkpoint: Checkpoint) -> Result<(), ProjectorError> {
        self.prepared = None;
        // An earlier holder may have noted some.
        self.removals_before = Some(checkpoint.next);
        let Checkpoint { next, epoch, pushed, term, given_up: _ } = checkpoint;
        (self.next, self.epoch, self.pushed, self.term) = (next, epoch, pushed, term);
        (self.parked, self.hidden) = self.store.parked(&self.place()).await?;
        self.untried.retain(|stream| self.parked.contains(stream));
        self.skipped = self.store.skipped(&self.place()).await?;
        self.meters.waiting.set(self.parked.len() as f64);
        if let Some(pusher) = &mut self.pusher {
            pusher.reset(pushed, next);
            // Before anything else is pushed: a marker that comes first would hide what is missing.
            self.push_again().await?;
        }
        self.look().await
    }

    /// The next offset to fold: all before it is done with.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The log partition that it folds: its service and number.
    pub(crate) fn source(&self) -> (&str, i32) {
        (self.log.service(), self.log.number())
    }

    /// Its counts since it was made.
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

    /// As [`catch_up`](Self::catch_up), but no batch is begun after `until`.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn catch_up_until(&mut self, until: Instant) -> Result<(), ProjectorError> {
        self.look().await?;
        let end = self.end;
        while self.next < end && Instant::now() < until {
            self.step_to(end).await?;
        }
        Ok(())
    }

    /// Looks where the log ends now, and in which epoch.
    async fn look(&mut self) -> Result<(), ProjectorError> {
        let head = self.log.last_page().await?;
        self.end = head.next_offset();
        self.meters.lag.set((self.end - self.next) as f64);
        if self.end < self.next {
            return Err(ProjectorError::AheadOfLog { place: self.name(), at: self.next, end: self.end });
        }
        self.compare_epochs(head.epoch).await?;
        if self.end == self.next && head.epoch > self.epoch {
            // An epoch begins without events. Tokens of it are waited for by the epoch that the checkpoint shows.
            self.write(self.next, self.next, head.epoch, Folded::default()).await?;
        }
        Ok(())
    }

    /// A log that was restored and has grown again holds other events before the checkpoint than those that were folded.
    async fn compare_epochs(&self, epoch: i32) -> Result<(), ProjectorError> {
        if epoch <= self.epoch || self.next == 0 {
            return Ok(());
        }
        match self.log.read_events(self.next - 1, 1).await?.first() {
            Some(last) if last.epoch > self.epoch => {
                Err(ProjectorError::OfAnotherEpoch { place: self.name(), at: self.next, folded: self.epoch, epoch: last.epoch })
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> CheckpointKey<'_> {
        CheckpointKey {
            projection: self.model.name,
            generation: &self.generation,
            service: self.log.service(),
            partition: self.log.number(),
            term: self.term,
        }
    }
}

impl Drop for Projector {
    /// The gauges of its partition are another one's to set.
    fn drop(&mut self) {
        self.meters.waiting.set(0.0);
        self.meters.lag.set(0.0);
    }
}
