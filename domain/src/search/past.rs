//! What has been done, and what of it is done again when a process dies: the ledger answers what it has decided, whoever asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use daybook_kernel::ids::EventPlace;

/// Part of a world that makes it no other world: what the ids of its messages are, and what has led to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Apart<T>(pub(super) T);

impl<T> PartialEq for Apart<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Apart<T> {}

impl<T> PartialOrd for Apart<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Apart<T> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl<T> Hash for Apart<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A message's id.
pub(super) type Id = Apart<[u8; 16]>;

/// An event in a log.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) service: &'static str,
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) offset: i64,
    pub(super) type_name: &'static str,
    pub(super) payload: Vec<u8>,
}

impl Written {
    pub(super) fn place(&self) -> EventPlace {
        EventPlace { epoch: 1, service: self.service.to_owned(), partition: 0, offset: self.offset }
    }
}

/// The most events that a follower reacts to between two checkpoints.
const BETWEEN_CHECKPOINTS: usize = 6;

/// The logs, as far as somebody may read them again, and the ledgers.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    offsets: BTreeMap<&'static str, i64>,
    versions: BTreeMap<String, u64>,
    /// By service, those behind the last checkpoint that its followers may have.
    logs: BTreeMap<&'static str, Vec<Arc<Written>>>,
    ledger: BTreeSet<[u8; 16]>,
    /// Commands of people, and notices: each has a key of its own.
    keys: u64,
    /// All that was decided, by type and bytes, where somebody wants to know.
    pub(super) heard: Option<Vec<(&'static str, Vec<u8>, String)>>,
}

impl Past {
    pub(super) fn write(&mut self, service: &'static str, stream: &str, type_name: &'static str, payload: Vec<u8>) -> Arc<Written> {
        let offset = self.offsets.entry(service).or_default();
        let version = self.versions.entry(stream.to_owned()).or_default();
        (*offset, *version) = (*offset + 1, *version + 1);
        let (offset, version) = (*offset, *version);
        let written = Arc::new(Written { service, stream: stream.to_owned(), version, offset, type_name, payload });
        let log = self.logs.entry(service).or_default();
        log.push(written.clone());
        if log.len() > BETWEEN_CHECKPOINTS {
            log.remove(0);
        }
        written
    }

    /// The services whose followers may have to read something again.
    pub(super) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.logs.iter().filter(|(_, log)| !log.is_empty()).map(|(service, _)| *service)
    }

    /// What a follower reads again that has died before its checkpoint; then it has one.
    pub(super) fn again(&mut self, service: &'static str) -> Vec<Arc<Written>> {
        self.logs.remove(service).unwrap_or_default()
    }

    pub(super) fn has_decided(&self, id: &Id) -> bool {
        self.ledger.contains(&id.0)
    }

    pub(super) fn decided(&mut self, id: &Id) {
        self.ledger.insert(id.0);
    }

    /// A key that nobody has used yet.
    pub(super) fn key(&mut self) -> String {
        self.keys += 1;
        self.keys.to_string()
    }
}
