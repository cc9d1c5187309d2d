//! Subscriptions to a key of a read model: a subscriber is woken when something may have changed there. Nothing is queued for it;
//! it looks at what is newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Those who follow keys of one read model.
#[derive(Default)]
pub(crate) struct Subscriptions {
    by_key: Mutex<HashMap<Box<str>, watch::Sender<()>>>,
    count: AtomicUsize,
}

/// One who follows a key. Leaves nothing behind when it is dropped.
pub(crate) struct Subscription {
    all: Arc<Subscriptions>,
    key: Box<str>,
    changed: Option<watch::Receiver<()>>,
}

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, watch::Sender<()>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow a key: look at it after this, and after each wake-up.
    pub(crate) fn begin(self: &Arc<Self>, key: &str) -> Subscription {
        let mut by_key = self.lock();
        let changed = match by_key.get(key) {
            Some(sender) => sender.subscribe(),
            None => by_key.entry(key.into()).or_insert_with(|| watch::channel(()).0).subscribe(),
        };
        self.count.fetch_add(1, Ordering::SeqCst);
        Subscription { all: self.clone(), key: key.into(), changed: Some(changed) }
    }

    /// Wakes those who follow one of these keys.
    pub(crate) fn wake<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        if self.count() == 0 {
            return;
        }
        let by_key = self.lock();
        for key in keys {
            if let Some(sender) = by_key.get(key) {
                sender.send_replace(());
            }
        }
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    /// The number of subscriptions.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Subscription {
    /// Has the next wait return at once.
    pub(crate) fn again(&mut self) {
        if let Some(changed) = &mut self.changed {
            changed.mark_changed();
        }
    }

    /// Returns once something may have changed since the last time.
    pub(crate) async fn changed(&mut self) {
        // The sender lives for as long as anybody follows the key.
        if let Some(changed) = &mut self.changed {
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.changed = None;
        self.all.count.fetch_sub(1, Ordering::SeqCst);
        let mut by_key = self.all.lock();
        if by_key.get(&self.key).is_some_and(|sender| sender.receiver_count() == 0) {
            by_key.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_follows_the_key_is_woken_once_however_often_it_changes_and_leaves_nothing_behind() {
        let all = Arc::<Subscriptions>::default();
        let (mut a, mut b) = (all.begin("a"), all.begin("b"));
        all.wake(["a", "a", "c"].into_iter());
        a.changed().await;
        for follower in [&mut a, &mut b] {
            assert!(futures_util::FutureExt::now_or_never(follower.changed()).is_none());
        }
        all.wake_all();
        tokio::join!(a.changed(), b.changed());
        drop((a, b));
        assert!(all.count() == 0 && all.lock().is_empty());
    }
}
