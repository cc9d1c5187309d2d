//! Hot keys: those that are asked for most. They are counted by samples, so that counting costs a look-up next to nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One look-up of so many is counted.
const SAMPLE: u32 = 16;
/// Keys that are counted at once; when there are more, those that were asked for once make place.
const MAX_KEYS: usize = 16_384;

/// The counts of one read model.
#[derive(Default)]
pub(crate) struct Hot {
    looks: AtomicU32,
    counts: Mutex<HashMap<Box<str>, u32>>,
}

impl Hot {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key was found in memory.
    pub(crate) fn hit(&self, key: &str) {
        if self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE) {
            self.count(key, SAMPLE);
        }
    }

    /// A key was not.
    pub(crate) fn missed(&self, key: &str) {
        self.count(key, 1);
    }

    fn count(&self, key: &str, by: u32) {
        let mut counts = self.lock();
        if let Some(count) = counts.get_mut(key) {
            *count = count.saturating_add(by);
            return;
        }
        if counts.len() >= MAX_KEYS {
            Self::fade(&mut counts);
        }
        counts.insert(key.into(), by);
    }

    /// What was long ago counts less; what counts nothing any more is forgotten, and at least one of two keys where there
    /// are too many.
    fn fade(counts: &mut HashMap<Box<str>, u32>) {
        let (mut kept, full) = (0, counts.len() >= MAX_KEYS);
        counts.retain(|_, count| {
            *count /= 2;
            let keep = *count > 0 && !(full && kept >= MAX_KEYS / 2);
            kept += usize::from(keep);
            keep
        });
    }

    /// Up to `most` keys, the hottest first.
    pub(crate) fn hottest(&self, most: usize) -> Vec<String> {
        let mut all: Vec<(u32, String)> = self.lock().iter().map(|(key, count)| (*count, key.to_string())).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.into_iter().take(most).map(|(_, key)| key).collect()
    }

    /// A minute is over.
    pub(crate) fn age(&self) {
        Self::fade(&mut self.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_most_comes_first_and_fades() {
        let hot = Hot::default();
        for n in 0..1_000 {
            hot.hit(if n < 900 { "a" } else { "b" });
        }
        hot.missed("c");
        assert_eq!(hot.hottest(2), ["a", "b"]);
        assert_eq!(hot.hottest(9).len(), 3);
        hot.age();
        assert_eq!(hot.hottest(9), ["a", "b"]);
    }

    #[test]
    fn many_keys_are_bounded() {
        let hot = Hot::default();
        (0..100).for_each(|_| hot.missed("hot"));
        (0..100_000).for_each(|n| hot.missed(&n.to_string()));
        assert!(hot.lock().len() <= MAX_KEYS);
    }
}
