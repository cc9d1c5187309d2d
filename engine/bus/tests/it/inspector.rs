//! Looking things up.

use daybook_bus::{BusError, Inspector, StartAt};

use crate::support::{Member, bus, ends, number, produce, producer, receive, topic, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_and_the_last_message_are_found() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 2).await;
    let inspector = Inspector::new(&bus).expect("inspector");
    assert_eq!(ends(&inspector, &topic).await, (0, 0, 0));
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
    assert_eq!(ends(&inspector, &topic).await, (0, 6, 6));
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
    let error = within("written", inspector.written(&name, 0)).await.expect_err("is missing");
    assert!(matches!(error, BusError::MissingTopic { .. }), "{error}");
    assert_eq!(inspector.partitions(&name).await.expect("answers"), None);
}
