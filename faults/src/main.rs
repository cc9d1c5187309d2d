//! `scripts/faults`: breaks Daybook on purpose, and judges what is left. Exit code 0 only when no invariant fell and every
//! nemesis struck; 1 when something fell; 2 on wrong usage; 3 when the harness itself could not work.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use daybook_faults::cluster;
use daybook_faults::nemesis::{self, Nemesis};
use daybook_faults::report::Report;
use daybook_faults::run::{Ordeal, Settings, run};
use daybook_faults::shop::judge;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// Breaks Daybook on purpose, and judges what is left.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Every random choice comes from it; a fresh one when it is not given. Several: a run each.
    #[arg(long)]
    seed: Vec<u64>,
    /// So many fresh seeds, a run each.
    #[arg(long, value_name = "N", conflicts_with = "seed", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
    /// Minutes for which things are broken in each run; each nemesis strikes at least once, also when that takes longer.
    #[arg(long, value_name = "M", default_value_t = 12.0, value_parser = positive)]
    minutes: f64,
    /// Only these nemeses, by name, or by the beginning of their names with a * behind it.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only so many of them in each run, drawn by its seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    draw: Option<u32>,
    /// A nemesis that this machine can't run makes the verdict red, too.
    #[arg(long)]
    all: bool,
    /// Lists the nemeses.
    #[arg(long)]
    list: bool,
    /// Instead of faults: twenty times the ordinary rate, for so long as `--minutes` says.
    #[arg(long, conflicts_with = "only")]
    crowd: bool,
    /// Instead of faults: a rolling upgrade from this older build's binary to `--binary`, back, and forward again.
    #[arg(long, value_name = "BINARY", conflicts_with_all = ["only", "crowd"])]
    upgrade_from: Option<PathBuf>,
    /// Judges again what a run left behind: its evidence.json.
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
    /// At least so many seconds from one company of nemeses to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pause: u64,
    /// Commands a second, of all clients together.
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    rate: f64,
    /// So many times longer may the way back from a fault take: for a machine that others use as well.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = positive)]
    patience: f64,
    /// Shoppers place orders too, which are paid and sent by a provider and a carrier outside, and these are broken as well.
    #[arg(long)]
    orders: bool,
    /// Where a run keeps its things; a folder a seed below it.
    #[arg(long, value_name = "FOLDER", default_value = "target/faults")]
    folder: PathBuf,
    /// The armed binary.
    #[arg(long, default_value = "target/debug/daybook")]
    binary: PathBuf,
    /// The script that starts Postgres and Kafka.
    #[arg(long, default_value = "scripts/services/services")]
    services: PathBuf,
}

/// A number above 0, no longer than a day where it counts minutes.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n: &f64| *n > 0.0 && *n <= 100_000.0);
    number.ok_or_else(|| "must be a number above 0, and no more than 100,000".to_owned())
}

/// The binary that a run starts again and again: a copy, so that it stays the same when somebody builds beside it.
struct Pinned(PathBuf);

