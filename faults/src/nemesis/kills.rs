//! `kill -9` of processes, at a moment that nobody can foresee.

use std::time::Duration;

use super::{Fault, Field, Struck, until};
use crate::cluster::{Cluster, Member, Role};

/// How long the supervisor may take to start a process again.
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
    // One that has been removed meanwhile is dead as well.
    let fired = u64::from(field.cluster.kill(&victim.name).unwrap_or_default());
    let struck = Struck::times(fired).note(format!("killed {}", victim.name));
    restarted(field.cluster, std::slice::from_ref(&victim)).await;
    Ok(struck)
}

async fn every(mut field: Field<'_>) -> anyhow::Result<Struck> {
    field.any_moment().await;
    let victims = field.cluster.members();
    let mut fired = 0;
    for victim in &victims {
        fired += u64::from(field.cluster.kill(&victim.name).unwrap_or_default());
    }
    let struck = Struck::times(fired);
    restarted(field.cluster, &victims).await;
    Ok(struck)
}

/// The supervisor has started them again, or somebody has taken them away.
pub(super) async fn restarted(cluster: &Cluster, victims: &[Member]) -> bool {
    let is_back = |victim: &Member| match cluster.member(&victim.name) {
        Ok(now) => now.starts > victim.starts || now.held_down,
        Err(_) => true,
    };
    until(RESTARTED, || victims.iter().all(is_back)).await
}
