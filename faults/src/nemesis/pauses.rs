//! Processes that stand still, and come back as if nothing had been.

use std::time::{Duration, Instant};

use super::{Fault, Field, Heal, Struck};
use crate::cluster::{Cluster, Member, Role};

/// Longer than a projector's session, which nothing shortens.
const PROJECTORS: Duration = Duration::from_secs(13);
const QUERIES: Duration = Duration::from_secs(5);
/// How long a slow consumer is slow.
const SLOW: Duration = Duration::from_secs(8);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("pause-lane", "SIGSTOP of command handlers for longer than their session: the zombie comes back and writes", 30, |f| {
            // Two seconds more: others have taken over and write.
            let time = Duration::from_secs(f.cluster.plan().session_timeout_s + 3);
            Box::pin(pause(f, Role::Handlers, time))
        }),
        Fault::new("pause-projectors", "SIGSTOP of projectors for longer than their session", 40, |f| {
            Box::pin(pause(f, Role::Projectors, PROJECTORS))
        }),
        Fault::new("pause-query-api", "SIGSTOP of a query API while what it holds grows old", 20, |f| {
            Box::pin(pause(f, Role::QueryApi, QUERIES))
        }),
        Fault::new("slow-consumer", "a process that stands still two thirds of the time", 30, |f| Box::pin(slow(f))),
    ]
}

async fn pause(mut field: Field<'_>, role: Role, time: Duration) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let victim = field.any_running(|cluster| cluster.of_role(role)).await?;
    field.any_moment().await;
    // Somebody may have taken it away meanwhile.
    let paused = cluster.pause(&victim.name).unwrap_or_default();
    let asked = {
        let _heal = Heal(|| drop(cluster.resume(&victim.name)));
        field.hold(time).await
    };
    let struck = Struck::times(u64::from(paused && same(&field, &victim)));
    Ok(struck.asked(asked).note(format!("{} stood still for {time:?}", victim.name)))
}

async fn slow(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let victim = field.any_running(Cluster::members).await?;
    let end = Instant::now() + SLOW;
    let mut fired = 0;
    while Instant::now() < end && same(&field, &victim) {
        let paused = cluster.pause(&victim.name).unwrap_or_default();
        let _heal = Heal(|| drop(cluster.resume(&victim.name)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        fired += u64::from(cluster.resume(&victim.name).unwrap_or_default() && paused);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(Struck::times(fired).note(format!("slowed {} down", victim.name)))
}

/// It is the process that was chosen: nobody has killed it meanwhile.
fn same(field: &Field<'_>, victim: &Member) -> bool {
    field.cluster.member(&victim.name).is_ok_and(|now| now.pid == victim.pid)
}
