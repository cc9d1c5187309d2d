//! Pushing what changed on `read.<projection>`, so that whoever keeps read models in memory need not ask.
//!
//! Folding never waits for Kafka. What could not be pushed is not kept: the next marker shows the gap, or what was touched
//! is read from the tables and pushed again.

mod pusher;
mod records;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, Producer, ProducerOptions};

pub(crate) use pusher::{Pusher, Source, Span};
pub(crate) use records::Shown;

/// How long Kafka may take to acknowledge a batch before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The producer that all partitions of a process push through. Cheap to clone.
#[derive(Clone)]
pub struct Push(Arc<Channel>);

struct Channel {
    bus: BusConfig,
    producer: RwLock<Arc<Producer>>,
}

impl Push {
    /// Starts the producer. Does not wait for a connection.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(bus: &BusConfig) -> Result<Self, BusError> {
        let producer = RwLock::new(Arc::new(Self::producer_of(bus)?));
        Ok(Self(Arc::new(Channel { bus: bus.clone(), producer })))
    }

    fn producer_of(bus: &BusConfig) -> Result<Producer, BusError> {
        Producer::new(bus, ProducerOptions { message_timeout: PATIENCE, ..ProducerOptions::default() })
    }

    pub(crate) fn topic(&self, projection: &str) -> Arc<str> {
        self.0.bus.read(projection).into()
    }

    fn producer(&self) -> Arc<Producer> {
        self.0.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes another producer where this one is of no more use, unless somebody has done so already.
    fn replace(&self, failed: &Arc<Producer>) {
        let mut current = self.0.producer.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, failed) {
            match Self::producer_of(&self.0.bus) {
                Ok(producer) => *current = Arc::new(producer),
                Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
            }
        }
    }
}
