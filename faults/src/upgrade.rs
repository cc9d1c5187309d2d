//! A rolling upgrade, forward and back: two builds on one log and one topic while clients write, of which the newer one knows an
//! event and fields that the older does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::cluster::Cluster;
use crate::collect;
use crate::evidence::Evidence;
use crate::shop::names::{NEWEST_EVENT, SERVICES};

/// The least number of times that each build takes a partition over from the other.
const TAKEN_OVER: usize = 2;

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Build {
    Old,
    New,
}

/// The result of a rolling upgrade.
pub(crate) struct Rolled {
    /// The build behind each writer's name.
    writers: BTreeMap<String, Build>,
    /// Where the reactor, which the older build does not have, has begun in the log that it follows.
    pub(crate) reacting_from: BTreeMap<i32, i64>,
    /// The older build has the reactor itself, and so knows the newest event: nothing waits for the newer build then.
    older_reacts: bool,
    wrong: Vec<String>,
}

/// From the old build to the new one, back, and forward again, a process after the other; half-way and at each end it stays for a
/// while, so that all of it takes about `length`.
///
/// # Errors
/// When a process does not become ready.
pub(crate) async fn roll(cluster: &Cluster, old: &Path, new: &Path, length: Duration) -> anyhow::Result<Rolled> {
    // A process of each role, then the others: old and new ones of every role serve beside each other.
    let mut members = cluster.members();
    members.sort_by_key(|member| (member.name.rsplit('-').next().map(str::to_owned), member.role));
    let stay = length / 6;
    let older_reacts = collect::has_reactor(&cluster.owner_url()).await?;
    let mut rolled = Rolled { writers: BTreeMap::new(), reacting_from: BTreeMap::new(), older_reacts, wrong: Vec::new() };
    for (way, binary, build) in [("forward", new, Build::New), ("back", old, Build::Old), ("forward again", new, Build::New)] {
        if build == Build::New {
            cluster.migrate_with(new).await.context("the newer build's migration failed")?;
        }
        if !older_reacts && rolled.reacting_from.is_empty() {
            // No process of the newer build runs yet.
            rolled.reacting_from = collect::reacting_from(&cluster.owner_url()).await?;
        }
        for (n, member) in members.iter().enumerate() {
            cluster.replace(&member.name, binary).await.with_context(|| format!("{way}: {}", member.name))?;
            if n + 1 == members.len() / 2 {
                tokio::time::sleep(stay).await;
                rolled.writers = writers(cluster, new)?;
                let owners = owners(cluster, &rolled.writers).await?;
                println!("    {way}: half-way, partitions by the build that wrote last: {owners:?}");
                if owners.len() < 2 {
                    rolled.wrong.push(format!("{way}: only one build owned partitions half-way: {owners:?}"));
                }
            }
        }
        tokio::time::sleep(stay).await;
        println!("    {way}: every process is the {build:?} build");
    }
    rolled.writers = writers(cluster, new)?;
    Ok(rolled)
}

impl Rolled {
    /// Faults of the upgrade, by what is left.
    pub(crate) fn told(self, evidence: &Evidence) -> Vec<String> {
        let (mut pages, mut over) = (BTreeMap::new(), BTreeMap::new());
        for log in evidence.logs.values() {
            for pages_of_one in log.pages.values() {
                let mut last = None;
                for page in pages_of_one {
                    let Some(build) = self.writers.get(&page.writer) else { continue };
                    *pages.entry(*build).or_insert(0_usize) += 1;
                    if last.is_some_and(|last| last != *build) {
                        *over.entry(*build).or_insert(0_usize) += 1;
                    }
                    last = Some(*build);
                }
            }
        }
        let events: Vec<&str> = evidence.logs.values().flat_map(|log| log.events.values().flatten()).map(|e| e.r#type.as_str()).collect();
        let (all, newer) = (events.len(), events.iter().filter(|name| **name == NEWEST_EVENT).count());
        let waited = evidence.aside.len();
        println!(
            "    pages by build: {pages:?}; a build took over from the other: {over:?}; events: {all}, {newer} of them of a type that only the newer one knows; messages set aside: {waited}"
        );
        let mut wrong = self.wrong;
        for build in [Build::Old, Build::New] {
            if over.get(&build).copied().unwrap_or_default() < TAKEN_OVER {
                wrong.push(format!("the {build:?} build took hardly anything over from the other: {over:?}"));
            }
        }
        if self.older_reacts {
            return wrong;
        }
        if newer == 0 {
            wrong.push("no event was written that only the newer build knows".to_owned());
        }
        if waited == 0 {
            wrong.push(format!("the older build set nothing aside: does it know {NEWEST_EVENT} as well?"));
        }
        wrong
    }
}

/// The names under which each build has written, by what its processes said when they took a partition over.
fn writers(cluster: &Cluster, new: &Path) -> anyhow::Result<BTreeMap<String, Build>> {
    let mut writers = BTreeMap::new();
    for member in cluster.handlers() {
        for (life, names) in cluster.writers(&member.name)? {
            let build = if life.binary == new { Build::New } else { Build::Old };
            writers.extend(names.into_iter().map(|name| (name, build)));
        }
    }
    Ok(writers)
}

/// The number of partitions that each build wrote last.
async fn owners(cluster: &Cluster, writers: &BTreeMap<String, Build>) -> anyhow::Result<BTreeMap<Build, usize>> {
    let client = collect::connect(&cluster.owner_url()).await?;
    let mut owners = BTreeMap::new();
    for service in SERVICES {
        let sql = format!("SELECT DISTINCT ON (partition) writer FROM \"{service}\".page ORDER BY partition, page DESC");
        for row in client.query(&sql, &[]).await? {
            if let Some(build) = writers.get(&row.get::<_, String>(0)) {
                *owners.entry(*build).or_insert(0) += 1;
            }
        }
    }
    Ok(owners)
}
