//! Owners of partitions: processes that come and go, and two that both believe that they own one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_failpoint::{Faults, GROUP, NO_ADVISORY_LOCK};
use tokio::time::Instant;

use super::lanes::{self, Pages};
use super::marks::Marks;
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
        field.ask(&mut asked);
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

/// It counts how often a member took a partition back that another had taken from it, while at least two processes did without the
/// lock.
async fn two(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let cluster = field.cluster;
    let faults = Faults::new(cluster.points_dir())?;
    let (marks, before) = (Marks::from_now_on(cluster, NO_ADVISORY_LOCK)?, lanes::last_pages(cluster).await?);
    let _heal = Heal(|| drop(faults.clear(NO_ADVISORY_LOCK)));
    faults.switch_on(NO_ADVISORY_LOCK)?;
    let second = cluster.add_with(Role::Handlers, &[(GROUP, "second")]).await?;
    let asked = field.hold(TWO).await;
    let members: Vec<String> = cluster.handlers().into_iter().map(|member| member.name).collect();
    cluster.remove(&second).await?;
    faults.clear(NO_ADVISORY_LOCK)?;
    let struck = Struck::times(0).asked(asked);
    let without: BTreeSet<u32> = marks.left()?.into_iter().map(|mark| mark.pid).collect();
    let mut writers = BTreeMap::new();
    for member in &members {
        let all = cluster.writers(member)?.into_iter().flat_map(|(_, writers)| writers);
        writers.extend(all.map(|writer| (writer, member.as_str())));
    }
    let taken_back = taken_back(&lanes::pages_behind(cluster, &before).await?, &writers);
    let note = format!("{} processes did without the lock; partitions were taken back {taken_back} times", without.len());
    Ok(Struck { fired: if without.len() > 1 { taken_back } else { 0 }, ..struck }.note(note))
}

/// The number of times that a member wrote a partition, then another member, then the first one again. A lane that was superseded never writes again under
/// its name, so the names are traced to the members.
fn taken_back(pages: &Pages, members: &BTreeMap<String, &str>) -> u64 {
    let mut taken_back = 0;
    for pages in pages.values() {
        let mut owners: Vec<&str> = pages.iter().filter_map(|page| members.get(&page.writer).copied()).collect();
        owners.dedup();
        taken_back += owners.windows(3).filter(|owners| owners[0] == owners[2]).count() as u64;
    }
    taken_back
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Page;
    use super::*;

    #[test]
    fn a_partition_is_taken_back_when_its_owner_before_last_writes_again() {
        let members =
            [("a", "one"), ("b", "two"), ("a2", "one"), ("c", "three")].map(|(writer, member)| (writer.to_owned(), member)).into();
        let pages = |writers: &[&str]| -> Pages {
            let page =
                |(number, writer): (i64, &&str)| Page { number, writer: (*writer).to_owned(), recorded_at: chrono::DateTime::UNIX_EPOCH };
            [(("catalog".to_owned(), 0), (0..).zip(writers).map(page).collect())].into()
        };
        assert_eq!(taken_back(&pages(&["a", "b", "b", "a2"]), &members), 1);
        assert_eq!(taken_back(&pages(&["a", "b", "c"]), &members), 0);
        assert_eq!(taken_back(&pages(&["a", "a2", "a"]), &members), 0);
    }
}
