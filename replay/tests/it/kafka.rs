//! `verify --kafka`: the topic against the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_bus::headers as h;
use daybook_bus::{BusConfig, Headers, Producer, ProducerOptions, Record, TopicSpec, ensure_topics};
use daybook_kernel::Registry;
use daybook_log::StoredEvent;
use daybook_postgres::Databases;
use daybook_replay::{Phase, Progress, VerifyOptions, verify};
use daybook_testkit::{TestBus, TransactionalClient, bus};
use tokio::runtime::Handle;

use crate::support::{Fixture, assert_found, hex, receive};

/// A message as the relay sends it.
fn record(bus: &BusConfig, e: &StoredEvent) -> Record {
    let mut headers = Headers::new();
    headers.push(h::CE_TYPE, e.type_name.clone());
    headers.push_display(h::EPOCH, e.epoch);
    headers.push_display(h::OFFSET, e.offset);
    headers.push_display(h::VERSION, e.version);
    headers.push(h::PAGE_DIGEST, hex(&e.page_digest));
    Record {
        topic: Arc::from(bus.events("inventory")),
        partition: 0,
        key: Bytes::from(e.stream_id.clone()),
        headers,
        value: Some(Bytes::from(e.payload.clone())),
    }
}

/// The log, and a topic with what `change` makes of its messages.
async fn published(change: impl FnOnce(&BusConfig, &mut Vec<Record>)) -> (Fixture, TestBus) {
    let f = Fixture::new().await;
    let bus = bus();
    ensure_topics(&bus, &[TopicSpec::events(&bus, "inventory", 1)]).await.expect("creatable");
    let events = f.partition.read_events(0, 100).await.expect("readable");
    let mut records: Vec<Record> = events.iter().map(|e| record(&bus, e)).collect();
    change(&bus, &mut records);
    let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
    producer.send(records).await.expect("delivered");
    (f, bus)
}

async fn found(change: impl FnOnce(&BusConfig, &mut Vec<Record>)) -> Vec<String> {
    let (f, bus) = published(change).await;
    f.verify_with(Some(&bus)).await.findings.iter().map(ToString::to_string).collect()
}

fn with_header(record: &mut Record, name: &'static str, value: impl ToString) {
    record.headers.0.retain(|(n, _)| n != name);
    record.headers.push_display(name, value);
}

#[tokio::test]
async fn a_topic_that_holds_the_log_is_sound_and_repeats_are_counted() {
    let (f, bus) = published(|_, records| {
        let again: Vec<Record> = records[2..5].to_vec();
        // A relay that began again in the middle, twice.
        records.splice(5..5, again.clone());
        records.extend(again);
    })
    .await;
    let report = f.verify_with(Some(&bus)).await;
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!(report.repeats_on_kafka, Some(6));
}

