//! Reading one partition alone.

use std::time::Duration;

use daybook_bus::{BusError, Inspector, PartitionReader, ReaderOptions, StartAt};

use crate::support::{bus, number, produce, producer, topic, within};

async fn read(reader: &mut PartitionReader, count: usize) -> Vec<u32> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = within("recv", reader.recv(100, usize::MAX)).await.expect("open");
        all.extend(some.iter().map(number));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_produced_after_opening_at_the_end_is_missed() {
    let bus = bus();
    let topic = topic(&bus, "replies", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..10).await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::End).await.expect("opens");
    produce(&producer, &topic, 0, 10..13).await;
    assert_eq!(read(&mut reader, 3).await, [10, 11, 12]);
    assert_eq!(reader.position(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_reads_up_to_the_end_and_no_further() {
    let bus = bus();
    let topic = topic(&bus, "events", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..100).await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::Offset(40)).await.expect("opens");
    let end = reader.stable_end().await.expect("answers");
    assert_eq!(end.offset(), 100);
    produce(&producer, &topic, 0, 100..120).await;
    let mut all = Vec::new();
    while let Some(some) = within("recv", reader.recv_before(end, 7, usize::MAX)).await {
        assert!(some.len() <= 7);
        all.extend(some.iter().map(number));
    }
    assert_eq!(all, (40..100).collect::<Vec<u32>>());
    // And on from there.
    assert_eq!(read(&mut reader, 20).await, (100..120).collect::<Vec<u32>>());
    let end = reader.stable_end().await.expect("answers");
    assert_eq!(within("recv", reader.recv_before(end, 7, usize::MAX)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_read_all_begins_at_the_very_end_and_reads_nothing_again() {
    let bus = bus();
    let topic = topic(&bus, "events", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..5).await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::Offset(5)).await.expect("opens");
    assert_eq!(reader.position(), 5);
    produce(&producer, &topic, 0, 5..7).await;
    assert_eq!(read(&mut reader, 2).await, [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_stands_at_the_end_waits_for_messages_that_are_on_their_way() {
    // Its brokers send a message only when their patience with a fetch is over, so it is known long before it comes.
    const HELD_UP: Duration = Duration::from_millis(800);
    let bus = bus();
    let mut slow = bus.clone();
    slow.properties.insert("fetch.min.bytes".to_owned(), "1000000".to_owned());
    slow.properties.insert("fetch.wait.max.ms".to_owned(), HELD_UP.as_millis().to_string());
    let topic = topic(&bus, "events", 1).await;
    let (producer, inspector) = (producer(&bus), Inspector::new(&bus).expect("inspector"));
    let mut reader = PartitionReader::open(&slow, &topic, 0, StartAt::Earliest).await.expect("opens");
    for round in 0..4 {
        // It hears that it is at the end, and asks again.
        tokio::time::sleep(HELD_UP * 2).await;
        produce(&producer, &topic, 0, round..round + 1).await;
        let end = within("readable", inspector.readable(&topic, 0)).await.expect("answers").stable_end;
        let came = within("recv", reader.recv_before(end, 7, usize::MAX)).await.expect("there is one");
        assert_eq!(came.iter().map(number).collect::<Vec<_>>(), [round]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_out_of_range_is_the_earliest() {
    let bus = bus();
    let topic = topic(&bus, "events", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    for at in [StartAt::Offset(500), StartAt::Earliest, StartAt::Committed] {
        let mut reader = PartitionReader::open(&bus, &topic, 0, at).await.expect("opens");
        assert_eq!(reader.position(), 0);
        assert_eq!(read(&mut reader, 5).await, [0, 1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_not_read_holds_no_more_than_its_bound_and_loses_nothing() {
    let bus = bus();
    let topic = topic(&bus, "events", 1).await;
    produce(&producer(&bus), &topic, 0, 0..4_000).await;
    let options = ReaderOptions { max_messages: 200, ..ReaderOptions::default() };
    let mut reader = PartitionReader::open_with(&bus, &topic, 0, StartAt::Earliest, options).await.expect("opens");
    let mut all = Vec::new();
    while all.len() < 4_000 {
        let some = within("recv", reader.recv(usize::MAX, usize::MAX)).await.expect("open");
        assert!(some.len() <= 200, "held {}", some.len());
        all.extend(some.iter().map(number));
    }
    assert_eq!(all, (0..4_000).collect::<Vec<u32>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_cannot_be_opened() {
    let bus = bus();
    let opened = within("open", PartitionReader::open(&bus, &bus.replies(), 0, StartAt::End)).await;
    assert!(matches!(opened, Err(BusError::MissingTopic { .. })));
}
