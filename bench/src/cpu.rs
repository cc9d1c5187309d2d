//! CPU time of the processes that share a machine, from Linux' `/proc`. Elsewhere there is none to report.

use std::collections::BTreeMap;
use std::fs::read_to_string;

/// Microseconds of a tick of `/proc`: 100 a second on every architecture that we build for.
const TICK: f64 = 10_000.0;

/// The processes to look at, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes(pub(crate) Vec<(&'static str, u32)>);

/// CPU time until now, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    /// A process with its children.
    pub(crate) processes: Vec<(&'static str, f64)>,
    /// Of the first process: its threads, by name.
    pub(crate) threads: BTreeMap<String, f64>,
    /// Everything that ran on the machine.
    pub(crate) machine: f64,
}

impl Processes {
    /// This one, and Postgres where it is known.
    pub(crate) fn ours_and_postgres(postgres_pid: Option<u32>) -> Self {
        let mut processes = vec![("bench", std::process::id())];
        processes.extend(postgres_pid.map(|pid| ("postgres", pid)));
        Self(processes)
    }

    /// CPU time that they have used so far.
    pub(crate) fn used(&self) -> Used {
        let all = all_processes();
        let of = |pid: u32| {
            let own = all.iter().filter(|p| p.pid == pid).map(|p| p.ticks + p.ended_children);
            // A child that is looked at itself is not its parent's.
            let children = all.iter().filter(|p| p.parent == pid && self.0.iter().all(|(_, listed)| *listed != p.pid));
            own.chain(children.map(|p| p.ticks)).sum::<f64>() * TICK
        };
        Used {
            processes: self.0.iter().map(|(name, pid)| (*name, of(*pid))).collect(),
            threads: self.0.first().map(|(_, pid)| threads(*pid)).unwrap_or_default(),
            machine: machine(),
        }
    }
}

impl Used {
    /// CPU time used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let processes = self.processes.iter().zip(&before.processes).map(|((name, now), (_, then))| (*name, now - then)).collect();
        let then = |name: &String| before.threads.get(name).copied().unwrap_or_default();
        let threads = self.threads.iter().map(|(name, now)| (name.clone(), (now - then(name)).max(0.0))).collect();
        Self { processes, threads, machine: self.machine - before.machine }
    }

    /// Of all the processes together, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.processes.iter().map(|(_, used)| used).sum::<f64>() / 1e6
    }

    /// CPU time that none of the processes used: other work on the machine, and the kernel's own.
    pub(crate) fn others(&self) -> f64 {
        (self.machine - self.processes.iter().map(|(_, used)| used).sum::<f64>()).max(0.0)
    }
}

struct Process {
    pid: u32,
    parent: u32,
    ticks: f64,
    ended_children: f64,
}

fn all_processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| process(pid, &read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// The fields after the name, which may hold anything, in the order of proc(5): state, parent, …
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().collect())
}

fn process(pid: u32, stat: &str) -> Option<Process> {
    let fields = fields(stat)?;
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok());
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, ticks: ticks(11)? + ticks(12)?, ended_children: ticks(13)? + ticks(14)? })
}

fn threads(pid: u32) -> BTreeMap<String, f64> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let Ok(stat) = read_to_string(entry.path().join("stat")) else { continue };
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("?", |(name, _)| name);
        *threads.entry(name.to_owned()).or_default() += process(pid, &stat).map_or(0.0, |p| p.ticks * TICK);
    }
    threads
}

/// Number of a process's threads.
pub(crate) fn thread_count(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Number of a process's librdkafka clients: each has one main thread.
pub(crate) fn rdkafka_clients(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "rdk:main").count()
}

/// User, nice, system, irq, softirq: all that was neither idle nor taken by another machine.
fn machine() -> f64 {
    let stat = read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    [0, 1, 2, 5, 6].iter().filter_map(|n| ticks.get(*n)).sum::<f64>() * TICK
}

/// The machine, for people.
pub(crate) fn machine_description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let find = |path: &str, key: &str| {
        let text = read_to_string(path).unwrap_or_default();
        text.lines().find_map(|l| l.strip_prefix(key)).map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let model = find("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = find("/proc/meminfo", "MemTotal").and_then(|m| m.trim_end_matches(" kB").parse::<f64>().ok());
    let memory = memory.map_or_else(String::new, |kb| format!(", {:.0} GiB", kb / 1_048_576.0));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({model}){memory}, {} {}", std::env::consts::OS, kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read_all_the_same() {
        let stat = "17 (a) b (c) S 4 17 17 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 99";
        let process = process(17, stat).expect("readable");
        assert_eq!((process.parent, process.ticks, process.ended_children), (4, 110.0, 15.0));
    }

    #[test]
    fn work_is_seen() {
        if cfg!(target_os = "linux") {
            let this = Processes(vec![("this", std::process::id())]);
            let before = this.used();
            // On a busy machine a share of the time is ours, and nobody knows which.
            let begun = std::time::Instant::now();
            while this.used().since(&before).processes[0].1 < 30_000.0 {
                assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", this.used().since(&before));
            }
        }
    }
}
