//! `reconcile`: after a restore of the log's database to an older state, what Kafka and the read models have that the log has not.
//! Discarding it begins the log's next epoch.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use daybook_bus::{BusConfig, Inspector, Message, PartitionReader, StartAt, headers as h};
use daybook_kernel::Registry;
use daybook_log::{Log, LogError, PartitionLog, Writer, WriterSessions};
use daybook_messages::lanes_group;
use daybook_postgres::{Databases, OwnConnection, Role};
use serde::Serialize;

use crate::ReplayError;
use crate::window::Window;

const CHECKPOINTS: &str = include_str!("sql/reconcile_checkpoints.sql");

/// A generation that is not served any more.
const KEPT: &str = "kept";

/// Messages taken at once.
const MESSAGES: usize = 1_000;
const BYTES: usize = 8 << 20;
/// The distance from a topic's end at which it is read first; eight times as far each time that nothing of the log is met.
const FIRST_LOOK: i64 = 1_000;
/// The longest that is waited until the lanes' group has no members: longer than a session of theirs.
const SESSIONS_END: Duration = Duration::from_secs(90);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest reason, in characters.
const MAX_REASON: usize = 1_000;
/// The most events of a partition that are named, of those that the log has not.
const NAMED: usize = 20;

/// Settings of a reconciliation.
#[derive(Clone, Debug)]
pub struct ReconcileOptions {
    /// The service.
    pub service: String,
    /// Begins the next epoch, for this reason: what the log has not is void from then on.
    pub discard: Option<String>,
}

/// An event on Kafka that the log has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignEvent {
    /// Of the log that wrote it; −1 where the message does not say.
    pub offset: i64,
    /// Full protobuf name.
    pub r#type: String,
    /// The stream.
    pub stream: String,
    /// The command that led to it.
    pub command_id: String,
}

/// One partition of the log, and what Kafka has beyond it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionState {
    /// Its number.
    pub partition: i32,
    /// The log's next offset.
    pub log_end: i64,
    /// The log's epoch.
    pub epoch: i32,
    /// The number of events that the topic has and the log has not.
    pub foreign_events: u64,
    /// The first of them.
    pub named: Vec<ForeignEvent>,
    /// The number of messages that Kafka has behind the last one that the log knows of: the lanes begin there, and decide them, most of them again.
    pub messages_again: i64,
    /// The message behind the last one that the log knows of.
    #[serde(skip)]
    next_message: i64,
}

/// A read model that has been where the log has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowerAhead {
    /// The read model.
    pub read_model: String,
    /// Its generation.
    pub generation: i32,
    /// `live`, `kept`, `ready` or `building`.
    pub state: String,
    /// The log partition.
    pub partition: i32,
    /// The next offset that it would fold.
    pub at: i64,
    /// The epoch of what it has folded.
    pub epoch: i32,
}

/// The result of a reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// The service.
    pub service: String,
    /// Each partition.
    pub partitions: Vec<PartitionState>,
    /// Read models that must be rebuilt.
    pub ahead: Vec<FollowerAhead>,
    /// The epoch that was begun, if so.
    pub began_epoch: Option<i32>,
}

impl Reconciled {
    /// Whether Kafka and the read models that are served have nothing that the log has not.
    pub fn is_reconciled(&self) -> bool {
        self.models().is_empty() && self.partitions.iter().all(|p| p.foreign_events == 0)
    }

    /// The read models that must be rebuilt, each once.
    fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = self.ahead.iter().filter(|a| a.state != KEPT).map(|a| a.read_model.as_str()).collect();
        models.dedup();
        models
    }
}

