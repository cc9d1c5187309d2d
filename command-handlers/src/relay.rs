//! The relay: publishes one partition's events, in order, from a cursor. Not a queue: what it can't find among the last
//! pages it reads from the log, so nothing is lost when Kafka is away, and memory does not grow.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::headers as h;
use daybook_bus::{BusConfig, BusError, Headers, Inspector, Producer, ProducerOptions, Record};
use daybook_log::{Page, PartitionLog, StoredEvent};
use daybook_proto::v1::Metadata;
use prost::Message as _;
use tokio::sync::watch;
use uuid::Uuid;

use crate::HandlerError;

/// Pages kept for the relay; further back it reads the log.
const RECENT_PAGES: usize = 64;
/// Events read from the log at once.
const READ_EVENTS: i64 = 500;

/// A producer that is replaced when it has failed for good.
pub(crate) struct SharedProducer {
    bus: BusConfig,
    options: ProducerOptions,
    current: RwLock<Arc<Producer>>,
}

impl SharedProducer {
    pub(crate) fn new(bus: &BusConfig, options: ProducerOptions) -> Result<Self, BusError> {
        let producer = Producer::new(bus, options.clone())?;
        Ok(Self { bus: bus.clone(), options, current: RwLock::new(Arc::new(producer)) })
    }

    pub(crate) fn get(&self) -> Arc<Producer> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a new one, unless somebody has done so already.
    pub(crate) fn replace(&self, failed: &Arc<Producer>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, failed) {
            match Producer::new(&self.bus, self.options.clone()) {
                Ok(producer) => *current = Arc::new(producer),
                Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
            }
        }
    }
}

/// Where `<service>.events` stands, compared with the log.
///
/// # Errors
/// [`HandlerError::AheadOfLog`] when the topic holds what the log does not: the partition must not start.
pub(crate) async fn first_unpublished(inspector: &Inspector, topic: &str, partition: &PartitionLog) -> Result<i64, HandlerError> {
    let Some(tail) = inspector.last_message(topic, partition.number()).await? else {
        // An empty topic is filled again from the log's beginning.
        return Ok(0);
    };
    let ahead = |offset: i64, why: String| HandlerError::AheadOfLog { partition: partition.name(), offset, why };
    let offset = match tail.headers.get_parsed::<i64>(h::OFFSET) {
        Ok(Some(offset)) if offset >= 0 => offset,
        _ => return Err(ahead(-1, "the topic's last message is none of Daybook's".to_owned())),
    };
    match partition.read_events(offset, 1).await?.first() {
        Some(event) if event.offset == offset => {
            let digest = tail.headers.get_str(h::PAGE_DIGEST).ok().flatten().unwrap_or_default();
            if digest == hex::encode(&event.page_digest) {
                Ok(offset + 1)
            } else {
                Err(ahead(offset, "another page's digest stands there".to_owned()))
            }
        }
        _ => Err(ahead(offset, "the log ends before it".to_owned())),
    }
}

/// The lane's end of a relay. Dropping it lets the relay publish what is committed, and end.
pub(crate) struct Relay {
    recent: Arc<Mutex<VecDeque<Arc<Page>>>>,
    head: watch::Sender<i64>,
}

struct Publisher {
    service: Arc<str>,
    topic: Arc<str>,
    partition: PartitionLog,
    producer: Arc<SharedProducer>,
    recent: Arc<Mutex<VecDeque<Arc<Page>>>>,
    /// The first offset that Kafka has not acknowledged.
    cursor: i64,
}

impl Relay {
    /// Starts publishing from `cursor`; `head` is the log's next offset.
    pub(crate) fn start(topic: Arc<str>, partition: PartitionLog, producer: Arc<SharedProducer>, cursor: i64, head: i64) -> Self {
        let recent = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, receiver) = watch::channel(head);
        let publisher = Publisher { service: partition.service().clone(), topic, partition, producer, recent: recent.clone(), cursor };
        tokio::spawn(publisher.run(receiver));
        Self { recent, head: sender }
    }

    /// A page was committed.
    pub(crate) fn committed(&self, page: Arc<Page>) {
        let next = page.head().next_offset();
        if page.head().count > 0 {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.len() == RECENT_PAGES {
                recent.pop_front();
            }
            recent.push_back(page);
        }
        self.head.send_replace(next);
    }
}

