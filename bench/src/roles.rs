//! The cost of a command, role by role: command handlers alone, then beside read models, and all in one process.
//!
//! Each arrangement of processes runs by itself on the same log, and is measured with several numbers of clients: commands a second, CPU
//! of each process, requests that the broker answered, statements and flushes of Postgres. And the time of a reactor's hop.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use daybook_bus::BusConfig;
use daybook_kernel::ReadModel;
use daybook_postgres::Databases;
use daybook_process::shutdown;
use daybook_projections::{Projectors, ProjectorsConfig, prepare};

use crate::BUSY;
use crate::commands::{Load, wait_until_ready};
use crate::cpu::{Processes, machine_description, rdkafka_clients, thread_count};
use crate::footprint::Footprint;
use crate::http::Connection;
use crate::raw_update::microseconds_a_row;
use crate::report::{Entries, Entry, constant};
use crate::running::{Running, free_address, migrate};
use crate::samples::{Measured, Spread, closed_loop, percentile};

/// Streams that the commands are spread over.
const STREAMS: u64 = 10_000;
/// Runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// An address on any free port, for what nobody asks.
const ANY: &str = "127.0.0.1:0";
/// Read models that [`project`] keeps up beside the shop's own, to show the cost of a further one.
const FURTHER: usize = 12;
/// Number of measurements of a reactor's hop, and the pause between two.
const HOPS: usize = 200;
const BETWEEN_HOPS: Duration = Duration::from_millis(20);
/// Longest time for read models to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Options of `daybook-bench roles`.
#[derive(Debug, Args)]
pub(crate) struct RolesBench {
    /// The daybook to run.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256, 512])]
    at: Vec<usize>,
    /// The file that counts the broker's requests.
    #[arg(long, value_name = "FILE")]
    counter: Option<PathBuf>,
}

/// A process that an arrangement runs.
#[derive(Clone, Copy)]
enum Role {
    CommandHandlers,
    /// Of all read models, or of one.
    Projectors(Option<&'static str>),
    /// Of the shop's read models and [`FURTHER`] more: [`project`].
    MoreReadModels,
    Up,
}

/// Arrangements: a short name for programs, one for people, and the processes.
const ARRANGEMENTS: [(&str, &str, &[Role]); 5] = [
    ("handlers", "command-handlers alone", &[Role::CommandHandlers]),
    ("product_pages", "… and product-pages", &[Role::CommandHandlers, Role::Projectors(Some("product-pages"))]),
    ("read_models", "… and all read models", &[Role::CommandHandlers, Role::Projectors(None)]),
    ("more", "… and twelve more read models", &[Role::CommandHandlers, Role::MoreReadModels]),
    ("up", "daybook up (query API too)", &[Role::Up]),
];

impl Role {
    fn start(self, binary: &Path, commands: SocketAddr) -> anyhow::Result<Running> {
        let commands = commands.to_string();
        let (name, arguments) = match self {
            Self::CommandHandlers => ("handlers", vec!["command-handlers", "--listen", &commands]),
            Self::Projectors(None) => ("projectors", vec!["projectors"]),
            Self::Projectors(Some(which)) => ("projectors", vec!["projectors", "--projections", which]),
            Self::MoreReadModels => ("projectors", vec!["project"]),
            Self::Up => ("up", vec!["up", "--commands-listen", &commands, "--queries-listen", ANY]),
        };
        let own = std::env::current_exe()?;
        let mut command = Command::new(if matches!(self, Self::MoreReadModels) { &own } else { binary });
        command.args(arguments).env("DAYBOOK_OPERATIONS_LISTEN", ANY);
        Running::start(name, command)
    }

    /// The read models that it keeps up; none: it keeps up none.
    fn keeps_up(self) -> Option<Vec<&'static str>> {
        let all = || shop_projectors::read_models().iter().map(|model| model.name).collect();
        match self {
            Self::CommandHandlers => None,
            Self::Projectors(Some(which)) => Some(vec![which]),
            Self::Projectors(None) | Self::Up => Some(all()),
            Self::MoreReadModels => Some(with_more().iter().map(|model| model.name).collect()),
        }
    }
}

/// The shop's read models, and [`FURTHER`] more: copies under other names of those that each command of the load changes.
fn with_more() -> Vec<ReadModel> {
    let mut models = shop_projectors::read_models();
    let copied: Vec<ReadModel> = models.iter().filter(|model| ["product-pages", "stock-levels"].contains(&model.name)).cloned().collect();
    let copies = copied.iter().cycle().take(FURTHER).enumerate().map(|(n, model)| {
        let name = String::leak(format!("{}-{}", model.name, n + 2));
        ReadModel { name, rows: None, ..model.clone() }
    });
    models.extend(copies);
    models
}

