//! A client of Kafka that writes in transactions, as any client may.

use std::time::Duration;

use daybook_bus::{BusConfig, Record};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

/// How long Kafka may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with a transactional id. When it goes with a transaction open, that stays open, as after a crash.
#[derive(Clone)]
pub struct TransactionalClient(FutureProducer);

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
        let client = Self(producer);
        client.blocking(|producer| producer.init_transactions(PATIENCE)).await.expect("Kafka answers");
        client
    }

    /// Opens a transaction.
    pub fn begin(&self) {
        self.0.begin_transaction().expect("none is open");
    }

    /// Writes a message within the open transaction; returns its offset, once Kafka has acknowledged it.
    pub async fn send(&self, record: Record) -> i64 {
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers.iter() {
            headers = headers.insert(Header { key, value: Some(&value[..]) });
        }
        let mut sent = FutureRecord::to(&record.topic).partition(record.partition).key(&record.key[..]).headers(headers);
        if let Some(value) = &record.value {
            sent = sent.payload(&value[..]);
        }
        self.0.send(sent, PATIENCE).await.expect("delivered").offset
    }

    /// Commits; fails where another client of the same id has fenced this one, or Kafka has aborted.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn commit(&self) -> Result<(), KafkaError> {
        self.blocking(|producer| producer.commit_transaction(PATIENCE)).await
    }

    /// Aborts.
    pub async fn abort(&self) {
        self.blocking(|producer| producer.abort_transaction(PATIENCE)).await.expect("Kafka aborts it");
    }

    async fn blocking(&self, work: impl FnOnce(&FutureProducer) -> Result<(), KafkaError> + Send + 'static) -> Result<(), KafkaError> {
        let producer = self.0.clone();
        tokio::task::spawn_blocking(move || work(&producer)).await.expect("no panic")
    }
}
