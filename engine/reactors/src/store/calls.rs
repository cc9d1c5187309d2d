//! The rows of calls.

use daybook_kernel::{ServiceMessage, StreamId};
use daybook_log::LogError;
use daybook_postgres::storable;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Store;
use crate::ReactorError;
use crate::call::Call;

statements! {
    ADD = "add_calls.sql",
    END = "end_calls.sql",
    KEEP_FAILURE = "keep_failure.sql",
    KEEP_OUTCOME = "keep_outcome.sql",
    READ = "read_calls.sql",
}

/// An open call, as its row has it.
pub(crate) struct CallRow {
    pub(crate) offset: i64,
    pub(crate) service: String,
    pub(crate) target: StreamId,
    pub(crate) outcome_id: Uuid,
    /// Type and bytes of the command, once there is an outcome.
    pub(crate) outcome: Option<(String, Vec<u8>)>,
    pub(crate) tries: i32,
}

/// What has become of an outcome that was to be kept.
pub(crate) enum Kept {
    /// Type and bytes of the one that is kept: this one, or the one before it.
    Stands(String, Vec<u8>),
    /// The row has gone: the ledger has an outcome.
    Gone,
    /// Another process has the partition.
    Over,
}

/// Calls, column by column.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) offsets: Vec<i64>,
    pub(crate) services: Vec<&'static str>,
    pub(crate) targets: Vec<String>,
    pub(crate) outcome_ids: Vec<Uuid>,
}

impl Columns {
    pub(crate) fn of(calls: &[Call]) -> Self {
        let mut columns = Self::default();
        for call in calls {
            columns.offsets.push(call.event.offset);
            columns.services.push(call.service);
            columns.targets.push(call.target.as_str().to_owned());
            columns.outcome_ids.push(call.outcome_id);
        }
        columns
    }
}

impl Store {
    /// Calls behind this place, at most so many.
    pub(crate) async fn calls_after(&self, after: (i64, Uuid), limit: i64) -> Result<Vec<CallRow>, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(READ)).await?;
        let rows = client.query(&statement, &[&self.name, &self.partition, &after.0, &after.1, &limit]).await?;
        let row = |row: &Row| {
            let target: String = row.get(2);
            let outcome = row.get::<_, Option<String>>(4).zip(row.get::<_, Option<Vec<u8>>>(5));
            Ok(CallRow {
                offset: row.get(0),
                service: row.get(1),
                target: StreamId::parse(&target).map_err(|why| LogError::Damaged(format!("the target of a call: {why}")))?,
                outcome_id: row.get(3),
                outcome,
                tries: row.get(6),
            })
        };
        rows.iter().map(row).collect()
    }

    /// False: another process has the partition.
    pub(crate) async fn add_calls(&self, calls: &[Call], term: i64) -> Result<bool, ReactorError> {
        let c = Columns::of(calls);
        let client = self.pool.get().await?;
        let row = client
            .query_one(&self.sql(ADD), &[&self.name, &self.partition, &term, &c.offsets, &c.services, &c.targets, &c.outcome_ids])
            .await?;
        Ok(row.get(0))
    }

    /// Keeps an outcome, unless one was kept before.
    pub(crate) async fn keep_outcome(&self, call: &Call, outcome: &ServiceMessage, term: i64) -> Result<Kept, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(KEEP_OUTCOME)).await?;
        let (offset, type_name) = (call.event.offset, outcome.type_name);
        let row = client
            .query_one(&statement, &[&self.name, &self.partition, &term, &offset, &call.outcome_id, &type_name, &outcome.bytes])
            .await?;
        Ok(match (row.get(0), row.get::<_, Option<String>>(1).zip(row.get(2))) {
            (false, _) => Kept::Over,
            (true, None) => Kept::Gone,
            (true, Some((type_name, bytes))) => Kept::Stands(type_name, bytes),
        })
    }

    /// False: another process has the partition.
    pub(crate) async fn keep_failure(&self, at: (i64, Uuid), tries: i32, why: &str, term: i64) -> Result<bool, ReactorError> {
        let client = self.pool.get().await?;
        let ((offset, outcome_id), why) = (at, storable(why));
        let rows =
            client.execute(&self.sql(KEEP_FAILURE), &[&self.name, &self.partition, &term, &offset, &outcome_id, &tries, &why]).await?;
        Ok(rows == 1)
    }

    /// Nothing is left to do for these. Nothing where another process has the partition.
    pub(crate) async fn end_calls(&self, calls: &[(i64, Uuid)], term: i64) -> Result<(), ReactorError> {
        let (offsets, ids): (Vec<i64>, Vec<Uuid>) = calls.iter().copied().unzip();
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(END)).await?;
        client.execute(&statement, &[&self.name, &self.partition, &offsets, &ids, &term]).await?;
        Ok(())
    }
}