impl Display for Reconciled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for p in &self.partitions {
            let name = format!("{}/{}", self.service, p.partition);
            if p.foreign_events > 0 {
                writeln!(f, "{name}: the log ends before {}, and Kafka has {} more events:", p.log_end, p.foreign_events)?;
                for e in &p.named {
                    writeln!(f, "  {name}:{}  {}  {}  command {}", e.offset, e.stream, e.r#type, e.command_id)?;
                }
                let unnamed = p.foreign_events.saturating_sub(p.named.len() as u64);
                if unnamed > 0 {
                    writeln!(f, "  and {unnamed} more")?;
                }
            }
            if p.messages_again > 0 {
                writeln!(f, "{name}: {} messages behind the log's last page are still on Kafka, and are decided again", p.messages_again)?;
            }
        }
        for a in &self.ahead {
            let (model, at) = (&a.read_model, a.at);
            writeln!(f, "read model {model} (generation {}, {}) has been at {}/{}:{at}", a.generation, a.state, self.service, a.partition)?;
        }
        match self.began_epoch {
            Some(epoch) => writeln!(f, "epoch {epoch} has begun: what the log has not is void")?,
            None if self.is_reconciled() => {
                writeln!(f, "nothing differs: Kafka and the read models have nothing that the log has not")?;
            }
            None => writeln!(
                f,
                "to go on without these events: stop the projectors, then `daybook replay reconcile {} --discard --reason WHY`",
                self.service
            )?,
        }
        for model in self.models() {
            writeln!(f, "then `daybook replay rebuild {model} --promote --accept-differences`")?;
        }
        let mut kept: Vec<(&str, i32)> =
            self.ahead.iter().filter(|a| a.state == KEPT).map(|a| (a.read_model.as_str(), a.generation)).collect();
        kept.dedup();
        for (model, generation) in kept {
            writeln!(f, "of no more use: `daybook replay retire {model} --generation {generation}`")?;
        }
        Ok(())
    }
}

/// Compares, and discards where that is asked for.
///
/// # Errors
/// When a database or Kafka does not answer, a client's transaction hides what a topic holds, or the request makes no sense.
pub async fn reconcile(
    databases: &Databases,
    bus: &BusConfig,
    registry: &Registry,
    options: &ReconcileOptions,
) -> Result<Reconciled, ReplayError> {
    let service = options.service.as_str();
    if !registry.services().contains(&service) {
        return Err(ReplayError::Usage(format!("this build has no service {service:?}; it has {}", registry.services().join(", "))));
    }
    let log = Log::open(databases, service, Role::Reader).await?;
    let inspector = Inspector::new(bus)?;
    let mut partitions = Vec::new();
    for n in 0..log.partitions().cast_signed() {
        partitions.push(partition_state(&log.partition(n)?, bus, &inspector).await?);
    }
    let ahead = ahead(databases, &log, &partitions).await?;
    let mut found = Reconciled { service: service.to_owned(), partitions, ahead, began_epoch: None };
    if let Some(reason) = &options.discard {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON || reason.contains('\0') {
            return Err(ReplayError::Usage(format!("--reason: say in 1 to {MAX_REASON} characters why these events are given up")));
        }
        if found.is_reconciled() {
            return Err(ReplayError::Usage(
                "there is nothing to discard: Kafka and the read models have nothing that the log has not".to_owned(),
            ));
        }
        send_lanes_back(bus, &inspector, service, &found.partitions).await?;
        found.began_epoch = Some(begin_epoch(databases, service, &found, reason).await?);
    }
    Ok(found)
}

