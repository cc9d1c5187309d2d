//! Deadlines: commands that wait for their time.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use daybook_kernel::Instant as Moment;
use daybook_reactors::{ArmedDeadline, ArmedDeadlines, Rule};
use serde::Serialize;

use crate::operations::rules_of;
use crate::roles::rules;
use crate::settings::{Settings, or_none, usage};

/// Later than any deadline.
const NEVER: Moment = Moment::from_micros(253_402_300_800_000_000);
/// Between two looks whether one has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A deadline that is armed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// As `deadlines fire` takes it, with stream and name.
    rule: &'static str,
    /// That armed it.
    stream: String,
    name: String,
    due_at: String,
    /// `service/partition` of the event that armed it.
    partition: String,
    /// Of that event.
    offset: i64,
    /// `service stream` that gets its command.
    target: String,
    /// The command's full name.
    command: String,
    /// The same whoever fires it.
    command_id: String,
    /// Where an operator has hastened it.
    hastened_at: Option<String>,
    /// Attempts that have failed.
    tries: i32,
    failure: Option<String>,
}

impl Entry {
    fn of(armed: &ArmedDeadline) -> Self {
        Self {
            rule: armed.rule,
            stream: armed.stream.clone(),
            name: armed.name.clone(),
            due_at: armed.due_at.to_string(),
            partition: format!("{}/{}", armed.service, armed.partition),
            offset: armed.offset,
            target: format!("{} {}", armed.target_service, armed.target),
            command: armed.command.clone(),
            command_id: armed.command_id.to_string(),
            hastened_at: armed.hastened_at.map(|at| at.to_string()),
            tries: armed.tries,
            failure: armed.failure.clone(),
        }
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {} {} {}  {} to {}", self.due_at, self.rule, self.stream, self.name, self.command, self.target)?;
        if let Some(at) = &self.hastened_at {
            write!(f, "  hastened {at}")?;
        }
        match &self.failure {
            Some(failure) => write!(f, "  failed {} times: {failure}", self.tries),
            None => Ok(()),
        }
    }
}

/// Deadlines, the first due first.
pub(crate) struct List(pub(crate) Vec<Entry>);

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|entry| writeln!(f, "{entry}"))?;
        writeln!(f, "{} deadlines", self.0.len())
    }
}

/// Those that are armed, at most so many.
///
/// # Errors
/// Wrong usage, or a database that does not answer.
pub(crate) async fn list(
    settings: &Settings,
    service: Option<&str>,
    stream: Option<&str>,
    due_before: Option<Moment>,
    limit: u32,
) -> anyhow::Result<List> {
    let armed = ArmedDeadlines::open(&settings.databases()?, &rules_of(service)?).await?;
    Ok(List(armed.list(stream, due_before.unwrap_or(NEVER), limit).await?.iter().map(Entry::of).collect()))
}

/// The end of a request to fire a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Its command has a result.
    Fired,
    /// No process has done it in time; it stays asked for.
    Unanswered,
}

/// A deadline that was hastened, and what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hastened {
    #[serde(flatten)]
    entry: Entry,
    outcome: Outcome,
}

/// All that were hastened at once: several events may have armed deadlines of one name.
pub(crate) struct Fired(pub(crate) Vec<Hastened>);

impl Fired {
    /// Whether one has not been fired yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.0.iter().any(|hastened| hastened.outcome == Outcome::Unanswered)
    }
}

impl Display for Fired {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|Hastened { entry, outcome }| {
            let what = match outcome {
                Outcome::Fired => "was fired",
                Outcome::Unanswered => "is not fired yet",
            };
            writeln!(
                f,
                "{} {} {}, due {}, {what}: {} {}",
                entry.rule, entry.stream, entry.name, entry.due_at, entry.command, entry.command_id
            )
        })
    }
}

/// Asks the process that has a stream's deadline to fire it now, and waits until its command has a result. `asked` is told who was asked.
///
/// # Errors
/// Wrong usage: no such rule, or nothing is armed. Or a database that does not answer.
pub(crate) async fn fire(
    settings: &Settings,
    rule: &str,
    stream: &str,
    name: &str,
    wait: Duration,
    asked: impl Fn(String),
) -> anyhow::Result<Fired> {
    let known: Vec<Rule> = rules().into_iter().filter(|rule| matches!(rule, Rule::Deadlines(_))).collect();
    let Some(found) = known.iter().find(|known| known.name() == rule) else {
        let names: Vec<&str> = known.iter().map(Rule::name).collect();
        return Err(usage(format!("this build has no deadlines {rule:?}; it has {}", or_none(&names))));
    };
    let armed = ArmedDeadlines::open(&settings.databases()?, std::slice::from_ref(found)).await?;
    let hastened = armed.hasten(stream, name).await?;
    if hastened.is_empty() {
        return Err(usage(format!("{rule}: {stream} has armed no deadline {name:?}: `daybook deadlines list` shows what is armed")));
    }
    asked(format!("asked the command handlers to fire {name} of {stream}; waiting up to {} s", wait.as_secs()));
    let until = Instant::now() + wait;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let left = armed.list(Some(stream), NEVER, u32::MAX).await?;
        let is_left = |one: &ArmedDeadline| left.iter().any(|left| left.command_id == one.command_id);
        if !hastened.iter().any(is_left) || Instant::now() > until {
            let outcome = |one| if is_left(one) { Outcome::Unanswered } else { Outcome::Fired };
            return Ok(Fired(hastened.iter().map(|one| Hastened { entry: Entry::of(one), outcome: outcome(one) }).collect()));
        }
    }
}
