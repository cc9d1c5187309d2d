//! Trust: whether what is held may be shown. Pushes alone can't tell that none come any more, so the database is looked at every
//! second: where it stays ahead of what was pushed, nothing is shown from memory until pushes have got there again.

use std::time::Duration;

use tokio::time::Instant;

use crate::source::{Position, Sources};

/// A source that pushes have not brought to where the database was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    at: Position,
    since: Instant,
    /// It has lasted too long.
    lost: bool,
}

/// The state of the way that pushes take.
pub(crate) struct Trust {
    /// Checkpoints have been read since pushes are followed.
    pub(super) synced: bool,
    /// Since when Kafka can be reached; none: it can't.
    pub(super) connected: Option<Instant>,
    /// Kafka was lost: what was pushed meanwhile may not be here yet.
    pub(super) unseen: bool,
    pub(super) doubts: Vec<Option<Doubt>>,
    /// Since when nothing is shown from memory.
    pub(super) lost: Option<Instant>,
}

impl Trust {
    pub(crate) fn new(sources: usize) -> Self {
        Self { synced: false, connected: None, unseen: false, doubts: vec![None; sources], lost: Some(Instant::now()) }
    }

    pub(super) fn stands(&self) -> bool {
        self.synced && self.connected.is_some() && !self.unseen && !self.doubts.iter().flatten().any(|doubt| doubt.lost)
    }

    /// Compares what pushes brought with what a look found. Says how many events the furthest source is ahead, and the sources that
    /// are lost by now, each with the position that was found.
    pub(super) fn compare(
        &mut self,
        now: Instant,
        sources: &Sources,
        stamps: &[Position],
        patience: Duration,
    ) -> (i64, Vec<(u16, Position)>) {
        let mut lag = 0;
        let mut moved = Vec::new();
        for ((number, source), stamp) in (0..).zip(sources.iter()).zip(stamps) {
            let reached = source.reached();
            source.looked(*stamp);
            let doubt = &mut self.doubts[usize::from(number)];
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
        (lag, moved)
    }
}
