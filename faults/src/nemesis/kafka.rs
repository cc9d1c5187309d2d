//! Kafka forgets what it can be given again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::{Fault, Field, Struck};
use crate::collect;

const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that topics may take to be gone.
const GONE: Duration = Duration::from_secs(60);
/// The longest that they may take to be there again.
const MADE: Duration = Duration::from_secs(60);
const REPLIES: &str = "command.replies";

/// Topics: how many partitions each has.
type Topics = BTreeMap<String, i32>;

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("kafka-wiped", "topics that can be refilled from Postgres lose all they have", 60, |f| Box::pin(wipe(f)))]
}

/// Commands are not among them: what Kafka has acknowledged, and no lane has decided yet, stands nowhere else.
fn can_be_refilled(topic: &str) -> bool {
    topic.ends_with(".events") || topic.starts_with("read.") || topic == REPLIES
}

/// In two ways at once. One topic of events, and sometimes the replies, lose every record and stay: nothing needs a hand. The
/// others are deleted, and made again by `daybook migrate`, as an operator would. (Of a compacted topic Kafka deletes no records.)
/// It counts partitions that were seen to have lost what they had, or to be gone.
async fn wipe(mut field: Field<'_>) -> anyhow::Result<Struck> {
    field.any_moment().await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", field.cluster.kafka());
    let victims: Topics = topics(&config).await?.into_iter().filter(|(topic, _)| can_be_refilled(topic)).collect();
    let emptied = field.any(victims.keys().filter(|topic| topic.ends_with(".events")).cloned().collect())?;
    let replies_too = field.random.random_bool(0.5);
    let (emptied, deleted): (Topics, Topics) =
        victims.into_iter().partition(|(topic, _)| *topic == emptied || (replies_too && topic == REPLIES));
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let mut notes = Vec::new();
    let mut lost = 0;
    for (topic, partitions) in &emptied {
        let empty = empty(&admin, field.cluster.kafka(), topic, *partitions).await?;
        lost += empty;
        notes.push(format!("{topic} lost what {empty} of its {partitions} partitions had"));
    }
    delete(&admin, &config, &deleted).await?;
    let gone: i32 = deleted.values().sum();
    notes.push(format!("deleted, with {gone} partitions: {}", names(&deleted).join(", ")));
    // A platform runs this before it starts a new version; nothing else by hand.
    let end = Instant::now() + MADE;
    while let Err(error) = field.cluster.migrate().await {
        if Instant::now() > end {
            return Err(error).context("the topics can't be made again");
        }
        notes.push(format!("not made at once: {error:#}"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let struck = Struck::times(lost + u64::try_from(gone)?);
    Ok(Struck { notes, ..struck })
}

fn names(topics: &Topics) -> Vec<&str> {
    topics.keys().map(String::as_str).collect()
}

/// Deletes every record of a topic. How many of its partitions had any, and have none of them now.
async fn empty(admin: &AdminClient<DefaultClientContext>, kafka: String, topic: &str, partitions: i32) -> anyhow::Result<u64> {
    let ends = || {
        let (kafka, topic) = (kafka.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || collect::ends(&kafka, &topic, partitions))
    };
    let before = ends().await??;
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::End)?;
    }
    let deleted = admin.delete_records(&all, &options()).await?;
    for element in deleted.elements() {
        element.error().with_context(|| format!("the records of {topic}/{} can't be deleted", element.partition()))?;
    }
    let after = ends().await??;
    Ok(before.iter().zip(&after).filter(|((first, next), (first_now, _))| first < next && first_now >= next).count() as u64)
}

/// Deletes topics, until none of them is there any more.
async fn delete(admin: &AdminClient<DefaultClientContext>, config: &ClientConfig, which: &Topics) -> anyhow::Result<()> {
    let end = Instant::now() + GONE;
    let mut left = which.clone();
    while Instant::now() < end {
        // Those that are gone already are told as unknown.
        let told = admin.delete_topics(&names(&left), &options()).await?;
        tracing::debug!(?told, "deleted");
        let again = Instant::now() + PATIENCE;
        while Instant::now() < again {
            // Where Kafka does not answer nothing is known to be gone.
            if let Ok(now) = topics(config).await {
                left.retain(|topic, _| now.contains_key(topic));
                if left.is_empty() {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    anyhow::bail!("still there {GONE:?} after they were deleted: {}", names(&left).join(", "))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
}

async fn topics(config: &ClientConfig) -> anyhow::Result<Topics> {
    let config = config.clone();
    let read = move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        metadata.topics().iter().map(|topic| Ok((topic.name().to_owned(), i32::try_from(topic.partitions().len())?))).collect()
    };
    tokio::task::spawn_blocking(read).await?
}
