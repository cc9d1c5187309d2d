//! One command, a thousand times at once.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::{Fault, Field, Struck, provoke};
use crate::history::Told;

const REPEATS: usize = 1_000;

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("thousand-repeats", "a new command, a thousand times at once, over every endpoint", 20, |f| Box::pin(repeat(f)))]
}

async fn repeat(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let command = field.new_product();
    let handlers = field.cluster.handlers();
    let mut asking = JoinSet::new();
    for member in handlers.iter().cycle().take(REPEATS) {
        // All of them are one client: it repeats on purpose.
        let (http, command, at) = (field.http.clone(), command.clone(), member.place());
        asking.spawn(async move { http.command(provoke::client(), &at, &command).await });
    }
    let mut said = BTreeMap::<&str, u64>::new();
    while let Some(told) = asking.join_next().await {
        *said.entry(word(&told?)).or_default() += 1;
    }
    let fired = said.get("done").copied().unwrap_or_default() + said.get("done before").copied().unwrap_or_default();
    let counts: Vec<String> = said.iter().map(|(word, count)| format!("{count} {word}")).collect();
    Ok(Struck::times(fired).note(counts.join(", ")))
}

fn word(told: &Told) -> &'static str {
    match told {
        Told::Done { replayed: true, .. } => "done before",
        Told::Done { .. } => "done",
        Told::Accepted { .. } => "accepted",
        Told::Shed { .. } => "shed",
        Told::Unknown { .. } => "unknown",
        _ => "something else",
    }
}
