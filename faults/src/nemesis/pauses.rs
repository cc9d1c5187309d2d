//! Processes that stand still, and come back as if nothing had been.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use daybook_failpoint::{Fault as Kind, Faults};

use super::lanes::{self, Partition};
use super::marks::Marks;
use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck, postgres_log};
use crate::cluster::{Cluster, Member, Role};

/// Longer than a projector's session, which nothing shortens.
const PROJECTORS: Duration = Duration::from_secs(13);
const QUERIES: Duration = Duration::from_secs(5);
/// The time for which a slow consumer is slow.
const SLOW: Duration = Duration::from_secs(8);
/// A page is decided, and its statement not sent.
const APPEND: &str = "append.before";
/// The time for which a lane stands there by itself, for us to see it and to stop its process; it goes by while that is stopped.
const IN_THE_ACT: Duration = Duration::from_secs(3);
/// The longest that a lane may take to come there.
const CAUGHT: Duration = Duration::from_secs(10);
/// The longest that it may take until Postgres has refused a zombie's page.
const REFUSED: Duration = Duration::from_secs(8);
/// In company its partitions may not have been taken over in time.
const TRIES: u32 = 2;

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new(
            "pause-lane",
            "SIGSTOP of command handlers right before an append, for longer than their session: the zombie comes back and writes",
            30,
            |f| Box::pin(zombie(f)),
        ),
        Fault::new("pause-projectors", "SIGSTOP of projectors for longer than their session", 40, |f| {
            Box::pin(pause(f, Role::Projectors, PROJECTORS))
        }),
        Fault::new("pause-query-api", "SIGSTOP of a query API while what it holds grows old", 20, |f| {
            Box::pin(pause(f, Role::QueryApi, QUERIES))
        }),
        Fault::new("slow-consumer", "a process that stands still two thirds of the time", 30, |f| Box::pin(slow(f))),
    ]
}

/// A lane's process is stopped when a page is decided and not sent, until others have its partitions. It comes back and sends the
/// page: it counts when Postgres was seen to refuse just this one.
async fn zombie(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    // Three seconds more: others have taken over and write.
    let time = Duration::from_secs(cluster.plan().session_timeout_s + 3);
    let mut struck = Struck::times(0);
    for _ in 0..TRIES {
        let Some(victim) = catch(&mut field, &mut struck.asked).await? else {
            struck = struck.note(format!("nobody was caught right before an append within {CAUGHT:?}"));
            continue;
        };
        let (mine, back) = {
            let _heal = Heal(|| drop(cluster.resume(&victim.name)));
            let mine = cluster.writers(&victim.name)?.pop().map(|(_, writers)| writers).unwrap_or_default();
            field.hold_asking(&mut struck.asked, time).await;
            (mine, Utc::now())
        };
        struck.over = Instant::now();
        let refused = refused(cluster, &mine, back).await?;
        let lives = same(cluster, &victim);
        struck = struck.note(match &refused {
            Some(((service, number), page)) => {
                format!("{} stood still for {time:?}, and was refused page {page} of {service}/{number}; it lives: {lives}", victim.name)
            }
            None => format!("{} stood still for {time:?}, and nothing of it was refused; it lives: {lives}", victim.name),
        });
        if refused.is_some() && lives {
            struck.fired += 1;
            break;
        }
    }
    Ok(struck)
}

/// A process of command handlers, stopped while one of its lanes stands right before an append; none when none came there.
async fn catch(field: &mut Field<'_>, asked: &mut Asked) -> anyhow::Result<Option<Member>> {
    let cluster = field.cluster;
    let faults = Faults::new(cluster.points_dir())?;
    let marks = Marks::from_now_on(cluster, APPEND)?;
    let stands = Kind::Pause(IN_THE_ACT);
    let _heal = Heal(|| drop(faults.clear(APPEND)));
    faults.arm(APPEND, stands)?;
    let end = Instant::now() + CAUGHT;
    while Instant::now() < end {
        field.ask(asked);
        let again = Instant::now() + Duration::from_millis(500);
        while Instant::now() < again {
            if let Some(mark) = marks.left()?.into_iter().find(|mark| mark.what == stands.to_string()) {
                return Ok(stop(cluster, mark.pid));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(None)
}

/// The member whose process this is, stopped; none when it has ended meanwhile.
fn stop(cluster: &Cluster, pid: u32) -> Option<Member> {
    let victim = cluster.handlers().into_iter().find(|member| member.pid == Some(pid))?;
    let paused = cluster.pause(&victim.name).unwrap_or_default();
    if paused && !same(cluster, &victim) {
        // It is its successor that stands still.
        drop(cluster.resume(&victim.name));
        return None;
    }
    paused.then_some(victim)
}

/// The page that was refused, by Postgres' own words since the zombie is back: one of another writer stood where it follows a page
/// that the zombie had written. None when there was no such thing in time.
async fn refused(cluster: &Cluster, mine: &BTreeSet<String>, back: DateTime<Utc>) -> anyhow::Result<Option<(Partition, i64)>> {
    let mut known = BTreeSet::new();
    let end = Instant::now() + REFUSED;
    while Instant::now() < end {
        for (partition, page) in postgres_log::said_since(cluster, back).iter().filter_map(|said| said.fenced()) {
            if !known.insert((partition.clone(), page)) {
                continue;
            }
            let pages = lanes::pages_from(cluster, &partition, page - 1).await?;
            if let [before, there, ..] = pages.as_slice()
                && mine.contains(&before.writer)
                && !mine.contains(&there.writer)
            {
                return Ok(Some((partition, page)));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
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
    let struck = Struck::times(u64::from(paused && same(cluster, &victim)));
    Ok(struck.asked(asked).note(format!("{} stood still for {time:?}", victim.name)))
}

async fn slow(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let victim = field.any_running(Cluster::members).await?;
    let end = Instant::now() + SLOW;
    let mut fired = 0;
    while Instant::now() < end && same(cluster, &victim) {
        let paused = cluster.pause(&victim.name).unwrap_or_default();
        let _heal = Heal(|| drop(cluster.resume(&victim.name)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        fired += u64::from(cluster.resume(&victim.name).unwrap_or_default() && paused);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(Struck::times(fired).note(format!("slowed {} down", victim.name)))
}

/// It is the process that was chosen: nobody has killed it meanwhile.
fn same(cluster: &Cluster, victim: &Member) -> bool {
    cluster.member(&victim.name).is_ok_and(|now| now.pid == victim.pid)
}