/// Keeps up [`with_more`] until it is told to end, as `daybook projectors` would do in a shop that has them.
///
/// # Errors
/// When a database or Kafka can't be reached.
pub(crate) async fn project(database_url: &str, brokers: &str) -> anyhow::Result<()> {
    let (databases, bus, models) = (Databases::one(database_url), BusConfig::new(brokers), with_more());
    prepare(&databases, &bus, &models).await?;
    let (stop, stopped) = shutdown();
    let projectors = Projectors::start(ProjectorsConfig::new(databases, bus, models), stopped).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    terminate.recv().await;
    stop.send_replace(true);
    projectors.stopped().await;
    Ok(())
}

/// One measurement.
struct Row {
    arrangement: &'static str,
    title: &'static str,
    clients: usize,
    measured: Measured,
    /// µs of CPU a command, by process.
    cpu: Vec<(&'static str, f64)>,
    /// Requests that the broker answered, a command; none where they can't be counted.
    requests: Option<f64>,
    statements: f64,
    flushes: f64,
    behind_ms: f64,
}

impl Row {
    /// µs of CPU a command, of all processes but the clients'.
    fn cpu_of_all(&self) -> f64 {
        self.cpu.iter().filter(|(name, _)| *name != "bench").map(|(_, us)| us).sum()
    }
}

/// The measured services.
pub(crate) struct Services<'a> {
    pub(crate) database_url: &'a str,
    pub(crate) postgres_pid: Option<u32>,
    pub(crate) kafka_pid: Option<u32>,
    /// Of each measurement.
    pub(crate) length: Duration,
}

impl Services<'_> {
    /// Requests that the broker has answered, by their kind; none where they can't be counted.
    pub(crate) fn requests(&self, counter: Option<&Path>) -> Option<BTreeMap<String, u64>> {
        let (pid, counter) = (self.kafka_pid?, counter?);
        let output = Command::new("java").arg(counter).arg(pid.to_string()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        let kinds = text.lines().filter_map(|line| line.rsplit_once(' '));
        Some(kinds.filter_map(|(kind, count)| Some((kind.to_owned(), count.parse().ok()?))).collect())
    }
}

/// Measures all arrangements, prints, and returns the numbers for programs.
///
/// # Errors
/// When a process does not start, or its work does not come.
pub(crate) async fn run(options: &RolesBench, services: &Services<'_>) -> anyhow::Result<(Entries, u64)> {
    migrate(&options.binary)?;
    let footprint = Footprint::new(services.database_url, None).await?;
    let bench = Bench { options, services, footprint, load: Load::on(STREAMS) };
    let (mut rows, mut shapes, mut hops) = (Vec::new(), Vec::new(), None);
    for (name, title, roles) in ARRANGEMENTS {
        eprintln!("    {title}");
        let arrangement = bench.start(name, title, roles).await?;
        for clients in &options.at {
            rows.push(bench.measure(&arrangement, *clients).await?);
        }
        shapes.push((title, arrangement.shape()));
        if matches!(roles, [Role::Up]) {
            hops = Some(hop(&bench.footprint, arrangement.commands).await?);
        }
    }
    let raw = microseconds_a_row(services.database_url).await?;
    print!("{}", table(services.length, &rows, &shapes, hops));
    print!("{}", further(&rows, &raw));
    let failed = rows.iter().map(|row| row.measured.failed()).sum();
    let mut entries = entries(&rows, hops);
    for (size, us) in raw {
        entries.insert(format!("raw_update_{size}"), Entry::new(constant(us), "us/row", None));
    }
    Ok((entries, failed))
}

/// Processes that run together.
struct Arrangement {
    name: &'static str,
    title: &'static str,
    running: Vec<Running>,
    /// Of the command endpoint.
    commands: SocketAddr,
    /// The read models that are kept up; none: no process does.
    kept_up: Option<Vec<&'static str>>,
}

