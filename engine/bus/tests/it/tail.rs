//! Reading whole topics as they grow.

use std::collections::BTreeMap;

use daybook_bus::{BusError, ReaderOptions, Tail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use crate::support::{bus, number, produce, producer, topic, until, within};

/// The next `count` messages, by topic and partition.
async fn read(tail: &mut Tail, count: usize) -> BTreeMap<(String, i32), Vec<u32>> {
    let (mut all, mut left) = (BTreeMap::<_, Vec<u32>>::new(), count);
    while left > 0 {
        for message in within("recv", tail.recv(left)).await.expect("it has not ended") {
            left -= 1;
            all.entry((message.topic.to_string(), message.partition)).or_default().push(number(&message));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_produced_after_opening_is_missed_in_any_partition_of_any_topic() {
    let bus = bus();
    let topics = [topic(&bus, "one", 3).await, topic(&bus, "two", 2).await];
    let producer = producer(&bus);
    produce(&producer, &topics[0], 1, 0..10).await;
    let mut tail = Tail::open(&bus, &topics.clone().map(|t| t.to_string()), ReaderOptions::default()).await.expect("opens");
    assert!(tail.is_connected());
    for (topic, partitions) in topics.iter().zip([3, 2]) {
        for partition in 0..partitions {
            produce(&producer, topic, partition, 100..120).await;
        }
    }
    let all = read(&mut tail, 100).await;
    assert_eq!(all.len(), 5);
    assert!(all.values().all(|numbers| *numbers == (100..120).collect::<Vec<u32>>()), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_is_not_read_holds_no_more_than_its_bound_and_loses_nothing() {
    let bus = bus();
    let topic = topic(&bus, "one", 2).await;
    let options = ReaderOptions { max_messages: 200, ..ReaderOptions::default() };
    let mut tail = Tail::open(&bus, &[topic.to_string()], options).await.expect("opens");
    let producer = producer(&bus);
    for partition in 0..2 {
        produce(&producer, &topic, partition, 0..3_000).await;
    }
    let mut all = BTreeMap::<i32, Vec<u32>>::new();
    while all.values().map(Vec::len).sum::<usize>() < 6_000 {
        let some = within("recv", tail.recv(usize::MAX)).await.expect("open");
        assert!(some.len() <= 200, "held {}", some.len());
        some.iter().for_each(|m| all.entry(m.partition).or_default().push(number(m)));
    }
    assert!(all.values().all(|numbers| *numbers == (0..3_000).collect::<Vec<u32>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_cannot_be_followed() {
    let bus = bus();
    let opened = within("open", Tail::open(&bus, &[bus.read("none")], ReaderOptions::default())).await;
    assert!(matches!(opened, Err(BusError::MissingTopic { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_whose_topic_is_gone_ends_and_says_so() {
    let bus = bus();
    let topics = [topic(&bus, "one", 1).await, topic(&bus, "two", 1).await].map(|topic| topic.to_string());
    let mut tail = Tail::open(&bus, &topics, ReaderOptions::default()).await.expect("opens");
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &bus.brokers).create().expect("a client");
    for deleted in admin.delete_topics(&[&topics[0]], &AdminOptions::new()).await.expect("Kafka answers") {
        deleted.expect("it was there");
    }
    let ended = within("the end", tail.recv(10)).await.expect_err("it can't promise anything any more");
    assert!(ended.is_transient(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_and_so_is_its_return() {
    let (cluster, bus, topic) = crate::faults::mocked(1);
    let mut tail = Tail::open(&bus, &[topic.to_string()], ReaderOptions::default()).await.expect("opens");
    cluster.broker_down(1).expect("down");
    until("the loss", || async { !tail.is_connected() }).await;
    cluster.broker_up(1).expect("up");
    until("the return", || async { tail.is_connected() }).await;
    produce(&producer(&bus), &topic, 0, 0..3).await;
    assert_eq!(read(&mut tail, 3).await.into_values().next(), Some(vec![0, 1, 2]));
}
