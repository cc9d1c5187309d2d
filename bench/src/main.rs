//! Measures Daybook against raw limits of the same run: Postgres, Kafka and HTTP alone, and then the whole
//! way of a command. `scripts/bench` starts all that it needs.

mod append;
mod batches;
mod beside;
mod checkout;
mod commands;
mod cpu;
mod database;
mod filled;
mod footprint;
mod http;
mod idle;
mod loading;
mod pages;
mod raw;
mod raw_http;
mod raw_kafka;
mod raw_pipeline;
mod raw_postgres;
mod raw_update;
mod reads;
mod rebuild;
mod relay;
mod report;
mod roles;
mod running;
mod samples;
mod search;
mod shop;
mod sse;
mod staleness;
mod verify;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use daybook_postgres::connect_owner;

use crate::commands::{Load, Poster, wait_for_read_models, wait_until_ready};
use crate::cpu::Processes;
use crate::footprint::{Footprint, Sizes};
use crate::raw_pipeline::Limit;
use crate::raw_postgres::OwnLog;
use crate::report::{Entries, Limits, Report, Whole};
use crate::samples::{Measured, closed_loop, open_loop};

/// Daybook's own: code measured in this process runs as it does there, and raw HTTP is served no worse.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of streams that the commands are spread over.
const STREAMS: u64 = 10_000;
/// Time that a loop runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Clients that touch every stream once, so that all are in memory; and those of a busy hour, on many streams and on one.
const BUSY: u16 = 256;

/// Measures a running Daybook, and the Postgres, Kafka and HTTP below it.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// The command endpoint, ADDR:PORT.
    #[arg(long, default_value = "127.0.0.1:8080")]
    commands: SocketAddr,
    /// The query API, ADDR:PORT.
    #[arg(long, default_value = "127.0.0.1:8081")]
    queries: SocketAddr,
    /// Daybook's database, as its owner; the raw limits get a database of their own beside it.
    #[arg(long, env = "DAYBOOK_DATABASE_URL", hide_env_values = true, default_value = "")]
    database_url: String,
    /// Kafka's address.
    #[arg(long, env = "DAYBOOK_KAFKA", default_value = "")]
    brokers: String,
    /// Length of each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Clients of the closed loops.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// Clients of one more measurement; 0 leaves it out.
    #[arg(long, default_value_t = 512)]
    many_clients: u16,
    /// File for the numbers for programs.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Processes whose CPU time is reported.
    #[arg(long, value_name = "PID")]
    daybook_pid: Option<u32>,
    /// See above.
    #[arg(long, value_name = "PID")]
    postgres_pid: Option<u32>,
    /// See above.
    #[arg(long, value_name = "PID")]
    kafka_pid: Option<u32>,
    /// The services' data folder, to see a command's bytes in Kafka's files.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The call, for the report.
    #[arg(long, value_name = "TEXT", default_value = "daybook-bench")]
    called: String,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Rebuilds a read model of a log that it makes, in a database of its own beside --database-url.
    Rebuild(rebuild::RebuildBench),
    /// Verifies a log that it makes, in a database of its own beside --database-url.
    Verify(verify::Verify),
    /// The CPU time of a shop that nobody visits; starts and stops it itself.
    Idle(idle::Idle),
    /// How fast the relay publishes, and how soon; starts and stops the processes itself.
    Relay(relay::RelayBench),
    /// Writes a projector's batches in two ways, and catches up in batches of several sizes, in a database of its own.
    Batches {
        #[command(flatten)]
        options: batches::Batches,
        /// Numbers for programs.
        #[arg(long)]
        as_json: bool,
    },
    /// The cost of a command, role by role; starts and stops the processes itself.
    Roles(roles::RolesBench),
    /// The time from checkout to the confirmed order, hop by hop; starts and stops the processes itself.
    Checkout(checkout::Checkout),
    /// Keeps up the shop's read models, and copies of them under other names, until it is killed.
    #[command(hide = true)]
    Project,
    /// Serves static answers until its standard input ends.
    #[command(hide = true)]
    Static,
    /// Judges the results of searching, and measures how fast it is.
    Search(search::Search),
    /// Makes a catalogue of any size from a real one.
    Products(search::Products),
    /// Measurements of reading, of a running Daybook.
    #[command(flatten)]
    Reading(Reading),
    /// Only posts commands, for other tools to look on.
    Load {
        /// The command endpoint, ADDR:PORT.
        #[arg(long, default_value = "127.0.0.1:8080")]
        commands: SocketAddr,
        /// Seconds to post for.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Clients that post at once.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Streams that they post to.
        #[arg(long, default_value_t = STREAMS, value_parser = clap::value_parser!(u64).range(1..))]
        streams: u64,
        /// Names the streams: those of an earlier load of that name, else new ones.
        #[arg(long, value_name = "NAME")]
        run: Option<String>,
    },
}