impl Arrangement {
    /// Threads and clients of Kafka, of each process.
    fn shape(&self) -> String {
        let one = |r: &Running| {
            let pid = r.pid();
            format!("{} {} threads, {} of Kafka's clients", r.name, thread_count(pid), rdkafka_clients(pid))
        };
        self.running.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// All that measurements share.
struct Bench<'a> {
    options: &'a RolesBench,
    services: &'a Services<'a>,
    footprint: Footprint,
    load: Arc<Load>,
}

impl Bench<'_> {
    async fn start(&self, name: &'static str, title: &'static str, roles: &[Role]) -> anyhow::Result<Arrangement> {
        let commands = free_address()?;
        let running = roles.iter().map(|role| role.start(&self.options.binary, commands)).collect::<anyhow::Result<Vec<_>>>()?;
        wait_until_ready(commands).await?;
        while self.load.posted() < STREAMS {
            closed_loop(self.load.clients(commands, BUSY.into()), WARM_UP, 1.0).await?;
        }
        let kept_up = roles.iter().find_map(|role| role.keeps_up());
        Ok(Arrangement { name, title, running, commands, kept_up })
    }

    async fn measure(&self, at: &Arrangement, clients: usize) -> anyhow::Result<Row> {
        let Self { options, services, footprint, load } = self;
        let (_, posters) = closed_loop(load.clients(at.commands, clients), WARM_UP, 1.0).await?;
        caught_up(footprint, at.kept_up.as_deref()).await?;
        let mut all: Vec<(&'static str, u32)> = at.running.iter().map(|r| (r.name, r.pid())).collect();
        all.extend(services.postgres_pid.map(|pid| ("postgres", pid)));
        all.extend(services.kafka_pid.map(|pid| ("kafka", pid)));
        all.push(("bench", std::process::id()));
        let all = Processes(all);
        footprint.reset().await?;
        let requests = || Some(services.requests(options.counter.as_deref())?.values().sum::<u64>());
        let (before, flushes) = (requests(), footprint.flushes().await?);
        let used = all.used();
        let (measured, _) = closed_loop(posters, services.length, 1.0).await?;
        let behind = caught_up(footprint, at.kept_up.as_deref()).await?;
        let used = all.used().since(&used);
        let done = measured.done.max(1) as f64;
        let requests = before.zip(requests()).map(|(before, after)| (after - before) as f64 / done);
        let flushes = (footprint.flushes().await? - flushes) as f64 / done;
        let statements = footprint.statements().await?.iter().map(|s| s.calls as f64).sum::<f64>() / done;
        let cpu = used.processes.iter().map(|(name, us)| (*name, us / done)).collect();
        let (arrangement, title, behind_ms) = (at.name, at.title, behind.as_secs_f64() * 1e3);
        Ok(Row { arrangement, title, clients, measured, cpu, requests, statements, flushes, behind_ms })
    }
}

/// Waits until these read models hold all of the log, and returns the time that it took.
async fn caught_up(footprint: &Footprint, models: Option<&[&'static str]>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let Some(models) = models else { return Ok(Duration::ZERO) };
    while footprint.behind(models).await? > 0 {
        if begun.elapsed() > PATIENCE {
            bail!("read models have not caught up after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed())
}

/// A reactor's hop, alone: stocks that fall below their reorder point, one after the other.
async fn hop(footprint: &Footprint, commands: SocketAddr) -> anyhow::Result<(Spread, Spread)> {
    let run = &uuid::Uuid::new_v4().simple().to_string()[..12];
    let mut connection = Connection::new(commands);
    for n in 0..HOPS {
        let steps = [
            ("receive-stock", "\"quantity\":10"),
            ("set-reorder-point", "\"reorderPoint\":5"),
            ("adjust-stock", "\"delta\":-8,\"reason\":\"a hop\""),
        ];
        for (command, field) in steps {
            let body = format!(r#"{{"sku":"{run}-{n}","warehouse":"w-1",{field}}}"#);
            let request = format!(
                "POST /v1/inventory/{command} HTTP/1.1\r\nHost: daybook\r\nContent-Type: application/json\r\nIdempotency-Key: {command}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = connection.send(request.as_bytes()).await?;
            if answer.status != 200 {
                bail!("{command} was answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
            }
        }
        tokio::time::sleep(BETWEEN_HOPS).await;
    }
    let begun = Instant::now();
    loop {
        let mut hops = footprint.hops(&format!("reorder/{run}-%")).await?;
        if hops.len() >= HOPS {
            hops.sort_unstable();
            return Ok((constant(percentile(&hops, 50)), constant(percentile(&hops, 99))));
        }
        if begun.elapsed() > PATIENCE {
            bail!("{} of {HOPS} stocks have a proposal after {} s", hops.len(), PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The cost of a further read model, beside the least that Postgres needs for the rows that it writes.
fn further(rows: &[Row], raw: &[(usize, f64)]) -> String {
    let mut out = String::new();
    let of = |arrangement: &str, clients: usize| rows.iter().find(|row| row.arrangement == arrangement && row.clients == clients);
    for more in rows.iter().filter(|row| row.arrangement == "more") {
        let Some(all) = of("read_models", more.clients) else { continue };
        let each = (more.cpu_of_all() - all.cpu_of_all()) / FURTHER as f64;
        let _ = writeln!(
            out,
            "{} clients: a further read model, which writes a row for each command, costs {each:.1} µs a command",
            more.clients
        );
    }
    for (size, us) in raw {
        let _ = writeln!(out, "raw limit: Postgres updates one row in {us:.1} µs of CPU, {size} by one statement, logged and flushed");
    }
    out
}

/// The row of command handlers alone with as many clients.
fn alone<'a>(rows: &'a [Row], row: &Row) -> Option<&'a Row> {
    rows.iter().find(|other| other.arrangement == ARRANGEMENTS[0].0 && other.clients == row.clients)
}

fn entries(rows: &[Row], hops: Option<(Spread, Spread)>) -> Entries {
    let mut entries = Entries::new();
    for row in rows {
        let (name, alone) = (format!("{}_{}", row.arrangement, row.clients), alone(rows, row));
        entries.insert(name.clone(), Entry::new(row.measured.per_second, "commands/s", alone.map(|r| r.measured.per_second.value)));
        entries.insert(format!("{name}_p50"), Entry::new(row.measured.p50, "us", alone.map(|r| r.measured.p50.value)));
        entries.insert(format!("{name}_cpu"), Entry::new(constant(row.cpu_of_all()), "us/command", alone.map(Row::cpu_of_all)));
        for (process, us) in &row.cpu {
            entries.insert(format!("{name}_cpu_{process}"), Entry::new(constant(*us), "us/command", None));
        }
        if let Some(requests) = row.requests {
            entries.insert(format!("{name}_requests"), Entry::new(constant(requests), "requests/command", None));
        }
        entries.insert(format!("{name}_statements"), Entry::new(constant(row.statements), "statements/command", None));
        entries.insert(format!("{name}_flushes"), Entry::new(constant(row.flushes), "flushes/command", None));
    }
    if let Some((p50, p99)) = hops {
        entries.insert("hop_p50".into(), Entry::new(p50, "us", None));
        entries.insert("hop_p99".into(), Entry::new(p99, "us", None));
    }
    entries
}

fn table(length: Duration, rows: &[Row], shapes: &[(&'static str, String)], hops: Option<(Spread, Spread)>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}; {} s each\n", machine_description(), length.as_secs());
    for (title, shape) in shapes {
        let _ = writeln!(out, "{title:<30}{shape}");
    }
    let _ = writeln!(
        out,
        "\n{:<30}{:>8}{:>9}{:>8}{:>9}{:>9}{:>10}{:>9}{:>8}{:>8}  CPU by process, µs a command",
        "", "clients", "/s", "÷alone", "p50 ms", "CPU µs", "− alone", "requests", "stmts", "flushes"
    );
    for row in rows {
        let alone = alone(rows, row);
        let ratio = alone.map_or(1.0, |alone| row.measured.per_second.value / alone.measured.per_second.value.max(1e-9));
        let more = alone.map_or(0.0, |alone| row.cpu_of_all() - alone.cpu_of_all());
        let requests = row.requests.map_or_else(|| "?".to_owned(), |requests| format!("{requests:.2}"));
        let each: Vec<String> = row.cpu.iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
        let _ = writeln!(
            out,
            "{:<30}{:>8}{:>9.0}{ratio:>8.2}{:>9.2}{:>9.0}{more:>10.0}{requests:>9}{:>8.2}{:>8.3}  {}  behind {:.0} ms",
            row.title,
            row.clients,
            row.measured.per_second.value,
            row.measured.p50.value / 1e3,
            row.cpu_of_all(),
            row.statements,
            row.flushes,
            each.join(", "),
            row.behind_ms,
        );
    }
    if let Some((p50, p99)) = hops {
        let _ = writeln!(
            out,
            "\na reactor's hop, alone, from the event's page to the page of its command: p50 {:.2} ms, p99 {:.2} ms",
            p50.value / 1e3,
            p99.value / 1e3
        );
    }
    let _ = writeln!(
        out,
        "(CPU: all processes but the clients'. requests: answered by the broker, by its own counters; ? where they can't be read. − alone: more than command handlers alone)"
    );
    for row in rows {
        for (error, count) in &row.measured.errors {
            let _ = writeln!(out, "FAILED: {}, {} clients: {count} × {error}", row.title, row.clients);
        }
    }
    out
}
