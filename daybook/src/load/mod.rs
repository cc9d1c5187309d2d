//! `daybook load catalogue`: real input, through the command endpoint, as any client would send it.
//!
//! A file is read row by row; many rows are under way at the same time, those of one SKU one after the other. Every
//! command's key is worked out from its content, so the same file again gives the original results again, and a load that
//! broke off is simply repeated.

mod command;
mod flow;
mod last;
mod post;
mod progress;
mod report;
mod row;
mod shop;

use std::fs::File;
use std::io::LineWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use shop_catalogue::{Catalogue, Mapping};

use flow::{Flow, Writing};
use last::LastWords;
use post::Endpoint;
use progress::Progress;
use report::{LoadReport, StockReport};
use row::{Order, Way};
use shop::Shop;

/// Settings of a load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CatalogueOptions {
    /// JSON (lines, an array, or objects one after the other) or CSV with a heading, packed by gzip or not.
    #[arg(env = "DAYBOOK_LOAD_FILE")]
    pub(crate) file: PathBuf,
    /// Which column is which field (docs/loading.md). Without it columns are called as the fields of create-product are in JSON.
    #[arg(long, env = "DAYBOOK_LOAD_MAP", value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Where the command endpoint is.
    #[arg(long, env = "DAYBOOK_COMMANDS_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Where the query API is, which --update and --dry-run ask what the shop has.
    #[arg(long, env = "DAYBOOK_QUERIES_URL", default_value = "http://127.0.0.1:8081", value_name = "URL")]
    pub(crate) queries_url: String,
    /// Bring products that are there to what their rows say: revise, reprice, categorise, and only what differs.
    #[arg(long, env = "DAYBOOK_LOAD_UPDATE")]
    pub(crate) update: bool,
    /// Say what would be done, and send nothing.
    #[arg(long, env = "DAYBOOK_LOAD_DRY_RUN")]
    pub(crate) dry_run: bool,
    /// Write what became of each row: JSON, a line a row, in the order in which they were done.
    #[arg(long, env = "DAYBOOK_LOAD_REPORT", value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Receive stock of every product too: 1 to 200 pieces, the same at every load.
    #[arg(long, env = "DAYBOOK_LOAD_STOCK")]
    pub(crate) stock: bool,
    /// The warehouse that receives it.
    #[arg(long, env = "DAYBOOK_LOAD_WAREHOUSE", default_value = "w-1")]
    pub(crate) warehouse: String,
    /// The currency of prices where neither row nor mapping names one, as ISO 4217 does. It is not guessed: without it a file that names
    /// none is refused.
    #[arg(long, env = "DAYBOOK_LOAD_CURRENCY", value_name = "USD")]
    pub(crate) currency: Option<String>,
    /// Rows that are under way at once.
    #[arg(long, env = "DAYBOOK_LOAD_CLIENTS", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) clients: u16,
    /// Load only so many rows, from the first.
    #[arg(long, env = "DAYBOOK_LOAD_LIMIT")]
    pub(crate) limit: Option<u64>,
    /// Seconds that one command may be without a result, while the endpoint restarts or is overloaded, before the load gives up.
    #[arg(long, env = "DAYBOOK_LOAD_PATIENCE", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) patience: u64,
}

