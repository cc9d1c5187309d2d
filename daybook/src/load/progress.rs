//! How far a load has got: a bar where someone watches, else a line every few seconds.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::out;

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Counters that the reader and the clients raise.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// Bytes of the file that were read.
    pub(super) bytes: Arc<AtomicU64>,
    rows: Arc<AtomicU64>,
}

/// A progress that is being shown.
pub(super) struct Shown {
    task: JoinHandle<()>,
    bar: ProgressBar,
}

impl Progress {
    /// A row is done.
    pub(super) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows it on stderr. Of a file it is known how many bytes it has, not how many rows, unless there is a limit.
    pub(super) fn show(&self, length: u64, limit: Option<u64>) -> Shown {
        let watched = std::io::stderr().is_terminal();
        let bar = if watched { ProgressBar::new(limit.unwrap_or(length)) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        let (progress, drawn) = (self.clone(), bar.clone());
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let mut last = (begun, 0);
            loop {
                tokio::time::sleep(if watched { Duration::from_millis(200) } else { LINE_EVERY }).await;
                let rows = progress.rows.load(Ordering::Relaxed);
                let rate = (rows - last.1) as f64 / last.0.elapsed().as_secs_f64().max(1e-6);
                let said = format!("{rows} rows, {rate:.0} a second");
                if watched {
                    drawn.set_position(if limit.is_some() { rows } else { progress.bytes.load(Ordering::Relaxed) });
                    drawn.set_message(said);
                } else {
                    out::note(format_args!("{said}, {:.0} s", begun.elapsed().as_secs_f64()));
                }
                // A rate of the last second or so: the bar is drawn more often than that.
                if last.0.elapsed() >= Duration::from_secs(1) {
                    last = (Instant::now(), rows);
                }
            }
        });
        Shown { task, bar }
    }
}

impl Shown {
    /// Ends it, and clears the bar: the summary says the rest.
    pub(super) fn finish(self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}
