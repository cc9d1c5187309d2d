//! Messages that no lane can decide, of every kind: each must be set aside, and nothing stops.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;
use rand::RngExt as _;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::StatusCode;

use super::{Fault, Field, Struck, garbage};
use crate::collect;
use crate::shop::names::{AN_EVENT, ANOTHER_SERVICES, ANOTHER_STREAM, POISONED, POISONED_COMMAND, too_large};

/// The longest that Kafka may take for one message.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that it may take, in company, until Kafka has all of it and an endpoint has said no, and how long lanes may take again to
/// set all of it aside.
const IN_COMPANY: Duration = Duration::from_secs(60);
/// The command that is poisoned.
const COMMAND: &str = POISONED_COMMAND.1;
/// The most that a topic takes is 4 MiB, with what travels along.
const LARGEST: usize = 4 * 1024 * 1024 - 4096;
const TOO_LARGE: usize = 10 * 1024 * 1024;
const LARGER_THAN_KAFKA_TAKES: &str = "larger than the broker takes";
/// The tags of a group that begins and ends. Its field, 2047, is one that no message has, so that nothing is wrong before the end:
/// each beginning is one level deeper.
const DEEPER: [u8; 2] = [0xfb, 0x7f];
const BACK: [u8; 2] = [0xfc, 0x7f];
const LEVELS: usize = 100_000;
/// Field 2, the title, again: two bytes that are no UTF-8.
const TITLE_THAT_IS_NO_TEXT: [u8; 4] = [0x12, 0x02, 0xc3, 0x28];

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("poison-messages", "messages that are unreadable in every way, straight to Kafka", 30, |f| Box::pin(every(f)))]
}

/// A message, and what is wrong with it.
struct Poison {
    what: &'static str,
    key: Option<Vec<u8>>,
    partition: Option<i32>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

struct Kitchen {
    stream: String,
    key: String,
    /// The command that would be right.
    value: Vec<u8>,
}

impl Kitchen {
    fn new(field: &mut Field<'_>) -> anyhow::Result<Self> {
        let command = field.new_command();
        let message = contract::descriptors().get_message_by_name(COMMAND).with_context(|| format!("no message {COMMAND}"))?;
        let value = DynamicMessage::deserialize(message, &command.body)?.encode_to_vec();
        Ok(Self { stream: command.stream, key: format!("poison-{}", command.key), value })
    }

    /// Headers as they should be, and this for a value.
    fn with(&self, what: &'static str, value: impl Into<Vec<u8>>) -> Poison {
        let headers = vec![("ce_type", COMMAND.into()), ("ce_id", self.key.clone().into())];
        Poison { what, key: Some(self.stream.clone().into()), partition: None, value: Some(value.into()), headers }
    }

    /// The right value under other headers.
    fn under(&self, what: &'static str, headers: Vec<(&'static str, Vec<u8>)>) -> Poison {
        Poison { headers, ..self.with(what, self.value.clone()) }
    }

    fn all(&self, noise: Vec<u8>) -> Vec<Poison> {
        let (right, id) = (self.value.as_slice(), || ("ce_id", self.key.clone().into_bytes()));
        vec![
            self.with("empty", []),
            Poison { value: None, ..self.with("without a value", []) },
            self.with("truncated", &right[..right.len() - 1]),
            self.with("noise", noise),
            self.with("with a field that nobody knows", [right, &[0xf8, 0x7f, 1]].concat()),
            self.with("nested deeply, and cut there", DEEPER.repeat(LEVELS)),
            self.with("nested deeply", [right, &DEEPER.repeat(LEVELS), &BACK.repeat(LEVELS)].concat()),
            self.with("with a text that is none", [right, &TITLE_THAT_IS_NO_TEXT].concat()),
            self.with("as large as the topic takes", DEEPER.repeat(LARGEST / DEEPER.len())),
            self.with(LARGER_THAN_KAFKA_TAKES, vec![0; TOO_LARGE]),
            self.under("of another service's type", vec![("ce_type", ANOTHER_SERVICES.into()), id()]),
            self.under("of a type that nobody knows", vec![("ce_type", b"nowhere.v1.DoNothing".into()), id()]),
            self.under("of an event's type", vec![("ce_type", AN_EVENT.into()), id()]),
            self.under("without headers", Vec::new()),
            self.under("without a key of its own", vec![("ce_type", COMMAND.into())]),
            self.under("with a type that is no text", vec![("ce_type", vec![0xff, 0xfe, 0xc0]), id()]),
            self.under("with a key that is no text", vec![("ce_type", COMMAND.into()), ("ce_id", vec![0xc3, 0x28])]),
            self.under("with a condition that is no number", vec![("ce_type", COMMAND.into()), id(), ("daybook-if-match", b"one".into())]),
            self.under(
                "with a forged signature",
                vec![
                    ("ce_type", COMMAND.into()),
                    id(),
                    ("daybook-mac", b"00".into()),
                    ("daybook-command-id", b"7d1f7a3e-3a3f-4d0c-9a55-0d7c5b1d3a01".into()),
                ],
            ),
            Poison { key: Some(ANOTHER_STREAM.into()), ..self.with("under another stream's key", right) },
            Poison { key: Some(vec![0xc3, 0x28]), ..self.with("under a key that is no text", right) },
            Poison { key: None, ..self.with("without a stream", right) },
        ]
    }
}

