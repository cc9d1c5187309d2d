//! `daybook load catalogue`: real input, through the command endpoint, as any client would send it.
//!
//! A file is read once, line by line; so many clients post its rows at the same time. Every command's key is worked out from
//! its content, so the same file again gives the original results again, and a load that broke off is simply repeated.

mod category;
#[cfg(test)]
mod fuzz;
mod input;
mod post;
mod progress;
mod report;
mod row;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use input::Lines;
use post::{Endpoint, Outcome, Unavailable};
use progress::Progress;
use report::{LoadReport, StockReport};
use row::Product;

/// What to load, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CatalogueOptions {
    /// A .jsonl file, packed by gzip or not: a product a line, with id, title, price in cents, and more
    /// (data/sample/README.md lists the fields).
    #[arg(env = "DAYBOOK_LOAD_FILE")]
    pub(crate) file: PathBuf,
    /// Where the command endpoint is.
    #[arg(long, env = "DAYBOOK_COMMANDS_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Receive stock of every product too: 1 to 200 pieces, the same at every load.
    #[arg(long, env = "DAYBOOK_LOAD_STOCK")]
    pub(crate) stock: bool,
    /// The warehouse that receives it.
    #[arg(long, env = "DAYBOOK_LOAD_WAREHOUSE", default_value = "w-1")]
    pub(crate) warehouse: String,
    /// The currency of the file's prices, as ISO 4217 names it.
    #[arg(long, env = "DAYBOOK_LOAD_CURRENCY", default_value = "EUR")]
    pub(crate) currency: String,
    /// How many commands are under way at once.
    #[arg(long, env = "DAYBOOK_LOAD_CLIENTS", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) clients: u16,
    /// Load only so many rows, from the first.
    #[arg(long, env = "DAYBOOK_LOAD_LIMIT")]
    pub(crate) limit: Option<u64>,
    /// Seconds that one command may be without a result, while the endpoint restarts or is overloaded, before the load gives up.
    #[arg(long, env = "DAYBOOK_LOAD_PATIENCE", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) patience: u64,
}

/// Options that can't be right: exit code 2. Every other error of a load is one of the infrastructure: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(String);

/// A line of the file, read.
enum Item {
    Row(u64, Box<Product>),
    Bad(u64, String),
}

/// What the clients of one load share.
struct Load {
    endpoint: Endpoint,
    warehouse: Option<String>,
    report: Mutex<LoadReport>,
    progress: Progress,
}

/// Loads a catalogue file through the command endpoint. Progress goes to stderr.
///
/// # Errors
/// [`UsageError`] for a file that can't be opened, a warehouse or a currency that no command may name; otherwise when the
/// endpoint can't be reached, or a command has no result in time. What was loaded until then stays, and a repeat finds it.
pub(crate) async fn catalogue(options: CatalogueOptions) -> anyhow::Result<LoadReport> {
    let warehouse = options.stock.then(|| options.warehouse.clone());
    if let Some(fault) = row::fault_of_settings(warehouse.as_deref(), &options.currency) {
        return Err(UsageError(fault).into());
    }
    let progress = Progress::default();
    let (lines, length) = Lines::open(&options.file, progress.bytes.clone())
        .map_err(|error| UsageError(format!("{} can't be read: {error}", options.file.display())))?;
    let clients = usize::from(options.clients);
    let endpoint = Endpoint::new(&options.url, clients, Duration::from_secs(options.patience)).context("no HTTP client can be made")?;
    endpoint.probe().await?;

    let begun = Instant::now();
    let report = LoadReport { stock: warehouse.is_some().then(StockReport::default), ..Default::default() };
    let load = Arc::new(Load { endpoint, warehouse, report: Mutex::new(report), progress });
    // As many rows again as are under way are read ahead, no more.
    let (sender, receiver) = mpsc::channel(clients);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let (currency, limit) = (options.currency, options.limit);
    let reader = tokio::task::spawn_blocking(move || read(lines, &currency, limit, &sender));
    let shown = load.progress.show(length, limit);
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(client(load.clone(), receiver.clone()));
    }
    drop(receiver);
    let mut failed: Option<Unavailable> = None;
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended.context("a client of the load ended")? {
            failed.get_or_insert(error);
            // The others are waiting for the same endpoint; the reader ends when nobody listens any more.
            tasks.abort_all();
            break;
        }
    }
    while tasks.join_next().await.is_some() {}
    shown.finish();
    reader.await.context("reading the file ended")?;

    let mut report = load.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.seconds = begun.elapsed().as_secs_f64();
    report.rows_per_second = report.rows as f64 / report.seconds.max(1e-6);
    match failed {
        None => Ok(report),
        Some(error) => Err(anyhow::Error::new(error)
            .context(format!("the load broke off after {} rows; run it again: what was loaded is not loaded twice", report.rows))),
    }
}

/// Reads, unpacks and maps, beside the clients; ends when nobody listens any more.
fn read(lines: Lines, currency: &str, limit: Option<u64>, sender: &mpsc::Sender<Item>) {
    let most = limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
    for (number, line) in lines.take(most) {
        let item = match line.and_then(|line| row::product(&line, currency)) {
            Ok(product) => Item::Row(number, Box::new(product)),
            Err(reason) => Item::Bad(number, reason),
        };
        if sender.blocking_send(item).is_err() {
            return;
        }
    }
}

/// One client: takes the next row when it is done with the one before.
async fn client(load: Arc<Load>, rows: Arc<tokio::sync::Mutex<mpsc::Receiver<Item>>>) -> Result<(), Unavailable> {
    loop {
        let item = rows.lock().await.recv().await;
        match item {
            None => return Ok(()),
            Some(Item::Bad(line, reason)) => load.report().bad(line, reason),
            Some(Item::Row(line, product)) => load.row(line, &product).await?,
        }
        load.report().rows += 1;
        load.progress.row();
    }
}

impl Load {
    fn report(&self) -> std::sync::MutexGuard<'_, LoadReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn row(&self, line: u64, product: &Product) -> Result<(), Unavailable> {
        let outcome = self.endpoint.send(&product.create()).await?;
        let is_there = self.created(line, product, outcome);
        if let (true, Some(warehouse)) = (is_there, &self.warehouse) {
            let outcome = self.endpoint.send(&product.receive(warehouse)).await?;
            self.received(line, outcome);
        }
        Ok(())
    }

    /// Counts; says whether the shop has a product of this SKU now.
    fn created(&self, line: u64, product: &Product, outcome: Outcome) -> bool {
        let mut report = self.report();
        report.shortened += product.shortened;
        match outcome {
            Outcome::Done { replayed: false } => report.created += 1,
            Outcome::Done { replayed: true } => report.replayed += 1,
            Outcome::Refused(code) => {
                let is_there = code == "product-exists";
                report.refuse(line, &product.create.sku, code);
                return is_there;
            }
            Outcome::Bad(reason) => {
                report.bad(line, reason);
                return false;
            }
        }
        true
    }

    fn received(&self, line: u64, outcome: Outcome) {
        let mut report = self.report();
        let stock = report.stock.get_or_insert_default();
        match outcome {
            Outcome::Done { replayed: false } => stock.received += 1,
            Outcome::Done { replayed: true } => stock.replayed += 1,
            Outcome::Refused(code) => *stock.refused.entry(code).or_default() += 1,
            Outcome::Bad(reason) => report.bad(line, format!("stock: {reason}")),
        }
    }
}
