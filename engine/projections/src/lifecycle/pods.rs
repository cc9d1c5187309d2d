//! Reports of the query API's processes on themselves, and the notice to them that another generation is live.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use daybook_bus::{BusConfig, Headers, Inspector, PartitionReader, Producer, ProducerOptions, Record, StartAt, headers};
use daybook_proto::Named as _;
use daybook_proto::v1::{GenerationSwitched, QueryPod};
use prost::Message as _;
use serde::Serialize;

use super::LifecycleError;

/// A pod that has said nothing for so long is gone.
const SILENT: Duration = Duration::from_secs(10);
/// Time between looks whether all pods have moved.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Messages and bytes that are taken at once.
const AT_ONCE: (usize, usize) = (1_024, 4 << 20);

/// Follows `query.pods`.
pub struct PodsView {
    reader: PartitionReader,
    inspector: Inspector,
    pods: BTreeMap<String, QueryPod>,
}

impl PodsView {
    /// From the topic's beginning.
    ///
    /// # Errors
    /// When Kafka does not answer, or the topic is missing.
    pub async fn open(bus: &BusConfig) -> Result<Self, LifecycleError> {
        let reader = PartitionReader::open(bus, &bus.query_pods(), 0, StartAt::Earliest).await?;
        Ok(Self { reader, inspector: Inspector::new(bus)?, pods: BTreeMap::new() })
    }

    /// Reads what there is. Answers with the pods that are alive, and the generation of `model` that each answers from; 0: it
    /// does not say.
    ///
    /// # Errors
    /// When Kafka does not answer, or a client's transaction hides what pods have said: one that is not heard would be taken for gone.
    pub async fn alive(&mut self, model: &str) -> Result<BTreeMap<String, i32>, LifecycleError> {
        let end = self.inspector.decided(&self.reader.topic, self.reader.partition).await?.stable_end;
        while let Some(messages) = self.reader.recv_before(end, AT_ONCE.0, AT_ONCE.1).await {
            for message in messages {
                let id = String::from_utf8_lossy(message.key.as_deref().unwrap_or_default()).into_owned();
                match message.value.map(QueryPod::decode) {
                    Some(Ok(pod)) => _ = self.pods.insert(id, pod),
                    Some(Err(error)) => tracing::warn!(id, %error, "what a pod says of itself can't be read"),
                    None => _ = self.pods.remove(&id),
                }
            }
        }
        let since = Utc::now().timestamp_micros() - i64::try_from(SILENT.as_micros()).unwrap_or(i64::MAX);
        let alive = self.pods.iter().filter(|(_, pod)| pod.at_micros >= since);
        Ok(alive.map(|(id, pod)| (id.clone(), pod.generations.get(model).copied().unwrap_or_default())).collect())
    }
}

/// Which pods have moved to a generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodsReport {
    /// Pods that answer from it.
    pub moved: Vec<String>,
    /// Pods that were alive and did not say so in time, and the generation that they answer from.
    pub elsewhere: BTreeMap<String, i32>,
}

/// Tells all pods that another generation is live. A hint: they look into the database too.
///
/// # Errors
/// When Kafka does not take it.
pub async fn announce(bus: &BusConfig, model: &str, generation: i32) -> Result<(), LifecycleError> {
    let options = ProducerOptions { message_timeout: Duration::from_secs(10), ..ProducerOptions::default() };
    let record = Record {
        topic: bus.read(model).into(),
        partition: 0,
        key: Bytes::from_static(b"generation"),
        headers: Headers::new().with(headers::CE_TYPE, GenerationSwitched::TYPE),
        value: Some(GenerationSwitched { generation }.encode_to_vec().into()),
    };
    Producer::new(bus, options)?.send(vec![record]).await?;
    Ok(())
}

/// Waits until every pod that is alive answers from a generation, at most for `patience`.
///
/// # Errors
/// When Kafka does not answer.
pub async fn pods_on(bus: &BusConfig, model: &str, generation: i32, patience: Duration) -> Result<PodsReport, LifecycleError> {
    let until = tokio::time::Instant::now() + patience;
    let mut pods = PodsView::open(bus).await?;
    loop {
        let alive = pods.alive(model).await?;
        let (there, elsewhere): (BTreeMap<_, _>, BTreeMap<_, _>) = alive.into_iter().partition(|(_, on)| *on == generation);
        if elsewhere.is_empty() || tokio::time::Instant::now() >= until {
            return Ok(PodsReport { moved: there.into_keys().collect(), elsewhere });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
