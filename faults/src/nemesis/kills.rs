//! `kill -9` of processes, at a moment that nobody can foresee.

use std::time::Duration;

use super::{Fault, Field, Struck, until};
use crate::cluster::{Cluster, Member, Role};

/// The longest that the supervisor may take to start a process again.
const RESTARTED: Duration = Duration::from_secs(10);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("kill-handlers", "kill -9 of one process of command handlers", 20, |f| Box::pin(one(f, Role::Handlers))),
        Fault::new("kill-projectors", "kill -9 of one process of projectors", 30, |f| Box::pin(one(f, Role::Projectors))),
        Fault::new("kill-query-api", "kill -9 of one process of the query API", 20, |f| Box::pin(one(f, Role::QueryApi))),
        Fault::new("kill-all-at-once", "kill -9 of every process of Daybook at once", 30, |f| Box::pin(every(f))),
    ]
}

async fn one(mut field: Field<'_>, role: Role) -> anyhow::Result<Struck> {
    let victim = field.any_running(|cluster| cluster.of_role(role)).await?;
    field.any_moment().await;
    let note = format!("killed {}", victim.name);
    Ok(kill(field.cluster, &[victim]).await?.note(note))
}

async fn every(mut field: Field<'_>) -> anyhow::Result<Struck> {
    field.any_moment().await;
    kill(field.cluster, &field.cluster.members()).await
}

/// Kills them, and waits until they run again. It counts how many of those processes were seen to be gone.
pub(super) async fn kill(cluster: &Cluster, victims: &[Member]) -> anyhow::Result<Struck> {
    let mut killed = Vec::new();
    for victim in victims {
        // As it is at this moment: it may have ended since it was chosen, or been removed.
        let Ok(now) = cluster.member(&victim.name) else { continue };
        if cluster.kill(&now.name).unwrap_or_default() {
            killed.push(now);
        }
    }
    let struck = Struck::times(0);
    let names = killed.iter().map(|victim| victim.name.as_str()).collect::<Vec<_>>().join(", ");
    anyhow::ensure!(restarted(cluster, &killed).await, "not started again within {RESTARTED:?}: one of {names}");
    let gone =
        killed.iter().filter(|victim| victim.pid.is_some() && cluster.member(&victim.name).map_or(true, |now| now.pid != victim.pid));
    Ok(Struck { fired: gone.count() as u64, ..struck })
}

/// The supervisor has started them again, or somebody has taken them away.
async fn restarted(cluster: &Cluster, victims: &[Member]) -> bool {
    let is_back = |victim: &Member| match cluster.member(&victim.name) {
        Ok(now) => now.starts > victim.starts || (now.held_down && now.pid != victim.pid),
        Err(_) => true,
    };
    until(RESTARTED, || victims.iter().all(is_back)).await
}
