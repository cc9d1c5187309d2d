//! Calls that are open: pages that lookups still have to read, and what effects have to ask of the outside.

use std::fmt::{self, Display, Formatter};

use daybook_reactors::{OpenCall, OpenCalls};
use serde::Serialize;

use crate::operations::rules_of;
use crate::settings::Settings;

/// A call that is open.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    rule: &'static str,
    /// `lookup` or `effect`.
    kind: &'static str,
    /// `service stream` that will hear the outcome.
    target: String,
    /// `service/partition` of the event that asks for it.
    partition: String,
    /// Of that event.
    offset: i64,
    /// The id of the command that will bring the outcome.
    command_id: String,
    /// That command's full name, once the outcome is kept.
    outcome: Option<String>,
    /// How often the outside was called, or asked.
    calls: i32,
    /// Until when the last of these may be under way.
    called_until: Option<String>,
    /// Attempts that have failed.
    tries: i32,
    failure: Option<String>,
}

impl Entry {
    fn of(call: OpenCall) -> Self {
        Self {
            rule: call.rule,
            kind: call.kind,
            target: format!("{} {}", call.target_service, call.target),
            partition: format!("{}/{}", call.service, call.partition),
            offset: call.offset,
            command_id: call.outcome_id.to_string(),
            outcome: call.outcome,
            calls: call.calls,
            called_until: call.called_until.map(|at| at.to_string()),
            tries: call.tries,
            failure: call.failure,
        }
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {}  {}:{}", self.kind, self.rule, self.target, self.partition, self.offset)?;
        if let Some(until) = &self.called_until {
            write!(f, "  called {} times, the last until {until} at most", self.calls)?;
        }
        if let Some(outcome) = &self.outcome {
            write!(f, "  on its way: {outcome}")?;
        }
        match &self.failure {
            Some(failure) => write!(f, "  failed {} times: {failure}", self.tries),
            None => Ok(()),
        }
    }
}

/// Calls, the most tried first.
pub(crate) struct List(pub(crate) Vec<Entry>);

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|entry| writeln!(f, "{entry}"))?;
        writeln!(f, "{} calls", self.0.len())
    }
}

/// Those that are open, at most so many.
///
/// # Errors
/// Wrong usage, or a database that does not answer.
pub(crate) async fn list(settings: &Settings, service: Option<&str>, stream: Option<&str>, limit: u32) -> anyhow::Result<List> {
    let open = OpenCalls::open(&settings.databases()?, &rules_of(service)?).await?;
    Ok(List(open.list(stream, limit).await?.into_iter().map(Entry::of).collect()))
}
