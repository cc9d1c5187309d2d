//! Parked messages and streams: messages that no lane can decide, and streams that a projection can't fold, or a reactor or lookup can't
//! react to.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use daybook_command_handlers::ParkedMessages;
pub(crate) use daybook_follow::Ask;
use daybook_log::{Log, ParkedMessage, PartitionLog};
use daybook_postgres::Databases;
use daybook_projections::{ParkedStream, ReadStore, Unparked};
use daybook_proto::JsonValue;
use daybook_reactors::{ParkedReaction, ParkedReactions};
use serde::Serialize;
use uuid::Uuid;

use crate::roles::{registry, rules};
use crate::settings::{Settings, usage};

/// The name of something parked, as the command line takes it.
pub(crate) enum Name {
    /// A message's id.
    Message(Uuid),
    /// Reactor and stream.
    Reaction(String, String),
    /// Projection and stream; in one generation, or in all.
    Stream(String, String, Option<i32>),
}

impl Name {
    /// Reads a message's id, or `<projection or reactor>/<stream>`.
    ///
    /// # Errors
    /// Wrong usage, with an example.
    pub(crate) fn parse(name: &str, generation: Option<i32>) -> anyhow::Result<Self> {
        if let Ok(id) = name.parse() {
            return match generation {
                None => Ok(Self::Message(id)),
                Some(_) => Err(usage("--generation: a message has none")),
            };
        }
        match name.split_once('/') {
            Some((reactor, stream)) if is_reactor(reactor) => Ok(Self::Reaction(reactor.to_owned(), stream.to_owned())),
            Some((projection, stream)) if stream.contains('/') => Ok(Self::Stream(projection.to_owned(), stream.to_owned(), generation)),
            _ => Err(usage(format!(
                "{name:?} names nothing parked: give a message's id, or a projection or reactor and stream such as product-pages/product/A-1"
            ))),
        }
    }
}

fn is_reactor(name: &str) -> bool {
    rules().iter().any(|rule| rule.name() == name)
}

/// A message that no lane can decide.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageEntry {
    /// Its id, as `parked retry` takes it.
    id: String,
    /// `service/partition`.
    partition: String,
    stream: String,
    /// `panic`, `too-large`, `newer-build`, `newer-mac` or `behind`.
    kind: String,
    reason: String,
    parked_at: String,
}

/// A stream that a projection can't fold.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamEntry {
    /// `projection/stream`, as `parked retry` takes it.
    id: String,
    /// `stream`.
    kind: &'static str,
    projection: String,
    generation: i32,
    /// `service/partition`.
    partition: String,
    /// Of the event that can't be folded.
    offset: i64,
    stream: String,
    reason: String,
    parked_at: String,
    /// The number of times that it was folded again in vain.
    attempts: i32,
    /// `retry` or `skip`, where that is asked for and not done yet.
    asked: Option<&'static str>,
}

/// A stream that a reactor can't react to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReactionEntry {
    /// `reactor/stream`, as `parked retry` takes it.
    id: String,
    /// `reaction`.
    kind: &'static str,
    reactor: String,
    /// `service/partition`.
    partition: String,
    /// Of the event that the stream waits behind.
    offset: i64,
    /// Of the same event.
    version: i64,
    stream: String,
    reason: String,
    parked_at: String,
    /// `retry` or `skip`, where that is asked for and not done yet.
    asked: Option<&'static str>,
}

/// A message or stream that is parked.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    Message(MessageEntry),
    Stream(StreamEntry),
    Reaction(ReactionEntry),
}

impl Entry {
    fn message(partition: &PartitionLog, m: &ParkedMessage) -> Self {
        Self::Message(MessageEntry {
            id: m.parked_id.to_string(),
            partition: partition.name(),
            stream: m.stream_id.clone(),
            kind: m.kind.clone(),
            reason: m.reason.clone(),
            parked_at: m.parked_at.to_string(),
        })
    }

    fn stream(s: &ParkedStream) -> Self {
        Self::Stream(StreamEntry {
            id: s.name(),
            kind: "stream",
            projection: s.projection.clone(),
            generation: s.generation,
            partition: format!("{}/{}", s.service, s.partition),
            offset: s.offset,
            stream: s.stream.clone(),
            reason: s.reason.clone(),
            parked_at: s.since.to_string(),
            attempts: s.attempts,
            asked: s.asked.map(Ask::as_str),
        })
    }

