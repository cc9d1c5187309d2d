//! Rows on their way: so many at once, those of one SKU one after the other in the file's order.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{LineWriter, Write as _};
use std::sync::Arc;

use anyhow::Context as _;
use shop_catalogue::{Catalogue, Columns, Entry, Product, What};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::post::Unavailable;
use super::progress::Progress;
use super::report::{LoadReport, RowOutcome, RowRecord};
use super::row::{Came, Way};

/// A load under way.
pub(super) struct Flow {
    pub(super) way: Arc<Way>,
    /// Rows at once.
    pub(super) clients: usize,
    pub(super) report: LoadReport,
    pub(super) writing: Writing,
    pub(super) progress: Progress,
}

/// A row that is a product.
struct Row {
    line: u64,
    later: bool,
    product: Box<Product>,
}

/// A record of each row's end, written as it ends. The first error is kept: the load itself goes on.
pub(super) struct Writing {
    file: Option<LineWriter<File>>,
    failed: Option<std::io::Error>,
}

impl Writing {
    pub(super) fn new(file: Option<LineWriter<File>>) -> Self {
        Self { file, failed: None }
    }

    fn row(&mut self, record: &RowRecord<'_>) {
        let Some(file) = &mut self.file else { return };
        let line = serde_json::to_string(record).map_err(std::io::Error::from).map(|line| line + "\n");
        if let Err(error) = line.and_then(|line| file.write_all(line.as_bytes())) {
            self.failed.get_or_insert(error);
        }
    }

    /// # Errors
    /// The first that there was.
    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        match (self.failed.take(), &mut self.file) {
            (Some(error), _) => Err(error),
            (None, Some(file)) => file.flush(),
            (None, None) => Ok(()),
        }
    }
}

type Ended = Result<(Row, Came), Unavailable>;

impl Flow {
    /// Loads the rows.
    ///
    /// # Errors
    /// When one of them has no result.
    pub(super) async fn run(&mut self, catalogue: Catalogue, most: usize) -> anyhow::Result<()> {
        // As many rows again as are under way are read ahead, no more.
        let (sender, mut entries) = mpsc::channel(self.clients);
        let reader = tokio::task::spawn_blocking(move || read(catalogue, most, &sender));
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        // SKUs that are under way, and rows of theirs that wait for that.
        let mut busy: HashMap<String, VecDeque<Row>> = HashMap::new();
        let (mut waiting, mut open) = (0, true);
        while open || !tasks.is_empty() {
            tokio::select! {
                entry = entries.recv(), if open && tasks.len() + waiting < self.clients => match entry {
                    None => open = false,
                    Some(Entry { line, what }) => {
                        let Some(row) = self.begin(line, what) else { continue };
                        match busy.get_mut(&row.product.create.sku) {
                            Some(behind) => {
                                behind.push_back(row);
                                waiting += 1;
                            }
                            None => {
                                busy.insert(row.product.create.sku.clone(), VecDeque::new());
                                self.go(&mut tasks, row);
                            }
                        }
                    }
                },
                Some(ended) = tasks.join_next() => {
                    // On an error the others are given up with the set: they wait for the same endpoint.
                    let (row, came) = ended.context("a row's task ended")??;
                    let sku = &row.product.create.sku;
                    match busy.get_mut(sku).and_then(VecDeque::pop_front) {
                        Some(next) => {
                            waiting -= 1;
                            self.go(&mut tasks, next);
                        }
                        None => {
                            busy.remove(sku);
                        }
                    }
                    self.report.shortened += row.product.shortened;
                    self.report.bad_gtins += row.product.bad_gtins;
                    self.done(row.line, Some(sku), row.later, &came);
                }
            }
        }
        self.report.columns(reader.await.context("reading the file ended")?);
        Ok(())
    }

    /// A row that is to be sent; what is none is told at once.
    fn begin(&mut self, line: u64, what: What) -> Option<Row> {
        let (sku, outcome) = match what {
            What::Product(mut product) => {
                let later = self.way.is_later(&product.create.sku, line);
                if self.way.leave(&mut product, line) {
                    return Some(Row { line, later, product });
                }
                let superseded = Came { outcome: RowOutcome::Superseded, stock: None, commands: Vec::new() };
                self.done(line, Some(&product.create.sku), later, &superseded);
                return None;
            }
            What::Skipped(why) => (None, RowOutcome::Skipped(why)),
            What::Bad { sku, reason } => (sku, RowOutcome::Bad(reason)),
        };
        self.done(line, sku.as_deref(), false, &Came { outcome, stock: None, commands: Vec::new() });
        None
    }

    fn go(&self, tasks: &mut JoinSet<Ended>, row: Row) {
        let way = self.way.clone();
        tasks.spawn(async move {
            let came = way.row(&row.product, row.later).await?;
            Ok((row, came))
        });
    }

    fn done(&mut self, line: u64, sku: Option<&str>, later: bool, came: &Came) {
        self.report.row(line, sku, later, came);
        self.writing.row(&RowRecord::new(line, sku, later, came));
        self.progress.row();
    }
}

/// Reads, unpacks and maps, beside what is sent; ends when nobody listens any more.
fn read(mut catalogue: Catalogue, most: usize, sender: &mpsc::Sender<Entry>) -> Columns {
    for entry in catalogue.by_ref().take(most) {
        if sender.blocking_send(entry).is_err() {
            break;
        }
    }
    catalogue.columns()
}
