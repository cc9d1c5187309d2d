//! A clock that is stepped: Daybook's own, through its context, and the scheduler's, which is the same; the machine's stays.
//!
//! A partition's time is the later one of the clock's and its last page's. So a step is seen in the log alone: forward, when pages
//! are as far ahead as no other clock has them; back, when pages stand still where the clock before the step would have gone on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daybook_failpoint::{CLOCK, Faults};
use tokio::sync::{Mutex, MutexGuard};

use super::lanes::{self, Pages};
use super::marks::Marks;
use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::Cluster;
use crate::collect;
use crate::shop::names::SERVICES;

const HOUR: TimeDelta = TimeDelta::hours(1);
const HELD: Duration = Duration::from_secs(5);
/// The clock has one setting: one strike at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// The time for which partitions move on before the clock is stepped back, where they stood still.
const MOVES_ON: Duration = Duration::from_secs(2);
/// Deadlines are due in so many seconds.
const SOON: [u32; 4] = [3, 6, 12, 25];
/// The longest that it may take until some are pending: Kafka may be away meanwhile.
const ARMED: Duration = Duration::from_secs(60);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("clock-forward", "the context's clock is an hour ahead, then as before", 20, |f| Box::pin(forward(f))),
        Fault::new("clock-back", "the context's clock goes back an hour while partitions follow it, then as before", 20, |f| {
            Box::pin(back(f))
        }),
        Fault::new("clock-forward-deadlines", "the clock is an hour ahead while deadlines are pending, then as before", 60, |f| {
            Box::pin(with_deadlines(f, false))
        }),
        Fault::new("clock-back-deadlines", "the clock goes back an hour while deadlines are pending, then as before", 60, |f| {
            Box::pin(with_deadlines(f, true))
        }),
    ]
}

/// The same while deadlines are pending, that are due by the step, or by the time that the clock goes on from. It counts them where the clock
/// was seen to be stepped.
async fn with_deadlines(mut field: Field<'_>, goes_back: bool) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let mut armed = Asked::default();
    // Of several times: some fire before the clock is stepped, some while it is, some after.
    let (mut pending, end) = (0, tokio::time::Instant::now() + ARMED);
    while pending == 0 && tokio::time::Instant::now() < end {
        for seconds in SOON {
            field.ask_for_deadlines(&mut armed, seconds);
        }
        field.hold_asking(&mut armed, MOVES_ON).await;
        pending = lanes::patiently(|| async { armed_deadlines(&collect::connect(&cluster.owner_url()).await?).await }).await?;
    }
    let struck = if goes_back { back(field).await? } else { forward(field).await? };
    armed.answered().await;
    let fired = if struck.fired > 0 { pending } else { 0 };
    Ok(Struck { fired, ..struck }.note(format!("{pending} deadlines were pending")))
}

/// Deadlines that are armed, of all services that the harness knows.
async fn armed_deadlines(client: &tokio_postgres::Client) -> anyhow::Result<u64> {
    let mut armed = 0;
    for service in SERVICES {
        let sql = format!("SELECT count(*) FROM \"{service}\".call WHERE deadline IS NOT NULL");
        armed += client.query_one(&sql, &[]).await?.get::<_, i64>(0).unsigned_abs();
    }
    Ok(armed)
}

async fn forward(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let faults = Faults::new(cluster.points_dir())?;
    let (marks, before) = (Marks::from_now_on(cluster, CLOCK)?, lanes::last_pages(cluster).await?);
    let _turn = TURN.lock().await;
    let begun = Utc::now();
    let asked = {
        let _heal = Heal(|| drop(faults.clear(CLOCK)));
        faults.set_clock(micros(HOUR))?;
        field.hold(HELD).await
    };
    let struck = Struck::times(0).asked(asked);
    let (seen, pages) = (marks.left()?.len(), lanes::pages_behind(cluster, &before).await?);
    // An earlier step leaves a clock less far ahead.
    let fired = ahead(&pages, begun + HOUR);
    let note = format!("{seen} processes saw the clock; {fired} pages an hour ahead");
    Ok(Struck { fired: if seen > 0 { fired } else { 0 }, ..struck }.note(note))
}

