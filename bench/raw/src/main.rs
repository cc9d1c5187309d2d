//! The limits that Daybook is measured against, made of the same parts with nothing between them. No crate of Daybook's is among the
//! dependencies: what is measured shares no path with its limits.

mod copy_in;
mod copy_out;
mod kafka;
mod lines;
mod pipeline;
mod produce;
mod tables;
mod there_and_back;
mod watch;

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
    /// COPY BINARY of rows, so many tables at once.
    CopyOut(copy_out::CopyOut),
    /// A message to Kafka and back, of so many clients.
    ThereAndBack(there_and_back::ThereAndBack),
    /// The messages of topics, produced and consumed once more.
    Produce(produce::Produce),
    /// A consumer that notes when messages arrive.
    Watch(watch::Watch),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Limit::parse() {
        Limit::Pipeline(options) => pipeline::serve(options).await,
        Limit::CopyIn(options) => copy_in::serve(options).await,
        Limit::CopyOut(options) => copy_out::serve(options).await,
        Limit::ThereAndBack(options) => there_and_back::serve(options).await,
        Limit::Produce(options) => produce::serve(options).await,
        Limit::Watch(options) => watch::serve(options).await,
    }
}
