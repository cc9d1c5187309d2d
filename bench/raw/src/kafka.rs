//! Kafka's clients and topics of a limit. Durability is as Daybook has it: acks=all, idempotent, in order.

use std::time::Duration;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{DefaultProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

/// Longest wait for topics to be made, and for their partitions to have leaders.
const PATIENCE: Duration = Duration::from_secs(30);

/// A producer that polls by itself.
pub(crate) type Producer = ThreadedProducer<DefaultProducerContext>;

/// A broker's address.
#[derive(Clone, Debug)]
pub(crate) struct Kafka(pub(crate) String);

/// A topic of our own, or somebody's.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    kafka: Kafka,
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

/// A consumer of topics, at its beginning.
pub(crate) struct Assigned {
    pub(crate) consumer: BaseConsumer,
    /// Messages that lie before it already.
    pub(crate) messages: i64,
}

impl Kafka {
    /// Makes a topic of our own; `name` is the end of its name.
    ///
    /// # Errors
    /// When Kafka does not make it in time.
    pub(crate) async fn make(&self, name: &str, partitions: i32) -> anyhow::Result<Topic> {
        let name = format!("raw.{}.{name}", Uuid::new_v4().simple());
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = self.admin()?.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
        made.into_iter().collect::<Result<Vec<_>, _>>().map_err(|(topic, code)| anyhow::anyhow!("{topic} can't be made: {code}"))?;
        Ok(Topic { kafka: self.clone(), name, partitions })
    }

    /// A topic that is there.
    ///
    /// # Errors
    /// When it is not, or Kafka does not answer.
    pub(crate) fn existing(&self, name: &str) -> anyhow::Result<Topic> {
        let consumer: BaseConsumer = self.client().create()?;
        let metadata = consumer.fetch_metadata(Some(name), PATIENCE)?;
        let partitions = metadata.topics().iter().find(|topic| topic.name() == name).map_or(0, |topic| topic.partitions().len());
        anyhow::ensure!(partitions > 0, "there is no topic {name}");
        Ok(Topic { kafka: self.clone(), name: name.to_owned(), partitions: i32::try_from(partitions)? })
    }

    /// A producer whose records wait so long for company.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub(crate) fn producer(&self, linger_ms: f64) -> anyhow::Result<Producer> {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("queue.buffering.max.messages", "1000000")
            .set("linger.ms", linger_ms.to_string());
        Ok(config.create()?)
    }

    /// A consumer of all partitions of these topics, from the last so many messages of each on.
    ///
    /// # Errors
    /// When the partitions have no leaders in time.
    pub(crate) fn consumer(&self, topics: &[Topic], last: i64) -> anyhow::Result<Assigned> {
        let mut config = self.client();
        config
            .set("group.id", "raw-limits")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "5");
        let consumer: BaseConsumer = config.create()?;
        let (mut places, mut messages) = (TopicPartitionList::new(), 0);
        for Topic { name, partitions, .. } in topics {
            for partition in 0..*partitions {
                let (first, end) =
                    consumer.fetch_watermarks(name, partition, PATIENCE).with_context(|| format!("{name}/{partition} has no leader"))?;
                let from = first.max(end - last);
                messages += end - from;
                places.add_partition_offset(name, partition, Offset::Offset(from))?;
            }
        }
        consumer.assign(&places)?;
        Ok(Assigned { consumer, messages })
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.0).set("client.id", "raw-limits").set("socket.nagle.disable", "true");
        config
    }
}

impl Topic {
    /// A consumer of what comes from now on.
    ///
    /// # Errors
    /// When the partitions have no leaders in time.
    pub(crate) fn consumer(&self) -> anyhow::Result<BaseConsumer> {
        Ok(self.kafka.consumer(std::slice::from_ref(self), 0)?.consumer)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        self.kafka.admin()?.delete_topics(&[&self.name], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
        Ok(())
    }
}