#[tokio::test]
async fn offsets_that_are_missing_are_named() {
    let findings = found(|_, records| {
        records.drain(6..);
        records.remove(3);
    })
    .await;
    assert_found(&findings, "inventory/0:3", "message on Kafka: expected one at least, found none");
    assert_found(&findings, "inventory/0:6", "none for 2 offsets, up to inventory/0:7");
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[tokio::test]
async fn an_empty_topic_lacks_everything() {
    let findings = found(|_, records| records.clear()).await;
    assert_found(&findings, "inventory/0:0", "none for 8 offsets, up to inventory/0:7");
}

#[tokio::test]
async fn other_bytes_than_the_logs_are_named_also_in_a_repeat() {
    let findings = found(|_, records| {
        let mut forged = records[1].clone();
        forged.value = Some(Bytes::from_static(b"other"));
        records.push(forged);
        records[2].key = Bytes::from_static(b"stock/Z@w");
        with_header(&mut records[3], h::CE_TYPE, "t.Other");
        with_header(&mut records[4], h::PAGE_DIGEST, "00");
        with_header(&mut records[5], h::VERSION, 77);
        with_header(&mut records[6], h::EPOCH, 2);
        records[7].value = None;
    })
    .await;
    for (place, what) in [
        ("inventory/0:1", "payload on Kafka (its offset 8)"),
        ("inventory/0:2", "key"),
        ("inventory/0:3", "type"),
        ("inventory/0:4", "digest of the page"),
        ("inventory/0:5", "version"),
        ("inventory/0:6", "epoch"),
        ("inventory/0:7", "payload"),
    ] {
        assert_found(&findings, place, what);
    }
    assert_eq!(findings.len(), 7, "{findings:?}");
}

#[tokio::test]
async fn an_event_beyond_the_log_and_a_message_that_is_none_are_named() {
    let findings = found(|_, records| {
        let mut beyond = records[7].clone();
        with_header(&mut beyond, h::OFFSET, 8);
        let mut strange = records[7].clone();
        strange.headers = Headers::new();
        let mut nowhere = records[7].clone();
        with_header(&mut nowhere, h::OFFSET, -1);
        records.extend([beyond, strange, nowhere]);
    })
    .await;
    assert_found(&findings, "inventory/0:8", "nothing beyond the log, which ends before 8");
    assert_found(&findings, "inventory/0 message 9", "none that says its place");
    assert_found(&findings, "inventory/0 message 10", "none that says its place");
    assert_eq!(findings.len(), 3, "{findings:?}");
}

#[tokio::test]
async fn first_arrivals_out_of_order_are_named() {
    let findings = found(|_, records| records.swap(4, 5)).await;
    assert_found(&findings, "inventory/0:4", "order on Kafka: expected before inventory/0:5");
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[tokio::test]
async fn a_gap_that_is_filled_from_its_middle_is_known_to_be_filled_and_each_late_one_is_named() {
    let (f, bus) = published(|_, records| {
        // The one behind the gap comes twice.
        *records = [0, 4, 4, 2, 1, 3, 5, 6, 7].map(|n: usize| records[n].clone()).to_vec();
    })
    .await;
    let report = f.verify_with(Some(&bus)).await;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    for (place, before) in [(2, 4), (1, 2), (3, 4)] {
        assert_found(&findings, &format!("inventory/0:{place}"), &format!("order on Kafka: expected before inventory/0:{before}"));
    }
    assert_eq!((findings.len(), report.repeats_on_kafka), (3, Some(1)), "{findings:?}");
}

#[tokio::test]
async fn an_event_that_the_log_has_lost_is_named() {
    let (f, bus) = published(|_, _| ()).await;
    f.damage(r#"DELETE FROM event WHERE "offset" = 4"#).await;
    let findings: Vec<String> = f.verify_with(Some(&bus)).await.findings.iter().map(ToString::to_string).collect();
    assert_found(&findings, "inventory/0:4", "message on Kafka: expected an event in the log too");
}

/// What an audit finds, while something is done at a point of its way.
async fn found_while((databases, registry): (Databases, Registry), bus: &BusConfig, mut at: impl FnMut(&Progress) + Send) -> Vec<String> {
    let options = VerifyOptions { service: Some("inventory".into()), partition: None, kafka: true };
    let mut told = |p: Progress| tokio::task::block_in_place(|| at(&p));
    let report = verify(&databases, Some(bus.clone()), &registry, &options, &mut told).await.expect("it can be read");
    report.partitions[0].findings.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_published_during_the_audit_is_no_finding() {
    let (mut f, bus) = published(|_, _| ()).await;
    f.commit(&[receive("A", 1)]).await;
    let events = f.partition.read_events(8, 1).await.expect("readable");
    let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
    let mut late = Some(record(&bus, &events[0]));
    let found = found_while((f.database.databases(), f.registry.clone()), &bus, |p| {
        // All that the topic holds has been read.
        if let Some(late) = late.take_if(|_| p.phase == Phase::Kafka) {
            Handle::current().block_on(producer.send(vec![late])).expect("delivered");
        }
    });
    assert_eq!(found.await, Vec::<String>::new());
}

/// One that should not write there, and does.
#[tokio::test]
async fn what_a_client_s_open_transaction_hides_is_not_called_missing() {
    let (f, bus) = published(|_, records| drop(records.split_off(4))).await;
    let client = TransactionalClient::new(&bus, "stranger", Duration::from_secs(600)).await;
    client.begin();
    let events = f.partition.read_events(4, 100).await.expect("readable");
    client.send(Record { headers: Headers::new(), ..record(&bus, &events[0]) }).await;
    let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
    producer.send(events.iter().map(|e| record(&bus, e)).collect()).await.expect("delivered");
    let options = daybook_replay::VerifyOptions { service: Some("inventory".into()), partition: None, kafka: true };
    let undecided = daybook_replay::verify(&f.database.databases(), Some(bus.clone()), &f.registry, &options, &mut |_| {}).await;
    let error = undecided.expect_err("nobody knows what the topic holds");
    assert!(!error.is_usage() && error.to_string().contains("transaction is open"), "{error}");
    client.abort().await;
    let report = f.verify_with(Some(&bus)).await;
    assert!(report.findings.is_empty(), "{report}");
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_missing_infrastructure() {
    let f = Fixture::new().await;
    let options = daybook_replay::VerifyOptions { service: Some("inventory".into()), partition: None, kafka: true };
    let error = daybook_replay::verify(&f.database.databases(), Some(bus().clone()), &f.registry, &options, &mut |_| {})
        .await
        .expect_err("no topic");
    assert!(!error.is_usage() && error.to_string().contains("daybook migrate"), "{error}");
}