/// One that is unreadable.
pub(super) async fn one(field: &mut Field<'_>) -> anyhow::Result<()> {
    let (producer, kitchen) = (producer(field)?, Kitchen::new(field)?);
    insist(&producer, &kitchen.with("truncated", &kitchen.value[..kitchen.value.len() - 1])).await.map(drop)
}

/// It counts those that were set aside: all that Kafka took.
async fn every(mut field: Field<'_>) -> anyhow::Result<Struck> {
    let (producer, kitchen) = (producer(&field)?, Kitchen::new(&mut field)?);
    let noise = (0..512).map(|_| field.random.random()).collect();
    let mut all = kitchen.all(noise);
    // Where the stream belongs is said by Kafka's own client, for a message that does no harm.
    let place = insist(&producer, &kitchen.with("half a tag", &DEEPER[..1])).await?.context("half a tag is too large")?;
    let elsewhere = (place.0 + 1) % i32::try_from(field.cluster.plan().partitions)?;
    if elsewhere != place.0 {
        all.push(Poison { partition: Some(elsewhere), ..kitchen.with("in another partition", kitchen.value.clone()) });
    }
    let mut note = garbage::throw(&mut field, &producer).await;
    let (mut places, mut too_large) = (vec![place], Vec::new());
    for (poison, sent) in all.iter().zip(join_all(all.iter().map(|poison| insist(&producer, poison))).await) {
        match sent? {
            Some(place) => places.push(place),
            None => too_large.push(poison.what),
        }
    }
    anyhow::ensure!(too_large == [LARGER_THAN_KAFKA_TAKES], "not taken by Kafka for its size: {too_large:?}");
    post_too_large(&field).await?;
    note.push_str(&format!("; not taken by Kafka, nor over HTTP (413): {}", too_large.join(", ")));
    let struck = Struck::times(0);
    let end = Instant::now() + IN_COMPANY;
    while let Err(missing) = all_set_aside(&field, &places).await {
        anyhow::ensure!(Instant::now() < end, "after {IN_COMPANY:?} not everything is set aside: {missing:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(Struck { fired: places.len() as u64, ..struck }.note(note))
}

/// Posts a command of 10 MiB to an endpoint, until it is refused for its size.
async fn post_too_large(field: &Field<'_>) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let body = too_large(TOO_LARGE).to_string();
    let end = Instant::now() + IN_COMPANY;
    loop {
        let mut said = Vec::new();
        for member in field.cluster.handlers() {
            let request = http.post(format!("{}/v1/{POISONED}/{}", member.url, POISONED_COMMAND.0)).header("Idempotency-Key", "too-large");
            match request.header("Content-Type", "application/json").body(body.clone()).send().await.map(|answer| answer.status()) {
                Ok(StatusCode::PAYLOAD_TOO_LARGE) => return Ok(()),
                // It has no time for it just now, or none to be heard in.
                Ok(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {}
                Ok(status) => anyhow::bail!("{} answers {TOO_LARGE} bytes with {status}", member.name),
                Err(error) => said.push(format!("{}: {error}", member.name)),
            }
        }
        anyhow::ensure!(Instant::now() < end, "nobody says in {IN_COMPANY:?} that {TOO_LARGE} bytes are too much: {}", said.join("; "));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Fails with the messages (partition and offset) of which nobody has written why they can't be decided.
async fn all_set_aside(field: &Field<'_>, places: &[(i32, i64)]) -> anyhow::Result<()> {
    let client = collect::connect(&field.cluster.owner_url()).await?;
    let aside = |table: &str| format!("SELECT partition, message_offset FROM {POISONED}.{table}");
    let aside = format!("{} UNION {}", aside("rejected"), aside("parked"));
    let aside: BTreeSet<(i32, i64)> = client.query(&aside, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let missing: Vec<_> = places.iter().filter(|place| !aside.contains(place)).collect();
    anyhow::ensure!(missing.is_empty(), "{POISONED}.messages {missing:?}");
    Ok(())
}

fn producer(field: &Field<'_>) -> anyhow::Result<FutureProducer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", field.cluster.kafka())
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "33554432")
        .set("message.timeout.ms", PATIENCE.as_millis().to_string())
        .create()?)
}

/// The partition and the offset that it came to, in the end; none when it is too large.
async fn insist(producer: &FutureProducer, poison: &Poison) -> anyhow::Result<Option<(i32, i64)>> {
    let end = Instant::now() + IN_COMPANY;
    loop {
        match send(producer, poison).await {
            Ok(place) => return Ok(Some(place)),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) => return Ok(None),
            Err(error) if Instant::now() > end => return Err(error).context(format!("not taken by Kafka: {}", poison.what)),
            // It may stand there all the same: as one more of its kind.
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn send(producer: &FutureProducer, poison: &Poison) -> Result<(i32, i64), KafkaError> {
    let headers = poison.headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let topic = format!("{POISONED}.messages");
    let mut record = FutureRecord::to(&topic).headers(headers);
    if let Some(key) = &poison.key {
        record = record.key(key);
    }
    if let Some(value) = &poison.value {
        record = record.payload(value);
    }
    if let Some(partition) = poison.partition {
        record = record.partition(partition);
    }
    match producer.send(record, PATIENCE).await {
        Ok(delivery) => Ok((delivery.partition, delivery.offset)),
        Err((error, _)) => Err(error),
    }
}
