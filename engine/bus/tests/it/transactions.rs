//! The ends of a partition while clients write in transactions, and after.

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, Inspector, PartitionReader, ReaderOptions, StartAt, Tail};
use daybook_testkit::TransactionalClient;

use crate::support::{Member, bus, ends, number, produce, producer, receive_numbers, record, topic, within};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// A client that has a transaction open, with one message in it.
async fn opened(bus: &BusConfig, topic: &Arc<str>, id: &str) -> TransactionalClient {
    let client = TransactionalClient::new(bus, id, LONG).await;
    client.begin();
    client.send(record(topic, 0, "1000")).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_an_open_transaction_reading_ends_before_what_was_written() {
    let bus = bus();
    let (topic, inspector) = (topic(&bus, "pipe", 1).await, Inspector::new(&bus).expect("inspector"));
    produce(&producer(&bus), &topic, 0, 0..5).await;
    let client = opened(&bus, &topic, "shop").await;
    produce(&producer(&bus), &topic, 0, 5..8).await;
    assert_eq!(ends(&inspector, &topic).await, (0, 5, 9));
    let undecided = inspector.decided(&topic, 0).await.expect_err("a transaction is open");
    assert!(undecided.is_transient() && matches!(undecided, BusError::Undecided { offset: 5, .. }), "{undecided}");
    let last = inspector.last_message(&topic, 0).await.expect("answers").expect("is there");
    assert_eq!(number(&last), 4, "no more can be read");

    client.commit().await.expect("commits");
    // The messages, and the marker.
    assert_eq!(ends(&inspector, &topic).await, (0, 10, 10));
    assert_eq!(inspector.decided(&topic, 0).await.expect("all is decided").stable_end.offset(), 10);
    let last = inspector.last_message(&topic, 0).await.expect("answers").expect("is there");
    assert_eq!((number(&last), last.offset), (7, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unread_is_told_with_its_age_also_while_it_is_held_back() {
    let bus = bus();
    let (topic, inspector) = (topic(&bus, "pipe", 1).await, Inspector::new(&bus).expect("inspector"));
    let unread = |next: i64| {
        let (inspector, topic) = (inspector.clone(), topic.clone());
        async move { within("unread", inspector.unread(&topic, 0, next)).await.expect("answers").map(|u| (u.offset, u.held_back)) }
    };
    assert_eq!(unread(0).await, None, "an empty one");
    produce(&producer(&bus), &topic, 0, 0..5).await;
    assert_eq!((unread(0).await, unread(5).await), (Some((0, false)), None));
    assert_eq!(unread(77).await, Some((0, false)), "whoever stands outside begins again");
    let client = opened(&bus, &topic, "shop").await;
    produce(&producer(&bus), &topic, 0, 5..8).await;
    assert_eq!(unread(3).await, Some((3, false)), "what can be read comes first");
    assert_eq!(unread(5).await, Some((5, true)));
    // A reader that began at the end of all that was written.
    assert_eq!((unread(8).await, unread(9).await), (Some((8, true)), None));
    let told = inspector.unread(&topic, 0, 5).await.expect("answers").expect("is there");
    let since = now_ms() - told.timestamp_ms.expect("a time stamp");
    assert!((0..90_000).contains(&since), "{since} ms");
    client.abort().await;
    // Its message is nobody's to see: the next is the first of ours behind it.
    assert_eq!(unread(5).await, Some((6, false)));
    assert_eq!(unread(9).await, None, "a marker is nothing to read");
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_and_the_last_message_are_found_among_the_marks_of_aborted_transactions() {
    let bus = bus();
    let (topic, inspector) = (topic(&bus, "pipe", 1).await, Inspector::new(&bus).expect("inspector"));
    let client = TransactionalClient::new(&bus, "shop", LONG).await;
    let aborted = async |count: usize| {
        for _ in 0..count {
            client.begin();
            client.send(record(&topic, 0, "99")).await;
            client.abort().await;
        }
    };
    aborted(5).await;
    let nothing = (inspector.first_message(&topic, 0).await.expect("answers"), inspector.last_message(&topic, 0).await.expect("answers"));
    assert_eq!(nothing, (None, None), "ten offsets, and no message");
    assert_eq!(ends(&inspector, &topic).await, (0, 10, 10));
    produce(&producer(&bus), &topic, 0, 0..5).await;
    // A wide gap behind the last one.
    aborted(20).await;
    assert_eq!(ends(&inspector, &topic).await, (0, 55, 55));
    let first = within("first", inspector.first_message(&topic, 0)).await.expect("answers").expect("is there");
    let last = within("last", inspector.last_message(&topic, 0)).await.expect("answers").expect("is there");
    assert_eq!(((number(&first), first.offset), (number(&last), last.offset)), ((0, 10), (4, 14)));
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_messages_stay_unseen_whatever_the_properties_say() {
    let plain = bus();
    let topic = topic(&plain, "pipe", 1).await;
    let mut bus = plain.clone();
    bus.properties.insert("isolation.level".to_owned(), "read_uncommitted".to_owned());
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Earliest).await.expect("starts");
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::Earliest).await.expect("opens");
    let mut tail = Tail::open(&bus, &[topic.to_string()], ReaderOptions::default()).await.expect("opens");
    let client = opened(&plain, &topic, "shop").await;
    produce(&producer(&plain), &topic, 0, 0..2).await;
    client.abort().await;
    client.begin();
    client.send(record(&topic, 0, "2")).await;
    client.commit().await.expect("commits");
    assert_eq!(receive_numbers(&mut inbox, 3).await, [0, 1, 2]);
    let end = reader.stable_end().await.expect("answers");
    let mut all = Vec::new();
    while let Some(some) = within("recv", reader.recv_before(end, 10, usize::MAX)).await {
        all.extend(some.iter().map(number));
    }
    assert_eq!(all, [0, 1, 2]);
    all.clear();
    while all.len() < 3 {
        all.extend(within("recv", tail.recv(10)).await.expect("open").iter().map(number));
    }
    assert_eq!(all, [0, 1, 2]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_behind_aborted_messages_is_reached_without_waiting_for_any() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    let client = opened(&bus, &topic, "shop").await;
    client.abort().await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::Earliest).await.expect("opens");
    let end = reader.stable_end().await.expect("answers");
    assert_eq!(end.offset(), 7);
    // Later messages stand in the buffer: there is none between the fifth and the end.
    produce(&producer(&bus), &topic, 0, 5..8).await;
    let mut all = Vec::new();
    while let Some(some) = within("recv", reader.recv_before(end, 10, usize::MAX)).await {
        all.extend(some.iter().map(number));
    }
    assert_eq!(all, [0, 1, 2, 3, 4]);
    let rest = within("recv", reader.recv(10, usize::MAX)).await.expect("open");
    assert_eq!(number(&rest[0]), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_at_the_end_misses_nothing_that_a_transaction_held_back() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    let client = opened(&bus, &topic, "shop").await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::End).await.expect("opens");
    let mut tail = Tail::open(&bus, &[topic.to_string()], ReaderOptions::default()).await.expect("opens");
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::End).await.expect("starts");
    produce(&producer(&bus), &topic, 0, 5..6).await;
    client.commit().await.expect("commits");
    assert_eq!(receive_numbers(&mut inbox, 2).await, [1000, 5]);
    for expected in [1000, 5] {
        assert_eq!(number(&within("recv", reader.recv(1, usize::MAX)).await.expect("open")[0]), expected);
        assert_eq!(number(&within("recv", tail.recv(1)).await.expect("open")[0]), expected);
    }
    member.leave().await;
}
