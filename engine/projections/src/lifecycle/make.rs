//! Beginning a generation, and clearing away one that nobody will finish.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_kernel::{ReadModel, murmur2};
use daybook_log::Log;
use daybook_postgres::{Databases, OwnConnection, Role};

use super::retire::erase;
use super::{GenerationState, KnownGeneration, LifecycleError, known_generations, next_number, sql};
use crate::ProjectorError;
use crate::generation::{Generation, fingerprint, parts_table};
use crate::sql as tables;

/// First part of the advisory lock's key, "rebu".
const LOCK_CLASS: i32 = 0x7265_6275;
/// The server finds out within a minute when the whole machine of a rebuild is gone. An index build is the largest thing
/// that such a session does, and gets 128 MiB.
const SETTINGS: &[(&str, &str)] = &[
    ("lock_timeout", "60000"),
    ("tcp_keepalives_idle", "20"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("maintenance_work_mem", "131072"),
];

/// The session that may fill a generation of one read model, or clear one away, as the owner: tables are made and dropped on the
/// session that holds the lock, so nobody else can get it while a statement of this one is still under way.
pub(crate) struct Keeper {
    pub(crate) session: OwnConnection,
    key: i32,
}

impl Keeper {
    /// Takes the lock; waits up to `patience` for it.
    pub(crate) async fn take(databases: &Databases, model: &str, patience: Duration) -> Result<Self, LifecycleError> {
        let application = format!("daybook generations of {model}, process {}", std::process::id());
        let session = OwnConnection::new(databases.read_url(), None, SETTINGS, &application[..application.len().min(63)]).await?;
        let key = murmur2(model.as_bytes()).cast_signed();
        let until = tokio::time::Instant::now() + patience;
        while !session.query_one(sql::LOCK_GENERATIONS, &[&LOCK_CLASS, &key]).await?.get::<_, bool>(0) {
            if tokio::time::Instant::now() >= until {
                return Err(LifecycleError::Running { model: model.to_owned(), who: holder(&session, key).await? });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { session, key })
    }

    /// Clears away a generation that is not finished.
    async fn erase(&mut self, model: &str, number: i32, parts: &str) -> Result<(), LifecycleError> {
        let transaction = self.session.transaction().await?;
        erase(&transaction, model, number, parts, GenerationState::Building).await?;
        Ok(transaction.commit().await?)
    }

    async fn clear_dead(&mut self, model: &str) -> Result<Vec<i32>, LifecycleError> {
        let building = |g: &KnownGeneration| g.state == GenerationState::Building;
        let dead: Vec<_> = known_generations(&self.session, model).await?.into_iter().filter(building).collect();
        for generation in &dead {
            self.erase(model, generation.number, &generation.parts).await?;
            tracing::info!(model, generation = generation.number, "a generation that nobody will finish was cleared away");
        }
        Ok(dead.iter().map(|g| g.number).collect())
    }

    /// Gives the lock back: to close the session would do so too, but only when the server notices.
    pub(crate) async fn release(self) {
        let _ = self.session.execute("SELECT pg_advisory_unlock($1, $2)", &[&LOCK_CLASS, &self.key]).await;
    }
}

async fn holder(session: &OwnConnection, key: i32) -> Result<String, LifecycleError> {
    let row = session.query_opt(sql::LOCK_HOLDER, &[&LOCK_CLASS, &key]).await?;
    Ok(row.map_or_else(
        || "somebody who has just ended".to_owned(),
        |r| {
            let (name, pid, from, since): (String, i32, String, DateTime<Utc>) = (r.get(0), r.get(1), r.get(2), r.get(3));
            format!("\"{name}\" (Postgres process {pid}, from {from}, since {since})")
        },
    ))
}

/// Drops what rebuilds of this read model that were killed have left behind; answers with the numbers. Waits up to `patience` for
/// another one's lock: sessions that were cut may take a moment to notice.
///
/// # Errors
/// [`LifecycleError::Running`], or that Postgres does not answer.
pub async fn clear_dead(databases: &Databases, model: &str, patience: Duration) -> Result<Vec<i32>, LifecycleError> {
    let mut keeper = Keeper::take(databases, model, patience).await?;
    let cleared = keeper.clear_dead(model).await;
    keeper.release().await;
    cleared
}

/// As [`clear_dead`], but a rebuild that is under way is left alone.
pub(crate) async fn clear_dead_unless_running(databases: &Databases, model: &str) -> Result<(), ProjectorError> {
    match clear_dead(databases, model, Duration::ZERO).await {
        Ok(_) | Err(LifecycleError::Running { .. }) => Ok(()),
        Err(error) => Err(error.while_migrating()),
    }
}

/// A generation that is being made. Dropped before it is finished it leaves tables behind, without an owner: the next rebuild,
/// `daybook migrate` or [`clear_dead`] drops them.
pub struct Building {
    pub(crate) keeper: Keeper,
    pub(crate) databases: Databases,
    pub(crate) model: Arc<ReadModel>,
    pub(crate) generation: Arc<Generation>,
    /// The logs that the read model reads.
    pub(crate) logs: Vec<Log>,
}

impl Building {
    /// Clears away what dead rebuilds left, and begins the next generation: its row, its tables without indexes, its
    /// checkpoints at 0.
    ///
    /// # Errors
    /// [`LifecycleError::Running`]; otherwise when a database does not answer, or was never migrated.
    pub async fn begin(databases: &Databases, model: &ReadModel) -> Result<Self, LifecycleError> {
        let mut logs = Vec::new();
        for service in model.services() {
            logs.push(Log::open(databases, service, Role::Projector).await?);
        }
        let mut keeper = Keeper::take(databases, model.name, Duration::ZERO).await?;
        keeper.clear_dead(model.name).await?;
        let number = next_number(&keeper.session, model.name).await?;
        let parts = parts_table(model, number)?;
        let (services, partitions): (Vec<&str>, Vec<i32>) =
            logs.iter().flat_map(|log| (0..log.partitions().cast_signed()).map(move |n| (&**log.service(), n))).unzip();
        let transaction = keeper.session.transaction().await?;
        transaction.execute(sql::BEGIN_GENERATION, &[&model.name, &number, &fingerprint(model).as_slice(), &parts]).await?;
        transaction.batch_execute(&tables::with_rows(tables::GENERATION, &parts, model.rows.as_deref())).await?;
        transaction.execute(tables::INSERT_CHECKPOINTS, &[&model.name, &number, &services, &partitions]).await?;
        transaction.commit().await?;
        let generation = Arc::new(Generation::new(model, number, parts));
        Ok(Self { keeper, databases: databases.clone(), model: Arc::new(model.clone()), generation, logs })
    }

    /// The generation's number.
    pub fn number(&self) -> i32 {
        self.generation.number
    }

    /// The table of its parts, in schema `read`.
    pub fn parts(&self) -> &str {
        &self.generation.parts
    }

    /// From now on it is `ready`: projectors keep it up, and it may be promoted.
    ///
    /// # Errors
    /// When Postgres does not answer; what was made is then dead, or ready.
    pub async fn finish(mut self) -> Result<i32, LifecycleError> {
        let (model, number) = (self.model.name, self.generation.number);
        let transaction = self.keeper.session.transaction().await?;
        transaction.execute(sql::SETTLE_PUSHED, &[&model, &number]).await?;
        let (ready, building) = (GenerationState::Ready.as_str(), [GenerationState::Building.as_str()]);
        let moved = transaction.execute(sql::SET_GENERATION_STATE, &[&model, &number, &ready, &building.as_slice()]).await?;
        if moved != 1 {
            return Err(LifecycleError::Refused(format!("{model} generation {number} was dropped while it was being built")));
        }
        daybook_failpoint::reach("rebuild.before-ready");
        transaction.commit().await?;
        self.keeper.release().await;
        Ok(number)
    }

    /// Drops it.
    ///
    /// # Errors
    /// When Postgres does not answer: the next rebuild drops it then.
    pub async fn discard(mut self) -> Result<(), LifecycleError> {
        self.keeper.erase(self.model.name, self.generation.number, &self.generation.parts).await?;
        self.keeper.release().await;
        Ok(())
    }
}
