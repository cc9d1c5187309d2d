//! Generations of read models, and read models as they were.

use std::fmt;

use daybook_bus::BusConfig;
use daybook_kernel::ReadModel;
use daybook_postgres::Databases;
use daybook_projections::lifecycle::{self, GenerationReport, describe};
use daybook_proto::JsonValue;
use daybook_replay::{At, ReplayError, as_of as replay_as_of};
use serde::Serialize;
use shop_projectors::read_models;

use super::replay_error;
use crate::settings::usage;

/// The read model of this name.
///
/// # Errors
/// Wrong usage, with the names that there are.
pub(crate) fn named(name: &str) -> anyhow::Result<ReadModel> {
    let all = read_models();
    let names = all.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
    all.into_iter().find(|m| m.name == name).ok_or_else(|| usage(format!("this build has no read model {name:?}; it has {names}")))
}

/// The generations of one read model, or of all.
///
/// # Errors
/// When there is no such read model, or a database does not answer.
pub(crate) async fn generations(databases: &Databases, projection: Option<&str>) -> anyhow::Result<Vec<GenerationReport>> {
    let models = projection.map_or_else(|| Ok(read_models()), |name| named(name).map(|model| vec![model]))?;
    let mut generations = Vec::new();
    for model in models {
        generations.extend(describe(databases, &model).await.map_err(replay_error)?);
    }
    Ok(generations)
}

/// A generation that was dropped.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetiredGeneration {
    /// The read model.
    pub(crate) projection: String,
    /// The generation's number.
    pub(crate) retired: i32,
}

impl fmt::Display for RetiredGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "generation {} of {} is retired", self.retired, self.projection)
    }
}

/// Drops a generation that nobody serves.
///
/// # Errors
/// [`ReplayError::is_refusal`] when it is live, being built or still served; otherwise when a database or Kafka does not answer.
pub(crate) async fn retire(
    databases: &Databases,
    bus: &BusConfig,
    model: &ReadModel,
    generation: i32,
) -> Result<RetiredGeneration, ReplayError> {
    lifecycle::retire(databases, bus, model, generation).await?;
    Ok(RetiredGeneration { projection: model.name.to_owned(), retired: generation })
}

/// A read model under one key as it was, as the query API writes it, with the positions of its streams; none where there was nothing.
///
/// # Errors
/// For a token that the logs can't have given, or when a database does not answer.
pub(crate) async fn as_of(databases: &Databases, model: &ReadModel, key: &str, at: &At) -> anyhow::Result<Option<JsonValue>> {
    let Some(was) = replay_as_of(databases, model, key, at).await.map_err(replay_error)? else { return Ok(None) };
    Ok(Some(was.json(model, shop_proto::descriptors()).map_err(replay_error)?))
}
