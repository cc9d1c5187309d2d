//! What is counted of one read model. The handles are made once: looking one up by its labels costs more than a look into
//! the cache.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

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
        let labels = || [("read_model", model.to_owned())];
        let status = |status: u16| {
            (status, counter!("daybook_query_requests_total", "read_model" => model.to_owned(), "status" => status.to_string()))
        };
        Self {
            model: model.to_owned(),
            statuses: [200, 304, 404, 503].map(status),
            seconds: histogram!("daybook_query_seconds", &labels()),
            hits: counter!("daybook_query_cache_hits_total", &labels()),
            misses: counter!("daybook_query_cache_misses_total", &labels()),
            loads: counter!("daybook_query_cache_loads_total", &labels()),
            coalesced: counter!("daybook_query_cache_coalesced_total", &labels()),
            gaps: counter!("daybook_query_push_gaps_total", &labels()),
            batches: counter!("daybook_query_push_batches_total", &labels()),
            late: counter!("daybook_query_push_late_total", &labels()),
            trusted: gauge!("daybook_query_cache_trusted", &labels()),
            lag: gauge!("daybook_query_push_lag_events", &labels()),
            age: gauge!("daybook_query_push_age_seconds", &labels()),
            waits: gauge!("daybook_query_waits", &labels()),
            subscribers: gauge!("daybook_query_subscribers", &labels()),
            generation: gauge!("daybook_query_generation", &labels()),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: u16, seconds: f64) {
        self.seconds.record(seconds);
        match self.statuses.iter().find(|(s, _)| *s == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                counter!("daybook_query_requests_total", "read_model" => self.model.clone(), "status" => status.to_string()).increment(1);
            }
        }
    }
}
