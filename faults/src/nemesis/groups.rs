//! Who owns a partition: processes that come and go, and two that both believe it.

use std::time::Duration;

use daybook_failpoint::{Faults, GROUP, NO_ADVISORY_LOCK};
use tokio::time::Instant;

use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::Role;

const STORM: Duration = Duration::from_secs(8);
/// At most so many more of them at once.
const MORE: usize = 4;
const TWO: Duration = Duration::from_secs(8);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("rebalance-storm", "command handlers and projectors come and go faster than groups settle", 40, |f| Box::pin(storm(f))),
        Fault::new("two-writers", "two processes write every partition, and the advisory lock is taken away", 30, |f| Box::pin(two(f))),
    ]
}

async fn storm(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let end = Instant::now() + STORM;
    let (mut added, mut fired, mut asked) = (Vec::<String>::new(), 0, Asked::default());
    while Instant::now() < end {
        if added.len() == MORE {
            fired += left(&field, &added.remove(0)).await?;
        } else {
            let role = field.any(vec![Role::Handlers, Role::Projectors])?;
            added.push(field.cluster.add(role).await?);
        }
        field.ask_for_products(&mut asked);
        tokio::time::sleep(field.millis(300, 900)).await;
    }
    for leaving in added {
        fired += left(&field, &leaving).await?;
    }
    let struck = Struck::times(fired);
    Ok(struck.asked(asked))
}

/// Takes one away; 1 when it had been given partitions, as it says when it is ready.
async fn left(field: &Field<'_>, leaving: &str) -> anyhow::Result<u64> {
    let joined = field.cluster.is_ready(leaving).await;
    field.cluster.remove(leaving).await?;
    Ok(u64::from(joined))
}

async fn two(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    let before = faults.fired(NO_ADVISORY_LOCK)?;
    let _heal = Heal(|| drop(faults.clear(NO_ADVISORY_LOCK)));
    faults.switch_on(NO_ADVISORY_LOCK)?;
    let second = field.cluster.add_with(Role::Handlers, &[(GROUP, "second")]).await?;
    let asked = field.hold(TWO).await;
    field.cluster.remove(&second).await?;
    faults.clear(NO_ADVISORY_LOCK)?;
    let struck = Struck::times((faults.fired(NO_ADVISORY_LOCK)? - before) as u64);
    Ok(struck.asked(asked))
}
