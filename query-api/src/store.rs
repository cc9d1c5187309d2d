//! The read schema, as the query API sees it: under a role that reads read models, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_postgres::{Connector, Pool, Role};
use deadpool_postgres::Client;
use tokio_postgres::Row;

use crate::entry::Part;
use crate::flight::Snapshot;
use crate::hidden::Streams;
use crate::memory::Memory;
use crate::position::Position;
use crate::view::{Asked, View};
use crate::{QueryError, sql};

/// The statements are index look-ups by construction; the planner, seeing small tables, would scan them, and keep that
/// plan while they grow.
const SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_read_only", "on"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("statement_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "10000"),
];
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
    /// The statement that reads which streams show nothing.
    read_hidden: String,
}

impl Live {
    pub(crate) fn new(generation: i32, parts: &str) -> Self {
        let statements = [sql::READ_PARTS, sql::READ_LIST, sql::READ_FILL, sql::READ_HIDDEN];
        let [read_parts, read_list, read_fill, read_hidden] = statements.map(|s| sql::at(s, parts));
        Self { generation, parts: parts.to_owned(), read_parts, read_list, read_fill, read_hidden }
    }
}

/// How far one log partition has been folded.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    pub(crate) service: String,
    pub(crate) partition: i32,
    pub(crate) at: Position,
    /// Its streams that are parked and show nothing.
    pub(crate) hidden: Streams,
}

/// How far a generation has been folded, in order of service and partition.
pub(crate) type Checkpoints = Vec<Folded>;

/// Streams that show nothing which are read beside parts, as the statements have it.
const HIDDEN_BESIDE: usize = 100;

#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
}

impl Store {
    pub(crate) fn new(url: &str, connections: usize) -> Result<Self, QueryError> {
        let connector = Connector::new(url, Some(Role::Query), SETTINGS, "daybook query-api")?.within(PATIENCE, PATIENCE * 5);
        let pool = connector.pool(connections, PATIENCE)?;
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
        let hidden = vec![Streams::default(); memory.sources.len()];
        let mut snapshot = Snapshot { parts: Vec::with_capacity(rows.len().saturating_sub(1)), stamps: Vec::new(), hidden };
        let mut left_hidden = HIDDEN_BESIDE;
        let other = || QueryError::Checkpoints { model: memory.model.to_string(), generation: memory.live.generation };
        for row in &rows {
            let Some(part) = row.get::<_, Option<&str>>(0) else {
                let next: Vec<i64> = row.get::<_, Option<_>>(5).unwrap_or_default();
                let epochs: Vec<i32> = row.get::<_, Option<_>>(6).unwrap_or_default();
                snapshot.stamps = epochs.into_iter().zip(next).map(|(epoch, next)| Position::new(epoch, next)).collect();
                continue;
            };
            let source = memory.source(row.get(2), row.get(3)).ok_or_else(other)?;
            let Some(bytes) = row.get::<_, Option<&[u8]>>(1) else {
                snapshot.hidden[usize::from(source)].named.push(part.to_owned());
                left_hidden = left_hidden.saturating_sub(1);
                continue;
            };
            let Some(id) = view.part_id(row.get(7), part) else { continue };
            snapshot.parts.push(Arc::new(Part {
                id: (*id).into(),
                bytes: Bytes::copy_from_slice(bytes),
                source,
                stale: row.get::<_, Option<&str>>(4).map(Into::into),
            }));
        }
        if left_hidden == 0 {
            snapshot.hidden.iter_mut().for_each(|streams| streams.more = true);
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
    pub(crate) async fn checkpoints(&self, generations: &[(&str, &Live)]) -> Result<Vec<Checkpoints>, QueryError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::READ_CHECKPOINTS).await?;
        let (models, numbers): (Vec<&str>, Vec<i32>) = generations.iter().map(|(model, live)| (*model, live.generation)).unzip();
        let rows = client.query(&statement, &[&models, &numbers]).await?;
        let mut all = vec![Checkpoints::new(); generations.len()];
        let mut parked = vec![false; generations.len()];
        for row in rows {
            let Ok(of) = usize::try_from(row.get::<_, i64>(0)) else { continue };
            if let (Some(all), Some(parked)) = (all.get_mut(of), parked.get_mut(of)) {
                *parked = row.get(5);
                all.push(folded(&row, 1, Streams::default()));
            }
        }
        for (of, ((model, live), _)) in generations.iter().zip(parked).enumerate().filter(|(_, (_, parked))| *parked) {
            // Rare, and read again as a whole: the one snapshot has both.
            let statement = client.prepare_cached(&live.read_hidden).await?;
            let rows = client.query(&statement, &[model, &live.generation]).await?;
            all[of] = rows.iter().map(|row| folded(row, 0, row.get::<_, Option<Vec<String>>>(4).unwrap_or_default().into())).collect();
        }
        all.iter_mut().for_each(|of| of.sort_unstable_by(|a, b| (&a.service, a.partition).cmp(&(&b.service, b.partition))));
        Ok(all)
    }
}

/// A checkpoint's row, from a column on.
fn folded(row: &Row, from: usize, hidden: Streams) -> Folded {
    let at = Position::new(row.get(from + 3), row.get(from + 2));
    Folded { service: row.get(from), partition: row.get(from + 1), at, hidden }
}
