//! Which generations of the read models a process keeps up: followers come and go with them, so that neither a rebuild
//! nor a promotion needs a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_follow::{Kind, Roster};
use daybook_kernel::ReadModel;
use daybook_process::Shutdown;
use tokio::sync::watch;

use crate::ProjectorError;
use crate::config::Limits;
use crate::generation::Generation;
use crate::projector::GenerationKind;
use crate::push::Push;
use crate::store::ReadStore;

/// Time between looks for generations.
const LOOK: Duration = Duration::from_secs(1);

/// The generations of all read models of a process.
pub(crate) struct Upkeep {
    models: Vec<Arc<ReadModel>>,
    store: ReadStore,
    limits: Limits,
    push: Push,
    kept: Mutex<BTreeMap<(&'static str, i32), Arc<GenerationKind>>>,
    /// By read model: the generation of another build that was warned of.
    warned: Mutex<BTreeMap<&'static str, i32>>,
    roster: watch::Sender<Roster>,
}

impl Upkeep {
    pub(crate) fn new(models: Vec<ReadModel>, store: ReadStore, limits: Limits, push: Push) -> Self {
        let models = models.into_iter().map(Arc::new).collect();
        Self { models, store, limits, push, kept: Mutex::default(), warned: Mutex::default(), roster: watch::Sender::default() }
    }

    pub(crate) fn roster(&self) -> watch::Receiver<Roster> {
        self.roster.subscribe()
    }

    /// For each read model: why nobody may count on this process for it, if so.
    pub(crate) fn problems(&self) -> Vec<(&'static str, Option<String>)> {
        let kept = lock(&self.kept);
        let problem = |name: &'static str| {
            let none = !kept.keys().any(|(model, _)| *model == name);
            none.then(|| {
                format!("no generation that is kept up was made by this build's folds: run `daybook replay rebuild {name} --promote`")
            })
        };
        self.models.iter().map(|model| (model.name, problem(model.name))).collect()
    }

    /// Puts the generations that are kept up on the roster, and no others.
    ///
    /// # Errors
    /// [`ProjectorError::NotPrepared`] when a read model has none at all, or that Postgres does not answer.
    pub(crate) async fn look(&self) -> Result<(), ProjectorError> {
        let mut found = Vec::new();
        for model in &self.models {
            let kept_up = self.store.kept_up(model).await?;
            if kept_up.is_empty() {
                return Err(ProjectorError::NotPrepared(model.name.to_owned()));
            }
            self.warn_of_others(model, kept_up.iter().find(|g| g.live && !g.ours).map(|g| g.generation.number));
            found.extend(kept_up.into_iter().filter(|g| g.ours).map(|g| (model, g.generation)));
        }
        let mut kept = lock(&self.kept);
        let (before, now) = (kept.len(), found.iter().map(|(model, generation)| (model.name, generation.number)).collect::<Vec<_>>());
        kept.retain(|(model, generation), _| {
            let stays = now.contains(&(model, *generation));
            if !stays {
                tracing::info!(model, generation, "a generation is not kept up any more");
            }
            stays
        });
        let mut changed = kept.len() < before;
        for (model, generation) in found {
            kept.entry((model.name, generation.number)).or_insert_with(|| {
                changed = true;
                Arc::new(self.take_on(model.clone(), generation))
            });
        }
        if changed {
            let kinds = kept.values().map(|kind| kind.clone() as Arc<dyn Kind>).collect();
            self.roster.send_replace(Roster(Arc::new(kinds)));
        }
        Ok(())
    }

    fn warn_of_others(&self, model: &ReadModel, others: Option<i32>) {
        let mut warned = lock(&self.warned);
        let said = match others {
            Some(generation) => warned.insert(model.name, generation),
            None => warned.remove(model.name),
        };
        if let Some(generation) = others.filter(|_| said != others) {
            // Its own build's projectors run it. To go on with it here would mix two readings of the same events.
            tracing::warn!(
                model = model.name,
                generation,
                "the live generation was made by other folds than this build's; it is left alone"
            );
        }
    }

    fn take_on(&self, model: Arc<ReadModel>, generation: Generation) -> GenerationKind {
        tracing::info!(model = model.name, generation = generation.number, "a generation is kept up");
        let (store, limits, push) = (self.store.clone(), self.limits.clone(), self.push.clone());
        GenerationKind { model, generation: Arc::new(generation), together: store.together(), store, limits, push }
    }

    /// Looks each second, until the shutdown.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut failed = false;
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.look().await {
                Ok(()) => failed = false,
                Err(error) => {
                    if !failed {
                        tracing::warn!(%error, "can't see which generations there are; those that run go on");
                    }
                    failed = true;
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
