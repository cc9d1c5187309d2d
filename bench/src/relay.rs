//! The relay: how fast it publishes what a log holds, against Kafka alone with the same messages; and the time from a command's answer to its event's
//! arrival at a consumer that is not ours.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use daybook_bus::headers;
use daybook_postgres::Databases;

use crate::commands::{Load, Poster, wait_for_read_models};
use crate::cpu::machine_description;
use crate::filled::{self, Size};
use crate::raw::Raw;
use crate::report::{self, Entries, Entry};
use crate::running::{PARTITIONS, Running, Up, migrate};
use crate::samples::{Client, Measured, Spread, closed_loop, of_times, open_loop};
use crate::{BUSY, STREAMS, WARM_UP};

/// The topics that are looked at: of the services whose logs are filled.
const TOPICS: &str = "catalog.events,inventory.events";
/// The relay and Kafka alone are measured in turn so often.
const ROUNDS: u32 = 3;
/// Times that the raw limit's records wait for company, in milliseconds: the better one counts.
const LINGERS: [u32; 2] = [0, 5];

/// Options of the measurement.
#[derive(Debug, Args)]
pub(crate) struct RelayBench {
    /// The daybook to run.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Events that the relay finds in the log, ten a stream.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
}

/// Commands that were answered: the place of the event, and the time in microseconds since 1970.
type Answers = Arc<Mutex<Vec<(String, u64)>>>;

/// Notes when each of its commands is answered.
struct Noting {
    poster: Poster,
    answers: Answers,
}

