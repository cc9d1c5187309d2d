//! Parts that the waits of a process for good news share: see [`crate::hearing`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::Store;

/// Whether all has been heard that there was to hear.
pub(crate) type News = watch::Receiver<bool>;

/// The waits of a process for good news.
pub(crate) struct GoodNews {
    /// Every rule of the build, wherever it runs.
    pub(crate) rules: Vec<&'static str>,
    /// A store for each service and database that has partitions of it.
    pub(crate) stores: BTreeMap<(&'static str, String), Store>,
    gathering: Mutex<Option<News>>,
}

impl GoodNews {
    pub(crate) fn new(rules: Vec<&'static str>, stores: BTreeMap<(&'static str, String), Store>) -> Self {
        Self { rules, stores, gathering: Mutex::default() }
    }

    /// The wait that others may still join.
    pub(crate) fn gathering(&self) -> MutexGuard<'_, Option<News>> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
