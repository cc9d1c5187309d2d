//! Collects what a run left behind, from Postgres, Kafka and the query API as an outsider reads them.

mod kafka;
mod log;
mod read;
mod terms;
mod watch;

pub use kafka::{any_message, committed, ends, held_back};
pub use terms::{STILL, Terms, terms};
pub use watch::{Watch, has_reactor, reacting_from};

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_postgres::{Client, NoTls};

use crate::evidence::{Aside, Evidence, Log, Recovery, Sighting};
use crate::history::Entry;
use crate::shop::Keys;
use crate::workload::{Http, Server};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The owner's URL, straight to Postgres.
    pub database: String,
    /// Kafka.
    pub kafka: String,
    /// Command endpoints.
    pub commands: Vec<Server>,
    /// Query APIs.
    pub queries: Vec<Server>,
    /// Two builds serve, of which one knows less.
    pub two_builds: bool,
    /// Clients place orders.
    pub orders: bool,
    /// Those outside, who tell their books.
    pub outside: Vec<Server>,
    /// The binary, for `replay diff` and `replay verify`.
    pub binary: PathBuf,
}

/// A connection of the owner, driven until it is dropped.
///
/// # Errors
/// When Postgres does not answer within 5 s.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let connecting = tokio_postgres::connect(url, NoTls);
    let (client, connection) = tokio::time::timeout(std::time::Duration::from_secs(5), connecting).await??;
    tokio::spawn(connection);
    Ok(client)
}

/// Everything, when all has caught up.
///
/// # Errors
/// When something can't be read.
pub async fn collect(
    sources: &Sources,
    http: &Http,
    keys: &Keys,
    history: Vec<Entry>,
    sightings: Vec<Sighting>,
    recoveries: Vec<Recovery>,
) -> anyhow::Result<Evidence> {
    let client = connect(&sources.database).await?;
    watch::nothing_is_due_soon(&client).await?;
    let mut gathered = gather(sources, http, keys, &client).await?;
    for _ in 0..AGAIN {
        let Some(service) = log::grown(&client, &gathered.logs).await? else { break };
        println!("    the log of {service} has grown meanwhile: the evidence is gathered again");
        // What is read of Kafka and read models is not of the log that was read before.
        tokio::time::sleep(PAUSE).await;
        gathered = gather(sources, http, keys, &client).await?;
    }
    Ok(Evidence { history, sightings, recoveries, ..gathered })
}

/// Every log as it is now, by service, and what was set aside.
///
/// # Errors
/// When Postgres does not answer.
pub async fn logs(database: &str) -> anyhow::Result<(BTreeMap<String, Log>, Vec<Aside>)> {
    let client = connect(database).await?;
    let logs = log::logs(&client).await?;
    let aside = log::aside(&client, &logs.keys().collect::<Vec<_>>()).await?;
    Ok((logs, aside))
}

/// The scheduler sends what is due at any time: all is read again when something was written meanwhile, so often, after a pause.
const AGAIN: usize = 5;
/// Audits that run at once.
const AT_ONCE: usize = 3;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(10);

/// Everything but what the harness has written down itself.
async fn gather(sources: &Sources, http: &Http, keys: &Keys, client: &Client) -> anyhow::Result<Evidence> {
    let logs = log::logs(client).await?;
    let (mut topics, mut rejected) = (BTreeMap::new(), BTreeMap::new());
    for (service, log) in &logs {
        let read = kafka::topic(&sources.kafka, &format!("{service}.events"), log.partitions, kafka::published);
        topics.insert(service.clone(), tokio::task::spawn_blocking(read).await??);
        let read = kafka::topic(&sources.kafka, &format!("{service}.messages.rejected"), log.partitions, kafka::rejected);
        rejected.insert(service.clone(), tokio::task::spawn_blocking(read).await??.into_values().flatten().collect());
    }
    let services: Vec<&String> = logs.keys().collect();
    let aside = log::aside(client, &services).await?;
    let parts = read::parts(client).await?;
    // Beside each other, for one of them waits most of its time.
    let (served, differences, terms) =
        tokio::try_join!(read::served(http, &sources.queries, keys), audits(sources, parts.keys()), terms::when_quiet(&sources.database))?;
    let (two_builds, reacting_from) = (sources.two_builds, BTreeMap::new());
    Ok(Evidence {
        logs,
        topics,
        rejected,
        parts,
        differences,
        served,
        aside,
        two_builds,
        reacting_from,
        terms,
        orders: sources.orders,
        outside: books(&sources.outside).await?,
        ..Evidence::default()
    })
}

/// The books of those outside, as they tell them.
async fn books(outside: &[Server]) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(10)).build()?;
    let mut books = BTreeMap::new();
    for at in outside {
        let told = client.get(format!("{}/books", at.url)).send().await.with_context(|| format!("the books of {}", at.name))?;
        books.insert(at.name.clone(), told.error_for_status()?.json().await?);
    }
    Ok(books)
}

/// The findings of all of Daybook's own audits, by what they look at.
async fn audits(sources: &Sources, models: impl Iterator<Item = &String>) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let verify = async { anyhow::Ok(("verify".to_owned(), audit(sources, &["replay", "verify", "--kafka"]).await?)) };
    let diffs = models.map(|model| async move { anyhow::Ok((model.clone(), audit(sources, &["replay", "diff", model]).await?)) });
    let diffs = stream::iter(diffs.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect::<BTreeMap<_, _>>();
    let (verify, mut differences) = tokio::try_join!(verify, diffs)?;
    differences.extend([verify]);
    Ok(differences)
}

/// The findings of one of Daybook's own audits: nothing when it exits with 0, else what it printed.
async fn audit(sources: &Sources, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut command = std::process::Command::new(&sources.binary);
    command.args(arguments).env("DAYBOOK_DATABASE_URL", &sources.database).env("DAYBOOK_KAFKA", &sources.kafka);
    command.env("DAYBOOK_LOG", "error").stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("{} can't be run", sources.binary.display()))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = [output.stdout, output.stderr].concat();
    let lines: Vec<String> = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
    Ok(if lines.is_empty() { vec![format!("{} ended with {}", arguments.join(" "), output.status)] } else { lines })
}
