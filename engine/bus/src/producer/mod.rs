//! The producer: batches go in, one answer a batch comes out.

mod batch;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daybook_process::metrics::{self, Counter};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};

pub use batch::Delivery;
use batch::SentBatch;
pub use shared::SharedProducer;

use crate::client::{self, MAX_MESSAGE_BYTES};
use crate::config::BusConfig;
use crate::error::BusError;
use crate::message::Record;

/// Length of one wait for reports, in a producer's thread. Reports that come are seen to at once, however long that is. The
/// client waits in whole milliseconds and spends the rest of the last one looking again and again, so its own thread,
/// which waits for 100 ms, has a core to itself for a hundredth of the time, with nothing to do.
const WAIT: Duration = Duration::from_secs(1);
/// Longest wait of a dropped producer's thread for the reports of records that it gave up.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// Compression of record batches on the wire and on the brokers' disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are: the least latency and client CPU.
    #[default]
    None,
    /// Zstandard: for topics that are kept for ever.
    Zstd,
}

/// How records of one partition arrive where Kafka, or the way to it, fails meanwhile.
///
/// An idempotent client of librdkafka 2.12 to 2.15 has at most five records of a partition under way, and while more wait for them its thread does not
/// wait: `rd_kafka_toppar_producer_serve` sets the time to wake up at (at once, without linger) before it knows that nothing may be sent. So where
/// records may arrive twice, an idempotent client costs much and gives nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// In order, and once, as long as one client lives: it is idempotent, with five requests under way.
    #[default]
    OnceInOrder,
    /// In order as long as the broker takes what it is sent; some may come again. One request to a broker is under way. Where a broker refuses one,
    /// or another takes the partition over, the next one may come before it.
    InOrder,
    /// In any order; some may come again.
    Any,
}

/// A producer's latency, patience and memory.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// Longest wait of a record for company. 0 (the default) is best while little is in flight, 1–2 ms under load.
    pub linger: Duration,
    /// Time for which a record is tried before its delivery fails (30 s by default; looked at once a second).
    pub message_timeout: Duration,
    /// Number of records that may wait in memory (100,000 by default).
    pub queue_messages: usize,
    /// KiB of records that may wait in memory (131,072 by default).
    pub queue_kbytes: usize,
    /// None by default.
    pub compression: Compression,
    /// In order and once by default.
    pub guarantee: Guarantee,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            message_timeout: Duration::from_secs(30),
            queue_messages: 100_000,
            queue_kbytes: 131_072,
            compression: Compression::None,
            guarantee: Guarantee::OnceInOrder,
        }
    }
}

/// A producer (acks=all). Cheap to share behind an `Arc`; dropping it
/// is quick: records still queued are given up on a thread of its own, and their deliveries complete with an error.
pub struct Producer {
    client: Arc<Client>,
    brokers: String,
}

impl Producer {
    /// Starts the client's threads. Does not wait for a connection.
    ///
    /// # Errors
    /// [`BusError::Configuration`] when librdkafka refuses a property.
    pub fn new(config: &BusConfig, options: ProducerOptions) -> Result<Self, BusError> {
        Self::starting(config, options, true)
    }

    /// As [`new`](Self::new); whether brokers are `up` is known from one before.
    fn starting(config: &BusConfig, options: ProducerOptions, up: bool) -> Result<Self, BusError> {
        let reports = Reports {
            up: AtomicBool::new(up),
            connected: AtomicBool::new(false),
            spent: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failures: metrics::KAFKA_DELIVERY_FAILURES.get(),
        };
        let unusable = |error| BusError::configuration("producer", error);
        let producer: Arc<Inner> = Arc::new(client_config(config, &options).create_with_context(reports).map_err(unusable)?);
        let closed = Arc::new(AtomicBool::new(false));
        let (waiting, closing) = (producer.clone(), closed.clone());
        let wait = move || {
            while !closing.load(Ordering::Relaxed) {
                waiting.poll(WAIT);
            }
        };
        std::thread::Builder::new().name("kafka-producer".to_owned()).spawn(wait).map_err(|error| {
            let error = KafkaError::ClientCreation(format!("no thread for its reports: {error}"));
            BusError::configuration("producer", error)
        })?;
        Ok(Self { client: Arc::new(Client { producer, closed }), brokers: config.brokers.clone() })
    }

