//! The progress of a load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::display::{ProgressDisplay, Progressed};

/// Counters that the reader and the clients raise.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// Bytes of the file that were read.
    pub(super) bytes: Arc<AtomicU64>,
    rows: Arc<AtomicU64>,
}

impl Progress {
    /// A row is done.
    pub(super) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows it on stderr. Of a file it is known how many bytes it has, not how many rows, unless there is a limit.
    pub(super) fn show(&self, length: u64, limit: Option<u64>) -> ProgressDisplay {
        let (progress, mut last) = (self.clone(), (Duration::ZERO, 0));
        ProgressDisplay::begin(move |elapsed| {
            let rows = progress.rows.load(Ordering::Relaxed);
            let since = elapsed.saturating_sub(last.0);
            let rate = (rows - last.1) as f64 / since.as_secs_f64().max(1e-6);
            // A rate of the last second or so: the bar is drawn more often than that.
            if since >= Duration::from_secs(1) {
                last = (elapsed, rows);
            }
            let done = if limit.is_some() { rows } else { progress.bytes.load(Ordering::Relaxed) };
            Progressed { done, of: limit.unwrap_or(length), text: format!("{rows} rows, {rate:.0} a second") }
        })
    }
}
