//! Faults at a place that is armed.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// The fault of the one that reaches a place. As text: `kill`, `kill N`, `pause N` (N in milliseconds), `panic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends by SIGKILL, after a while in which only this thread stands still: what was handed to other threads
    /// gets done.
    Kill {
        /// Time that it still lives; whole milliseconds, 0 for none.
        after: Duration,
    },
    /// This thread stands still for whole milliseconds, and goes on.
    Pause(Duration),
    /// This thread panics.
    Panic,
}

impl Fault {
    /// Dead at once.
    pub const KILL: Self = Self::Kill { after: Duration::ZERO };

    pub(crate) fn happen(self, point: &str) {
        match self {
            Self::Kill { after } => {
                std::thread::sleep(after);
                // No handler and no destructor runs, as when the machine goes.
                let _ = kill_process(getpid(), Signal::KILL);
                std::process::abort();
            }
            Self::Pause(time) => std::thread::sleep(time),
            Self::Panic => panic!("the fail-point {point} is armed with a panic"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { after } => write!(f, "kill {}", after.as_millis()),
            Self::Pause(time) => write!(f, "pause {}", time.as_millis()),
            Self::Panic => f.write_str("panic"),
        }
    }
}

impl FromStr for Fault {
    type Err = Infallible;

    /// A text that is nothing else kills, so an empty file will do.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (what, millis) = text.trim().split_once(' ').unwrap_or((text.trim(), "0"));
        let time = Duration::from_millis(millis.trim().parse().unwrap_or_default());
        Ok(match what {
            "pause" => Self::Pause(time),
            "panic" => Self::Panic,
            _ => Self::Kill { after: time },
        })
    }
}
