//! Commands on their way out.

use daybook_bus::{DeliveryError, Record, SharedProducer};
use daybook_messages::LocalLanes;

/// Sends commands to Kafka, and hands each to its lane as well, where that runs in this process.
pub(crate) struct Sender {
    pub(crate) producer: SharedProducer,
    pub(crate) local: LocalLanes,
}

impl Sender {
    /// [`SharedProducer::send`]. Only what Kafka has counts as sent: a lane may end with what it was handed, and a log that was restored
    /// reads again what Kafka has.
    pub(crate) fn send(&self, records: Vec<Record>) -> impl Future<Output = Result<Vec<i64>, DeliveryError>> + Send + use<> {
        records.iter().for_each(|record| self.local.offer(record));
        self.by_kafka_alone(records)
    }

    /// For what may overtake nothing that is on its way over Kafka.
    pub(crate) fn by_kafka_alone(&self, records: Vec<Record>) -> impl Future<Output = Result<Vec<i64>, DeliveryError>> + Send + use<> {
        self.producer.send(records)
    }
}
