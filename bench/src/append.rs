//! Pages of the log against COPY of the same rows, in turn, so that both see the same minutes.

use std::time::{Duration, Instant};

use crate::database::OwnDatabase;
use crate::raw::Raw;
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
pub(crate) async fn run(database_url: &str, length: Duration) -> anyhow::Result<Append> {
    let (log, empty) = (OwnLog::new(database_url).await?, OwnDatabase::new(database_url).await?);
    let (mut pages, slice) = (log.pages(EVENTS as usize, PAYLOAD).await?, length / SLICES);
    let (page, payload) = (EVENTS.to_string(), PAYLOAD.to_string());
    let mut copying = Raw::start(&["copy-in", "--events", &page, "--payload", &payload], Some(&empty.url))?;
    let mut copied = || anyhow::Ok(copying.rate(&slice.as_millis().to_string())? * f64::from(EVENTS));
    // New tables are slow, for both.
    appended(&mut pages, slice).await?;
    copied()?;
    let (mut own, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        raw.push(copied()?);
        own.push(appended(&mut pages, slice).await?);
    }
    drop((pages, copying));
    log.drop().await?;
    empty.drop().await?;
    Ok(Append { pages: Spread::of(&own), copied: Spread::of(&raw) })
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