/// The measurements of the read side, and of loading.
#[derive(Clone, Debug, Subcommand)]
enum Reading {
    /// Product pages from memory, against axum serving the same bytes.
    Pages,
    /// Readers with tokens while products change, and the faults that they must never see.
    Reads {
        /// Changes a second.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
    },
    /// Commands alone, and beside rebuilds.
    Beside {
        /// The binary that rebuilds.
        #[arg(long, value_name = "PATH", default_value = "daybook")]
        binary: PathBuf,
        /// Events a second that a rebuild may read.
        #[arg(long, value_name = "N")]
        rate: Option<u64>,
    },
    /// A catalogue file, against clients that post one command after the other.
    Loading(loading::Loading),
    /// The time from a command's answer to the bytes that show its change, asked for and pushed.
    Staleness {
        /// Changes a second.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
    },
    /// Subscribers of live queries, over real sockets.
    Sse {
        /// Number of subscribers.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        subscribers: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    match options.role {
        Some(Role::Static) => {
            raw_http::serve().await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Project) => {
            roles::project(&options.database_url, &options.brokers).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Roles(ref what)) => {
            let (entries, failed) = roles::run(what, &services(&options)).await?;
            return finish(&options, &entries, failed);
        }
        Some(Role::Idle(ref what)) => {
            let entries = idle::run(what, &services(&options)).await?;
            return finish(&options, &entries, 0);
        }
        Some(Role::Verify(ref what)) => {
            let entries = verify::run(what, &options.database_url, options.postgres_pid).await?;
            return finish(&options, &entries, 0);
        }
        Some(Role::Relay(ref what)) => {
            let (entries, failed) = relay::run(what, (&options.database_url, &options.brokers), length(&options), &options.called).await?;
            return finish(&options, &entries, failed);
        }
        Some(Role::Checkout(ref what)) => {
            let entries = checkout::run(what, (&options.database_url, &options.brokers), &options.called).await?;
            return finish(&options, &entries, 0);
        }
        Some(Role::Search(ref search)) => {
            if search.http {
                search::serve(search, &options.database_url, &options.brokers).await?;
            } else {
                search::search(search)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Products(ref products)) => {
            search::products(products)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Rebuild(ref what)) => {
            let entries = rebuild::run(what, &options.database_url, options.postgres_pid).await?;
            return finish(&options, &entries, 0);
        }
        Some(Role::Batches { options: ref what, as_json }) => {
            batches::run(what, &options.database_url, options.postgres_pid, as_json).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Role::Load { commands, seconds, clients, streams, ref run }) => {
            let load = run.as_ref().map_or_else(|| Load::on(streams), |run| Load::again(run, streams));
            let posters = load.clients(commands, clients);
            let (measured, _) = closed_loop(posters, Duration::from_secs(seconds), 1.0).await?;
            println!("{}", report::line(&measured));
            return Ok(if measured.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Some(Role::Reading(ref reading)) => {
            let (entries, failed) = measure_reading(&options, reading).await?;
            return finish(&options, &entries, failed);
        }
        None => {}
    }
    let report = measure(&options).await?;
    print!("{}", report.table());
    finish(&options, &report.entries(), report.failed())
}

fn finish(options: &Options, entries: &Entries, failed: u64) -> anyhow::Result<ExitCode> {
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(entries)? + "\n";
        std::fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn services(options: &Options) -> roles::Services<'_> {
    let Options { database_url, postgres_pid, kafka_pid, .. } = options;
    roles::Services { database_url, postgres_pid: *postgres_pid, kafka_pid: *kafka_pid, length: length(options) }
}

async fn measure_reading(options: &Options, what: &Reading) -> anyhow::Result<(Entries, u64)> {
    wait_until_ready(options.commands).await?;
    wait_until_ready(options.queries).await?;
    println!("{}\n{}", options.called, cpu::machine_description());
    let (length, clients) = (Duration::from_secs(options.seconds), options.clients);
    let (commands, queries, daybook_pid) = (options.commands, options.queries, options.daybook_pid);
    match *what {
        Reading::Pages => pages::run(&pages::Places { commands, queries, daybook_pid }, clients.into(), length).await,
        Reading::Reads { rate } => reads::run(commands, queries, clients.into(), rate, length).await,
        Reading::Beside { ref binary, rate } => beside::run(commands, queries, binary, rate, length).await,
        Reading::Loading(ref what) => loading::run(commands, queries, what, clients.into(), length, &whole_way(options)).await,
        Reading::Staleness { rate } => staleness::run(commands, queries, rate, length).await,
        Reading::Sse { subscribers } => sse::run(commands, queries, daybook_pid, subscribers).await,
    }
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    wait_until_ready(options.commands).await?;
    wait_until_ready(options.queries).await?;
    let at: BTreeSet<usize> = [1, options.clients, BUSY, options.many_clients].map(usize::from).into_iter().filter(|n| *n > 0).collect();
    let limits = limits(options, &at).await?;
    let way = WholeWay::new(options).await?;
    let (load, one) = (Load::on(STREAMS), Load::on(1));
    let mut whole = Vec::new();
    for clients in at {
        let (name, title) = match clients {
            1 => ("alone".to_owned(), "1 client, 10,000 streams".to_owned()),
            n => (format!("whole_way_{n}"), format!("{n} clients, 10,000 streams")),
        };
        let limit = limits.pipeline.get(&clients).cloned();
        whole.push(way.measure(&name, &title, &load, Pace::Closed(clients), limit).await?);
    }
    // Of these streams: one alone is faster, and its rate is too much for them.
    let highest = whole.iter().map(|whole| whole.measured.per_second.value).fold(0.0, f64::max);
    let busy = usize::from(BUSY);
    whole.push(way.measure(report::HOT_STREAM, &format!("{busy} clients, one stream"), &one, Pace::Closed(busy), None).await?);
    let shares = [("latency_quarter", "¼"), ("latency_half", "½")];
    let rates = [highest / 4.0, highest / 2.0];
    progress("the bare pipeline at a quarter and at half of the highest rate");
    let raw = raw_pipeline::at_rates(&options.database_url, &options.brokers, limits.partitions, &rates, length(options)).await?;
    for (((name, share), rate), limit) in shares.into_iter().zip(rates).zip(raw) {
        let title = format!("{rate:.0}/s on a schedule, {share} of the highest rate");
        whole.push(way.measure(name, &title, &load, Pace::Open(rate), Some(limit)).await?);
    }
    let clients = usize::from(options.clients);
    Ok(Report { command: options.called.clone(), machine: cpu::machine_description(), clients, seconds: options.seconds, limits, whole })
}

async fn limits(options: &Options, at: &BTreeSet<usize>) -> anyhow::Result<Limits> {
    let length = length(options);
    let clients = usize::from(options.clients);
    let database = OwnLog::new(&options.database_url).await?;
    progress("Postgres: pages of 1 command");
    let page = warm(vec![database.pages(1, raw_postgres::PAYLOAD).await?], length, 1.0).await?;
    progress("Postgres: pages of 100 commands");
    let pages = warm(vec![database.pages(100, raw_postgres::PAYLOAD).await?], length, 100.0).await?;
    database.drop().await?;

    progress("Postgres: pages of 1,000 events of 300 bytes, and COPY of the same rows");
    let append = append::run(&options.database_url, length).await?;

    progress("Kafka: a lone message");
    let round_trip = raw_kafka::there_and_back(&options.brokers, 0, 1, length)?;
    progress(&format!("Kafka: {clients} clients"));
    let (mut round_trips, mut linger_ms) = (Measured::default(), 0);
    for linger in [0, 1] {
        let measured = raw_kafka::there_and_back(&options.brokers, linger, clients, length)?;
        if measured.per_second.value > round_trips.per_second.value {
            (round_trips, linger_ms) = (measured, linger);
        }
    }

    progress(&format!("HTTP: static answers to {clients} clients"));
    let server = raw_http::start(&[])?;
    let processes = Processes(vec![("server", server.pid()), ("bench", std::process::id())]);
    let (_, posters) = closed_loop(Load::on(STREAMS).clients(server.address, clients), WARM_UP, 1.0).await?;
    let before = processes.used();
    let (http, _) = closed_loop(posters, length, 1.0).await?;
    let http_used = processes.used().since(&before);
    drop(server);

    progress("the bare pipeline");
    let partitions = partitions(&options.database_url).await?;
    let clients: Vec<usize> = at.iter().copied().collect();
    let pipeline = raw_pipeline::run(&options.database_url, &options.brokers, partitions, &clients, length).await?;
    Ok(Limits { page, pages, append, round_trip, round_trips, linger_ms, http, http_used, pipeline, partitions })
}

fn length(options: &Options) -> Duration {
    Duration::from_secs(options.seconds)
}

/// The number of partitions of the log that commands are posted to.
async fn partitions(database_url: &str) -> anyhow::Result<i32> {
    let row = connect_owner(database_url).await?.query_one("SELECT partitions FROM inventory.log", &[]).await;
    Ok(row.context("the log of inventory can't be read")?.get(0))
}

async fn warm<C: samples::Client>(clients: Vec<C>, length: Duration, weight: f64) -> anyhow::Result<Measured> {
    let (_, clients) = closed_loop(clients, WARM_UP, weight).await?;
    Ok(closed_loop(clients, length, weight).await?.0)
}

/// The processes that a command goes through, and this one.
fn whole_way(options: &Options) -> Processes {
    let pids = [("daybook", options.daybook_pid), ("postgres", options.postgres_pid), ("kafka", options.kafka_pid)];
    let mut processes: Vec<_> = pids.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect();
    processes.push(("bench", std::process::id()));
    Processes(processes)
}

/// The pace at which commands are posted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// By so many clients, each one after the other.
    Closed(usize),
    /// So many a second, on a schedule.
    Open(f64),
}

/// Measures commands from a client to its answer.
struct WholeWay<'a> {
    options: &'a Options,
    processes: Processes,
    footprint: Footprint,
}

impl<'a> WholeWay<'a> {
    async fn new(options: &'a Options) -> anyhow::Result<Self> {
        let footprint = Footprint::new(&options.database_url, options.data_dir.as_deref()).await?;
        Ok(Self { options, processes: whole_way(options), footprint })
    }

