//! The best way to write a projector's batch, and its best size: the statement with arrays that projectors send, against
//! `COPY` and a statement that takes the batch from there; and how fast a projector catches up with batches of each size.

mod ways;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use daybook_kernel::ReadModel;
use daybook_log::{Log, MigrateOptions, migrate};
use daybook_postgres::{Databases, OwnConnection, Role, connect_owner, migrate_install};
use daybook_projections::lifecycle::Building;
use daybook_projections::rebuild::RebuildOptions;
use daybook_projections::{Generation, Limits, Projector, ReadStore};
use serde_json::json;
use shop_projectors::read_models;

use crate::cpu::{self, Processes};
use crate::database::in_its_own_database;
use crate::filled::{self, Size};
use crate::rebuild::MODEL;
use ways::{Batch, Way, Writer};

/// Of batches that are written, in parts, and of batches that a projector catches up with, in events.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// As projectors have them: their statements are look-ups in an index.
const SETTINGS: &[(&str, &str)] = &[("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// Options of the measurement.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Batches {
    /// Runs of each measurement; the best counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Events that a projector catches up with; ten a stream.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(20..))]
    events: u64,
}

/// Measures, prints, and drops its database again. With `as_json` for programs.
///
/// # Errors
/// When the server can't be reached, or the user may not create databases.
pub(crate) async fn run(options: &Batches, database_url: &str, postgres_pid: Option<u32>, as_json: bool) -> anyhow::Result<()> {
    let processes = Processes::ours_and_postgres(postgres_pid);
    in_its_own_database(database_url, async |url| measure(options, url, &processes, as_json).await).await
}

async fn measure(options: &Batches, url: &str, processes: &Processes, as_json: bool) -> anyhow::Result<()> {
    let databases = Databases::one(url);
    let services = ["catalog", "inventory"].map(str::to_owned).to_vec();
    migrate_install(&databases).await?;
    migrate(&databases, &MigrateOptions { services, partitions: 1 }).await?;
    let model = read_models().into_iter().find(|m| m.name == MODEL).context("the shop has no product pages")?;
    // Of an empty log it has all its tables and indexes, and nothing in them.
    let mut building = Building::begin(&databases, &model).await?;
    building.fill(&RebuildOptions::default(), &Arc::default()).await?;
    let parts = building.parts().to_owned();
    let generation = Arc::new(Generation::new(&model, building.finish().await?, parts.clone()));

    let session = OwnConnection::new(url, None, SETTINGS, "daybook bench").await?;
    let mut writer = Writer::new(session, &parts, generation.number).await?;
    let mut lines = Vec::new();
    for size in SIZES {
        for changed in [false, true] {
            lines.push(Line { size, changed, ways: both(&mut writer, size, changed, options.runs, processes).await? });
        }
    }
    let place = Place { url, databases: &databases, model: Arc::new(model), generation };
    let size = Size { events: options.events, streams: options.events / 10, partitions: 1 };
    filled::fill(&databases, size, "SKU").await?;
    let mut caught_up = [0.0; SIZES.len()];
    for _ in 0..options.runs.div_ceil(2) {
        for (rate, size) in caught_up.iter_mut().zip(SIZES) {
            *rate = f64::max(*rate, place.catch_up(size).await?);
        }
    }
    print(&lines, &caught_up, as_json);
    Ok(())
}

/// Batches of one size, of new parts or of changed ones.
struct Line {
    size: usize,
    changed: bool,
    ways: [Measured; 2],
}

#[derive(Clone, Copy, Default)]
struct Measured {
    /// Parts a second, the best of all runs.
    rate: f64,
    /// Seconds of CPU of all runs, Postgres' and ours.
    cpu: f64,
}

/// Both ways in turn, so many times.
async fn both(writer: &mut Writer, size: usize, changed: bool, runs: u32, processes: &Processes) -> anyhow::Result<[Measured; 2]> {
    let mut ways = [Measured::default(); 2];
    // Small batches one after the other, so that each measurement takes about as long.
    let batches = |is_new| (0..SIZES[2] / size).map(move |n| Batch::new(n * size, size, is_new)).collect::<Vec<_>>();
    for _ in 0..runs {
        for (measured, way) in ways.iter_mut().zip([Way::Unnest, Way::Copy]) {
            writer.clear().await?;
            for batch in if changed { batches(true) } else { Vec::new() } {
                writer.write(&batch, Way::Unnest).await?;
            }
            let batches = batches(!changed);
            let (used, begun) = (processes.used(), Instant::now());
            for batch in &batches {
                writer.write(batch, way).await?;
            }
            measured.rate = f64::max(measured.rate, SIZES[2] as f64 / begun.elapsed().as_secs_f64());
            measured.cpu += processes.used().since(&used).seconds();
        }
    }
    Ok(ways)
}

/// A generation that projectors catch up with the log.
struct Place<'a> {
    url: &'a str,
    databases: &'a Databases,
    model: Arc<ReadModel>,
    generation: Arc<Generation>,
}

impl Place<'_> {
    /// Events a second, from nothing to the logs' ends, one partition after the other.
    async fn catch_up(&self, catch_up_events: usize) -> anyhow::Result<f64> {
        ways::clear(&connect_owner(self.url).await?, &self.generation.parts).await?;
        let limits = Limits { catch_up_events, ..Limits::default() };
        let store = ReadStore::new(self.databases)?;
        let (mut events, begun) = (0, Instant::now());
        for service in self.model.services() {
            let log = Log::open(self.databases, service, Role::Projector).await?;
            let (model, generation) = (self.model.clone(), self.generation.clone());
            let mut projector = Projector::open(model, generation, store.clone(), log.partition(0)?, limits.clone()).await?;
            projector.catch_up().await?;
            events += projector.next();
        }
        Ok(events as f64 / begun.elapsed().as_secs_f64())
    }
}

fn print(lines: &[Line], caught_up: &[f64; SIZES.len()], as_json: bool) {
    if as_json {
        let named = lines.iter().map(|Line { size, changed, ways: [arrays, copy] }| {
            let name = format!("write_{}_{size}", if *changed { "changed" } else { "new" });
            let (ratio, cpu) = (arrays.rate / copy.rate, copy.cpu / arrays.cpu);
            (name, json!({ "value": arrays.rate, "unit": "parts/s", "limit": copy.rate, "ratio": ratio, "ratio_by_cpu": cpu }))
        });
        let caught_up = SIZES.iter().zip(caught_up).map(|(size, rate)| {
            let most = caught_up.iter().copied().fold(f64::MIN, f64::max);
            (format!("catch_up_{size}"), json!({ "value": rate, "unit": "1/s", "limit": most, "ratio": rate / most }))
        });
        println!("{:#}", serde_json::Value::Object(named.chain(caught_up).collect()));
        return;
    }
    println!("{}", cpu::machine_description());
    println!("parts of a batch          arrays       COPY   ratio, by CPU");
    for Line { size, changed, ways: [arrays, copy] } in lines {
        let what = if *changed { "changed" } else { "new" };
        let (ratio, cpu) = (arrays.rate / copy.rate, copy.cpu / arrays.cpu);
        println!("{size:>6} {what:<10} {:>12.0}/s {:>8.0}/s    {ratio:.2}    {cpu:.2}", arrays.rate, copy.rate);
    }
    for (size, rate) in SIZES.iter().zip(caught_up) {
        println!("catching up, at most {size:>6} events a batch: {rate:>8.0} events/s");
    }
}
