//! Looks: what the database says of what is held, and what is known of the way that pushes take.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Core, Memory};
use crate::source::Position;

/// The result of a look into the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Some source is ahead of what was pushed: worth looking again soon.
    pub(crate) doubted: bool,
    /// Time since which nothing has been shown from memory, though Kafka can be reached.
    pub(crate) lost_for: Option<Duration>,
}

impl Memory {
    /// Whether it answers from memory.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    fn settle(&self, core: &mut Core) {
        let stands = core.trust.stands();
        if stands {
            core.trust.lost = None;
        } else {
            core.trust.lost.get_or_insert_with(Instant::now);
        }
        if self.trusted.swap(stands, Ordering::AcqRel) != stands {
            tracing::info!(model = &*self.model, generation = self.generation.number, trusted = stands, "answers from memory");
        }
    }

    /// Kafka is lost, or there again.
    pub(crate) fn connected(&self, yes: bool) {
        let mut core = self.lock();
        match (yes, core.trust.connected) {
            (true, None) => core.trust.connected = Some(Instant::now()),
            (false, Some(_)) => (core.trust.connected, core.trust.unseen) = (None, true),
            _ => return,
        }
        self.settle(&mut core);
    }

    /// Checkpoints were read after following had begun, or begun again: what was pushed before is in them.
    pub(crate) fn sync(&self, stamps: &[Position]) {
        let mut core = self.lock();
        let missed: Vec<(u16, Position)> =
            (0..).zip(self.sources.iter()).zip(stamps).filter(|((_, s), at)| **at > s.reached()).map(|((n, _), at)| (n, *at)).collect();
        self.miss(&mut core, &missed);
        let trust = &mut core.trust;
        (trust.synced, trust.unseen, trust.connected) = (true, false, Some(Instant::now()));
        trust.doubts.fill(None);
        self.settle(&mut core);
        drop(core);
        if !missed.is_empty() {
            self.observers.subscriptions.wake_all();
        }
    }

    /// The database was looked at: the query began then, and found these checkpoints. A source that stays behind for
    /// longer than `patience` is lost.
    pub(crate) fn look(&self, began: Instant, stamps: &[Position], patience: Duration) -> Comparison {
        let mut core = self.lock();
        let now = Instant::now();
        let (lag, moved) = core.trust.compare(now, &self.sources, stamps, patience);
        let doubted = core.trust.doubts.iter().any(Option::is_some);
        if !doubted && core.trust.connected.is_some_and(|since| began > since) {
            core.trust.unseen = false;
        }
        // Pushes don't say what followers need to know: they must read it.
        for (source, before) in moved {
            self.lost(source, before);
        }
        self.settle(&mut core);
        self.observers.meters.lag.set(lag.max(0) as f64);
        let lost_for = core.trust.lost.filter(|_| core.trust.connected.is_some() && core.trust.synced).map(|since| now - since);
        Comparison { doubted, lost_for }
    }
}
