//! What a desk counts.

use daybook_log::PartitionLog;
use daybook_process::metrics::{self, Counter, Gauge, Histogram};

use crate::Rule;

/// Meters of a desk.
pub(crate) struct DeskMeters {
    pub(crate) open: Gauge,
    pub(super) failures: Counter,
    pub(super) time: Histogram,
    /// Of deadlines: all that were sent, and those of them that were late. Of effects: all calls that were begun, and those of them that were not
    /// the first.
    pub(super) fired: Counter,
    pub(super) late: Counter,
    /// Answers of the outside that can't be.
    pub(super) unusable: Counter,
}

impl DeskMeters {
    pub(crate) fn of(rule: &Rule, log: &PartitionLog) -> Self {
        let (name, service, partition) = (rule.name(), log.service(), log.number().to_string());
        let (open, failures, time) = match rule {
            Rule::Deadlines(_) => (&metrics::DEADLINES_DUE, &metrics::DEADLINE_FAILURES, &metrics::DEADLINE_TIME),
            Rule::Effect(_) => (&metrics::EFFECT_CALLS, &metrics::EFFECT_FAILURES, &metrics::EFFECT_TIME),
            Rule::Lookup(_) | Rule::Reactor(_) => (&metrics::LOOKUP_CALLS, &metrics::LOOKUP_FAILURES, &metrics::LOOKUP_TIME),
        };
        let (fired, late) = match rule {
            Rule::Deadlines(_) => (metrics::DEADLINES_FIRED.with([name, service]), metrics::DEADLINES_LATE.with([name, service])),
            Rule::Effect(_) => (metrics::EFFECT_ATTEMPTS.with([name, service]), metrics::EFFECT_RETRIES.with([name, service])),
            Rule::Lookup(_) | Rule::Reactor(_) => (Counter::noop(), Counter::noop()),
        };
        let unusable = match rule {
            Rule::Effect(_) => metrics::EFFECT_UNUSABLE.with([name, service]),
            Rule::Deadlines(_) | Rule::Lookup(_) | Rule::Reactor(_) => Counter::noop(),
        };
        Self {
            unusable,
            open: open.with([name, service, &partition]),
            failures: failures.with([name, service]),
            time: time.with([name, service]),
            fired,
            late,
        }
    }
}
