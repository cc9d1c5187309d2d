//! Commands beside a rebuild: its effect on those who order.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::commands::{Load, Poster, wait_for_read_models};
use crate::report::{self, Entries, Entry, constant};
use crate::samples::{Client, closed_loop};

/// Streams that the log has, and a rebuild reads.
const STREAMS: u64 = 20_000;
/// Clients that post, each resting between two commands: an ordinary day, no flood.
const CLIENTS: usize = 16;
const REST: Duration = Duration::from_millis(20);

/// A client that takes its time.
struct Resting(Poster);

impl Client for Resting {
    async fn once(&mut self) -> Result<(), String> {
        self.0.once().await
    }

    async fn rest(&mut self) {
        tokio::time::sleep(REST).await;
    }
}

/// Rebuilds again and again until it is told to stop; counts the rebuilds in `done`.
fn rebuild(binary: &Path, rate: Option<u64>, over: &AtomicBool, done: &AtomicU32) -> anyhow::Result<()> {
    while !over.load(Ordering::Relaxed) {
        let mut command = Command::new(binary);
        command.args(["replay", "rebuild", "product-pages", "--json"]).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let output = command.output().with_context(|| format!("{} can't be run", binary.display()))?;
        if !output.status.success() {
            bail!("the rebuild ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Measures commands alone, and beside rebuilds of `product-pages`; prints, and returns the numbers for programs.
///
/// # Errors
/// When Daybook does not answer, or a rebuild fails.
pub(crate) async fn run(
    commands: SocketAddr,
    queries: SocketAddr,
    binary: &Path,
    rate: Option<u64>,
    length: Duration,
) -> anyhow::Result<(Entries, u64)> {
    let load = Load::on(STREAMS);
    let mut posters = load.clients(commands, 128);
    while load.posted() < STREAMS {
        posters = closed_loop(posters, Duration::from_secs(1), 1.0).await?.1;
    }
    wait_for_read_models(queries, &posters).await?;
    let clients = || load.clients(commands, CLIENTS).into_iter().map(Resting).collect::<Vec<_>>();
    let (_, warmed) = closed_loop(clients(), Duration::from_secs(1), 1.0).await?;
    let (alone, warmed) = closed_loop(warmed, length, 1.0).await?;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (binary, told, counted) = (binary.to_owned(), over.clone(), done.clone());
    let rebuilding = tokio::task::spawn_blocking(move || rebuild(&binary, rate, &told, &counted));
    let (beside, _) = closed_loop(warmed, length, 1.0).await?;
    over.store(true, Ordering::Relaxed);
    rebuilding.await.context("the rebuild panicked")??;
    println!("Commands beside rebuilds of {STREAMS} streams, {CLIENTS} clients that rest {} ms between two", REST.as_millis());
    println!("{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "", "/s", "", "p50 ms", "p99 ms");
    println!("{:<40}{}", "alone", report::line(&alone));
    println!("{:<40}{}", format!("beside {} rebuilds", done.load(Ordering::Relaxed)), report::line(&beside));
    let mut entries = Entries::new();
    entries.insert("beside_rebuild_p50".into(), Entry::new(beside.p50, "us", Some(alone.p50.value)));
    entries.insert("beside_rebuild_p99".into(), Entry::new(beside.p99, "us", Some(alone.p99.value)));
    entries.insert("beside_rebuild_runs".into(), Entry::new(constant(done.load(Ordering::Relaxed).into()), "rebuilds", None));
    Ok((entries, alone.failed() + beside.failed()))
}
