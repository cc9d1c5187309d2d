//! Filling a new generation from nothing: each log partition is read as a whole, folded in memory, and copied into tables that
//! get their indexes afterwards.

mod careful;
mod encode;
mod load;
mod partition;
mod progress;
mod tail;
mod views;

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use daybook_log::PartitionLog;
use daybook_postgres::{OwnConnection, storable};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::lifecycle::{Building, LifecycleError, sql};
use crate::{ProjectorError, sql as tables};
use partition::{FilledPartition, NotFilled, Shared};
use progress::Throttle;
pub use progress::{RebuildPhase, RebuildProgress};
pub(crate) use tail::Places;
pub use tail::Tail;

/// An index build may sort 64 MiB in memory; its statements are durable with the generation's state, which is written last. All that
/// is asked of these tables is a look-up in an index, so a small sample says enough to the planner: of the tables of 100,000
/// streams the usual one took 0.35 s of CPU, a tenth of the whole rebuild, and this one 0.05 s. Autovacuum takes its own in time.
const INDEX_SETTINGS: &[(&str, &str)] =
    &[("maintenance_work_mem", "65536"), ("synchronous_commit", "off"), ("lock_timeout", "60000"), ("default_statistics_target", "10")];

/// The options of a rebuild.
#[derive(Clone, Debug)]
pub struct RebuildOptions {
    /// Bytes of views that may be in memory, about (512 MiB by default), shared by the partitions that are read at once.
    /// With fewer, partitions are read more than once.
    pub memory: usize,
    /// Events read a second, all partitions together; as fast as it goes by default.
    pub rate: Option<NonZeroU64>,
    /// Partitions that are read at once; as many as there are cores by default.
    pub at_once: usize,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self { memory: 512 << 20, rate: None, at_once: cores }
    }
}

/// The outcome of filling a generation.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filled {
    /// Events that the logs held.
    pub events: i64,
    /// Of those, how many went into views.
    pub folded: u64,
    /// Streams that have a view.
    pub streams: u64,
    /// Times that partitions were read; as many as there are partitions with events, when memory was enough.
    pub passes: u32,
    /// Streams that could not be folded to their end: service, stream, offset and reason.
    pub parked: Vec<ParkedStream>,
}

/// A stream that a rebuild could not fold to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedStream {
    /// For example `catalog`.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The stream.
    pub stream: String,
    /// Of the event that could not be folded.
    pub offset: i64,
    /// Why.
    pub reason: String,
}

impl Building {
    /// Folds all that the logs hold now into the generation's tables, gives them their indexes, and sets the checkpoints. Dropped
    /// half-way it leaves the generation dead.
    ///
    /// # Errors
    /// [`daybook_log::LogError::Damaged`] when an offset is missing, [`LifecycleError::TwoWriters`]; otherwise when a
    /// database does not answer. The generation is of no use then: discard it.
    pub async fn fill(&mut self, options: &RebuildOptions, progress: &Arc<RebuildProgress>) -> Result<Filled, LifecycleError> {
        progress.enter(RebuildPhase::Folding);
        let mut skipped = self.skipped().await?;
        let partitions = self.partitions()?;
        for log in &partitions {
            progress.will_read(log.last_page().await?.next_offset());
        }
        let at_once = options.at_once.clamp(1, partitions.len().max(1));
        let shared = Arc::new(Shared {
            model: self.model.clone(),
            at_once: Semaphore::new(at_once),
            bound: options.memory / at_once,
            throttle: Throttle::new(options.rate.map(NonZeroU64::get)),
            progress: progress.clone(),
        });
        let (sheets, mut copies) = load::begin(&self.databases, &self.generation).await?;
        let mut folding = JoinSet::new();
        for log in partitions {
            let skipped = skipped.remove(&(log.service().to_string(), log.number())).unwrap_or_default();
            folding.spawn(partition::fill(shared.clone(), log, sheets.clone(), skipped));
        }
        drop(sheets);
        let mut filled = Vec::new();
        while let Some(outcome) = folding.join_next().await {
            match outcome.map_err(|e| ProjectorError::Panicked(e.to_string()))? {
                Ok(partition) => {
                    filled.push(partition);
                    daybook_failpoint::reach("rebuild.filling");
                }
                Err(NotFilled::Log(error)) => return Err(error.into()),
                Err(NotFilled::Cut) => break,
            }
        }
        folding.abort_all();
        while let Some(outcome) = copies.join_next().await {
            outcome.map_err(|e| ProjectorError::Panicked(e.to_string()))??;
        }
        progress.enter(RebuildPhase::Indexing);
        daybook_failpoint::reach("rebuild.before-indexes");
        self.index().await?;
        self.settle(&filled).await?;
        Ok(sum(filled))
    }

