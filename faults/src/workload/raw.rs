//! A client that produces service messages itself, as one in any language may: with the .proto files, a key, and the Java
//! client's partitioner.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use rand::RngExt as _;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::Floor;
use crate::history::{Answer, Asked, Command, Recorder, Via};
use crate::judge::decode::command_type;

/// Produces commands to `<service>.messages`.
#[derive(Clone)]
pub struct RawClient {
    producer: FutureProducer,
    recorder: Recorder,
}

impl RawClient {
    /// # Errors
    /// When the library can't be set up.
    pub fn new(kafka: &str, recorder: Recorder) -> anyhow::Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            // Without idempotence, as the simplest client has it: what it sends may stand there twice, and still count once.
            .set("message.timeout.ms", "8000")
            .create()?;
        Ok(Self { producer, recorder })
    }

    /// Produces one, and says whether Kafka acknowledged it.
    pub async fn command(&self, by: u32, command: &Command) -> Answer {
        let command = Command { via: Via::Kafka, ..command.clone() };
        let open = self.recorder.ask(by, Asked::Command(command.clone()));
        let told = match self.send(&command).await {
            Ok(()) => Answer::Accepted { location: None },
            Err(error) => Answer::Unknown { why: format!("{error:#}") },
        };
        self.recorder.told(open, told.clone());
        told
    }

    async fn send(&self, command: &Command) -> anyhow::Result<()> {
        produce(&self.producer, command).await.map(drop)
    }
}

/// Sends a command's message as it has to be; the partition and the offset that it came to.
pub(super) async fn produce(producer: &FutureProducer, command: &Command) -> anyhow::Result<(i32, i64)> {
    let message = message_of(command)?;
    let value = DynamicMessage::deserialize(message.clone(), &command.body)?.encode_to_vec();
    let if_match = command.if_match.map(|version| version.to_string());
    let headers = OwnedHeaders::new()
        .insert(Header { key: "ce_type", value: Some(message.full_name()) })
        .insert(Header { key: "ce_id", value: Some(&command.key) });
    let headers = match &if_match {
        Some(version) => headers.insert(Header { key: "daybook-if-match", value: Some(version) }),
        None => headers,
    };
    let topic = format!("{}.messages", command.service);
    let record = FutureRecord::to(&topic).key(&command.stream).payload(&value).headers(headers);
    let delivery = producer.send(record, Duration::from_secs(8)).await.map_err(|(error, _)| error)?;
    Ok((delivery.partition, delivery.offset))
}

fn message_of(command: &Command) -> anyhow::Result<MessageDescriptor> {
    let Command { service, name, .. } = command;
    let kind = command_type(service, name).with_context(|| format!("{service} has no command {name}"))?;
    contract::descriptors().get_message_by_name(kind).with_context(|| format!("no message {kind}"))
}

pub(super) async fn work(floor: Arc<Floor>, client: RawClient, number: u32, of: u32) {
    let mut random = floor.random(number);
    let mut last: Option<Command> = None;
    while !floor.is_over() {
        floor.pace(of, &mut random).await;
        // Its own message again: no second effect.
        let command = match last.take() {
            Some(command) if random.random_bool(0.2) => command,
            // Its messages are not an endpoint's: an older build refuses what it does not know.
            _ => floor.shop.command_of(number, &mut random, !floor.options.two_builds),
        };
        client.command(number, &command).await;
        last = Some(command);
    }
}
