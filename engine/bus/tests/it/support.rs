//! A Kafka, names of one's own, records, and a handler that passes on its calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::{
    BusConfig, GroupConsumer, GroupHandler, GroupOptions, Headers, Inbox, Inspector, Message, Producer, ProducerOptions, Record, TopicSpec,
    ensure_topics,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The cluster, under a prefix that no other test has.
pub(crate) fn bus() -> BusConfig {
    let brokers =
        std::env::var("DAYBOOK_TEST_KAFKA").expect("DAYBOOK_TEST_KAFKA (host:port) is not set: run ./scripts/test, which starts a Kafka");
    // DAYBOOK_TEST_LOG=debug shows the clients' lines.
    let filter = std::env::var("DAYBOOK_TEST_LOG").unwrap_or_else(|_| "off".to_owned());
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    BusConfig::new(brokers).with_prefix(format!("t{}.", uuid::Uuid::new_v4().simple()))
}

/// Anything here that takes longer has hung.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(90), work).await.unwrap_or_else(|_| panic!("timed out: {what}"))
}

/// Tries until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    within(what, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A topic of that name, under the prefix.
pub(crate) async fn topic(bus: &BusConfig, name: &str, partitions: i32) -> Arc<str> {
    let spec =
        TopicSpec { name: bus.group(name), partitions, settings: BTreeMap::from([("max.message.bytes".to_owned(), "4194304".to_owned())]) };
    let made = ensure_topics(bus, std::slice::from_ref(&spec)).await;
    made.expect("the topic is created");
    spec.name.into()
}

pub(crate) fn producer(bus: &BusConfig) -> Producer {
    Producer::new(bus, ProducerOptions::default()).expect("a producer")
}

pub(crate) fn record(topic: &Arc<str>, partition: i32, value: impl Into<Bytes>) -> Record {
    Record { topic: Arc::clone(topic), partition, key: Bytes::from_static(b"key"), headers: Headers::new(), value: Some(value.into()) }
}

/// Produces these values to one partition.
pub(crate) async fn produce(producer: &Producer, topic: &Arc<str>, partition: i32, values: impl Iterator<Item = u32>) {
    let records = values.map(|value| record(topic, partition, value.to_string())).collect();
    within("produce", producer.send(records)).await.expect("delivered");
}

/// The beginning of partition 0, the end of reading it for now, and its end.
pub(crate) async fn ends(inspector: &Inspector, topic: &str) -> (i64, i64, i64) {
    let written = within("written", inspector.written(topic, 0)).await.expect("answers");
    let readable = within("readable", inspector.readable(topic, 0)).await.expect("answers");
    assert_eq!(written.first, readable.first);
    (written.first, readable.stable_end.offset(), written.end)
}

pub(crate) fn number(message: &Message) -> u32 {
    let value = message.value.as_deref().expect("a value");
    std::str::from_utf8(value).expect("text").parse().expect("a number")
}

/// The next `count` messages.
pub(crate) async fn receive(inbox: &mut Inbox, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while all.len() < count {
        let wanted = count - all.len();
        let some = within("receive", inbox.recv(wanted, usize::MAX)).await;
        all.extend(some.expect("the inbox has not ended"));
    }
    all
}

pub(crate) async fn receive_numbers(inbox: &mut Inbox, count: usize) -> Vec<u32> {
    receive(inbox, count).await.iter().map(number).collect()
}

/// A call to a member's handler.
pub(crate) enum Told {
    Assigned(Vec<Inbox>),
    Revoked(Vec<i32>),
    Fatal(String),
}

pub(crate) struct Teller(pub(crate) UnboundedSender<Told>);

impl GroupHandler for Teller {
    fn assigned(&mut self, partitions: Vec<Inbox>) {
        let _ = self.0.send(Told::Assigned(partitions));
    }

    fn revoked(&mut self, partitions: &[(Arc<str>, i32)]) {
        let numbers = partitions.iter().map(|(_, partition)| *partition).collect();
        let _ = self.0.send(Told::Revoked(numbers));
    }

    fn error(&mut self, message: &str, fatal: bool) {
        if fatal {
            let _ = self.0.send(Told::Fatal(message.to_owned()));
        }
    }
}

/// A group member, and the calls to its handler.
pub(crate) struct Member {
    pub(crate) consumer: GroupConsumer,
    pub(crate) told: UnboundedReceiver<Told>,
}

impl Member {
    pub(crate) fn join(bus: &BusConfig, topic: &Arc<str>) -> Self {
        Self::join_with(bus, topic, GroupOptions::default())
    }

    pub(crate) fn join_with(bus: &BusConfig, topic: &Arc<str>, options: GroupOptions) -> Self {
        Self::join_topics(bus, std::slice::from_ref(topic), options)
    }

    pub(crate) fn join_topics(bus: &BusConfig, topics: &[Arc<str>], options: GroupOptions) -> Self {
        let options = GroupOptions { commit_interval: Duration::from_millis(50), ..options };
        let (sender, told) = unbounded_channel();
        let topics = topics.iter().map(ToString::to_string).collect();
        let consumer = GroupConsumer::join(bus, &bus.group("members"), topics, options, Teller(sender));
        Self { consumer: consumer.expect("joins"), told }
    }

    /// The next assignment, in order of partitions; revocations before it are passed over.
    pub(crate) async fn assigned(&mut self) -> Vec<Inbox> {
        loop {
            match within("an assignment", self.told.recv()).await {
                Some(Told::Assigned(mut inboxes)) => {
                    inboxes.sort_by_key(|inbox| inbox.partition);
                    return inboxes;
                }
                Some(Told::Revoked(_)) => {}
                Some(Told::Fatal(message)) => panic!("fatal: {message}"),
                None => panic!("the member has ended"),
            }
        }
    }

    /// The next assignment's only inbox.
    pub(crate) async fn inbox(&mut self) -> Inbox {
        let mut inboxes = self.assigned().await;
        assert_eq!(inboxes.len(), 1, "the topic has one partition");
        inboxes.remove(0)
    }

    pub(crate) async fn leave(self) {
        within("leave", self.consumer.shutdown()).await;
    }
}
