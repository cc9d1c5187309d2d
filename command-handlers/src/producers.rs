//! The clients by which this process sends to Kafka.
//!
//! An idempotent client of librdkafka spins while many records of a partition wait for others to be acknowledged ([`Guarantee`]): for commands
//! that was a third of all that Daybook computed at 256 clients, for events another fifth (perf). So what may be repeated goes by clients that are not
//! idempotent, and events that go together by one that gathers them into one request.

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, Guarantee, ProducerOptions, SharedProducer};

use crate::HandlerConfig;

/// Longest time that Kafka may take with an event before the relay begins again from the log, if need be with another client.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);
/// Events that an idempotent client sends without waiting for the first: one less than it has under way of a partition.
const AT_ONCE: usize = 4;
/// Time in which the events of a larger batch come together. Less is no shorter: librdkafka waits in whole milliseconds.
const GATHERS_FOR: Duration = Duration::from_millis(1);
/// While no more commands than this are under way, each goes to Kafka at once.
const EAGER_UP_TO: usize = 16;

/// The clients of a process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Producers(Arc<Clients>);

struct Clients {
    /// For a few events.
    events: SharedProducer,
    /// For more: gathers them into one request.
    gathered: SharedProducer,
    /// Sends at once: for when little is under way.
    eager: SharedProducer,
    /// Waits a moment for company: under load the requests to the broker count, not the messages.
    patient: SharedProducer,
}

impl Producers {
    /// Starts them. Does not wait for a connection.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub(crate) fn new(bus: &BusConfig, config: &HandlerConfig) -> Result<Self, BusError> {
        let in_order = |linger| ProducerOptions { linger, message_timeout: PUBLISHED_WITHIN, ..Default::default() };
        // A record gives up 2 s after the longest wait: nothing runs long after its answer.
        let message_timeout = config.max_wait + Duration::from_secs(2);
        let repeatable = |linger| ProducerOptions { linger, message_timeout, guarantee: Guarantee::Any, ..Default::default() };
        Ok(Self(Arc::new(Clients {
            events: SharedProducer::new(bus, in_order(Duration::ZERO))?,
            gathered: SharedProducer::new(bus, in_order(GATHERS_FOR))?,
            eager: SharedProducer::new(bus, repeatable(Duration::ZERO))?,
            patient: SharedProducer::new(bus, repeatable(config.linger))?,
        })))
    }

    /// For so many records of one partition that must arrive in order, and once. They must have settled before the next ones of their partition are
    /// sent, for these may go by another client.
    pub(crate) fn in_order(&self, records: usize) -> &SharedProducer {
        if records > AT_ONCE { &self.0.gathered } else { &self.0.events }
    }

    /// For what may arrive twice and in any order, while so much of it is under way: commands take effect once, and none relies on the order of two that
    /// are under way; a reply that comes again finds nobody waiting.
    pub(crate) fn repeatable(&self, under_way: usize) -> &SharedProducer {
        if under_way > EAGER_UP_TO { &self.0.patient } else { &self.0.eager }
    }
}