/// The lanes begin where the log says, whatever they have committed. But others ask what they have committed: a handle whose command is still to be decided
/// again would have no result for ever, and deadlines would fire before what is to be decided again. A group of processes that were killed has members until their
/// sessions are over.
async fn send_lanes_back(bus: &BusConfig, inspector: &Inspector, service: &str, partitions: &[PartitionState]) -> Result<(), ReplayError> {
    let (group, topic) = (lanes_group(bus, service), bus.messages(service));
    let until = Instant::now() + SESSIONS_END;
    for p in partitions {
        while let Err(error) = inspector.set_committed(&group, &topic, p.partition, p.next_message).await {
            if Instant::now() > until {
                return Err(error.into());
            }
            tracing::info!(service, partition = p.partition, %error, "the lanes' group can't be sent back yet; stop every process of Daybook");
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(())
}

/// An opening page in every partition. A process that dies on the way leaves some of them in the next epoch: the one after that is begun then.
async fn begin_epoch(databases: &Databases, service: &str, found: &Reconciled, reason: &str) -> Result<i32, ReplayError> {
    let log = Log::open(databases, service, Role::Writer).await?;
    let sessions = WriterSessions::new(1);
    let epoch = found.partitions.iter().map(|p| p.epoch).max().unwrap_or(1) + 1;
    for p in &found.partitions {
        let writer = Writer::new(log.partition(p.partition)?, &sessions).await?;
        writer.begin_epoch(Writer::now(), epoch, reason).await?;
        writer.release().await;
    }
    Ok(epoch)
}

async fn partition_state(log: &PartitionLog, bus: &BusConfig, inspector: &Inspector) -> Result<PartitionState, ReplayError> {
    let head = log.last_page().await?;
    let (foreign_events, named) = foreign(log, bus, inspector).await?;
    let topic = bus.messages(log.service());
    let end = inspector.written(&topic, log.number()).await?.end;
    let next_message = head.message_offset + 1;
    Ok(PartitionState {
        partition: log.number(),
        log_end: head.next_offset(),
        epoch: head.epoch,
        foreign_events,
        named,
        messages_again: if foreign_events > 0 { (end - next_message).max(0) } else { 0 },
        next_message,
    })
}

/// The events at the end of the topic that the log has not. The topic is read from further and further back, until an event is met that the log has.
async fn foreign(log: &PartitionLog, bus: &BusConfig, inspector: &Inspector) -> Result<(u64, Vec<ForeignEvent>), ReplayError> {
    let topic = bus.events(log.service());
    let readable = inspector.decided(&topic, log.number()).await?;
    let (first, end) = (readable.first, readable.stable_end.offset());
    let (mut back, mut window) = (FIRST_LOOK, Window::of(log));
    loop {
        let from = first.max(end - back);
        let mut reader = PartitionReader::open(bus, &topic, log.number(), StartAt::Offset(from)).await?;
        let (mut meets, mut count, mut named) = (from == first, 0, Vec::new());
        while let Some(messages) = reader.recv_before(readable.stable_end, MESSAGES, BYTES).await {
            for message in &messages {
                if stands(&mut window, message).await? {
                    meets = true;
                } else {
                    count += 1;
                    if named.len() < NAMED {
                        named.push(foreign_event(message));
                    }
                }
            }
        }
        if meets {
            return Ok((count, named));
        }
        back = back.saturating_mul(8);
    }
}

/// Whether the log has this event, or has begun another epoch in its place.
async fn stands(window: &mut Window<'_>, message: &Message) -> Result<bool, LogError> {
    let Ok(Some(offset)) = message.headers.get_parsed::<i64>(h::OFFSET) else { return Ok(false) };
    if window.is_void(message).await? {
        return Ok(true);
    }
    let digest = message.headers.get_str(h::PAGE_DIGEST).ok().flatten().unwrap_or_default();
    Ok(window.at(offset).await?.is_some_and(|event| hex::encode(&event.page_digest) == digest))
}

fn foreign_event(message: &Message) -> ForeignEvent {
    let text = |name| message.headers.get_str(name).ok().flatten().unwrap_or_default().to_owned();
    ForeignEvent {
        offset: message.headers.get_parsed::<i64>(h::OFFSET).ok().flatten().unwrap_or(-1),
        r#type: text(h::CE_TYPE),
        stream: String::from_utf8_lossy(message.key.as_deref().unwrap_or_default()).into_owned(),
        command_id: text(h::COMMAND_ID),
    }
}

/// The read models that have been where the log has not: beyond its end, or in an epoch that ended before.
async fn ahead(databases: &Databases, log: &Log, partitions: &[PartitionState]) -> Result<Vec<FollowerAhead>, ReplayError> {
    let read = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook replay").await?;
    let mut ahead = Vec::new();
    for row in read.query(CHECKPOINTS, &[&&**log.service()]).await? {
        let (partition, at, epoch): (i32, i64, i32) = (row.get(3), row.get(4), row.get(5));
        let Some(state) = partitions.iter().find(|p| p.partition == partition) else { continue };
        let over = log.partition(partition)?.first_offset_after_epoch(epoch).await?.is_some_and(|first| first < at);
        if at > state.log_end || over {
            let (read_model, generation, state) = (row.get(0), row.get(1), row.get(2));
            ahead.push(FollowerAhead { read_model, generation, state, partition, at, epoch });
        }
    }
    Ok(ahead)
}
