//! Times of searches over HTTP: a query API of the real binary, over a database whose parts were copied in as a rebuild
//! copies them, asked by several clients at once.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use daybook_postgres::connect_owner;
use prost::Message as _;
use serde_json::Value;
use shop_proto::read::v1::{SearchedProduct, SearchedStock};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::catalogue::{self, Product};
use super::made::Maker;
use super::shapes::{self, Shape};
use super::{Search, statistics};
use crate::http::Connection;

/// Longest time for the query API to read a catalogue.
const PATIENCE: Duration = Duration::from_secs(600);
/// Log partitions of each service: no event is in them, but positions are.
const PARTITIONS: &str = "4";

/// Measures the real catalogue and, where it is asked for, a made one; prints.
///
/// # Errors
/// When a service can't be reached, or an answer is not 200.
pub(crate) async fn run(options: &Search, database_url: &str, brokers: &str) -> anyhow::Result<()> {
    println!("{}\n", crate::cpu::machine_description());
    let rows = catalogue::rows(&options.catalogue, &options.map)?;
    let model = catalogue::model()?;
    let server = Server { binary: &options.binary, database_url, brokers };
    server.measure("the real catalogue", options, rows.iter().map(|row| catalogue::product(&model, row))).await?;
    if options.products > 0 {
        let mut maker = Maker::new(&rows, 1)?;
        let made = (0..options.products).map(|_| catalogue::product(&model, &maker.product()));
        server.measure("the made catalogue", options, made).await?;
    }
    Ok(())
}

/// The means to start query APIs.
struct Server<'a> {
    binary: &'a Path,
    database_url: &'a str,
    brokers: &'a str,
}

impl Server<'_> {
    /// In a database of its own, which is dropped again.
    async fn measure(&self, what: &str, options: &Search, products: impl Iterator<Item = anyhow::Result<Product>>) -> anyhow::Result<()> {
        let owner = connect_owner(self.database_url).await?;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        owner.batch_execute(&format!("CREATE DATABASE {name}")).await.context("a database for the catalogue can't be made")?;
        let url = format!("{}/{name}", self.database_url.rsplit_once('/').context("the database URL names no database")?.0);
        let measured = self.measure_in(&url, &name, what, options, products).await;
        owner.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        measured
    }

    async fn measure_in(
        &self,
        url: &str,
        name: &str,
        what: &str,
        options: &Search,
        products: impl Iterator<Item = anyhow::Result<Product>>,
    ) -> anyhow::Result<()> {
        let migrated = self.daybook(url, name).args(["migrate", "--partitions", PARTITIONS]).stdout(Stdio::null()).status()?;
        anyhow::ensure!(migrated.success(), "migrating failed");
        let begun = Instant::now();
        let parts = copy(url, products).await?;
        eprintln!("    {what}: {parts} parts copied in {:.1} s", begun.elapsed().as_secs_f64());

        let begun = Instant::now();
        let mut serving = Serving::start(self.daybook(url, name))?;
        serving.wait_until_ready().await?;
        let (seconds, (read, _)) = (begun.elapsed().as_secs_f64(), serving.memory());
        println!("{what}: {parts} parts; the query API was ready after {seconds:.1} s\n");
        println!("| milliseconds, {} clients | found at most | answers/s | p50 | p95 | p99 |\n|---|---|---|---|---|---|", options.clients);
        for (name, shape) in shapes::all() {
            let asked = ask(serving.address, &shape, options.clients, Duration::from_secs(options.seconds)).await.context(name)?;
            let rate = asked.times.len() as f64 / options.seconds as f64;
            println!("| {name} | {} | {rate:.0} | {} |", asked.most, statistics::cells(asked.times));
        }
        let (now, peak) = serving.memory();
        println!("\nresident memory of the query API: {read} MB when it was ready, {now} MB in the end, {peak} MB at most\n");
        Ok(())
    }

    fn daybook(&self, url: &str, name: &str) -> Command {
        let mut command = Command::new(self.binary);
        command.env("DAYBOOK_DATABASE_URL", url).env("DAYBOOK_KAFKA", self.brokers).env("DAYBOOK_KAFKA_PREFIX", format!("{name}."));
        command.env("DAYBOOK_LOG", "warn").stdin(Stdio::null());
        command
    }
}

/// A query API that runs; it ends with this.
struct Serving {
    child: Child,
    address: SocketAddr,
    /// Open as long as it writes.
    output: BufReader<ChildStdout>,
}

