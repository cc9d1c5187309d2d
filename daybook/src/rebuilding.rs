//! A rebuild on the command line: its progress on standard error, and an interrupt that clears up behind itself.

use std::sync::Arc;
use std::time::Duration;

use daybook_kernel::ReadModel;
use daybook_postgres::Databases;
use daybook_projections::lifecycle::clear_dead;
use daybook_projections::rebuild::{RebuildOptions, RebuildPhase, RebuildProgress};
use daybook_replay::{DiffOptions, RebuildReport, RebuildRequest, Then, rebuild};

use crate::cli::Folding;
use crate::display::{ProgressDisplay, Progressed};
use crate::operations::replay_error;

/// After an interrupt: sessions that were cut take a second to notice, and an index that is being built a little more.
const CLEAR_UP: Duration = Duration::from_secs(30);

/// Rebuilds a read model, and shows how far it has got.
pub(crate) async fn run(databases: &Databases, model: &ReadModel, folding: &Folding, then: Then) -> anyhow::Result<RebuildReport> {
    let memory = usize::try_from(folding.memory << 20).unwrap_or(usize::MAX);
    let options = RebuildOptions { memory, rate: folding.rate, ..RebuildOptions::default() };
    let request = RebuildRequest { options, diff: DiffOptions { show: folding.show, ..DiffOptions::default() }, then };
    let progress = Arc::<RebuildProgress>::default();
    let display = display(progress.clone());
    let report = tokio::select! {
        report = rebuild(databases, model, shop_proto::descriptors(), &request, &progress) => Some(report),
        () = interrupted() => None,
    };
    display.finish();
    if let Some(report) = report {
        return report.map_err(replay_error);
    }
    let cleared = clear_dead(databases, model.name, CLEAR_UP).await.map_err(replay_error)?;
    anyhow::bail!("interrupted; {} unfinished generations were dropped", cleared.len())
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without them the process ends as it stands; the next rebuild clears up.
        _ => std::future::pending().await,
    }
}

fn display(progress: Arc<RebuildProgress>) -> ProgressDisplay {
    ProgressDisplay::begin(move |elapsed| {
        let (done, of) = (progress.read().max(0).cast_unsigned(), progress.to_read().max(0).cast_unsigned());
        Progressed { done, of, text: line(&progress, done, of, elapsed.as_secs_f64()) }
    })
}

fn line(progress: &RebuildProgress, read: u64, of: u64, seconds: f64) -> String {
    match progress.phase() {
        RebuildPhase::Folding => {
            let rate = read as f64 / seconds.max(1e-6);
            let left = of.saturating_sub(read) as f64 / rate.max(1.0);
            let share = if of == 0 { 100.0 } else { read as f64 * 100.0 / of as f64 };
            format!("{read} of {of} events ({share:.0} %), {rate:.0} a second, {left:.0} s left, {} streams written", progress.streams())
        }
        RebuildPhase::Indexing => "building indexes".to_owned(),
        RebuildPhase::CatchingUp => "catching up with what was written meanwhile".to_owned(),
        RebuildPhase::Comparing => "comparing with the live generation".to_owned(),
    }
}
