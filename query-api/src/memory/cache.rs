//! Entries in memory, of all read models together, bounded in bytes.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::entry::Entry;

/// The key of an entry: the number of its generation's memory, and the key, or the id of its view.
struct Key {
    slot: u32,
    key: Box<str>,
}

/// A key that is not owned: moka looks up by what a key can be borrowed as.
trait Look {
    fn slot(&self) -> u32;
    fn key(&self) -> &str;
}

impl Look for Key {
    fn slot(&self) -> u32 {
        self.slot
    }
    fn key(&self) -> &str {
        &self.key
    }
}

impl Look for (u32, &str) {
    fn slot(&self) -> u32 {
        self.0
    }
    fn key(&self) -> &str {
        self.1
    }
}

impl<'a> Borrow<dyn Look + 'a> for Key {
    fn borrow(&self) -> &(dyn Look + 'a) {
        self
    }
}

impl Hash for dyn Look + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.slot().hash(state);
        self.key().hash(state);
    }
}

impl PartialEq for dyn Look + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.slot() == other.slot() && self.key() == other.key()
    }
}

impl Eq for dyn Look + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let look: &dyn Look = self;
        look.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot && self.key == other.key
    }
}

impl Eq for Key {}

/// The entries. Who writes holds the lock of the generation whose entry it is: so nothing is overwritten by what is older.
#[derive(Clone)]
pub(crate) struct Cache {
    entries: moka::sync::Cache<Key, Arc<Entry>>,
    /// A larger entry is not kept: it would drive out many.
    max_entry: usize,
}

impl Cache {
    /// At most `bytes`, of which one entry has at most a sixty-fourth.
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |key: &Key, entry: &Arc<Entry>| u32::try_from(key.key.len() + entry.weight()).unwrap_or(u32::MAX);
        let entries = moka::sync::Cache::builder().name("read models").max_capacity(bytes).weigher(weigh).build();
        Self { entries, max_entry: usize::try_from(bytes / 64).unwrap_or(usize::MAX) }
    }

    pub(crate) fn get(&self, slot: u32, key: &str) -> Option<Arc<Entry>> {
        let look: &dyn Look = &(slot, key);
        self.entries.get(look)
    }

    /// Whether there is one; to ask does not count as to want it.
    pub(crate) fn has(&self, slot: u32, key: &str) -> bool {
        let look: &dyn Look = &(slot, key);
        self.entries.contains_key(look)
    }

    /// Keeps an entry, and weighs it anew where it is kept already.
    pub(crate) fn put(&self, slot: u32, key: &str, entry: Arc<Entry>) {
        if entry.weight() > self.max_entry {
            return self.drop(slot, key);
        }
        self.entries.insert(Key { slot, key: key.into() }, entry);
    }

    pub(crate) fn drop(&self, slot: u32, key: &str) {
        let look: &dyn Look = &(slot, key);
        self.entries.invalidate(look);
    }

    /// Forgets what a generation's memory held. Walks over all entries.
    pub(crate) fn forget(&self, slot: u32) {
        for (key, _) in &self.entries {
            if key.slot == slot {
                self.drop(slot, &key.key);
            }
        }
    }

    /// The number of entries, and of their bytes; about.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(era: u64) -> Arc<Entry> {
        Arc::new(Entry::new(era, Vec::new(), Vec::new()))
    }

    #[test]
    fn an_entry_is_found_under_its_generation_and_key() {
        let cache = Cache::new(1 << 20);
        cache.put(1, "a", entry(1));
        cache.put(2, "a", entry(2));
        assert_eq!(cache.get(1, "a").expect("there").era, 1);
        assert_eq!(cache.get(2, "a").expect("there").era, 2);
        assert!(cache.get(1, "b").is_none());
        cache.forget(1);
        assert!(cache.get(1, "a").is_none() && cache.get(2, "a").is_some());
        cache.drop(2, "a");
        assert!(cache.get(2, "a").is_none());
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_what_it_replaces_neither() {
        let cache = Cache::new(64 * 1_000);
        cache.put(1, "a", entry(1));
        let part = crate::entry::Part { id: "p".into(), bytes: vec![0; 2_000].into(), source: 0, stale: None };
        cache.put(1, "a", Arc::new(Entry::new(2, vec![Arc::new(part)], Vec::new())));
        assert!(cache.get(1, "a").is_none());
    }
}
