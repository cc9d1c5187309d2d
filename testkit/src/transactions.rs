//! A client of Kafka that writes in transactions, as any client may.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, Inspector, Record};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

/// How long Kafka may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with a transactional id. When it goes with a transaction open, that stays open, as after a crash.
pub struct TransactionalClient {
    producer: FutureProducer,
    bus: BusConfig,
    /// The partitions that it has written to, by topic.
    written: Mutex<BTreeSet<(Arc<str>, i32)>>,
}

impl TransactionalClient {
    /// Begins to work under an id; an older client of the same id is fenced, and what it had open is aborted. Kafka aborts by
    /// itself what is open for longer than `timeout` (it looks every ten seconds).
    pub async fn new(bus: &BusConfig, id: &str, timeout: Duration) -> Self {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &bus.brokers)
            .set("transactional.id", bus.group(id))
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .set("message.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "0")
            .create()
            .expect("a Kafka client");
        let client = Self { producer, bus: bus.clone(), written: Mutex::default() };
        client.blocking(|producer| producer.init_transactions(PATIENCE)).await.expect("Kafka answers");
        client
    }

    /// Opens a transaction.
    pub fn begin(&self) {
        self.producer.begin_transaction().expect("none is open");
    }

    /// Writes a message within the open transaction; returns its offset, once Kafka has acknowledged it.
    pub async fn send(&self, record: Record) -> i64 {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert((Arc::clone(&record.topic), record.partition));
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers.iter() {
            headers = headers.insert(Header { key, value: Some(&value[..]) });
        }
        let mut sent = FutureRecord::to(&record.topic).partition(record.partition).key(&record.key[..]).headers(headers);
        if let Some(value) = &record.value {
            sent = sent.payload(&value[..]);
        }
        self.producer.send(sent, PATIENCE).await.expect("delivered").offset
    }

    /// Commits; fails where another client of the same id has fenced this one, or Kafka has aborted.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn commit(&self) -> Result<(), KafkaError> {
        self.blocking(|producer| producer.commit_transaction(PATIENCE)).await?;
        self.decided().await;
        Ok(())
    }

    /// Aborts.
    pub async fn abort(&self) {
        self.blocking(|producer| producer.abort_transaction(PATIENCE)).await.expect("Kafka aborts it");
        self.decided().await;
    }

    /// Kafka says that it is done when the coordinator has noted it; partitions get their markers a moment later.
    async fn decided(&self) {
        let inspector = Inspector::new(&self.bus).expect("a Kafka client");
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (topic, partition) in &written {
            crate::eventually("the markers of a transaction", || async { inspector.decided(topic, *partition).await.ok() }).await;
        }
    }

    async fn blocking(&self, work: impl FnOnce(&FutureProducer) -> Result<(), KafkaError> + Send + 'static) -> Result<(), KafkaError> {
        let producer = self.producer.clone();
        tokio::task::spawn_blocking(move || work(&producer)).await.expect("no panic")
    }
}