    fn reaction(r: &ParkedReaction) -> Self {
        Self::Reaction(ReactionEntry {
            id: format!("{}/{}", r.reactor, r.stream),
            kind: "reaction",
            reactor: r.reactor.to_owned(),
            partition: format!("{}/{}", r.service, r.partition),
            offset: r.offset,
            version: r.version,
            stream: r.stream.clone(),
            reason: r.reason.clone(),
            parked_at: r.since.to_string(),
            asked: r.asked.map(Ask::as_str),
        })
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(m) => write!(f, "{}  {}  {}  {}  {}  {}", m.id, m.parked_at, m.partition, m.stream, m.kind, m.reason),
            Self::Stream(s) => {
                write!(f, "{}  {}  {}:{}  generation {}  stream  {}", s.id, s.parked_at, s.partition, s.offset, s.generation, s.reason)
            }
            Self::Reaction(r) => {
                write!(f, "{}  {}  {}:{}  stream of a reactor or lookup  {}", r.id, r.parked_at, r.partition, r.offset, r.reason)
            }
        }
    }
}

/// Everything that is parked: messages, then streams of projections, then streams of reactors.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct List(pub(crate) Vec<Entry>);

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|entry| writeln!(f, "{entry}"))?;
        let messages = self.0.iter().filter(|entry| matches!(entry, Entry::Message(_))).count();
        writeln!(f, "{messages} messages and {} streams parked", self.0.len() - messages)
    }
}

/// Everything that is parked.
///
/// # Errors
/// When a database does not answer, or was not migrated.
pub(crate) async fn list(settings: &Settings) -> anyhow::Result<List> {
    let mut entries: Vec<Entry> = messages(settings).await?.list().await?.iter().map(|(p, m)| Entry::message(p, m)).collect();
    entries.extend(read_store(settings)?.parked_streams(None, None, None).await?.iter().map(Entry::stream));
    let reactions = ParkedReactions::open(&settings.databases()?, &rules()).await?;
    entries.extend(reactions.list().await?.iter().map(Entry::reaction));
    Ok(List(entries))
}

/// A message with its request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageDetail {
    #[serde(flatten)]
    entry: Entry,
    message_offset: i64,
    command_id: String,
    r#type: String,
    /// By the protobuf JSON mapping; none where this build does not know the command.
    command: Option<JsonValue>,
    caller: String,
    actor: String,
}

/// A stream with the event that it waits behind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamDetail {
    #[serde(flatten)]
    entry: Entry,
    /// None where the log has it not.
    event: Option<EventDetail>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDetail {
    r#type: String,
    version: i64,
    recorded_at: String,
    /// By the protobuf JSON mapping; none where this build does not know the event.
    content: Option<JsonValue>,
}

/// Something parked, with what it is about.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Detail {
    Message(Box<MessageDetail>),
    Stream(Box<StreamDetail>),
}

/// Details for people: JSON over several lines.
pub(crate) struct Details<'a>(pub(crate) &'a [Detail]);

impl Display for Details<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|detail| writeln!(f, "{:#}", serde_json::to_value(detail).unwrap_or_default()))
    }
}

/// One message or stream with what it is about; a stream in each generation that it is parked in.
///
/// # Errors
/// When it is not parked, or a database does not answer.
pub(crate) async fn show(settings: &Settings, name: &Name) -> anyhow::Result<Vec<Detail>> {
    let databases = settings.databases()?;
    match name {
        Name::Message(id) => Ok(vec![show_message(settings, *id).await?]),
        Name::Reaction(reactor, stream) => {
            let Some(r) = reaction(&reactions(settings, reactor).await?, stream).await? else { return Err(not_parked(reactor, stream)) };
            let event = event(&databases, &r.service, r.partition, r.offset, &r.stream).await?;
            Ok(vec![Detail::Stream(Box::new(StreamDetail { entry: Entry::reaction(&r), event }))])
        }
        Name::Stream(projection, stream, generation) => {
            let mut details = Vec::new();
            for s in streams(&read_store(settings)?, projection, stream, *generation).await? {
                let event = event(&databases, &s.service, s.partition, s.offset, &s.stream).await?;
                details.push(Detail::Stream(Box::new(StreamDetail { entry: Entry::stream(&s), event })));
            }
            Ok(details)
        }
    }
}

