//! Processes that die at a place where it hurts.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use daybook_failpoint::{Fault as Kind, Faults, POINTS};
use tokio::time::Instant;

use super::marks::Marks;
use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck, clock, outside, poison};
use crate::cluster::Cluster;
use crate::shop::names::PAGES;

/// The longest that a place may take to be reached.
const REACHED: Duration = Duration::from_secs(20);
const REBUILD: &[&str] = &["replay", "rebuild", PAGES, "--promote"];
/// The longest that the next rebuild may be refused what it needs, and the clearing up after it again.
const PATIENCE: Duration = Duration::from_secs(60);

static NAMES: LazyLock<Vec<(&'static str, String)>> =
    LazyLock::new(|| POINTS.iter().map(|point| (*point, format!("point-{point}"))).collect());

/// Places where a bug is played as well: the process lives on, and so must its work.
const PANICS: [(&str, &str, &str); 3] = [
    ("panic-append.after", "append.after", "a lane panics when its page is committed, before anything is told"),
    ("panic-publish.before", "publish.before", "the relay panics"),
    ("panic-project.after-commit", "project.after-commit", "a projector panics between the commit and the push"),
];

/// Places that only an order's way leads through.
const OF_ORDERS: &str = "call.";

pub(super) fn all() -> Vec<Fault> {
    let panics = PANICS.iter().map(|(name, point, about)| Fault::new(name, about, 30, |f| Box::pin(strike(f, point, Kind::Panic))));
    deaths(|point| !point.starts_with(OF_ORDERS)).chain(panics).collect()
}

/// Those that need clients who place orders.
pub(super) fn of_orders() -> Vec<Fault> {
    deaths(|point| point.starts_with(OF_ORDERS)).map(|fault| fault.when(outside::is_there)).collect()
}

fn deaths(of: impl Fn(&str) -> bool) -> impl Iterator<Item = Fault> {
    NAMES.iter().filter(move |(point, _)| of(point)).map(|(point, name)| {
        let rebuilds = point.starts_with("rebuild.") || point.starts_with("promote.");
        Fault::new(name, about(point), if rebuilds { 60 } else { 30 }, move |f| match rebuilds {
            true => Box::pin(rebuild(f, point)),
            false => Box::pin(strike(f, point, Kind::KILL)),
        })
    })
}

fn about(point: &str) -> &'static str {
    match point.split('.').next().unwrap_or(point) {
        "endpoint" => "an endpoint dies when Kafka has the command, and before its client hears of it",
        "open" => "command handlers die when they have just taken a partition over",
        "aside" => "command handlers die around setting aside what they can't read",
        "append" => "command handlers die around the commit of a page",
        "reply" => "command handlers die around telling what came of commands",
        "publish" => "command handlers die around publishing events",
        "project" => "projectors die around the commit of parts and checkpoint",
        "react" => "command handlers die around sending what reactors ask for, and noting that it was sent",
        "call" => {
            "command handlers die around a call of a lookup or an effect: before it, when it is answered, when that is kept, when it is sent"
        }
        "fire" => "command handlers die around sending what deadlines ask for",
        "push" => "projectors die between the parts and their marker",
        "rebuild" => "a rebuild dies, and the next one succeeds",
        "promote" => "a promotion dies, and the next one succeeds",
        "serve" => "a query API dies when it has read, and before it answers",
        _ => "a process dies there",
    }
}

async fn strike(mut field: Field<'_>, point: &'static str, kind: Kind) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    // Another nemesis may arm the same place with something else.
    let (marks, what) = (Marks::from_now_on(field.cluster, point)?, kind.to_string());
    let mut asked = Asked::default();
    let _moves_on = if point.starts_with("fire.") { clock::moves_on(field.cluster).await? } else { None };
    let _heal = Heal(|| drop(faults.clear(point)));
    faults.arm(point, kind)?;
    if point == "open.after" {
        // Somebody must take over.
        let victim = field.any_running(Cluster::handlers).await?;
        field.cluster.kill(&victim.name)?;
    }
    // Deadlines wait for good news when the clock was stepped, or command handlers have just been killed.
    let end = Instant::now() + if point.starts_with("fire.") { 3 * REACHED } else { REACHED };
    while marks.did(&what)? == 0 && Instant::now() < end {
        if point.starts_with("aside.") {
            poison::one(&mut field).await?;
        }
        if point.starts_with("react.") {
            field.ask_for_reactions(&mut asked);
        }
        if point.starts_with("fire.") {
            field.ask_for_deadlines(&mut asked, 1);
        }
        field.ask(&mut asked);
        field.read_anew(&mut asked);
        let again = Instant::now() + Duration::from_millis(500);
        while marks.did(&what)? == 0 && Instant::now() < again {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    faults.clear(point)?;
    let struck = Struck::times(marks.did(&what)?);
    Ok(struck.asked(asked))
}

async fn rebuild(field: Field<'_>, point: &'static str) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    let (marks, what) = (Marks::from_now_on(field.cluster, point)?, Kind::KILL.to_string());
    let _heal = Heal(|| drop(faults.clear(point)));
    faults.arm(point, Kind::KILL)?;
    let killed = field.cluster.daybook(REBUILD, true).await?;
    faults.clear(point)?;
    let mut struck = Struck::times(marks.did(&what)?);
    if !killed.was_killed() {
        struck = struck.note(format!("the rebuild was not killed: {}, {}", killed.status, killed.output.trim()));
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let again = field.cluster.daybook(REBUILD, true).await?;
        // 3: what it needs is not there just now, which in company is another's doing.
        if again.status.code() != Some(3) || Instant::now() > end {
            again.good().context("the rebuild after it failed too")?;
            break;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    retire_spare(&field).await?;
    Ok(Struck { over: std::time::Instant::now(), ..struck })
}

/// A generation costs something for as long as it is kept up: in a long run none stays that nobody will go back to.
async fn retire_spare(field: &Field<'_>) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let known = field.cluster.daybook(&["--json", "replay", "generations", PAGES], false).await?;
        let spare: Vec<i64> = known.output.lines().filter_map(spare).collect();
        let mut left = known.clone();
        for generation in &spare {
            // Refused while a query API answers from it, or is not heard of.
            left = field.cluster.daybook(&["replay", "retire", PAGES, "--generation", &generation.to_string()], false).await?;
        }
        if (spare.is_empty() && known.status.success()) || Instant::now() > end {
            return left.good().context("a generation that nobody needs is still there");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The generation that a line of the list tells of, when it is kept up and not served.
fn spare(line: &str) -> Option<i64> {
    let report: serde_json::Value = serde_json::from_str(line).ok()?;
    matches!(report["state"].as_str(), Some("ready" | "kept")).then(|| report["generation"].as_i64()).flatten()
}
