//! Reading streams for a batch, snapshots, the ledger.

use daybook_log::{Fate, ParkedMessage, Snapshot};
use uuid::Uuid;

use crate::support::{Fixture, NOW, append, event, row};

#[tokio::test]
async fn a_batch_gets_its_streams_and_those_of_its_commands_that_the_ledger_has() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1), event("a/2", 1), event("a/1", 2)], vec![row("a/1", 1), row("a/2", 2)]).await;
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
    assert_eq!(batch.results.keys().copied().collect::<Vec<_>>(), [Uuid::from_u128(1)], "a command id counts in its own stream only");
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
    for s in [snapshot(3, mine, &events[2].digest), snapshot(4, other, &events[3].digest), snapshot(5, mine, &[9; 32])] {
        f.partition.insert_snapshot(&s).await.expect("insertable");
        f.partition.insert_snapshot(&s).await.expect("a second time is nothing");
    }
    let loaded = writer.read_batch(&[("a/1", mine)], &[]).await.expect("readable").streams.remove("a/1").expect("there");
    assert_eq!(
        loaded.snapshot.as_ref().map(|s| (s.0, s.2.clone())),
        Some((3, vec![3])),
        "4 is of another build, 5 names an event that does not stand"
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
    assert_eq!(f.partition.read_result("a/2", Uuid::from_u128(1)).await.expect("readable"), None);
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
