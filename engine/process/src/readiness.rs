//! Whether a process can do its work.

/// Whether a process can do its work, check by check.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// (what, why it is not so; none: it is so)
    pub checks: Vec<(String, Option<String>)>,
    /// (a part of the work, why it waits): no reason to send clients elsewhere, for they would wait there too.
    pub degraded: Vec<(String, String)>,
}

impl Readiness {
    /// With another role's: of a check that both have, all problems stay.
    pub fn and(mut self, other: Self) -> Self {
        for (what, problem) in other.checks {
            match self.checks.iter_mut().find(|(name, _)| *name == what) {
                None => self.checks.push((what, problem)),
                Some((_, mine)) => match (mine.as_mut(), problem) {
                    (Some(mine), Some(problem)) if *mine != problem => *mine += &format!("; {problem}"),
                    (None, problem) => *mine = problem,
                    _ => {}
                },
            }
        }
        self.degraded.extend(other.degraded);
        self
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
