//! What an operator needs: audits and loading.

use daybook_replay::{Progress, ReconcileOptions, ReplayError, ShowUntil, VerifyOptions, reconcile, show, verify};

use crate::cli::{Load, Replay};
use crate::roles::registry;
use crate::settings::{Settings, usage};
use crate::{Verdict, generations, load as loading, out};

/// `daybook load …`
pub(crate) async fn load(command: Load, json: bool) -> anyhow::Result<Verdict> {
    match command {
        Load::Catalogue(args) => {
            let report = loading::catalogue(args).await?;
            if json {
                out::line(serde_json::to_string_pretty(&report)?);
            } else {
                out::text(&report);
            }
            Ok(if report.is_good() { Verdict::Good } else { Verdict::FoundSomething })
        }
    }
}

/// `daybook replay …`
pub(crate) async fn replay(settings: &Settings, command: Replay, json: bool) -> anyhow::Result<Verdict> {
    let (databases, registry) = (settings.databases()?, registry()?);
    match command {
        Replay::Verify { service, partition, kafka } => {
            let bus = if kafka { Some(settings.bus("replay")?) } else { None };
            let options = VerifyOptions { service, partition, kafka };
            let report = verify(&databases, bus, &registry, &options, &mut progress()).await.map_err(told)?;
            if json {
                out::line(serde_json::to_string_pretty(&report)?);
            } else {
                out::text(&report);
            }
            Ok(if report.is_sound() { Verdict::Good } else { Verdict::FoundSomething })
        }
        Replay::Show { service, stream, version, at } => {
            let until = at.map(|at| ShowUntil::Time(at.into())).or(version.map(ShowUntil::Version)).unwrap_or_default();
            let shown = show(&databases, &registry, &service, &stream, until).await.map_err(told)?;
            if json {
                out::line(serde_json::to_string_pretty(&shown)?);
            } else {
                out::text(shown);
            }
            Ok(Verdict::Good)
        }
        Replay::Reconcile { service, discard, reason } => {
            let options = ReconcileOptions { service, discard: reason.filter(|_| discard) };
            let found = reconcile(&databases, &settings.bus("replay")?, &registry, &options).await.map_err(told)?;
            if json {
                out::line(serde_json::to_string_pretty(&found)?);
            } else {
                out::text(&found);
            }
            let is_good = found.began_epoch.is_some() || found.is_reconciled();
            Ok(if is_good { Verdict::Good } else { Verdict::FoundSomething })
        }
        of_read_models => generations::replay(settings, of_read_models, json).await,
    }
}

/// What was asked for and is not there is wrong usage, not a failing infrastructure.
pub(crate) fn told(error: ReplayError) -> anyhow::Error {
    if error.is_usage() { usage(error.to_string()) } else { error.into() }
}

/// A line for people, at most once a second, where standard error is a terminal.
fn progress() -> impl FnMut(Progress) + Send {
    let mut last = std::time::Instant::now();
    let shown = std::io::IsTerminal::is_terminal(&std::io::stderr());
    move |p| {
        if shown && last.elapsed() > std::time::Duration::from_secs(1) {
            last = std::time::Instant::now();
            out::note(format_args!("{}/{} {:?}: {} of {}", p.service, p.partition, p.phase, p.done, p.of));
        }
    }
}
