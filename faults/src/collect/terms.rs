//! Holders of checkpoints, by their terms: each takeover raises a term.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::{connect, watch};
use crate::evidence::Term;

/// So long terms stand still where nobody contends for a checkpoint: longer than a holder that stands by leaves it alone.
pub const STILL: Duration = Duration::from_secs(5);
/// The longest that a group may take to notice who has died, and so long again to settle.
const SETTLED: Duration = Duration::from_secs(40);

/// The term of each checkpoint of a live generation, and of each reactor's marks, by name and log partition.
pub type Terms = BTreeMap<String, i64>;

/// As they are now.
///
/// # Errors
/// When Postgres does not answer.
pub async fn terms(client: &Client) -> anyhow::Result<Terms> {
    let sql = "SELECT projection, service, partition, term FROM read.checkpoint JOIN read.generation USING (projection, generation) WHERE state = 'live'";
    let rows = client.query(sql, &[]).await?;
    let name = |row: &tokio_postgres::Row| format!("{} {}/{}", row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, i32>(2));
    let mut terms: Terms = rows.iter().map(|row| (name(row), row.get(3))).collect();
    for service in watch::reacting(client).await? {
        let rows = client.query(&format!("SELECT name, '{service}', partition, term FROM \"{service}\".reactor"), &[]).await?;
        terms.extend(rows.iter().map(|row| (name(row), row.get(3))));
    }
    Ok(terms)
}

/// Waits until all of them have stood still for a while; as they were at the beginning of the last while, and at its end.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn when_quiet(database: &str) -> anyhow::Result<Vec<Term>> {
    let client = connect(database).await?;
    let end = Instant::now() + SETTLED;
    let mut before = terms(&client).await?;
    loop {
        tokio::time::sleep(STILL).await;
        let after = terms(&client).await?;
        if before == after || Instant::now() > end {
            let term = |(what, before): (String, i64)| Term { after: after.get(&what).copied().unwrap_or(before), what, before };
            return Ok(before.into_iter().map(term).collect());
        }
        before = after;
    }
}
