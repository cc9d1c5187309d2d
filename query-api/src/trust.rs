//! Whether what is held may be shown. Pushes alone can't tell that none come any more, so the database is looked at every
//! second: where it stays ahead of what was pushed, nothing is shown from memory until pushes have got there again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::memory::{Core, Memory};
use crate::position::Position;

/// A source that pushes have not brought to where the database was seen.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    at: Position,
    since: Instant,
    /// It has lasted too long.
    lost: bool,
}

/// What is known of the way that pushes take.
pub(crate) struct Trust {
    /// Checkpoints have been read since pushes are followed.
    synced: bool,
    /// Since when Kafka can be reached; none: it can't.
    connected: Option<Instant>,
    /// Kafka was lost: what was pushed meanwhile may not be here yet.
    unseen: bool,
    doubts: Vec<Option<Doubt>>,
    /// Since when nothing is shown from memory.
    lost: Option<Instant>,
}

/// What a look into the database found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Some source is ahead of what was pushed: worth looking again soon.
    pub(crate) doubted: bool,
    /// How long nothing has been shown from memory, though Kafka can be reached.
    pub(crate) lost_for: Option<Duration>,
}

impl Trust {
    pub(crate) fn new(sources: usize) -> Self {
        Self { synced: false, connected: None, unseen: false, doubts: vec![None; sources], lost: Some(Instant::now()) }
    }

    fn stands(&self) -> bool {
        self.synced && self.connected.is_some() && !self.unseen && !self.doubts.iter().flatten().any(|doubt| doubt.lost)
    }
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
            tracing::info!(model = &*self.model, generation = self.live.generation, trusted = stands, "answers from memory");
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
            (0..).zip(&self.sources).zip(stamps).filter(|((_, s), at)| **at > s.reached()).map(|((n, _), at)| (n, *at)).collect();
        self.miss(&mut core, &missed);
        let trust = &mut core.trust;
        (trust.synced, trust.unseen, trust.connected) = (true, false, Some(Instant::now()));
        trust.doubts.fill(None);
        self.settle(&mut core);
        drop(core);
        if !missed.is_empty() {
            self.told.subscriptions.wake_all();
        }
    }

    /// The database was looked at: the query began then, and found these checkpoints. A source that stays behind for
    /// longer than `patience` is lost.
    pub(crate) fn look(&self, began: Instant, stamps: &[Position], patience: Duration) -> Found {
        let mut core = self.lock();
        let now = Instant::now();
        let mut lag = 0;
        let mut moved = Vec::new();
        for ((number, source), stamp) in (0..).zip(&self.sources).zip(stamps) {
            let reached = source.reached();
            source.looked(*stamp);
            let doubt = &mut core.trust.doubts[usize::from(number)];
            if *stamp <= reached {
                *doubt = None;
                continue;
            }
            lag = lag.max(stamp.next() - reached.next());
            match doubt {
                // Pushes got to where it was; by now it is further.
                Some(d) if !d.lost && reached >= d.at => *doubt = Some(Doubt { at: *stamp, since: now, lost: false }),
                Some(d) => {
                    if now.duration_since(d.since) >= patience && (!d.lost || *stamp > d.at) {
                        (d.lost, d.at) = (true, *stamp);
                        moved.push((number, *stamp));
                    }
                }
                None => *doubt = Some(Doubt { at: *stamp, since: now, lost: false }),
            }
        }
        let doubted = core.trust.doubts.iter().any(Option::is_some);
        if !doubted && core.trust.connected.is_some_and(|since| began > since) {
            core.trust.unseen = false;
        }
        // Pushes don't say what followers need to know: they must read it.
        for (source, before) in moved {
            self.lost(source, before);
        }
        self.settle(&mut core);
        self.told.meters.lag.set(lag.max(0) as f64);
        let lost_for = core.trust.lost.filter(|_| core.trust.connected.is_some() && core.trust.synced).map(|since| now - since);
        Found { doubted, lost_for }
    }
}
