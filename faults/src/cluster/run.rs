//! Commands that come to an end.

use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The end of a command.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit.
    pub status: ExitStatus,
    /// Its output, both ways.
    pub output: String,
    what: String,
}

impl Ran {
    /// # Errors
    /// When its exit code is not 0, with what it printed.
    pub fn good(self) -> anyhow::Result<()> {
        if !self.status.success() {
            bail!("{}: {}: {}", self.what, self.status, self.output.trim());
        }
        Ok(())
    }

    /// Whether SIGKILL ended it, as a fail-point does.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}

/// Ends with its owner: who gives up waiting leaves nothing behind.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end.
pub(super) async fn to_its_end(mut command: Command) -> anyhow::Result<Ran> {
    let what = format!("{command:?}").split_once("daybook\"").map_or_else(|| "a command".to_owned(), |(_, args)| format!("daybook{args}"));
    let mut output = scratch()?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut child = Guarded(command.spawn().with_context(|| format!("{what} can't be started"))?);
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.0.try_wait()? {
            let mut bytes = Vec::new();
            output.rewind()?;
            output.read_to_end(&mut bytes)?;
            return Ok(Ran { status, output: String::from_utf8_lossy(&bytes).into_owned(), what });
        }
        if Instant::now() > until {
            bail!("{what} took longer than {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file without a name: what a command prints never blocks it.
fn scratch() -> std::io::Result<std::fs::File> {
    let path = std::env::temp_dir().join(format!("daybook-faults-{}", uuid::Uuid::new_v4()));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}