async fn show_message(settings: &Settings, id: Uuid) -> anyhow::Result<Detail> {
    let (partition, m, request) = messages(settings).await?.show(id).await?;
    let command = registry()?.of_command(&request.r#type).and_then(|a| a.command_json(&request.r#type, &request.command).ok());
    Ok(Detail::Message(Box::new(MessageDetail {
        entry: Entry::message(&partition, &m),
        message_offset: m.message_offset,
        command_id: m.command_id.to_string(),
        r#type: request.r#type,
        command,
        caller: request.caller.unwrap_or_default().name(),
        actor: request.actor,
    })))
}

/// The end of a request to settle something parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SettlementOutcome {
    /// A message is on its way to its lane again.
    Sent,
    /// A message was given up.
    Skipped,
    /// A stream flows again.
    Healed,
    /// A stream could not be handled this time either.
    ParkedAgain,
    /// No process has done it in time; it stays asked for.
    Unanswered,
}

/// A message or stream that was to be settled, and what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settlement {
    /// As it is parked now, or was before.
    #[serde(flatten)]
    entry: Entry,
    outcome: SettlementOutcome,
}

impl Display for Settlement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, offset, reason) = match &self.entry {
            Entry::Message(m) => (m.id.clone(), String::new(), &m.reason),
            Entry::Stream(s) => (format!("{} (generation {})", s.id, s.generation), format!("{}:{}", s.partition, s.offset), &s.reason),
            Entry::Reaction(r) => (r.id.clone(), format!("{}:{}", r.partition, r.offset), &r.reason),
        };
        match self.outcome {
            SettlementOutcome::Sent => writeln!(f, "{name} was sent to its lane again"),
            SettlementOutcome::Skipped => writeln!(f, "{name} was given up"),
            SettlementOutcome::Healed => writeln!(f, "{name} flows again"),
            SettlementOutcome::ParkedAgain => writeln!(f, "{name} parked again at {offset}: {reason}"),
            SettlementOutcome::Unanswered => writeln!(f, "{name} is not done yet"),
        }
    }
}

/// Everything that was to be settled at once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settlements(pub(crate) Vec<Settlement>);

impl Settlements {
    /// Whether a stream could not be handled this time either.
    pub(crate) fn are_parked_again(&self) -> bool {
        self.0.iter().any(|s| s.outcome == SettlementOutcome::ParkedAgain)
    }

    /// The remedy where no process has done it, after so many seconds.
    pub(crate) fn unanswered(&self, seconds: u64) -> Option<String> {
        let unanswered = self.0.iter().find(|s| s.outcome == SettlementOutcome::Unanswered)?;
        Some(match unanswered.entry {
            Entry::Reaction(_) => {
                format!("no process has done it in {seconds} s: see that `daybook command-handlers` runs; it stays asked for")
            }
            _ => format!(
                "no projector has done it in {seconds} s: see that `daybook projectors` of the build that keeps this generation runs; it stays asked for"
            ),
        })
    }
}

impl Display for Settlements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|settlement| write!(f, "{settlement}"))
    }
}

