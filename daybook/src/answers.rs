//! The answers of operations' verbs, printed: for people, or as JSON for programs, a line a result (`--json`). One place a verb; the work is
//! done elsewhere ([`crate::operations`]).

use std::slice::from_ref;
use std::time::Duration;

use daybook_kernel::ConsistencyToken;
use daybook_replay::{
    At, Progress, PromoteOptions, ReconcileOptions, ReplayError, ShowUntil, Then, VerifyOptions, promote, reconcile, show, verify,
};

use crate::cli::{AsOfPlace, Calls, Deadlines, Load, Parked, Patience, PaymentsReported, Replay, Report, Reports, SalesBy};
use crate::operations::reports::{self, Grouping};
use crate::operations::{calls, deadlines as armed, parked, read_models, reconciling, replay_error};
use crate::outside::payment_provider;
use crate::roles::registry;
use crate::settings::{Settings, usage};
use crate::{Verdict, load as loading, out, rebuilding};

/// `daybook load …`
pub(crate) async fn load(command: Load, json: bool) -> anyhow::Result<Verdict> {
    match command {
        Load::Catalogue(args) => {
            let report = loading::catalogue(args).await?;
            out::answer(from_ref(&report), &report, json)?;
            Ok(Verdict::of(report.is_good()))
        }
    }
}

/// `daybook parked …`
pub(crate) async fn parked(settings: &Settings, command: Parked, json: bool) -> anyhow::Result<Verdict> {
    match command {
        Parked::List => {
            let list = parked::list(settings).await?;
            out::answer(&list.0, &list, json)?;
            Ok(Verdict::Good)
        }
        Parked::Show(which) => {
            let details = parked::show(settings, &parked::Name::parse(&which.name, which.generation)?).await?;
            out::answer(&details, parked::Details(&details), json)?;
            Ok(Verdict::Good)
        }
        Parked::Retry(args) => settle(settings, &args, parked::Ask::Retry, json).await,
        Parked::Skip(args) => settle(settings, &args, parked::Ask::Skip, json).await,
    }
}

async fn settle(settings: &Settings, args: &crate::cli::Unpark, ask: parked::Ask, json: bool) -> anyhow::Result<Verdict> {
    let name = parked::Name::parse(&args.what.name, args.what.generation)?;
    let settlements = parked::settle(settings, &name, ask, Duration::from_secs(args.wait), out::note).await?;
    out::answer(&settlements.0, &settlements, json)?;
    match settlements.unanswered(args.wait) {
        Some(remedy) => anyhow::bail!(remedy),
        None => Ok(Verdict::of(!settlements.are_parked_again())),
    }
}

/// `daybook deadlines …`
pub(crate) async fn deadlines(settings: &Settings, command: Deadlines, json: bool) -> anyhow::Result<Verdict> {
    match command {
        Deadlines::List(args) => {
            let due_before = args.due_before.map(Into::into);
            let list = armed::list(settings, args.service.as_deref(), args.stream.as_deref(), due_before, args.limit).await?;
            out::answer(&list.0, &list, json)?;
        }
        Deadlines::Fire(args) => {
            let wait = Duration::from_secs(args.wait);
            let fired = armed::fire(settings, &args.rule, &args.stream, &args.name, wait, out::note).await?;
            out::answer(&fired.0, &fired, json)?;
            if fired.is_unanswered() {
                let seconds = args.wait;
                anyhow::bail!("no process has done it in {seconds} s: see that `daybook command-handlers` runs; it stays asked for");
            }
        }
    }
    Ok(Verdict::Good)
}

/// `daybook calls …`
pub(crate) async fn calls(settings: &Settings, command: Calls, json: bool) -> anyhow::Result<Verdict> {
    let Calls::List(args) = command;
    let list = calls::list(settings, args.service.as_deref(), args.stream.as_deref(), args.limit).await?;
    out::answer(&list.0, &list, json)?;
    Ok(Verdict::Good)
}

/// `daybook report …`
pub(crate) async fn report(settings: &Settings, args: Reports, json: bool) -> anyhow::Result<Verdict> {
    if args.csv && json {
        return Err(usage("--csv and --json are two ways to print one report: take one of them"));
    }
    let table = match args.report {
        Report::Sales { from, to, by } => {
            if from.zip(to).is_some_and(|(from, to)| from > to) {
                return Err(usage("--from: is a later day than --to: exchange them"));
            }
            let by = match by {
                None => Grouping::Everything,
                Some(SalesBy::Day) => Grouping::Day,
                Some(SalesBy::Category) => Grouping::Category,
                Some(SalesBy::Currency) => Grouping::Currency,
            };
            reports::sales(settings, from, to, by).await?
        }
        Report::Stock { warehouse } => reports::stock(settings, warehouse.as_deref()).await?,
        Report::OrdersLate { all } => reports::orders_late(settings, all).await?,
        Report::Payments(of) if of.reconcile => return compare_payments(settings, &of, args.csv, json).await,
        Report::Payments(of) => reports::payments(settings, of.open).await?,
    };
    if args.csv {
        out::text(table.csv()?);
    } else {
        out::answer(&table.records(), &table, json)?;
    }
    Ok(Verdict::Good)
}

