//! All read models of a process: started, watched, stopped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daybook_bus::{Inspector, TopicSpec, check_topics};
use daybook_http::{Readiness, Shutdown};
use daybook_log::{Log, Role};
use tokio::sync::watch;

use crate::ProjectorError;
use crate::config::ProjectorsConfig;
use crate::partition::Common;
use crate::push::Push;
use crate::store::ReadStore;
use crate::upkeep::Upkeep;

/// (read model, generation, service, partition)
pub(crate) type At = (&'static str, i32, String, i32);

/// Which partitions this process has, and what is wrong with them.
#[derive(Default)]
pub(crate) struct Board(Mutex<BTreeMap<At, Option<String>>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<At, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn took(&self, at: &At) {
        self.lock().insert(at.clone(), None);
    }

    pub(crate) fn gave_up(&self, at: &At) {
        self.lock().remove(at);
    }

    pub(crate) fn trouble(&self, at: &At, what: Option<String>) {
        if let Some(now) = self.lock().get_mut(at)
            && *now != what
        {
            *now = what;
        }
    }
}

/// The projectors of this process. Cheap to clone; they stop with the shutdown that they were started with.
#[derive(Clone)]
pub struct Projectors {
    upkeep: Arc<[Arc<Upkeep>]>,
    common: Arc<Common>,
    done: watch::Receiver<bool>,
}

impl Projectors {
    /// Keeps up every generation of these read models that is ready, live or kept and that this build's folds made, as they
    /// come and go; those of another build are left alone. Returns once all is found in order; partitions come soon after.
    ///
    /// # Errors
    /// When a database or Kafka can't be reached, a topic is not as the log needs it, or a read model has no generation
    /// at all ([`ProjectorError::NotPrepared`]).
    pub async fn start(config: ProjectorsConfig, shutdown: Shutdown) -> Result<Self, ProjectorError> {
        let store = ReadStore::new(&config.databases, config.read_connections)?;
        let mut logs: BTreeMap<&str, Log> = BTreeMap::new();
        for service in config.models.iter().flat_map(daybook_kernel::ReadModel::services) {
            if !logs.contains_key(service) {
                logs.insert(service, Log::open(&config.databases, service, Role::Projector, config.log_connections).await?);
            }
        }
        for model in &config.models {
            // Before its topic is looked for: who never migrated lacks both, and this is the one that says so.
            if store.kept_up(model).await?.is_empty() {
                return Err(ProjectorError::NotPrepared(model.name.to_owned()));
            }
        }
        let events = logs.iter().map(|(service, log)| TopicSpec::events(&config.bus, service, log.partitions().cast_signed()));
        let reads = config.models.iter().map(|model| {
            let largest = model.services().iter().map(|s| logs[s].partitions()).max().unwrap_or(1);
            TopicSpec::read(&config.bus, model.name, largest.cast_signed())
        });
        check_topics(&config.bus, &events.chain(reads).collect::<Vec<_>>()).await?;
        let common = Arc::new(Common {
            store,
            inspector: Inspector::new(&config.bus)?,
            limits: config.limits,
            board: Board::default(),
            push: Push::new(&config.bus)?,
        });
        let mut upkeep = Vec::with_capacity(config.models.len());
        for model in config.models {
            let own: HashMap<String, Log> = model.services().iter().map(|s| (config.bus.events(s), logs[s].clone())).collect();
            upkeep.push(Arc::new(Upkeep::new(model, common.clone(), config.bus.clone(), config.group.clone(), own)));
        }
        for model in &upkeep {
            // Nothing has been started yet, and so nothing is left.
            model.look().await?;
        }
        let running: Vec<_> = upkeep.iter().map(|model| tokio::spawn(model.clone().run(shutdown.clone()))).collect();
        let (finished, done) = watch::channel(false);
        tokio::spawn(async move {
            for model in running {
                let _ = model.await;
            }
            let _ = finished.send(true);
        });
        Ok(Self { upkeep: upkeep.into(), common, done })
    }

    /// Whether every read model has a generation that is kept up here, its group is joined, Postgres answers, and no partition
    /// stands still.
    pub async fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::default();
        for model in self.upkeep.iter() {
            readiness = readiness.check(format!("projection {}", model.model()), model.problem());
        }
        readiness = readiness.check("read models' database", self.common.store.ping().await.err().map(|e| e.to_string()));
        let troubles = self
            .common
            .board
            .lock()
            .iter()
            .filter_map(|((model, generation, service, n), what)| {
                what.as_ref().map(|w| format!("{model} {service}/{n} (generation {generation}): {w}"))
            })
            .collect::<Vec<_>>();
        readiness.check("partitions", (!troubles.is_empty()).then(|| troubles.join("; ")))
    }

    /// The partitions that this process has now: (read model, generation, service, partition).
    pub fn partitions(&self) -> Vec<(&'static str, i32, String, i32)> {
        self.common.board.lock().keys().cloned().collect()
    }

    /// Returns once all groups are left and all tasks have ended.
    pub async fn stopped(&self) {
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}
