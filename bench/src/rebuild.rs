//! Rebuilding a read model, against Postgres alone as it sends the same log.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use daybook_postgres::{Databases, connect_owner};
use daybook_projections::lifecycle::{Building, known_generations};
use daybook_projections::rebuild::{Filled, RebuildOptions};
use daybook_replay::{DiffOptions, diff};
use shop_projectors::read_models;

use crate::cpu::{self, Processes};
use crate::database::in_its_own_database;
use crate::filled::{self, SERVICES, Size};
use crate::raw::Raw;
use crate::report::{Entries, Entry, constant};

pub(crate) const MODEL: &str = "product-pages";
/// Columns that a projection reads; the same ones in the same form are one of the limits.
const COLUMNS: &str = r#""offset", stream_id, version, type, payload, recorded_at"#;

/// Options of the measurement.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RebuildBench {
    /// Events, of products and of stock in equal shares.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Streams that they are of.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2..))]
    streams: u64,
    /// Partitions of each log.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    partitions: u32,
    /// Partitions that are read at once; as many as there are cores when it is not given.
    #[arg(long)]
    at_once: Option<usize>,
    /// MiB of views that may be in memory.
    #[arg(long, default_value_t = 512)]
    memory: usize,
    /// Runs of each measurement; the best counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Fills a log, measures, prints, and drops the database again. Returns the numbers for programs.
///
/// # Errors
/// When the server can't be reached, or the user may not create databases.
pub(crate) async fn run(options: &RebuildBench, database_url: &str, postgres_pid: Option<u32>) -> anyhow::Result<Entries> {
    let processes = Processes::ours_and_postgres(postgres_pid);
    in_its_own_database(database_url, async |url| measure(options, url, &processes).await).await
}

async fn measure(options: &RebuildBench, url: &str, processes: &Processes) -> anyhow::Result<Entries> {
    let databases = filled::make(url, Size { events: options.events, streams: options.streams, partitions: options.partitions }).await?;
    let defaults = RebuildOptions::default();
    let rebuild = RebuildOptions { memory: options.memory << 20, at_once: options.at_once.unwrap_or(defaults.at_once), ..defaults };
    let mut raw = Raw::start(&["copy-out", "--at-once", &rebuild.at_once.to_string()], Some(url))?;
    let copied = copied(options.partitions);
    // The best rates of the raw limits, and of a rebuild.
    let (mut limits, mut best, mut rebuilt): ([f64; 3], f64, Option<Filled>) = ([0.0; 3], 0.0, None);
    let (mut before, mut peak, mut cpu) = (0, 0, [f64::MAX; 2]);
    for _ in 0..options.runs {
        let mut raw_used = [0.0; 3];
        for ((limit, queries), raw_used) in limits.iter_mut().zip(&copied).zip(&mut raw_used) {
            let used = processes.used();
            let micros: f64 = raw.ask(queries)?.join(" ").parse()?;
            *limit = limit.max(options.events as f64 * 1e6 / micros);
            *raw_used = processes.used().since(&used).seconds();
        }
        let resting = reset_peak();
        let used = processes.used();
        let begun = Instant::now();
        let model = read_models().into_iter().find(|m| m.name == MODEL).context("the shop has no product pages")?;
        let mut building = Building::begin(&databases, &model).await?;
        let filled = building.fill(&rebuild, &Arc::default()).await?;
        building.finish().await?;
        let rate = filled.events as f64 / begun.elapsed().as_secs_f64();
        let rebuild_used = processes.used().since(&used).seconds();
        cpu = [f64::min(cpu[0], raw_used[1]), f64::min(cpu[1], rebuild_used)];
        let [narrow, whole, everything] = limits;
        crate::progress(&format!(
            "raw {narrow:.0}/s ({whole:.0}/s with every column, {everything:.0}/s of the whole log), rebuilt {rate:.0}/s"
        ));
        if rate > best {
            (best, before, peak, rebuilt) = (rate, resting, peak_kib(), Some(filled));
        }
    }
    let compared = compare(&databases, url).await?;
    let filled = rebuilt.context("nothing was rebuilt")?;
    let [narrow, whole, everything] = limits;
    let mut entries = Entries::new();
    for (name, limit) in [("rebuild", everything), ("rebuild_of_columns", narrow), ("rebuild_of_events", whole)] {
        entries.insert(name.to_owned(), Entry::new(constant(best), "events/s", Some(limit)));
    }
    entries.insert("rebuild_cpu".to_owned(), Entry::new(constant(cpu[1]), "s", Some(cpu[0])));
    entries.insert("rebuild_peak_memory".to_owned(), Entry::new(constant((peak / 1024) as f64), "MiB", None));
    entries.extend(compared.map(|seconds| ("rebuild_diff".to_owned(), Entry::new(constant(seconds), "s", None))));
    println!("{}", cpu::machine_description());
    println!("{} events of {} streams, {} passes over {} partitions", filled.events, filled.streams, filled.passes, 2 * options.partitions);
    println!("COPY TO STDOUT, the columns that a fold needs   {narrow:>10.0} events/s");
    println!("COPY TO STDOUT, every column                    {whole:>10.0} events/s");
    println!("COPY TO STDOUT, pages, ledger and requests too  {everything:>10.0} events/s");
    println!(
        "rebuild, from nothing to ready                  {best:>10.0} events/s   {:.2} of the first, {:.2} of the second, {:.2} of the third",
        best / narrow,
        best / whole,
        best / everything
    );
    if processes.0.len() > 1 {
        println!(
            "CPU, Postgres' and ours, s                      {:>10.2}                {:.2} for COPY of every column: {:.2} of that",
            cpu[1],
            cpu[0],
            cpu[0] / cpu[1]
        );
    }
    println!("peak memory of the process                      {:>10} MiB        ({} MiB before)", peak / 1024, before / 1024);
    if let Some(seconds) = compared {
        println!("diff of two generations                         {seconds:>10.2} s");
    }
    Ok(entries)
}