async fn compare_payments(settings: &Settings, of: &PaymentsReported, csv: bool, json: bool) -> anyhow::Result<Verdict> {
    let provider = payment_provider(settings, &of.provider)?;
    let under_way = chrono::Duration::seconds(of.under_way.into());
    let found = reconciling::reconcile(&settings.databases()?, &*provider, under_way).await?;
    match csv {
        true => out::text(found.csv()?),
        false => out::answer(&found.rows, &found, json)?,
    }
    Ok(Verdict::of(!found.differs()))
}

/// `daybook replay …`
pub(crate) async fn replay(settings: &Settings, command: Replay, json: bool) -> anyhow::Result<Verdict> {
    let databases = settings.databases()?;
    match command {
        Replay::Verify { service, partition, kafka } => {
            let bus = if kafka { Some(settings.bus("replay")?) } else { None };
            let options = VerifyOptions { service, partition, kafka };
            let report = verify(&databases, bus, &registry()?, &options, &mut progress()).await.map_err(replay_error)?;
            out::answer(from_ref(&report), &report, json)?;
            Ok(Verdict::of(report.is_sound()))
        }
        Replay::Show { service, stream, version, at } => {
            let until = at.map(|at| ShowUntil::Time(at.into())).or(version.map(ShowUntil::Version)).unwrap_or_default();
            let history = show(&databases, &registry()?, &service, &stream, until).await.map_err(replay_error)?;
            out::answer(from_ref(&history), &history, json)?;
            Ok(Verdict::Good)
        }
        Replay::Reconcile { service, discard, reason } => {
            let options = ReconcileOptions { service, discard: reason.filter(|_| discard) };
            let reconciled = reconcile(&databases, &settings.bus("replay")?, &registry()?, &options).await.map_err(replay_error)?;
            out::answer(from_ref(&reconciled), &reconciled, json)?;
            Ok(Verdict::of(reconciled.began_epoch.is_some() || reconciled.is_reconciled()))
        }
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
            let report = rebuilding::run(&databases, &read_models::named(&args.projection)?, &args.folding, then).await?;
            out::answer(from_ref(&report), &report, json)?;
            Ok(Verdict::of(report.is_good()))
        }
        Replay::Diff { projection, folding } => {
            let diff = rebuilding::run(&databases, &read_models::named(&projection)?, &folding, Then::Drop).await?.diff;
            out::answer(from_ref(&diff), &diff, json)?;
            Ok(Verdict::of(diff.is_identical()))
        }
        Replay::Promote { projection, generation, patience } => {
            let (bus, options, model) = (settings.bus("replay")?, promote_options(&patience), read_models::named(&projection)?);
            match promote(&databases, &bus, &model, shop_proto::descriptors(), generation, &options).await {
                Ok(promoted) => {
                    out::answer(from_ref(&promoted), &promoted, json)?;
                    Ok(Verdict::Good)
                }
                Err(error) => refused(error),
            }
        }
        Replay::Generations { projection } => {
            let generations = read_models::generations(&databases, projection.as_deref()).await?;
            let lines: String = generations.iter().map(|generation| format!("{generation}\n")).collect();
            out::answer(&generations, lines, json)?;
            Ok(Verdict::Good)
        }
        Replay::Retire { projection, generation } => {
            match read_models::retire(&databases, &settings.bus("replay")?, &read_models::named(&projection)?, generation).await {
                Ok(retired) => {
                    out::answer(from_ref(&retired), &retired, json)?;
                    Ok(Verdict::Good)
                }
                Err(error) => refused(error),
            }
        }
        Replay::AsOf { projection, key, at } => {
            let was = read_models::as_of(&databases, &read_models::named(&projection)?, &key, &moment(at)?).await?;
            let text = match &was {
                Some(was) => format!("{was:#}\n"),
                None => format!("{projection} had nothing under {key:?} at that time\n"),
            };
            out::answer(from_ref(&was), text, json)?;
            Ok(Verdict::of(was.is_some()))
        }
    }
}

/// A refusal is a finding (exit code 1), but it is no answer: it goes where errors go.
fn refused(error: ReplayError) -> anyhow::Result<Verdict> {
    if !error.is_refusal() {
        return Err(replay_error(error));
    }
    out::note(format_args!("daybook: {error}"));
    Ok(Verdict::FoundSomething)
}

fn promote_options(patience: &Patience) -> PromoteOptions {
    let wait = Duration::from_secs(patience.wait);
    PromoteOptions { catch_up: wait, pods: wait }
}

fn moment(at: AsOfPlace) -> anyhow::Result<At> {
    match (at.at, at.token) {
        (Some(time), _) => Ok(At::Time(time.into())),
        (None, Some(tokens)) => Ok(At::Tokens(ConsistencyToken::parse_list(&tokens).map_err(|e| usage(e.to_string()))?)),
        (None, None) => Err(usage("one of --at and --token is needed")),
    }
}

/// A line for people, at most once a second, where standard error is a terminal.
fn progress() -> impl FnMut(Progress) + Send {
    let mut last = std::time::Instant::now();
    let watched = std::io::IsTerminal::is_terminal(&std::io::stderr());
    move |p| {
        if watched && last.elapsed() > Duration::from_secs(1) {
            last = std::time::Instant::now();
            out::note(format_args!("{}/{} {:?}: {} of {}", p.service, p.partition, p.phase, p.done, p.of));
        }
    }
}