impl CatalogueOptions {
    /// Rows that are looked at.
    fn most(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

/// A file as often as it has to be read: a pipe gives its bytes once, so they are kept beside, for as long as this lives.
struct Readable {
    path: PathBuf,
    is_ours: bool,
}

impl Readable {
    fn once(path: &Path) -> Self {
        Self { path: path.to_owned(), is_ours: false }
    }

    /// # Errors
    /// When what comes through a pipe can't be read or kept.
    fn twice(path: &Path) -> Result<Self, UsageError> {
        // A file that is not there, or is a folder, is an error of opening it.
        if std::fs::metadata(path).is_ok_and(|about| about.is_file() || about.is_dir()) || !path.exists() {
            return Ok(Self::once(path));
        }
        let kept = std::env::temp_dir().join(format!("daybook-load-{}", uuid::Uuid::new_v4()));
        let kept = Self { path: kept, is_ours: true };
        let copied = File::open(path).and_then(|mut from| std::io::copy(&mut from, &mut File::create_new(&kept.path)?));
        copied.map_err(|error| UsageError(format!("{} can't be kept to be read twice: {error}", path.display())))?;
        Ok(kept)
    }
}

impl Drop for Readable {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Options that can't be right: exit code 2. Every other error of a load is one of the infrastructure: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(String);

/// Loads a catalogue file through the command endpoint. Progress goes to stderr.
///
/// # Errors
/// [`UsageError`] for a file or a mapping that can't be read or don't fit, a warehouse or a currency that no command may name;
/// otherwise when an address can't be reached, or a command has no result in time. What was loaded until then stays, and a
/// repeat finds it.
pub(crate) async fn catalogue(options: CatalogueOptions) -> anyhow::Result<LoadReport> {
    let warehouse = options.stock.then(|| options.warehouse.clone());
    if let Some(fault) = command::fault_of_settings(warehouse.as_deref(), options.currency.as_deref()) {
        return Err(UsageError(fault).into());
    }
    let mapping = options.map.as_deref().map_or_else(Mapping::own, Mapping::read).map_err(|e| UsageError(e.to_string()))?;
    let progress = Progress::default();
    let file = if options.update { Readable::twice(&options.file)? } else { Readable::once(&options.file) };
    let mapping = Arc::new(mapping);
    let open =
        |read| Catalogue::open(&file.path, mapping.clone(), options.currency.as_deref(), read).map_err(|e| UsageError(e.to_string()));
    let order = if options.update {
        let (catalogue, _) = open(Arc::default())?;
        let most = options.most();
        let words = tokio::task::spawn_blocking(move || LastWords::of(catalogue.take(most))).await.context("reading the file ended")?;
        Order::LastWord(words)
    } else {
        Order::InTurn(Mutex::default())
    };
    let (catalogue, length) = open(progress.bytes.clone())?;
    let writing = options.report.as_ref().map(|path| File::create(path).map(LineWriter::new));
    let writing = writing.transpose().map_err(|error| UsageError(format!("--report: {error}")))?;

    let (clients, patience) = (usize::from(options.clients), Duration::from_secs(options.patience));
    let client = post::client(clients).context("no HTTP client can be made")?;
    if !options.dry_run {
        post::probe(&client, "command endpoint", &options.url, patience).await?;
    }
    let asks = options.update || options.dry_run;
    if asks {
        post::probe(&client, "query API", &options.queries_url, patience).await?;
    }
    let begun = Instant::now();
    let report = LoadReport { dry_run: options.dry_run, stock: warehouse.is_some().then(StockReport::default), ..Default::default() };
    let way = Way {
        endpoint: Endpoint::new(client.clone(), &options.url, patience),
        shop: asks.then(|| Shop::new(client, &options.queries_url, patience)),
        warehouse,
        update: options.update,
        dry_run: options.dry_run,
        order,
        places: Mutex::default(),
        last: Mutex::default(),
    };
    let shown = progress.show(length, options.limit);
    let mut flow = Flow { way: Arc::new(way), clients, report, writing: Writing::new(writing), progress };
    let mut ended = flow.run(catalogue, options.most()).await;
    if ended.is_ok() {
        ended = flow.way.shown().await.map_err(anyhow::Error::from);
    }
    shown.finish();
    flow.report.seconds = begun.elapsed().as_secs_f64();
    flow.report.rows_per_second = flow.report.rows as f64 / flow.report.seconds.max(1e-6);
    ended.with_context(|| {
        format!("the load broke off after {} rows; run it again: what was loaded is not loaded twice", flow.report.rows)
    })?;
    flow.writing.finish().context("the report can't be written")?;
    Ok(flow.report)
}
