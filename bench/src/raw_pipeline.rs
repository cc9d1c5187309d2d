//! The bare pipeline as a limit: what the parts of Daybook's way do with nothing of Daybook between them (`bench/raw`). It is a process of its own, as
//! Daybook is, with as many partitions, and a database of its own.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::WARM_UP;
use crate::commands::Load;
use crate::database::OwnDatabase;
use crate::raw::program;
use crate::running::Server;
use crate::samples::{Measured, closed_loop, open_loop};

/// Times that records wait for company, in milliseconds: for each number of clients the better one counts.
const LINGERS: [u32; 2] = [0, 2];

/// The pipeline's measurement at one pace, and the linger that was better.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) measured: Measured,
    pub(crate) linger_ms: u32,
}

/// Measures it for each of these numbers of clients.
///
/// # Errors
/// When Postgres or Kafka can't be reached, or the program is not beside this one.
pub(crate) async fn run(
    database_url: &str,
    brokers: &str,
    partitions: i32,
    clients: &[usize],
    length: Duration,
) -> anyhow::Result<BTreeMap<usize, Limit>> {
    let mut best: BTreeMap<usize, Limit> = BTreeMap::new();
    for linger_ms in LINGERS {
        let database = OwnDatabase::new(database_url).await?;
        let server = start(&database.url, brokers, partitions, linger_ms)?;
        // A lone command has nobody to wait for.
        for count in clients.iter().copied().filter(|count| *count > 1 || linger_ms == 0) {
            let (_, posters) = closed_loop(Load::on(crate::STREAMS).clients(server.address, count), WARM_UP, 1.0).await?;
            let (measured, _) = closed_loop(posters, length, 1.0).await?;
            if best.get(&count).is_none_or(|known| known.measured.per_second.value < measured.per_second.value) {
                best.insert(count, Limit { measured, linger_ms });
            }
        }
        drop(server);
        database.drop().await?;
    }
    Ok(best)
}

/// Commands at these rates, each due on a schedule; of the lingers the one with the better p99 counts.
///
/// # Errors
/// As [`run`].
pub(crate) async fn at_rates(
    database_url: &str,
    brokers: &str,
    partitions: i32,
    rates: &[f64],
    length: Duration,
) -> anyhow::Result<Vec<Limit>> {
    let mut best: Vec<Option<Limit>> = vec![None; rates.len()];
    for linger_ms in LINGERS {
        let database = OwnDatabase::new(database_url).await?;
        let server = start(&database.url, brokers, partitions, linger_ms)?;
        for (rate, best) in rates.iter().zip(&mut best) {
            let load = Load::on(crate::STREAMS);
            open_loop(|| load.client(server.address), *rate, WARM_UP).await?;
            let (measured, _) = open_loop(|| load.client(server.address), *rate, length).await?;
            if best.as_ref().is_none_or(|known| measured.p99.value < known.measured.p99.value) {
                *best = Some(Limit { measured, linger_ms });
            }
        }
        drop(server);
        database.drop().await?;
    }
    Ok(best.into_iter().flatten().collect())
}

fn start(database_url: &str, brokers: &str, partitions: i32, linger_ms: u32) -> anyhow::Result<Server> {
    let program = program()?;
    let mut command = Command::new(&program);
    command.args(["pipeline", "--brokers", brokers, "--partitions", &partitions.to_string(), "--linger-ms", &linger_ms.to_string()]);
    // Not as an argument: everybody may read those.
    command.env("RAW_LIMITS_DATABASE_URL", database_url);
    Server::start(command, &[])
        .with_context(|| format!("{}: build it with `cargo build --release -p daybook-raw-limits`", program.display()))
}
