//! Kafka forgets what it can be given again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::time::Instant;

use super::{Fault, Field, Struck};

const PATIENCE: Duration = Duration::from_secs(10);
/// How long the topics may take to be there again.
const MADE: Duration = Duration::from_secs(60);

pub(super) fn all() -> Vec<Fault> {
    vec![Fault::new("kafka-wiped", "topics that can be refilled from Postgres lose all they have", 60, |f| Box::pin(wipe(f)))]
}

/// Commands are not among them: what Kafka has acknowledged, and no lane has decided yet, stands nowhere else.
fn can_be_refilled(topic: &str) -> bool {
    topic.ends_with(".events") || topic.starts_with("read.") || topic == "command.replies"
}

async fn wipe(mut field: Field<'_>) -> anyhow::Result<Struck> {
    field.any_moment().await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", field.cluster.kafka());
    let victims: Vec<String> = topics(&config).await?.into_iter().filter(|topic| can_be_refilled(topic)).collect();
    let names: Vec<&str> = victims.iter().map(String::as_str).collect();
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let deleted = admin.delete_topics(&names, &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
    let end = Instant::now() + MADE;
    while topics(&config).await.is_ok_and(|now| victims.iter().any(|topic| now.contains(topic))) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What a platform runs before it starts a new version; nothing else by hand.
    let mut notes = vec![victims.join(", ")];
    while let Err(error) = field.cluster.migrate().await {
        if Instant::now() > end {
            return Err(error).context("the topics can't be made again");
        }
        notes.push(format!("not made at once: {error:#}"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let struck = Struck::times(deleted.iter().filter(|topic| topic.is_ok()).count() as u64);
    Ok(Struck { notes, ..struck })
}

async fn topics(config: &ClientConfig) -> anyhow::Result<BTreeSet<String>> {
    let config = config.clone();
    let read = move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        anyhow::Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    };
    tokio::task::spawn_blocking(read).await?
}
