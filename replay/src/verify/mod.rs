//! `verify`: walks the log, and proves that nothing was lost, added or changed since it was written.
//!
//! Everything of a partition is read in order and a page at a time. What grows with the log is one number a stream, its version, under a
//! 64-bit hash of its id: about 30 bytes a stream, a gigabyte for 30 million. (Two streams that shared a hash would be told as
//! a wrong version; among 30 million streams that is a chance of 1 in 40,000.)

mod kafka;
mod ledger;
mod pages;
mod snapshots;

use std::num::NonZeroUsize;

use daybook_bus::{BusConfig, BusError, Inspector};
use daybook_kernel::Registry;
use daybook_log::{Log, LogError, PartitionLog};
use daybook_postgres::{Databases, Role};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::report::PartitionReport;
use crate::{ReplayError, Report};

/// Settings of an audit.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Only this service; every service of this build when it is not given.
    pub service: Option<String>,
    /// Only this partition of each.
    pub partition: Option<i32>,
    /// Whether `<service>.events` must equal the log too.
    pub kafka: bool,
}

/// The part of the audit that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Pages, events, ledger and requests; counted in pages.
    Log,
    /// Snapshots are folded again; how many there are is not known.
    Snapshots,
    /// `<service>.events`; counted in Kafka's offsets.
    Kafka,
}

/// The progress of an audit.
#[derive(Clone, Debug)]
pub struct Progress {
    /// For example `catalog`.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The part of the audit that is under way.
    pub phase: Phase,
    /// The number that is done.
    pub done: i64,
    /// The number that there is; 0 when that is not known.
    pub of: i64,
}

/// Walks the log of a service, or of all: as many partitions at once as there are cores, for most of the work is hashing. The log may be
/// written meanwhile: each partition is verified up to the page that was its last when the audit came to it.
///
/// # Errors
/// [`ReplayError::Usage`] for a service or partition that is not there, or for Kafka without a configuration; otherwise when
/// Postgres or Kafka does not answer. What is wrong with the log is no error: it stands in the report.
pub async fn verify(
    databases: &Databases,
    bus: Option<BusConfig>,
    registry: &Registry,
    options: &VerifyOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, ReplayError> {
    let bus = match (options.kafka, bus) {
        (false, _) => None,
        (true, Some(bus)) => Some(bus),
        (true, None) => return Err(ReplayError::Usage("to compare with Kafka its address is needed: set DAYBOOK_KAFKA".to_owned())),
    };
    let services = options.service.clone().map_or_else(|| registry.services().into_iter().map(str::to_owned).collect(), |s| vec![s]);
    let mut partitions = Vec::new();
    for service in services {
        let log = open(databases, registry, &service).await?;
        if let Some(bus) = &bus {
            check_topic(bus, &log).await?;
        }
        for number in numbers(&log, options.partition)? {
            partitions.push(log.partition(number)?);
        }
    }
    audit_all(partitions, bus.as_ref(), registry, progress).await
}

/// Audits partitions side by side; their reports, in the order of the partitions. Ends with the first error.
async fn audit_all(
    partitions: Vec<PartitionLog>,
    bus: Option<&BusConfig>,
    registry: &Registry,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, ReplayError> {
    let mut reports: Vec<Option<PartitionReport>> = partitions.iter().map(|_| None).collect();
    let mut waiting = partitions.into_iter().enumerate();
    let (told, mut heard) = mpsc::unbounded_channel();
    // Dropped with an audit that fails: it ends the others.
    let mut audits = JoinSet::new();
    let at_once = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    loop {
        while audits.len() < at_once
            && let Some((n, partition)) = waiting.next()
        {
            let (bus, registry, told) = (bus.cloned(), registry.clone(), told.clone());
            audits.spawn(async move { (n, audit(&partition, bus.as_ref(), &registry, &told).await) });
        }
        tokio::select! {
            biased;
            Some(step) = heard.recv() => progress(step),
            done = audits.join_next() => match done {
                None => break,
                Some(Ok((n, report))) => reports[n] = Some(report?),
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
    Ok(Report { partitions: reports.into_iter().flatten().collect() })
}

async fn audit(
    log: &PartitionLog,
    bus: Option<&BusConfig>,
    registry: &Registry,
    told: &mpsc::UnboundedSender<Progress>,
) -> Result<PartitionReport, ReplayError> {
    let mut report = PartitionReport::new(log.service(), log.number());
    let tell = |phase, done, of| {
        // Nobody listens any more where another audit has failed.
        let _ = told.send(Progress { service: log.service().to_string(), partition: log.number(), phase, done, of });
    };
    let end = pages::walk(log, &mut report, &mut |done, of| tell(Phase::Log, done, of)).await?;
    snapshots::fold_again(log, registry, &mut report, &mut |done| tell(Phase::Snapshots, done, 0)).await?;
    if let Some(bus) = bus {
        kafka::compare(log, bus, end, &mut report, &mut |done, of| tell(Phase::Kafka, done, of)).await?;
    }
    Ok(report)
}

/// A service that this build does not know may still have a log; one that has none was spelt wrongly.
pub(crate) async fn open(databases: &Databases, registry: &Registry, service: &str) -> Result<Log, ReplayError> {
    match Log::open(databases, service, Role::Reader).await {
        Err(LogError::Configuration(_)) if !registry.services().contains(&service) => {
            Err(ReplayError::Usage(format!("there is no service {service:?}; there are {}", registry.services().join(", "))))
        }
        opened => Ok(opened?),
    }
}

fn numbers(log: &Log, only: Option<i32>) -> Result<Vec<i32>, ReplayError> {
    let all = 0..log.partitions().cast_signed();
    match only {
        None => Ok(all.collect()),
        Some(n) if all.contains(&n) => Ok(vec![n]),
        Some(n) => Err(ReplayError::Usage(format!("{} has partitions 0 to {}, not {n}", log.service(), all.end - 1))),
    }
}

/// A topic with more partitions than the log would hold events that no comparison comes to.
async fn check_topic(bus: &BusConfig, log: &Log) -> Result<(), ReplayError> {
    let topic = bus.events(log.service());
    let expected = log.partitions().cast_signed();
    match Inspector::new(bus)?.partitions(&topic).await? {
        None => Err(BusError::MissingTopic { topic }.into()),
        Some(actual) if actual != expected => Err(BusError::PartitionCount { topic, expected, actual }.into()),
        Some(_) => Ok(()),
    }
}
