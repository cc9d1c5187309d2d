//! The net between Daybook and Postgres.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::Cluster;
use crate::proxy::{Fired, Link, Mode};

const HELD: Duration = Duration::from_secs(6);
/// The longest that a page to be swallowed may keep us waiting.
const PAGE: Duration = Duration::from_secs(15);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("connections-cut", "connections to Postgres are reset, of one process or of all", 20, |f| Box::pin(cut(f))),
        Fault::new("connections-half-open", "what one process and Postgres say to each other vanishes, and no socket ends", 30, |f| {
            Box::pin(half_open(f))
        }),
        Fault::new("connections-refused", "one process gets no new connection to Postgres, after it has lost those it had", 20, |f| {
            Box::pin(refused(f))
        }),
        Fault::new("postgres-slow", "each chunk to and from Postgres takes 50 to 200 ms longer", 20, |f| Box::pin(slow(f))),
        Fault::new("swallow-commit", "a page is committed, and its acknowledgement never arrives", 20, |f| Box::pin(swallow(f))),
    ]
}

fn fired(links: &[Arc<Link>], of: fn(Fired) -> u64) -> u64 {
    links.iter().map(|link| of(link.fired())).sum()
}

/// The way of one process that runs.
async fn one(field: &mut Field<'_>) -> anyhow::Result<Vec<Arc<Link>>> {
    let victim = field.any_running(Cluster::members).await?;
    let links: Vec<_> = field.cluster.proxy().links().into_iter().filter(|link| link.name() == victim.name).collect();
    anyhow::ensure!(!links.is_empty(), "{} has just been removed", victim.name);
    Ok(links)
}

async fn cut(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let all = field.random.random_bool(0.5);
    let links = if all { field.cluster.proxy().links() } else { one(&mut field).await? };
    let open: u64 = links.iter().map(|link| link.open()).sum();
    let before = fired(&links, |fired| fired.cut);
    for _ in 0..field.random.random_range(1..4) {
        links.iter().for_each(|link| link.cut());
        tokio::time::sleep(field.millis(50, 400)).await;
    }
    let cut = fired(&links, |fired| fired.cut) - before;
    Ok(Struck::times(cut).note(format!("{} processes, {open} connections at first", links.len())))
}

async fn half_open(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let links = one(&mut field).await?;
    let (to_server, to_client) = field.any(vec![(true, true), (true, false), (false, true)])?;
    let struck = held(&mut field, &links, Mode::Vanish { to_server, to_client }, |fired| fired.vanished).await;
    Ok(struck.note(format!("{}: to Postgres {to_server}, from it {to_client}", links[0].name())))
}

async fn refused(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let links = one(&mut field).await?;
    links.iter().for_each(|link| link.set_mode(Mode::Refuse));
    links.iter().for_each(|link| link.cut());
    Ok(held(&mut field, &links, Mode::Refuse, |fired| fired.refused).await.note(links[0].name()))
}

async fn slow(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let links = field.cluster.proxy().links();
    let delay = field.millis(50, 200);
    Ok(held(&mut field, &links, Mode::Delay(delay), |fired| fired.delayed).await.note(format!("{delay:?} a chunk")))
}

/// Holds a mode for its time, and counts what it did.
async fn held(field: &mut Field<'_>, links: &[Arc<Link>], mode: Mode, of: fn(Fired) -> u64) -> Struck {
    let before = fired(links, of);
    let asked = {
        let _heal = Heal(|| links.iter().for_each(|link| link.set_mode(Mode::Pass)));
        links.iter().for_each(|link| link.set_mode(mode));
        field.hold(HELD).await
    };
    // As a host that is back answers packets of connections that it does not know.
    links.iter().for_each(|link| link.cut_lost());
    Struck::times(fired(links, of) - before).asked(asked)
}

async fn swallow(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let handlers = field.cluster.handlers();
    let links: Vec<_> =
        field.cluster.proxy().links().into_iter().filter(|link| handlers.iter().any(|member| member.name == link.name())).collect();
    let before = fired(&links, |fired| fired.swallowed);
    let _heal = Heal(|| links.iter().for_each(|link| link.swallow(0)));
    links.iter().for_each(|link| link.swallow(1));
    let mut asked = Asked::default();
    let end = tokio::time::Instant::now() + PAGE;
    while fired(&links, |fired| fired.swallowed) == before && tokio::time::Instant::now() < end {
        field.ask(&mut asked);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    links.iter().for_each(|link| link.swallow(0));
    let struck = Struck::times(fired(&links, |fired| fired.swallowed) - before);
    Ok(struck.asked(asked))
}