impl Client for Noting {
    async fn once(&mut self) -> Result<(), String> {
        self.poster.once().await?;
        let now = now();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((self.poster.token().to_owned(), now));
        Ok(())
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `inventory.events/0:17`, of the token `inventory/0:17@1`: where the event's message says that it belongs.
fn place(token: &str) -> Option<String> {
    let (service, rest) = token.split_once('/')?;
    Some(format!("{service}.events/{}", rest.split_once('@')?.0))
}

/// The consumer that is not ours.
struct Watching(Raw);

impl Watching {
    fn start(brokers: &str) -> anyhow::Result<Self> {
        Ok(Self(Raw::start(&["watch", "--brokers", brokers, "--topics", TOPICS, "--header", headers::OFFSET], None)?))
    }

    /// So many messages, by their places: when each arrived, in microseconds since 1970.
    fn arrived(&mut self, count: u64) -> anyhow::Result<HashMap<String, u64>> {
        let lines = self.0.ask(&count.to_string())?;
        let arrival = |line: &String| {
            let (place, at) = line.split_once(' ').context("a message has a place and a time")?;
            anyhow::Ok((place.to_owned(), at.parse()?))
        };
        lines.iter().map(arrival).collect()
    }
}

/// Measures both, prints, and returns the numbers for programs, and of how many events nothing arrived.
///
/// # Errors
/// When a process does not start, or its work does not come.
pub(crate) async fn run(
    options: &RelayBench,
    (database_url, brokers): (&str, &str),
    length: Duration,
    called: &str,
) -> anyhow::Result<(Entries, u64)> {
    migrate(&options.binary)?;
    let mut watching = Watching::start(brokers)?;
    let AfterAnswers { rate, answers, arrivals, lost } = after_answers(options, &mut watching, length).await?;
    let (mut own, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        crate::progress(&format!("a log of {} events, and its relay", options.events));
        own.push(published(options, database_url, &mut watching, round).await?);
        crate::progress("Kafka alone, the same messages");
        raw.push(same_messages(options, brokers)?);
    }
    let (own, raw) = (Spread::of(&own), Spread::of(&raw));
    println!("{called}\n{}", machine_description());
    println!("{} events published, {ROUNDS} times in turn", options.events);
    let line = |title, rate: Spread| println!("{title:<50}{:>10.0} events/s ({:.0}–{:.0})", rate.value, rate.min, rate.max);
    line("Kafka alone: the same messages there and back", raw);
    line("the relay, from the log", own);
    println!("ratio {:.2}", own.value / raw.value.max(1e-9));
    println!("\nFrom a command's answer to its event at a consumer, {rate:.0} commands/s on a schedule, half of the highest rate");
    println!("{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "", "/s", "", "p50 ms", "p99 ms");
    println!("{:<40}{}", "(the command, until it is answered)", report::line(&answers));
    println!("{:<40}{}", "from there to the event's message", report::line(&arrivals));
    println!("{lost} events did not arrive");
    for (error, count) in &answers.errors {
        println!("FAILED: {count} × {error}");
    }
    let mut entries = Entries::new();
    entries.insert("raw_kafka_same_messages".to_owned(), Entry::new(raw, "events/s", None));
    entries.insert("relay".to_owned(), Entry::new(own, "events/s", Some(raw.value)));
    entries.insert("relay_p50".to_owned(), Entry::new(arrivals.p50, "us", None));
    entries.insert("relay_p99".to_owned(), Entry::new(arrivals.p99, "us", None));
    Ok((entries, lost + answers.failed()))
}

/// Commands on a schedule, and the arrivals of their events.
struct AfterAnswers {
    /// Commands a second: half of the highest rate.
    rate: f64,
    /// From when a command was due to its answer.
    answers: Measured,
    /// From there to the arrival.
    arrivals: Measured,
    /// Events that did not arrive.
    lost: u64,
}

/// With all of Daybook running.
async fn after_answers(options: &RelayBench, watching: &mut Watching, length: Duration) -> anyhow::Result<AfterAnswers> {
    let up = Up::start(&options.binary).await?;
    let (commands, queries) = (up.commands, up.queries);
    let load = Load::on(STREAMS);
    crate::progress("the highest rate");
    while load.posted() < STREAMS {
        closed_loop(load.clients(commands, BUSY.into()), WARM_UP, 1.0).await?;
    }
    let (highest, posters) = closed_loop(load.clients(commands, BUSY.into()), length, 1.0).await?;
    wait_for_read_models(queries, &posters).await?;

    let rate = highest.per_second.value / 2.0;
    crate::progress(&format!("{rate:.0} commands/s on a schedule"));
    let warm = Answers::default();
    let noting = |answers: &Answers| Noting { poster: load.client(commands), answers: answers.clone() };
    open_loop(|| noting(&warm), rate, WARM_UP).await?;
    watching.arrived(load.posted())?;
    let (answers, begun) = (Answers::default(), now());
    let (measured, _) = open_loop(|| noting(&answers), rate, length).await?;
    let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    let arrived = watching.arrived(answers.len() as u64)?;
    drop(up);
    let arrival = |token: &str| arrived.get(&place(token)?).copied();
    // A message may arrive before the answer has been read.
    let times: Vec<_> = answers
        .iter()
        .filter_map(|(token, answered)| Some((answered - begun, arrival(token)?.saturating_sub(*answered))))
        .map(|(at, took)| (Duration::from_micros(at), Duration::from_micros(took)))
        .collect();
    let lost = (answers.len() - times.len()) as u64;
    Ok(AfterAnswers { rate, answers: measured, arrivals: of_times(times, length), lost })
}

/// Fills the logs while nothing runs, and starts the command handlers: events a second, from the first that arrives to the last. Tells when each
/// partition began and ended, for lanes do not begin all at once.
async fn published(options: &RelayBench, database_url: &str, watching: &mut Watching, round: u32) -> anyhow::Result<f64> {
    let size = Size { events: options.events, streams: options.events / 10, partitions: PARTITIONS.cast_unsigned() };
    filled::fill(&Databases::one(database_url), size, &format!("RELAY-{round}")).await?;
    let mut handlers = Command::new(&options.binary);
    handlers.args(["command-handlers", "--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"]);
    handlers.env("DAYBOOK_LOG", "warn");
    let handlers = Running::start("handlers", handlers)?;
    let arrived = watching.arrived(options.events)?;
    drop(handlers);
    anyhow::ensure!(arrived.len() as u64 == options.events, "{} events arrived of {}", arrived.len(), options.events);
    let mut partitions: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (place, at) in &arrived {
        let partition = place.split_once(':').map_or(place.as_str(), |(partition, _)| partition);
        let (first, last) = partitions.entry(partition).or_insert((*at, *at));
        (*first, *last) = ((*first).min(*at), (*last).max(*at));
    }
    let first = partitions.values().map(|(first, _)| *first).min().unwrap_or_default();
    let last = partitions.values().map(|(_, last)| *last).max().unwrap_or_default();
    let each = partitions.iter().map(|(name, (from, to))| format!("{name} {}–{} ms", (from - first) / 1_000, (to - first) / 1_000));
    crate::progress(&each.collect::<Vec<_>>().join(", "));
    Ok(arrived.len() as f64 * 1e6 / (last - first).max(1) as f64)
}

/// Kafka alone with as many of these messages, the better linger.
fn same_messages(options: &RelayBench, brokers: &str) -> anyhow::Result<f64> {
    let last = (options.events / u64::from(2 * PARTITIONS.cast_unsigned())).to_string();
    let mut raw = Raw::start(&["produce", "--brokers", brokers, "--topics", TOPICS, "--last", &last], None)?;
    let mut best = 0.0_f64;
    for linger in LINGERS {
        best = best.max(raw.rate(&linger.to_string())?);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_message_of_its_event() {
        assert_eq!(place("inventory/3:17@2").as_deref(), Some("inventory.events/3:17"));
        assert_eq!(place("none"), None);
    }
}