impl Publisher {
    async fn run(mut self, mut head: watch::Receiver<i64>) {
        let lag = metrics::gauge!("daybook_relay_lag_events", "service" => self.service.to_string(), "partition" => self.partition.number().to_string());
        let mut pause = Duration::from_millis(100);
        loop {
            let target = *head.borrow_and_update();
            lag.set((target - self.cursor).max(0) as f64);
            if self.cursor >= target {
                if head.changed().await.is_err() {
                    return;
                }
                continue;
            }
            match self.publish().await {
                Ok(()) => pause = Duration::from_millis(100),
                Err(error) => {
                    tracing::warn!(partition = %self.partition.name(), offset = self.cursor, %error, "publishing stopped; it goes on from the log");
                    metrics::counter!("daybook_relay_failures_total", "service" => self.service.to_string()).increment(1);
                    // The lane is gone: its successor publishes what is missing.
                    if head.has_changed().is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Publishes a batch from the cursor, and moves it by what Kafka acknowledged.
    async fn publish(&mut self) -> Result<(), HandlerError> {
        let records = match self.recent_records() {
            Some(records) => records,
            None => {
                let events = self.partition.read_events(self.cursor, READ_EVENTS).await?;
                events.iter().map(|e| self.record(e)).collect()
            }
        };
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let producer = self.producer.get();
        daybook_failpoint::reach("publish.before");
        match producer.send(records).await {
            Ok(_) => {
                daybook_failpoint::reach("publish.after");
                self.cursor += count;
                metrics::counter!("daybook_relay_published_total", "service" => self.service.to_string()).increment(count.unsigned_abs());
                Ok(())
            }
            Err(error) => {
                self.cursor += i64::try_from(error.acknowledged).unwrap_or_default();
                if error.fatal {
                    self.producer.replace(&producer);
                }
                Err(error.into())
            }
        }
    }

    /// Everything from the cursor on, when the recent pages reach back to it.
    fn recent_records(&self) -> Option<Vec<Record>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.front().is_some_and(|p| p.head().next_offset() <= self.cursor) {
            recent.pop_front();
        }
        if recent.front()?.head().first_offset > self.cursor {
            return None;
        }
        let records: Vec<Record> =
            recent.iter().flat_map(|p| p.stored_events()).filter(|e| e.offset >= self.cursor).map(|e| self.record(&e)).collect();
        (!records.is_empty()).then_some(records)
    }

    /// An event as clients in any language read it: CloudEvents' Kafka binary form, and its place in the log.
    fn record(&self, e: &StoredEvent) -> Record {
        let metadata = Metadata::decode(e.metadata.as_slice()).unwrap_or_default();
        let place = format!("{}/{}:{}@{}", self.service, self.partition.number(), e.offset, e.epoch);
        let mut headers = Headers::with_capacity(14);
        headers.push(h::CE_ID, place);
        headers.push(h::CE_TYPE, e.type_name.clone());
        headers.push(h::CE_SOURCE, format!("/daybook/{}", self.service));
        headers.push(h::CE_TIME, e.recorded_at.to_string());
        headers.push(h::CE_SPECVERSION, "1.0");
        headers.push(h::CONTENT_TYPE, "application/protobuf");
        headers.push_display(h::EPOCH, e.epoch);
        headers.push_display(h::OFFSET, e.offset);
        headers.push_display(h::VERSION, e.version);
        headers.push(h::COMMAND_ID, Uuid::from_slice(&metadata.command_id).map(|id| id.to_string()).unwrap_or_default());
        headers.push(h::CORRELATION_ID, metadata.correlation_id);
        if !metadata.traceparent.is_empty() {
            headers.push(h::TRACEPARENT, metadata.traceparent);
        }
        headers.push(h::PAGE_DIGEST, hex::encode(&e.page_digest));
        Record {
            topic: self.topic.clone(),
            partition: self.partition.number(),
            key: Bytes::copy_from_slice(e.stream_id.as_bytes()),
            headers,
            value: Some(Bytes::from(e.payload.clone())),
        }
    }
}
