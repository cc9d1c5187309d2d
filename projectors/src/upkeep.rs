//! Which generations of a read model a process keeps up: a consumer group for each, joined and left as they come and go, so
//! that neither a rebuild nor a promotion needs a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, GroupOptions};
use daybook_http::{Shutdown, shutdown};
use daybook_kernel::ReadModel;
use daybook_log::Log;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ProjectorError;
use crate::generation::Generation;
use crate::group::Group;
use crate::partition::{Common, Shared};

/// How often it looks which generations there are.
const LOOK: Duration = Duration::from_secs(1);

struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The generations of one read model, in one process.
pub(crate) struct Upkeep {
    model: Arc<ReadModel>,
    common: Arc<Common>,
    bus: BusConfig,
    options: GroupOptions,
    /// The full name of a log's `.events`, and the log.
    logs: HashMap<String, Log>,
    running: Mutex<BTreeMap<i32, Running>>,
    /// The generation of another build that was warned of.
    warned: Mutex<Option<i32>>,
}

impl Upkeep {
    pub(crate) fn new(model: ReadModel, common: Arc<Common>, bus: BusConfig, options: GroupOptions, logs: HashMap<String, Log>) -> Self {
        Self { model: Arc::new(model), common, bus, options, logs, running: Mutex::default(), warned: Mutex::default() }
    }

    pub(crate) fn model(&self) -> &'static str {
        self.model.name
    }

    /// Why nobody may count on this process for the read model, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        let running = lock(&self.running);
        if running.is_empty() {
            let model = self.model.name;
            return Some(format!(
                "no generation that is kept up was made by this build's folds: run `daybook replay rebuild {model} --promote`"
            ));
        }
        let waiting: Vec<String> = running.iter().filter(|(_, r)| !r.group.is_joined()).map(|(n, _)| n.to_string()).collect();
        (!waiting.is_empty()).then(|| format!("has not joined the consumer group of generation {} yet", waiting.join(", ")))
    }

    /// Joins the groups of generations that are new, and leaves those of generations that are no more.
    ///
    /// # Errors
    /// [`ProjectorError::NotPrepared`] when there is none at all, or that Postgres does not answer.
    pub(crate) async fn look(&self) -> Result<Vec<JoinHandle<()>>, ProjectorError> {
        let kept_up = self.common.store.kept_up(&self.model).await?;
        if kept_up.is_empty() {
            return Err(ProjectorError::NotPrepared(self.model.name.to_owned()));
        }
        let others = kept_up.iter().find(|g| g.live && !g.ours).map(|g| g.generation.number);
        let said = std::mem::replace(&mut *lock(&self.warned), others);
        if let Some(generation) = others.filter(|n| said != Some(*n)) {
            // Its own build's projectors run it. To go on with it here would mix two readings of the same events.
            tracing::warn!(
                model = self.model.name,
                generation,
                "the live generation was made by other folds than this build's; it is left alone"
            );
        }
        let mut running = lock(&self.running);
        let gone: Vec<i32> = running.keys().filter(|n| !kept_up.iter().any(|g| g.ours && g.generation.number == **n)).copied().collect();
        let mut leaving = Vec::new();
        for number in gone {
            tracing::info!(model = self.model.name, generation = number, "a generation is not kept up any more");
            if let Some(Running { stop, task, .. }) = running.remove(&number) {
                stop.send_replace(true);
                leaving.push(task);
            }
        }
        for found in kept_up.into_iter().filter(|g| g.ours) {
            running.entry(found.generation.number).or_insert_with(|| self.start(found.generation));
        }
        Ok(leaving)
    }

    fn start(&self, generation: Generation) -> Running {
        tracing::info!(model = self.model.name, generation = generation.number, "a generation is kept up");
        let shared = Shared { model: self.model.clone(), generation: Arc::new(generation), common: self.common.clone() };
        let group = Group::new(Arc::new(shared), self.bus.clone(), self.options.clone(), self.logs.clone());
        let (stop, stopping) = shutdown();
        Running { task: tokio::spawn(group.clone().run(stopping)), group, stop }
    }

    /// Looks each second, until the shutdown; then leaves all groups.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut leaving = Vec::new();
        let mut failed = false;
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            leaving.retain(|task: &JoinHandle<()>| !task.is_finished());
            match self.look().await {
                Ok(gone) => {
                    leaving.extend(gone);
                    failed = false;
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(model = self.model.name, %error, "can't see which generations there are; those that run go on");
                    }
                    failed = true;
                }
            }
        }
        for Running { stop, task, .. } in std::mem::take(&mut *lock(&self.running)).into_values() {
            stop.send_replace(true);
            leaving.push(task);
        }
        for task in leaving {
            let _ = task.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
