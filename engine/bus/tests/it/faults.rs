//! Faults of real clusters, played by librdkafka's mock cluster; and wrongs that a client may do to us.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{
    BusConfig, GroupConsumer, GroupHandler, GroupOptions, Inbox, Inspector, PartitionReader, Producer, ProducerOptions, SharedProducer,
    StartAt, headers,
};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{Member, bus, number, produce, producer, receive, receive_numbers, record, topic, until, within};

/// A mock cluster with one topic.
pub(crate) fn mocked(partitions: i32) -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, BusConfig, Arc<str>) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let bus = BusConfig::new(cluster.bootstrap_servers());
    cluster.create_topic("pipe", partitions, 1).expect("a topic");
    (cluster, bus, "pipe".into())
}

/// The mock cluster lets a member that rejoins wait for the end of its session, and one that joins for three seconds.
fn brief_session() -> GroupOptions {
    GroupOptions { session_timeout: Duration::from_secs(5), ..GroupOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_is_noticed_and_so_is_its_return() {
    let (cluster, bus, topic) = mocked(1);
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..1).await;
    assert!(producer.brokers_up());
    cluster.broker_down(1).expect("down");
    until("it is down", || async { !producer.brokers_up() }).await;
    let delivery = producer.send(vec![record(&topic, 0, "waits")]);
    cluster.broker_up(1).expect("up");
    within("delivery", delivery).await.expect("delivered after all");
    until("it is up", || async { producer.brokers_up() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_is_told_with_the_delivery_and_a_new_producer_goes_on() {
    let (cluster, bus, topic) = mocked(1);
    let first = producer(&bus);
    produce(&first, &topic, 0, 0..1).await;
    // The broker and the producer do not agree on the messages sent: librdkafka cannot repair that.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    let error = within("delivery", first.send(vec![record(&topic, 0, "x"), record(&topic, 0, "y")])).await;
    let error = error.expect_err("fatal");
    assert!(error.fatal, "{error}");
    assert_eq!((error.index_first_failed, error.acknowledged), (0, 0));
    assert!(first.fatal().is_some());
    let after = within("delivery", first.send(vec![record(&topic, 0, "z")])).await.expect_err("of no more use");
    assert!(after.fatal, "{after}");
    produce(&producer(&bus), &topic, 0, 1..2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_producer_goes_on_with_another_client_after_a_fatal_error_and_after_a_message_grew_too_old() {
    let (cluster, bus, topic) = mocked(1);
    let options = ProducerOptions { message_timeout: Duration::from_secs(2), ..ProducerOptions::default() };
    let shared = SharedProducer::new(&bus, options).expect("a producer");
    let send = |value: &'static str| within("delivery", shared.send(vec![record(&topic, 0, value)]));
    send("first").await.expect("delivered");
    let first = shared.get();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    send("lost").await.expect_err("fatal");
    send("second").await.expect("delivered by another client");
    let second = shared.get();
    assert!(!Arc::ptr_eq(&first, &second), "the first is of no more use");

    cluster.broker_down(1).expect("down");
    send("too old").await.expect_err("nobody takes it");
    cluster.broker_up(1).expect("up");
    send("third").await.expect("delivered by another client");
    assert!(!Arc::ptr_eq(&second, &shared.get()), "who knows what the second is stuck in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_error_is_tried_again() {
    let (cluster, bus, topic) = mocked(1);
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..1).await;
    // One request in flight: the mock checks no sequence numbers, and by taking a later one would acknowledge this one too.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 2]);
    produce(&producer, &topic, 0, 1..2).await;
    produce(&producer, &topic, 0, 2..10).await;
    let mut reader = PartitionReader::open(&bus, &topic, 0, StartAt::Earliest).await.expect("opens");
    let mut all = Vec::new();
    while all.len() < 10 {
        all.extend(within("recv", reader.recv(100, usize::MAX)).await.expect("open").iter().map(number));
    }
    assert_eq!(all, (0..10).collect::<Vec<u32>>());
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Assigned,
    Revoked,
    Lost,
}

struct Listens(UnboundedSender<Heard>);

impl GroupHandler for Listens {
    fn assigned(&mut self, _: Vec<Inbox>) {
        let _ = self.0.send(Heard::Assigned);
    }

    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {
        let _ = self.0.send(Heard::Revoked);
    }

    fn lost(&mut self, _: &[(Arc<str>, i32)]) {
        let _ = self.0.send(Heard::Lost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expired_is_told_as_lost_and_the_member_joins_again() {
    let (cluster, bus, topic) = mocked(2);
    let (sender, mut heard) = unbounded_channel();
    let topics = vec![topic.to_string()];
    let consumer = GroupConsumer::join(&bus, "members", topics, brief_session(), Listens(sender)).expect("joins");
    assert_eq!(within("assigned", heard.recv()).await, Some(Heard::Assigned));
    // As when the process was paused for longer than its session: the coordinator knows it no more.
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    assert_eq!(within("lost", heard.recv()).await, Some(Heard::Lost));
    assert_eq!(within("assigned again", heard.recv()).await, Some(Heard::Assigned));
    until("it has joined", || async { consumer.is_joined() }).await;
    within("leave", consumer.shutdown()).await;
    assert_eq!(within("revoked", heard.recv()).await, Some(Heard::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_offsets_that_cannot_be_read_at_once_are_waited_for() {
    let (cluster, bus, topic) = mocked(1);
    produce(&producer(&bus), &topic, 0, 0..10).await;
    let mut member = Member::join_with(&bus, &topic, brief_session());
    let inbox = member.inbox().await;
    inbox.store(6);
    member.leave().await;
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 5]);
    let mut member = Member::join_with(&bus, &topic, brief_session());
    let mut inbox = member.inbox().await;
    assert_eq!(inbox.committed, Some(6));
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 4).await, [6, 7, 8, 9]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_offset_that_cannot_be_read_is_an_error_and_not_none() {
    let (cluster, bus, topic) = mocked(1);
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 3]);
    let inspector = Inspector::new(&bus).expect("inspector");
    let refused = within("committed", inspector.committed("members", &topic, 0)).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_without_a_cluster_is_dropped_at_once() {
    let (cluster, bus, topic) = mocked(1);
    let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
    produce(&producer, &topic, 0, 0..1).await;
    cluster.broker_down(1).expect("down");
    let delivery = producer.send(vec![record(&topic, 0, "never")]);
    drop(producer);
    within("its delivery", delivery).await.expect_err("given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_name_that_is_not_utf_8_does_not_end_the_consumer() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let (address, name) = (bus.brokers.clone(), topic.to_string());
    tokio::task::spawn_blocking(move || produce_by_hand(&address, &name)).await.expect("produced");
    produce(&producer(&bus), &topic, 0, 1..2).await;
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    let got = receive(&mut inbox, 2).await;
    assert_eq!(got[0].headers.len(), 1, "{:?}", got[0].headers);
    assert_eq!(got[0].headers.get_str(headers::CE_ID), Ok(Some("good")));
    assert_eq!(number(&got[1]), 1);
    member.leave().await;
}

/// One record with a header whose name is two bytes of nonsense, spelt out in Kafka's protocol: no client library that
/// is Rust's lets one do that.
fn produce_by_hand(address: &str, topic: &str) {
    fn short_text(out: &mut Vec<u8>, text: &str) {
        out.extend(i16::try_from(text.len()).expect("short").to_be_bytes());
        out.extend(text.as_bytes());
    }
    fn field(out: &mut Vec<u8>, bytes: &[u8]) {
        // Zigzag varint, for lengths below 64.
        out.push(u8::try_from(bytes.len() * 2).expect("short"));
        out.extend(bytes);
    }
    let mut record = vec![0, 0, 0]; // attributes, timestamp and offset deltas
    field(&mut record, b"key");
    field(&mut record, b"0");
    record.push(4); // two headers
    field(&mut record, b"\xff\xfe");
    field(&mut record, b"bad");
    field(&mut record, headers::CE_ID.as_bytes());
    field(&mut record, b"good");

    let mut covered = Vec::new(); // by the checksum
    covered.extend(0_i16.to_be_bytes()); // attributes
    covered.extend(0_i32.to_be_bytes()); // last offset delta
    covered.extend(1_700_000_000_000_i64.to_be_bytes());
    covered.extend(1_700_000_000_000_i64.to_be_bytes());
    covered.extend((-1_i64).to_be_bytes()); // producer id, epoch, sequence: none
    covered.extend((-1_i16).to_be_bytes());
    covered.extend((-1_i32).to_be_bytes());
    covered.extend(1_i32.to_be_bytes()); // one record
    field(&mut covered, &record);

    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend(i32::try_from(covered.len() + 9).expect("short").to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader epoch
    batch.push(2); // the format
    batch.extend(crc32c(&covered).to_be_bytes());
    batch.extend(covered);

    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes()); // version
    request.extend(1_i32.to_be_bytes()); // correlation
    short_text(&mut request, "by-hand");
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks=all
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    short_text(&mut request, topic);
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes()); // partition
    request.extend(i32::try_from(batch.len()).expect("short").to_be_bytes());
    request.extend(batch);

    let mut broker = TcpStream::connect(address).expect("connects");
    broker.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let length = i32::try_from(request.len()).expect("short").to_be_bytes();
    broker.write_all(&[&length[..], &request].concat()).expect("sends");
    let mut length = [0; 4];
    broker.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("short")];
    broker.read_exact(&mut answer).expect("the answer");
    // correlation, one topic, its name, one partition, its number; then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker refused the record");
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })))
}
