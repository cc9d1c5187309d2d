//! `as-of`: a read model as it was. The streams that ever had a part under a key are folded again, up to a moment or a place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use daybook_kernel::{ConsistencyToken, EventAt, Instant, ReadModel, RenderedPart, StreamId, Version};
use daybook_log::{Log, StoredEvent};
use daybook_postgres::{Databases, OwnConnection, Role};
use daybook_projections::lifecycle::live_generation;
use daybook_proto::{DescriptorPool, JsonValue};
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde::Serialize;

use crate::ReplayError;
use crate::diff::descriptor;

const WRITERS: &str = include_str!("sql/writers.sql");
const SKIPPED: &str = include_str!("sql/skipped.sql");

/// Up to where to fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// All that was recorded then, and before.
    Time(Instant),
    /// All up to these places, inclusive; of log partitions that they don't name, all up to the latest moment that they name.
    Tokens(Vec<ConsistencyToken>),
}

/// Where a stream stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// The number of its events then.
    pub version: i64,
    /// `service/partition:offset@epoch` of the last of them.
    pub token: String,
    /// When that was recorded: RFC 3339.
    pub recorded_at: String,
}

/// A stream that can't be folded up to the moment, and is shown as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// The stream.
    pub stream: String,
    /// Of the event that can't be folded.
    pub version: i64,
    /// Why.
    pub reason: String,
}

/// A read model under one key, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// The parts, in byte order of their ids: together the read model's message.
    pub bytes: Vec<u8>,
    /// The streams that had events by then.
    pub positions: Vec<Position>,
    /// Streams that are shown older than they were.
    pub stopped: Vec<Stopped>,
}

impl AsOf {
    /// As the query API writes it, with where it comes from.
    ///
    /// # Errors
    /// When the bytes are no such message.
    pub fn json(&self, model: &ReadModel, pool: &DescriptorPool) -> Result<JsonValue, ReplayError> {
        let unreadable = |why: String| ReplayError::Usage(format!("what was rendered is no {}: {why}", model.message));
        let message = DynamicMessage::decode(descriptor(model, pool)?, self.bytes.as_slice()).map_err(|e| unreadable(e.to_string()))?;
        let options = SerializeOptions::new().skip_default_fields(false);
        let mut value = message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|e| unreadable(e.to_string()))?;
        value.sort_all_objects();
        Ok(serde_json::json!({ "model": value, "positions": self.positions, "stopped": self.stopped }))
    }
}

/// The read model under a key, as it was; none where a reader would have been told that there is nothing.
///
/// Events that are skipped today are passed over, whenever that was decided: it is this build's reading of what was recorded.
///
/// # Errors
/// [`ReplayError::Usage`] for a token that the logs can't have given, and for a page that is filled from another read model when it
/// is read, whose own parts tell less than was shown; otherwise when a database does not answer.
pub async fn as_of(databases: &Databases, model: &ReadModel, key: &str, at: &At) -> Result<Option<AsOf>, ReplayError> {
    if let (Some(fill), Some(_)) = (model.fill, model.root) {
        return Err(ReplayError::Usage(format!(
            "{} shows what {} says when it is read: ask that one for its past, and `daybook replay show` for the streams of this one",
            model.name, fill.model
        )));
    }
    let read = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook as-of").await?;
    let live = live_generation(&read, model.name).await?;
    let mut logs = BTreeMap::new();
    for service in model.services() {
        logs.insert(service, Log::open(databases, service, Role::Reader).await?);
    }
    let until = Until::new(&logs, at).await?;
    let rows = read.query(SKIPPED, &[&model.name]).await?;
    let skipped: BTreeSet<(String, i32, i64)> = rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect();
    let (mut parts, mut positions, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for row in read.query(&WRITERS.replace("{new}", &live.parts), &[&key]).await? {
        let (service, stream): (&str, &str) = (row.get(0), row.get(1));
        let stream = StreamId::parse(stream).map_err(|e| ReplayError::Usage(e.to_string()))?;
        let (Some(log), Some(fold)) = (logs.get(service), model.fold(service, stream.aggregate())) else { continue };
        let partition = log.partition(stream.partition(log.partitions()))?;
        let mut events = partition.read_stream(stream.as_str()).await?;
        events.retain(|e| until.holds(service, partition.number(), e));
        let Some(last) = events.last() else { continue };
        positions.push(Position {
            stream: stream.as_str().to_owned(),
            version: last.version,
            token: format!("{}:{}@{}", partition.name(), last.offset, last.epoch),
            recorded_at: last.recorded_at.to_string(),
        });
        let mut view = fold.new_view();
        let mut rendered: Vec<RenderedPart> = Vec::new();
        for e in &events {
            if skipped.contains(&(service.to_owned(), partition.number(), e.offset)) {
                continue;
            }
            let place = EventAt { stream: &stream, version: Version(e.version.cast_unsigned()), recorded_at: e.recorded_at };
            let folded = fold.fold(&mut view, &e.type_name, &e.payload, &place).and_then(|()| fold.render(&view, &stream));
            match folded {
                Ok(parts) => rendered = parts,
                Err(why) => {
                    stopped.push(Stopped { stream: stream.as_str().to_owned(), version: e.version, reason: why.to_string() });
                    break;
                }
            }
        }
        parts.extend(rendered.into_iter().filter(|p| p.key == key));
    }
    parts.sort_by(|a, b| a.part.cmp(&b.part));
    let is_there = match model.root {
        Some(root) => parts.iter().any(|p| p.part.starts_with(root)),
        None => !parts.is_empty(),
    };
    let bytes = parts.into_iter().flat_map(|p| p.bytes).collect();
    Ok(is_there.then_some(AsOf { bytes, positions, stopped }))
}

/// Which events had happened.
struct Until {
    time: Option<Instant>,
    places: BTreeMap<(String, i32), i64>,
}

impl Until {
    async fn new(logs: &BTreeMap<&'static str, Log>, at: &At) -> Result<Self, ReplayError> {
        let tokens = match at {
            At::Time(time) => return Ok(Self { time: Some(*time), places: BTreeMap::new() }),
            At::Tokens(tokens) => tokens,
        };
        let (mut time, mut places) = (None, BTreeMap::new());
        for token in tokens {
            let wrong = |why: String| ReplayError::Usage(format!("token {token}: {why}"));
            // As for the query API: of a log that the read model does not read, a token says nothing.
            let Some(log) = logs.get(token.service.as_str()) else { continue };
            let partition = log.partition(token.partition).map_err(|e| wrong(e.to_string()))?;
            let place: &mut i64 = places.entry((token.service.clone(), token.partition)).or_insert(-1);
            *place = (*place).max(token.offset);
            if token.offset < 0 {
                continue;
            }
            let events = partition.read_events(token.offset, 1).await?;
            let event = events.first().filter(|e| e.offset == token.offset);
            let event = event.ok_or_else(|| wrong(format!("the log of {} has not got there", partition.name())))?;
            if event.epoch != token.epoch {
                return Err(wrong(format!("what stands at that offset is of epoch {}: the log was restored since", event.epoch)));
            }
            time = time.max(Some(event.recorded_at));
        }
        Ok(Self { time, places })
    }

    fn holds(&self, service: &str, partition: i32, event: &StoredEvent) -> bool {
        match self.places.get(&(service.to_owned(), partition)) {
            Some(offset) => event.offset <= *offset,
            None => self.time.is_some_and(|time| event.recorded_at <= time),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}, {}, recorded {}", self.stream, self.version, self.token, self.recorded_at)
    }
}
