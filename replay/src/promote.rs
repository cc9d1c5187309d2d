//! `promote`: another generation is served from now on, and every process that serves it has said so.

use std::time::Duration;

use daybook_bus::BusConfig;
use daybook_kernel::ReadModel;
use daybook_postgres::{Databases, OwnConnection, Role};
use daybook_projections::lifecycle::{GenerationState, LifecycleError, PodsReport, announce, known_generations, pods_on};
use daybook_projections::promotion::{self, Promotion};
use daybook_proto::DescriptorPool;
use futures_util::TryStreamExt as _;
use prost_reflect::DynamicMessage;
use serde::Serialize;

use crate::ReplayError;
use crate::diff::descriptor;

const ALL_PARTS: &str = include_str!("sql/all_parts.sql");

/// The longest that the steps of a promotion may take.
#[derive(Clone, Copy, Debug)]
pub struct PromoteOptions {
    /// For the new generation to come to where the live one stands (30 s by default).
    pub catch_up: Duration,
    /// For the query API's processes to say that they have moved (30 s by default).
    pub pods: Duration,
}

impl Default for PromoteOptions {
    fn default() -> Self {
        Self { catch_up: Duration::from_secs(30), pods: Duration::from_secs(30) }
    }
}

/// A switch that was made, and who has followed it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Promoted {
    /// The switch.
    #[serde(flatten)]
    pub promotion: Promotion,
    /// Which pods have moved; none when Kafka did not answer.
    pub pods: Option<PodsReport>,
    /// Why it is not known which pods have moved. They look into the database, too.
    pub unannounced: Option<String>,
}

/// Makes a generation the live one: the one that is named, else the newest that is ready. Every part of it must be a message of
/// the read model.
///
/// # Errors
/// As [`promotion::promote`]. Once the switch is made, a Kafka that does not answer is no error: that stands in the answer.
pub async fn promote(
    databases: &Databases,
    bus: &BusConfig,
    model: &ReadModel,
    pool: &DescriptorPool,
    number: Option<i32>,
    options: &PromoteOptions,
) -> Result<Promoted, ReplayError> {
    let checked = check_parts(databases, model, pool, number).await?;
    // The generation whose parts were checked, and not one that has become ready meanwhile.
    switch(databases, bus, model, checked.or(number), options).await
}

/// As [`promote`], of parts that are known to be right.
pub(crate) async fn switch(
    databases: &Databases,
    bus: &BusConfig,
    model: &ReadModel,
    number: Option<i32>,
    options: &PromoteOptions,
) -> Result<Promoted, ReplayError> {
    let promotion = promotion::promote(databases, model, number, options.catch_up).await?;
    let told = async {
        announce(bus, model.name, promotion.to).await?;
        pods_on(bus, model.name, promotion.to, options.pods).await
    };
    let (pods, unannounced) = match told.await {
        Ok(pods) => (Some(pods), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Promoted { promotion, pods, unannounced })
}

/// Which generation was meant, and is sound.
async fn check_parts(
    databases: &Databases,
    model: &ReadModel,
    pool: &DescriptorPool,
    number: Option<i32>,
) -> Result<Option<i32>, ReplayError> {
    let message = descriptor(model, pool)?;
    let session = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook promote").await?;
    let all = known_generations(&session, model.name).await?;
    let meant = all.iter().rfind(|g| number.map_or(g.state == GenerationState::Ready, |n| g.number == n));
    // A generation that does not exist, or has no tables, is refused by the promotion itself.
    let Some(generation) = meant.filter(|g| g.state != GenerationState::Retired) else { return Ok(None) };
    let rows = session.query_raw(&ALL_PARTS.replace("{new}", &generation.parts), [] as [&str; 0]).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await? {
        if let Err(why) = DynamicMessage::decode(message.clone(), row.get::<_, &[u8]>(2)) {
            let (key, part): (&str, &str) = (row.get(0), row.get(1));
            let (name, number) = (model.name, generation.number);
            let refused = format!("{name} generation {number} holds a part that is no {} ({key} {part}: {why}): rebuild it", model.message);
            return Err(LifecycleError::Refused(refused).into());
        }
    }
    Ok(Some(generation.number))
}
