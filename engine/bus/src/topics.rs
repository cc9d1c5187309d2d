//! The topics: their required settings, creating them, checking them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{MAX_MESSAGE_BYTES, Quiet, blocking, elsewhere, lone_consumer};
use crate::config::BusConfig;
use crate::error::BusError;
use crate::inspector::PATIENCE;

const MINUTE_MS: i64 = 60 * 1_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Number of partitions of `command.replies`: each endpoint process reads one of them.
const REPLY_PARTITIONS: i32 = 16;

/// Longest wait until the cluster has elected leaders for new topics.
const LEADER_PATIENCE: Duration = Duration::from_secs(30);

/// The required form of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// The full name, from [`BusConfig`].
    pub name: String,
    /// Number of partitions, 1 or more. Fixed for ever.
    pub partitions: i32,
    /// Topic settings, as Kafka names them.
    pub settings: BTreeMap<String, String>,
}

impl TopicSpec {
    fn new(name: String, partitions: i32, settings: &[(&str, String)]) -> Self {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        let largest = ("max.message.bytes".to_owned(), MAX_MESSAGE_BYTES.to_owned());
        Self { name, partitions, settings: settings.chain([largest]).collect() }
    }

    fn deleted_after(name: String, partitions: i32, milliseconds: i64) -> Self {
        let settings =
            [("cleanup.policy", "delete".to_owned()), ("retention.ms", milliseconds.to_string()), ("retention.bytes", "-1".to_owned())];
        Self::new(name, partitions, &settings)
    }

    /// Old by the broker's clock: a client's time stamp could make a message look long expired.
    fn by_arrival(mut self) -> Self {
        let (key, value) = ("message.timestamp.type", "LogAppendTime");
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// `<service>.messages`: kept 14 days.
    pub fn messages(config: &BusConfig, service: &str, partitions: i32) -> Self {
        Self::deleted_after(config.messages(service), partitions, 14 * DAY_MS).by_arrival()
    }

    /// `<service>.events`: kept for ever.
    pub fn events(config: &BusConfig, service: &str, partitions: i32) -> Self {
        Self::deleted_after(config.events(service), partitions, -1)
    }

    /// `<service>.messages.rejected`: kept for ever, for people to look at.
    pub fn rejected(config: &BusConfig, service: &str, partitions: i32) -> Self {
        Self::deleted_after(config.rejected(service), partitions, -1)
    }

    /// `command.replies`: 16 partitions, kept 10 minutes.
    pub fn replies(config: &BusConfig) -> Self {
        let mut spec = Self::deleted_after(config.replies(), REPLY_PARTITIONS, 10 * MINUTE_MS).by_arrival();
        // Only closed segments are deleted.
        let segment = MINUTE_MS.to_string();
        spec.settings.insert("segment.ms".to_owned(), segment);
        spec
    }

    /// `read.<projection>`: compacted.
    pub fn read(config: &BusConfig, projection: &str, partitions: i32) -> Self {
        let settings = [("cleanup.policy", "compact".to_owned())];
        Self::new(config.read(projection), partitions, &settings)
    }

    /// `query.pods`: one partition, only the newest value of each process.
    pub fn query_pods(config: &BusConfig) -> Self {
        let settings = [("cleanup.policy", "compact".to_owned())];
        Self::new(config.query_pods(), 1, &settings)
    }
}

/// A topic as [`ensure_topics`] found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was missing, and is there now.
    Created,
    /// It was there, and is as it must be.
    Existing,
}

/// Creates the missing topics, with as many replicas as there are brokers, at most 3 (and then 2 in sync), checks those
/// that exist, and waits until all have leaders. Answers in the order of `specs`.
///
/// # Errors
/// As [`check_topics`]; [`BusError::Refused`] when the cluster does not create one.
pub async fn ensure_topics(config: &BusConfig, specs: &[TopicSpec]) -> Result<Vec<Ensured>, BusError> {
    let cluster = Cluster::read(config, Vec::new()).await?;
    let (existing, missing): (Vec<_>, Vec<_>) = specs.iter().partition(|spec| cluster.topics.contains_key(&spec.name));
    let admin = Admin::new(config)?;
    check(config, &admin, &cluster, &existing).await?;
    if !missing.is_empty() {
        admin.create(config, &missing, cluster.brokers).await?;
        let created = Cluster::read(config, missing.iter().map(|spec| spec.name.clone()).collect()).await?;
        // Somebody else may have been quicker, and wanted something else.
        check(config, &admin, &created, &missing).await?;
    }
    Ok(specs
        .iter()
        .map(|spec| match cluster.topics.contains_key(&spec.name) {
            true => Ensured::Existing,
            false => Ensured::Created,
        })
        .collect())
}

