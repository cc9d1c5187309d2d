//! The same messages as some topics hold, produced to a topic of our own and consumed again, as fast as that goes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::BaseRecord;

use crate::kafka::{Kafka, Producer, Topic};
use crate::lines;

/// Messages of one partition after the other: partitions take turns.
const TURN: usize = 500;
/// Longest wait for a message that is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options of the messages.
#[derive(Debug, clap::Args)]
pub(crate) struct Produce {
    /// Kafka's address.
    #[arg(long)]
    brokers: String,
    /// Topics whose messages are taken, comma-separated. Each of their partitions becomes one of ours.
    #[arg(long, value_delimiter = ',')]
    topics: Vec<String>,
    /// Only the last so many of each partition.
    #[arg(long, default_value_t = 25_000)]
    last: i64,
}

/// Of each line, which is a time in milliseconds that records wait for company, reads the messages, produces them, consumes them; prints how many,
/// and how many microseconds the latter two took side by side.
///
/// # Errors
/// When Kafka can't be reached, or stops answering.
pub(crate) async fn serve(options: Produce) -> anyhow::Result<()> {
    let kafka = Kafka(options.brokers);
    let topics: Vec<Topic> = options.topics.iter().map(|name| kafka.existing(name)).collect::<anyhow::Result<_>>()?;
    lines::answer(async |line| {
        let linger: f64 = line.parse().context("a line is a number of milliseconds")?;
        // Read anew each time: a producer takes the headers for good.
        let partitions = read(&kafka, &topics, options.last)?;
        let count: usize = partitions.iter().map(Vec::len).sum();
        let own = kafka.make("same", i32::try_from(partitions.len())?).await?;
        let (producer, consumer) = (kafka.producer(linger)?, own.consumer()?);
        let begun = Instant::now();
        let consumed = std::thread::spawn(move || drain(&consumer, count));
        produce(&producer, &own.name, partitions)?;
        consumed.join().map_err(|_| anyhow::anyhow!("the consumer panicked"))??;
        let took = begun.elapsed();
        own.delete().await?;
        Ok(format!("{count} {}", took.as_micros()))
    })
    .await
}

/// The last messages of all partitions, each partition by itself.
fn read(kafka: &Kafka, topics: &[Topic], last: i64) -> anyhow::Result<Vec<Vec<OwnedMessage>>> {
    let assigned = kafka.consumer(topics, last)?;
    let mut partitions: Vec<Vec<OwnedMessage>> = Vec::new();
    let first = |name: &str| topics.iter().take_while(|topic| topic.name != name).map(|topic| topic.partitions).sum::<i32>();
    for _ in 0..assigned.messages {
        let message = assigned.consumer.poll(PATIENCE).context("a message that is there does not come")??;
        let at = usize::try_from(first(message.topic()) + message.partition())?;
        if partitions.len() <= at {
            partitions.resize_with(at + 1, Vec::new);
        }
        partitions[at].push(message.detach());
    }
    Ok(partitions)
}

fn produce(producer: &Producer, topic: &str, partitions: Vec<Vec<OwnedMessage>>) -> anyhow::Result<()> {
    let mut partitions: Vec<_> = partitions.into_iter().map(Vec::into_iter).collect();
    while partitions.iter().any(|messages| messages.len() > 0) {
        for (partition, messages) in (0..).zip(&mut partitions) {
            for message in messages.by_ref().take(TURN) {
                send(producer, topic, partition, message)?;
            }
        }
    }
    Ok(())
}

fn send(producer: &Producer, topic: &str, partition: i32, mut message: OwnedMessage) -> anyhow::Result<()> {
    let headers = message.detach_headers();
    let mut record =
        BaseRecord::to(topic).partition(partition).key(message.key().unwrap_or_default()).payload(message.payload().unwrap_or_default());
    record.headers = headers;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn drain(consumer: &BaseConsumer, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        consumer.poll(PATIENCE).context("a message that went does not come")??;
    }
    Ok(())
}
