//! The events written since a generation was filled: folded by projectors of its own, until it stands at the log's end. They are fenced by
//! the checkpoint as all projectors are, so running ones may do the same at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_kernel::ReadModel;
use daybook_log::Log;
use daybook_postgres::{Databases, Role};

use crate::generation::Generation;
use crate::lifecycle::{Building, KnownGeneration, LifecycleError};
use crate::{Limits, Projector, ProjectorError, ReadStore};

/// Between two attempts at a checkpoint that somebody else's transaction holds.
const LOCKED: Duration = Duration::from_millis(20);

/// Service and log partition, to the next offset and the epoch there.
pub(crate) type Places = BTreeMap<(String, i32), (i64, i32)>;

/// A partition that a generation has not come to stands at the log's beginning.
fn place(places: &Places, projector: &Projector) -> i64 {
    let (service, partition) = projector.source();
    places.get(&(service.to_owned(), partition)).map_or(0, |(next, _)| *next)
}

/// The projectors of one generation, one a log partition.
pub struct Tail(Vec<Projector>);

impl Tail {
    /// Of a generation that is kept by nobody, or by running projectors too.
    ///
    /// # Errors
    /// When a database does not answer, or a log ends before a checkpoint.
    pub async fn of(databases: &Databases, model: &ReadModel, generation: &KnownGeneration) -> Result<Self, LifecycleError> {
        let mut logs = Vec::new();
        for service in model.services() {
            logs.push(Log::open(databases, service, Role::Projector).await?);
        }
        let generation = Generation::new(model, generation.number, generation.parts.clone());
        Self::open(databases, Arc::new(model.clone()), Arc::new(generation), &logs).await
    }

    async fn open(databases: &Databases, model: Arc<ReadModel>, generation: Arc<Generation>, logs: &[Log]) -> Result<Self, LifecycleError> {
        let store = ReadStore::new(databases)?;
        let mut projectors = Vec::new();
        for log in logs {
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                let (model, generation) = (model.clone(), generation.clone());
                projectors.push(Projector::open(model, generation, store.clone(), partition, Limits::default()).await?);
            }
        }
        Ok(Self(projectors))
    }

    /// Folds all that the logs hold now; answers with how many events that were.
    ///
    /// # Errors
    /// When a database does not answer, or a log is damaged.
    pub async fn catch_up(&mut self) -> Result<i64, LifecycleError> {
        self.fold_on(None).await
    }

    /// As [`catch_up`](Self::catch_up), but no batch is begun after `until`: under a load that writes faster than it can be
    /// folded, what the logs hold now may be more than there is time for.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub async fn catch_up_until(&mut self, until: Instant) -> Result<i64, LifecycleError> {
        self.fold_on(Some(until)).await
    }

    /// Events between where it stands and these places of the logs; none where it is beyond one of them.
    pub(crate) fn before(&self, places: &Places) -> Option<i64> {
        let each = self.0.iter().map(|projector| place(places, projector) - projector.next());
        each.map(|events| (events >= 0).then_some(events)).sum()
    }

    /// Folds up to these places of the logs, and no further.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub(crate) async fn catch_up_to(&mut self, places: &Places) -> Result<(), LifecycleError> {
        for projector in &mut self.0 {
            while let Err(error) = projector.catch_up_to(place(places, projector)).await {
                again(projector, error).await?;
            }
        }
        Ok(())
    }

    async fn fold_on(&mut self, until: Option<Instant>) -> Result<i64, LifecycleError> {
        let mut moved = 0;
        for projector in &mut self.0 {
            let before = projector.next();
            while let Err(error) = match until {
                Some(until) => projector.catch_up_until(until).await,
                None => projector.catch_up().await,
            } {
                again(projector, error).await?;
            }
            moved += projector.next() - before;
        }
        Ok(moved)
    }
}

/// Somebody else keeps it up too: it goes on where he has come to. Other errors are none of these.
async fn again(projector: &mut Projector, error: ProjectorError) -> Result<(), LifecycleError> {
    match error {
        ProjectorError::Superseded(_) => {}
        ProjectorError::Locked(_) => tokio::time::sleep(LOCKED).await,
        other => return Err(other.into()),
    }
    Ok(projector.resume().await?)
}

impl Building {
    /// The projectors of this generation.
    ///
    /// # Errors
    /// As [`Tail::of`].
    pub async fn tail(&self) -> Result<Tail, LifecycleError> {
        Tail::open(&self.databases, self.model.clone(), self.generation.clone(), &self.logs).await
    }
}
