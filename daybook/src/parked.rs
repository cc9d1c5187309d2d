//! What could not be handled: messages that no lane can decide, and streams that a projection can't fold or a reactor can't react to.

use std::time::Duration;

use daybook_command_handlers::ParkedMessages;
use daybook_follow::Ask;
use daybook_log::Log;
use daybook_postgres::Databases;
use daybook_projections::{ParkedStream, ReadStore, Unparked};
use daybook_reactors::{ParkedReaction, ParkedReactions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::{Parked, ParkedName, Unpark};
use crate::roles::registry;
use crate::settings::{Settings, usage};
use crate::{Verdict, out};

/// `daybook parked …`
pub(crate) async fn parked(settings: &Settings, command: Parked, as_json: bool) -> anyhow::Result<Verdict> {
    match command {
        Parked::List => list(settings, as_json).await,
        Parked::Show(name) => match Name::parse(&name)? {
            Name::Message(id) => show_message(settings, id).await,
            Name::Stream(reactor, stream) if is_reactor(&reactor) => show_reaction(settings, &reactor, &stream).await,
            Name::Stream(projection, stream) => show_stream(settings, &projection, &stream, name.generation).await,
        },
        Parked::Retry(unpark) => settle(settings, &unpark, Ask::Retry, as_json).await,
        Parked::Skip(unpark) => settle(settings, &unpark, Ask::Skip, as_json).await,
    }
}

/// What stands on the command line.
enum Name {
    Message(Uuid),
    /// Projection or reactor, and stream.
    Stream(String, String),
}

impl Name {
    fn parse(name: &ParkedName) -> anyhow::Result<Self> {
        if let Ok(id) = name.name.parse() {
            return match name.generation {
                None => Ok(Self::Message(id)),
                Some(_) => Err(usage("--generation: a message has none")),
            };
        }
        match name.name.split_once('/') {
            Some((projection, stream)) if stream.contains('/') => Ok(Self::Stream(projection.to_owned(), stream.to_owned())),
            _ => Err(usage(format!(
                "{:?} names nothing parked: give a message's id, or a projection or reactor and stream such as product-pages/product/A-1",
                name.name
            ))),
        }
    }
}

async fn messages(settings: &Settings) -> anyhow::Result<ParkedMessages> {
    let services = registry()?.services();
    Ok(ParkedMessages::open(&settings.databases()?, settings.bus("parked")?, &services).await?)
}

fn read_store(settings: &Settings) -> anyhow::Result<ReadStore> {
    Ok(ReadStore::new(&settings.databases()?, 1)?)
}

async fn list(settings: &Settings, as_json: bool) -> anyhow::Result<Verdict> {
    let messages = messages(settings).await?.list().await?;
    let streams = read_store(settings)?.parked_streams(None, None, None).await?;
    let reactions = ParkedReactions::open(&settings.databases()?, &shop_domain::reactors()).await?.list().await?;
    for (partition, m) in &messages {
        if as_json {
            let line = json!({ "id": m.parked_id.to_string(), "partition": partition.name(), "stream": m.stream_id, "kind": m.kind, "reason": m.reason, "parkedAt": m.parked_at.to_string() });
            out::line(line);
        } else {
            out::line(format_args!("{}  {}  {}  {}  {}  {}", m.parked_id, m.parked_at, partition.name(), m.stream_id, m.kind, m.reason));
        }
    }
    for s in &streams {
        if as_json {
            out::line(stream_json(s));
        } else {
            let (generation, place) = (s.generation, s.place());
            out::line(format_args!("{}  {}  {place}  generation {generation}  stream  {}", s.name(), s.since, s.reason));
        }
    }
    for r in &reactions {
        if as_json {
            out::line(reaction_json(r));
        } else {
            let (name, place) = (reaction_name(r), reaction_place(r));
            out::line(format_args!("{name}  {}  {place}  stream of a reactor  {}", r.since, r.reason));
        }
    }
    if !as_json {
        out::line(format_args!("{} messages and {} streams parked", messages.len(), streams.len() + reactions.len()));
    }
    Ok(Verdict::Good)
}

fn is_reactor(name: &str) -> bool {
    shop_domain::reactors().iter().any(|reactor| reactor.name() == name)
}

fn reaction_name(r: &ParkedReaction) -> String {
    format!("{}/{}", r.reactor, r.stream)
}

fn reaction_place(r: &ParkedReaction) -> String {
    format!("{}/{}:{}", r.service, r.partition, r.offset)
}

fn reaction_json(r: &ParkedReaction) -> Value {
    json!({
        "id": reaction_name(r), "kind": "reaction", "reactor": r.reactor, "partition": format!("{}/{}", r.service, r.partition),
        "offset": r.offset, "version": r.version, "stream": r.stream, "reason": r.reason, "parkedAt": r.since.to_string(), "asked": r.asked.map(Ask::as_str),
    })
}

/// What is parked for one reactor.
async fn reactions(settings: &Settings, reactor: &str) -> anyhow::Result<ParkedReactions> {
    let reactors: Vec<_> = shop_domain::reactors().into_iter().filter(|r| r.name() == reactor).collect();
    Ok(ParkedReactions::open(&settings.databases()?, &reactors).await?)
}

/// A stream as it is parked, if it is.
async fn reaction(parked: &ParkedReactions, stream: &str) -> anyhow::Result<Option<ParkedReaction>> {
    Ok(parked.list().await?.into_iter().find(|r| r.stream == stream))
}

async fn show_reaction(settings: &Settings, reactor: &str, stream: &str) -> anyhow::Result<Verdict> {
    let Some(r) = reaction(&reactions(settings, reactor).await?, stream).await? else { return Err(not_parked(reactor, stream)) };
    let mut shown = reaction_json(&r);
    shown["event"] = event(&settings.databases()?, &r.service, r.partition, r.offset, &r.stream).await?;
    out::line(format_args!("{shown:#}"));
    Ok(Verdict::Good)
}

fn not_parked(name: &str, stream: &str) -> anyhow::Error {
    usage(format!("{name}/{stream} is not parked: `daybook parked list` shows what is"))
}

/// Asks the process that has the partition, and waits for what comes of it.
async fn settle_reaction(
    settings: &Settings,
    unpark: &Unpark,
    (reactor, stream): (&str, &str),
    ask: Ask,
    as_json: bool,
) -> anyhow::Result<Verdict> {
    let parked = reactions(settings, reactor).await?;
    if !parked.ask(stream, ask).await? {
        return Err(not_parked(reactor, stream));
    }
    if !as_json {
        out::note(format_args!("asked the command handlers to {} {reactor}/{stream}; waiting up to {} s", ask.as_str(), unpark.wait));
    }
    let until = std::time::Instant::now() + Duration::from_secs(unpark.wait);
    let (word, now) = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        match reaction(&parked, stream).await? {
            None => break ("healed", None),
            Some(now) if now.asked.is_none() => break ("parked-again", Some(now)),
            Some(now) if std::time::Instant::now() > until => break ("unanswered", Some(now)),
            Some(_) => {}
        }
    };
    let name = format!("{reactor}/{stream}");
    match &now {
        _ if as_json => {
            let mut line = now.as_ref().map_or_else(|| json!({ "id": name }), reaction_json);
            line["outcome"] = word.into();
            out::line(line);
        }
        None => out::line(format_args!("{name} flows again")),
        Some(now) if word == "parked-again" => out::line(format_args!("{name} parked again at {}: {}", reaction_place(now), now.reason)),
        Some(_) => out::line(format_args!("{name} is not done yet")),
    }
    match word {
        "healed" => Ok(Verdict::Good),
        "parked-again" => Ok(Verdict::FoundSomething),
        _ => anyhow::bail!("no process has done it in {} s: see that `daybook command-handlers` runs; it stays asked for", unpark.wait),
    }
}

