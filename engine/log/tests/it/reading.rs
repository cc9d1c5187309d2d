//! Reading streams for a batch, snapshots, the ledger.

use daybook_log::{Fate, Log, ParkedMessage, RejectedMessage, Snapshot};
use daybook_postgres::Role;
use uuid::Uuid;

use crate::support::{Fixture, NOW, append, event, row};

#[tokio::test]
async fn a_batch_gets_its_streams_and_those_of_its_commands_that_the_ledger_has() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1), event("a/2", 1), event("a/1", 2)], vec![row("a/1", 1), row("a/2", 2), row("a/1", 5)])
        .await;
    let fingerprint = [0; 32];
    let batch = writer
        .read_batch(
            &[("a/1", fingerprint), ("a/9", fingerprint)],
            &[("a/1", Uuid::from_u128(1)), ("a/1", Uuid::from_u128(2)), ("a/9", Uuid::from_u128(3))],
        )
        .await
        .expect("readable");
    assert_eq!(batch.streams["a/1"].events.iter().map(|e| e.0).collect::<Vec<_>>(), [1, 2]);
    assert!(!batch.streams.contains_key("a/9") && !batch.streams.contains_key("a/2"));
    assert_eq!(
        batch.results.keys().copied().collect::<Vec<_>>(),
        [Uuid::from_u128(1)],
        "those that were asked for, each in its own stream"
    );
}

#[tokio::test]
async fn a_snapshot_is_used_only_with_this_builds_fingerprint_and_while_its_event_stands() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, (1..=5).map(|v| event("a/1", v)).collect(), vec![]).await;
    let events = f.partition.read_stream("a/1").await.expect("readable");
    let (mine, other) = ([1; 32], [2; 32]);
    let snapshot = |version: usize, fingerprint, digest: &[u8]| Snapshot {
        stream_id: "a/1".into(),
        version: version as i64,
        event_digest: digest.to_vec(),
        fingerprint,
        state: vec![u8::try_from(version).expect("small")],
        recorded_at: NOW,
    };
    for s in [
        snapshot(2, mine, &events[1].digest),
        snapshot(3, mine, &events[2].digest),
        snapshot(4, other, &events[3].digest),
        snapshot(5, mine, &[9; 32]),
    ] {
        f.partition.insert_snapshot(&s).await.expect("insertable");
        f.partition.insert_snapshot(&s).await.expect("a second time is nothing");
    }
    let loaded = writer.read_batch(&[("a/1", mine)], &[]).await.expect("readable").streams.remove("a/1").expect("there");
    assert_eq!(
        loaded.snapshot.as_ref().map(|s| (s.0, s.2.clone())),
        Some((3, vec![3])),
        "2 is older, 4 is of another build, 5 names an event that does not stand"
    );
    assert_eq!(loaded.events.iter().map(|e| e.0).collect::<Vec<_>>(), [4, 5]);
    let unknown = writer.read_batch(&[("a/1", [7; 32])], &[]).await.expect("readable").streams.remove("a/1").expect("there");
    assert_eq!((unknown.snapshot, unknown.events.len()), (None, 5));
}

#[tokio::test]
async fn a_result_is_found_by_stream_and_command_from_any_connection() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![], vec![row("a/1", 1)]).await;
    let found = f.partition.read_result("a/1", Uuid::from_u128(1)).await.expect("readable");
    assert_eq!(found.expect("there").stream_id, "a/1");
    for (stream, command) in [("a/2", 1), ("a/1", 2)] {
        assert_eq!(f.partition.read_result(stream, Uuid::from_u128(command)).await.expect("readable"), None);
    }
}

