//! All read models of a process: started, watched, stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_bus::{TopicSpec, check_topics};
use daybook_follow::{Feed, Followers, Following, Sources};
use daybook_log::Log;
use daybook_postgres::Role;
use daybook_process::{Readiness, Shutdown};

use crate::ProjectorError;
use crate::config::ProjectorsConfig;
use crate::generation::fingerprint;
use crate::push::Push;
use crate::store::ReadStore;
use crate::upkeep::Upkeep;

/// The projectors of this process. Cheap to clone; they stop with the shutdown that they were started with.
#[derive(Clone)]
pub struct Projectors {
    upkeep: Arc<Upkeep>,
    following: Following,
    store: ReadStore,
}

impl Projectors {
    /// Keeps up every generation of these read models that is ready, live or kept and that this build's folds made, as they
    /// come and go; those of another build are left alone. Returns once all is found in order; partitions come soon after.
    ///
    /// # Errors
    /// When a database or Kafka can't be reached, a topic is not as the log needs it, or a read model has no generation
    /// at all ([`ProjectorError::NotPrepared`]).
    pub async fn start(config: ProjectorsConfig, shutdown: Shutdown) -> Result<Self, ProjectorError> {
        Self::start_beside(config, Vec::new(), shutdown).await
    }

    /// As [`start`](Self::start), beside other followers of this process: all go along the log together.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_beside(config: ProjectorsConfig, mut others: Vec<Followers>, shutdown: Shutdown) -> Result<Self, ProjectorError> {
        for model in &config.models {
            model.access.clone()?;
        }
        let store = ReadStore::new(&config.databases)?;
        let mut logs: BTreeMap<&str, Log> = BTreeMap::new();
        for service in config.models.iter().flat_map(daybook_kernel::ReadModel::services) {
            if !logs.contains_key(service) {
                logs.insert(service, Log::open(&config.databases, service, Role::Projector).await?);
            }
        }
        for model in &config.models {
            // Before its topic is looked for: an install that was never migrated lacks both, and this is the one that says so.
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
        let runs = config.models.iter().map(|model| (model.name, fingerprint(model))).collect();
        let limits = config.limits.following();
        let upkeep = Arc::new(Upkeep::new(config.models, store.clone(), config.limits, Push::new(&config.bus)?));
        upkeep.look().await?;
        others.insert(0, Followers { runs, logs: logs.into_values().collect(), roster: upkeep.roster() });
        let following = Following::start(Sources::of(config.bus, config.group, limits, others), shutdown.clone())?;
        tokio::spawn(upkeep.clone().run(shutdown));
        Ok(Self { upkeep, following, store })
    }

    /// Takes pages that lanes of this process have committed.
    pub fn feed(&self) -> Feed {
        self.following.feed()
    }

    /// Whether every read model has a generation that is kept up here, the group is joined, Postgres answers, and no partition
    /// stands still.
    pub async fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::default();
        for (model, problem) in self.upkeep.problems() {
            readiness = readiness.check(format!("projection {model}"), problem);
        }
        let reached = self.store.ping().await.err().map(|e| e.to_string());
        readiness.check("read models' database", reached).and(self.following.readiness())
    }

    /// The partitions that this process works on now: (read model, generation, service, partition).
    pub fn partitions(&self) -> Vec<(&'static str, i32, String, i32)> {
        self.following.board().places()
    }

    /// Returns once the group is left and all tasks have ended.
    pub async fn stopped(&self) {
        self.following.stopped().await;
    }
}
