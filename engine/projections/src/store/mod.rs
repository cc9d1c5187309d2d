//! The read schema, as projectors see it.

mod generations;
mod parked;
mod pushed;

use std::collections::{BTreeSet, HashMap};

use daybook_follow::Moved;
use daybook_kernel::StreamId;
use daybook_postgres::{Connector, Databases, Pool, Role, storable};
use tokio_postgres::{Row, Statement};

use crate::batch::{Before, Change, Changes, Skipped};
use crate::generation::Generation;
use crate::{ProjectorError, rows, sql};

pub(crate) use parked::{Retried, StreamToRetry, WrittenPart};

/// The statements are index look-ups by construction; the planner, seeing small tables, would scan them, and keep that
/// plan while they grow. No parameter could make another plan better, and planning a batch's statement costs as much as a small batch:
/// it is planned once a connection.
const SETTINGS: &[(&str, &str)] = &[
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "30000"),
];
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Writes of several followers together may not take long: all of them wait for it.
const TOGETHER: (&str, &str) = ("statement_timeout", "800");
const ALONE: (&str, &str) = ("statement_timeout", "60000");

/// The read models' database, under the projectors' role.
#[derive(Clone)]
pub struct ReadStore {
    pool: Pool,
    together: Pool,
}

/// One partition of one generation's sources: the place of a checkpoint.
pub(crate) struct CheckpointKey<'a> {
    pub(crate) projection: &'a str,
    pub(crate) generation: &'a Generation,
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    /// As it was read: another one means that another holder has it now.
    pub(crate) term: i64,
}

/// The place that a partition is folded to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) next: i64,
    pub(crate) epoch: i32,
    /// Everything before it is pushed and acknowledged.
    pub(crate) pushed: i64,
    /// Raised by each takeover.
    pub(crate) term: i64,
    /// Whether its last holder has given it up, and nobody has taken it over since.
    pub(crate) given_up: bool,
}

/// A checkpoint's move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) epoch: i32,
    /// The offset that Kafka has acknowledged up to, where anything is pushed.
    pub(crate) pushed: Option<i64>,
}

fn pool(databases: &Databases, timeout: (&str, &str)) -> Result<Pool, ProjectorError> {
    let settings = [SETTINGS, &[timeout]].concat();
    let connector = Connector::new(databases.read_url(), Some(Role::Projector), &settings, "daybook projector")?;
    Ok(databases.pool(&connector, PATIENCE)?)
}

/// Version and bytes of the views that are kept in these parts' rows.
fn views_in_parts<'a>(parts: impl Iterator<Item = &'a Change>) -> (Vec<Option<i64>>, Vec<Option<&'a [u8]>>) {
    parts.map(|c| (c.view.as_ref().map(|v| v.version), c.view.as_ref().and_then(|v| v.bytes.as_deref()))).unzip()
}

/// The views that have rows of their own, a column each.
struct ViewArrays<'a> {
    streams: Vec<&'a str>,
    offsets: Vec<i64>,
    versions: Vec<i64>,
    views: Vec<&'a [u8]>,
}

fn views_apart(changes: &Changes) -> ViewArrays<'_> {
    let apart = || changes.views.iter().filter_map(|v| v.bytes.as_deref().map(|bytes| (v, bytes)));
    let (streams, offsets) = apart().map(|(v, _)| (v.stream.as_str(), v.offset)).unzip();
    let (versions, views) = apart().map(|(v, bytes)| (v.version, bytes)).unzip();
    ViewArrays { streams, offsets, versions, views }
}

fn moved(row: &Row) -> Moved {
    match (row.get(0), row.get(1)) {
        (_, true) => Moved::Yes,
        (true, false) => Moved::No,
        (false, false) => Moved::Locked,
    }
}

impl ReadStore {
    /// Over connections that the process shares, made when they are first needed.
    ///
    /// # Errors
    /// When the URL is not valid.
    pub fn new(databases: &Databases) -> Result<Self, ProjectorError> {
        Ok(Self { pool: pool(databases, ALONE)?, together: pool(databases, TOGETHER)? })
    }

    /// Connections for the writes of several followers together.
    pub fn together(&self) -> Pool {
        self.together.clone()
    }

