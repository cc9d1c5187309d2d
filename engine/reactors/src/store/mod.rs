//! A rule's place in a partition, as rows of the log's database.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use daybook_follow::{Ask, Moved, Standing};
use daybook_kernel::{Instant, StreamId};
use daybook_log::{Log, LogError, PartitionLog};
use daybook_postgres::{Connector, Databases, Pool, Role, storable};
use deadpool_postgres::Client;
use tokio_postgres::{Row, Statement};

use crate::call::Notes;
use crate::{ReactorError, Rule};
use calls::Columns;
pub(crate) use calls::{CallRow, DeadlineRow, Kept, OpenRow, Stamped};

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(const $name: &str = include_str!(concat!("../sql/", $file));)*
    };
}

// Below the macro, which it uses too.
mod calls;

statements! {
    ASK = "ask.sql",
    BEGIN = "begin.sql",
    FREE = "free.sql",
    GIVE_UP = "give_up.sql",
    MARK = "mark.sql",
    PARK_AGAIN = "park_again.sql",
    READ_PARKED = "read_parked.sql",
    SAY = "say.sql",
    TAKE_OVER = "take_over.sql",
    WRITE = "write.sql",
}

/// Writes of several followers together may not take long: all of them wait for it.
/// Statements are look-ups by construction; the planner, seeing small tables, would scan them, and keep that plan while they grow.
const SETTINGS: &[(&str, &str)] = &[
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("statement_timeout", "800"),
    ("lock_timeout", "500"),
    ("idle_in_transaction_session_timeout", "30000"),
];
/// Longest wait for a connection of a pool.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections for the rows of rules, by the URL of the database; without a role they are the owner's.
pub(crate) fn pools<'a>(
    databases: &Databases,
    logs: impl IntoIterator<Item = &'a Log>,
    role: Option<Role>,
) -> Result<BTreeMap<String, Pool>, ReactorError> {
    let mut pools = BTreeMap::new();
    for log in logs {
        for n in 0..log.partitions() {
            if let Entry::Vacant(free) = pools.entry(log.partition(n.cast_signed())?.url().to_owned()) {
                let connector = Connector::new(free.key(), role, SETTINGS, "daybook reactors")?;
                free.insert(databases.pool(&connector, PATIENCE)?);
            }
        }
    }
    Ok(pools)
}

/// The marks of a reactor in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Behind the last event that was reacted to, and whose messages Kafka has acknowledged.
    pub(crate) next: i64,
    /// Everything before it has come to an end; at most `next`.
    pub(crate) settled: i64,
    /// Of the log, at `next`.
    pub(crate) epoch: i32,
    /// Raised by each takeover.
    pub(crate) term: i64,
}

/// A stream that waits behind an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParkedRow {
    pub(crate) stream: StreamId,
    /// Of the event: all from it on wait.
    pub(crate) version: i64,
    pub(crate) offset: i64,
    pub(crate) reason: String,
    pub(crate) parked_at: Instant,
    pub(crate) asked: Option<Ask>,
}

/// A reactor's rows of one partition.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) name: &'static str,
    pub(crate) partition: i32,
    schema: String,
    pub(crate) pool: Pool,
}

fn mark(row: &Row) -> Mark {
    Mark { next: row.get(0), settled: row.get(1), epoch: row.get(2), term: row.get(3) }
}

impl Store {
    pub(crate) fn new(name: &'static str, log: &PartitionLog, pool: Pool) -> Self {
        Self { name, partition: log.number(), schema: log.schema().to_owned(), pool }
    }

