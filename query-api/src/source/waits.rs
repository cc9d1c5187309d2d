//! Waits for a source to get to a position: each ends when it has, and no other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::position::Position;

#[derive(Default)]
struct Waiters {
    by_position: BTreeMap<(Position, u64), oneshot::Sender<()>>,
    next: u64,
}

/// The waits for one source.
#[derive(Default)]
pub(crate) struct Waits {
    waiting: Mutex<Waiters>,
    /// As many as there are in `waiting`: what is pushed need not take the lock when nobody waits.
    count: AtomicU64,
}

/// A wait. It leaves nothing behind when it is dropped.
pub(crate) struct Wait {
    waits: Arc<Waits>,
    at: (Position, u64),
    woken: oneshot::Receiver<()>,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait. Look once more where the source stands *after* this: what was reached before wakes nobody.
    pub(crate) fn begin(self: &Arc<Self>, position: Position) -> Wait {
        let (wake, woken) = oneshot::channel();
        let mut waiting = self.lock();
        let at = (position, waiting.next);
        waiting.next += 1;
        waiting.by_position.insert(at, wake);
        // Before the look that follows, so that who publishes a position sees one of the two.
        self.count.fetch_add(1, Ordering::SeqCst);
        Wait { waits: self.clone(), at, woken }
    }

    /// Wakes those whose position is reached, and those whose epoch is over.
    pub(crate) fn reached(&self, position: Position) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut waiting = self.lock();
        let beyond = waiting.by_position.split_off(&(position, u64::MAX));
        let woken = std::mem::replace(&mut waiting.by_position, beyond);
        self.count.fetch_sub(woken.len() as u64, Ordering::SeqCst);
        drop(waiting);
        for (_, wake) in woken {
            let _ = wake.send(());
        }
    }

    /// The number of waits.
    pub(crate) fn count(&self) -> usize {
        usize::try_from(self.count.load(Ordering::SeqCst)).unwrap_or(usize::MAX)
    }
}

impl Wait {
    /// Returns once it is woken.
    pub(crate) async fn woken(&mut self) {
        // An end without a word comes only with the source's own.
        let _ = (&mut self.woken).await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.waits.lock().by_position.remove(&self.at).is_some() {
            self.waits.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(wait: &mut Wait) -> bool {
        wait.woken.try_recv().is_ok()
    }

    #[test]
    fn only_who_waits_for_no_more_than_was_reached_is_woken() {
        let waits = Arc::<Waits>::default();
        let mut all: Vec<Wait> =
            [(1, 5), (1, 6), (1, 6), (1, 7), (2, 0)].into_iter().map(|(e, n)| waits.begin(Position::new(e, n))).collect();
        waits.reached(Position::new(1, 6));
        assert_eq!(all.iter_mut().map(is_woken).collect::<Vec<_>>(), [true, true, true, false, false]);
        assert_eq!(waits.count(), 2);
        waits.reached(Position::new(2, 0));
        assert!(is_woken(&mut all[3]), "an epoch that is over is told");
        assert!(is_woken(&mut all[4]));
        assert_eq!(waits.count(), 0);
    }

    #[test]
    fn who_goes_away_leaves_nothing_behind() {
        let waits = Arc::<Waits>::default();
        let (one, two) = (waits.begin(Position::new(1, 1)), waits.begin(Position::new(1, 9)));
        waits.reached(Position::new(1, 1));
        drop((one, two));
        assert_eq!((waits.count(), waits.lock().by_position.len()), (0, 0));
    }
}