    fn partitions(&self) -> Result<Vec<PartitionLog>, LifecycleError> {
        let all = self.logs.iter().flat_map(|log| (0..log.partitions().cast_signed()).map(move |n| log.partition(n)));
        Ok(all.collect::<Result<_, _>>()?)
    }

    /// Offsets to pass over, by log partition.
    async fn skipped(&self) -> Result<BTreeMap<(String, i32), HashSet<i64>>, LifecycleError> {
        let mut skipped: BTreeMap<_, HashSet<i64>> = BTreeMap::new();
        for row in self.keeper.session.query(sql::ALL_SKIPPED, &[&self.model.name]).await? {
            skipped.entry((row.get(0), row.get(1))).or_default().insert(row.get(2));
        }
        Ok(skipped)
    }

    /// Each table on a session of its own: an index build keeps one core busy.
    async fn index(&self) -> Result<(), LifecycleError> {
        let mut building = JoinSet::new();
        let parts = &self.generation.parts;
        let filled = [(tables::INDEX_PARTS, ""), (tables::INDEX_VIEWS, "_view"), (tables::INDEX_WRITERS, "_writer")];
        for (indexes, table) in filled {
            let analyze = tables::at(tables::ANALYZE_FILLED, &format!("{parts}{table}"));
            let (statements, url) = (format!("{}; {analyze}", tables::at(indexes, parts)), self.databases.read_url().to_owned());
            building.spawn(async move {
                let session = OwnConnection::new(&url, None, INDEX_SETTINGS, "daybook rebuild").await?;
                session.batch_execute(&statements).await.map_err(|e| match e.as_db_error() {
                    Some(db) if db.code().code() == "23505" => LifecycleError::TwoWriters(db.detail().unwrap_or(db.message()).to_owned()),
                    _ => e.into(),
                })
            });
        }
        while let Some(built) = building.join_next().await {
            built.map_err(|e| ProjectorError::Panicked(e.to_string()))??;
        }
        Ok(())
    }

    async fn settle(&mut self, filled: &[FilledPartition]) -> Result<(), LifecycleError> {
        let (name, number) = (self.model.name, self.generation.number);
        let services: Vec<&str> = filled.iter().map(|f| f.service.as_str()).collect();
        let partitions: Vec<i32> = filled.iter().map(|f| f.partition).collect();
        let offsets: Vec<i64> = filled.iter().map(|f| f.next_offset).collect();
        let epochs: Vec<i32> = filled.iter().map(|f| f.epoch).collect();
        let parked: Vec<_> = filled.iter().flat_map(|f| f.stopped.iter().map(move |s| (f, s))).collect();
        let of: Vec<&str> = parked.iter().map(|(f, _)| f.service.as_str()).collect();
        let at: Vec<i32> = parked.iter().map(|(f, _)| f.partition).collect();
        let streams: Vec<&str> = parked.iter().map(|(_, s)| s.stream.as_str()).collect();
        let places: Vec<i64> = parked.iter().map(|(_, s)| s.offset).collect();
        let reasons: Vec<String> = parked.iter().map(|(_, s)| storable(&s.reason)).collect();
        let transaction = self.keeper.session.transaction().await?;
        transaction.execute(sql::INSERT_PARKED, &[&name, &number, &of, &at, &streams, &places, &reasons]).await?;
        transaction.execute(sql::SET_CHECKPOINTS, &[&name, &number, &services, &partitions, &offsets, &epochs]).await?;
        Ok(transaction.commit().await?)
    }
}

fn sum(filled: Vec<FilledPartition>) -> Filled {
    let mut all = Filled::default();
    for f in filled {
        all.events += f.next_offset;
        all.folded += f.folded;
        all.streams += f.streams;
        all.passes += f.passes;
        all.parked.extend(f.stopped.into_iter().map(|s| ParkedStream {
            service: f.service.clone(),
            partition: f.partition,
            stream: s.stream.as_str().to_owned(),
            offset: s.offset,
            reason: s.reason,
        }));
    }
    all.parked.sort_by(|a, b| (&a.service, &a.stream).cmp(&(&b.service, &b.stream)));
    all
}
