//! `show`: a stream's events, and the state that they fold to.

use std::fmt;

use daybook_kernel::{Instant, Registry, StreamId};
use daybook_log::StoredEvent;
use daybook_postgres::Databases;
use daybook_proto::JsonValue;
use daybook_proto::v1::Metadata;
use prost::Message as _;
use serde::Serialize;
use uuid::Uuid;

use crate::ReplayError;
use crate::verify::open;

/// A stream, up to a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamHistory {
    /// For example `catalog`.
    pub service: String,
    /// The log partition that holds it.
    pub partition: i32,
    /// For example `product/A-1`.
    pub stream: String,
    /// The version of the last event that is shown.
    pub version: i64,
    /// In order.
    pub events: Vec<StreamEvent>,
    /// The state that they fold to, by the protobuf JSON mapping; none when this build can't fold them.
    pub state: Option<JsonValue>,
    /// Why there is no state.
    pub unfoldable: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamEvent {
    /// From 1.
    pub version: i64,
    /// Its place in the log partition.
    pub offset: i64,
    /// The page that holds it.
    pub page: i64,
    /// That page's epoch.
    pub epoch: i32,
    /// Full protobuf name.
    pub r#type: String,
    /// RFC 3339, in microseconds.
    pub recorded_at: String,
    /// The command that led to it.
    pub command_id: String,
    /// Ties together all that one request caused.
    pub correlation_id: String,
    /// The direct cause of the command; may be empty.
    pub causation_id: String,
    /// On whose behalf; may be empty.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
    /// By the protobuf JSON mapping; of an event that this build does not know, its bytes in hex.
    pub event: JsonValue,
    /// In hex.
    pub digest: String,
}

/// Up to where a stream is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShowUntil {
    /// All of it.
    #[default]
    End,
    /// Up to this version, from 1.
    Version(u64),
    /// All that was recorded then, and before.
    Time(Instant),
}

/// The events of one stream up to a version or a moment, or all, and what they fold to.
///
/// # Errors
/// [`ReplayError::Usage`] when there is no such service, stream or version, or it had no events then; otherwise when Postgres does not answer.
pub async fn show(
    databases: &Databases,
    registry: &Registry,
    service: &str,
    stream: &str,
    until: ShowUntil,
) -> Result<StreamHistory, ReplayError> {
    let id = StreamId::parse(stream).map_err(|e| ReplayError::Usage(e.to_string()))?;
    let log = open(databases, registry, service).await?;
    let partition = log.partition(id.partition(log.partitions()))?;
    let mut events = partition.read_stream(id.as_str()).await?;
    let Some(last) = events.last().map(|e| e.version) else {
        return Err(ReplayError::Usage(format!("{} has no stream {stream}", partition.name())));
    };
    match until {
        ShowUntil::End => {}
        ShowUntil::Version(wanted) => {
            let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
            if !(1..=last).contains(&wanted) {
                return Err(ReplayError::Usage(format!("{stream} has versions 1 to {last}, not {wanted}")));
            }
            events.retain(|e| e.version <= wanted);
        }
        ShowUntil::Time(time) => {
            events.retain(|e| e.recorded_at <= time);
            if events.is_empty() {
                return Err(ReplayError::Usage(format!("{stream} had no events at {time}")));
            }
        }
    }
    let (state, unfoldable) = match fold(registry, service, &id, &events) {
        Ok(state) => (Some(state), None),
        Err(why) => (None, Some(why)),
    };
    Ok(StreamHistory {
        service: service.to_owned(),
        partition: partition.number(),
        stream: id.as_str().to_owned(),
        version: events.last().map_or(0, |e| e.version),
        events: events.iter().map(|e| shown(registry, e)).collect(),
        state,
        unfoldable,
    })
}

fn fold(registry: &Registry, service: &str, stream: &StreamId, events: &[StoredEvent]) -> Result<JsonValue, String> {
    let aggregate = registry.aggregate(service, stream.aggregate());
    let aggregate = aggregate.ok_or_else(|| format!("this build knows no aggregate {} of {service}", stream.aggregate()))?;
    let mut state = aggregate.new_state();
    for event in events {
        aggregate.evolve(&mut state, &event.type_name, &event.payload).map_err(|e| format!("version {}: {e}", event.version))?;
    }
    Ok(aggregate.state_json(&state))
}

fn shown(registry: &Registry, e: &StoredEvent) -> StreamEvent {
    let metadata = Metadata::decode(e.metadata.as_slice()).unwrap_or_default();
    let json = registry.of_event(&e.type_name).and_then(|a| a.event_json(&e.type_name, &e.payload).ok());
    StreamEvent {
        version: e.version,
        offset: e.offset,
        page: e.page,
        epoch: e.epoch,
        r#type: e.type_name.clone(),
        recorded_at: e.recorded_at.to_string(),
        command_id: Uuid::from_slice(&metadata.command_id).map(|id| id.to_string()).unwrap_or_default(),
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
        actor: metadata.actor,
        reason: metadata.reason,
        event: json.unwrap_or_else(|| JsonValue::String(hex::encode(&e.payload))),
        digest: hex::encode(&e.digest),
    }
}

impl fmt::Display for StreamHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {}/{}, version {}", self.stream, self.service, self.partition, self.version)?;
        for e in &self.events {
            writeln!(f, "\n{} {} at {}", e.version, e.r#type, e.recorded_at)?;
            writeln!(f, "  {}/{}:{}@{}, page {}, command {}", self.service, self.partition, e.offset, e.epoch, e.page, e.command_id)?;
            for (name, text) in
                [("correlation", &e.correlation_id), ("causation", &e.causation_id), ("actor", &e.actor), ("reason", &e.reason)]
            {
                if !text.is_empty() {
                    writeln!(f, "  {name} {text}")?;
                }
            }
            writeln!(f, "  {}", e.event)?;
        }
        match (&self.state, &self.unfoldable) {
            (Some(state), _) => writeln!(f, "\nstate\n{state:#}"),
            (None, why) => writeln!(f, "\nno state: {}", why.as_deref().unwrap_or("unknown")),
        }
    }
}
