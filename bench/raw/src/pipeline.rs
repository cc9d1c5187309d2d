//! The bare pipeline: axum → Kafka → one thread → the page statement → Kafka → the answer. Nothing is decided, digested, checked or remembered, and no
//! read model stands behind it. It batches as well as it goes: all that has arrived is one transaction, and one reply message.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseRecord;
use tokio::sync::oneshot;

use crate::kafka::{Kafka, Producer, Topic};
use crate::tables::{Tables, stream};

/// About the size of a command with its headers, in bytes.
const MESSAGE: usize = 450;
/// Commands of one transaction, at most.
const BATCH: usize = 2_000;
/// A wait for the first message; nothing depends on it.
const IDLE: Duration = Duration::from_millis(100);
/// The answer: about the same as a command's.
const ANSWER: &str = r#"{"commandId":"00000000-0000-0000-0000-000000000000","events":[{"offset":123456,"type":"shop.inventory.v1.StockReceived"}],"service":"inventory","stream":"stock/0000-1234@w-1","token":"inventory/0:123456@1","version":12}"#;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>;

/// Options of the pipeline.
#[derive(Debug, clap::Args)]
pub(crate) struct Pipeline {
    /// An empty database, as its owner.
    #[arg(long, env = "RAW_LIMITS_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Kafka's address.
    #[arg(long)]
    brokers: String,
    /// Partitions of the log and of its topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=1024))]
    partitions: i32,
    /// Time that records wait for company, in milliseconds.
    #[arg(long, default_value_t = 0.0)]
    linger_ms: f64,
}

/// The part that answers HTTP.
struct Front {
    producer: Producer,
    messages: Topic,
    waiting: Waiting,
    next: AtomicU64,
}

/// Prints its address, and serves until its standard input ends.
///
/// # Errors
/// When Postgres or Kafka can't be reached, or stop answering.
pub(crate) async fn serve(options: Pipeline) -> anyhow::Result<()> {
    let kafka = Kafka(options.brokers.clone());
    let (messages, replies) = (kafka.make("messages", options.partitions).await?, kafka.make("replies", 1).await?);
    let (producer, waiting) = (kafka.producer(options.linger_ms)?, Waiting::default());
    let (commands, answers) = tokio::task::block_in_place(|| anyhow::Ok((messages.consumer()?, replies.consumer()?)))?;
    let writer = Writer { messages: commands, producer: producer.clone(), replies: replies.name.clone(), options };
    let ended = thread("writer", move || writer.run())?;
    let woken = waiting.clone();
    let deaf = thread("replies", move || wake(&answers, &woken))?;
    let front = Arc::new(Front { producer, messages, waiting, next: AtomicU64::new(0) });
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let router = Router::new().route("/v1/{service}/{command}", post(answer)).with_state(front.clone());
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
    let input = thread("input", || {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    })?;
    let outcome = tokio::select! {
        served = axum::serve(listener, router) => served.map_err(anyhow::Error::from),
        ended = ended => ended.context("the writer is gone")?,
        ended = deaf => ended.context("whoever reads replies is gone")?,
        _ = input => Ok(()),
    };
    front.messages.delete().await?;
    replies.delete().await?;
    outcome
}

/// A thread of its own, and how it ends.
fn thread(name: &str, run: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let (sender, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || drop(sender.send(run())))?;
    Ok(ended)
}

async fn answer(State(front): State<Arc<Front>>, body: Bytes) -> Result<impl IntoResponse, StatusCode> {
    let number = front.next.fetch_add(1, Ordering::Relaxed);
    let (sender, decided) = oneshot::channel();
    front.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
    let mut message = [b'.'; MESSAGE];
    message[..8].copy_from_slice(&number.to_be_bytes());
    let end = MESSAGE.min(8 + body.len());
    message[8..end].copy_from_slice(&body[..end - 8]);
    let partition = i32::try_from(stream(number) % u64::from(front.messages.partitions.unsigned_abs())).unwrap_or_default();
    let key = format!("stock/raw-{}@w-1", stream(number));
    let record = BaseRecord::to(&front.messages.name).partition(partition).key(&key).payload(&message[..]);
    front.producer.send(record).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    decided.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], ANSWER))
}

/// The one thread between Kafka and Postgres.
struct Writer {
    messages: BaseConsumer,
    producer: Producer,
    replies: String,
    options: Pipeline,
}

impl Writer {
    fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut tables = runtime.block_on(Tables::make(&self.options.database_url, self.options.partitions))?;
        let mut batch = vec![Vec::new(); usize::try_from(self.options.partitions)?];
        loop {
            let mut reply = Vec::new();
            let mut wait = IDLE;
            while reply.len() < BATCH * 8
                && let Some(message) = self.messages.poll(wait)
            {
                let message = message?;
                let number = message.payload().and_then(|payload| payload.first_chunk()).context("a message without its number")?;
                reply.extend_from_slice(number);
                batch[usize::try_from(message.partition())?].push(u64::from_be_bytes(*number));
                wait = Duration::ZERO;
            }
            if reply.is_empty() {
                continue;
            }
            runtime.block_on(tables.commit(&batch))?;
            batch.iter_mut().for_each(Vec::clear);
            self.producer.send(BaseRecord::<(), _>::to(&self.replies).partition(0).payload(&reply)).map_err(|(error, _)| error)?;
        }
    }
}

/// Wakes those whose commands are committed.
fn wake(replies: &BaseConsumer, waiting: &Waiting) -> anyhow::Result<()> {
    loop {
        let Some(reply) = replies.poll(IDLE) else { continue };
        let reply = reply?;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for number in reply.payload().unwrap_or_default().as_chunks::<8>().0 {
            if let Some(sender) = waiting.remove(&u64::from_be_bytes(*number)) {
                let _ = sender.send(());
            }
        }
    }
}
