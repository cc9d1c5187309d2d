//! Postgres has no connection to give.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::provoke::Asked;
use super::{Fault, Field, Struck};
use crate::cluster::Cluster;

const HELD: Duration = Duration::from_secs(5);

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("postgres-no-connections", "every slot of Postgres is taken, and one process has just lost its own", 30, |f| {
        Box::pin(crowd(f))
    })]
}

async fn crowd(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let victim = field.any_running(Cluster::members).await?;
    let url = field.cluster.owner_url();
    let (mut crowd, mut asked) = (Vec::new(), Asked::default());
    fill(&url, &mut crowd).await?;
    let full = crowd.len();
    // A process that has its connections already would notice nothing.
    field.cluster.proxy().links().iter().filter(|link| link.name() == victim.name).for_each(|link| link.cut());
    let end = Instant::now() + HELD;
    while Instant::now() < end {
        fill(&url, &mut crowd).await?;
        field.ask(&mut asked);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let taken = crowd.len();
    drop(crowd);
    // Slots that it had, and did not get back.
    let struck = Struck::times((taken - full) as u64).note(format!("{full} slots taken, {taken} after {} lost its own", victim.name));
    Ok(struck.asked(asked))
}

/// Takes what is left, those of the owner as well, until Postgres refuses.
async fn fill(url: &str, crowd: &mut Vec<Client>) -> anyhow::Result<()> {
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                crowd.push(client);
            }
            Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
