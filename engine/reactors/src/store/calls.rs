//! The rows of calls.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_kernel::{Instant, ServiceMessage, StreamId};
use daybook_log::LogError;
use daybook_postgres::storable;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Store;
use crate::ReactorError;
use crate::call::{At, Notes};

statements! {
    ADD = "add_calls.sql",
    END = "end_calls.sql",
    HASTEN = "hasten.sql",
    KEEP_FAILURE = "keep_failure.sql",
    KEEP_OUTCOME = "keep_outcome.sql",
    LIST = "list_calls.sql",
    LIST_DEADLINES = "list_deadlines.sql",
    LIST_DEADLINES_OF_STREAM = "list_deadlines_of_stream.sql",
    NEVER_CALLED = "never_called.sql",
    NEXT_DUE = "next_due.sql",
    PASSED = "passed.sql",
    READ = "read_calls.sql",
    READ_HASTENED = "read_hastened.sql",
    STAMP = "stamp_call.sql",
    STILL_STAND = "still_stand.sql",
}

/// An open call, as its row has it.
pub(crate) struct CallRow {
    pub(crate) at: At,
    pub(crate) service: String,
    pub(crate) target: StreamId,
    /// The name of the deadline that it is.
    pub(crate) deadline: Option<String>,
    /// Type and bytes of the command, once there is an outcome.
    pub(crate) outcome: Option<(String, Vec<u8>)>,
    pub(crate) tries: i32,
}

/// A deadline, as an operator sees it.
pub(crate) struct DeadlineRow {
    pub(crate) at: At,
    pub(crate) service: String,
    pub(crate) target: String,
    pub(crate) deadline: String,
    pub(crate) source: String,
    pub(crate) type_name: String,
    pub(crate) hastened_at: Option<Instant>,
    pub(crate) tries: i32,
    pub(crate) failure: Option<String>,
}

/// A call that is open, as an operator sees it.
pub(crate) struct OpenRow {
    pub(crate) at: At,
    pub(crate) service: String,
    pub(crate) target: String,
    /// Of the outcome, once there is one.
    pub(crate) type_name: Option<String>,
    pub(crate) calls: i32,
    pub(crate) called_until: Option<Instant>,
    pub(crate) tries: i32,
    pub(crate) failure: Option<String>,
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

/// What has become of a call to the outside that was to be announced.
pub(crate) enum Stamped {
    /// It may be begun; its number, from 1.
    Yes(i32),
    /// Another one may be under way for so long.
    Waits(Duration),
    /// An outcome is kept: its type and bytes.
    Kept(String, Vec<u8>),
    /// The row has gone: the ledger has an outcome.
    Gone,
    /// Another process has the partition.
    Over,
}

/// What is to be noted, column by column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) offsets: Vec<i64>,
    pub(super) services: Vec<&'static str>,
    pub(super) targets: Vec<&'a str>,
    pub(super) outcome_ids: Vec<Uuid>,
    pub(super) due: Vec<DateTime<Utc>>,
    pub(super) deadlines: Vec<Option<&'a str>>,
    pub(super) sources: Vec<Option<&'a str>>,
    pub(super) types: Vec<Option<&'a str>>,
    pub(super) commands: Vec<Option<&'a [u8]>>,
    pub(super) disarmed_sources: Vec<&'a str>,
    pub(super) disarmed: Vec<&'a str>,
    pub(super) disarmed_before: Vec<i64>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(notes: &'a Notes) -> Self {
        let mut columns = Self::default();
        for call in &notes.calls {
            let (deadline, source) = call.deadline().map(|(name, source)| (name, source.as_str())).unzip();
            columns.offsets.push(call.event.offset);
            columns.services.push(call.service);
            columns.targets.push(call.target.as_str());
            columns.outcome_ids.push(call.outcome_id);
            columns.due.push(call.due_at.to_utc());
            columns.deadlines.push(deadline);
            columns.sources.push(source);
            columns.types.push(call.outcome.as_ref().map(|outcome| outcome.type_name));
            columns.commands.push(call.outcome.as_ref().map(|outcome| outcome.bytes.as_slice()));
        }
        for disarmed in &notes.disarmed {
            columns.disarmed_sources.push(disarmed.source.as_str());
            columns.disarmed.push(disarmed.deadline);
            columns.disarmed_before.push(disarmed.before);
        }
        columns
    }
}

fn time(row: &Row, column: &str) -> Instant {
    row.get::<_, DateTime<Utc>>(column).into()
}

fn place(row: &Row) -> At {
    (time(row, "due_at"), row.get("offset"), row.get("outcome_id"))
}

