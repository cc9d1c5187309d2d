//! Rebuilding a read model, against Postgres alone as it sends the same events: a log of the shop's own events in a
//! database of its own, made through the log's own pages.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use daybook_kernel::StreamId;
use daybook_log::{AppendOutcome, Log, MigrateOptions, NewEvent, Page, PageHead, Writer, WriterSessions, migrate};
use daybook_postgres::{Databases, OwnConnection, Role, connect_owner, migrate_install};
use daybook_projections::lifecycle::{Building, known_generations};
use daybook_projections::rebuild::{Filled, RebuildOptions};
use daybook_proto::EventSet;
use daybook_replay::{DiffOptions, diff};
use futures_util::{TryStreamExt as _, future::try_join_all};
use serde_json::json;
use shop_projectors::read_models;
use shop_proto::catalog::v1::{Price, ProductCreated, ProductEvent, ProductRepriced, ProductRevised};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::{StockEvent, StockReceived, StockReserved};
use uuid::Uuid;

use crate::cpu::{self, Processes};

pub(crate) const MODEL: &str = "product-pages";
/// Events of a page that the log is filled with: the most that a lane would write.
const PAGE: usize = 2_000;
/// Columns that a projection reads; the same ones in the same form are one of the limits.
const COLUMNS: &str = r#""offset", stream_id, version, type, payload, recorded_at"#;

/// Options of the measurement.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RebuildBench {
    /// Events, of products and of stock in equal shares.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Streams that they are of.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2..))]
    streams: u64,
    /// Partitions of each log.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    partitions: u32,
    /// Partitions that are read at once; as many as there are cores when it is not given.
    #[arg(long)]
    at_once: Option<usize>,
    /// MiB of views that may be in memory.
    #[arg(long, default_value_t = 512)]
    memory: usize,
    /// Runs of each measurement; the best counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

impl RebuildBench {
    /// Only a log of so many events, streams and partitions; the rest as it is by default.
    pub(crate) fn of(events: u64, streams: u64, partitions: u32) -> Self {
        Self { events, streams, partitions, at_once: None, memory: 512, runs: 1 }
    }
}

/// Fills a log, measures, prints, and drops the database again. With `as_json` for programs.
///
/// # Errors
/// When the server can't be reached, or the user may not create databases.
pub(crate) async fn run(options: &RebuildBench, database_url: &str, postgres_pid: Option<u32>, as_json: bool) -> anyhow::Result<()> {
    let processes = Processes::ours_and_postgres(postgres_pid);
    in_its_own_database(database_url, async |url| measure(options, url, &processes, as_json).await).await
}

