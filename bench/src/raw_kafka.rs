//! Kafka alone: a message produced (idempotent, acks=all) to a topic of one partition, and consumed again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::{BusConfig, Headers, PartitionReader, Producer, ProducerOptions, Record, StartAt, TopicSpec, ensure_topics};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::samples::Client;

/// About the size of a command with its headers, in bytes.
const MESSAGE: usize = 300;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>;

/// A topic, a producer and a reader; clients are made of it.
pub(crate) struct RoundTrips {
    producer: Arc<Producer>,
    topic: Arc<str>,
    waiting: Waiting,
    reading: tokio::task::JoinHandle<()>,
}

impl RoundTrips {
    /// Makes the topic; records wait for company for `linger`.
    ///
    /// # Errors
    /// When Kafka can't be reached.
    pub(crate) async fn new(brokers: &str, linger: Duration) -> anyhow::Result<Self> {
        let bus = BusConfig::new(brokers).with_client_id("bench");
        let name = bus.group(&format!("bench.{}", Uuid::new_v4().simple()));
        ensure_topics(&bus, &[TopicSpec { name: name.clone(), partitions: 1, settings: BTreeMap::new() }]).await?;
        let producer = Producer::new(&bus, ProducerOptions { linger, ..ProducerOptions::default() })?;
        let reader = PartitionReader::open(&bus, &name, 0, StartAt::End).await?;
        let waiting = Waiting::default();
        let reading = tokio::spawn(wake(reader, waiting.clone()));
        Ok(Self { producer: Arc::new(producer), topic: name.into(), waiting, reading })
    }

    /// Clients that each have one message under way.
    pub(crate) fn clients(&self, count: usize) -> Vec<RoundTrip> {
        let one = |number| RoundTrip {
            producer: self.producer.clone(),
            topic: self.topic.clone(),
            waiting: self.waiting.clone(),
            next: (number as u64) << 32,
        };
        (0..count).map(one).collect()
    }
}

impl Drop for RoundTrips {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn wake(mut reader: PartitionReader, waiting: Waiting) {
    while let Some(messages) = reader.recv(10_000, 16 << 20).await {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for message in messages {
            let number = message.value.as_deref().and_then(|v| v.first_chunk()).map(|n| u64::from_be_bytes(*n));
            if let Some(client) = number.and_then(|number| waiting.remove(&number)) {
                let _ = client.send(());
            }
        }
    }
}

/// One message at a time, there and back.
pub(crate) struct RoundTrip {
    producer: Arc<Producer>,
    topic: Arc<str>,
    waiting: Waiting,
    next: u64,
}

impl Client for RoundTrip {
    async fn once(&mut self) -> Result<(), String> {
        self.next += 1;
        let (back, consumed) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(self.next, back);
        let mut value = vec![b'.'; MESSAGE];
        value[..8].copy_from_slice(&self.next.to_be_bytes());
        let record = Record {
            topic: self.topic.clone(),
            partition: 0,
            key: Bytes::from_static(b"stock/0000-1234@w-1"),
            headers: Headers::new(),
            value: Some(Bytes::from(value)),
        };
        let (delivered, consumed) = tokio::join!(self.producer.send(vec![record]), consumed);
        delivered.map_err(|error| error.to_string())?;
        consumed.map_err(|_| "the reader has ended".to_owned())
    }
}