/// Where a step forward has left partitions ahead of the machine's clock they stand still anyhow: then all clocks are first set
/// as far ahead as the furthest partition, so that time moves on, and are stepped back from there.
async fn back(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let faults = Faults::new(cluster.points_dir())?;
    let _turn = TURN.lock().await;
    let lead = lead(cluster).await?;
    let mut asked = Asked::default();
    let (marks, before, stepped) = {
        let _heal = Heal(|| drop(faults.clear(CLOCK)));
        if !lead.is_zero() {
            faults.set_clock(micros(lead))?;
            field.hold_asking(&mut asked, MOVES_ON).await;
        }
        let (marks, before) = (Marks::from_now_on(cluster, CLOCK)?, lanes::last_pages(cluster).await?);
        let stepped = Utc::now() + lead;
        faults.set_clock(micros(lead - HOUR))?;
        field.hold_asking(&mut asked, HELD).await;
        (marks, before, stepped)
    };
    let struck = Struck::times(0).asked(asked);
    let (seen, pages) = (marks.left()?.len(), lanes::pages_behind(cluster, &before).await?);
    let fired = stood_still(&pages, stepped);
    let from = match lead.num_seconds() {
        0 => "the machine's clock".to_owned(),
        ahead => format!("{ahead} s ahead of the machine's clock, where partitions were"),
    };
    let note = format!("stepped back from {from}; {seen} processes saw it; {fired} pages stood still");
    Ok(Struck { fired: if seen > 0 { fired } else { 0 }, ..struck }.note(note))
}

/// How far the furthest partition is ahead of the machine's clock, and a second more; nothing where none is.
async fn lead(cluster: &Cluster) -> anyhow::Result<TimeDelta> {
    let furthest = lanes::last_pages(cluster).await?.values().flatten().map(|page| page.recorded_at).max();
    let now = Utc::now();
    Ok(furthest.filter(|furthest| *furthest > now).map_or(TimeDelta::zero(), |furthest| furthest - now + TimeDelta::seconds(1)))
}

/// Clocks that are ahead until this goes, so that time moves on everywhere.
pub(super) struct MovesOn {
    faults: Faults,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for MovesOn {
    fn drop(&mut self) {
        let _ = self.faults.clear(CLOCK);
    }
}

/// Where an earlier step has left partitions ahead of the machine's clock they stand still, and nothing becomes due there: sets all clocks as
/// far ahead. None: none is ahead.
pub(super) async fn moves_on(cluster: &Cluster) -> anyhow::Result<Option<MovesOn>> {
    let turn = TURN.lock().await;
    let lead = lead(cluster).await?;
    if lead.is_zero() {
        return Ok(None);
    }
    let faults = Faults::new(cluster.points_dir())?;
    faults.set_clock(micros(lead))?;
    Ok(Some(MovesOn { faults, _turn: turn }))
}

fn micros(time: TimeDelta) -> i64 {
    time.num_microseconds().unwrap_or_default()
}

/// Pages, but for the first one of each partition, whose time is not before this.
fn ahead(pages: &Pages, of: DateTime<Utc>) -> u64 {
    pages.values().flat_map(|pages| pages.iter().skip(1)).filter(|page| page.recorded_at >= of).count() as u64
}

/// Pages that have the time of the one before them although the clock, had it gone on, was past it: at least at `clock`.
fn stood_still(pages: &Pages, clock: DateTime<Utc>) -> u64 {
    let pairs = pages.values().flat_map(|pages| pages.windows(2));
    pairs.filter(|pair| pair[1].recorded_at == pair[0].recorded_at && pair[1].recorded_at < clock).count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Page;
    use super::*;

    fn pages(seconds: &[i64]) -> Pages {
        let page = |(number, second): (i64, &i64)| Page {
            number,
            writer: "w".to_owned(),
            recorded_at: DateTime::from_timestamp(*second, 0).expect("in range"),
        };
        [(("catalog".to_owned(), 0), (0..).zip(seconds).map(page).collect())].into()
    }

    #[test]
    fn a_step_is_what_only_a_stepped_clock_writes() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("in range");
        assert_eq!(ahead(&pages(&[90, 91, 100, 101]), at(100)), 2);
        assert_eq!(ahead(&pages(&[100]), at(100)), 0, "the first one stood before");
        assert_eq!(stood_still(&pages(&[90, 90, 90, 95]), at(91)), 2);
        assert_eq!(stood_still(&pages(&[92, 92]), at(91)), 0, "a partition that is ahead of the clock stands still anyhow");
    }
}
