//! Pages of the log against COPY of the same rows, in turn, so that both see the same minutes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::database::OwnDatabase;
use crate::raw_postgres::{OwnLog, Pages};
use crate::samples::{Client as _, Spread};

/// Events, and commands, of a page.
const EVENTS: u32 = 1_000;
/// Bytes of an event's payload.
const PAYLOAD: usize = 300;
/// Each is measured so many times.
const SLICES: u32 = 5;

/// Events a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Append {
    /// Appended by the log: chain, fence and digests included.
    pub(crate) pages: Spread,
    /// Copied.
    pub(crate) copied: Spread,
}

/// Measures both for `length` each.
///
/// # Errors
/// When Postgres can't be reached, or refuses something.
pub(crate) async fn run(database_url: &str, raw_limits: &Path, length: Duration) -> anyhow::Result<Append> {
    let (log, empty) = (OwnLog::new(database_url).await?, OwnDatabase::new(database_url).await?);
    let (mut pages, slice) = (log.pages(EVENTS as usize, PAYLOAD).await?, length / SLICES);
    let mut copying = Copying::start(raw_limits, &empty.url)?;
    // New tables are slow, for both.
    appended(&mut pages, slice).await?;
    copying.copied(slice)?;
    let (mut own, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        raw.push(copying.copied(slice)?);
        own.push(appended(&mut pages, slice).await?);
    }
    drop((pages, copying));
    log.drop().await?;
    empty.drop().await?;
    Ok(Append { pages: spread(&own), copied: spread(&raw) })
}

/// The mean, the least and the most.
fn spread(rates: &[f64]) -> Spread {
    let (min, max) = rates.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), rate| (min.min(*rate), max.max(*rate)));
    Spread { value: rates.iter().sum::<f64>() / rates.len() as f64, min, max }
}

/// Appends pages for so long; events a second.
async fn appended(pages: &mut Pages, length: Duration) -> anyhow::Result<f64> {
    let (begun, mut done) = (Instant::now(), 0_u32);
    while begun.elapsed() < length {
        pages.once().await.map_err(anyhow::Error::msg)?;
        done += 1;
    }
    Ok(f64::from(done) * f64::from(EVENTS) / begun.elapsed().as_secs_f64())
}

/// The process that copies.
struct Copying {
    child: Child,
    input: std::process::ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Copying {
    fn start(program: &Path, database_url: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["copy-in", "--events", &EVENTS.to_string(), "--payload", &PAYLOAD.to_string()]);
        // Not as an argument: everybody may read those.
        command.env("RAW_LIMITS_DATABASE_URL", database_url).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut copying = Self { child, input, output };
        anyhow::ensure!(copying.line()? == "ready", "{} has ended before it was ready", program.display());
        Ok(copying)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Copies pages for so long; events a second.
    fn copied(&mut self, length: Duration) -> anyhow::Result<f64> {
        writeln!(self.input, "{}", length.as_millis())?;
        let line = tokio::task::block_in_place(|| self.line())?;
        let (pages, micros) = line.split_once(' ').context("it has ended")?;
        Ok(pages.parse::<f64>()? * f64::from(EVENTS) * 1e6 / micros.parse::<f64>()?)
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
