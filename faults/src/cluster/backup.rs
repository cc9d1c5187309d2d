//! Copies of Postgres' data as files, and their way back: a database that is restored to an earlier state.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::{Cluster, Service};

/// The longest that Postgres may take to serve again.
const SERVES_AGAIN: Duration = Duration::from_secs(90);

/// A copy of Postgres' data. It goes with its value.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
}

impl Drop for Backup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Cluster {
    /// Copies Postgres' files as they are at one moment, with all that clients were told until then: its processes stand still meanwhile, so
    /// the copy is what a machine that lost its power would find on its disk.
    ///
    /// # Errors
    /// When the files can't be copied, or Postgres ended meanwhile.
    pub async fn back_up(&self) -> anyhow::Result<Backup> {
        let backup = Backup { folder: self.plan().dir.join("backup") };
        let from = self.shared.services.cluster();
        let still = self.stand_still(Service::Postgres);
        ensure!(still.is_whole(), "Postgres does not run, so there is nothing to copy");
        let to = backup.folder.clone();
        tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_dir_all(&to);
            std::fs::create_dir_all(&to)?;
            copy(&from, &to)
        })
        .await??;
        ensure!(still.is_whole(), "Postgres ended while it was copied");
        Ok(backup)
    }

    /// Puts a copy in the place of Postgres' data, hard: Postgres is killed. When the later state was gone. Returns when Postgres serves again.
    ///
    /// # Errors
    /// When the files can't be copied, or Postgres does not serve again in time.
    pub async fn put_back(&self, backup: &Backup) -> anyhow::Result<Instant> {
        let held_down = self.hold_service_down(Service::Postgres).await;
        let starts = self.service_starts(Service::Postgres);
        let (from, to) = (backup.folder.clone(), self.shared.services.cluster());
        tokio::task::spawn_blocking(move || clear(&to).and_then(|()| copy(&from, &to))).await??;
        let gone = Instant::now();
        drop(held_down);
        while self.service_starts(Service::Postgres) == starts {
            ensure!(gone.elapsed() < SERVES_AGAIN, "Postgres does not serve again after {SERVES_AGAIN:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(gone)
    }
}

/// All that is in a folder goes into another one, with owners, modes and times.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let output = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().context("cp can't be run")?;
    ensure!(output.status.success(), "{} can't be copied: {}", from.display(), String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// All that is in a folder goes, but for folders on which a disk is mounted: these are emptied.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let device = std::fs::metadata(folder)?.dev();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        let what = std::fs::symlink_metadata(&path)?;
        if !what.is_dir() {
            std::fs::remove_file(&path)?;
        } else if what.dev() == device {
            std::fs::remove_dir_all(&path)?;
        } else {
            clear(&path)?;
        }
    }
    Ok(())
}
