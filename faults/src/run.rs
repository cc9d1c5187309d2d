//! One run: a cluster at work, broken one way after the other, and judged at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::chart::{self, Sample};
use crate::cluster::{Cluster, Member, Plan, UnexpectedEnd};
use crate::collect::{Sources, Watch, collect};
use crate::evidence::{Past, Recovery};
use crate::history::Recorder;
use crate::judge::Verdict;
use crate::load;
use crate::nemesis::{Nemesis, Struck};
use crate::schedule::companies;
use crate::shop::{Keys, judge};
use crate::upgrade;
use crate::workload::{Http, Options, Workload};

/// The time for which clients work before the first fault.
const WARM_UP: Duration = Duration::from_secs(3);
/// The longest that everything may take to catch up at the end.
const AT_LAST: Duration = Duration::from_secs(120);
/// The time that a nemesis alone takes, about, its recovery included: decides whether there is time for that.
const ALONE: Duration = Duration::from_secs(12);
/// The most that strike at once.
const COMPANY: usize = 3;
/// A run that is as long tells what grows.
const TELLING: Duration = Duration::from_secs(20 * 60);
/// A crowd breaks nothing, so that a shorter one tells as much.
const TELLING_CROWD: Duration = Duration::from_secs(5 * 60);
/// A process that has lived so long tells by itself what grows.
const LONG_LIFE: Duration = Duration::from_secs(8 * 60);
/// The time between two measurements of processes.
const MEASURED: Duration = Duration::from_secs(5);

/// Whoever takes over waits until a call that may be under way is over, and asks first; and no deadline fires before good news had its time.
const OUTSIDE: Duration = Duration::from_secs(40);

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every choice comes from it.
    pub seed: u64,
    /// The time that the ordeal takes; each nemesis strikes at least once, also when that takes longer.
    pub length: Duration,
    /// At least so long from one company to the next.
    pub pause: Duration,
    /// Commands a second.
    pub rate: f64,
    /// Clients place orders.
    pub orders: bool,
    /// So many times longer may the way back from a fault take.
    pub patience: f64,
    /// Where the run keeps its things.
    pub folder: PathBuf,
    /// The armed binary.
    pub binary: PathBuf,
    /// `scripts/services/services`.
    pub services: PathBuf,
    /// What the clusters of several runs begin with ([`Plan::prepared`]).
    pub prepared: Option<PathBuf>,
}

/// The ordeal of a cluster while clients work.
pub enum Ordeal {
    /// Each strikes at least once.
    Nemeses(Vec<Box<dyn Nemesis>>),
    /// Twenty times the ordinary rate.
    Crowd,
    /// From an older build's binary to [`Settings::binary`], back, and forward again.
    Upgrade(PathBuf),
}

impl Ordeal {
    fn nemeses(&self) -> &[Box<dyn Nemesis>] {
        match self {
            Self::Nemeses(nemeses) => nemeses,
            Self::Crowd | Self::Upgrade(_) => &[],
        }
    }
}

/// The record of one nemesis.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The number of its strikes.
    pub strikes: u64,
    /// The number of times that its fault really happened.
    pub fired: u64,
    /// Times to the first acknowledged command, in milliseconds, alone.
    pub acknowledged: Vec<f64>,
    /// Times until all was caught up, in milliseconds, alone.
    pub caught_up: Vec<f64>,
    /// The same in company, of the company as a whole.
    pub in_company: Vec<f64>,
    /// The longest that it may take, in seconds.
    pub within: u64,
    /// Why it could not run.
    pub not_run: Option<String>,
    /// Its remarks.
    pub notes: Vec<String>,
}

/// The result of a run.
#[derive(Debug)]
pub struct RunResult {
    /// By nemesis.
    pub lines: BTreeMap<&'static str, Line>,
    /// The judge's.
    pub verdict: Verdict,
    /// The number of questions in the history.
    pub asked: usize,
    /// Processes that ended by themselves.
    pub unexpected: Vec<UnexpectedEnd>,
    /// Other faults: resources that grew in a long run, a crowd that was not shed as it should.
    pub wrong: Vec<String>,
}

struct Run<'a> {
    /// So much longer it may take where calls to those outside are under way.
    outside: Duration,
    /// So many times longer it may take on this machine.
    patience: f64,
    cluster: &'a Cluster,
    nemeses: &'a [Box<dyn Nemesis>],
    recorder: Recorder,
    http: Http,
    watch: Watch,
    random: StdRng,
    lines: BTreeMap<&'static str, Line>,
    recoveries: Vec<Recovery>,
    pasts: Vec<Past>,
    wrong: Vec<String>,
}

