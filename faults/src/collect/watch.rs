//! Looks at numbers that may only grow while things are broken, and tells when everything has caught up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

use super::{Sources, any_message, committed, connect, ends};
use crate::evidence::Sighting;
use crate::history::{Answer, Command, Recorder};
use crate::shop::creation;
use crate::shop::names::{REACTOR, READ_MODELS};
use crate::workload::{Http, Server};

/// The time between two looks.
const EVERY: Duration = Duration::from_millis(400);
/// So long nothing may be due when evidence is gathered, about as long as that takes; and the longest that is waited for it.
const QUIET: Duration = Duration::from_secs(15);
const DUE_AT_MOST: Duration = Duration::from_secs(60);
/// The client that sees whether endpoints take commands.
const ASKS: u32 = 3_000_000;
/// The number of the first thing that it has made; a nemesis chooses its own of all that there are.
const FIRST_MADE: u64 = 0x0a57_0000_0000_0000;
/// The streams whose versions it looks at: those of the first so many events of each partition. Clients come back to the
/// first things most.
const FIRST_EVENTS: i64 = 3;

/// The end of each log partition: (service, partition) → next offset, epoch.
type Heads = BTreeMap<(String, i32), (i64, i32)>;

/// Looks all the time.
pub struct Watch {
    sources: Sources,
    sightings: Arc<Mutex<Vec<Sighting>>>,
    /// Things that it has had made.
    made: AtomicU64,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub fn start(sources: Sources, recorder: Recorder) -> Self {
        let sightings: Arc<Mutex<Vec<Sighting>>> = Arc::default();
        let task = tokio::spawn(look_on(sources.database.clone(), recorder, sightings.clone()));
        Self { sources, sightings, made: AtomicU64::new(FIRST_MADE), task }
    }

