//! Looking things up.

use std::time::Duration;

use daybook_bus::{BusError, Inspector, StartAt};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{Member, bus, number, produce, producer, receive, topic, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn watermarks_and_the_last_message_are_found() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 2).await;
    let inspector = Inspector::new(&bus).expect("inspector");
    assert_eq!(inspector.watermarks(&topic, 0).await.expect("answers"), (0, 0));
    assert_eq!(inspector.last_message(&topic, 0).await.expect("answers"), None);
    let producer = producer(&bus);
    for round in 1..=3_u32 {
        produce(&producer, &topic, 0, 0..round).await;
        produce(&producer, &topic, 1, 10..20).await;
        let last = within("last", inspector.last_message(&topic, 0)).await.expect("answers").expect("is there");
        assert_eq!(number(&last), round - 1);
        let other = within("last", inspector.last_message(&topic, 1)).await.expect("answers").expect("is there");
        assert_eq!((number(&other), other.partition), (19, 1));
    }
    assert_eq!(inspector.watermarks(&topic, 0).await.expect("answers"), (0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_message_is_found_behind_offsets_without_one() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    // A transaction leaves a marker, which takes an offset and is no message. Twenty aborted ones leave a wide gap.
    let (brokers, name) = (bus.brokers.clone(), topic.to_string());
    let transactions = move || {
        let patience = Duration::from_secs(30);
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &brokers).set("transactional.id", &name).create().expect("a producer");
        producer.init_transactions(patience).expect("init");
        for _ in 0..20 {
            producer.begin_transaction().expect("begin");
            let record = BaseRecord::<(), str>::to(&name).partition(0).payload("99");
            producer.send(record).map_err(|(error, _)| error).expect("send");
            producer.flush(patience).expect("flush");
            producer.abort_transaction(patience).expect("abort");
        }
    };
    tokio::task::spawn_blocking(transactions).await.expect("aborted transactions");

    let inspector = Inspector::new(&bus).expect("inspector");
    assert_eq!(inspector.watermarks(&topic, 0).await.expect("answers"), (0, 45));
    let last = within("last", inspector.last_message(&topic, 0)).await.expect("answers").expect("is there");
    assert_eq!((number(&last), last.offset), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_offset_is_read_without_joining() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..10).await;
    let inspector = Inspector::new(&bus).expect("inspector");
    let group = bus.group("members");
    assert_eq!(inspector.committed(&group, &topic, 0).await.expect("answers"), None);

    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    receive(&mut inbox, 10).await;
    for done in [4, 7] {
        inbox.store(done);
        until("committed", || async { inspector.committed(&group, &topic, 0).await.expect("answers") == Some(done) }).await;
    }
    assert!(!inbox.is_ended(), "the look-up disturbed the group");
    assert!(member.consumer.is_joined());
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_an_error_and_is_not_created() {
    let bus = bus();
    let inspector = Inspector::new(&bus).expect("inspector");
    let name = bus.events("nobody");
    assert_eq!(inspector.partitions(&name).await.expect("answers"), None);
    let error = within("watermarks", inspector.watermarks(&name, 0)).await.expect_err("is missing");
    assert!(matches!(error, BusError::MissingTopic { .. }), "{error}");
    assert_eq!(inspector.partitions(&name).await.expect("answers"), None);
}