impl Pinned {
    fn new(binary: &std::path::Path, folder: &std::path::Path) -> anyhow::Result<Self> {
        let copy = folder.join(format!("daybook-{}", std::process::id()));
        std::fs::create_dir_all(folder)?;
        std::fs::copy(binary, &copy).with_context(|| format!("{}: build it first", binary.display()))?;
        Ok(Self(copy.canonicalize()?))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The data that the clusters of several runs begin with. It goes with its value.
struct Prepared {
    folder: PathBuf,
    services: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = std::process::Command::new(&self.services).arg("wipe").arg(&self.folder).output();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn chosen(only: &[String], orders: bool) -> anyhow::Result<Vec<Box<dyn Nemesis>>> {
    let fits = |name: &str, wanted: &String| wanted.strip_suffix('*').map_or(name == wanted, |start| name.starts_with(start));
    let mut all = nemesis::all(orders);
    if let Some(unknown) = only.iter().find(|wanted| !all.iter().any(|n| fits(n.name(), wanted))) {
        bail!("--only {unknown}: there is no such nemesis; --list names them");
    }
    all.retain(|n| only.is_empty() || only.iter().any(|wanted| fits(n.name(), wanted)));
    Ok(all)
}

/// The ordeal of a seed's run.
fn ordeal(arguments: &Arguments, seed: u64) -> anyhow::Result<Ordeal> {
    if let Some(older) = &arguments.upgrade_from {
        let older = older.canonicalize().with_context(|| format!("--upgrade-from {} is not there", older.display()))?;
        return Ok(Ordeal::Upgrade(older));
    }
    if arguments.crowd {
        return Ok(Ordeal::Crowd);
    }
    let mut all = chosen(&arguments.only, arguments.orders)?;
    if let Some(n) = arguments.draw {
        all.shuffle(&mut StdRng::seed_from_u64(seed));
        all.truncate(n as usize);
    }
    Ok(Ordeal::Nemeses(all))
}

async fn work(arguments: &Arguments) -> anyhow::Result<Report> {
    let fresh = || u64::from(rand::random::<u32>());
    let seeds = match arguments.seeds {
        Some(n) => (0..n).map(|_| fresh()).collect(),
        None if arguments.seed.is_empty() => vec![fresh()],
        None => arguments.seed.clone(),
    };
    let mut report = Report::new(arguments.all, arguments.orders);
    let binary = Pinned::new(&arguments.binary, &std::path::absolute(&arguments.folder)?)?;
    let services = arguments.services.canonicalize()?;
    let folder = std::path::absolute(&arguments.folder)?.join(format!("prepared-{}", std::process::id()));
    let prepared = Prepared { folder, services: services.clone() };
    // An upgrade begins with the older build's.
    let is_shared = seeds.len() > 1 && arguments.upgrade_from.is_none();
    for (n, seed) in seeds.iter().enumerate() {
        println!("==> seed {seed} ({} of {})", n + 1, seeds.len());
        let folder = std::path::absolute(&arguments.folder)?.join(seed.to_string());
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let settings = Settings {
            seed: *seed,
            length: Duration::from_secs_f64(arguments.minutes * 60.0),
            pause: Duration::from_secs(arguments.pause),
            rate: arguments.rate,
            orders: arguments.orders,
            patience: arguments.patience,
            folder: folder.clone(),
            binary: binary.0.clone(),
            services: services.clone(),
            prepared: is_shared.then(|| prepared.folder.clone()),
        };
        match run(&settings, &ordeal(arguments, *seed)?).await {
            Ok(outcome) => {
                for violation in outcome.verdict.violations.iter().take(5) {
                    println!("    {} {}: {}", violation.invariant, violation.rule, violation.what);
                    for seen in violation.seen.iter().take(12) {
                        println!("        {seen}");
                    }
                }
                for ended in &outcome.unexpected {
                    println!("    ended by itself, and was started again: {ended}");
                }
                report.add(*seed, &outcome);
            }
            Err(error) => {
                println!("    the harness failed: {error:#}");
                report.failed(*seed, &error);
            }
        }
        std::fs::write(folder.join("verdict.json"), serde_json::to_vec_pretty(&report.json())?)?;
        println!("    {}", report.verdict());
    }
    Ok(report)
}

fn judged(file: &std::path::Path) -> anyhow::Result<ExitCode> {
    let evidence = serde_json::from_slice(&std::fs::read(file)?)?;
    let verdict = judge(&evidence);
    println!("{verdict}");
    // The first of each rule, with what is needed to see it.
    let mut told = std::collections::BTreeSet::new();
    for violation in verdict.violations.iter().filter(|v| told.insert(v.rule)) {
        println!("{} {}: {}", violation.invariant, violation.rule, violation.what);
        violation.seen.iter().for_each(|line| println!("    {line}"));
    }
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let nemeses = match chosen(&arguments.only, arguments.orders) {
        Ok(nemeses) => nemeses,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        for nemesis in &nemeses {
            println!("{:<32} {}", nemesis.name(), nemesis.about());
        }
        return ExitCode::SUCCESS;
    }
    if let Some(file) = &arguments.judge {
        return judged(file).unwrap_or_else(|error| {
            eprintln!("{}: {error:#}", file.display());
            ExitCode::from(3)
        });
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(3);
        }
    };
    let done = runtime.block_on(async {
        // Dropping the run stops all that it started.
        tokio::select! {
            report = work(&arguments) => report,
            _ = cluster::interrupted() => bail!("interrupted"),
        }
    });
    match done {
        Ok(report) => {
            report.print();
            match report.is_green() {
                true => ExitCode::SUCCESS,
                false if report.could_not_work() => ExitCode::from(3),
                false => ExitCode::from(1),
            }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(3)
        }
    }
}