    /// Those of some rules, in each partition of the logs that they follow: for operators, a connection each.
    pub(crate) async fn of_rules<'r>(
        databases: &Databases,
        rules: impl IntoIterator<Item = &'r Rule>,
    ) -> Result<Vec<(Rule, Self)>, ReactorError> {
        let mut stores = Vec::new();
        for rule in rules {
            let log = Log::open(databases, rule.service(), Role::Writer).await?;
            let pools = pools(databases, [&log], Some(Role::Writer))?;
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                stores.push((rule.clone(), Self::new(rule.name(), &partition, pools[partition.url()].clone())));
            }
        }
        Ok(stores)
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        statement.replace("{schema}", &self.schema)
    }

    /// Whether it was new here.
    pub(crate) async fn begin(&self, at: i64, epoch: i32) -> Result<bool, ReactorError> {
        let rows = self.pool.get().await?.execute(&self.sql(BEGIN), &[&self.name, &self.partition, &at, &epoch]).await?;
        Ok(rows == 1)
    }

    pub(crate) async fn mark(&self) -> Result<Mark, ReactorError> {
        Ok(mark(&self.one(MARK).await?))
    }

    /// The same, as the other followers are asked for it.
    pub(crate) async fn standing(&self) -> Result<Standing, ReactorError> {
        let row = self.one(MARK).await?;
        let Mark { next, term, .. } = mark(&row);
        let alive_at = row.get::<_, Option<chrono::DateTime<chrono::Utc>>>(6).map(Into::into);
        Ok(Standing { next, term, given_up: row.get(4), owes: row.get(5), alive_at })
    }

    /// The holder says that it works on what it owes, unless it can't do it all, and whether the destination of its calls is given a rest.
    /// Answers the term that stands.
    pub(crate) async fn say(&self, term: i64, rests: bool, does_all: bool) -> Result<i64, ReactorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(SAY)).await?;
        Ok(client.query_one(&statement, &[&self.name, &self.partition, &term, &rests, &does_all]).await?.get(0))
    }

    pub(crate) async fn take_over(&self) -> Result<Mark, ReactorError> {
        Ok(mark(&self.one(TAKE_OVER).await?))
    }

    /// Nothing where another process has it.
    pub(crate) async fn give_up(&self, term: i64) -> Result<(), ReactorError> {
        self.pool.get().await?.execute(&self.sql(GIVE_UP), &[&self.name, &self.partition, &term]).await?;
        Ok(())
    }

    async fn one(&self, statement: &str) -> Result<Row, ReactorError> {
        let row = self.pool.get().await?.query_opt(&self.sql(statement), &[&self.name, &self.partition]).await?;
        row.ok_or_else(|| ReactorError::NotPrepared(self.name.to_owned()))
    }

    pub(crate) async fn prepare_write(&self, client: &Client) -> Result<Statement, ReactorError> {
        Ok(client.prepare_cached(&self.sql(WRITE)).await?)
    }

    /// Moves the marks from `from` to `to`, parks streams, and notes calls and what need not fire. It is sent when it is first polled.
    pub(crate) async fn write(
        &self,
        client: &Client,
        statement: &Statement,
        from: &Mark,
        to: &Mark,
        parked: &[ParkedRow],
        notes: &Notes,
    ) -> Result<Moved, tokio_postgres::Error> {
        let streams: Vec<&str> = parked.iter().map(|p| p.stream.as_str()).collect();
        let versions: Vec<i64> = parked.iter().map(|p| p.version).collect();
        let offsets: Vec<i64> = parked.iter().map(|p| p.offset).collect();
        let reasons: Vec<String> = parked.iter().map(|p| storable(&p.reason)).collect();
        let c = Columns::of(notes);
        let row = client
            .query_one(
                statement,
                &[
                    &self.name,
                    &self.partition,
                    &from.next,
                    &from.settled,
                    &from.term,
                    &to.next,
                    &to.settled,
                    &to.epoch,
                    &streams,
                    &versions,
                    &offsets,
                    &reasons,
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
        Ok(match (row.get(0), row.get(1)) {
            (_, true) => Moved::Yes,
            (true, false) => Moved::No,
            (false, false) => Moved::Locked,
        })
    }

    /// As [`write`](Self::write), in a transaction of its own.
    pub(crate) async fn write_alone(&self, from: &Mark, to: &Mark, parked: &[ParkedRow], notes: &Notes) -> Result<Moved, ReactorError> {
        let client = self.pool.get().await?;
        let statement = self.prepare_write(&client).await?;
        Ok(self.write(&client, &statement, from, to, parked, notes).await?)
    }

    pub(crate) async fn parked(&self) -> Result<Vec<ParkedRow>, ReactorError> {
        let rows = self.pool.get().await?.query(&self.sql(READ_PARKED), &[&self.name, &self.partition]).await?;
        let row = |row: &Row| {
            let stream: String = row.get(0);
            let stream = StreamId::parse(&stream).map_err(|why| LogError::Damaged(format!("a parked stream: {why}")))?;
            let parked_at = row.get::<_, chrono::DateTime<chrono::Utc>>(4).into();
            let asked = row.get::<_, Option<&str>>(5).and_then(Ask::parse);
            Ok(ParkedRow { stream, version: row.get(1), offset: row.get(2), reason: row.get(3), parked_at, asked })
        };
        rows.iter().map(row).collect()
    }

    /// False: another process has the partition.
    pub(crate) async fn free(&self, stream: &StreamId, term: i64) -> Result<bool, ReactorError> {
        let rows = self.pool.get().await?.execute(&self.sql(FREE), &[&self.name, &self.partition, &stream.as_str(), &term]).await?;
        Ok(rows == 1)
    }

    /// False: another process has the partition.
    pub(crate) async fn park_again(&self, row: &ParkedRow, term: i64) -> Result<bool, ReactorError> {
        let client = self.pool.get().await?;
        let reason = storable(&row.reason);
        let rows = client
            .execute(&self.sql(PARK_AGAIN), &[&self.name, &self.partition, &row.stream.as_str(), &term, &row.version, &row.offset, &reason])
            .await?;
        Ok(rows == 1)
    }

    /// False: the stream is not parked.
    pub(crate) async fn ask(&self, stream: &str, what: Ask) -> Result<bool, ReactorError> {
        let rows = self.pool.get().await?.execute(&self.sql(ASK), &[&self.name, &self.partition, &stream, &what.as_str()]).await?;
        Ok(rows == 1)
    }
}
