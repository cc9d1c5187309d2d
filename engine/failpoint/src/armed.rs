//! The folder, as the processes see it that a harness wants to break.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{CLOCK, FOLDER, Fault};

/// Greatest age of the known clock offset, in milliseconds: time is taken far more often than a harness changes it.
const CLOCK_AGE: u64 = 50;

/// The folder of this process, if it has one.
pub(crate) fn folder() -> Option<&'static Folder> {
    static FOUND: OnceLock<Option<Folder>> = OnceLock::new();
    FOUND.get_or_init(|| std::env::var_os(FOLDER).filter(|path| !path.is_empty()).map(|path| Folder::new(path.into()))).as_ref()
}

/// The file that says that something happened.
pub(crate) fn mark(folder: &Path, name: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    folder.join(format!("{name}{FIRED}{}-{now}", std::process::id()))
}

/// The text between a mark's name and the process that left it.
pub(crate) const FIRED: &str = ".fired-";

pub(crate) struct Folder {
    path: PathBuf,
    /// The switches that this process has left a mark of, and when each was switched on.
    marked: Mutex<HashMap<&'static str, SystemTime>>,
    made: Instant,
    /// When the clock's file is read next, in milliseconds since `made`.
    clock_due: AtomicU64,
    clock: AtomicI64,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, marked: Mutex::default(), made: Instant::now(), clock_due: AtomicU64::new(0), clock: AtomicI64::new(0) }
    }

    pub(crate) fn stands(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// The fault that is to happen here, for the first one to claim it.
    pub(crate) fn claim(&self, point: &str) -> Option<Fault> {
        // A look takes no lock on the folder, which an attempt to rename does.
        if !self.stands(point) {
            return None;
        }
        let fired = mark(&self.path, point);
        fs::rename(self.path.join(point), &fired).ok()?;
        fs::read_to_string(fired).unwrap_or_default().parse().ok()
    }

    pub(crate) fn is_on(&self, switch: &'static str) -> bool {
        let since = fs::metadata(self.path.join(switch)).and_then(|file| file.modified());
        let Ok(since) = since else { return false };
        let before = self.marked.lock().unwrap_or_else(PoisonError::into_inner).insert(switch, since);
        if before != Some(since) {
            // Without it the harness would not count the fault; the fault itself stands.
            let _ = fs::write(mark(&self.path, switch), "");
        }
        true
    }

    pub(crate) fn clock_offset_micros(&self) -> i64 {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.clock_due.load(Ordering::Relaxed);
        // One reads, the others go on with the known offset.
        let mine = now >= due && self.clock_due.compare_exchange(due, now + CLOCK_AGE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            let said = if self.is_on(CLOCK) { fs::read_to_string(self.path.join(CLOCK)).unwrap_or_default() } else { String::new() };
            self.clock.store(said.trim().parse().unwrap_or_default(), Ordering::Relaxed);
        }
        self.clock.load(Ordering::Relaxed)
    }
}
