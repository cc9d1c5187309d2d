//! Pushing changes on `read.<projection>`, so that a process with read models in memory need not ask.
//!
//! Folding never waits for Kafka. A change that could not be pushed is not kept: the next marker shows the gap, or what was touched
//! is read from the tables and pushed again.

mod pusher;
mod records;

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, Guarantee, Producer, ProducerOptions, SharedProducer};

pub(crate) use pusher::{Pusher, Source, Span};
pub(crate) use records::PushedPart;

/// Longest time that Kafka may take to acknowledge a batch before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The producer that all partitions of a process push through. Cheap to clone.
#[derive(Clone)]
pub struct Push(Arc<Channel>);

struct Channel {
    bus: BusConfig,
    producer: SharedProducer,
}

impl Push {
    /// Starts the producer. Does not wait for a connection.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(bus: &BusConfig) -> Result<Self, BusError> {
        // Readers know the later of two states of a part, and read through where the order of batches is broken: a repeat costs them no more than that.
        let options = ProducerOptions { message_timeout: PATIENCE, guarantee: Guarantee::InOrder, ..ProducerOptions::default() };
        Ok(Self(Arc::new(Channel { bus: bus.clone(), producer: SharedProducer::new(bus, options)? })))
    }

    pub(crate) fn topic(&self, projection: &str) -> Arc<str> {
        self.0.bus.read(projection).into()
    }

    fn producer(&self) -> Arc<Producer> {
        self.0.producer.get()
    }
}