    pub(crate) async fn client(&self) -> Result<deadpool_postgres::Client, ProjectorError> {
        Ok(self.pool.get().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), ProjectorError> {
        self.pool.get().await?.simple_query("SELECT 1").await?;
        Ok(())
    }

    /// A checkpoint.
    pub(crate) async fn checkpoint(&self, at: &CheckpointKey<'_>) -> Result<Checkpoint, ProjectorError> {
        self.one_checkpoint(at, sql::READ_CHECKPOINT).await
    }

    /// Takes a checkpoint over from any holder.
    pub(crate) async fn take_over(&self, at: &CheckpointKey<'_>) -> Result<Checkpoint, ProjectorError> {
        self.one_checkpoint(at, sql::TAKE_OVER).await
    }

    /// Gives a checkpoint up, if it is still this holder's.
    pub(crate) async fn give_up(&self, at: &CheckpointKey<'_>) -> Result<(), ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::GIVE_UP).await?;
        client.execute(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition, &at.term]).await?;
        Ok(())
    }

    async fn one_checkpoint(&self, at: &CheckpointKey<'_>, statement: &str) -> Result<Checkpoint, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(statement).await?;
        let row = client.query_opt(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition]).await?;
        row.map(|r| Checkpoint { next: r.get(0), epoch: r.get(1), pushed: r.get(2), term: r.get(3), given_up: r.get(4) })
            .ok_or_else(|| ProjectorError::NotPrepared(at.projection.to_owned()))
    }

    /// The streams of a partition that are parked, and those of them that show nothing.
    pub(crate) async fn parked(&self, at: &CheckpointKey<'_>) -> Result<(BTreeSet<String>, BTreeSet<String>), ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&sql::at(sql::READ_PARKED, &at.generation.parts)).await?;
        let rows = client.query(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition]).await?;
        let hidden = rows.iter().filter(|r| !r.get::<_, bool>(1)).map(|r| r.get(0)).collect();
        Ok((rows.iter().map(|r| r.get(0)).collect(), hidden))
    }

    /// The events of a partition that are passed over.
    pub(crate) async fn skipped(&self, at: &CheckpointKey<'_>) -> Result<Skipped, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::READ_SKIPPED).await?;
        let mut skipped = Skipped::default();
        for row in client.query(&statement, &[&at.projection, &at.service, &at.partition]).await? {
            skipped.add(row.get(0), row.get(1));
        }
        Ok(skipped)
    }

    /// The views of these streams, in one query; of a stream without events there is none.
    pub(crate) async fn views(&self, at: &CheckpointKey<'_>, streams: &[StreamId]) -> Result<HashMap<StreamId, Before>, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&at.generation.read_views).await?;
        let ids: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
        let rows = client.query(&statement, &[&at.service, &ids]).await?;
        let mut stored: HashMap<&str, Before> =
            rows.iter().map(|r| (r.get(0), Before::Stored { version: r.get(1), bytes: r.get(2) })).collect();
        Ok(streams.iter().filter_map(|s| stored.remove(s.as_str()).map(|view| (s.clone(), view))).collect())
    }

    /// Writes a batch in a transaction of its own, and moves the checkpoint, both or neither.
    pub(crate) async fn write(&self, at: &CheckpointKey<'_>, by: Move, changes: &Changes) -> Result<Moved, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&at.generation.write_batch).await?;
        Ok(Self::execute_batch(&client, &statement, at, by, changes).await?)
    }

    /// As [`execute_batch`](Self::execute_batch), where the batch only changes rows that are there. It fails where one is not.
    pub(crate) async fn execute_known(
        client: &tokio_postgres::Client,
        statement: &Statement,
        at: &CheckpointKey<'_>,
        by: Move,
        changes: &Changes,
    ) -> Result<Moved, tokio_postgres::Error> {
        let parts = &changes.parts;
        let (keys, ids): (Vec<&str>, Vec<&str>) = parts.keys().map(|(key, part)| (key.as_str(), part.as_str())).unzip();
        let (streams, offsets): (Vec<&str>, Vec<i64>) = parts.values().map(|c| (c.stream.as_str(), c.offset)).unzip();
        let bytes: Vec<Option<&[u8]>> = parts.values().map(|c| c.bytes.as_deref()).collect();
        let (part_versions, part_views) = views_in_parts(parts.values());
        let columns = rows::columns(at.generation.rows.as_deref(), bytes.iter().copied());
        let ViewArrays { streams: view_streams, offsets: view_offsets, versions, views } = views_apart(changes);
        let row = client
            .query_one(
                statement,
                &rows::with_columns(
                    &[
                        &at.projection,
                        &at.generation.number,
                        &at.service,
                        &at.partition,
                        &by.from,
                        &by.to,
                        &by.epoch,
                        &by.pushed,
                        &at.term,
                        &keys,
                        &ids,
                        &bytes,
                        &streams,
                        &offsets,
                        &view_streams,
                        &view_offsets,
                        &versions,
                        &views,
                        &part_versions,
                        &part_views,
                    ],
                    &columns,
                ),
            )
            .await?;
        Ok(moved(&row))
    }

    /// Writes a batch and moves the checkpoint, both or neither. It is sent when it is first polled.
    ///
    /// By arrays, whatever its size: `COPY` into tables of the transaction, and a statement that takes the rows from there, was
    /// measured beside it with 100, 1,000 and 10,000 parts, and gains nothing that would be worth a second way
    /// (`scripts/bench batches`; the numbers stand in docs/rebuild.md).
    pub(crate) async fn execute_batch(
        client: &tokio_postgres::Client,
        statement: &Statement,
        at: &CheckpointKey<'_>,
        by: Move,
        changes: &Changes,
    ) -> Result<Moved, tokio_postgres::Error> {
        let removed = || changes.parts.iter().filter(|(_, c)| c.bytes.is_none());
        let written = || changes.parts.iter().filter_map(|(place, c)| c.bytes.as_deref().map(|bytes| (place, c, bytes)));
        let (gone_keys, gone_parts): (Vec<&str>, Vec<&str>) = removed().map(|((k, p), _)| (k.as_str(), p.as_str())).unzip();
        let (gone_streams, gone_offsets): (Vec<&str>, Vec<i64>) = removed().map(|(_, c)| (c.stream.as_str(), c.offset)).unzip();
        let (keys, parts): (Vec<&str>, Vec<&str>) = written().map(|((k, p), ..)| (k.as_str(), p.as_str())).unzip();
        let bytes: Vec<&[u8]> = written().map(|(.., bytes)| bytes).collect();
        let (streams, offsets): (Vec<&str>, Vec<i64>) = written().map(|(_, c, _)| (c.stream.as_str(), c.offset)).unzip();
        let (new_keys, new_streams): (Vec<&str>, Vec<&str>) = changes.writers.iter().map(|(k, s)| (k.as_str(), s.as_str())).unzip();
        let (part_versions, part_views) = views_in_parts(written().map(|(_, c, _)| c));
        let columns = rows::columns(at.generation.rows.as_deref(), bytes.iter().copied().map(Some));
        let ViewArrays { streams: view_streams, offsets: view_offsets, versions, views } = views_apart(changes);
        let in_parts: Vec<&str> = changes.views.iter().filter(|v| v.bytes.is_none()).map(|v| v.stream.as_str()).collect();
        let stopped = &changes.stopped;
        let (stopped_streams, stopped_offsets): (Vec<&str>, Vec<i64>) = stopped.iter().map(|s| (s.stream.as_str(), s.offset)).unzip();
        let reasons: Vec<String> = stopped.iter().map(|s| storable(&s.reason)).collect();
        let row = client
            .query_one(
                statement,
                &rows::with_columns(
                    &[
                        &at.projection,
                        &at.generation.number,
                        &at.service,
                        &at.partition,
                        &by.from,
                        &by.to,
                        &by.epoch,
                        &by.pushed,
                        &gone_keys,
                        &gone_parts,
                        &gone_streams,
                        &gone_offsets,
                        &keys,
                        &parts,
                        &bytes,
                        &streams,
                        &offsets,
                        &new_keys,
                        &new_streams,
                        &view_streams,
                        &view_offsets,
                        &versions,
                        &views,
                        &stopped_streams,
                        &stopped_offsets,
                        &reasons,
                        &at.term,
                        &part_versions,
                        &part_views,
                        &in_parts,
                    ],
                    &columns,
                ),
            )
            .await?;
        Ok(moved(&row))
    }
}
