//! The CPU time of a shop that nobody visits: ours, and how much more Postgres and Kafka take for it than by themselves.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cpu::{Processes, Used, machine_description};
use crate::footprint::Footprint;
use crate::report::{Entries, Entry, constant};
use crate::roles::Services;
use crate::running::{Up, migrate};

/// Time that everything has to come to rest.
const REST: Duration = Duration::from_secs(10);

/// Statements that are shown.
const STATEMENTS: i64 = 8;

/// Options of the measurement.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    /// The daybook to run.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The file that counts the broker's requests.
    #[arg(long, value_name = "FILE")]
    counter: Option<PathBuf>,
}

/// Percent of a core, in the order of the processes.
fn percent(used: &Used, length: Duration) -> Vec<(&'static str, f64)> {
    used.processes.iter().map(|(name, us)| (*name, us / 1e4 / length.as_secs_f64())).collect()
}

async fn measure(processes: &Processes, length: Duration) -> Used {
    let before = processes.used();
    tokio::time::sleep(length).await;
    processes.used().since(&before)
}

/// Measures the services by themselves and then with a Daybook, prints, and returns the numbers for programs.
///
/// # Errors
/// When Daybook does not start.
pub(crate) async fn run(options: &Idle, services: &Services<'_>) -> anyhow::Result<Entries> {
    let pids = [("postgres", services.postgres_pid), ("kafka", services.kafka_pid)];
    let mut processes: Vec<_> = pids.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect();
    crate::progress("Postgres and Kafka by themselves");
    tokio::time::sleep(REST).await;
    let alone = percent(&measure(&Processes(processes.clone()), services.length).await, services.length);

    crate::progress("daybook up, and no traffic");
    migrate(&options.binary)?;
    let up = Up::start(&options.binary).await?;
    processes.insert(0, ("daybook", up.pid()));
    let footprint = Footprint::new(services.database_url, None).await?;
    tokio::time::sleep(REST).await;
    let counter = options.counter.as_deref();
    let requests = services.requests(counter).unwrap_or_default();
    // The counter is a program of its own, and wakes the broker.
    tokio::time::sleep(Duration::from_secs(1)).await;
    footprint.reset().await?;
    let used = measure(&Processes(processes), services.length).await;
    let statements = footprint.most_frequent(STATEMENTS).await?;
    let now = services.requests(counter).unwrap_or_default();
    let with = percent(&used, services.length);
    drop(up);

    let seconds = services.length.as_secs_f64();
    println!("{}", machine_description());
    println!("Percent of a core without traffic, {seconds:.0} s after {} s of rest", REST.as_secs());
    println!("{:<40}{:>10}{:>10}", "", "alone", "with us");
    let own = with[0].1;
    println!("{:<40}{:>10}{own:>10.2}", "daybook up", "");
    for ((name, alone), (_, with)) in alone.iter().zip(&with[1..]) {
        println!("{name:<40}{alone:>10.2}{with:>10.2}");
    }
    let more = with[1..].iter().map(|(_, with)| with).sum::<f64>() - alone.iter().map(|(_, alone)| alone).sum::<f64>();
    println!("ours {own:.2}, more of the services' {more:.2}");
    let mut threads: Vec<_> =
        used.threads.iter().map(|(name, us)| (us / 1e4 / seconds, name)).filter(|(percent, _)| *percent > 0.0).collect();
    threads.sort_by(|a, b| b.0.total_cmp(&a.0));
    let threads = threads.iter().take(8).map(|(percent, name)| format!("{name} {percent:.2}"));
    println!("our threads: {}", threads.collect::<Vec<_>>().join("  "));
    println!("the most frequent statements, a second:");
    for (statement, calls) in statements {
        println!("{:>8.1}  {:.120}", calls as f64 / seconds, statement);
    }
    // A little more than the measurement itself: the pauses around it, and what the counting takes.
    let kinds = now.iter().map(|(kind, count)| (kind, count - requests.get(kind).unwrap_or(&0))).filter(|(_, count)| *count > 0);
    let kinds = kinds.map(|(kind, count)| format!("{kind} {:.1}", count as f64 / (seconds + 1.0)));
    println!("requests to the broker a second, about: {}", kinds.collect::<Vec<_>>().join("  "));
    let mut entries = Entries::new();
    entries.insert("idle".to_owned(), Entry::new(constant(own), "percent of a core", None));
    entries.insert("idle_services".to_owned(), Entry::new(constant(more), "percent of a core", None));
    Ok(entries)
}