    /// Lets clients post in a loop.
    async fn post(&self, load: &Arc<Load>, pace: Pace, length: Duration) -> anyhow::Result<(Measured, Vec<Poster>)> {
        let address = self.options.commands;
        match pace {
            Pace::Closed(clients) => closed_loop(load.clients(address, clients), length, 1.0).await,
            Pace::Open(rate) => open_loop(|| load.client(address), rate, length).await,
        }
    }

    async fn measure(&self, name: &str, title: &str, load: &Arc<Load>, pace: Pace, limit: Option<Limit>) -> anyhow::Result<Whole> {
        progress(&format!("the whole way: {title}"));
        // Streams that were never touched are read first: that is a measurement of its own.
        while load.posted() < STREAMS {
            self.post(load, Pace::Closed(BUSY.into()), WARM_UP).await?;
        }
        let (_, posters) = self.post(load, pace, WARM_UP).await?;
        wait_for_read_models(self.options.queries, &posters).await?;

        self.footprint.reset().await?;
        let (sizes, used, begun) = (self.footprint.sizes().await?, self.processes.used(), Instant::now());
        let (measured, posters) = self.post(load, pace, length(self.options)).await?;
        let behind = wait_for_read_models(self.options.queries, &posters).await?;
        let (used, seconds) = (self.processes.used().since(&used), begun.elapsed().as_secs_f64());
        Ok(Whole {
            name: name.to_owned(),
            title: title.to_owned(),
            pace,
            measured,
            limit,
            used,
            seconds,
            behind_ms: behind.as_secs_f64() * 1e3,
            statements: self.footprint.statements().await?,
            bytes: grown(&sizes, &self.footprint.sizes().await?),
        })
    }
}

/// Growth, the most first.
fn grown(before: &Sizes, after: &Sizes) -> Vec<(String, f64)> {
    let topics = after.topics.iter().map(|(topic, bytes)| (topic, bytes.saturating_sub(*before.topics.get(topic).unwrap_or(&0))));
    let mut grown: Vec<_> = topics.filter(|(_, bytes)| *bytes > 1_000).map(|(topic, bytes)| (topic.clone(), bytes as f64)).collect();
    grown.push(("Postgres".to_owned(), (after.database - before.database).max(0) as f64));
    grown.sort_by(|a, b| b.1.total_cmp(&a.1));
    grown.truncate(6);
    grown
}

/// Tells whoever waits what is measured now.
pub(crate) fn progress(what: &str) {
    eprintln!("    {what}");
}
