//! One command, a thousand times at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Fault, Field, Struck, provoke};
use crate::history::{Answer, Command};

const REPEATS: usize = 1_000;
/// The longest that it may take until all of them have their answer; in company nothing may be answered for half of that.
const ANSWERED: Duration = Duration::from_secs(60);
/// The rest of those that were sent away, or have no answer.
const REST: Duration = Duration::from_millis(500);

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("thousand-repeats", "a new command, a thousand times at once, over every endpoint", 20, |f| Box::pin(repeat(f)))]
}

/// It happened, once, when all thousand have the result of one and the same command.
async fn repeat(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let command = field.new_command();
    // Each is a client of its own, who asks one thing at a time.
    let mut waiting: Vec<u32> = std::iter::repeat_with(provoke::client).take(REPEATS).collect();
    let (mut said, mut ids) = (BTreeMap::<&str, u64>::new(), BTreeSet::new());
    let end = Instant::now() + ANSWERED;
    let mut rounds = 0;
    while !waiting.is_empty() && Instant::now() < end {
        if rounds > 0 {
            tokio::time::sleep(REST).await;
        }
        rounds += 1;
        let mut without = Vec::new();
        for (client, told) in ask(&field, &command, waiting).await? {
            *said.entry(word(&told)).or_default() += 1;
            match told {
                Answer::Done { command_id, .. } => drop(ids.insert(command_id)),
                Answer::Shed { .. } | Answer::Accepted { .. } | Answer::Unknown { .. } => without.push(client),
                told => anyhow::bail!("a repeat of a command that can't be refused was told {told:?}"),
            }
        }
        waiting = without;
    }
    let struck = Struck::times(1);
    let counts: Vec<String> = said.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let counts = format!("{} in {rounds} rounds", counts.join(", "));
    anyhow::ensure!(waiting.is_empty(), "{} of {REPEATS} have no result after {ANSWERED:?}: {counts}", waiting.len());
    anyhow::ensure!(ids.len() == 1, "one command has several ids, {ids:?}: {counts}");
    Ok(struck.note(counts))
}

/// All of them at once, over every endpoint that there is now; what each was told.
async fn ask(field: &Field<'_>, command: &Command, clients: Vec<u32>) -> anyhow::Result<Vec<(u32, Answer)>> {
    let handlers = field.cluster.handlers();
    anyhow::ensure!(!handlers.is_empty(), "there is no endpoint");
    let mut asking = JoinSet::new();
    for (client, member) in clients.into_iter().zip(handlers.iter().cycle()) {
        let (http, command, at) = (field.http.clone(), command.clone(), member.server());
        asking.spawn(async move { (client, http.command(client, &at, &command).await) });
    }
    let mut told = Vec::new();
    while let Some(answered) = asking.join_next().await {
        told.push(answered?);
    }
    Ok(told)
}

fn word(told: &Answer) -> &'static str {
    match told {
        Answer::Done { replayed: true, .. } => "done before",
        Answer::Done { .. } => "done",
        Answer::Accepted { .. } => "accepted",
        Answer::Shed { .. } => "shed",
        Answer::Unknown { .. } => "unknown",
        _ => "something else",
    }
}