    /// All sightings so far.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every endpoint has taken a command, all messages that stand in Kafka then are decided, and what is in the logs
    /// then is published, folded, pushed, and served by every query API.
    ///
    /// # Errors
    /// When something has not caught up after `limit`.
    pub async fn caught_up(&self, http: &Http, limit: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let command = || creation(self.made.fetch_add(1, Ordering::Relaxed));
        let mut marks = Marks { to_ask: self.sources.commands.iter().map(|at| (at, command())).collect(), ..Marks::default() };
        loop {
            let Err(behind) = self.behind(http, &mut marks).await else { return Ok(()) };
            if begun.elapsed() > limit {
                return Err(behind.context(format!("not caught up after {} s", limit.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Fails with what is behind. The marks that have to be reached are set once, at the first look that succeeds.
    async fn behind(&self, http: &Http, marks: &mut Marks<'_>) -> anyhow::Result<()> {
        while let Some((at, command)) = marks.to_ask.last() {
            let told = http.command(ASKS, at, command).await;
            ensure!(matches!(told, Answer::Done { .. }), "{} does not take commands: {told:?}", at.name);
            marks.to_ask.pop();
        }
        let client = connect(&self.sources.database).await.context("Postgres")?;
        // Nobody asks the others for anything, and each look at one takes Kafka's time.
        let mut services = Vec::new();
        for service in super::log::services(&client).await? {
            if client.query_one(&format!("SELECT EXISTS (SELECT FROM \"{service}\".event)"), &[]).await?.get(0) {
                services.push(service);
            }
        }
        let kafka = self.sources.kafka.clone();
        if marks.messages.is_none() {
            let mut found = Ends::new();
            for service in &services {
                let partitions = partitions(&client, service).await?;
                let (kafka, topic) = (kafka.clone(), format!("{service}.messages"));
                let topic_ends = tokio::task::spawn_blocking(move || ends(&kafka, &topic, partitions)).await?.context("Kafka")?;
                found.insert(service.clone(), topic_ends.into_iter().map(|(_, next)| next).collect());
            }
            marks.messages = Some(found);
        }
        for (service, ends) in marks.messages.iter().flatten() {
            let (kafka, group, topic) = (kafka.clone(), format!("{service}.lanes"), format!("{service}.messages"));
            let count = i32::try_from(ends.len())?;
            let ends = ends.clone();
            tokio::task::spawn_blocking(move || {
                for (partition, (at, end)) in (0..).zip(committed(&kafka, &group, &topic, count)?.into_iter().zip(ends)) {
                    let behind = at.is_none_or(|at| at < end) && any_message(&kafka, &topic, partition, at.unwrap_or(0)..end)?;
                    ensure!(!behind, "{topic}/{partition}: lanes are at {at:?} of {end}");
                }
                anyhow::Ok(())
            })
            .await??;
        }
        // Commands of reactors are in the logs before it is looked where these end. Nothing reacts to their events.
        if marks.to_react.is_none() {
            marks.to_react = Some(heads(&client).await?);
        }
        reacted(&client, marks.to_react.as_ref().context("heads")?).await?;
        if marks.heads.is_none() {
            marks.heads = Some(heads(&client).await?);
        }
        let heads = marks.heads.as_ref().context("heads")?;
        reacted(&client, heads).await?;
        folded(&client, heads).await?;
        published(&kafka, heads).await?;
        self.served(http, heads).await
    }

    /// A token of each partition's head, asked of each query API.
    async fn served(&self, http: &Http, heads: &Heads) -> anyhow::Result<()> {
        let tokens: Vec<String> = heads
            .iter()
            .filter(|(_, (next, _))| *next > 0)
            .map(|((service, partition), (next, epoch))| format!("{service}/{partition}:{}@{epoch}", next - 1))
            .collect();
        for at in &self.sources.queries {
            for (model, key) in READ_MODELS {
                let told = http.page(at, model, key, "", &tokens).await;
                ensure!(matches!(told, Answer::Page { .. }), "{model} of {}: {told:?}", at.name);
            }
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Service → the next offset of each partition of its messages.
type Ends = BTreeMap<String, Vec<i64>>;

/// Marks that have to be reached for everything to have caught up.
#[derive(Default)]
struct Marks<'a> {
    /// Endpoints that have not taken a command yet, and the command.
    to_ask: Vec<(&'a Server, Command)>,
    messages: Option<Ends>,
    /// The place that reactors have to reach before it is looked where the logs end.
    to_react: Option<Heads>,
    heads: Option<Heads>,
}

async fn partitions(client: &Client, service: &str) -> anyhow::Result<i32> {
    Ok(client.query_one(&format!("SELECT partitions FROM \"{service}\".log"), &[]).await?.get(0))
}

async fn heads(client: &Client) -> anyhow::Result<Heads> {
    let mut heads = Heads::new();
    for service in super::log::services(client).await? {
        let sql = format!(
            "SELECT DISTINCT ON (partition) partition, first_offset + count, epoch FROM \"{service}\".page ORDER BY partition, page DESC"
        );
        for row in client.query(&sql, &[]).await? {
            heads.insert((service.clone(), row.get(0)), (row.get(1), row.get(2)));
        }
    }
    Ok(heads)
}

/// The services whose log has reactors: schemas with a table `reactor`, which an older build does not make.
pub(super) async fn reacting(client: &Client) -> anyhow::Result<Vec<String>> {
    let rows = client.query("SELECT schemaname::text FROM pg_tables WHERE tablename = 'reactor' ORDER BY 1", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Where a reactor stands.
struct Mark {
    /// Reactor and log partition.
    of: String,
    at: (String, i32),
    next: i64,
    settled: i64,
}

async fn reactors(client: &Client) -> anyhow::Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for service in reacting(client).await? {
        let sql = format!("SELECT name, partition, next_offset, settled FROM \"{service}\".reactor ORDER BY name, partition");
        for row in client.query(&sql, &[]).await? {
            let (name, partition): (String, i32) = (row.get(0), row.get(1));
            let (of, at) = (format!("{name} {service}/{partition}"), (service.clone(), partition));
            marks.push(Mark { of, at, next: row.get(2), settled: row.get(3) });
        }
    }
    Ok(marks)
}

/// Whether the build that has migrated this database has the reactor.
///
/// # Errors
/// When Postgres does not answer.
pub async fn has_reactor(database: &str) -> anyhow::Result<bool> {
    let table = format!("{}.reactor", REACTOR.1);
    Ok(connect(database).await?.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.get(0))
}

/// The places of the reactor in the log that it follows, by partition.
///
/// # Errors
/// When Postgres does not answer.
pub async fn reacting_from(database: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let client = connect(database).await?;
    let (reactor, service) = REACTOR;
    let rows = client.query(&format!("SELECT partition, next_offset FROM \"{service}\".reactor WHERE name = $1"), &[&reactor]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Reactors have reacted to all, and all that they sent has come to an end.
async fn reacted(client: &Client, heads: &Heads) -> anyhow::Result<()> {
    for Mark { of, at, next, settled } in reactors(client).await? {
        let head = heads.get(&at).map_or(0, |head| head.0);
        ensure!(next >= head && settled >= head, "{of}: reacted to {next}, settled to {settled} of {head}");
    }
    for (of, open) in calls(client, heads).await? {
        ensure!(open == 0, "{of}: {open} calls are open");
    }
    Ok(())
}

/// By log: the calls that events before the heads have asked for, and that are open. A build of an older schema has none.
async fn calls(client: &Client, heads: &Heads) -> anyhow::Result<Vec<(String, usize)>> {
    let tables = client.query("SELECT schemaname::text FROM pg_tables WHERE tablename = 'call' ORDER BY 1", &[]).await?;
    let mut open = Vec::new();
    for table in &tables {
        let service: String = table.get(0);
        // What the scheduler will send at its time is no work that is left over, but what is late is.
        let has_due = "SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'call' AND column_name = 'due_at')";
        let has_due: bool = client.query_one(has_due, &[&service]).await?.get(0);
        let due = if has_due { "WHERE due_at < now()" } else { "" };
        let rows = client.query(&format!("SELECT partition, \"offset\" FROM \"{service}\".call {due}"), &[]).await?;
        let is_before =
            |row: &&tokio_postgres::Row| heads.get(&(service.clone(), row.get(0))).is_some_and(|head| row.get::<_, i64>(1) < head.0);
        let count = rows.iter().filter(is_before).count();
        open.push((service, count));
    }
    Ok(open)
}

/// Waits until the scheduler has nothing to send for a while: what it sends while the evidence is gathered has all of it gathered again.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn nothing_is_due_soon(client: &Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    let with_due = "SELECT table_schema::text FROM information_schema.columns WHERE table_name = 'call' AND column_name = 'due_at'";
    let services = client.query(with_due, &[]).await?;
    let quiet = QUIET.as_secs_f64();
    while begun.elapsed() < DUE_AT_MOST {
        let mut is_due = false;
        for service in &services {
            let sql = format!(
                "SELECT EXISTS (SELECT FROM \"{}\".call WHERE due_at < now() + make_interval(secs => $1))",
                service.get::<_, &str>(0)
            );
            is_due |= client.query_one(&sql, &[&quiet]).await?.get::<_, bool>(0);
        }
        if !is_due {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Checkpoints of live generations are at the heads, and pushed.
async fn folded(client: &Client, heads: &Heads) -> anyhow::Result<()> {
    let sql = "SELECT projection, service, partition, next_offset, pushed FROM read.checkpoint JOIN read.generation USING (projection, generation) WHERE state = 'live'";
    for row in client.query(sql, &[]).await? {
        let (projection, service, partition): (String, String, i32) = (row.get(0), row.get(1), row.get(2));
        let (folded, pushed): (i64, i64) = (row.get(3), row.get(4));
        let head = heads.get(&(service.clone(), partition)).map_or(0, |h| h.0);
        ensure!(
            folded >= head && pushed >= head,
            "{projection}: {service}/{partition} is folded to {folded}, pushed to {pushed} of {head}"
        );
    }
    Ok(())
}

/// Each topic of events has at least as many messages as its log has events.
async fn published(kafka: &str, heads: &Heads) -> anyhow::Result<()> {
    let mut count: BTreeMap<&str, i32> = BTreeMap::new();
    for (service, partition) in heads.keys() {
        let most = count.entry(service).or_default();
        *most = (*most).max(partition + 1);
    }
    for (service, partitions) in count {
        let (kafka, topic) = (kafka.to_owned(), format!("{service}.events"));
        let found = tokio::task::spawn_blocking(move || ends(&kafka, &topic, partitions)).await??;
        for (partition, (first, next)) in (0..).zip(found) {
            let head = heads.get(&(service.to_owned(), partition)).map_or(0, |h| h.0);
            ensure!(next - first >= head, "{service}.events/{partition} has {} messages, the log {head} events", next - first);
        }
    }
    Ok(())
}

async fn look_on(database: String, recorder: Recorder, sightings: Arc<Mutex<Vec<Sighting>>>) {
    let mut client = None;
    loop {
        tokio::time::sleep(EVERY).await;
        // Postgres may be one of the things that are broken just now.
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => connect(&database).await,
        };
        let Ok(connected) = connected else { continue };
        if let Ok(Ok(seen)) = tokio::time::timeout(Duration::from_secs(5), look(&connected)).await {
            let at = recorder.now();
            let seen = seen.into_iter().map(|(what, value)| Sighting { what, at, value });
            sightings.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
            client = Some(connected);
        }
    }
}

async fn look(client: &Client) -> anyhow::Result<Vec<(String, i64)>> {
    let mut seen = Vec::new();
    let mut partitions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for ((service, partition), (next, _)) in heads(client).await? {
        seen.push((format!("log {service}/{partition}"), next));
        partitions.entry(service).or_default().push(partition);
    }
    for (service, partitions) in partitions {
        // Steps into indexes, however long the log and a stream are.
        let sql = format!(
            "SELECT DISTINCT hot.stream_id, newest.version FROM unnest($1::int[]) AS of (partition), \
             LATERAL (SELECT e.stream_id FROM \"{service}\".event e WHERE e.partition = of.partition AND e.\"offset\" < $2) hot, \
             LATERAL (SELECT e.version FROM \"{service}\".event e \
             WHERE e.partition = of.partition AND e.stream_id = hot.stream_id ORDER BY e.version DESC LIMIT 1) newest"
        );
        for row in client.query(&sql, &[&partitions, &FIRST_EVENTS]).await? {
            seen.push((format!("version {service} {}", row.get::<_, String>(0)), row.get(1)));
        }
    }
    let sql = "SELECT projection, generation, service, partition, next_offset FROM read.checkpoint";
    for row in client.query(sql, &[]).await? {
        let (projection, generation, service): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
        let (partition, next): (i32, i64) = (row.get(3), row.get(4));
        seen.push((format!("checkpoint {projection} {generation} {service}/{partition}"), next));
    }
    for Mark { of, next, settled, .. } in reactors(client).await? {
        seen.extend([(format!("reactor {of} next"), next), (format!("reactor {of} settled"), settled)]);
    }
    Ok(seen)
}