fn call(row: &Row) -> Result<CallRow, ReactorError> {
    let target: String = row.get("target");
    Ok(CallRow {
        at: place(row),
        service: row.get("service"),
        target: StreamId::parse(&target).map_err(|why| LogError::Damaged(format!("the target of a call: {why}")))?,
        deadline: row.get("deadline"),
        outcome: row.get::<_, Option<String>>("type").zip(row.get::<_, Option<Vec<u8>>>("command")),
        tries: row.get("tries"),
    })
}

fn deadline(row: &Row) -> DeadlineRow {
    DeadlineRow {
        at: place(row),
        service: row.get("service"),
        target: row.get("target"),
        deadline: row.get::<_, Option<String>>("deadline").unwrap_or_default(),
        source: row.get::<_, Option<String>>("source").unwrap_or_default(),
        type_name: row.get::<_, Option<String>>("type").unwrap_or_default(),
        hastened_at: row.get::<_, Option<DateTime<Utc>>>("hastened_at").map(Into::into),
        tries: row.get("tries"),
        failure: row.get("failure"),
    }
}

fn open_call(row: &Row) -> OpenRow {
    OpenRow {
        at: place(row),
        service: row.get("service"),
        target: row.get("target"),
        type_name: row.get("type"),
        calls: row.get("calls"),
        called_until: row.get::<_, Option<DateTime<Utc>>>("called_until").map(Into::into),
        tries: row.get("tries"),
        failure: row.get("failure"),
    }
}

/// Places, column by column.
fn places(calls: &[At]) -> (Vec<DateTime<Utc>>, Vec<i64>, Vec<Uuid>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (due_at, offset, id) in calls {
        columns.0.push(due_at.to_utc());
        columns.1.push(*offset);
        columns.2.push(*id);
    }
    columns
}

