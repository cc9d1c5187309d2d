//! The marks that processes leave where a fault has reached them: `NAME.fired-PID-NANOS` (see `engine/failpoint`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::cluster::Cluster;

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The process that left it.
    pub(super) pid: u32,
    /// The action, as it was armed; empty for a switch.
    pub(super) what: String,
}

/// The marks of one fail-point or switch, or of the clock, from a moment on.
pub(super) struct Marks {
    folder: PathBuf,
    start: String,
    /// File names of those that are older.
    older: BTreeSet<String>,
}

impl Marks {
    /// From now on.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub(super) fn from_now_on(cluster: &Cluster, name: &str) -> std::io::Result<Self> {
        let mut marks = Self { folder: cluster.points_dir(), start: format!("{name}.fired-"), older: BTreeSet::new() };
        marks.older = marks.newer()?.into_iter().collect();
        Ok(marks)
    }

    /// Those that were left since.
    ///
    /// # Errors
    /// When the folder, or one of them, can't be read.
    pub(super) fn left(&self) -> std::io::Result<Vec<Mark>> {
        let mut left = Vec::new();
        for name in self.newer()? {
            let Some(pid) = pid(&name[self.start.len()..]) else { continue };
            left.push(Mark { pid, what: std::fs::read_to_string(self.folder.join(&name))?.trim().to_owned() });
        }
        Ok(left)
    }

    /// The number of them that did this.
    ///
    /// # Errors
    /// As [`Marks::left`].
    pub(super) fn did(&self, what: &str) -> std::io::Result<u64> {
        Ok(self.left()?.iter().filter(|mark| mark.what == what).count() as u64)
    }

    fn newer(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(&self.folder)? {
            names.extend(file?.file_name().into_string().ok().filter(|name| name.starts_with(&self.start) && !self.older.contains(name)));
        }
        Ok(names)
    }
}

/// Of `PID-NANOS`.
fn pid(rest: &str) -> Option<u32> {
    rest.split_once('-')?.0.parse().ok()
}