#[tokio::test]
async fn a_parked_message_stays_until_it_is_settled_and_tells_its_fate() {
    let f = Fixture::new().await;
    let parked = ParkedMessage {
        parked_id: Uuid::from_u128(8),
        message_offset: 5,
        stream_id: "a/1".into(),
        command_id: Uuid::from_u128(1),
        kind: "panic".into(),
        reason: "why".into(),
        request: vec![1],
        parked_at: NOW,
    };
    f.partition.park(&parked).await.expect("insertable");
    f.partition.park(&parked).await.expect("parking again is the same");
    assert_eq!(f.partition.parked().await.expect("readable"), [parked]);
    assert_eq!(
        f.partition.fate(Uuid::from_u128(1)).await.expect("readable"),
        Some(Fate::Parked("panic".into(), "why".into(), Uuid::from_u128(8)))
    );
    assert!(f.partition.settle_parked(Uuid::from_u128(8), NOW, "retried").await.expect("updatable"));
    assert!(!f.partition.settle_parked(Uuid::from_u128(8), NOW, "retried").await.expect("updatable"));
    assert_eq!(f.partition.parked().await.expect("readable"), []);
    assert_eq!(f.partition.fate(Uuid::from_u128(1)).await.expect("readable"), None);
}

#[tokio::test]
async fn old_requests_can_be_detached_without_touching_the_chain() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    f.database
        .owner()
        .await
        .batch_execute("ALTER TABLE ledger.request_0 DETACH PARTITION ledger.request_0_0")
        .await
        .expect("the owner may");
    assert_eq!(f.partition.read_requests(head.page).await.expect("readable"), None);
    let ledger = f.partition.read_ledger(head.page, head.page).await.expect("readable");
    assert_eq!(ledger[0].request_digest.len(), 32, "the digest that the chain covers is still there");
}

#[tokio::test]
async fn what_is_read_of_a_page_is_its_own_in_the_order_of_its_commands() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 9), row("a/1", 3), row("a/1", 5)]).await;
    let first = head.clone();
    append(&writer, &mut head, vec![event("a/1", 2)], vec![row("a/1", 4)]).await;
    let ledger = f.partition.read_ledger(first.page, head.page).await.expect("readable");
    let rows: Vec<_> = ledger.iter().map(|row| (row.page, row.ordinal, row.command_id.as_u128())).collect();
    assert_eq!(rows, [(first.page, 0, 9), (first.page, 1, 3), (first.page, 2, 5), (head.page, 0, 4)]);
    for (page, commands) in [(first.page, 3), (head.page, 1)] {
        assert_eq!(f.partition.read_requests(page).await.expect("readable").expect("attached").requests.len(), commands);
    }
    let events = f.partition.read_events(0, 10).await.expect("readable");
    assert_eq!(events.iter().map(|e| e.page_digest.clone()).collect::<Vec<_>>(), [first.digest, head.digest]);
    assert_eq!(f.partition.read_stream("a/1").await.expect("readable"), events);
    assert_eq!(f.partition.read_stream_after("a/1", 1, 10).await.expect("readable"), events[1..]);
}

#[tokio::test]
async fn what_another_partition_parked_or_rejected_says_nothing_of_a_command() {
    let f = Fixture::new().await;
    let log = Log::open(&f.database.databases(), "ledger", Role::Writer).await.expect("migrated");
    let elsewhere = log.partition(1).expect("it has two");
    let (id, fate) = (Uuid::from_u128(1), async || f.partition.fate(Uuid::from_u128(1)).await.expect("readable"));
    // A message that was sent to the wrong partition: its command is another one's, which waits in the right one.
    let rejected = RejectedMessage {
        rejected_id: Uuid::from_u128(7),
        message_offset: 5,
        command_id: Some(id),
        reason: "it belongs elsewhere".into(),
        rejected_at: NOW,
    };
    elsewhere.reject(&rejected).await.expect("insertable");
    elsewhere.reject(&rejected).await.expect("rejecting again is the same");
    let parked = ParkedMessage {
        parked_id: Uuid::from_u128(8),
        message_offset: 5,
        stream_id: "a/1".into(),
        command_id: id,
        kind: "panic".into(),
        reason: "why".into(),
        request: vec![1],
        parked_at: NOW,
    };
    assert_eq!(elsewhere.fate(id).await.expect("readable"), Some(Fate::Rejected("it belongs elsewhere".into())));
    elsewhere.park(&parked).await.expect("insertable");
    assert_eq!((fate().await, f.partition.parked().await.expect("readable").len()), (None, 0));
    assert_eq!(elsewhere.parked().await.expect("readable"), [parked]);
}
