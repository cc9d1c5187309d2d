//! A foreign consumer: notes when each message of some topics arrives, and where its sender says that it belongs.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::kafka::{Kafka, Topic};
use crate::lines;

/// A wait for the first message; nothing depends on it.
const IDLE: Duration = Duration::from_millis(100);
/// Longest time without a message while some are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of the consumer.
#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// Kafka's address.
    #[arg(long)]
    brokers: String,
    /// Topics, comma-separated.
    #[arg(long, value_delimiter = ',')]
    topics: Vec<String>,
    /// The header that says a message's place in its partition, as a decimal number.
    #[arg(long)]
    header: String,
}

/// A message that has arrived: the topic by its number, the partition, the place, and microseconds since 1970.
type Arrival = (usize, i32, i64, u128);

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// Of each line, which is a number of messages, waits until so many have arrived since the line before, or none has for a minute; prints of
/// each `topic/partition:place` and the time of its arrival, in microseconds since 1970.
///
/// # Errors
/// When Kafka can't be reached.
pub(crate) async fn serve(options: Watch) -> anyhow::Result<()> {
    let kafka = Kafka(options.brokers);
    let topics: Vec<Topic> = options.topics.iter().map(|name| kafka.existing(name)).collect::<anyhow::Result<_>>()?;
    let (consumer, arrivals) = (kafka.consumer(&topics, 0)?.consumer, Arrivals::default());
    let (names, noted, header) = (options.topics.clone(), arrivals.clone(), options.header);
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || note(&consumer, &names, &header, &noted))?;
    lines::answer(async |line| {
        let wanted: usize = line.parse().context("a line is a number of messages")?;
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let count = arrivals.lock().unwrap_or_else(PoisonError::into_inner).len();
            if count != seen {
                (seen, since) = (count, Instant::now());
            }
            if count >= wanted || since.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut said = String::new();
        for (topic, partition, place, at) in std::mem::take(&mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner)) {
            writeln!(said, "{}/{partition}:{place} {at}", options.topics[topic])?;
        }
        Ok(said.trim_end().to_owned())
    })
    .await
}

fn note(consumer: &BaseConsumer, topics: &[String], header: &str, arrivals: &Arrivals) {
    loop {
        // An error is told by the messages that do not come.
        let Some(Ok(message)) = consumer.poll(IDLE) else { continue };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let topic = topics.iter().position(|topic| topic == message.topic()).unwrap_or_default();
        let arrival = (topic, message.partition(), place(&message, header).unwrap_or(-1), at);
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }
}

fn place(message: &BorrowedMessage<'_>, header: &str) -> Option<i64> {
    let value = message.headers()?.iter().find(|h| h.key == header)?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
