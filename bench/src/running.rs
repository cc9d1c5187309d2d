//! Processes that a measurement starts itself.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A child that is stopped when it goes, however that comes.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    child: Child,
}

impl Running {
    /// Starts it; what it prints is not shown.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().with_context(|| format!("{name} can't be started"))?;
        Ok(Self { name, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An end in order: a process that is killed keeps its partitions until the group gives it up.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody has at the moment.
///
/// # Errors
/// When no port is free.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
