//! A projector among other followers of its partition.

use std::sync::Arc;

use daybook_follow::{Event, FollowError, Follower, Home, Kind, Moved, Standing};
use daybook_kernel::ReadModel;
use daybook_log::PartitionLog;
use daybook_postgres::Pool;
use deadpool_postgres::Client;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_postgres::Statement;

use super::Projector;
use crate::ProjectorError;
use crate::batch::{Folded, Pace};
use crate::config::Limits;
use crate::generation::Generation;
use crate::push::Push;
use crate::store::{Move, ReadStore};

/// A batch that was folded and is not written yet.
pub(super) struct Prepared {
    by: Move,
    folded: Folded,
    /// Of the connection that it was prepared on.
    statement: Statement,
    /// The statement is the one for rows that are there.
    is_update: bool,
}

/// One generation of a read model, followed for by a projector in each partition.
pub(crate) struct GenerationKind {
    pub(crate) model: Arc<ReadModel>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) store: ReadStore,
    pub(crate) limits: Limits,
    pub(crate) push: Push,
    /// Connections for the writes of several followers together.
    pub(crate) together: Pool,
}

impl Kind for GenerationKind {
    fn name(&self) -> &'static str {
        self.model.name
    }

    fn generation(&self) -> i32 {
        self.generation.number
    }

    fn follows(&self, service: &str) -> bool {
        self.model.services().contains(&service)
    }

    fn home(&self, _: &PartitionLog) -> Home {
        Home { name: "read", pool: self.together.clone(), rests: true }
    }

    fn open(&self, log: PartitionLog) -> Box<dyn Follower> {
        let (model, generation) = (self.model.clone(), self.generation.clone());
        let projector = Projector::new(model, generation, self.store.clone(), log, self.limits.clone());
        Box::new(projector.with_pusher(&self.push))
    }
}

impl From<ProjectorError> for FollowError {
    fn from(error: ProjectorError) -> Self {
        match error {
            ProjectorError::Superseded(who) => Self::Moved(who),
            ProjectorError::Locked(who) => Self::Locked(who),
            ProjectorError::NotPrepared(model) => Self::Gone(model),
            ProjectorError::Panicked(text) => Self::Panicked(text),
            other => Self::Failed(Box::new(other)),
        }
    }
}

impl Follower for Projector {
    fn name(&self) -> String {
        format!("{} (generation {})", Self::name(self), self.generation.number)
    }

    fn next(&self) -> i64 {
        self.next
    }

    fn epoch(&self) -> i32 {
        self.epoch
    }

    fn term(&self) -> i64 {
        self.term
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
        async {
            let checkpoint = self.store.checkpoint(&self.place()).await?;
            Ok(Standing { next: checkpoint.next, term: checkpoint.term, given_up: checkpoint.given_up, owes: false, alive_at: None })
        }
        .boxed()
    }

    fn prepare<'a>(&'a mut self, client: &'a Client, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<(), FollowError>> {
        async move {
            let events: Vec<&Event> = events.iter().map(|event| &**event).collect();
            if events.first().is_some_and(|first| first.epoch < self.epoch) {
                return Err(FollowError::Carefully("an event is of an epoch that is over".to_owned()));
            }
            let Some(span) = self.span(&events).await? else { return Ok(()) };
            // Only what the log says may park a stream: an event from Kafka is not believed to be wrong before that.
            let folded = self.fold_batch(&events, Pace::Quick).await?.map_err(FollowError::Carefully)?;
            let is_update = self.removals_before.is_none() && folded.changes.only_updates();
            let sql = if is_update { &self.generation.write_known } else { &self.generation.write_batch };
            let statement = client.prepare_cached(sql).await.map_err(ProjectorError::from)?;
            self.prepared = Some(Prepared { by: self.moves(span), folded, statement, is_update });
            Ok(())
        }
        .boxed()
    }

    fn has_statement(&self) -> bool {
        self.prepared.is_some()
    }

    fn execute<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Moved, tokio_postgres::Error>> {
        async move {
            let Some(Prepared { by, folded, statement, is_update }) = &self.prepared else { return Ok(Moved::Yes) };
            if *is_update {
                return ReadStore::execute_known(client, statement, &self.place(), *by, &folded.changes).await;
            }
            ReadStore::execute_batch(client, statement, &self.place(), *by, &folded.changes).await
        }
        .boxed()
    }

    fn committed(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            match self.prepared.take() {
                Some(Prepared { by, folded, .. }) => Ok(self.wrote(by, folded).await?),
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn again(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            let Some(Prepared { by, folded, .. }) = &self.prepared else { return Ok(Self::resume(self).await?) };
            match self.store.write(&self.place(), *by, &folded.changes).await? {
                Moved::Yes => Follower::committed(self).await,
                Moved::No => Err(FollowError::Moved(self.name())),
                // A generation that was dropped has no checkpoint that anybody could hold.
                Moved::Locked => self.standing().await.and_then(|_| Err(FollowError::Locked(self.name()))),
            }
        }
        .boxed()
    }

    fn log_end(&self) -> BoxFuture<'_, Result<i64, FollowError>> {
        async { Ok(self.log.last_page().await.map_err(ProjectorError::from)?.next_offset()) }.boxed()
    }

    fn is_behind(&mut self) -> BoxFuture<'_, Result<bool, FollowError>> {
        async { Ok(Self::is_behind(self).await?) }.boxed()
    }

    fn step(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::step(self).await?) }.boxed()
    }

    fn wants_tending(&mut self) -> bool {
        let Some(pusher) = &mut self.pusher else { return !self.parked.is_empty() };
        let acknowledged = if pusher.is_idle() { pusher.acknowledged() } else { self.pushed };
        !self.parked.is_empty() || acknowledged != self.pushed || (pusher.is_idle() && acknowledged < self.next)
    }

    fn tend(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::tend(self).await?) }.boxed()
    }

    fn let_go(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::let_go(self).await?) }.boxed()
    }

    fn give_up(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(Self::give_up(self).await?) }.boxed()
    }
}
