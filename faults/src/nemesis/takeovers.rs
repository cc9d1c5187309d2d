//! Two groups of projectors that own the same partitions: a process that runs only some read models is in a group of its own.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;
use tokio::time::Instant;

use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck, lanes};
use crate::cluster::{Cluster, Role};
use crate::collect::{STILL, Terms, connect, terms};
use crate::shop::names::TWO_READ_MODELS;

/// The variable that says which read models a process runs, and what it says.
const SOME: (&str, &str) = ("DAYBOOK_PROJECTIONS", TWO_READ_MODELS);
/// The longest that the further process may take to be given partitions.
const JOINED: Duration = Duration::from_secs(20);
/// Longer than a checkpoint may stand still before who stands by takes it over, and shorter than a session.
const STOPPED: Duration = Duration::from_secs(5);
/// The longest that it may take, whatever else is broken at the same time, until nobody takes anything over any more.
const SETTLED: Duration = Duration::from_secs(60);

pub(super) fn all() -> Vec<Fault> {
    let about = "a further process folds some read models in a group of its own, and one of the two holders is stopped for a while";
    vec![Fault::new("two-groups", about, 40, |f| Box::pin(two_groups(f)))]
}

async fn now(cluster: &Cluster) -> anyhow::Result<Terms> {
    lanes::patiently(|| async { terms(&connect(&cluster.owner_url()).await?).await }).await
}

/// The number of checkpoints of these read models that were taken over in between.
fn taken_over(before: &Terms, after: &Terms) -> u64 {
    let of_some = |name: &str| SOME.1.split(',').any(|model| name.split(' ').next() == Some(model));
    let risen = after.iter().filter(|(name, term)| of_some(name) && before.get(*name).is_some_and(|before| before < *term));
    risen.count() as u64
}

/// It counts the checkpoints that the further process was seen to take over, and that were taken over while a holder stood still.
async fn two_groups(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let mut asked = Asked::default();
    let before = now(cluster).await?;
    let further = cluster.add_with(Role::Projectors, &[SOME]).await?;
    let struck = beside(&mut field, &further, &before, &mut asked).await;
    cluster.remove(&further).await?;
    let (joined, stopped, note) = struck?;
    Ok(Struck::times(joined + stopped).asked(asked).note(note))
}

/// The part of the strike in which both groups are there.
async fn beside(field: &mut Field<'_>, further: &str, before: &Terms, asked: &mut Asked) -> anyhow::Result<(u64, u64, String)> {
    let cluster = field.cluster;
    let end = Instant::now() + JOINED;
    let mut at_first = now(cluster).await?;
    // Until it is given partitions, and has taken over all of them.
    while Instant::now() < end {
        field.hold_asking(asked, Duration::from_secs(1)).await;
        let earlier = std::mem::replace(&mut at_first, now(cluster).await?);
        if cluster.is_ready(further).await && taken_over(before, &earlier) > 0 && earlier == at_first {
            break;
        }
    }
    let joined = taken_over(before, &at_first);
    let victim = if field.random.random_bool(0.5) { cluster.member(further)? } else { field.any_running(Cluster::projectors).await? };
    cluster.pause(&victim.name)?;
    {
        let _heal = Heal(|| drop(cluster.resume(&victim.name)));
        field.hold_asking(asked, STOPPED).await;
    }
    let mut last = now(cluster).await?;
    let stopped = taken_over(&at_first, &last);
    let end = Instant::now() + SETTLED;
    loop {
        field.hold_asking(asked, STILL).await;
        let later = now(cluster).await?;
        let rising = taken_over(&last, &later);
        if rising == 0 {
            break;
        }
        ensure!(
            Instant::now() < end,
            "two groups duel: {rising} checkpoints were still taken over after {SETTLED:?}, from {last:?} to {later:?}"
        );
        last = later;
    }
    let note = format!("{joined} checkpoints were taken over when {further} came, {stopped} while {} stood still", victim.name);
    Ok((joined, stopped, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_groups_fold_counts_as_taken_over() {
        let terms = |pages: i64, lists: i64| {
            Terms::from([("product-pages catalog/0".into(), pages), ("category-listings catalog/0".into(), lists)])
        };
        assert_eq!(taken_over(&terms(1, 1), &terms(2, 2)), 1);
        assert_eq!(taken_over(&terms(2, 1), &terms(2, 2)), 0);
    }
}
