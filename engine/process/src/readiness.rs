//! Whether a process can do its work.

use std::fmt;
use std::sync::Arc;

/// Whether a process can do its work, check by check.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// (what, why it is not so; none: it is so)
    pub checks: Vec<(String, Option<String>)>,
    /// (a part of the work, why it waits): no reason to send clients elsewhere, for they would wait there too.
    pub degraded: Vec<(String, String)>,
}

/// What waits of the work that other roles do in the same process: each part, and why.
#[derive(Clone)]
pub struct Beside(Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>);

impl Beside {
    /// `waiting` is asked each time.
    pub fn new(waiting: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(waiting))
    }
}

impl Default for Beside {
    /// No other role.
    fn default() -> Self {
        Self::new(Vec::new)
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}

impl Readiness {
    /// Adds what waits in the process's other roles: it is named, and no reason to send this role's clients elsewhere.
    pub fn beside(self, others: &Beside) -> Self {
        (others.0)().into_iter().fold(self, |readiness, (part, why)| readiness.waits(part, why))
    }

    /// Adds a check.
    pub fn check(mut self, what: impl Into<String>, problem: Option<String>) -> Self {
        self.checks.push((what.into(), problem));
        self
    }

    /// Adds a part of the work that waits, and why; the rest goes on.
    pub fn waits(mut self, part: impl Into<String>, why: String) -> Self {
        self.degraded.push((part.into(), why));
        self
    }

    /// In a word: `ready`, `degraded` (ready, but for a part that waits), or `not ready`.
    pub fn status(&self) -> &'static str {
        match (self.is_ready(), self.degraded.is_empty()) {
            (false, _) => "not ready",
            (true, false) => "degraded",
            (true, true) => "ready",
        }
    }

    /// Whether every check holds, and no part waits.
    pub fn is_whole(&self) -> bool {
        self.is_ready() && self.degraded.is_empty()
    }

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, problem)| problem.is_none())
    }
}
