//! The read schema, as the query API sees it: under a role that reads read models, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls, Row};

use crate::entry::Part;
use crate::flight::Snapshot;
use crate::memory::Memory;
use crate::position::Position;
use crate::view::{Asked, View};
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
    /// The statements that read them: of one key, of a page, and those that fill items.
    pub(crate) read_parts: String,
    pub(crate) read_list: String,
    pub(crate) read_fill: String,
}

impl Live {
    pub(crate) fn new(generation: i32, parts: &str) -> Self {
        let [read_parts, read_list, read_fill] = [sql::READ_PARTS, sql::READ_LIST, sql::READ_FILL].map(|s| sql::at(s, parts));
        Self { generation, parts: parts.to_owned(), read_parts, read_list, read_fill }
    }
}

/// How far a generation has been folded: service, log partition and position, in order.
pub(crate) type Checkpoints = Vec<(String, i32, Position)>;

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
            Some((r.get(0), Live::new(r.get(1), parts)))
        });
        Ok(live.collect())
    }

    /// The parts of a view, and how far its generation had been folded then.
    pub(crate) async fn snapshot(&self, memory: &Memory, view: &View) -> Result<Snapshot, QueryError> {
        let rows = self.rows(memory, view).await?;
        let mut snapshot = Snapshot { parts: Vec::with_capacity(rows.len().saturating_sub(1)), stamps: Vec::new() };
        let other = || QueryError::Checkpoints { model: memory.model.to_string(), generation: memory.live.generation };
        for row in &rows {
            let Some(part) = row.get::<_, Option<&str>>(0) else {
                let next: Vec<i64> = row.get::<_, Option<_>>(5).unwrap_or_default();
                let epochs: Vec<i32> = row.get::<_, Option<_>>(6).unwrap_or_default();
                snapshot.stamps = epochs.into_iter().zip(next).map(|(epoch, next)| Position::new(epoch, next)).collect();
                continue;
            };
            let Some(id) = view.part_id(row.get(7), part) else { continue };
            snapshot.parts.push(Arc::new(Part {
                id: (*id).into(),
                bytes: Bytes::copy_from_slice(row.get(1)),
                source: memory.source(row.get(2), row.get(3)).ok_or_else(other)?,
                stale: row.get::<_, Option<&str>>(4).map(Into::into),
            }));
        }
        if snapshot.stamps.len() == memory.sources.len() { Ok(snapshot) } else { Err(other()) }
    }

    /// The rows of a view: one with the checkpoints, and one a part.
    async fn rows(&self, memory: &Memory, view: &View) -> Result<Vec<Row>, QueryError> {
        let (client, live) = (self.connection().await?, &memory.live);
        let (model, generation) = (&*memory.model, live.generation);
        let key = view.keys.first().map_or("", String::as_str);
        let rows = match view.asked() {
            Asked::All => client.query(&client.prepare_cached(&live.read_parts).await?, &[&key, &model, &generation]).await?,
            Asked::Page { after, limit } => {
                let statement = client.prepare_cached(&live.read_list).await?;
                client.query(&statement, &[&model, &generation, &key, &after, &limit]).await?
            }
            Asked::Beginning(prefix) => {
                let statement = client.prepare_cached(&live.read_fill).await?;
                client.query(&statement, &[&model, &generation, &view.keys, &prefix]).await?
            }
        };
        Ok(rows)
    }

    /// How far generations have been folded, in the order that they were asked for.
    pub(crate) async fn checkpoints(&self, generations: &[(&str, i32)]) -> Result<Vec<Checkpoints>, QueryError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::READ_CHECKPOINTS).await?;
        let (models, numbers): (Vec<&str>, Vec<i32>) = generations.iter().copied().unzip();
        let rows = client.query(&statement, &[&models, &numbers]).await?;
        let mut all = vec![Checkpoints::new(); generations.len()];
        for row in rows {
            if let Some(of) = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|i| all.get_mut(i)) {
                of.push((row.get(1), row.get(2), Position::new(row.get(4), row.get(3))));
            }
        }
        all.iter_mut().for_each(|of| of.sort_unstable());
        Ok(all)
    }
}