/// The tables that a log is.
pub(crate) const LOG: [&str; 4] = ["event", "page", "command", "request"];

/// What Postgres sends of each log partition: nothing but a fold's columns, whole events, and all that the log is.
fn copied(partitions: u32) -> [String; 3] {
    let of = |tables: &[&str], columns: &str| all(partitions, tables, columns);
    [of(&["event"], COLUMNS), of(&["event"], "*"), of(&LOG, "*")]
}

/// A query of each of these tables' partitions, with semicolons between them.
pub(crate) fn all(partitions: u32, tables: &[&str], columns: &str) -> String {
    let mut queries = Vec::new();
    for service in SERVICES {
        for n in 0..partitions {
            queries.extend(tables.iter().map(|table| format!("SELECT {columns} FROM {service}.{table}_{n}")));
        }
    }
    queries.join(";")
}

/// Seconds that comparing the last two generations takes; none when there is one.
async fn compare(databases: &Databases, url: &str) -> anyhow::Result<Option<f64>> {
    let owner = connect_owner(url).await?;
    let all = known_generations(&owner, MODEL).await?;
    let [.., old, new] = all.as_slice() else { return Ok(None) };
    let model = read_models().into_iter().find(|m| m.name == MODEL).context("the shop has no product pages")?;
    let begun = Instant::now();
    let report = diff(databases, &model, shop_proto::descriptors(), (old, new), &DiffOptions::default(), None).await?;
    anyhow::ensure!(report.is_identical(), "two rebuilds of the same log differ: {report}");
    Ok(Some(begun.elapsed().as_secs_f64()))
}

/// KiB that the process has now; from here on its peak is counted anew. Linux' own; elsewhere 0.
fn reset_peak() -> u64 {
    let _ = fs::write("/proc/self/clear_refs", "5");
    peak_kib()
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}
