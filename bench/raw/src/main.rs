//! The limits that Daybook is measured against, made of the same parts with nothing between them. No crate of Daybook's is among the
//! dependencies: what is measured shares no path with its limits.

mod copy_in;
mod pipeline;
mod tables;
mod topics;

use clap::Parser;

/// As Daybook has it: a limit must not be lower for another allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves a raw limit until its standard input ends.
#[derive(Debug, Parser)]
#[command(version)]
enum Limit {
    /// The bare pipeline: HTTP, Kafka, one thread, the page statement, Kafka, the answer.
    Pipeline(pipeline::Pipeline),
    /// COPY BINARY of a log's rows, a page a transaction.
    CopyIn(copy_in::CopyIn),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Limit::parse() {
        Limit::Pipeline(options) => pipeline::serve(options).await,
        Limit::CopyIn(options) => copy_in::serve(options).await,
    }
}
