//! `daybook replay verify` over a log, against Postgres as it sends the same log to clients that drop it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::cpu::{self, Processes};
use crate::database::in_its_own_database;
use crate::filled::{self, SERVICES, Size};
use crate::raw::Raw;
use crate::rebuild::{LOG, all};
use crate::report::{Entries, Entry, constant};
use crate::samples::Spread;

/// Connections that an audit reads with side by side: events, ledger and requests of one partition.
const CONNECTIONS: &str = "3";
/// Partitions of each log.
const PARTITIONS: u32 = 4;

/// Options of the measurement.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// The binary that verifies.
    #[arg(long, value_name = "PATH", default_value = "daybook")]
    binary: PathBuf,
    /// Events, ten a stream; each of a command of its own.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10..))]
    events: u64,
    /// Runs of both, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Fills a log, measures, prints, and drops the database again. Returns the numbers for programs.
///
/// # Errors
/// When the server can't be reached, or the audit finds something.
pub(crate) async fn run(options: &Verify, database_url: &str, postgres_pid: Option<u32>) -> anyhow::Result<Entries> {
    let processes = Processes::ours_and_postgres(postgres_pid);
    in_its_own_database(database_url, async |url| measure(options, url, &processes).await).await
}

async fn measure(options: &Verify, url: &str, processes: &Processes) -> anyhow::Result<Entries> {
    filled::make(url, Size { events: options.events, streams: options.events / 10, partitions: PARTITIONS }).await?;
    let (mut raw, queries) = (Raw::start(&["copy-out", "--at-once", CONNECTIONS], Some(url))?, all(PARTITIONS, &LOG, "*"));
    let (mut copied, mut verified, mut cpu) = (Vec::new(), Vec::new(), [f64::MAX; 2]);
    for _ in 0..options.runs {
        let used = processes.used();
        let micros: f64 = raw.ask(&queries)?.join(" ").parse()?;
        copied.push(options.events as f64 * 1e6 / micros);
        cpu[0] = cpu[0].min(processes.used().since(&used).seconds());
        let (used, begun, mut events) = (processes.used(), Instant::now(), 0);
        for service in SERVICES {
            events += verify(&options.binary, url, service)?;
        }
        verified.push(events as f64 / begun.elapsed().as_secs_f64());
        cpu[1] = cpu[1].min(processes.used().since(&used).seconds());
        anyhow::ensure!(events == options.events, "{events} events were verified of {}", options.events);
    }
    let (copied, verified) = (Spread::of(&copied), Spread::of(&verified));
    println!("{}", cpu::machine_description());
    println!("{} events, each with its command, in {} partitions; {} runs", options.events, 2 * PARTITIONS, options.runs);
    let line =
        |title, rate: Spread, cpu| println!("{title:<44}{:>10.0} events/s ({:.0}–{:.0}), CPU {cpu:.2} s", rate.value, rate.min, rate.max);
    line("COPY TO STDOUT of the log, 3 connections", copied, cpu[0]);
    line("daybook replay verify", verified, cpu[1]);
    println!("ratio {:.2}, by CPU {:.2}", verified.value / copied.value, cpu[0] / cpu[1]);
    let mut entries = Entries::new();
    entries.insert("raw_copy_out".to_owned(), Entry::new(copied, "events/s", None));
    entries.insert("verify".to_owned(), Entry::new(verified, "events/s", Some(copied.value)));
    entries.insert("verify_cpu".to_owned(), Entry::new(constant(cpu[1]), "s", Some(cpu[0])));
    Ok(entries)
}

/// Verifies a service's log, from the start of the program to its end; the number of events that it read.
fn verify(binary: &Path, url: &str, service: &str) -> anyhow::Result<u64> {
    let mut command = Command::new(binary);
    command.args(["replay", "verify", "--json", "--service", service]).env("DAYBOOK_DATABASE_URL", url).stdin(Stdio::null());
    let output = tokio::task::block_in_place(|| command.output()).with_context(|| format!("{} can't be run", binary.display()))?;
    let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy);
    anyhow::ensure!(output.status.success(), "the audit ended with {}: {:.2000}{:.2000}", output.status, said[0], said[1]);
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let partitions = report["partitions"].as_array().context("a report has partitions")?;
    Ok(partitions.iter().filter_map(|partition| partition["events"].as_u64()).sum())
}
