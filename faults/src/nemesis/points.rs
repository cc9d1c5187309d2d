//! Processes that die at a place where it hurts.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use daybook_failpoint::{Faults, POINTS};
use tokio::time::Instant;

use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck, poison};

/// How long a place may take to be reached.
const REACHED: Duration = Duration::from_secs(20);
const REBUILD: &[&str] = &["replay", "rebuild", "product-pages", "--promote"];
/// A rebuild that was killed leaves traces that the next one may have to wait for.
const ATTEMPTS: u32 = 3;

static NAMES: LazyLock<Vec<(&'static str, String)>> =
    LazyLock::new(|| POINTS.iter().map(|point| (*point, format!("point-{point}"))).collect());

pub(super) fn all() -> Vec<Fault> {
    NAMES
        .iter()
        .map(|(point, name)| {
            let rebuilds = point.starts_with("rebuild.") || point.starts_with("promote.");
            Fault::new(name, about(point), if rebuilds { 60 } else { 30 }, move |f| match rebuilds {
                true => Box::pin(rebuild(f, point)),
                false => Box::pin(die(f, point)),
            })
        })
        .collect()
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
        "push" => "projectors die between the parts and their marker",
        "rebuild" => "a rebuild dies, and the next one succeeds",
        "promote" => "a promotion dies, and the next one succeeds",
        "serve" => "a query API dies when it has read, and before it answers",
        _ => "a process dies there",
    }
}

async fn die(mut field: Field<'_>, point: &'static str) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    let before = faults.fired(point)?;
    let mut asked = Asked::default();
    let _heal = Heal(|| drop(faults.clear(point)));
    faults.arm(point, daybook_failpoint::Fault::KILL)?;
    if point == "open.after" {
        // Somebody must take over.
        let victim = field.any_running(field.cluster.handlers())?;
        field.cluster.kill(&victim.name)?;
    }
    let end = Instant::now() + REACHED;
    while faults.fired(point)? == before && Instant::now() < end {
        if point.starts_with("aside.") {
            poison::one(&mut field).await?;
        }
        field.ask_for_products(&mut asked);
        field.read_anew(&mut asked);
        let again = Instant::now() + Duration::from_millis(500);
        while faults.fired(point)? == before && Instant::now() < again {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    faults.clear(point)?;
    let struck = Struck::times((faults.fired(point)? - before) as u64);
    asked.answered().await;
    Ok(struck)
}

async fn rebuild(field: Field<'_>, point: &'static str) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    let before = faults.fired(point)?;
    let _heal = Heal(|| drop(faults.clear(point)));
    faults.arm(point, daybook_failpoint::Fault::KILL)?;
    let killed = field.cluster.daybook(REBUILD, true).await?;
    faults.clear(point)?;
    let mut struck = Struck::times((faults.fired(point)? - before) as u64);
    if !killed.was_killed() {
        struck = struck.note(format!("the rebuild was not killed: {}, {}", killed.status, killed.output.trim()));
    }
    for attempt in 1..=ATTEMPTS {
        match field.cluster.daybook(REBUILD, true).await?.good() {
            Ok(()) => return Ok(struck),
            Err(error) if attempt == ATTEMPTS => return Err(error).context("the rebuild after it failed too"),
            Err(error) => struck = struck.note(format!("attempt {attempt} after it: {error:#}")),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(struck)
}
