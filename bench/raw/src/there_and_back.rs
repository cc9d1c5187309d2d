//! A message produced to a topic of one partition, and consumed again: what Kafka alone takes for a hop.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseRecord;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::kafka::{Kafka, Producer};
use crate::lines;

/// About the size of a command with its headers, in bytes.
const MESSAGE: usize = 300;
/// A wait for the first message; nothing depends on it.
const IDLE: Duration = Duration::from_millis(100);
/// Longest wait for a message that went.
const PATIENCE: Duration = Duration::from_secs(30);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>;

/// Options of the messages.
#[derive(Debug, clap::Args)]
pub(crate) struct ThereAndBack {
    /// Kafka's address.
    #[arg(long)]
    brokers: String,
    /// Time that records wait for company, in milliseconds.
    #[arg(long, default_value_t = 0.0)]
    linger_ms: f64,
}

/// Of each line, a number of clients and of milliseconds, lets so many clients each have one message under way for so long; prints of each
/// message when it went and how long it took, in microseconds.
///
/// # Errors
/// When Kafka can't be reached, or a message does not come back.
pub(crate) async fn serve(options: ThereAndBack) -> anyhow::Result<()> {
    let kafka = Kafka(options.brokers);
    let topic = kafka.make("there-and-back", 1).await?;
    let (producer, waiting) = (kafka.producer(options.linger_ms)?, Waiting::default());
    let (consumer, woken) = (topic.consumer()?, waiting.clone());
    std::thread::Builder::new().name("back".to_owned()).spawn(move || wake(&consumer, &woken))?;
    let (name, mut round): (Arc<str>, u64) = (topic.name.as_str().into(), 0);
    lines::answer(async |line| {
        let (clients, millis) = line.split_once(' ').context("a line is a number of clients and of milliseconds")?;
        let (clients, length, begun) = (clients.parse::<u64>()?, Duration::from_millis(millis.parse()?), Instant::now());
        round += 1;
        let mut running = JoinSet::new();
        for client in 0..clients {
            let (producer, topic, waiting) = (producer.clone(), name.clone(), waiting.clone());
            let first = round << 48 | client << 32;
            running.spawn(async move { Client { producer, topic, waiting, next: first }.keep_on(begun, length).await });
        }
        let mut said = String::new();
        while let Some(times) = running.join_next().await {
            for (at, took) in times?? {
                writeln!(said, "{at} {took}")?;
            }
        }
        Ok(said.trim_end().to_owned())
    })
    .await?;
    topic.delete().await
}

struct Client {
    producer: Producer,
    topic: Arc<str>,
    waiting: Waiting,
    next: u64,
}

impl Client {
    async fn keep_on(mut self, begun: Instant, length: Duration) -> anyhow::Result<Vec<(u128, u128)>> {
        let mut times = Vec::new();
        while begun.elapsed() < length {
            let from = Instant::now();
            self.next += 1;
            let (sender, back) = oneshot::channel();
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(self.next, sender);
            let mut value = [b'.'; MESSAGE];
            value[..8].copy_from_slice(&self.next.to_be_bytes());
            let record = BaseRecord::to(&self.topic).partition(0).key("stock/0000-1234@w-1").payload(&value[..]);
            self.producer.send(record).map_err(|(error, _)| error)?;
            tokio::time::timeout(PATIENCE, back).await.context("a message did not come back")??;
            times.push((from.duration_since(begun).as_micros(), from.elapsed().as_micros()));
        }
        Ok(times)
    }
}

/// Tells of each message that it is back.
fn wake(consumer: &BaseConsumer, waiting: &Waiting) {
    loop {
        // An error is told by the message that does not come back.
        let Some(Ok(message)) = consumer.poll(IDLE) else { continue };
        let number = message.payload().and_then(|payload| payload.first_chunk()).map(|number| u64::from_be_bytes(*number));
        if let Some(sender) = number.and_then(|number| waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)) {
            let _ = sender.send(());
        }
    }
}