impl Store {
    /// Calls behind this place that are due by then, at most so many.
    pub(crate) async fn calls_after(&self, after: At, due_by: Instant, limit: i64) -> Result<Vec<CallRow>, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(READ)).await?;
        let (due_at, offset, id) = (after.0.to_utc(), after.1, after.2);
        let rows = client.query(&statement, &[&self.name, &self.partition, &due_at, &offset, &id, &due_by.to_utc(), &limit]).await?;
        rows.iter().map(call).collect()
    }

    /// When the first call behind this place is due; none: there is none.
    pub(crate) async fn next_due(&self, after: At) -> Result<Option<Instant>, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(NEXT_DUE)).await?;
        let row = client.query_opt(&statement, &[&self.name, &self.partition, &after.0.to_utc(), &after.1, &after.2]).await?;
        Ok(row.map(|row| time(&row, "due_at")))
    }

    /// Deadlines that an operator has hastened, at most so many.
    pub(crate) async fn hastened(&self, limit: i64) -> Result<Vec<CallRow>, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(READ_HASTENED)).await?;
        client.query(&statement, &[&self.name, &self.partition, &limit]).await?.iter().map(call).collect()
    }

    /// Notes that the deadlines of this name that a stream has armed are to fire now.
    pub(crate) async fn hasten(&self, source: &str, name: &str) -> Result<Vec<DeadlineRow>, ReactorError> {
        let client = self.pool.get().await?;
        let rows = client.query(&self.sql(HASTEN), &[&self.name, &self.partition, &source, &name]).await?;
        Ok(rows.iter().map(deadline).collect())
    }

    /// Deadlines that are due before then, of one stream or of all, at most so many, the first due first.
    pub(crate) async fn deadlines(&self, source: Option<&str>, before: Instant, limit: i64) -> Result<Vec<DeadlineRow>, ReactorError> {
        let client = self.pool.get().await?;
        let before = before.to_utc();
        let rows = match source {
            None => client.query(&self.sql(LIST_DEADLINES), &[&self.name, &self.partition, &before, &limit]).await?,
            Some(source) => {
                let values: [&(dyn ToSql + Sync); 5] = [&self.name, &self.partition, &before, &limit, &source];
                client.query(&self.sql(LIST_DEADLINES_OF_STREAM), &values).await?
            }
        };
        Ok(rows.iter().map(deadline).collect())
    }

    /// Open calls for one stream or for all, at most so many, those that were tried most often first.
    pub(crate) async fn open_calls(&self, target: Option<&str>, limit: i64) -> Result<Vec<OpenRow>, ReactorError> {
        let client = self.pool.get().await?;
        let rows = client.query(&self.sql(LIST), &[&self.name, &self.partition, &target, &limit]).await?;
        Ok(rows.iter().map(open_call).collect())
    }

    /// Whether no call to the outside was ever begun for this one; false also where another process has the partition.
    pub(crate) async fn was_never_called(&self, at: At, term: i64) -> Result<bool, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(NEVER_CALLED)).await?;
        let (due_at, offset, id) = (at.0.to_utc(), at.1, at.2);
        Ok(client.query_one(&statement, &[&self.name, &self.partition, &term, &due_at, &offset, &id]).await?.get(0))
    }

    /// False: another process has the partition.
    pub(crate) async fn add_calls(&self, notes: &Notes, term: i64) -> Result<bool, ReactorError> {
        let c = Columns::of(notes);
        let client = self.pool.get().await?;
        let row = client
            .query_one(
                &self.sql(ADD),
                &[
                    &self.name,
                    &self.partition,
                    &term,
                    &c.offsets,
                    &c.services,
                    &c.targets,
                    &c.outcome_ids,
                    &c.due,
                    &c.deadlines,
                    &c.sources,
                    &c.types,
                    &c.commands,
                    &c.disarmed_sources,
                    &c.disarmed,
                    &c.disarmed_before,
                ],
            )
            .await?;
        Ok(row.get(0))
    }

    /// Keeps an outcome, unless one was kept before.
    pub(crate) async fn keep_outcome(&self, at: At, outcome: &ServiceMessage, term: i64) -> Result<Kept, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(KEEP_OUTCOME)).await?;
        let (due_at, offset, id) = (at.0.to_utc(), at.1, at.2);
        let row = client
            .query_one(&statement, &[&self.name, &self.partition, &term, &due_at, &offset, &id, &outcome.type_name, &outcome.bytes])
            .await?;
        Ok(match (row.get(0), row.get::<_, Option<String>>(1).zip(row.get(2))) {
            (false, _) => Kept::Over,
            (true, None) => Kept::Gone,
            (true, Some((type_name, bytes))) => Kept::Stands(type_name, bytes),
        })
    }

    /// Announces a call to the outside that will be over in so long. `mine`: the number of the one that this holder has begun before.
    pub(crate) async fn stamp_call(&self, at: At, term: i64, until: Duration, mine: i32) -> Result<Stamped, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(STAMP)).await?;
        let (due_at, offset, id, seconds) = (at.0.to_utc(), at.1, at.2, until.as_secs_f64());
        let row = client.query_one(&statement, &[&self.name, &self.partition, &term, &due_at, &offset, &id, &seconds, &mine]).await?;
        if !row.get::<_, bool>(0) {
            return Ok(Stamped::Over);
        }
        if let Some(number) = row.get(1) {
            return Ok(Stamped::Yes(number));
        }
        if !row.get::<_, bool>(2) {
            return Ok(Stamped::Gone);
        }
        if let Some((type_name, bytes)) = row.get::<_, Option<String>>(3).zip(row.get(4)) {
            return Ok(Stamped::Kept(type_name, bytes));
        }
        // One that is over by now may be announced at the next attempt.
        let left = row.get::<_, Option<f64>>(5).unwrap_or_default().max(0.1);
        Ok(Stamped::Waits(Duration::try_from_secs_f64(left).unwrap_or(until)))
    }

    /// Those of some calls whose rows stand, by the ids of their outcomes; none: another process has the partition.
    pub(crate) async fn still_stand(&self, calls: &[At], term: i64) -> Result<Option<HashSet<Uuid>>, ReactorError> {
        let (due, offsets, ids) = places(calls);
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(STILL_STAND)).await?;
        let row = client.query_one(&statement, &[&self.name, &self.partition, &term, &due, &offsets, &ids]).await?;
        Ok(row.get::<_, bool>(0).then(|| row.get::<_, Vec<Uuid>>(1).into_iter().collect()))
    }

    /// False: another process has the partition.
    pub(crate) async fn keep_failure(&self, at: At, tries: i32, why: &str, term: i64) -> Result<bool, ReactorError> {
        let client = self.pool.get().await?;
        let (due_at, offset, id, why) = (at.0.to_utc(), at.1, at.2, storable(why));
        let rows =
            client.execute(&self.sql(KEEP_FAILURE), &[&self.name, &self.partition, &term, &due_at, &offset, &id, &tries, &why]).await?;
        Ok(rows == 1)
    }

    /// Nothing is left to do for these. Nothing where another process has the partition.
    pub(crate) async fn end_calls(&self, calls: &[At], term: i64) -> Result<(), ReactorError> {
        let (due, offsets, ids) = places(calls);
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(END)).await?;
        client.execute(&statement, &[&self.name, &self.partition, &term, &due, &offsets, &ids]).await?;
        Ok(())
    }

    /// How far some rules have come in the partitions of this store's database. A call that has failed so often is not waited for.
    pub(crate) async fn passed(&self, rules: &[&str], failed: i32) -> Result<Vec<(i32, i64)>, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(PASSED)).await?;
        Ok(client.query(&statement, &[&rules, &failed]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
