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

/// Two topics of our own: commands on their way, and replies.
pub(crate) struct Topics {
    brokers: String,
    pub(crate) messages: String,
    pub(crate) replies: String,
    pub(crate) partitions: i32,
}

impl Topics {
    /// Makes them: so many partitions of messages, and one of replies.
    ///
    /// # Errors
    /// When Kafka does not make them in time.
    pub(crate) async fn make(brokers: &str, partitions: i32) -> anyhow::Result<Self> {
        let run = Uuid::new_v4().simple().to_string();
        let topics = Self {
            brokers: brokers.to_owned(),
            messages: format!("raw.{run}.messages"),
            replies: format!("raw.{run}.replies"),
            partitions,
        };
        let new = [
            NewTopic::new(&topics.messages, partitions, TopicReplication::Fixed(1)),
            NewTopic::new(&topics.replies, 1, TopicReplication::Fixed(1)),
        ];
        let made = topics.admin()?.create_topics(&new, &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
        made.into_iter().collect::<Result<Vec<_>, _>>().map_err(|(topic, code)| anyhow::anyhow!("{topic} can't be made: {code}"))?;
        Ok(topics)
    }

    /// Takes them away.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        self.admin()?.delete_topics(&[&self.messages, &self.replies], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
        Ok(())
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "raw-limits").set("socket.nagle.disable", "true");
        config
    }

    /// A producer whose records wait so long for company.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub(crate) fn producer(&self, linger_ms: f64) -> anyhow::Result<ThreadedProducer<DefaultProducerContext>> {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("queue.buffering.max.messages", "1000000")
            .set("linger.ms", linger_ms.to_string());
        Ok(config.create()?)
    }

    /// A consumer of all partitions of a topic, from their end.
    ///
    /// # Errors
    /// When the partitions have no leaders in time.
    pub(crate) fn consumer(&self, topic: &str, partitions: i32) -> anyhow::Result<BaseConsumer> {
        let mut config = self.client();
        config
            .set("group.id", "raw-limits")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "5");
        let consumer: BaseConsumer = config.create()?;
        let mut places = TopicPartitionList::new();
        for partition in 0..partitions {
            let (_, end) =
                consumer.fetch_watermarks(topic, partition, PATIENCE).with_context(|| format!("{topic}/{partition} has no leader"))?;
            places.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
        consumer.assign(&places)?;
        Ok(consumer)
    }
}
