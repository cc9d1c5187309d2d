//! Flights: loads that are under way, and what they bring. What is pushed for a view while it is being read is kept with its flight.

use std::sync::Arc;

use axum::http::HeaderValue;
use tokio::sync::watch;

use crate::entry::{Entry, PartNow, Parts, View};
use crate::source::Position;

/// More changes than this during one load: it is read again instead.
const MAX_KEPT: usize = 10_000;
/// More landings beside one load: it is read again instead.
const MAX_BESIDE: usize = 64;

/// The reason why nothing could be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// The database does not answer.
    Unreachable,
    /// It answers from a state that is older than what was shown already.
    TooOld,
    /// It was not done in time.
    Slow,
    /// Another generation answers by now: ask that one.
    Retired,
}

/// The result of a load: the entry, and the position of each source.
pub(crate) struct Loaded {
    pub(crate) entry: Arc<Entry>,
    pub(crate) at: Vec<Position>,
    /// The streams that show nothing, as answers name them.
    pub(super) hidden: Option<HeaderValue>,
}

pub(crate) type LoadResult = Option<Result<Arc<Loaded>, LoadError>>;

/// A load that is under way.
pub(crate) struct Flight {
    /// Changes that were pushed for its view since it was registered.
    pub(super) kept: Vec<PartNow>,
    /// Parts that have landed since of other views that show the same keys.
    pub(super) beside: Vec<(Arc<View>, Parts)>,
    /// By source: what is older than this may not be shown.
    pub(super) from: Vec<Position>,
    /// Something was missed: it must begin again.
    pub(crate) again: bool,
    pub(super) outcome: watch::Receiver<LoadResult>,
}

impl Flight {
    /// One that begins now; the sender tells those who join it of its end.
    pub(super) fn new(from: Vec<Position>) -> (Self, watch::Sender<LoadResult>) {
        let (sender, outcome) = watch::channel(None);
        (Self { kept: Vec::new(), beside: Vec::new(), from, again: false, outcome }, sender)
    }

    /// Begins again: what was kept until now is in what will be read.
    pub(super) fn restart(&mut self, from: Vec<Position>) {
        (self.again, self.from) = (false, from);
        self.kept.clear();
        self.beside.clear();
    }

    /// Keeps what has landed of a view that shows the same keys.
    pub(super) fn keep_beside(&mut self, view: &Arc<View>, parts: &Parts) {
        self.again |= self.beside.len() >= MAX_BESIDE;
        if !self.again {
            self.beside.push((view.clone(), parts.clone()));
        }
    }

    /// Keeps a change for the landing.
    pub(crate) fn keep(&mut self, now: PartNow) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(now);
        } else {
            self.again = true;
        }
    }
}
