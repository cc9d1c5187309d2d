//! The list of generations.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use daybook_kernel::ReadModel;
use daybook_log::Log;
use daybook_postgres::{Databases, OwnConnection, Role};
use serde::Serialize;
use tokio_postgres::{Client, Transaction};

use super::{LifecycleError, sql};
use crate::{ProjectorError, fingerprint};

/// The state of a generation in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum GenerationState {
    /// A rebuild fills it.
    Building,
    /// Filled, kept up, not served yet.
    Ready,
    /// Served.
    Live,
    /// Was live, and is kept up.
    Kept,
    /// Its tables are gone, or it was never finished. Its number is never given again.
    Retired,
}

impl GenerationState {
    /// As the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Kept => "kept",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Building, Self::Ready, Self::Live, Self::Kept].into_iter().find(|s| s.as_str() == text).unwrap_or(Self::Retired)
    }
}

impl fmt::Display for GenerationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of `read.generation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGeneration {
    /// From 1.
    pub number: i32,
    /// Of the folds that fill it.
    pub fingerprint: Vec<u8>,
    /// Its state.
    pub state: GenerationState,
    /// The table of its parts, in schema `read`.
    pub parts: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
}

/// Every generation of a read model, the oldest first.
///
/// # Errors
/// When Postgres does not answer, or was never migrated.
pub async fn known_generations(client: &Client, model: &str) -> Result<Vec<KnownGeneration>, LifecycleError> {
    let rows = client.query(sql::GENERATIONS, &[&model]).await.map_err(|e| match e.as_db_error().map(|db| db.code().code()) {
        Some("42P01") => ProjectorError::NotPrepared(model.to_owned()),
        _ => e.into(),
    })?;
    Ok(rows
        .iter()
        .map(|r| KnownGeneration {
            number: r.get(0),
            fingerprint: r.get(1),
            state: GenerationState::parse(r.get(2)),
            parts: r.get(3),
            created_at: r.get(4),
        })
        .collect())
}

/// The number of the next generation: none is ever given again.
pub(crate) async fn next_number(client: &Client, model: &str) -> Result<i32, LifecycleError> {
    Ok(known_generations(client, model).await?.last().map_or(0, |g| g.number) + 1)
}

/// As [`known_generations`], and none of them changes until the transaction ends.
pub(crate) async fn locked_generations(transaction: &Transaction<'_>, model: &str) -> Result<Vec<KnownGeneration>, LifecycleError> {
    transaction.execute(sql::LOCK_GENERATION_ROWS, &[&model]).await?;
    // Another statement: it sees what the first has waited for.
    known_generations(transaction.client(), model).await
}

/// The generation that is served.
///
/// # Errors
/// [`ProjectorError::NotPrepared`] when there is none; otherwise as [`known_generations`].
pub async fn live_generation(client: &Client, model: &str) -> Result<KnownGeneration, LifecycleError> {
    let all = known_generations(client, model).await?;
    let live = all.into_iter().find(|g| g.state == GenerationState::Live);
    live.ok_or_else(|| ProjectorError::NotPrepared(model.to_owned()).into())
}

/// The distance of a generation behind one log partition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// For example `catalog`.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// Everything before it is folded.
    pub next_offset: i64,
    /// Events of the log that it has not come to.
    pub behind: i64,
}

/// The report on a generation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationReport {
    /// The read model.
    pub projection: String,
    /// From 1.
    pub generation: i32,
    /// Its state.
    pub state: GenerationState,
    /// RFC 3339.
    pub created_at: String,
    /// Whether this build's folds fill it.
    pub this_builds: bool,
    /// About how many parts it has; none when that is not known.
    pub parts: Option<i64>,
    /// Parked streams.
    pub parked: i64,
    /// One a log partition; none of a generation that was retired.
    pub sources: Vec<SourceReport>,
}

impl GenerationReport {
    /// Events that it has not come to, all logs together.
    pub fn behind(&self) -> i64 {
        self.sources.iter().map(|s| s.behind).sum()
    }
}

impl fmt::Display for GenerationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} generation {}: {}, begun {}", self.projection, self.generation, self.state, self.created_at)?;
        if self.state == GenerationState::Retired {
            return Ok(());
        }
        let parts = self.parts.map_or_else(|| "an unknown number of".to_owned(), |n| format!("about {n}"));
        let folds = if self.this_builds { "this build's folds" } else { "other folds than this build's" };
        write!(f, ", by {folds}, {parts} parts, {} events behind, {} streams parked", self.behind(), self.parked)
    }
}

/// The reports on a read model, generation by generation.
///
/// # Errors
/// When a database does not answer, or was never migrated.
pub async fn describe(databases: &Databases, model: &ReadModel) -> Result<Vec<GenerationReport>, LifecycleError> {
    let client = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook generations").await?;
    let mut ends = std::collections::BTreeMap::new();
    for service in model.services() {
        let log = Log::open(databases, service, Role::Reader).await?;
        for n in 0..log.partitions().cast_signed() {
            ends.insert((service.to_owned(), n), log.partition(n)?.last_page().await?.next_offset());
        }
    }
    let mut reports = Vec::new();
    for known in known_generations(&client, model.name).await? {
        let details = client.query_one(sql::GENERATION_DETAILS, &[&model.name, &known.number, &known.parts]).await?;
        let sources = client.query(sql::GENERATION_CHECKPOINTS, &[&model.name, &known.number]).await?;
        let source = |row: &tokio_postgres::Row| {
            let (service, partition, next_offset): (String, i32, i64) = (row.get(0), row.get(1), row.get(2));
            // A service that this build does not read: nobody here can say how long its log is.
            let end = ends.get(&(service.clone(), partition)).copied().unwrap_or(next_offset);
            SourceReport { service, partition, next_offset, behind: (end - next_offset).max(0) }
        };
        reports.push(GenerationReport {
            projection: model.name.to_owned(),
            generation: known.number,
            state: known.state,
            created_at: known.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            this_builds: known.fingerprint == fingerprint(model),
            parts: Some(details.get::<_, i64>(0)).filter(|n| *n >= 0),
            parked: details.get(1),
            sources: sources.iter().map(source).collect(),
        });
    }
    Ok(reports)
}
