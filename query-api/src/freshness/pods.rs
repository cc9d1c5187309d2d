//! Messages of this process on `query.pods`, and of others: the keys that are asked for most, so that a process begins with them in
//! memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use daybook_bus::{BusConfig, BusError, Headers, PartitionReader, ProducerOptions, Record, SharedProducer, StartAt, headers};
use daybook_proto::Named as _;
use daybook_proto::v1::{HotKeys, QueryPod};
use prost::Message as _;
use tokio::time::Instant;

use super::generations::Generations;
use crate::store::Store;

/// Time between two messages that say which generations a process answers from.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// Time between two messages that say which keys are hot.
const HOT_EVERY: Duration = Duration::from_secs(60);
/// Keys of one read model that it says so of.
const HOT_KEYS: usize = 1_000;
/// Time that Kafka may take to take a message in.
const PATIENCE: Duration = Duration::from_secs(3);
/// Behind the id of a process: the record of its hot keys. That stays when the process is gone, and says no time, so that
/// nobody takes it for a process.
const HOT: &str = "/hot";
/// So many such records are kept; who starts clears the oldest away.
const KEPT: usize = 16;

/// One process of the query API, as others see it.
pub(crate) struct Pods {
    id: String,
    bus: BusConfig,
    producer: SharedProducer,
    generations: Arc<Generations>,
}

/// Keys by read model, the hottest first.
pub(crate) type Hottest = BTreeMap<String, Vec<String>>;

impl Pods {
    pub(crate) fn new(bus: BusConfig, generations: Arc<Generations>) -> Result<Self, BusError> {
        let producer = SharedProducer::new(&bus, ProducerOptions { message_timeout: PATIENCE, ..ProducerOptions::default() })?;
        Ok(Self { id: uuid::Uuid::new_v4().to_string(), bus, producer, generations })
    }

    fn record(&self, key: String, value: Option<&QueryPod>) -> Record {
        Record {
            topic: self.bus.query_pods().into(),
            partition: 0,
            key: key.into(),
            headers: Headers::new().with(headers::CE_TYPE, QueryPod::TYPE),
            value: value.map(|pod| pod.encode_to_vec().into()),
        }
    }

    async fn send(&self, records: Vec<Record>) {
        if let Err(error) = self.producer.send(records).await {
            tracing::debug!(%error, "what this process says of itself was not taken");
        }
    }

    fn pod(&self) -> Record {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let answering = self.generations.all_answering();
        let generations = answering.iter().map(|m| (m.model.to_string(), m.generation.number)).collect();
        let at_micros = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.record(self.id.clone(), Some(&QueryPod { at_micros, generations, hot: BTreeMap::new() }))
    }

    /// None where nothing was asked for: what was said before is worth more.
    fn hot(&self) -> Option<Record> {
        let answering = self.generations.all_answering();
        let hot = answering.iter().map(|m| (m.model.to_string(), HotKeys { keys: m.observers.hot.hottest(HOT_KEYS) }));
        let hot: BTreeMap<_, _> = hot.filter(|(_, hot)| !hot.keys.is_empty()).collect();
        let pod = QueryPod { at_micros: 0, generations: BTreeMap::new(), hot };
        (!pod.hot.is_empty()).then(|| self.record(format!("{}{HOT}", self.id), Some(&pod)))
    }

    /// Says what there is to say, again and again. Never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut hot = Instant::now() + HOT_EVERY;
        loop {
            // Before it says so: a switch meanwhile is said at once.
            let switched = self.generations.switched.notified();
            let mut records = vec![self.pod()];
            if Instant::now() >= hot {
                hot = Instant::now() + HOT_EVERY;
                records.extend(self.hot());
                self.generations.all_answering().iter().for_each(|m| m.observers.hot.age());
            }
            self.send(records).await;
            let _ = tokio::time::timeout(SAY_EVERY, switched).await;
        }
    }

    /// Says the hot keys a last time, and that this process is gone.
    pub(crate) async fn leave(&self) {
        let records = self.hot().into_iter().chain([self.record(self.id.clone(), None)]).collect();
        self.send(records).await;
    }

    /// The keys that processes have said to be hot; at most so many of each read model. Clears away what is too old.
    async fn learn(&self) -> Result<Hottest, BusError> {
        let mut reader = PartitionReader::open(&self.bus, &self.bus.query_pods(), 0, StartAt::Earliest).await?;
        // Hints: what is held back is not learnt, and costs a load.
        let end = reader.stable_end().await?;
        let mut newest: HashMap<Bytes, (i64, QueryPod)> = HashMap::new();
        while let Some(messages) = reader.recv_before(end, 1_024, 4 << 20).await {
            for message in messages {
                let Some(key) = message.key.filter(|key| key.ends_with(HOT.as_bytes())) else { continue };
                match message.value.map(QueryPod::decode) {
                    Some(Ok(pod)) => drop(newest.insert(key, (message.offset, pod))),
                    Some(Err(_)) => {}
                    None => drop(newest.remove(&key)),
                }
            }
        }
        let mut all: Vec<(i64, Bytes, QueryPod)> = newest.into_iter().map(|(key, (offset, pod))| (offset, key, pod)).collect();
        all.sort_unstable_by_key(|(offset, ..)| std::cmp::Reverse(*offset));
        let old = all.drain(all.len().min(KEPT)..).map(|(_, key, _)| self.record(String::from_utf8_lossy(&key).into_owned(), None));
        let old: Vec<Record> = old.collect();
        if !old.is_empty() {
            self.send(old).await;
        }
        let mut hottest = Hottest::new();
        for rank in 0..HOT_KEYS {
            for (model, hot) in all.iter().flat_map(|(_, _, pod)| &pod.hot) {
                let Some(key) = hot.keys.get(rank) else { continue };
                let keys = hottest.entry(model.clone()).or_default();
                if keys.len() < HOT_KEYS && !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
        }
        Ok(hottest)
    }

    /// Loads what other processes, or this one before, were asked for most. What is not done by the deadline is left.
    pub(crate) async fn warm_up(&self, store: &Store, deadline: Instant) {
        let hottest = match tokio::time::timeout_at(deadline, self.learn()).await {
            Ok(Ok(hottest)) => hottest,
            Ok(Err(error)) => return tracing::warn!(%error, "nothing is known of hot keys: memory fills as queries come"),
            Err(_) => return tracing::warn!("hot keys were not learnt in time: memory fills as queries come"),
        };
        for (model, keys) in hottest {
            if let Some(memory) = self.generations.answering(&model) {
                memory.warm(store, keys, deadline).await;
            }
        }
    }
}