/// Runs, and judges.
///
/// # Errors
/// When the harness itself fails: a cluster that does not start, evidence that can't be read.
pub async fn run(settings: &Settings, ordeal: &Ordeal) -> anyhow::Result<RunResult> {
    let first = if let Ordeal::Upgrade(from) = ordeal { from } else { &settings.binary };
    let plan = Plan {
        dir: settings.folder.clone(),
        binary: first.clone(),
        services_script: settings.services.clone(),
        // With orders there are three times as many logs, and each partition of one has sessions of its own.
        partitions: if settings.orders { 2 } else { 4 },
        handlers: 2,
        projectors: 2,
        queries: 2,
        session_timeout_s: 4,
        orders: settings.orders,
        prepared: settings.prepared.clone(),
        small_disk: ordeal.nemeses().iter().any(|n| n.name().starts_with("disk-")),
    };
    let mut times = Times::default();
    let cluster = Arc::new(Cluster::start(plan).await?);
    times.ended("start");
    let outcome = gone_through(settings, ordeal, &cluster, &mut times).await;
    let unexpected = cluster.stop().await?;
    times.ended("stop");
    let mut outcome = outcome?;
    println!("    seconds: {times}");
    outcome.wrong.extend(unmeant(&unexpected, &settings.folder.join("logs"))?);
    Ok(RunResult { unexpected, ..outcome })
}

/// Ends and panics that no nemesis meant, as processes lived through them. Who can't begin because what it stands on is away says
/// so with exit code 3, and is started again, as on any platform.
fn unmeant(unexpected: &[UnexpectedEnd], logs: &Path) -> anyhow::Result<Vec<String>> {
    let of_a_role = |end: &&UnexpectedEnd| end.name.contains('-');
    let ends = unexpected.iter().filter(of_a_role).filter(|end| end.status != "exit status: 3");
    let mut all: Vec<String> = ends.map(|end| format!("ended by itself: {end}")).collect();
    for log in std::fs::read_dir(logs)? {
        let log = log?.path();
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let panics = text.lines().filter(|line| line.contains("panicked at ") && !line.contains("failpoint/src/"));
        all.extend(panics.map(|line| format!("{}: {line}", log.display())));
    }
    Ok(all)
}

