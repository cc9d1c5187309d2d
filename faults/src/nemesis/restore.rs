//! The database is lost, and an earlier copy of it put back, while orders are under way outside: those outside know operations that the log has forgotten.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::outside::{is_there, told_of, whom};
use super::provoke::Asked;
use super::{Fault, Field, Struck};
use crate::cluster::Cluster;
use crate::collect;
use crate::evidence::Past;
use crate::shop::names::PROVIDER;
use crate::workload::Server;

/// The operations that are done outside before the copy is made, and as many from there to the loss; and the longest that these may take.
const OPERATIONS: u64 = 10;
const DONE: Duration = Duration::from_secs(60);
/// The longest that is waited until all that was lost is decided again: what is not, the judge tells.
const DECIDED_AGAIN: Duration = Duration::from_secs(120);
/// The words behind which `replay reconcile` names a read model that has to be rebuilt.
const REBUILD: &str = "`daybook replay rebuild ";

pub(super) fn all() -> Vec<Fault> {
    let restore = Fault::new(
        "database-restored",
        "Postgres' files are replaced by an earlier copy of them, and an operator reconciles each service, as docs/restore.md says",
        90,
        |f| Box::pin(restored(f)),
    );
    vec![restore.when(is_there).last()]
}

/// It counts the operations that the provider has done since the copy.
async fn restored(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let (cluster, provider) = (field.cluster, whom(field.cluster, PROVIDER)?);
    let mut asked = Asked::default();
    work_goes_on(&mut field, &provider, OPERATIONS, &mut asked).await?;
    let backup = cluster.back_up().await?;
    let before = told_of(&provider).await?;
    work_goes_on(&mut field, &provider, before + OPERATIONS, &mut asked).await?;
    let names: Vec<String> = cluster.members().into_iter().map(|member| member.name).collect();
    cluster.end_all(&names).await?;
    let forgotten = told_of(&provider).await? - before;
    let (logs, aside) = collect::logs(&cluster.owner_url()).await?;
    let gone = cluster.put_back(&backup).await?;
    let past = Past { at: field.http.recorder().at(gone), logs, aside };
    let discarded = reconcile(cluster, &past).await?;
    for name in &names {
        cluster.hold_down(name, false)?;
    }
    let over = Instant::now();
    decided_again(cluster, &past).await?;
    let note = format!("{forgotten} operations of the provider forgotten, another epoch begun in {}", discarded.join(", "));
    Ok(Struck { over, past: Some(Box::new(past)), ..Struck::times(forgotten).asked(asked).note(note) })
}

/// Until the provider has done so many operations, and a moment longer that nobody can foresee.
async fn work_goes_on(field: &mut Field<'_>, provider: &Server, operations: u64, asked: &mut Asked) -> anyhow::Result<()> {
    let begun = Instant::now();
    while told_of(provider).await? < operations && begun.elapsed() < DONE {
        field.hold_asking(asked, Duration::from_millis(500)).await;
    }
    field.any_moment().await;
    Ok(())
}

/// As an operator does it: looks at each service, gives up what differs, and rebuilds the read models that it is told of. The services in which
/// another epoch has begun.
async fn reconcile(cluster: &Cluster, past: &Past) -> anyhow::Result<Vec<String>> {
    let (mut discarded, mut models) = (Vec::new(), BTreeSet::new());
    for service in past.logs.keys() {
        let found = cluster.daybook(&["replay", "reconcile", service], false).await?;
        let differs = found.status.code() == Some(1);
        if !differs {
            found.good()?;
            continue;
        }
        let reason = "restored from an earlier copy";
        let gave_up = cluster.daybook(&["replay", "reconcile", service, "--discard", "--reason", reason], false).await?;
        models.extend(gave_up.output.split(REBUILD).skip(1).filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned));
        gave_up.good()?;
        discarded.push(service.clone());
    }
    for model in models {
        cluster.daybook(&["replay", "rebuild", &model, "--promote", "--accept-differences"], false).await?.good()?;
    }
    Ok(discarded)
}

/// Waits until each command of the ledgers that were lost stands in the ledger again.
async fn decided_again(cluster: &Cluster, past: &Past) -> anyhow::Result<()> {
    let client = collect::connect(&cluster.owner_url()).await?;
    let until = Instant::now() + DECIDED_AGAIN;
    for (service, log) in &past.logs {
        let ids = log.commands.values().flatten().map(|row| row.command_id.parse()).collect::<Result<Vec<uuid::Uuid>, _>>()?;
        let sql = format!(
            "SELECT count(*) FROM unnest($1::uuid[]) AS of (id) WHERE NOT EXISTS (SELECT FROM \"{service}\".command c WHERE c.command_id = of.id)"
        );
        loop {
            let missing: i64 = client.query_one(&sql, &[&ids]).await.context("the ledger can't be read")?.get(0);
            if missing == 0 || Instant::now() > until {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}
