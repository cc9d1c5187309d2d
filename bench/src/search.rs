//! Searching, its results and its speed: judged queries over a real catalogue, the gain of each ingredient of ranking, and
//! latencies on that catalogue and on one as large as is asked for: in process, or over HTTP (`served`).

mod catalogue;
mod judged;
mod made;
mod served;
mod shapes;
mod speed;
mod statistics;

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use daybook_search::{SearchIndex, SearchReader, Tuning};

pub(crate) use catalogue::Product;
use judged::Judgments;
use made::Maker;
pub(crate) use served::run as serve;

/// Options of `daybook-bench search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// A catalogue, as `daybook load catalogue` reads it.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/icecat/products.jsonl.gz")]
    catalogue: PathBuf,
    /// Which column is which field; `own`: the shop's own form.
    #[arg(long, value_name = "FILE", default_value = "data/maps/icecat.toml")]
    map: PathBuf,
    /// Judged queries: `query,docid,rating`, ratings 0 to 3; each file is a set of its own.
    #[arg(long, value_name = "FILE", default_values = ["../shared/data/icecat/judgments_dev.csv", "bench/judged/electronics.csv"])]
    judgments: Vec<PathBuf>,
    /// Also measure a catalogue of so many products, made from the real one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    products: usize,
    /// Show each query's nDCG@10.
    #[arg(long)]
    each: bool,
    /// Only judge.
    #[arg(long)]
    no_speed: bool,
    /// Measure over HTTP instead: a query API of its own, in databases of its own beside --database-url.
    #[arg(long)]
    pub(crate) http: bool,
    /// With --http: the binary that serves.
    #[arg(long, value_name = "PATH", default_value = "daybook")]
    binary: PathBuf,
    /// With --http: clients that ask at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// With --http: time for which each shape is asked, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// Options of `daybook-bench products`.
#[derive(Debug, Args)]
pub(crate) struct Products {
    /// The real catalogue that products are made from.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/icecat/products.jsonl.gz")]
    catalogue: PathBuf,
    /// Which column is which field, as for `search`.
    #[arg(long, value_name = "FILE", default_value = "data/maps/icecat.toml")]
    map: PathBuf,
    /// Number of products.
    #[arg(long, value_name = "N")]
    count: usize,
    /// The same seed makes the same products.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File to write them to, as `daybook load catalogue` reads them.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes a catalogue.
pub(crate) fn products(options: &Products) -> anyhow::Result<()> {
    let rows = catalogue::rows(&options.catalogue, &options.map)?;
    let file = std::fs::File::create(&options.out).with_context(|| format!("{} can't be written", options.out.display()))?;
    let mut out = BufWriter::new(file);
    Maker::new(&rows, options.seed)?.write(options.count, &mut out)?;
    Ok(out.flush()?)
}

/// Builds, judges, measures; prints.
pub(crate) fn search(options: &Search) -> anyhow::Result<()> {
    if let Some(missing) = [&options.catalogue].into_iter().chain(&options.judgments).find(|file| !file.exists()) {
        println!("{} is not there: nothing judged, nothing measured", missing.display());
        return Ok(());
    }
    println!("{}\n", crate::cpu::machine_description());
    let reader = catalogue::reader()?;
    let rows = catalogue::rows(&options.catalogue, &options.map)?;
    let model = catalogue::model()?;
    let real = rows.iter().map(|row| catalogue::product(&model, row)).collect::<anyhow::Result<Vec<_>>>()?;
    let columns = catalogue::as_they_stand(&options.catalogue)?;
    let columns = columns.iter().map(|row| catalogue::product(&model, row)).collect::<anyhow::Result<Vec<_>>>()?;
    for judgments in &options.judgments {
        println!("\n{}", judgments.display());
        judge(options, &Judgments::read(judgments)?, &reader, &real, &columns)?;
    }
    drop(columns);
    if options.no_speed {
        return Ok(());
    }
    speed("the real catalogue", &reader, real.into_iter().map(Ok))?;
    if options.products > 0 {
        let mut maker = Maker::new(&rows, 1)?;
        speed("the made catalogue", &reader, (0..options.products).map(|_| catalogue::product(&model, &maker.product())))?;
    }
    Ok(())
}

fn judge(options: &Search, judgments: &Judgments, reader: &SearchReader, products: &[Product], columns: &[Product]) -> anyhow::Result<()> {
    let index = build(reader, products, &Tuning::default());
    let found = judgments.judge(&index);
    println!("{} products: {found}", index.len());
    println!("the same, columns as they stand: {}", judgments.judge(&build(reader, columns, &Tuning::default())));
    if options.each {
        for q in &found.queries {
            println!("  {:.3} {} ({} found{})", q.ndcg, q.text, q.total, if q.held_out { ", held out" } else { "" });
        }
    }
    println!("\n| ranking | nDCG@10 | tuned half | held-out half | empty |\n|---|---|---|---|---|");
    for (name, tuning) in judged::ingredients() {
        let without = judgments.judge(&build(reader, products, &tuning));
        println!("| {name} | {} |", without.row());
        if options.each {
            for (with, without) in found.queries.iter().zip(&without.queries).filter(|(a, b)| (a.ndcg - b.ndcg).abs() > 0.05) {
                println!("  {} {:.3} with it, {:.3} without", with.text, with.ndcg, without.ndcg);
            }
        }
    }
    Ok(())
}

fn speed(what: &str, reader: &SearchReader, products: impl Iterator<Item = anyhow::Result<Product>>) -> anyhow::Result<()> {
    let before = resident();
    let begun = Instant::now();
    let mut index = SearchIndex::new(Tuning::default());
    for product in products {
        put(reader, &mut index, &product?);
    }
    index.shrink();
    let (seconds, megabytes) = (begun.elapsed().as_secs_f64(), resident().saturating_sub(before) / 1_000_000);
    println!("\n{what}: {} products, built in {seconds:.1} s, {megabytes} MB more resident\n", index.len());
    println!("| milliseconds | found at most | p50 | p95 | p99 |\n|---|---|---|---|---|");
    print!("{}", speed::measure(&index));
    let begun = Instant::now();
    let compacted = index.compacted();
    println!("\ncompacted in {:.2} s ({} products)", begun.elapsed().as_secs_f64(), compacted.len());
    Ok(())
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|s| s.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

fn put(reader: &SearchReader, index: &mut SearchIndex, product: &Product) {
    for (part, bytes) in &product.parts {
        reader.apply(index, &product.key, part, Some(bytes), 0);
    }
    // Every second one is in stock.
    let available = product.key.bytes().last().map(|b| u32::from(b % 2 == 0));
    index.stock(&product.key, "w-1", available, 0);
}

/// An index of these products, none in stock: judgments know no stock.
pub(crate) fn build(reader: &SearchReader, products: &[Product], tuning: &Tuning) -> SearchIndex {
    let mut index = SearchIndex::new(tuning.clone());
    for product in products {
        for (part, bytes) in &product.parts {
            reader.apply(&mut index, &product.key, part, Some(bytes), 0);
        }
    }
    index
}