/// Works in a database that is made for it, and dropped again however that ends.
///
/// # Errors
/// When the server can't be reached, the user may not create databases, or the work fails.
pub(crate) async fn in_its_own_database(database_url: &str, work: impl AsyncFnOnce(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let owner = connect_owner(database_url).await?;
    let name = format!("bench_{}", Uuid::new_v4().simple());
    owner.batch_execute(&format!("CREATE DATABASE {name}")).await.context("a database can't be made")?;
    let url = format!("{}/{name}", database_url.rsplit_once('/').context("the database URL names no database")?.0);
    let worked = work(&url).await;
    owner.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
    worked
}

async fn measure(options: &RebuildBench, url: &str, processes: &Processes, as_json: bool) -> anyhow::Result<()> {
    let databases = Databases::one(url);
    let services = ["catalog", "inventory"].map(str::to_owned).to_vec();
    migrate_install(&databases).await?;
    migrate(&databases, &MigrateOptions { services, partitions: options.partitions }).await?;
    eprintln!("    a log of {} events of {} streams", options.events, options.streams);
    let begun = Instant::now();
    fill(&databases, options).await?;
    eprintln!("    written in {:.1} s", begun.elapsed().as_secs_f64());
    let owner = connect_owner(url).await?;
    owner.batch_execute("VACUUM (ANALYZE) catalog.event, inventory.event").await?;
    owner.batch_execute("CHECKPOINT").await?;

    let defaults = RebuildOptions::default();
    let rebuild = RebuildOptions { memory: options.memory << 20, at_once: options.at_once.unwrap_or(defaults.at_once), ..defaults };
    let (mut narrow, mut whole, mut best, mut rebuilt): (f64, f64, f64, Option<Filled>) = (0.0, 0.0, 0.0, None);
    let (mut before, mut peak, mut cpu) = (0, 0, [f64::MAX; 2]);
    for _ in 0..options.runs {
        narrow = narrow.max(raw(options, url, COLUMNS, rebuild.at_once).await?);
        let used = processes.used();
        whole = whole.max(raw(options, url, "*", rebuild.at_once).await?);
        let whole_used = processes.used().since(&used).seconds();
        let resting = reset_peak();
        let used = processes.used();
        let begun = Instant::now();
        let model = read_models().into_iter().find(|m| m.name == MODEL).context("the shop has no product pages")?;
        let mut building = Building::begin(&databases, &model).await?;
        let filled = building.fill(&rebuild, &Arc::default()).await?;
        building.finish().await?;
        let rate = filled.events as f64 / begun.elapsed().as_secs_f64();
        let rebuild_used = processes.used().since(&used).seconds();
        cpu = [f64::min(cpu[0], whole_used), f64::min(cpu[1], rebuild_used)];
        eprintln!("    raw {narrow:.0}/s ({whole:.0}/s with every column), rebuilt {rate:.0}/s");
        if rate > best {
            (best, before, peak, rebuilt) = (rate, resting, peak_kib(), Some(filled));
        }
    }
    let compared = compare(&databases, url).await?;
    let filled = rebuilt.context("nothing was rebuilt")?;
    let ratio = best / narrow;
    let numbers = json!({
        "rebuild_events": { "value": best, "unit": "1/s", "limit": narrow, "ratio": ratio },
        "rebuild_events_of_whole_rows": { "value": best, "unit": "1/s", "limit": whole, "ratio": best / whole },
        "rebuild_cpu": { "value": cpu[1], "unit": "s", "limit": cpu[0], "ratio": cpu[0] / cpu[1] },
        "rebuild_peak_memory": { "value": peak / 1024, "unit": "MiB" },
        "rebuild_diff": { "value": compared, "unit": "s" },
    });
    if as_json {
        println!("{numbers:#}");
        return Ok(());
    }
    println!("{}", cpu::machine_description());
    println!("{} events of {} streams, {} passes over {} partitions", filled.events, filled.streams, filled.passes, 2 * options.partitions);
    println!("COPY TO STDOUT, the columns that a fold needs   {narrow:>10.0} events/s");
    println!("COPY TO STDOUT, every column                    {whole:>10.0} events/s");
    println!(
        "rebuild, from nothing to ready                  {best:>10.0} events/s   {ratio:.2} of the first, {:.2} of the second",
        best / whole
    );
    if processes.0.len() > 1 {
        println!(
            "CPU, Postgres' and ours, s                      {:>10.2}                {:.2} for COPY of every column: {:.2} of that",
            cpu[1],
            cpu[0],
            cpu[0] / cpu[1]
        );
    }
    println!("peak memory of the process                      {:>10} MiB        ({} MiB before)", peak / 1024, before / 1024);
    if let Some(seconds) = compared {
        println!("diff of two generations                         {seconds:>10.2} s");
    }
    Ok(())
}

/// A story for each stream, written page by page, all partitions side by side.
pub(crate) async fn fill(databases: &Databases, options: &RebuildBench) -> anyhow::Result<()> {
    let sessions = WriterSessions::new(2);
    let each = options.events.div_ceil(options.streams).max(1);
    let (mut versions, mut written) = (0, 0);
    let mut lanes = Vec::new();
    for service in ["catalog", "inventory"] {
        let log = Log::open(databases, service, Role::Writer).await?;
        for n in 0..options.partitions.cast_signed() {
            let writer = Writer::new(log.partition(n)?, &sessions).await?;
            let head = writer.open(Writer::now()).await?.head;
            lanes.push(Lane { writer, head, partition: n, events: Vec::new() });
        }
    }
    while versions < each {
        versions += 1;
        for stream in 0..options.streams {
            if written >= options.events {
                break;
            }
            written += 1;
            let (service, event) = story(stream, versions);
            let id = StreamId::parse(&event.stream_id)?;
            let at = service * options.partitions as usize + usize::try_from(id.partition(options.partitions))?;
            lanes[at].push(event).await?;
        }
    }
    for lane in &mut lanes {
        lane.write().await?;
    }
    Ok(())
}

struct Lane {
    writer: Writer,
    head: PageHead,
    partition: i32,
    events: Vec<NewEvent>,
}

impl Lane {
    async fn push(&mut self, event: NewEvent) -> anyhow::Result<()> {
        self.events.push(event);
        if self.events.len() >= PAGE { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let events = std::mem::take(&mut self.events);
        let page = Page::following(&self.head, self.partition, self.writer.name(), Writer::now(), -1, events, Vec::new());
        let outcome = self.writer.append(&page).await;
        anyhow::ensure!(outcome == AppendOutcome::Appended, "a page was not appended: {outcome:?}");
        self.head = page.head().clone();
        Ok(())
    }
}

/// The service (0: catalog, 1: inventory), and the event that a stream has at this version.
fn story(stream: u64, version: u64) -> (usize, NewEvent) {
    let sku = format!("SKU-{:07}", stream / 2);
    let money = |minor_units: u64| Some(Money { currency: "EUR".to_owned(), minor_units: minor_units.cast_signed() });
    let new = |key: &str, (type_name, payload, aggregate): (&str, Vec<u8>, &str)| NewEvent {
        stream_id: format!("{aggregate}/{key}"),
        version: version.cast_signed(),
        type_name: type_name.to_owned(),
        payload,
        // As long as a command's id, correlation and address are together.
        metadata: vec![7; 88],
    };
    if stream.is_multiple_of(2) {
        let event: ProductEvent = match version {
            1 => ProductCreated {
                sku: sku.clone(),
                title: format!("A lamp that gives light, number {stream}"),
                description: "It stands on the floor, and is switched on and off by foot. The bulb is not part of it.".to_owned(),
                brand: "Lux".to_owned(),
                category: "Home > Lamps".to_owned(),
                price: money(1_999),
                attributes: [("colour", "red"), ("size", "M"), ("material", "steel")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..ProductCreated::default()
            }
            .into(),
            v if v % 2 == 0 => {
                let price = Price { list: money(1_000 + v), sale: None };
                ProductRepriced { sku: sku.clone(), price: Some(price) }.into()
            }
            v => ProductRevised { sku: sku.clone(), title: Some(format!("A lamp, revised {v} times")), ..Default::default() }.into(),
        };
        (0, new(&sku, encoded(&event)))
    } else {
        let warehouse = "w-1".to_owned();
        let event: StockEvent = if version % 2 == 1 {
            StockReceived { sku: sku.clone(), warehouse, quantity: 5, ..Default::default() }.into()
        } else {
            StockReserved { sku: sku.clone(), warehouse, quantity: 1, ..Default::default() }.into()
        };
        (1, new(&format!("{sku}@w-1"), encoded(&event)))
    }
}

fn encoded<E: EventSet>(event: &E) -> (&'static str, Vec<u8>, &'static str) {
    (event.type_name(), event.encode_to_vec(), E::AGGREGATE)
}

/// Events a second that Postgres sends and a client drops, so many partitions at once.
async fn raw(options: &RebuildBench, url: &str, columns: &str, at_once: usize) -> anyhow::Result<f64> {
    let settings = [("synchronize_seqscans", "off"), ("max_parallel_workers_per_gather", "0")];
    let begun = Instant::now();
    let mut tables: Vec<String> =
        ["catalog", "inventory"].iter().flat_map(|s| (0..options.partitions).map(move |n| format!("{s}.event_{n}"))).collect();
    let share = tables.len().div_ceil(at_once.max(1));
    let mut readers = Vec::new();
    while !tables.is_empty() {
        let mine = tables.split_off(tables.len().saturating_sub(share));
        let (url, columns) = (url.to_owned(), columns.to_owned());
        readers.push(tokio::spawn(async move {
            let connection = OwnConnection::new(&url, None, &settings, "daybook bench").await?;
            for table in mine {
                let statement = format!("COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT binary)");
                let rows = connection.copy_out(statement.as_str()).await?;
                let mut rows = std::pin::pin!(rows);
                while rows.try_next().await?.is_some() {}
            }
            anyhow::Ok(())
        }));
    }
    for done in try_join_all(readers).await? {
        done?;
    }
    Ok(options.events as f64 / begun.elapsed().as_secs_f64())
}

/// Seconds that comparing the last two generations takes; none when there is one.
async fn compare(databases: &Databases, url: &str) -> anyhow::Result<Option<f64>> {
    let owner = connect_owner(url).await?;
    let all = known_generations(&owner, MODEL).await?;
    let [.., old, new] = all.as_slice() else { return Ok(None) };
    let model = read_models().into_iter().find(|m| m.name == MODEL).context("the shop has no product pages")?;
    let begun = Instant::now();
    let report = diff(databases, &model, shop_proto::descriptors(), (old, new), &DiffOptions::default(), None).await?;
    anyhow::ensure!(report.is_identical(), "two rebuilds of the same log differ: {report}");
    Ok(Some(begun.elapsed().as_secs_f64()))
}

/// KiB that the process has now; from here on its peak is counted anew. Linux' own; elsewhere 0.
fn reset_peak() -> u64 {
    let _ = fs::write("/proc/self/clear_refs", "5");
    peak_kib()
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}
