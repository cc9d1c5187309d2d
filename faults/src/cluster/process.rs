//! Processes by their ids: who they are, what they are told.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// The part of a log that is worth showing, in lines.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;

/// A process, told apart from a later one that got its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Its id.
    pub pid: u32,
    /// When it was started, in the kernel's ticks.
    began: u64,
}

impl Identity {
    /// The process that has this id now; none when nobody has, or only a dead one that waits to be noticed.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let (state, _, began) = stat(pid)?;
        (state != 'Z' && state != 'X').then_some(Self { pid, began })
    }

    /// Whether it still runs, or is stopped.
    pub(super) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends it a signal; false when it is gone.
    pub(super) fn signal(self, signal: Signal) -> bool {
        self.is_alive() && send(self.pid, signal)
    }
}

/// Sends a signal; false when nobody is there to get it.
pub(super) fn send(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// A process's children, as they are now.
pub(super) fn children(parent: u32) -> Vec<Identity> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, of, _)| of == parent)).filter_map(Identity::of).collect()
}

/// State, parent and start of a process.
fn stat(pid: u32) -> Option<(char, u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse().ok()?);
    Some((state, parent, fields.nth(17)?.parse().ok()?))
}

/// The last lines of a log.
pub(super) fn tail(path: &Path) -> String {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| format!("no log: {error}"));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
