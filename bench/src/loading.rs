//! A catalogue file through `daybook load catalogue`, beside the rate of clients that each post one command after the other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::commands::{Load, Poster, wait_for_read_models};
use crate::cpu::{Processes, Used};
use crate::report::{self, Entries, Entry, constant};
use crate::samples::{Measured, closed_loop};

/// Streams that the clients post to, as in the whole way of a command.
const STREAMS: u64 = 10_000;

/// Options of loading.
#[derive(Clone, Debug, Args)]
pub(crate) struct Loading {
    /// The binary that loads.
    #[arg(long, value_name = "PATH", default_value = "daybook")]
    binary: PathBuf,
    /// The catalogue.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/icecat/products.jsonl.gz")]
    catalogue: PathBuf,
    /// Which column is which field; `own` for the shop's own form.
    #[arg(long, value_name = "FILE", default_value = "data/maps/icecat.toml")]
    map: PathBuf,
    /// Only so many rows.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Rows at once; as many as the loader takes by itself when it is not given.
    #[arg(long, value_name = "N")]
    at_once: Option<u16>,
}

struct Places<'a> {
    commands: SocketAddr,
    queries: SocketAddr,
    what: &'a Loading,
    processes: &'a Processes,
}

/// CPU time of a command by process, in microseconds. The loader is a child of ours: its time is in that of the clients' process.
fn a_command(used: &Used, commands: f64) -> String {
    let each = used.processes.iter().map(|(name, us)| format!("{name} {:.0}", us / commands.max(1.0)));
    each.chain([format!("all {:.0}", used.seconds() * 1e6 / commands.max(1.0))]).collect::<Vec<_>>().join(", ")
}

impl Places<'_> {
    /// The loader's own report.
    async fn load(&self, more: &[&str]) -> anyhow::Result<(Value, Used)> {
        let before = self.processes.used();
        let report = self.report(more).await?;
        // Work that read models still have to do for it is of the load, too.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok((report, self.processes.used().since(&before)))
    }

    async fn report(&self, more: &[&str]) -> anyhow::Result<Value> {
        let what = self.what;
        let mut command = Command::new(&what.binary);
        command.args(["load", "catalogue"]).arg(&what.catalogue).arg("--json");
        command.args(["--url", &format!("http://{}", self.commands), "--queries-url", &format!("http://{}", self.queries)]);
        if what.map != Path::new("own") {
            command.arg("--map").arg(&what.map);
        }
        for (option, value) in [("--limit", what.rows), ("--clients", what.at_once.map(u64::from))] {
            if let Some(value) = value {
                command.args([option, &value.to_string()]);
            }
        }
        command.args(more).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await.context("the load panicked")?;
        let output = output.with_context(|| format!("{} can't be run", what.binary.display()))?;
        match serde_json::from_slice(&output.stdout) {
            Ok(report) if output.status.success() => Ok(report),
            _ => bail!(
                "the load ended with {}: {}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&output.stdout)
            ),
        }
    }

    async fn clients(&self, warm: Vec<Poster>, length: Duration) -> anyhow::Result<(Measured, Used, Vec<Poster>)> {
        let before = self.processes.used();
        let (measured, posters) = closed_loop(warm, length, 1.0).await?;
        wait_for_read_models(self.queries, &posters).await?;
        Ok((measured, self.processes.used().since(&before), posters))
    }
}

/// Measures a load, the same again, and an update that has nothing to do, each against the clients before and after the load;
/// prints, and returns the numbers for programs.
///
/// # Errors
/// When Daybook does not answer, or a load is not good.
pub(crate) async fn run(
    commands: SocketAddr,
    queries: SocketAddr,
    what: &Loading,
    clients: usize,
    length: Duration,
    processes: &Processes,
) -> anyhow::Result<(Entries, u64)> {
    if !what.catalogue.exists() {
        println!("{} is not there: nothing measured", what.catalogue.display());
        return Ok((Entries::new(), 0));
    }
    let places = Places { commands, queries, what, processes };
    let streams = Load::on(STREAMS);
    while streams.posted() < STREAMS {
        closed_loop(streams.clients(commands, 256), Duration::from_secs(1), 1.0).await?;
    }
    let (_, posters) = closed_loop(streams.clients(commands, clients), Duration::from_secs(1), 1.0).await?;
    let (before, used_before, posters) = places.clients(posters, length).await?;
    let loaded = places.load(&["--stock"]).await?;
    let (after, used_after, _) = places.clients(posters, length).await?;
    let again = places.load(&["--stock"]).await?;
    let unchanged = places.load(&["--update"]).await?;
    anyhow::ensure!(
        unchanged.0["commands"].as_object().is_some_and(serde_json::Map::is_empty),
        "an update of what is there sent: {}",
        unchanged.0
    );

    let rate = f64::midpoint(before.per_second.value, after.per_second.value);
    println!("{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "commands of clients", "/s", "", "p50 ms", "p99 ms");
    println!("{:<40}{}", format!("{clients} clients, before"), report::line(&before));
    println!("{:<40}{}", format!("{clients} clients, after"), report::line(&after));
    println!("\nCPU of a command, µs");
    for (title, used, measured) in [("before", &used_before, &before), ("after", &used_after, &after)] {
        println!("{:<40}{}", format!("{clients} clients, {title}"), a_command(used, measured.done as f64));
    }
    let sent = loaded.0["rows"].as_f64().unwrap_or_default() * 2.0;
    println!("{:<40}{}", "a load, with stock", a_command(&loaded.1, sent));
    println!("\n{:<40}{:>10}{:>10}{:>12}{:>12}{:>12}", "rows of the file", "rows", "rows/s", "÷ clients", "commands/s", "÷ clients");
    let mut entries = Entries::new();
    let rows = [
        ("load", "a load, with stock", &loaded, 2.0),
        ("load_again", "the same again: results repeated", &again, 2.0),
        ("load_update", "an update that has nothing to do", &unchanged, 0.0),
    ];
    for (name, title, (report, _), commands) in rows {
        let (rows, rows_a_second) = (report["rows"].as_u64().unwrap_or_default(), report["rowsPerSecond"].as_f64().unwrap_or_default());
        let sent = rows_a_second * commands;
        println!("{title:<40}{rows:>10}{rows_a_second:>10.0}{:>12.2}{sent:>12.0}{:>12.2}", rows_a_second / rate, sent / rate);
        entries.insert(format!("{name}_rows"), Entry::new(constant(rows_a_second), "rows/s", Some(rate)));
        entries.insert(name.to_owned(), Entry::new(constant(sent), "commands/s", Some(rate)));
    }
    entries.insert("load_clients".to_owned(), Entry::new(constant(rate), "commands/s", None));
    Ok((entries, before.failed() + after.failed()))
}
