//! A rebuild's progress, for those who watch it, and its speed limit.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The phase of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildPhase {
    /// Reading logs, folding, filling tables.
    Folding,
    /// Building indexes.
    Indexing,
    /// Folding what was written meanwhile.
    CatchingUp,
    /// Comparing with the live generation.
    Comparing,
}

/// Counters that a rebuild raises.
#[derive(Debug, Default)]
pub struct RebuildProgress {
    read: AtomicI64,
    to_read: AtomicI64,
    streams: AtomicU64,
    phase: AtomicU8,
}

impl RebuildProgress {
    /// Events that were read; those that are read again, for memory is bounded, count again.
    pub fn read(&self) -> i64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Events that will be read, as far as is known: it grows when a partition needs another pass.
    pub fn to_read(&self) -> i64 {
        self.to_read.load(Ordering::Relaxed)
    }

    /// Streams whose parts were written.
    pub fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// The present phase.
    pub fn phase(&self) -> RebuildPhase {
        match self.phase.load(Ordering::Relaxed) {
            0 => RebuildPhase::Folding,
            1 => RebuildPhase::Indexing,
            2 => RebuildPhase::CatchingUp,
            _ => RebuildPhase::Comparing,
        }
    }

    /// Says what is done from now on.
    pub fn enter(&self, phase: RebuildPhase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn will_read(&self, events: i64) {
        self.to_read.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn has_read(&self, events: i64) {
        self.read.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn wrote_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }
}

/// Holds readers back to so many events a second, all together.
pub(crate) struct Throttle {
    per_second: Option<u64>,
    begun: Instant,
    read: AtomicU64,
}

impl Throttle {
    pub(crate) fn new(per_second: Option<u64>) -> Self {
        Self { per_second, begun: Instant::now(), read: AtomicU64::new(0) }
    }

    /// Waits until `events` more are due.
    pub(crate) async fn pass(&self, events: u64) {
        let Some(per_second) = self.per_second else { return };
        let read = self.read.fetch_add(events, Ordering::Relaxed) + events;
        tokio::time::sleep_until(self.begun + Duration::from_secs_f64(read as f64 / per_second.max(1) as f64)).await;
    }
}
