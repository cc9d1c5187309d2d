//! Live queries of a process: how many there may be, and their common end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

/// Live queries that read the database at once: other queries come first.
const READING: usize = 2;

/// The state that all live queries of a process share.
pub(crate) struct LiveQueries {
    pub(super) places: Arc<Semaphore>,
    pub(super) reading: Semaphore,
    pub(super) heartbeat: Duration,
    /// The process stops: all end.
    pub(super) closing: watch::Sender<bool>,
}

impl LiveQueries {
    pub(crate) fn new(max: usize, heartbeat: Duration) -> Self {
        let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Self { places, reading: Semaphore::new(READING), heartbeat, closing: watch::channel(false).0 }
    }

    /// Ends all of them.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }
}