/// An event, for people; null where the log has it not.
async fn event(databases: &Databases, service: &str, partition: i32, offset: i64, stream: &str) -> anyhow::Result<Value> {
    let log = Log::open(databases, service, daybook_postgres::Role::Reader, 1).await?;
    let found = log.partition(partition)?.read_events(offset, 1).await?.into_iter().find(|e| e.offset == offset);
    let event = found.map(|e| {
        let aggregate = stream.split_once('/').map_or("", |(aggregate, _)| aggregate);
        let content =
            registry().ok().and_then(|r| r.aggregate(service, aggregate).and_then(|a| a.event_json(&e.type_name, &e.payload).ok()));
        json!({ "type": e.type_name, "version": e.version, "recordedAt": e.recorded_at.to_string(), "content": content })
    });
    Ok(event.unwrap_or_default())
}

fn stream_json(s: &ParkedStream) -> Value {
    json!({
        "id": s.name(), "kind": "stream", "projection": s.projection, "generation": s.generation,
        "partition": format!("{}/{}", s.service, s.partition), "offset": s.offset, "stream": s.stream, "reason": s.reason,
        "parkedAt": s.since.to_string(), "attempts": s.attempts, "asked": s.asked.map(Ask::as_str),
    })
}

async fn show_message(settings: &Settings, id: Uuid) -> anyhow::Result<Verdict> {
    let (partition, m, request) = messages(settings).await?.show(id).await?;
    let command = registry()?.of_command(&request.r#type).and_then(|a| a.command_json(&request.r#type, &request.command).ok());
    let shown = json!({
        "id": m.parked_id.to_string(), "partition": partition.name(), "messageOffset": m.message_offset, "stream": m.stream_id,
        "commandId": m.command_id.to_string(), "kind": m.kind, "reason": m.reason, "parkedAt": m.parked_at.to_string(),
        "type": request.r#type, "command": command, "caller": request.caller.unwrap_or_default().name(), "actor": request.actor,
    });
    out::line(format_args!("{shown:#}"));
    Ok(Verdict::Good)
}

/// The generations that a stream is parked in.
async fn found(store: &ReadStore, projection: &str, stream: &str, generation: Option<i32>) -> anyhow::Result<Vec<ParkedStream>> {
    let found = store.parked_streams(Some(projection), Some(stream), generation).await?;
    if found.is_empty() {
        return Err(not_parked(projection, stream));
    }
    Ok(found)
}

async fn show_stream(settings: &Settings, projection: &str, stream: &str, generation: Option<i32>) -> anyhow::Result<Verdict> {
    let databases = settings.databases()?;
    for s in found(&read_store(settings)?, projection, stream, generation).await? {
        let mut shown = stream_json(&s);
        shown["event"] = event(&databases, &s.service, s.partition, s.offset, &s.stream).await?;
        out::line(format_args!("{shown:#}"));
    }
    Ok(Verdict::Good)
}

async fn settle(settings: &Settings, unpark: &Unpark, ask: Ask, as_json: bool) -> anyhow::Result<Verdict> {
    match Name::parse(&unpark.what)? {
        Name::Message(id) => {
            let messages = messages(settings).await?;
            let said = match ask {
                Ask::Retry => {
                    messages.retry(id).await?;
                    "was sent to its lane again"
                }
                Ask::Skip => {
                    messages.skip(id).await?;
                    "was given up"
                }
            };
            if as_json {
                out::line(json!({ "id": id.to_string(), "outcome": if ask == Ask::Retry { "sent" } else { "skipped" } }));
            } else {
                out::line(format_args!("{id} {said}"));
            }
            Ok(Verdict::Good)
        }
        Name::Stream(reactor, stream) if is_reactor(&reactor) => settle_reaction(settings, unpark, (&reactor, &stream), ask, as_json).await,
        Name::Stream(projection, stream) => {
            let store = read_store(settings)?;
            let streams = found(&store, &projection, &stream, unpark.what.generation).await?;
            if !as_json {
                out::note(format_args!("asked the projectors to {} {projection}/{stream}; waiting up to {} s", ask.as_str(), unpark.wait));
            }
            let outcomes = store.unpark(&streams, ask, Duration::from_secs(unpark.wait)).await?;
            tell(&streams, &outcomes, unpark.wait, as_json)
        }
    }
}

fn tell(streams: &[ParkedStream], outcomes: &[Unparked], waited: u64, as_json: bool) -> anyhow::Result<Verdict> {
    for (s, outcome) in streams.iter().zip(outcomes) {
        let (name, generation) = (s.name(), s.generation);
        let (word, now) = match outcome {
            Unparked::Healed => ("healed", None),
            Unparked::Again(now) => ("parked-again", Some(now)),
            Unparked::Unanswered => ("unanswered", None),
        };
        if as_json {
            let mut line = now.map_or_else(|| stream_json(s), |now| stream_json(now));
            line["outcome"] = word.into();
            out::line(line);
            continue;
        }
        match now {
            _ if *outcome == Unparked::Healed => out::line(format_args!("{name} (generation {generation}) flows again")),
            Some(now) => out::line(format_args!("{name} (generation {generation}) parked again at {}: {}", now.place(), now.reason)),
            None => out::line(format_args!("{name} (generation {generation}) is not done yet")),
        }
    }
    if outcomes.contains(&Unparked::Unanswered) {
        anyhow::bail!(
            "no projector has done it in {waited} s: see that `daybook projectors` of the build that keeps this generation runs; it stays asked for"
        );
    }
    let again = outcomes.iter().any(|o| matches!(o, Unparked::Again(_)));
    Ok(if again { Verdict::FoundSomething } else { Verdict::Good })
}
