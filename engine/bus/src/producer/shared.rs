//! A producer for many tasks, made anew when it is of no more use.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use daybook_process::metrics;

use super::{Producer, ProducerOptions};
use crate::{BusConfig, BusError, DeliveryError, Record};

/// A producer that outlives its clients. One that failed for good is replaced, and so is one that let a message grow too old: a
/// client of librdkafka 2.12 whose topics were deleted and made again was seen to deliver nothing to them for as
/// long as it lived, without ever calling that fatal (found by the fault harness, `kafka-wiped`).
pub struct SharedProducer {
    bus: BusConfig,
    options: ProducerOptions,
    current: RwLock<Arc<Producer>>,
}

impl SharedProducer {
    /// Starts the first client. Does not wait for a connection.
    ///
    /// # Errors
    /// [`BusError::Configuration`] when librdkafka refuses a property.
    pub fn new(bus: &BusConfig, options: ProducerOptions) -> Result<Self, BusError> {
        let producer = Producer::new(bus, options.clone())?;
        Ok(Self { bus: bus.clone(), options, current: RwLock::new(Arc::new(producer)) })
    }

    /// The client of this moment. Records sent by it fail when its last holder lets go.
    pub fn get(&self) -> Arc<Producer> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if current.is_spent() { self.replace(&current) } else { current }
    }

    /// [`Producer::send`]: enqueued at once, and held on to until it has settled.
    pub fn send(&self, records: Vec<Record>) -> impl Future<Output = Result<Vec<i64>, DeliveryError>> + Send + use<> {
        let producer = self.get();
        let delivery = producer.send(records);
        async move {
            let delivered = delivery.await;
            drop(producer);
            delivered
        }
    }

    /// Makes another, unless somebody has done so already.
    fn replace(&self, spent: &Arc<Producer>) -> Arc<Producer> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, spent) {
            match Producer::starting(&self.bus, self.options.clone(), spent.brokers_up()) {
                Ok(producer) => {
                    tracing::warn!("a Kafka producer is of no more use: another one goes on");
                    metrics::KAFKA_PRODUCERS_REPLACED.get().increment(1);
                    *current = Arc::new(producer);
                }
                Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
            }
        }
        current.clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::Headers;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_under_way_arrives_though_its_client_is_replaced_and_it_is_replaced_once() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let shared = SharedProducer::new(&bus, ProducerOptions::default()).expect("a producer");
        cluster.broker_down(1).expect("down");
        let (key, value) = (Bytes::from_static(b"key"), Some(Bytes::from_static(b"x")));
        let delivery = shared.send(vec![Record { topic: "pipe".into(), partition: 0, key, headers: Headers::new(), value }]);
        let first = shared.get();
        // Two that found it of no more use at the same time.
        let (second, third) = (shared.replace(&first), shared.replace(&first));
        assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&second, &third) && Arc::ptr_eq(&third, &shared.get()));
        drop(first);
        cluster.broker_up(1).expect("up");
        assert_eq!(delivery.await, Ok(vec![0]));
    }
}
