//! Disks that are full.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::{Service, SmallDisk};

const HELD: Duration = Duration::from_secs(5);
/// How long Postgres may take to trip over the end of its WAL.
const TRIPS: Duration = Duration::from_secs(10);
/// Needs a place of its own on the disk.
const GROW: &str =
    "CREATE TABLE public.grown AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 4000) n; DROP TABLE public.grown";
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

async fn data(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let disk = field.cluster.small_disk(false).map_err(anyhow::Error::msg)?;
    let _endangered = field.cluster.endanger(Service::Postgres);
    let _heal = Heal(|| disk.relieve());
    disk.fill()?;
    let (mut fired, mut asked, mut other) = (0, Asked::default(), None);
    let end = Instant::now() + HELD;
    while Instant::now() < end {
        keep_full(disk)?;
        match grow(&field).await {
            Err(error) if error.code() == Some(&SqlState::DISK_FULL) => fired += 1,
            what => other = Some(format!("a table that does not fit: {what:?}")),
        }
        field.ask_for_products(&mut asked);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    disk.relieve();
    let mut struck = Struck::times(fired).asked(asked);
    struck.notes.extend(other);
    Ok(struck)
}

async fn grow(field: &Field<'_>) -> Result<(), tokio_postgres::Error> {
    connect(field).await?.batch_execute(GROW).await
}

async fn wal(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let disk = field.cluster.small_disk(true).map_err(anyhow::Error::msg)?;
    // Its first process may stay, when all others go.
    let _endangered = field.cluster.endanger(Service::Postgres);
    let _heal = Heal(|| disk.relieve());
    disk.fill()?;
    let mut asked = Asked::default();
    let end = Instant::now() + TRIPS;
    let mut fired = 0;
    while fired == 0 && Instant::now() < end {
        keep_full(disk)?;
        // A connection that ends in the middle of it: Postgres has panicked.
        fired = match connect(&field).await {
            Ok(client) => u64::from(next_segments(&client).await.is_err()),
            Err(_) => 1,
        };
        field.ask_for_products(&mut asked);
    }
    let held = Instant::now() + HELD;
    while Instant::now() < held {
        keep_full(disk)?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    disk.relieve();
    let struck = Struck::times(fired);
    // Until it is back it may still end of this.
    while connect(&field).await.is_err() && Instant::now() < held + Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(struck.asked(asked).note("a checkpoint could not make room, nor a new segment be made"))
}

async fn next_segments(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Segments that are recycled are there already: they are used up first.
    for _ in 0..8 {
        client.batch_execute(NEXT_SEGMENT).await?;
    }
    Ok(())
}

/// What was freed meanwhile is taken as well.
fn keep_full(disk: &SmallDisk) -> std::io::Result<()> {
    disk.fill().map(drop)
}

async fn connect(field: &Field<'_>) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&field.cluster.owner_url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
