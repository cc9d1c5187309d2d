//! All read models of a process: started, watched, stopped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daybook_bus::{Inspector, TopicSpec, check_topics};
use daybook_http::{Readiness, Shutdown};
use daybook_log::{Log, Role};
use tokio::sync::watch;

use crate::ProjectorError;
use crate::config::ProjectorsConfig;
use crate::group::Group;
use crate::partition::Shared;
use crate::push::Push;
use crate::store::ReadStore;

/// (read model, service, partition)
pub(crate) type At = (&'static str, String, i32);

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
    groups: Arc<[Arc<Group>]>,
    store: ReadStore,
    board: Arc<Board>,
    done: watch::Receiver<bool>,
}

impl Projectors {
    /// Joins the consumer group of each read model. Returns once all is found in order; partitions come soon after.
    ///
    /// # Errors
    /// When a database or Kafka can't be reached, a topic is not as the log needs it, or a read model's tables are missing
    /// ([`ProjectorError::NotPrepared`]) or another build's ([`ProjectorError::Outdated`]).
    pub async fn start(config: ProjectorsConfig, shutdown: Shutdown) -> Result<Self, ProjectorError> {
        let store = ReadStore::new(&config.databases, config.read_connections)?;
        let mut logs: BTreeMap<&str, Log> = BTreeMap::new();
        for service in config.models.iter().flat_map(daybook_kernel::ReadModel::services) {
            if !logs.contains_key(service) {
                logs.insert(service, Log::open(&config.databases, service, Role::Projector, config.log_connections).await?);
            }
        }
        let topics: Vec<TopicSpec> =
            logs.iter().map(|(service, log)| TopicSpec::events(&config.bus, service, log.partitions().cast_signed())).collect();
        check_topics(&config.bus, &topics).await?;
        let inspector = Inspector::new(&config.bus)?;
        let push = Push::new(&config.bus)?;
        let board = Arc::<Board>::default();
        let mut groups = Vec::with_capacity(config.models.len());
        for model in config.models {
            let generation = Arc::new(store.live(&model).await?);
            let own: HashMap<String, Log> = model.services().iter().map(|s| (config.bus.events(s), logs[s].clone())).collect();
            let shared = Shared {
                model: Arc::new(model),
                generation,
                store: store.clone(),
                inspector: inspector.clone(),
                limits: config.limits.clone(),
                board: board.clone(),
                push: push.clone(),
            };
            groups.push(Group::new(Arc::new(shared), config.bus.clone(), config.group.clone(), own));
        }
        let running: Vec<_> = groups.iter().map(|group| tokio::spawn(group.clone().run(shutdown.clone()))).collect();
        let (finished, done) = watch::channel(false);
        tokio::spawn(async move {
            for group in running {
                let _ = group.await;
            }
            let _ = finished.send(true);
        });
        Ok(Self { groups: groups.into(), store, board, done })
    }

    /// Whether every group is joined, Postgres answers, and no partition stands still.
    pub async fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::default();
        for group in self.groups.iter() {
            let problem = (!group.is_joined()).then(|| "has not joined its consumer group yet".to_owned());
            readiness = readiness.check(format!("projection {}", group.model()), problem);
        }
        readiness = readiness.check("read models' database", self.store.ping().await.err().map(|e| e.to_string()));
        let troubles = self
            .board
            .lock()
            .iter()
            .filter_map(|((model, service, n), what)| what.as_ref().map(|w| format!("{model} {service}/{n}: {w}")))
            .collect::<Vec<_>>();
        readiness.check("partitions", (!troubles.is_empty()).then(|| troubles.join("; ")))
    }

    /// The partitions that this process has now: (read model, service, partition).
    pub fn partitions(&self) -> Vec<(&'static str, String, i32)> {
        self.board.lock().keys().cloned().collect()
    }

    /// Returns once all groups are left and all tasks have ended.
    pub async fn stopped(&self) {
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}
