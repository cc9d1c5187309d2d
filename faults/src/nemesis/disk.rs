//! Disks that are full.

use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

use super::postgres_log::{Said, said_since};
use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::{Service, SmallDisk};

const HELD: Duration = Duration::from_secs(5);
/// The longest that Postgres may take to trip over the end of a disk.
const TRIPS: Duration = Duration::from_secs(10);
/// Ends a segment, so that the next one is needed.
const NEXT_SEGMENT: &str = "SELECT pg_logical_emit_message(false, 'full', 'x'), pg_switch_wal()";

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("disk-full-data", "the disk of Postgres' data is full", 45, |f| Box::pin(data(f)))
            .when(|c| c.small_disk(false).map(drop)),
        Fault::new("disk-full-wal", "the disk of Postgres' WAL is full: it panics, and is started again", 60, |f| Box::pin(wal(f)))
            .when(|c| c.small_disk(true).map(drop)),
    ]
}

/// It counts how many statements of Daybook's own found no place, as Postgres' log has it.
async fn data(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let disk = cluster.small_disk(false).map_err(anyhow::Error::msg)?;
    let _endangered = cluster.endanger(Service::Postgres);
    let _heal = Heal(|| disk.relieve());
    let begun = Utc::now();
    disk.fill()?;
    let refused = || said_since(cluster, begun).iter().filter(|said| said.refuses_daybook_for_a_full_disk()).count() as u64;
    let mut asked = Asked::default();
    let (held, end) = (Instant::now() + HELD, Instant::now() + TRIPS);
    // Room that a table still has hides the fault for a while.
    while Instant::now() < held || (refused() == 0 && Instant::now() < end) {
        keep_full(disk)?;
        field.ask(&mut asked);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    disk.relieve();
    Ok(Struck::times(refused()).asked(asked))
}

/// It happened when Postgres says that it panics for it, or was started again.
async fn wal(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let disk = cluster.small_disk(true).map_err(anyhow::Error::msg)?;
    // Its first process may stay, when all others go.
    let _endangered = cluster.endanger(Service::Postgres);
    let _heal = Heal(|| disk.relieve());
    let (starts, begun) = (cluster.service_starts(Service::Postgres), Utc::now());
    let panicked = || said_since(cluster, begun).iter().any(Said::is_panic_of_a_full_disk);
    let started = || cluster.service_starts(Service::Postgres) > starts;
    disk.fill()?;
    let mut asked = Asked::default();
    let end = Instant::now() + TRIPS;
    // Looked at all the time: while the disk is full each attempt to start pushes an older log away.
    let mut fired = false;
    while !fired && Instant::now() < end {
        keep_full(disk)?;
        if let Ok(client) = connect(&field).await {
            let _ = next_segments(&client).await;
        }
        field.ask(&mut asked);
        fired = panicked() || started();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let held = Instant::now() + HELD;
    while Instant::now() < held {
        keep_full(disk)?;
        fired = fired || panicked();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    disk.relieve();
    let struck = Struck::times(0);
    // Until it is back it may still end of this.
    while connect(&field).await.is_err() && Instant::now() < held + Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let starts = cluster.service_starts(Service::Postgres) - starts;
    let struck = Struck { fired: u64::from(fired || starts > 0), ..struck }.asked(asked);
    Ok(struck.note(format!("no new segment could be made; Postgres was started again {starts} times")))
}

async fn next_segments(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Segments that are recycled are there already: they are used up first.
    for _ in 0..8 {
        client.batch_execute(NEXT_SEGMENT).await?;
    }
    Ok(())
}

/// Takes the room that was freed meanwhile as well.
fn keep_full(disk: &SmallDisk) -> std::io::Result<()> {
    disk.fill().map(drop)
}

async fn connect(field: &Field<'_>) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&field.cluster.owner_url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