/// Checks that the topics are there with their partitions and settings, and changes nothing.
///
/// # Errors
/// [`BusError::MissingTopic`], [`BusError::PartitionCount`], [`BusError::TopicSettings`] (where messages could be lost;
/// settings that only keep more are logged), [`BusError::Unreachable`].
pub async fn check_topics(config: &BusConfig, specs: &[TopicSpec]) -> Result<(), BusError> {
    let cluster = Cluster::read(config, Vec::new()).await?;
    check(config, &Admin::new(config)?, &cluster, &specs.iter().collect::<Vec<_>>()).await
}

async fn check(config: &BusConfig, admin: &Admin, cluster: &Cluster, specs: &[&TopicSpec]) -> Result<(), BusError> {
    for spec in specs {
        let Some(&(actual, _)) = cluster.topics.get(&spec.name) else {
            return Err(BusError::MissingTopic { topic: spec.name.clone() });
        };
        if actual != spec.partitions {
            return Err(BusError::PartitionCount { topic: spec.name.clone(), expected: spec.partitions, actual });
        }
    }
    let settings = admin.settings(config, specs).await?;
    for spec in specs {
        let Some(actual) = settings.get(&spec.name) else {
            continue;
        };
        let (losing, other) = differences(spec, actual);
        if !other.is_empty() {
            tracing::warn!(topic = spec.name, "topic has {}", other.join(", "));
        }
        if !losing.is_empty() {
            return Err(BusError::TopicSettings { topic: spec.name.clone(), settings: losing.join(", ") });
        }
    }
    Ok(())
}

/// Settings that differ from those wanted: the ones that could lose messages, and the others.
fn differences(spec: &TopicSpec, actual: &BTreeMap<String, String>) -> (Vec<String>, Vec<String>) {
    let (mut losing, mut other) = (Vec::new(), Vec::new());
    for (key, wanted) in &spec.settings {
        let is = actual.get(key).map_or("unset", String::as_str);
        if is == wanted {
            continue;
        }
        let difference = format!("{key}={is} instead of {wanted}");
        if loses(key, is, wanted) {
            losing.push(difference);
        } else {
            other.push(difference);
        }
    }
    (losing, other)
}

/// Whether a setting other than the one wanted could lose messages: another policy, a shorter memory, a smaller limit.
fn loses(key: &str, is: &str, wanted: &str) -> bool {
    // -1 means without limit.
    let number = |text: &str| match text.parse::<i64>() {
        Ok(-1) => Some(i64::MAX),
        other => other.ok(),
    };
    match key {
        "cleanup.policy" => true,
        "retention.ms" | "retention.bytes" | "max.message.bytes" => match (number(is), number(wanted)) {
            (Some(is), Some(wanted)) => is < wanted,
            _ => true,
        },
        _ => false,
    }
}

/// The state of the cluster.
struct Cluster {
    brokers: usize,
    /// Per topic: its partitions, and whether each has a leader.
    topics: BTreeMap<String, (i32, bool)>,
}