    /// Enqueues the records in order, at once; never waits. When one is refused (queue full, too large), those after
    /// it are not enqueued, and the batch completes with an error once those before it have settled.
    ///
    /// Records for one partition arrive as [`Guarantee`] says. After a failed delivery they may arrive with a gap: later batches don't
    /// wait for a record that was given up. To avoid that, have one batch of a partition under way, and send again from the gap.
    pub fn send(&self, records: Vec<Record>) -> Delivery {
        let (batch, answer) = SentBatch::new(records.len());
        let batch = Arc::new(batch);
        let producer = &self.client.producer;
        for (index, record) in records.into_iter().enumerate() {
            if let Err(error) = enqueue(producer, &batch, index, &record) {
                let code = error.rdkafka_error_code();
                let full = code == Some(RDKafkaErrorCode::QueueFull);
                producer.client().context().failures.increment(1);
                producer.client().context().look_at(code);
                batch.failed(index, format!("{}: {error}", record.topic), full);
                break;
            }
        }
        batch.settle();
        Delivery::new(answer, Arc::downgrade(&self.client))
    }

    /// Why this producer is of no more use, if it is: make a new one.
    pub fn fatal(&self) -> Option<String> {
        self.client.fatal()
    }

    /// Whether it failed for good, or let a message grow too old: [`SharedProducer`] says why that is the same.
    fn is_spent(&self) -> bool {
        let reports = self.client.producer.client().context();
        // A fatal error is not always called so in the report of the message that it hit.
        reports.spent.load(Ordering::Relaxed) || (reports.failed.load(Ordering::Relaxed) && self.client.fatal().is_some())
    }

    /// Waits until nothing is in flight. Blocks: not for async tasks.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when `timeout` ends first.
    pub fn flush(&self, timeout: Duration) -> Result<(), BusError> {
        let flushed = self.client.producer.flush(timeout);
        flushed.map_err(|error| BusError::unreachable(&self.brokers, "flush what is in flight", error))
    }

    /// Whether a broker is reachable, as far as the client knows: true until shown otherwise (to this one, or to the one that
    /// [`SharedProducer`] had before it), false from the moment all brokers are down until one answers again. A hint for
    /// readiness, refreshed once a second.
    pub fn brokers_up(&self) -> bool {
        self.client.producer.client().context().up.load(Ordering::Relaxed)
    }
}

fn enqueue(producer: &Inner, batch: &Arc<SentBatch>, index: usize, record: &Record) -> Result<(), KafkaError> {
    let ticket = Box::new(Ticket { batch: Arc::clone(batch), index });
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in record.headers.iter() {
        let value = Some(&value[..]);
        headers = headers.insert(Header { key, value });
    }
    let sent = BaseRecord::with_opaque_to(&record.topic, ticket).partition(record.partition).key(&record.key[..]).headers(headers);
    let sent = BaseRecord { payload: record.value.as_deref(), ..sent };
    batch.begin();
    producer.send(sent).map_err(|(error, _)| {
        batch.settle();
        error
    })
}

fn client_config(config: &BusConfig, options: &ProducerOptions) -> ClientConfig {
    let linger = (options.linger.as_micros() as f64 / 1_000.0).to_string();
    let timeout = options.message_timeout.as_millis().max(1).to_string();
    let messages = options.queue_messages.max(1).to_string();
    let (idempotent, requests) = match options.guarantee {
        Guarantee::OnceInOrder => ("true", "5"),
        Guarantee::InOrder => ("false", "1"),
        Guarantee::Any => ("false", "5"),
    };
    let kbytes = options.queue_kbytes.max(1).to_string();
    let compression = match options.compression {
        Compression::None => "none",
        Compression::Zstd => "zstd",
    };
    config.client(
        &[("linger.ms", &linger), ("compression.type", compression), ("statistics.interval.ms", "1000")],
        &[
            ("acks", "all"),
            ("enable.idempotence", idempotent),
            ("max.in.flight.requests.per.connection", requests),
            ("message.max.bytes", MAX_MESSAGE_BYTES),
            ("message.timeout.ms", &timeout),
            ("queue.buffering.max.messages", &messages),
            ("queue.buffering.max.kbytes", &kbytes),
            // A topic that is missing is an error: one made by accident would have the wrong number of partitions.
            ("allow.auto.create.topics", "false"),
        ],
    )
}