/// Has a message decided again or given up, or asks the process that has a stream's partition to take the stream up again, and waits for
/// what comes of it. `asked` is told who was asked, before the wait.
///
/// # Errors
/// When it is not parked, or a database or Kafka does not answer.
pub(crate) async fn settle(
    settings: &Settings,
    name: &Name,
    ask: Ask,
    wait: Duration,
    asked: impl Fn(String),
) -> anyhow::Result<Settlements> {
    let (verb, seconds) = (ask.as_str(), wait.as_secs());
    match name {
        Name::Message(id) => {
            let messages = messages(settings).await?;
            let (partition, message) = messages.find(*id).await?;
            let outcome = match ask {
                Ask::Retry => {
                    messages.retry(*id).await?;
                    SettlementOutcome::Sent
                }
                Ask::Skip => {
                    messages.skip(*id).await?;
                    SettlementOutcome::Skipped
                }
            };
            Ok(Settlements(vec![Settlement { entry: Entry::message(&partition, &message), outcome }]))
        }
        Name::Reaction(reactor, stream) => {
            let parked = reactions(settings, reactor).await?;
            let Some(before) = reaction(&parked, stream).await? else { return Err(not_parked(reactor, stream)) };
            if !parked.ask(stream, ask).await? {
                return Err(not_parked(reactor, stream));
            }
            asked(format!("asked the command handlers to {verb} {reactor}/{stream}; waiting up to {seconds} s"));
            let (entry, outcome) = settled_reaction(&parked, before, Instant::now() + wait).await?;
            Ok(Settlements(vec![Settlement { entry, outcome }]))
        }
        Name::Stream(projection, stream, generation) => {
            let store = read_store(settings)?;
            let before = streams(&store, projection, stream, *generation).await?;
            asked(format!("asked the projectors to {verb} {projection}/{stream}; waiting up to {seconds} s"));
            let outcomes = store.unpark(&before, ask, wait).await?;
            let settlement = |(before, unparked): (&ParkedStream, &Unparked)| match unparked {
                Unparked::Healed => Settlement { entry: Entry::stream(before), outcome: SettlementOutcome::Healed },
                Unparked::Again(now) => Settlement { entry: Entry::stream(now), outcome: SettlementOutcome::ParkedAgain },
                Unparked::Unanswered => Settlement { entry: Entry::stream(before), outcome: SettlementOutcome::Unanswered },
            };
            Ok(Settlements(before.iter().zip(&outcomes).map(settlement).collect()))
        }
    }
}

/// Waits until a reactor's stream is not parked any more, or is parked again.
async fn settled_reaction(parked: &ParkedReactions, before: ParkedReaction, until: Instant) -> anyhow::Result<(Entry, SettlementOutcome)> {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        match reaction(parked, &before.stream).await? {
            None => return Ok((Entry::reaction(&before), SettlementOutcome::Healed)),
            Some(now) if now.asked.is_none() => return Ok((Entry::reaction(&now), SettlementOutcome::ParkedAgain)),
            Some(now) if Instant::now() > until => return Ok((Entry::reaction(&now), SettlementOutcome::Unanswered)),
            Some(_) => {}
        }
    }
}

async fn messages(settings: &Settings) -> anyhow::Result<ParkedMessages> {
    let services = registry()?.services();
    Ok(ParkedMessages::open(&settings.databases()?, settings.bus("parked")?, &services).await?)
}

fn read_store(settings: &Settings) -> anyhow::Result<ReadStore> {
    Ok(ReadStore::new(&settings.databases()?)?)
}

/// The streams that are parked for one reactor.
async fn reactions(settings: &Settings, reactor: &str) -> anyhow::Result<ParkedReactions> {
    let rules: Vec<_> = rules().into_iter().filter(|rule| rule.name() == reactor).collect();
    Ok(ParkedReactions::open(&settings.databases()?, &rules).await?)
}

/// A stream as it is parked for a reactor, if it is.
async fn reaction(parked: &ParkedReactions, stream: &str) -> anyhow::Result<Option<ParkedReaction>> {
    Ok(parked.list().await?.into_iter().find(|r| r.stream == stream))
}

/// A stream as it is parked for a projection, in each generation.
async fn streams(store: &ReadStore, projection: &str, stream: &str, generation: Option<i32>) -> anyhow::Result<Vec<ParkedStream>> {
    let streams = store.parked_streams(Some(projection), Some(stream), generation).await?;
    if streams.is_empty() { Err(not_parked(projection, stream)) } else { Ok(streams) }
}

fn not_parked(name: &str, stream: &str) -> anyhow::Error {
    usage(format!("{name}/{stream} is not parked: `daybook parked list` shows what is"))
}

/// An event, for people; none where the log has it not.
async fn event(databases: &Databases, service: &str, partition: i32, offset: i64, stream: &str) -> anyhow::Result<Option<EventDetail>> {
    let log = Log::open(databases, service, daybook_postgres::Role::Reader).await?;
    let events = log.partition(partition)?.read_events(offset, 1).await?;
    let Some(e) = events.into_iter().find(|e| e.offset == offset) else { return Ok(None) };
    let aggregate = stream.split_once('/').map_or("", |(aggregate, _)| aggregate);
    let content = registry()?.aggregate(service, aggregate).and_then(|a| a.event_json(&e.type_name, &e.payload).ok());
    Ok(Some(EventDetail { r#type: e.type_name, version: e.version, recorded_at: e.recorded_at.to_string(), content }))
}
