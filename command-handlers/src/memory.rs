//! A lane's memory: committed states of aggregates, and results of late. All of it can be forgotten at any time and read again.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use daybook_kernel::{AnyState, StreamId};
use daybook_proto::v1::CommandResult;
use lru::LruCache;
use uuid::Uuid;

/// A committed aggregate.
pub(crate) struct Held {
    pub(crate) state: AnyState,
    pub(crate) version: u64,
}

/// Why a stream can't be decided by this build.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) reason: String,
}

/// A lane's memory.
pub(crate) struct Memory {
    streams: LruCache<StreamId, Held>,
    results: LruCache<Uuid, Arc<CommandResult>>,
    /// Streams whose messages wait for a newer build.
    blocked: HashMap<StreamId, Blocked>,
}

impl Memory {
    pub(crate) fn new(streams: usize, results: usize) -> Self {
        let bound = |n: usize| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        Self { streams: LruCache::new(bound(streams)), results: LruCache::new(bound(results)), blocked: HashMap::new() }
    }

    /// Takes an aggregate out, for a batch that moves it on in place. It comes back once the page stands; when the page
    /// fails it stays forgotten, and is read again.
    pub(crate) fn take_stream(&mut self, id: &StreamId) -> Option<Held> {
        self.streams.pop(id)
    }

    pub(crate) fn keep_stream(&mut self, id: StreamId, held: Held) {
        self.streams.put(id, held);
    }

    pub(crate) fn result(&mut self, id: &Uuid) -> Option<Arc<CommandResult>> {
        self.results.get(id).cloned()
    }

    pub(crate) fn keep_result(&mut self, id: Uuid, result: Arc<CommandResult>) {
        self.results.put(id, result);
    }

    pub(crate) fn blocked(&self, id: &StreamId) -> Option<&Blocked> {
        self.blocked.get(id)
    }

    pub(crate) fn block(&mut self, id: StreamId, reason: String) {
        self.blocked.insert(id, Blocked { reason });
    }

    pub(crate) fn unblock_all(&mut self) {
        self.blocked.clear();
    }

    /// Forgets everything: another writer was here.
    pub(crate) fn forget_all(&mut self) {
        self.streams.clear();
        self.results.clear();
        self.blocked.clear();
    }
}
