//! Writers of pages, by the log itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::cluster::Cluster;
use crate::collect;
use crate::shop::names::SERVICES;

/// The longest that Postgres may not answer: in company it is one of the things that are broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that it may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A log partition: service and number.
pub(super) type Partition = (String, i32);

/// Pages by partition, in order.
pub(super) type Pages = BTreeMap<Partition, Vec<Page>>;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 0.
    pub(super) number: i64,
    /// The name of the lane that wrote it.
    pub(super) writer: String,
    /// The context's time, as its writer had it.
    pub(super) recorded_at: DateTime<Utc>,
}

/// The last page of each partition, alone.
///
/// # Errors
/// When Postgres does not answer for a minute.
pub(super) async fn last_pages(cluster: &Cluster) -> anyhow::Result<Pages> {
    patiently(|| async {
        let client = collect::connect(&cluster.owner_url()).await?;
        let mut pages = Pages::new();
        for service in SERVICES {
            let sql = format!(
                "SELECT DISTINCT ON (partition) partition, page, writer, recorded_at FROM \"{service}\".page ORDER BY partition, page DESC"
            );
            for row in client.query(&sql, &[]).await? {
                let page = Page { number: row.get(1), writer: row.get(2), recorded_at: row.get(3) };
                pages.insert((service.to_owned(), row.get(0)), vec![page]);
            }
        }
        Ok(pages)
    })
    .await
}

/// The pages of these partitions that were written since, behind the last one of before.
///
/// # Errors
/// When Postgres does not answer for a minute.
pub(super) async fn pages_behind(cluster: &Cluster, before: &Pages) -> anyhow::Result<Pages> {
    let mut pages = Pages::new();
    for (partition, last) in before.iter().filter_map(|(partition, pages)| Some((partition, pages.last()?))) {
        pages.insert(partition.clone(), pages_from(cluster, partition, last.number).await?);
    }
    Ok(pages)
}

/// The pages of a partition from this one on.
///
/// # Errors
/// When Postgres does not answer for a minute.
pub(super) async fn pages_from(cluster: &Cluster, (service, number): &Partition, page: i64) -> anyhow::Result<Vec<Page>> {
    patiently(|| async {
        let client = collect::connect(&cluster.owner_url()).await?;
        let sql = format!("SELECT page, writer, recorded_at FROM \"{service}\".page WHERE partition = $1 AND page >= $2 ORDER BY page");
        let rows = client.query(&sql, &[number, &page]).await?;
        Ok(rows.iter().map(|row| Page { number: row.get(0), writer: row.get(1), recorded_at: row.get(2) }).collect())
    })
    .await
}

/// Asks again until there is an answer.
pub(super) async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(mut ask: impl FnMut() -> F) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = tokio::time::timeout(ANSWER, ask()).await.context("Postgres does not answer").flatten();
        if answer.is_ok() || Instant::now() > end {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
