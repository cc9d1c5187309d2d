//! Processes that a measurement starts itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::commands::wait_until_ready;

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
        end(&mut self.child, Duration::from_secs(20));
    }
}

/// Partitions of each log, as `scripts/bench` has them.
pub(crate) const PARTITIONS: i32 = 4;

/// Makes what a Daybook needs.
///
/// # Errors
/// When the program can't be run, or fails.
pub(crate) fn migrate(binary: &Path) -> anyhow::Result<()> {
    let migrated = Command::new(binary).args(["migrate", "--partitions", &PARTITIONS.to_string()]).stdout(Stdio::null()).status()?;
    anyhow::ensure!(migrated.success(), "daybook migrate ended with {migrated}");
    Ok(())
}

/// A Daybook with every role.
pub(crate) struct Up {
    running: Running,
    /// The command endpoint.
    pub(crate) commands: SocketAddr,
    /// The query API.
    pub(crate) queries: SocketAddr,
}

impl Up {
    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When there is no such program, or it does not become ready.
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let (commands, queries) = (free_address()?, free_address()?);
        let mut up = Command::new(binary);
        up.args(["up", "--commands-listen", &commands.to_string(), "--queries-listen", &queries.to_string()]);
        up.args(["--operations-listen", "127.0.0.1:0"]).env("DAYBOOK_LOG", "warn");
        let running = Running::start("daybook", up)?;
        wait_until_ready(commands).await?;
        wait_until_ready(queries).await?;
        Ok(Self { running, commands, queries })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }
}

/// A server that prints its address, and ends when its standard input does: with this, and with us.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    /// The listening address.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it, and gives it this to read first.
    ///
    /// # Errors
    /// When there is no such program, or it ends before it listens; what it says of that goes to our standard error.
    pub(crate) fn start(mut command: Command, first: &[u8]) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("{name} can't be started"))?;
        let mut input = child.stdin.take().context("its input is a pipe")?;
        input.write_all(first)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output is a pipe")?).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("{name} ended before it listened"))?;
        Ok(Self { child, input: Some(input), address })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        end(&mut self.child, Duration::from_secs(10));
    }
}

/// Waits so long for a process to end by itself, and ends it then.
fn end(child: &mut Child, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// An address that nobody has at the moment.
///
/// # Errors
/// When no port is free.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
