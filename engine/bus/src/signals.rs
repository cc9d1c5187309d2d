//! Signals between a consumer's thread and those who use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The signals between a consumer's thread and those who use it.
pub(crate) struct Signals {
    pub(crate) stop: AtomicBool,
    /// Number of times that the thread has begun to poll: messages of earlier polls have been handed out by then.
    pub(crate) laps: AtomicU64,
    /// The bootstrap addresses, for errors.
    pub(crate) brokers: String,
}

impl Signals {
    pub(crate) fn new(brokers: &str) -> Arc<Self> {
        Arc::new(Self { stop: AtomicBool::new(false), laps: AtomicU64::new(0), brokers: brokers.to_owned() })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
