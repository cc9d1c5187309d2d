//! `daybook replay rebuild`, `diff`, `promote`, `generations`, `retire` and `as-of`.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_kernel::{ConsistencyToken, ReadModel};
use daybook_postgres::Databases;
use daybook_projections::lifecycle::{LifecycleError, clear_dead, describe, retire};
use daybook_projections::rebuild::{RebuildOptions, RebuildPhase, RebuildProgress};
use daybook_replay::{At, DiffOptions, PromoteOptions, RebuildReport, RebuildRequest, ReplayError, Then, as_of, promote, rebuild};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use shop_projectors::read_models;
use tokio::task::JoinHandle;

use crate::cli::{AsOfPlace, Folding, Patience, Replay};
use crate::settings::{Settings, usage};
use crate::tools::told;
use crate::{Verdict, out};

const LINE_EVERY: Duration = Duration::from_secs(5);
/// After an interrupt: sessions that were cut take a second to notice, and an index that is being built a little more.
const CLEAR_UP: Duration = Duration::from_secs(30);

/// Those subcommands of `daybook replay` that are about read models.
pub(crate) async fn replay(settings: &Settings, command: Replay, json: bool) -> anyhow::Result<Verdict> {
    let databases = settings.databases()?;
    match command {
        Replay::Rebuild(args) => {
            let then = if args.promote {
                Then::Promote {
                    bus: settings.bus("replay")?,
                    options: promote_options(&args.patience),
                    accept_differences: args.accept_differences,
                    expect: args.expect,
                }
            } else if args.keep {
                Then::Keep
            } else {
                Then::Drop
            };
            let report = run(&databases, &model(&args.projection)?, &args.folding, then).await?;
            say(&report, json)?;
            Ok(verdict(report.is_good()))
        }
        Replay::Diff { projection, folding } => {
            let report = run(&databases, &model(&projection)?, &folding, Then::Drop).await?;
            say(&report.diff, json)?;
            Ok(verdict(report.diff.is_identical()))
        }
        Replay::Promote { projection, generation, patience } => {
            let (bus, options) = (settings.bus("replay")?, promote_options(&patience));
            match promote(&databases, &bus, &model(&projection)?, shop_proto::descriptors(), generation, &options).await {
                Ok(promoted) => {
                    say(&promoted, json)?;
                    Ok(Verdict::Good)
                }
                Err(error) => refused(error),
            }
        }
        Replay::Generations { projection } => {
            let models = projection.map_or_else(|| Ok(read_models()), |name| model(&name).map(|m| vec![m]))?;
            for model in models {
                for generation in describe(&databases, &model).await.map_err(lifecycle)? {
                    if json { out::line(serde_json::to_string(&generation)?) } else { out::line(generation) }
                }
            }
            Ok(Verdict::Good)
        }
        Replay::Retire { projection, generation } => {
            let model = model(&projection)?;
            match retire(&databases, &settings.bus("replay")?, &model, generation).await {
                Ok(()) => {
                    if json {
                        out::line(json!({ "retired": generation }))
                    } else {
                        out::line(format_args!("generation {generation} of {projection} is retired"))
                    }
                    Ok(Verdict::Good)
                }
                Err(error) => refused(error.into()),
            }
        }
        Replay::AsOf { projection, key, at } => {
            let model = model(&projection)?;
            let Some(was) = as_of(&databases, &model, &key, &place(at)?).await.map_err(told)? else {
                if json {
                    out::line("null")
                } else {
                    out::line(format_args!("{projection} had nothing under {key:?} at that time"))
                }
                return Ok(Verdict::FoundSomething);
            };
            out::line(format_args!("{:#}", was.json(&model, shop_proto::descriptors()).map_err(told)?));
            Ok(Verdict::Good)
        }
        Replay::Verify { .. } | Replay::Show { .. } | Replay::Reconcile { .. } => unreachable!("handled where logs are audited"),
    }
}

fn model(name: &str) -> anyhow::Result<ReadModel> {
    let all = read_models();
    let names = all.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
    all.into_iter().find(|m| m.name == name).ok_or_else(|| usage(format!("this build has no read model {name:?}; it has {names}")))
}

fn verdict(good: bool) -> Verdict {
    if good { Verdict::Good } else { Verdict::FoundSomething }
}

fn lifecycle(error: LifecycleError) -> anyhow::Error {
    told(error.into())
}

/// What was refused was found wrong; it is said where errors are.
fn refused(error: ReplayError) -> anyhow::Result<Verdict> {
    if !error.is_refusal() {
        return Err(told(error));
    }
    out::note(format_args!("daybook: {error}"));
    Ok(Verdict::FoundSomething)
}

fn say<T: Serialize + std::fmt::Display>(report: &T, json: bool) -> anyhow::Result<()> {
    if json {
        out::line(serde_json::to_string_pretty(report)?);
    } else {
        out::text(report);
    }
    Ok(())
}

fn promote_options(patience: &Patience) -> PromoteOptions {
    let wait = Duration::from_secs(patience.wait);
    PromoteOptions { catch_up: wait, pods: wait }
}

fn place(at: AsOfPlace) -> anyhow::Result<At> {
    match (at.at, at.token) {
        (Some(time), _) => Ok(At::Time(time.into())),
        (None, Some(tokens)) => Ok(At::Tokens(ConsistencyToken::parse_list(&tokens).map_err(|e| usage(e.to_string()))?)),
        (None, None) => Err(usage("one of --at and --token is needed")),
    }
}

/// Rebuilds with progress on standard error; an interrupt clears up behind itself.
async fn run(databases: &Databases, model: &ReadModel, folding: &Folding, then: Then) -> anyhow::Result<RebuildReport> {
    let memory = usize::try_from(folding.memory << 20).unwrap_or(usize::MAX);
    let options = RebuildOptions { memory, rate: folding.rate, ..RebuildOptions::default() };
    let request = RebuildRequest { options, diff: DiffOptions { show: folding.show, ..DiffOptions::default() }, then };
    let progress = Arc::<RebuildProgress>::default();
    let shown = Shown::begin(progress.clone());
    let outcome = tokio::select! {
        outcome = rebuild(databases, model, shop_proto::descriptors(), &request, &progress) => Some(outcome),
        () = interrupted() => None,
    };
    shown.finish();
    if let Some(outcome) = outcome {
        return outcome.map_err(told);
    }
    let cleared = clear_dead(databases, model.name, CLEAR_UP).await.map_err(lifecycle)?;
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

/// How far it has got: a bar where someone watches, else a line every few seconds.
struct Shown {
    task: JoinHandle<()>,
    bar: ProgressBar,
}

impl Shown {
    fn begin(progress: Arc<RebuildProgress>) -> Self {
        let watched = std::io::stderr().is_terminal();
        let bar = if watched { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        let drawn = bar.clone();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            loop {
                tokio::time::sleep(if watched { Duration::from_millis(200) } else { LINE_EVERY }).await;
                let (read, of) = (progress.read().max(0).cast_unsigned(), progress.to_read().max(0).cast_unsigned());
                let said = line(&progress, read, of, begun.elapsed().as_secs_f64());
                if watched {
                    drawn.set_length(of);
                    drawn.set_position(read);
                    drawn.set_message(said);
                } else {
                    out::note(said);
                }
            }
        });
        Self { task, bar }
    }

    fn finish(self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
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
