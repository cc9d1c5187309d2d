//! Open calls, as an operator sees them: what lookups still have to read, and effects to ask of the outside.

use daybook_kernel::Instant;
use daybook_postgres::Databases;
use uuid::Uuid;

use crate::store::{OpenRow, Store};
use crate::{ReactorError, Rule};

/// A call whose outcome the ledger has not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// The rule.
    pub rule: &'static str,
    /// `lookup` or `effect`.
    pub kind: &'static str,
    /// The service whose log holds the event that asks for it.
    pub service: String,
    /// The log partition of that event.
    pub partition: i32,
    /// Of that event.
    pub offset: i64,
    /// The service of the stream that hears the outcome.
    pub target_service: String,
    /// That stream. Its calls are done in the order of their events.
    pub target: String,
    /// The id of the command that will bring the outcome.
    pub outcome_id: Uuid,
    /// The full name of that command, once the outcome is kept: it is on its way to the ledger.
    pub outcome: Option<String>,
    /// How often the outside was called, or asked.
    pub calls: i32,
    /// Until when the last of these may be under way.
    pub called_until: Option<Instant>,
    /// Attempts that have failed.
    pub tries: i32,
    /// The reason of one of the last.
    pub failure: Option<String>,
}

/// The open calls of some rules.
pub struct OpenCalls(Vec<(Rule, Store)>);

impl OpenCalls {
    /// Those of the lookups and effects among these rules.
    ///
    /// # Errors
    /// When a database can't be reached, or was not migrated.
    pub async fn open(databases: &Databases, rules: &[Rule]) -> Result<Self, ReactorError> {
        let of = rules.iter().filter(|rule| matches!(rule, Rule::Lookup(_) | Rule::Effect(_)));
        Ok(Self(Store::of_rules(databases, of).await?))
    }

    /// The first `limit` of them, for one stream or for all: those that were tried most often first.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn list(&self, target: Option<&str>, limit: u32) -> Result<Vec<OpenCall>, ReactorError> {
        let mut all = Vec::new();
        for (rule, store) in &self.0 {
            let rows = store.open_calls(target, limit.into()).await?;
            all.extend(rows.into_iter().map(|row| of(rule, store, row)));
        }
        all.sort_by(|a, b| (b.tries, a.rule, a.partition, a.offset).cmp(&(a.tries, b.rule, b.partition, b.offset)));
        all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(all)
    }
}

fn of(rule: &Rule, store: &Store, row: OpenRow) -> OpenCall {
    let (_, offset, outcome_id) = row.at;
    OpenCall {
        rule: rule.name(),
        kind: rule.kind(),
        service: rule.service().to_owned(),
        partition: store.partition,
        offset,
        target_service: row.service,
        target: row.target,
        outcome_id,
        outcome: row.type_name,
        calls: row.calls,
        called_until: row.called_until,
        tries: row.tries,
        failure: row.failure,
    }
}