/// The seconds that a run's parts have taken, for whoever wants it to take fewer.
struct Times {
    last: Instant,
    parts: Vec<(&'static str, f64)>,
}

impl Default for Times {
    fn default() -> Self {
        Self { last: Instant::now(), parts: Vec::new() }
    }
}

impl Times {
    fn ended(&mut self, part: &'static str) {
        self.parts.push((part, self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: f64 = self.parts.iter().map(|(_, seconds)| seconds).sum();
        write!(f, "{all:.0} in all")?;
        self.parts.iter().try_for_each(|(part, seconds)| write!(f, ", {part} {seconds:.1}"))
    }
}

async fn gone_through(settings: &Settings, ordeal: &Ordeal, cluster: &Arc<Cluster>, times: &mut Times) -> anyhow::Result<RunResult> {
    let (nemeses, two_builds) = (ordeal.nemeses(), matches!(ordeal, Ordeal::Upgrade(_)));
    let recorder = Recorder::create(&settings.folder.join("history.jsonl"))?;
    let places = |members: Vec<Member>| members.iter().map(Member::server).collect::<Vec<_>>();
    let (commands, queries) = (places(cluster.handlers()), places(cluster.queries()));
    let options = Options {
        seed: settings.seed,
        commands,
        queries: queries.clone(),
        kafka: cluster.kafka(),
        writers: 12,
        readers: 4,
        raw: 2,
        rate: settings.rate,
        things: 200,
        two_builds,
        orders: settings.orders,
        outside: cluster.outside(),
    };
    let sources = Sources {
        database: cluster.owner_url(),
        kafka: cluster.kafka(),
        commands: options.commands.clone(),
        queries,
        two_builds,
        orders: settings.orders,
        outside: cluster.outside(),
        binary: settings.binary.clone(),
    };
    let workload = Workload::start(options, recorder.clone())?;
    let samples = Samples::start(cluster.clone());
    let outside = if settings.orders { OUTSIDE } else { Duration::ZERO };
    let mut run = Run {
        outside,
        patience: settings.patience,
        cluster,
        nemeses,
        http: Http::new(recorder.clone(), two_builds)?,
        watch: Watch::start(sources.clone(), recorder.clone()),
        recorder,
        random: StdRng::seed_from_u64(settings.seed),
        lines: nemeses
            .iter()
            .map(|n| (n.name(), Line { within: (n.within() + outside).mul_f64(settings.patience).as_secs(), ..Line::default() }))
            .collect(),
        recoveries: Vec::new(),
        pasts: Vec::new(),
        wrong: Vec::new(),
    };
    tokio::time::sleep(WARM_UP).await;
    let mut rolled = None;
    match ordeal {
        Ordeal::Nemeses(_) => run.strike_all(settings).await,
        Ordeal::Crowd => run.wrong = load::crowd(&run.recorder, &workload, settings.rate, settings.length).await,
        Ordeal::Upgrade(old) => rolled = Some(upgrade::roll(cluster, old, &settings.binary, settings.length).await?),
    }
    times.ended("ordeal");
    println!("    clients finish, and everything catches up");
    workload.finish().await?;
    times.ended("clients");
    let last = run.recovered("the end of the run", Instant::now(), AT_LAST).await;
    run.recoveries.push(last);
    times.ended("catching up");
    let history = run.recorder.entries();
    let keys = Keys::of(&history);
    let asked = history.len();
    let mut evidence = collect(&sources, &run.http, &keys, history, run.watch.sightings(), run.recoveries).await?;
    if let Some(rolled) = &rolled {
        evidence.reacting_from.clone_from(&rolled.reacting_from);
    }
    evidence.pasts = run.pasts;
    std::fs::write(settings.folder.join("evidence.json"), serde_json::to_vec(&evidence)?)?;
    times.ended("evidence");
    if let Some(rolled) = rolled {
        run.wrong.extend(rolled.told(&evidence));
    }
    let verdict = tokio::task::spawn_blocking(move || judge(&evidence)).await?;
    times.ended("judge");
    let mut wrong = run.wrong;
    let telling = if matches!(ordeal, Ordeal::Crowd) { TELLING_CROWD } else { TELLING };
    wrong.extend(samples.finish(&settings.folder, settings.length >= telling)?);
    Ok(RunResult { lines: run.lines, verdict, asked, unexpected: Vec::new(), wrong })
}

impl Run<'_> {
    /// Everyone at least once; then in random company until the time is over.
    async fn strike_all(&mut self, settings: &Settings) {
        let begun = Instant::now();
        let (mut names, mut last) = (Vec::new(), Vec::new());
        for nemesis in self.nemeses {
            match nemesis.can_run(self.cluster) {
                Ok(()) if nemesis.is_last() => last.push(nemesis.name()),
                Ok(()) => names.push(nemesis.name()),
                Err(reason) => self.line(nemesis.name()).not_run = Some(reason),
            }
        }
        let alone = settings.length >= ALONE * u32::try_from(names.len()).unwrap_or(u32::MAX);
        let mut first = true;
        while !names.is_empty() && (first || begun.elapsed() < settings.length) {
            let size = if first && alone { 1 } else { COMPANY };
            for company in companies(&names, size, &mut self.random) {
                if !first && begun.elapsed() >= settings.length {
                    break;
                }
                let next = Instant::now() + settings.pause;
                self.strike(&company).await;
                tokio::time::sleep_until(next.into()).await;
            }
            if first {
                self.again(&names).await;
            }
            first = false;
        }
        for name in last {
            self.strike(&[name]).await;
        }
    }

    /// In company one may have been robbed of its moment: once more, alone.
    async fn again(&mut self, names: &[&'static str]) {
        for name in names {
            for _ in 0..2 {
                if self.line(name).fired == 0 {
                    self.strike(&[name]).await;
                }
            }
        }
    }

    fn line(&mut self, name: &'static str) -> &mut Line {
        self.lines.entry(name).or_default()
    }

    /// One company: strikes at once, then waits until all is well again.
    async fn strike(&mut self, company: &[&'static str]) {
        let chosen: Vec<&Box<dyn Nemesis>> = self.nemeses.iter().filter(|n| company.contains(&n.name())).collect();
        let delays: Vec<Duration> = chosen.iter().map(|_| Duration::from_millis(self.random.random_range(0..1_500))).collect();
        let seeds: Vec<u64> = chosen.iter().map(|_| self.random.random()).collect();
        let (cluster, http) = (self.cluster, &self.http);
        let strikes = chosen.iter().zip(delays).zip(seeds).map(|((nemesis, delay), seed)| async move {
            if company.len() > 1 {
                tokio::time::sleep(delay).await;
            }
            let mut random = StdRng::seed_from_u64(seed);
            nemesis.strike(cluster, &mut random, http).await
        });
        let struck = join_all(strikes).await;
        let over = struck.iter().map(|struck| struck.as_ref().map_or_else(|_| Instant::now(), |struck| struck.over)).max();
        let within: Duration = chosen.iter().map(|n| n.within()).sum::<Duration>() + self.outside;
        let recovery = self.recovered(&company.join(" + "), over.unwrap_or_else(Instant::now), within).await;
        let millis = |micros: Option<u64>| micros.map(|m| m as f64 / 1_000.0);
        let (mut said, mut failed, mut pasts) = (Vec::new(), Vec::new(), Vec::new());
        for (nemesis, struck) in chosen.iter().zip(struck) {
            let line = self.line(nemesis.name());
            line.strikes += 1;
            match struck {
                Ok(Struck { fired, notes, asked, past, .. }) => {
                    asked.answered().await;
                    pasts.extend(past.map(|past| *past));
                    line.fired += fired;
                    said.push(format!("{} {fired}×", nemesis.name()));
                    line.notes.extend(notes);
                }
                Err(error) => {
                    said.push(format!("{} FAILED: {error:#}", nemesis.name()));
                    line.notes.push(format!("{error:#}"));
                    failed.push(format!("{} failed: {error:#}", nemesis.name()));
                }
            }
            if company.len() == 1 {
                line.acknowledged.extend(millis(recovery.first_acknowledged));
                line.caught_up.extend(millis(recovery.caught_up));
            } else {
                line.in_company.extend(millis(recovery.caught_up));
            }
        }
        let seconds = |micros: Option<u64>| micros.map_or("NEVER".to_owned(), |m| format!("{:.1} s", m as f64 / 1e6));
        println!(
            "    {}: acknowledged after {}, caught up after {}",
            said.join(", "),
            seconds(recovery.first_acknowledged),
            seconds(recovery.caught_up)
        );
        self.recoveries.push(recovery);
        self.pasts.extend(pasts);
        self.wrong.extend(failed);
    }

    /// Waits until all is well again, and says when it was, from the moment at which the last fault was over.
    async fn recovered(&self, nemesis: &str, over: Instant, within: Duration) -> Recovery {
        let within = within.mul_f64(self.patience);
        let ended = self.recorder.at(over);
        let acknowledged = async {
            while over.elapsed() < within {
                if let Some(at) = self.recorder.first_acknowledged(ended) {
                    return Some(at - ended);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            None
        };
        let caught_up = async {
            let behind = self.watch.caught_up(&self.http, within.saturating_sub(over.elapsed())).await;
            (behind, self.recorder.now() - ended)
        };
        let (first_acknowledged, (behind, at)) = tokio::join!(acknowledged, caught_up);
        if let Err(behind) = &behind {
            println!("    {nemesis}: {behind:#}");
        }
        let within = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        Recovery { nemesis: nemesis.to_owned(), first_acknowledged, caught_up: behind.is_ok().then_some(at), within }
    }
}

/// Measures processes all the time.
struct Samples {
    kept: Arc<Mutex<Vec<Sample>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Samples {
    fn start(cluster: Arc<Cluster>) -> Self {
        let kept: Arc<Mutex<Vec<Sample>>> = Arc::default();
        let into = kept.clone();
        let begun = Instant::now();
        let task = tokio::spawn(async move {
            loop {
                for used in cluster.resources() {
                    let values = vec![
                        ("memory MiB", used.resident as f64 / f64::from(1 << 20)),
                        ("file descriptors", used.descriptors as f64),
                        ("threads", used.threads as f64),
                        ("connections to Postgres", used.connections as f64),
                    ];
                    let sample = Sample { at: begun.elapsed().as_secs_f64(), of: used.name, life: used.starts, values };
                    into.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                }
                tokio::time::sleep(MEASURED).await;
            }
        });
        Self { kept, task }
    }

    /// Writes the chart, and says what grew, where the run was long enough to tell it.
    fn finish(self, folder: &Path, tells: bool) -> anyhow::Result<Vec<String>> {
        self.task.abort();
        let samples = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        chart::write(folder, &samples).context("the chart can't be written")?;
        if !tells {
            return Ok(Vec::new());
        }
        let small = [("memory MiB", 64.0), ("file descriptors", 32.0), ("threads", 16.0), ("connections to Postgres", 8.0)];
        let grown = chart::grown(&samples, &small, LONG_LIFE.as_secs_f64());
        Ok(grown.into_iter().map(|(of, what, then, now)| format!("{of}: {what} grew from {then:.0} to {now:.0}")).collect())
    }
}
