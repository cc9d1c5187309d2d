//! What searching finds, and how fast: judged queries over a real catalogue, and latencies on it and on one as large as is
//! asked for, all in process through the code that serves.

mod catalogue;
mod judged;

use std::path::PathBuf;

use clap::Args;
use daybook_query_api::{SearchIndex, SearchReader, Tuning};

pub(crate) use catalogue::Product;
use judged::Judgments;

/// Options of `daybook-bench search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// A catalogue, as `daybook load catalogue` reads it.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/icecat/products.jsonl.gz")]
    catalogue: PathBuf,
    /// Judged queries: `query,docid,rating`, ratings 0 to 3.
    #[arg(long, value_name = "FILE", default_value = "../shared/data/icecat/judgments_dev.csv")]
    judgments: PathBuf,
    /// Also measure a made catalogue of so many products.
    #[arg(long, value_name = "N", default_value_t = 0)]
    products: usize,
    /// Show each query's nDCG@10.
    #[arg(long)]
    each: bool,
}

/// Builds, judges, measures; prints.
pub(crate) fn search(options: &Search) -> anyhow::Result<()> {
    if !options.catalogue.exists() {
        println!("{} is not there: nothing judged", options.catalogue.display());
        return Ok(());
    }
    let products = catalogue::read(&options.catalogue)?;
    let judgments = Judgments::read(&options.judgments)?;
    let reader = catalogue::reader()?;
    let index = build(&reader, &products, &Tuning::default());
    let found = judgments.judge(&index);
    println!("{} products, {found}", index.len());
    if options.each {
        for q in &found.queries {
            println!("  {:.3} {} {} ({} found)", q.ndcg, if q.held_out { "h" } else { "t" }, q.text, q.total);
        }
    }
    if let Ok(text) = std::env::var("TUNE") {
        judged::tune(&reader, &products, &judgments, &text);
    }
    Ok(())
}

/// An index of these products.
pub(crate) fn build(reader: &SearchReader, products: &[Product], tuning: &Tuning) -> SearchIndex {
    let mut index = SearchIndex::new(tuning.clone());
    for product in products {
        for (part, bytes) in &product.parts {
            reader.apply(&mut index, &product.key, part, Some(bytes), 0);
        }
    }
    index.shrink();
    index
}
