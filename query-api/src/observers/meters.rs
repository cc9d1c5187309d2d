//! Meters of one read model. The handles are made once: looking one up by its labels costs more than a look into
//! the cache.

use daybook_process::metrics::{self, Counter, Gauge, Histogram};

/// The meters of one read model.
pub(crate) struct Meters {
    model: String,
    statuses: [(u16, Counter); 4],
    pub(crate) seconds: Histogram,
    /// Answered from memory.
    pub(crate) hits: Counter,
    /// Not answered from memory.
    pub(crate) misses: Counter,
    /// Read from the database.
    pub(crate) loads: Counter,
    /// Misses that another one's load answered.
    pub(crate) coalesced: Counter,
    /// Times that pushes were found missing.
    pub(crate) gaps: Counter,
    /// Batches that were applied.
    pub(crate) batches: Counter,
    /// Batches that came too late to say anything.
    pub(crate) late: Counter,
    /// 1: answered from memory. 0: every query is read from the database.
    pub(crate) trusted: Gauge,
    /// Events that the database is ahead of what has been pushed, at the source where that is most.
    pub(crate) lag: Gauge,
    /// Seconds since something was pushed.
    pub(crate) age: Gauge,
    pub(crate) waits: Gauge,
    pub(crate) subscribers: Gauge,
    /// The generation that answers.
    pub(crate) generation: Gauge,
}

impl Meters {
    pub(crate) fn new(model: &str) -> Self {
        let status = |status: u16| (status, metrics::QUERY_REQUESTS.with([model, &status.to_string()]));
        Self {
            model: model.to_owned(),
            statuses: [200, 304, 404, 503].map(status),
            seconds: metrics::QUERY_TIME.with([model]),
            hits: metrics::QUERY_CACHE_HITS.with([model]),
            misses: metrics::QUERY_CACHE_MISSES.with([model]),
            loads: metrics::QUERY_CACHE_LOADS.with([model]),
            coalesced: metrics::QUERY_CACHE_COALESCED.with([model]),
            gaps: metrics::QUERY_PUSH_GAPS.with([model]),
            batches: metrics::QUERY_PUSH_BATCHES.with([model]),
            late: metrics::QUERY_PUSH_LATE.with([model]),
            trusted: metrics::QUERY_CACHE_TRUSTED.with([model]),
            lag: metrics::QUERY_PUSH_LAG.with([model]),
            age: metrics::QUERY_PUSH_AGE.with([model]),
            waits: metrics::QUERY_WAITS.with([model]),
            subscribers: metrics::QUERY_SUBSCRIBERS.with([model]),
            generation: metrics::QUERY_GENERATION.with([model]),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: u16, seconds: f64) {
        self.seconds.record(seconds);
        match self.statuses.iter().find(|(s, _)| *s == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                metrics::QUERY_REQUESTS.with([&self.model, &status.to_string()]).increment(1);
            }
        }
    }
}