/// The client, until it is dropped.
struct Client {
    producer: Arc<Inner>,
    /// Ends the thread that waits for reports.
    closed: Arc<AtomicBool>,
}

type Inner = BaseProducer<Reports>;

impl Client {
    fn fatal(&self) -> Option<String> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(format!("{code}: {reason}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (producer, closed) = (self.producer.clone(), self.closed.clone());
        // Closing takes as long as the last reports and librdkafka's threads do; and without the reports each waiter for
        // a delivery would wait for ever.
        let close = move || {
            producer.purge(PurgeConfig::default().queue().inflight());
            if let Err(error) = producer.flush(LAST_REPORTS) {
                tracing::warn!(%error, "a dropped producer's last deliveries are not settled");
            }
            closed.store(true, Ordering::Relaxed);
        };
        if !client::elsewhere("a producer", close) {
            self.closed.store(true, Ordering::Relaxed);
        }
    }
}

/// The record and the batch that a delivery report is about.
struct Ticket {
    batch: Arc<SentBatch>,
    index: usize,
}

/// The receiver of delivery reports, errors and statistics.
struct Reports {
    up: AtomicBool,
    /// A broker was up before: a client that has only begun has no connection yet, and that says nothing.
    connected: AtomicBool,
    spent: AtomicBool,
    failed: AtomicBool,
    failures: Counter,
}

impl Reports {
    fn look_at(&self, code: Option<RDKafkaErrorCode>) {
        self.failed.store(true, Ordering::Relaxed);
        if matches!(code, Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::MessageTimedOut)) {
            self.spent.store(true, Ordering::Relaxed);
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.up.store(false, Ordering::Relaxed);
        }
        tracing::warn!(%error, reason, "Kafka producer");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // A look for one phrase: parsing all of it each second would cost more than it tells.
        const UP: &[u8] = b"\"state\":\"UP\"";
        let up = statistics.windows(UP.len()).any(|window| window == UP);
        if up || self.connected.load(Ordering::Relaxed) {
            self.up.store(up, Ordering::Relaxed);
            self.connected.store(true, Ordering::Relaxed);
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        match result {
            Ok(message) => {
                self.up.store(true, Ordering::Relaxed);
                let place = || format!("{}/{}", message.topic(), message.partition());
                if !ticket.batch.delivered(ticket.index, message.offset(), place) {
                    self.failures.increment(1);
                }
            }
            Err((error, message)) => {
                self.failures.increment(1);
                self.look_at(error.rdkafka_error_code());
                let text = format!("{}/{}: {error}", message.topic(), message.partition());
                ticket.batch.failed(ticket.index, text, false);
            }
        }
        ticket.batch.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_up_as_the_last_news_of_them_says() {
        let reports = Reports {
            up: AtomicBool::new(true),
            connected: AtomicBool::new(false),
            spent: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failures: metrics::KAFKA_DELIVERY_FAILURES.get(),
        };
        let up = || reports.up.load(Ordering::Relaxed);
        reports.stats_raw(br#"{"brokers":{"bootstrap":{"state":"CONNECT"},"1":{"state":"INIT"}}}"#);
        assert!(up(), "it has only begun");
        reports.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "one of them");
        assert!(up());
        reports.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "all of them");
        assert!(!up());
        reports.stats_raw(br#"{"brokers":{"1":{"state":"INIT"},"2":{"state":"UP"}}}"#);
        assert!(up(), "one is enough");
        reports.stats_raw(br#"{"brokers":{"1":{"state":"INIT"},"2":{"state":"DOWN"}}}"#);
        assert!(!up());
    }

    #[test]
    fn a_producer_is_spent_by_what_is_fatal_and_by_a_message_that_grew_too_old() {
        for (code, spends) in [
            (RDKafkaErrorCode::Fatal, true),
            (RDKafkaErrorCode::MessageTimedOut, true),
            (RDKafkaErrorCode::QueueFull, false),
            (RDKafkaErrorCode::MessageSizeTooLarge, false),
        ] {
            let producer = Producer::new(&BusConfig::new("127.0.0.1:1"), ProducerOptions::default()).expect("it starts");
            producer.client.producer.client().context().look_at(Some(code));
            assert_eq!(producer.is_spent(), spends, "{code:?}");
        }
    }
}
