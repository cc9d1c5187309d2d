//! `COPY … TO STDOUT (FORMAT binary)`: how fast Postgres sends rows to clients that drop them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::lines;

/// Options of the copying.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyOut {
    /// The database, as somebody who may read it.
    #[arg(long, env = "RAW_LIMITS_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Connections that copy at once.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
}

/// Of each line, which are queries with semicolons between them, copies what they give, and prints the microseconds that it took.
///
/// # Errors
/// When Postgres can't be reached, or refuses something.
pub(crate) async fn serve(options: CopyOut) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for _ in 0..options.at_once.max(1) {
        let (client, connection) =
            tokio_postgres::connect(&options.database_url, NoTls).await.context("the limit's database can't be reached")?;
        tokio::spawn(connection);
        client.batch_execute("SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0").await?;
        clients.push(Arc::new(client));
    }
    lines::answer(async |line| {
        let queries: Vec<String> = line.split(';').rev().map(str::to_owned).collect();
        let (queries, begun) = (Arc::new(Mutex::new(queries)), Instant::now());
        let mut copying = JoinSet::new();
        for client in &clients {
            let (client, queries) = (client.clone(), queries.clone());
            copying.spawn(async move {
                let next = || queries.lock().unwrap_or_else(PoisonError::into_inner).pop();
                while let Some(query) = next() {
                    let rows = client.copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await?;
                    let mut rows = std::pin::pin!(rows);
                    while rows.try_next().await?.is_some() {}
                }
                anyhow::Ok(())
            });
        }
        while let Some(copied) = copying.join_next().await {
            copied??;
        }
        Ok(begun.elapsed().as_micros().to_string())
    })
    .await
}
