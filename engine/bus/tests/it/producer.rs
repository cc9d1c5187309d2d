//! Sending.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::{
    BusConfig, Compression, Headers, Inspector, PartitionReader, Producer, ProducerOptions, Record, SharedProducer, StartAt, Written,
    headers,
};

use crate::support::{bus, produce, producer, record, topic, until, within};

/// One key, sent to each partition, whichever it would choose.
#[tokio::test]
async fn a_partition_is_the_one_that_is_set_whatever_its_key_would_choose() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 3).await;
    for partition in 0..3 {
        let record = Record {
            topic: topic.clone(),
            partition,
            key: Bytes::from_static(b"thing/A-1"),
            headers: Headers::new(),
            value: Some(Bytes::from_static(b"x")),
        };
        assert_eq!(within("delivery", producer(&bus).send(vec![record])).await, Ok(vec![0]), "the first of partition {partition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_its_partition_and_its_headers_survive() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 3).await;
    let mut reader = PartitionReader::open(&bus, &topic, 2, StartAt::End).await.expect("opens");
    let sent = Record {
        topic: topic.clone(),
        partition: 2,
        key: Bytes::from_static(b"thing/A-1"),
        headers: Headers::new()
            .with(headers::CE_TYPE, "a.b.C")
            .with(headers::MAC, &b"\xff\x00\xfe"[..])
            .with(headers::REASON, "")
            .with("x-of-the-client", "42"),
        value: Some(Bytes::from_static(b"\x00\x01")),
    };
    let tombstone = Record { value: None, headers: Headers::new(), ..sent.clone() };
    let offsets = within("delivery", producer(&bus).send(vec![sent.clone(), tombstone])).await;
    assert_eq!(offsets, Ok(vec![0, 1]));

    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(within("recv", reader.recv(10, 1_000_000)).await.expect("open"));
    }
    assert_eq!((got[0].partition, got[0].offset), (2, 0));
    assert_eq!(got[0].key, Some(sent.key));
    assert_eq!(got[0].value, sent.value);
    assert_eq!(got[0].headers, sent.headers);
    assert!(got[0].timestamp_ms.is_some());
    assert!(got[0].headers.get_str(headers::MAC).is_err());
    assert_eq!(got[1].value, None);
    assert_eq!(reader.position(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reports_offsets_in_order() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 2).await;
    let options = ProducerOptions { compression: Compression::Zstd, linger: Duration::from_micros(1_500), ..ProducerOptions::default() };
    let producer = Producer::new(&bus, options).expect("a producer");
    // Of a batch over several partitions, each record has its own partition's offset, in the order of the batch.
    let records = (0..1_000).map(|n| record(&topic, n % 2, n.to_string())).collect();
    let offsets = within("delivery", producer.send(records)).await.expect("delivered");
    let expected: Vec<i64> = (0..1_000).map(|n| n / 2).collect();
    assert_eq!(offsets, expected);
    assert_eq!(within("nothing", producer.send(vec![])).await, Ok(vec![]));
    let last = Inspector::new(&bus).expect("inspector").last_message(&topic, 1).await;
    assert_eq!(last.expect("answers").expect("is there").value, Some(Bytes::from_static(b"999")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_fails_the_batch_with_its_index() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    let mut records: Vec<Record> = (0..5).map(|n| record(&topic, 0, n.to_string())).collect();
    records[3] = record(&topic, 0, vec![0; 5 << 20]);
    let error = within("delivery", producer.send(records)).await.expect_err("too large");
    assert_eq!((error.index_first_failed, error.acknowledged), (3, 3));
    assert!(!error.fatal && !error.queue_full, "{error}");
    // Nothing behind it was sent, and the producer goes on.
    let after = within("delivery", producer.send(vec![record(&topic, 0, "after")])).await;
    assert_eq!(after, Ok(vec![3]));
    assert_eq!(producer.fatal(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_fails_the_batch_where_it_was_full() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let options = ProducerOptions {
        queue_messages: 10,
        // Nothing leaves while the batch is enqueued.
        linger: Duration::from_millis(300),
        ..ProducerOptions::default()
    };
    let producer = Producer::new(&bus, options).expect("a producer");
    let records = (0..50).map(|n| record(&topic, 0, n.to_string())).collect();
    let error = within("delivery", producer.send(records)).await.expect_err("too many");
    assert!(error.queue_full, "{error}");
    assert_eq!((error.index_first_failed, error.acknowledged), (10, 10));
    let written = Inspector::new(&bus).expect("inspector").written(&topic, 0).await.expect("answers");
    assert_eq!(written, Written { first: 0, end: 10 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_producer_completes_its_deliveries() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let options =
        ProducerOptions { linger: Duration::from_secs(60), message_timeout: Duration::from_secs(120), ..ProducerOptions::default() };
    let producer = Producer::new(&bus, options).expect("a producer");
    let delivery = producer.send(vec![record(&topic, 0, "never")]);
    drop(producer);
    let error = within("dropped", delivery).await.expect_err("dropped");
    assert!(error.fatal, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_fails_the_delivery_and_is_noticed() {
    let bus = BusConfig::new("127.0.0.1:1");
    let options = ProducerOptions { message_timeout: Duration::from_millis(500), ..ProducerOptions::default() };
    let producer = Producer::new(&bus, options).expect("a producer");
    let topic = "nowhere".into();
    let error = within("delivery", producer.send(vec![record(&topic, 0, "x")])).await.expect_err("down");
    assert_eq!((error.acknowledged, error.fatal), (0, false));
    until("all brokers are down", || async { !producer.brokers_up() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_made_in_an_outage_knows_of_it_from_the_one_before() {
    let bus = BusConfig::new("127.0.0.1:1");
    let options = ProducerOptions { message_timeout: Duration::from_millis(500), ..ProducerOptions::default() };
    let shared = SharedProducer::new(&bus, options).expect("a producer");
    let first = shared.get();
    within("delivery", shared.send(vec![record(&"nowhere".into(), 0, "x")])).await.expect_err("down");
    until("all brokers are down", || async { !first.brokers_up() }).await;
    let next = shared.get();
    assert!(!Arc::ptr_eq(&first, &next) && !next.brokers_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reachable_cluster_is_seen_as_up() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..1).await;
    // Past the next statistics, which would show a mistake.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(producer.brokers_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_for_a_missing_topic_or_partition_fails_and_creates_nothing() {
    let bus = bus();
    let there = topic(&bus, "there", 1).await;
    let options = ProducerOptions { message_timeout: Duration::from_secs(2), ..ProducerOptions::default() };
    let producer = Producer::new(&bus, options).expect("a producer");
    let missing = bus.group("missing").into();
    let error = within("delivery", producer.send(vec![record(&missing, 0, "x")])).await;
    assert_eq!(error.expect_err("no topic").acknowledged, 0);
    let records = vec![record(&there, 0, "x"), record(&there, 7, "x")];
    let error = within("delivery", producer.send(records)).await.expect_err("no partition");
    assert_eq!(error.acknowledged, 1, "{error}");
    let inspector = Inspector::new(&bus).expect("inspector");
    assert_eq!(inspector.partitions(&missing).await.expect("answers"), None);
}
