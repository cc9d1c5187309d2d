//! Resources of processes, for the chart of a long run.

use std::time::Instant;

use serde::Serialize;

use super::{Cluster, Service};

/// Resources of one process at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// The member, or `postgres` or `kafka`.
    pub name: String,
    /// The number of its starts: another number is another process.
    pub starts: u32,
    /// Memory that is resident, in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
    /// Connections to Postgres through the proxy.
    pub connections: u64,
    /// Seconds since the cluster began.
    pub at: u64,
}

impl Cluster {
    /// The resources of each process now; one that does not run is left out. Postgres counts as its first process alone.
    pub fn resources(&self) -> Vec<Resources> {
        let links = self.proxy().links();
        let open = |name: &str| links.iter().find(|link| link.name() == name).map_or(0, |link| link.open());
        let members = self.members().into_iter().filter_map(|member| Some((member.pid?, member.name, member.starts)));
        let services = [Service::Postgres, Service::Kafka]
            .into_iter()
            .filter_map(|service| Some((self.service_pid(service)?, service.name().to_owned(), self.shared.services.starts(service))));
        let at = Instant::now().duration_since(self.shared.began).as_secs();
        let taken = members.chain(services).filter_map(|(pid, name, starts)| {
            let (resident, threads) = status(pid)?;
            let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
            Some(Resources { connections: open(&name), name, starts, resident, descriptors, threads, at })
        });
        taken.collect()
    }
}

fn status(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    Some((number("VmRSS:")? * 1024, number("Threads:")?))
}
