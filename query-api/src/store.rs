//! The read schema, as the query API sees it: under a role that reads read models, and nothing else.

use std::time::Duration;

use daybook_kernel::ConsistencyToken;
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls};

use crate::{QueryError, sql};

/// The statements are index look-ups by construction; the planner, seeing small tables, would scan them, and keep that
/// plan while they grow.
const SETTINGS: &str = "-c role=daybook_query -c default_transaction_read_only=on -c enable_seqscan=off -c enable_hashjoin=off \
                        -c enable_mergejoin=off -c enable_bitmapscan=off -c jit=off -c statement_timeout=10000 -c idle_in_transaction_session_timeout=10000";
/// How long a request waits for a connection: longer, and the client had better ask again.
const PATIENCE: Duration = Duration::from_secs(2);

/// A generation that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) generation: i32,
    /// The table of its parts.
    pub(crate) parts: String,
    /// The statement that reads its parts.
    pub(crate) read_parts: String,
}

/// The place of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) projection: String,
    pub(crate) generation: i32,
    pub(crate) service: String,
    pub(crate) partition: i32,
}

/// Where a checkpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) next: i64,
    pub(crate) epoch: i32,
}

/// All parts of one key, merged.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// The parts' bytes, one after the other: a message.
    pub(crate) bytes: Vec<u8>,
    /// The parts' ids, in order.
    pub(crate) parts: Vec<String>,
    /// How far the partitions that the parts come from had been folded, in order, each once.
    pub(crate) positions: Vec<ConsistencyToken>,
}

#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
}

impl Store {
    pub(crate) fn new(url: &str, connections: usize) -> Result<Self, QueryError> {
        let mut config: Config = url.parse().map_err(|_| {
            QueryError::Configuration(
                "the read models' database URL is not valid: it must be postgres://user:password@host:port/database".to_owned(),
            )
        })?;
        let options = format!("{} {SETTINGS}", config.get_options().unwrap_or_default());
        config.options(options.trim());
        config.application_name("daybook query-api");
        config.connect_timeout(PATIENCE);
        config.keepalives_idle(PATIENCE * 5);
        config.tcp_user_timeout(PATIENCE * 5);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            .wait_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| QueryError::Pool(e.to_string()))?;
        Ok(Self { pool })
    }

    /// A connection, waited for a moment.
    pub(crate) async fn connection(&self) -> Result<Client, QueryError> {
        Ok(self.pool.get().await?)
    }

    /// The live generation of every read model.
    pub(crate) async fn live(&self) -> Result<Vec<(String, Live)>, QueryError> {
        let rows = self.pool.get().await?.query(sql::LIVE_GENERATIONS, &[]).await?;
        // The table's check lets no other names in; a statement is not made of anything else.
        let plain = |parts: &&str| parts.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let live = rows.iter().filter_map(|r| {
            let parts = Some(r.get::<_, &str>(2)).filter(plain)?;
            let read_parts = sql::at(sql::READ_PARTS, parts);
            Some((r.get(0), Live { generation: r.get(1), parts: parts.to_owned(), read_parts }))
        });
        Ok(live.collect())
    }

    /// The parts of a key.
    pub(crate) async fn parts(&self, projection: &str, live: &Live, key: &str) -> Result<Merged, QueryError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&live.read_parts).await?;
        let rows = client.query(&statement, &[&key, &projection, &live.generation]).await?;
        let mut merged = Merged { bytes: Vec::with_capacity(rows.iter().map(|r| r.get::<_, &[u8]>(1).len()).sum()), ..Merged::default() };
        for row in &rows {
            merged.parts.push(row.get(0));
            merged.bytes.extend_from_slice(row.get(1));
            merged.positions.push(ConsistencyToken {
                service: row.get(2),
                partition: row.get(3),
                offset: row.get::<_, i64>(4) - 1,
                epoch: row.get(5),
            });
        }
        merged.positions.sort_unstable();
        merged.positions.dedup();
        Ok(merged)
    }

    /// Where checkpoints stand, in the order of `places`; none where there is no such checkpoint.
    pub(crate) async fn positions(&self, places: &[Place]) -> Result<Vec<Option<Standing>>, QueryError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::READ_POSITIONS).await?;
        let projections: Vec<&str> = places.iter().map(|p| p.projection.as_str()).collect();
        let generations: Vec<i32> = places.iter().map(|p| p.generation).collect();
        let services: Vec<&str> = places.iter().map(|p| p.service.as_str()).collect();
        let partitions: Vec<i32> = places.iter().map(|p| p.partition).collect();
        let rows = client.query(&statement, &[&projections, &generations, &services, &partitions]).await?;
        let mut found = vec![None; places.len()];
        for row in rows {
            let slot = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|i| found.get_mut(i));
            if let Some(slot) = slot {
                *slot = Some(Standing { next: row.get(1), epoch: row.get(2) });
            }
        }
        Ok(found)
    }
}
