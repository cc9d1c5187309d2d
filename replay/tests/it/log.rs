//! `verify` against Postgres.

use daybook_kernel::digest;
use daybook_replay::{Phase, Progress, VerifyOptions, verify};
use tokio::runtime::Handle;

use crate::support::{Fixture, assert_found, digest_of, hex, receive};

#[tokio::test]
async fn a_log_as_it_was_written_is_sound() {
    let f = Fixture::new().await;
    f.snapshot("stock/A@w", 3).await;
    let report = f.verify().await;
    assert!(report.findings.is_empty() && report.notes.is_empty(), "{report}");
    assert_eq!((report.pages, report.events, report.commands, report.snapshots, report.head_page), (8, 8, 10, 1, 7));
    assert_eq!(report.head_digest.len(), 64);
    assert_eq!(report.repeats_on_kafka, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_being_written_is_sound_too() {
    let mut f = Fixture::empty().await;
    let (databases, registry) = (f.database.databases(), f.registry.clone());
    let audits = tokio::spawn(async move {
        let options = VerifyOptions { service: Some("inventory".into()), ..Default::default() };
        let mut pages = Vec::new();
        while pages.last().is_none_or(|p| *p < 300) {
            let report = verify(&databases, None, &registry, &options, &mut |_| {}).await.expect("readable");
            assert!(report.is_sound(), "{report}");
            pages.push(report.partitions[0].pages);
        }
        pages
    });
    // More pages than are read at once.
    for i in 0..700 {
        f.commit(&[receive("A", 1), receive(&format!("B{i}"), 1)]).await;
    }
    let seen = audits.await.expect("every audit was sound");
    assert!(f.verify().await.pages == 702, "{seen:?}");

    // A page more at each step of an audit, the last of them behind all pages that it read: it ends where it began to read.
    let (databases, registry) = (f.database.databases(), f.registry.clone());
    let options = VerifyOptions { service: Some("inventory".into()), ..Default::default() };
    let mut steps = 0;
    let mut commit = |p: Progress| {
        if p.phase == Phase::Log {
            steps += 1;
            let page = [receive("C", 1), receive(&format!("D{steps}"), 1)];
            tokio::task::block_in_place(|| Handle::current().block_on(f.commit(&page)));
        }
    };
    let report = verify(&databases, None, &registry, &options, &mut commit).await.expect("readable");
    assert!(report.is_sound(), "{report}");
    let partition = &report.partitions[0];
    assert_eq!((partition.pages, partition.events, partition.commands, partition.head_page), (702, 1_400, 1_400, 701));
    assert_eq!((steps, f.verify().await.pages), (2, 704));
}

#[tokio::test]
async fn a_changed_byte_of_a_payload_is_named() {
    let f = Fixture::new().await;
    let found = f.found_after(r#"UPDATE event SET payload = payload || '\x00'::bytea WHERE "offset" = 2"#).await;
    assert_found(&found, "inventory/0:2", "digest of the event");
    assert_eq!(found.len(), 1, "the page is not blamed for its event: {found:?}");
}

#[tokio::test]
async fn a_changed_time_type_metadata_or_stream_is_named() {
    let f = Fixture::new().await;
    for (change, what) in [
        ("recorded_at = recorded_at + interval '1 microsecond'", "time of the event"),
        ("type = 'shop.inventory.v1.StockAdjusted'", "event 5 in the result"),
        (r"metadata = metadata || '\x1a0178'::bytea", "digest of the event"),
        ("stream_id = 'stock/C@w'", "version of stock/C@w"),
    ] {
        let found = f.found_while("event", &format!(r#"{change} WHERE "offset" = 5"#)).await;
        let place = if what.contains("result") { "inventory/0 page 5" } else { "inventory/0:5" };
        assert_found(&found, place, what);
        assert_found(&found, "inventory/0:5", "digest of the event");
    }
    assert!(f.verify().await.findings.is_empty(), "all of it was undone");
}

#[tokio::test]
async fn a_deleted_event_is_named_and_so_is_its_page() {
    let f = Fixture::new().await;
    let found = f.found_after(r#"DELETE FROM event WHERE "offset" = 3"#).await;
    assert_found(&found, "inventory/0:3", "event: expected an event, found none");
    assert_found(&found, "inventory/0 page 3", "digest of the page");
    assert_found(&found, "inventory/0:5", "version of stock/A@w");
}

#[tokio::test]
async fn the_last_events_missing_are_named_as_a_range() {
    let f = Fixture::new().await;
    let found = f.found_after(r#"DELETE FROM event WHERE "offset" >= 5 AND "offset" < 7"#).await;
    assert_found(&found, "inventory/0:5", "none up to inventory/0:6");
}

#[tokio::test]
async fn two_events_that_changed_places_are_named() {
    let f = Fixture::new().await;
    let found = f
        .found_after(
            r#"UPDATE event SET "offset" = 1000 WHERE "offset" = 5;
               UPDATE event SET "offset" = 5 WHERE "offset" = 6;
               UPDATE event SET "offset" = 6 WHERE "offset" = 1000"#,
        )
        .await;
    assert_found(&found, "inventory/0:5", "digest of the event");
    assert_found(&found, "inventory/0:6", "digest of the event");
    assert_found(&found, "inventory/0 page 5", "digest of the page");
    assert_found(&found, "inventory/0 page 5", "event 5 in the result");
}

#[tokio::test]
async fn a_changed_result_is_named_with_its_command() {
    let f = Fixture::new().await;
    // Version 4 in place of 3: field 3 of the result, as its second message.
    let (_, _, ledger) = f.page(3).await;
    let changed =
        ledger[2].result.iter().zip(ledger[2].result.iter().skip(1)).position(|(tag, v)| (*tag, *v) == (0x18, 3)).expect("its version");
    let found =
        f.found_after(&format!("UPDATE command SET result = set_byte(result, {}, 4) WHERE page = 3 AND ordinal = 2", changed + 1)).await;
    assert_found(&found, "inventory/0 page 3", "digest of the page");
    assert_found(&found, "inventory/0 page 3", "version in the result of command 2");
}

#[tokio::test]
async fn a_result_that_is_none_is_named() {
    let f = Fixture::new().await;
    let found = f.found_after(r"UPDATE command SET result = '\xff' WHERE page = 6").await;
    assert_found(&found, "inventory/0 page 6", "result of command 0");
}

#[tokio::test]
async fn a_deleted_ledger_row_is_named_by_page_and_by_its_events() {
    let f = Fixture::new().await;
    let found = f.found_after("DELETE FROM command WHERE page = 3 AND ordinal = 0").await;
    assert_found(&found, "inventory/0 page 3", "digest of the page");
    assert_found(&found, "inventory/0:2", "command of the event");
    assert_found(&found, "inventory/0 page 3", "number of requests");
}

#[tokio::test]
async fn a_page_that_was_cut_out_is_named_with_what_it_left_behind() {
    let f = Fixture::new().await;
    let found = f.found_after("DELETE FROM page WHERE page = 4").await;
    assert_found(&found, "inventory/0 page 4", "page: expected a page, found none");
    assert_found(&found, "inventory/0:4", "no page covers this offset");
    assert_found(&found, "inventory/0 page 4", "ledger row");
    assert_found(&found, "inventory/0 page 4", "requests");
    // Without a trace of its rows the numbers still tell.
    let found =
        f.found_after(r#"DELETE FROM event WHERE page = 4; DELETE FROM command WHERE page = 4; DELETE FROM request WHERE page = 4"#).await;
    assert_found(&found, "inventory/0 page 4", "page: expected a page, found none");
}

#[tokio::test]
async fn a_page_that_was_forged_with_its_digest_breaks_the_chain_at_the_next() {
    let f = Fixture::new().await;
    // The forger changes an event and works out its digest and the page's, as one who knows the code can.
    let (page, mut events, ledger) = f.page(4).await;
    let e = &mut events[0];
    e.payload.push(0);
    e.digest = digest::event(&digest::EventFields {
        partition: 0,
        offset: e.offset,
        stream_id: &e.stream_id,
        version: e.version,
        type_name: &e.type_name,
        payload: &e.payload,
        metadata: &e.metadata,
        recorded_at: e.recorded_at,
    })
    .to_vec();
    let (payload, event_digest) = (hex(&e.payload), hex(&e.digest));
    let forged = hex(&digest_of(&page, &events, &ledger));
    let found = f
        .found_after(&format!(
            r#"UPDATE event SET payload = '\x{payload}', digest = '\x{event_digest}' WHERE "offset" = 4;
               UPDATE page SET digest = '\x{forged}' WHERE page = 4"#
        ))
        .await;
    assert_found(&found, "inventory/0 page 5", "digest of the page before");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[tokio::test]
async fn a_page_that_says_something_else_of_itself_is_named() {
    let f = Fixture::new().await;
    for (change, what) in [
        ("message_offset = message_offset + 1", "digest of the page"),
        ("writer = 'me'", "digest of the page"),
        ("epoch = 0", "epoch"),
        ("recorded_at = recorded_at - interval '1 hour'", "time"),
        ("count = 0", "digest of the page"),
        ("first_offset = 3", "first offset"),
        ("previous = sha256('x')", "digest of the page before"),
    ] {
        let found = f.found_while("page", &format!("{change} WHERE page = 4")).await;
        assert_found(&found, "inventory/0 page 4", what);
    }
}

#[tokio::test]
async fn a_log_with_another_birth_is_named_at_page_0() {
    let f = Fixture::new().await;
    let found = f.found_after("UPDATE log SET log_id = gen_random_uuid()").await;
    assert_found(&found, "inventory/0 page 0", "digest of the page before");
    let found = f.found_after("DELETE FROM page").await;
    assert_found(&found, "inventory/0 page 0", "page");
}

#[tokio::test]
async fn a_changed_request_is_named_with_its_command() {
    let f = Fixture::new().await;
    let found = f.found_after("UPDATE request SET requests = set_byte(requests, octet_length(requests) - 1, 66) WHERE page = 3").await;
    assert_found(&found, "inventory/0 page 3", "request of command 2");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = f.found_after("DELETE FROM request WHERE page = 4").await;
    assert_found(&found, "inventory/0 page 4", "their range is not detached");
}

#[tokio::test]
async fn detached_requests_are_a_note() {
    let f = Fixture::new().await;
    f.damage("ALTER TABLE request_0 DETACH PARTITION request_0_0").await;
    let report = f.verify().await;
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.notes[0].contains("6 pages, 2 to 7"), "{report}");
}

#[tokio::test]
async fn a_gap_in_a_streams_versions_is_named() {
    let f = Fixture::new().await;
    let found = f.found_after(r#"UPDATE event SET version = 9 WHERE "offset" = 6"#).await;
    assert_found(&found, "inventory/0:6", "version of stock/B@w: expected 3, found 9");
}

#[tokio::test]
async fn rows_behind_the_last_page_are_named() {
    let f = Fixture::new().await;
    let found = f
        .found_after(
            r#"INSERT INTO event SELECT partition, 8, stream_id, 77, type, payload, metadata, recorded_at, digest, 8 FROM event WHERE "offset" = 7;
               INSERT INTO command SELECT partition, stream_id, gen_random_uuid(), 8, 0, request_digest, result FROM command WHERE page = 7;
               INSERT INTO request SELECT partition, 8, requests FROM request WHERE page = 7;
               INSERT INTO event SELECT partition, -1, stream_id, 78, type, payload, metadata, recorded_at, digest, 0 FROM event WHERE "offset" = 7"#,
        )
        .await;
    assert_found(&found, "inventory/0:8", "nothing behind the last page");
    assert_found(&found, "inventory/0 page 8", "command");
    assert_found(&found, "inventory/0 page 8", "request");
    assert_found(&found, "inventory/0:-1", "no page covers this offset");
}

#[tokio::test]
async fn a_forged_snapshot_is_named_with_both_states() {
    let f = Fixture::new().await;
    f.snapshot("stock/A@w", 2).await;
    f.snapshot("stock/A@w", 4).await;
    f.snapshot("stock/B@w", 1).await;
    // 99 pieces on hand.
    let found = f.found_after(r"UPDATE snapshot SET state = '\x0863' WHERE stream_id = 'stock/B@w'").await;
    assert_found(&found, "inventory/0:1", "snapshot of stock/B@w at version 1");
    assert!(found[0].contains(r#""onHand":5"#) && found[0].contains(r#""onHand":99"#), "{found:?}");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[tokio::test]
async fn a_snapshot_that_nobody_reads_is_a_note() {
    let f = Fixture::new().await;
    f.snapshot("stock/A@w", 2).await;
    f.snapshot("stock/B@w", 1).await;
    f.damage(
        "UPDATE snapshot SET event_digest = sha256('x') WHERE stream_id = 'stock/A@w'; UPDATE snapshot SET fingerprint = sha256('x') WHERE stream_id = 'stock/B@w'",
    )
    .await;
    let report = f.verify().await;
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!(report.notes.len(), 2, "{report}");
}

#[tokio::test]
async fn what_is_not_there_is_wrong_usage() {
    let f = Fixture::new().await;
    for (service, partition, kafka) in
        [("nosuch", None, false), ("inventory", Some(1), false), ("inventory", Some(-1), false), ("inventory", None, true)]
    {
        let options = VerifyOptions { service: Some(service.into()), partition, kafka };
        let error = verify(&f.database.databases(), None, &f.registry, &options, &mut |_| {}).await.expect_err("not there");
        assert!(error.is_usage(), "{error}");
    }
}
