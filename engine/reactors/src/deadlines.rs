//! Deadlines, as an operator sees and hastens them.

use daybook_kernel::Instant;
use daybook_log::Log;
use daybook_postgres::{Databases, Role};
use uuid::Uuid;

use crate::store::{DeadlineRow, Store, pools};
use crate::{ReactorError, Rule};

/// A deadline that has been armed, and whose command has no result yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmedDeadline {
    /// The rule.
    pub rule: &'static str,
    /// Its name, for example `payment`.
    pub name: String,
    /// When.
    pub due_at: Instant,
    /// The service whose log holds the event that armed it.
    pub service: String,
    /// The log partition of that event.
    pub partition: i32,
    /// Of that event.
    pub offset: i64,
    /// The stream that armed it.
    pub stream: String,
    /// The service of the stream that gets its command.
    pub target_service: String,
    /// That stream.
    pub target: String,
    /// The command's full name.
    pub command: String,
    /// The id of its command, whoever fires it.
    pub command_id: Uuid,
    /// When an operator has hastened it.
    pub hastened_at: Option<Instant>,
    /// Attempts at sending it that have failed.
    pub tries: i32,
    /// The reason of the last of them.
    pub failure: Option<String>,
}

/// The deadlines of some rules.
pub struct ArmedDeadlines(Vec<(Rule, Store)>);

impl ArmedDeadlines {
    /// Those of these rules; of rules of other kinds none.
    ///
    /// # Errors
    /// When a database can't be reached, or was not migrated.
    pub async fn open(databases: &Databases, rules: &[Rule]) -> Result<Self, ReactorError> {
        let mut stores = Vec::new();
        for rule in rules.iter().filter(|rule| matches!(rule, Rule::Deadlines(_))) {
            let log = Log::open(databases, rule.service(), Role::Writer).await?;
            let pools = pools(databases, [&log], Some(Role::Writer))?;
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                stores.push((rule.clone(), Store::new(rule.name(), &partition, pools[partition.url()].clone())));
            }
        }
        Ok(Self(stores))
    }

    /// The first `limit` of those that are due before then, of one stream or of all.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn list(&self, stream: Option<&str>, due_before: Instant, limit: u32) -> Result<Vec<ArmedDeadline>, ReactorError> {
        let mut all = Vec::new();
        for (rule, store) in &self.0 {
            let rows = store.deadlines(stream, due_before, limit.into()).await?;
            all.extend(rows.into_iter().map(|row| of(rule, store, row)));
        }
        all.sort_by(|a, b| (a.due_at, &a.stream, &a.name).cmp(&(b.due_at, &b.stream, &b.name)));
        all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(all)
    }

    /// Asks the process that has its partition to fire a stream's deadline of this name now, under the same id. Answers which; none: the
    /// stream has not armed it, or it has come to its end.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn hasten(&self, stream: &str, name: &str) -> Result<Vec<ArmedDeadline>, ReactorError> {
        let mut hastened = Vec::new();
        for (rule, store) in &self.0 {
            hastened.extend(store.hasten(stream, name).await?.into_iter().map(|row| of(rule, store, row)));
        }
        Ok(hastened)
    }
}

fn of(rule: &Rule, store: &Store, row: DeadlineRow) -> ArmedDeadline {
    let (due_at, offset, command_id) = row.at;
    ArmedDeadline {
        rule: rule.name(),
        name: row.deadline,
        due_at,
        service: rule.service().to_owned(),
        partition: store.partition,
        offset,
        stream: row.source,
        target_service: row.service,
        target: row.target,
        command: row.type_name,
        command_id,
        hastened_at: row.hastened_at,
        tries: row.tries,
        failure: row.failure,
    }
}
