//! The step of `daybook migrate` for projections: a live generation of each read model that has none, and its topic.

use std::collections::BTreeMap;

use daybook_bus::{BusConfig, TopicSpec, ensure_topics};
use daybook_kernel::ReadModel;
use daybook_log::Log;
use daybook_postgres::{Databases, Migrating, Role};
use tokio_postgres::Client;

use crate::generation::{fingerprint, parts_table};
use crate::lifecycle::{LifecycleError, clear_dead_unless_running, next_number};
use crate::{ProjectorError, rows, sql};

/// The outcome of [`prepare`] for one read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The read model.
    pub model: &'static str,
    /// The generation that is live.
    pub generation: i32,
    /// The state that it was found in, or made.
    pub found: LiveGeneration,
}

/// In which state the live generation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveGeneration {
    /// There was none: it was made now.
    Made,
    /// It was made by this build's folds.
    Current,
    /// It was made by other folds: projectors of this build leave it alone until it is rebuilt.
    Outdated,
}

/// Makes what is missing: for each read model a live generation (tables, checkpoints at 0) and its topic. Harmless to
/// repeat, and safe when several processes do it at once. The logs must have been migrated.
///
/// # Errors
/// When a database or Kafka can't be reached, a log is missing, or a read model's name could not be a table's.
pub async fn prepare(databases: &Databases, bus: &BusConfig, models: &[ReadModel]) -> Result<Vec<Prepared>, ProjectorError> {
    let mut partitions: BTreeMap<&str, i32> = BTreeMap::new();
    for service in models.iter().flat_map(ReadModel::services) {
        if !partitions.contains_key(service) {
            let log = Log::open(databases, service, Role::Reader).await?;
            partitions.insert(service, log.partitions().cast_signed());
        }
    }
    let mut owner = Migrating::begin(databases.read_url()).await?;
    let mut prepared = Vec::with_capacity(models.len());
    for model in models {
        clear_dead_unless_running(databases, model.name).await?;
        prepared.push(prepare_model(&mut owner, model, &partitions).await?);
    }
    let topics: Vec<TopicSpec> = models
        .iter()
        .map(|model| {
            let largest = model.services().iter().map(|s| partitions[s]).max().unwrap_or(1);
            TopicSpec::read(bus, model.name, largest)
        })
        .chain([TopicSpec::query_pods(bus)])
        .collect();
    ensure_topics(bus, &topics).await?;
    Ok(prepared)
}

async fn prepare_model(owner: &mut Client, model: &ReadModel, partitions: &BTreeMap<&str, i32>) -> Result<Prepared, ProjectorError> {
    let ours = fingerprint(model);
    let kept_up = owner.query(sql::KEPT_UP_GENERATIONS, &[&model.name]).await?;
    if let Some(row) = kept_up.iter().find(|row| row.get(3)) {
        let (generation, parts, current) = (row.get(0), row.get(1), row.get::<_, &[u8]>(2) == ours);
        if current {
            // This build may define its views otherwise.
            let transaction = owner.transaction().await?;
            rows::show(&transaction, model, parts).await.map_err(LifecycleError::while_migrating)?;
            transaction.commit().await?;
        }
        let found = if current { LiveGeneration::Current } else { LiveGeneration::Outdated };
        return Ok(Prepared { model: model.name, generation, found });
    }
    // Not always the first: one that was begun and never finished has had its number.
    let number = next_number(owner, model.name).await.map_err(LifecycleError::while_migrating)?;
    let parts = parts_table(model, number)?;
    let (services, numbers): (Vec<&str>, Vec<i32>) =
        model.services().into_iter().flat_map(|s| (0..partitions[s]).map(move |n| (s, n))).unzip();
    // All of it or nothing: a generation without its checkpoints would never begin.
    let transaction = owner.transaction().await?;
    transaction.execute(sql::INSERT_GENERATION, &[&model.name, &number, &ours.as_slice(), &parts]).await?;
    transaction.batch_execute(&sql::with_rows(sql::GENERATION, &parts, model.rows.as_deref())).await?;
    for indexes in [sql::INDEX_PARTS, sql::INDEX_VIEWS, sql::INDEX_WRITERS] {
        transaction.batch_execute(&sql::at(indexes, &parts)).await?;
    }
    transaction.execute(sql::INSERT_CHECKPOINTS, &[&model.name, &number, &services, &numbers]).await?;
    rows::show(&transaction, model, &parts).await.map_err(LifecycleError::while_migrating)?;
    transaction.commit().await?;
    Ok(Prepared { model: model.name, generation: number, found: LiveGeneration::Made })
}