impl Cluster {
    /// Reads it; waits until `led` exist with leaders, at most [`LEADER_PATIENCE`].
    async fn read(config: &BusConfig, led: Vec<String>) -> Result<Self, BusError> {
        let config = config.clone();
        blocking(move || {
            let consumer = lone_consumer(&config, "topics", &[])?;
            let deadline = Instant::now() + LEADER_PATIENCE;
            loop {
                let cluster = Self::read_once(&config, &consumer)?;
                let waiting = led.iter().find(|name| !cluster.topics.get(*name).is_some_and(|(_, led)| *led));
                let Some(waiting) = waiting else {
                    return Ok(cluster);
                };
                if Instant::now() >= deadline {
                    let action = format!("elect leaders for {waiting}");
                    return Err(BusError::unreachable(&config.brokers, action, "not done in time"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        })
        .await
    }

    fn read_once(config: &BusConfig, consumer: &BaseConsumer<Quiet>) -> Result<Self, BusError> {
        // All topics at once: asking for one by name makes some clusters create it.
        let metadata =
            consumer.fetch_metadata(None, PATIENCE).map_err(|error| BusError::unreachable(&config.brokers, "list the topics", error))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(Self {
            brokers: metadata.brokers().len(),
            topics: topics
                .map(|topic| {
                    let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
                    let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
                    (topic.name().to_owned(), (count, led))
                })
                .collect(),
        })
    }
}

/// Deletes a partition's messages before an offset: nobody reads them any more, and its first offset is that one.
///
/// # Errors
/// [`BusError::Unreachable`]; [`BusError::Refused`] when the topic's policy or its rights do not allow it.
pub async fn delete_before(config: &BusConfig, topic: &str, partition: i32, offset: i64) -> Result<(), BusError> {
    let admin = Admin::new(config)?;
    let Some(client) = &admin.0 else {
        return Ok(());
    };
    let action = || format!("delete what {topic}/{partition} holds before {offset}");
    let mut list = TopicPartitionList::with_capacity(1);
    let unreachable = |error| BusError::unreachable(&config.brokers, action(), error);
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(unreachable)?;
    let answer = client.delete_records(&list, &options()).await.map_err(unreachable)?;
    match answer.find_partition(topic, partition).map(|element| element.error()) {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(BusError::Refused { action: action(), reason: error.to_string() }),
        None => Err(BusError::Refused { action: action(), reason: "the brokers did not say that they did".to_owned() }),
    }
}

/// A topic that is to be made in a cluster of so many brokers.
fn new_topic(spec: &TopicSpec, brokers: usize) -> NewTopic<'_> {
    let replication = i32::try_from(brokers.clamp(1, 3)).unwrap_or(1);
    let mut topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(replication));
    for (key, value) in &spec.settings {
        topic = topic.set(key, value);
    }
    if replication == 3 && !spec.settings.contains_key("min.insync.replicas") {
        topic = topic.set("min.insync.replicas", "2");
    }
    topic
}

/// The admin client. Its drop waits for a thread, so that is left to another.
struct Admin(Option<AdminClient<Quiet>>);

impl Admin {
    fn new(config: &BusConfig) -> Result<Self, BusError> {
        let client = config.client(&[], &[("allow.auto.create.topics", "false")]);
        let client = rdkafka::config::FromClientConfigAndContext::from_config_and_context(&client, Quiet);
        let client = client.map_err(|error| BusError::configuration("topic administration", error))?;
        Ok(Self(Some(client)))
    }

    async fn create(&self, config: &BusConfig, specs: &[&TopicSpec], brokers: usize) -> Result<(), BusError> {
        let (Some(client), false) = (&self.0, specs.is_empty()) else {
            return Ok(());
        };
        let topics: Vec<NewTopic<'_>> = specs.iter().map(|spec| new_topic(spec, brokers)).collect();
        let answers = client
            .create_topics(&topics, &options())
            .await
            .map_err(|error| BusError::unreachable(&config.brokers, "create topics", error))?;
        for answer in answers {
            match answer {
                // Somebody else was quicker: the topics made then are checked like the rest.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => {
                    return Err(BusError::Refused { action: format!("create topic {topic}"), reason: error.to_string() });
                }
            }
        }
        Ok(())
    }

    async fn settings(&self, config: &BusConfig, specs: &[&TopicSpec]) -> Result<BTreeMap<String, BTreeMap<String, String>>, BusError> {
        let (Some(client), false) = (&self.0, specs.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let names: Vec<_> = specs.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
        let answers = client
            .describe_configs(&names, &options())
            .await
            .map_err(|error| BusError::unreachable(&config.brokers, "describe topics", error))?;
        let mut all = BTreeMap::new();
        for answer in answers {
            let topic = answer.map_err(|error| BusError::Refused { action: "describe topics".to_owned(), reason: error.to_string() })?;
            if let OwnedResourceSpecifier::Topic(name) = topic.specifier {
                let entries = topic.entries.into_iter();
                let entries = entries.filter_map(|entry| entry.value.map(|value| (entry.name, value)));
                all.insert(name, entries.collect());
            }
        }
        Ok(all)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let client = self.0.take();
        elsewhere("an admin client", move || drop(client));
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    fn spec(settings: &[(&str, &str)]) -> TopicSpec {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicSpec { name: "pipe".to_owned(), partitions: 7, settings }
    }

    #[test]
    fn there_are_as_many_replicas_as_brokers_and_three_at_most_of_which_two_are_in_sync() {
        let plain = spec(&[("retention.ms", "5"), ("segment.ms", "6")]);
        for (brokers, replicas) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (100, 3)] {
            let topic = new_topic(&plain, brokers);
            assert_eq!((topic.name, topic.num_partitions), ("pipe", 7));
            assert!(matches!(topic.replication, TopicReplication::Fixed(n) if n == replicas), "{brokers}: {:?}", topic.replication);
            let in_sync: &[_] = if replicas == 3 { &[("min.insync.replicas", "2")] } else { &[] };
            assert_eq!(topic.config, [&[("retention.ms", "5"), ("segment.ms", "6")], in_sync].concat(), "{brokers}");
        }
        let strict = spec(&[("min.insync.replicas", "3")]);
        assert_eq!(new_topic(&strict, 3).config, [("min.insync.replicas", "3")], "what is wanted counts");
    }

    #[test]
    fn another_policy_a_shorter_memory_and_a_smaller_limit_lose_messages_and_nothing_else_does() {
        for (key, is, wanted, loses) in [
            ("cleanup.policy", "compact", "delete", true),
            ("cleanup.policy", "delete", "compact", true),
            ("cleanup.policy", "compact,delete", "compact", true),
            ("retention.ms", "4", "5", true),
            ("retention.ms", "6", "5", false),
            ("retention.ms", "-1", "5", false),
            ("retention.ms", "9223372036854775806", "-1", true),
            ("retention.ms", "unset", "5", true),
            ("retention.bytes", "4", "-1", true),
            ("retention.bytes", "-1", "4", false),
            ("retention.bytes", "unset", "-1", true),
            ("max.message.bytes", "4194303", "4194304", true),
            ("max.message.bytes", "4194305", "4194304", false),
            ("max.message.bytes", "4 MiB", "4194304", true),
            ("segment.ms", "4", "5", false),
            ("message.timestamp.type", "CreateTime", "LogAppendTime", false),
            ("message.timestamp.type", "unset", "LogAppendTime", false),
        ] {
            let actual = if is == "unset" { BTreeMap::new() } else { BTreeMap::from([(key.to_owned(), is.to_owned())]) };
            let difference = vec![format!("{key}={is} instead of {wanted}")];
            let found = if loses { (difference, vec![]) } else { (vec![], difference) };
            assert_eq!(differences(&spec(&[(key, wanted)]), &actual), found);
            // As it is wanted, beside a setting that nobody asks for.
            let actual = BTreeMap::from([(key.to_owned(), wanted.to_owned()), ("more".to_owned(), "4".to_owned())]);
            assert_eq!(differences(&spec(&[(key, wanted)]), &actual), (vec![], vec![]));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_topic_is_there_when_each_of_its_partitions_has_a_leader() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        for topic in ["led", "locked"] {
            cluster.create_topic(topic, 2, 1).expect("a topic");
        }
        cluster.topic_error("locked", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).expect("it is there");
        cluster.partition_leader("led", 1, None).expect("it is there");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let found = Cluster::read(&bus, Vec::new()).await.expect("nothing is waited for");
        // Of one that can't be described the number of partitions is not known.
        assert_eq!(found.topics, BTreeMap::from([("led".to_owned(), (2, false))]));
        let waiting = tokio::spawn(async move { Cluster::read(&bus, vec!["led".to_owned()]).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "partition 1 has none");
        cluster.partition_leader("led", 1, Some(1)).expect("it is there");
        let found = waiting.await.expect("no panic").expect("it is led");
        assert_eq!((found.brokers, found.topics.get("led")), (1, Some(&(2, true))));
    }
}
