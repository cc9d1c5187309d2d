//! Disks of a fixed size below Postgres's data and WAL, so that they can be full.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

const DATA_MIB: u32 = 1024;
const WAL_MIB: u32 = 768;
/// Keeps the WAL well below its disk's size.
pub(super) const SETTINGS: &str = "max_wal_size=256MB; min_wal_size=64MB";
const BALLAST: &str = "ballast";

/// A disk of a fixed size.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

/// Both.
#[derive(Debug)]
pub(super) struct SmallDisks {
    pub(super) data: SmallDisk,
    pub(super) wal: SmallDisk,
}

impl SmallDisk {
    /// Fills it to the last byte; how many that were. [`SmallDisk::relieve`] takes them away again.
    ///
    /// # Errors
    /// When it can't be written to for another reason than that it is full.
    pub fn fill(&self) -> std::io::Result<u64> {
        let mut ballast = std::fs::File::options().append(true).create(true).open(self.path.join(BALLAST))?;
        // From large to small: the last page counts.
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            loop {
                match ballast.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(ballast.metadata()?.len())
    }

    /// Takes the ballast away.
    pub fn relieve(&self) {
        let _ = std::fs::remove_file(self.path.join(BALLAST));
    }

    fn mount(path: &Path, mib: u32) -> Result<Self, String> {
        let owner = std::fs::metadata(path).map_err(|error| error.to_string())?;
        let options = format!("size={mib}m,mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path))?;
        Ok(Self { path: path.to_owned() })
    }

    fn unmount(&self) -> anyhow::Result<()> {
        if !is_mounted(&self.path) {
            return Ok(());
        }
        // Postgres's last children may take a moment to go; the disk goes with them.
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.path)) {
            bail!("{}: {error}", self.path.display());
        }
        Ok(())
    }
}

impl SmallDisks {
    /// Moves what lies in Postgres's folder, which must not run, to disks of a fixed size.
    ///
    /// # Errors
    /// Why that can't be; everything is as before then.
    pub(super) fn below(cluster: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a disk of a fixed size needs root".to_owned());
        }
        let kept = cluster.with_extension("kept");
        let moved = |error: std::io::Error| format!("{}: {error}", cluster.display());
        std::fs::rename(cluster, &kept).map_err(moved)?;
        let mounted = Self::mount_and_copy(cluster, &kept);
        if mounted.is_err() {
            for path in [cluster.join("pg_wal"), cluster.to_owned()] {
                let _ = SmallDisk { path }.unmount();
            }
            let _ = std::fs::remove_dir_all(cluster);
            std::fs::rename(&kept, cluster).map_err(moved)?;
        } else {
            let _ = std::fs::remove_dir_all(&kept);
        }
        mounted
    }

    fn mount_and_copy(cluster: &Path, kept: &Path) -> Result<Self, String> {
        let copy = |what: &Path, to: &Path| run(Command::new("cp").arg("-a").arg(what).arg(to));
        copy_folder_alone(kept, cluster)?;
        let data = SmallDisk::mount(cluster, DATA_MIB)?;
        let wal = cluster.join("pg_wal");
        copy_folder_alone(&kept.join("pg_wal"), &wal)?;
        let wal = SmallDisk::mount(&wal, WAL_MIB)?;
        copy(&kept.join("."), cluster)?;
        Ok(Self { data, wal })
    }

    /// Both disks and what is on them go.
    pub(super) fn unmount(&self) -> anyhow::Result<()> {
        self.wal.unmount()?;
        self.data.unmount()
    }
}

/// The folder with its owner, without what is in it.
fn copy_folder_alone(from: &Path, to: &Path) -> Result<(), String> {
    let made = std::fs::create_dir(to).and_then(|()| {
        let owner = std::fs::metadata(from)?;
        std::os::unix::fs::chown(to, Some(owner.uid()), Some(owner.gid()))
    });
    made.map_err(|error| format!("{}: {error}", to.display()))
}

fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|it| it.dev()).ok();
    path.parent().is_some_and(|parent| device(path).is_some() && device(path) != device(parent))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(())
}