impl Serving {
    fn start(mut daybook: Command) -> anyhow::Result<Self> {
        let mut child =
            daybook.args(["query-api", "--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        // From here on it ends with this, whatever it says.
        let mut serving = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), output };
        let mut line = String::new();
        serving.output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("queries on http://").and_then(|a| a.parse().ok());
        serving.address = address.context("the query API did not start")?;
        Ok(serving)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let (begun, mut connection) = (Instant::now(), Connection::new(self.address));
        while !get(&mut connection, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
            anyhow::ensure!(self.child.try_wait()?.is_none(), "the query API ended");
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the query API is not ready");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// MB that it has in memory, and had at most. Linux' own; elsewhere 0.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default()
        };
        (kib("VmRSS:") * 1_024 / 1_000_000, kib("VmHWM:") * 1_024 / 1_000_000)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies products into the generation that is live, each with a stock; the number of their parts.
async fn copy(url: &str, products: impl Iterator<Item = anyhow::Result<Product>>) -> anyhow::Result<u64> {
    let owner = connect_owner(url).await?;
    let row = owner.query_one("SELECT parts FROM read.generation WHERE projection = 'products' AND state = 'live'", &[]).await?;
    let parts: String = row.get(0);
    let sink = owner
        .copy_in(&format!("COPY read.{parts} (key, part, bytes, service, stream_id, partition, \"offset\") FROM STDIN (FORMAT binary)"))
        .await?;
    let types = [Type::TEXT, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT4, Type::INT8];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for product in products {
        let Product { key, parts } = product?;
        let stream = format!("product/{key}");
        for (part, bytes) in &parts {
            writer.as_mut().write(&[&key, part, bytes, &"catalog", &stream, &0_i32, &0_i64]).await?;
        }
        let (stock, stream) = (stock(&key), format!("stock/{key}@w-1"));
        writer.as_mut().write(&[&key, &"stock/w-1", &stock, &"inventory", &stream, &0_i32, &0_i64]).await?;
    }
    let copied = writer.finish().await?;
    owner.batch_execute(&format!("VACUUM (ANALYZE) read.{parts}")).await?;
    Ok(copied)
}

/// Every second product is in stock.
fn stock(key: &str) -> Vec<u8> {
    let available = key.bytes().last().map_or(0, |b| u32::from(b % 2 == 0));
    SearchedProduct { stock: vec![SearchedStock { warehouse: "w-1".to_owned(), available }], ..Default::default() }.encode_to_vec()
}

async fn get<'a>(connection: &'a mut Connection, path: &str) -> std::io::Result<(u16, &'a [u8])> {
    let answer = connection.send(format!("GET {path} HTTP/1.1\r\nHost: daybook\r\n\r\n").as_bytes()).await?;
    Ok((answer.status, answer.body))
}

async fn ask_once(connection: &mut Connection, path: &str) -> anyhow::Result<Value> {
    let (status, body) = get(connection, path).await?;
    anyhow::ensure!(status == 200, "{path}: {status}");
    Ok(serde_json::from_slice(body)?)
}

/// The results of one shape.
struct Asked {
    times: Vec<Duration>,
    /// The most that one of its queries finds.
    most: u64,
}

/// Asks for so long, each client one after the other.
async fn ask(address: SocketAddr, shape: &Shape, clients: u16, length: Duration) -> anyhow::Result<Asked> {
    let mut connection = Connection::new(address);
    let (mut paths, mut most) = (Vec::new(), 0);
    for path in &shape.paths {
        let mut answer = ask_once(&mut connection, path).await?;
        most = most.max(answer["total"].as_u64().unwrap_or_else(|| answer["suggestions"].as_array().map_or(0, |s| s.len() as u64)));
        match answer["nextPageToken"].take() {
            Value::String(token) if shape.next_page => paths.push(format!("{path}&page_token={token}")),
            _ if shape.next_page => anyhow::bail!("{path} has no second page"),
            _ => paths.push(path.clone()),
        }
    }
    let until = Instant::now() + length;
    let asking = (0..usize::from(clients)).map(|client| {
        let paths = paths.clone();
        tokio::spawn(async move {
            let (mut connection, mut times) = (Connection::new(address), Vec::new());
            for path in paths.iter().cycle().skip(client) {
                let begun = Instant::now();
                if begun >= until {
                    break;
                }
                let (status, _) = get(&mut connection, path).await?;
                anyhow::ensure!(status == 200, "{path}: {status}");
                times.push(begun.elapsed());
            }
            anyhow::Ok(times)
        })
    });
    let mut times = Vec::new();
    for asked in futures_util::future::try_join_all(asking).await? {
        times.extend(asked?);
    }
    Ok(Asked { times, most })
}
