//! The traces of a command: statements and bytes in Postgres, bytes in Kafka's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use daybook_postgres::connect_owner;

/// The places to look at.
pub(crate) struct Footprint {
    owner: tokio_postgres::Client,
    /// pg_stat_statements is there.
    counts: bool,
    /// Kafka's log folder, when it is on this machine.
    kafka: Option<PathBuf>,
}

/// The cost of one kind of statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) kind: String,
    pub(crate) calls: i64,
    pub(crate) mean_ms: f64,
    pub(crate) wal_bytes: i64,
}

/// Sizes in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) database: i64,
    /// A topic's files, without their indexes.
    pub(crate) topics: BTreeMap<String, u64>,
}

impl Footprint {
    /// `data` is the services' data folder.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub(crate) async fn new(database_url: &str, data: Option<&Path>) -> anyhow::Result<Self> {
        let owner = connect_owner(database_url).await?;
        // Needs to be preloaded, and a superuser: without it there is less to report.
        let made = owner.batch_execute("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
        let counts = made.is_ok() && owner.query("SELECT 1 FROM pg_stat_statements LIMIT 1", &[]).await.is_ok();
        Ok(Self { owner, counts, kafka: data.map(|d| d.join("kafka/log")) })
    }

    /// Counts statements from now on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        if self.counts {
            self.owner.query("SELECT pg_stat_statements_reset()", &[]).await?;
        }
        Ok(())
    }

    /// The statements since the reset, the costliest kind first; none when they are not counted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn statements(&self) -> anyhow::Result<Vec<Statement>> {
        if !self.counts {
            return Ok(Vec::new());
        }
        let rows = self.owner.query(include_str!("sql/statements.sql"), &[]).await?;
        let statement = |row: &tokio_postgres::Row| Statement {
            kind: row.get("kind"),
            calls: row.get("calls"),
            mean_ms: row.get("mean_ms"),
            wal_bytes: row.get("wal_bytes"),
        };
        Ok(rows.iter().map(statement).collect())
    }

    /// The statements since the reset, with how often they were called, the most frequent first; none when they are not counted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn most_frequent(&self, count: i64) -> anyhow::Result<Vec<(String, i64)>> {
        if !self.counts {
            return Ok(Vec::new());
        }
        let sql = r"SELECT regexp_replace(query, '\s+', ' ', 'g') AS query, sum(calls)::bigint AS calls FROM pg_stat_statements
                   GROUP BY 1 ORDER BY 2 DESC LIMIT $1";
        Ok(self.owner.query(sql, &[&count]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Flushes of the write-ahead log since Postgres started.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn flushes(&self) -> anyhow::Result<i64> {
        let sql = "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'";
        Ok(self.owner.query_one(sql, &[]).await?.get(0))
    }

    /// Number of checkpoints of these read models that stand behind the log of `inventory`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn behind(&self, models: &[&str]) -> anyhow::Result<i64> {
        Ok(self.owner.query_one(include_str!("sql/behind.sql"), &[&models]).await?.get(0))
    }

    /// The time from the event that made a stock fall below its reorder point to the first event of its reordering, in microseconds, of
    /// each stream whose id is LIKE this.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn hops(&self, streams: &str) -> anyhow::Result<Vec<u32>> {
        let rows = self.owner.query(include_str!("sql/hops.sql"), &[&streams]).await?;
        Ok(rows.iter().map(|row| row.get::<_, f64>(0).max(0.0) as u32).collect())
    }

    /// The sizes of everything now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn sizes(&self) -> anyhow::Result<Sizes> {
        let database = self.owner.query_one("SELECT pg_database_size(current_database())", &[]).await?.get(0);
        let mut topics = BTreeMap::new();
        for folder in self.kafka.iter().flat_map(|k| std::fs::read_dir(k).into_iter().flatten().flatten()) {
            // `inventory.events-3`
            let name = folder.file_name().to_string_lossy().into_owned();
            let Some((topic, partition)) = name.rsplit_once('-') else { continue };
            if partition.parse::<u32>().is_ok() {
                *topics.entry(topic.to_owned()).or_default() += bytes_of(&folder.path());
            }
        }
        Ok(Sizes { database, topics })
    }
}

fn bytes_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = files.filter(|file| file.path().extension().is_some_and(|e| e == "log"));
    logs.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
}
