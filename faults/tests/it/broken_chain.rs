//! Bytes that were changed where they stand.

use prost::Message as _;
use serde_json::json;

use daybook_faults::judge::digest;

use crate::support::{caught, event, messages, pages, row};
use crate::world::{encode, publish};

const W1: &str = "stock/A-1@w-1";
const A1: &str = "product/A-1";

#[test]
fn a_forged_payload() {
    let also = ["effect-not-asked", "kafka-bytes", "part-differs", "served-differs", "mixed-page", "sum-of-effects", "unfounded-answer"];
    caught("I3", "event-digest", &also, |e| {
        let more = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 50 });
        event(e, W1, 1).payload = encode("shop.inventory.v1.StockReceived", &more);
    });
}

#[test]
fn a_forged_payload_with_its_digest() {
    let also = ["effect-not-asked", "kafka-bytes", "part-differs", "served-differs", "mixed-page"];
    caught("I3", "page-digest", &also, |e| {
        let price = json!({ "sku": "A-1", "price": { "list": { "currency": "EUR", "minorUnits": 1 } } });
        let event = event(e, A1, 2);
        event.payload = encode("shop.catalog.v1.ProductRepriced", &price);
        event.digest = digest::event(1, event);
    });
}

#[test]
fn a_forged_page_with_its_digest() {
    caught("I3", "broken-link", &["kafka-digest"], |e| {
        let page = &mut pages(e, A1)[2];
        page.writer = "somebody".into();
        reforge_page(e, A1, 2);
    });
}

#[test]
fn a_forged_last_page_with_its_digest() {
    // Nothing in the log follows it: Kafka has what it was.
    caught("I5", "kafka-digest", &[], |e| {
        let last = pages(e, A1).len() - 1;
        pages(e, A1)[last].writer = "somebody".into();
        reforge_page(e, A1, last);
    });
}

/// The page's digest alone, anew.
fn reforge_page(e: &mut daybook_faults::evidence::Evidence, stream: &str, n: usize) {
    let (service, partition) = crate::support::place(stream);
    let log = e.logs.get_mut(service).expect("a log");
    let page = &mut log.pages.get_mut(&partition).expect("pages")[n];
    let events: Vec<_> = log.events[&partition].iter().filter(|event| event.page == page.page).collect();
    let rows: Vec<_> = log.commands[&partition].iter().filter(|row| row.page == page.page).collect();
    page.digest = digest::page(partition, page, &events, &rows).expect("UUIDs");
}

#[test]
fn changed_metadata() {
    caught("I3", "event-digest", &[], |e| {
        let event = event(e, A1, 2);
        let mut metadata = daybook_proto::v1::Metadata::decode(event.metadata.as_slice()).expect("metadata");
        metadata.actor = "nobody".into();
        event.metadata = metadata.encode_to_vec();
    });
}

#[test]
fn a_changed_time() {
    caught("I3", "event-outside-page", &["event-digest", "kafka-bytes", "part-differs", "served-differs", "mixed-page"], |e| {
        event(e, A1, 2).recorded_at += 1;
    });
}

#[test]
fn a_changed_time_of_a_page() {
    caught("I3", "event-outside-page", &["page-digest"], |e| {
        pages(e, A1)[2].recorded_at += 1;
    });
}

#[test]
fn a_changed_result() {
    caught("I3", "page-digest", &["told-otherwise"], |e| {
        let row = row(e, W1, "reserve-2");
        let mut result = daybook_proto::v1::CommandResult::decode(row.result.as_slice()).expect("a result");
        if let Some(daybook_proto::v1::command_result::Outcome::Refused(refused)) = &mut result.outcome {
            refused.code = "unknown-reservation".into();
        }
        row.result = result.encode_to_vec();
    });
}

#[test]
fn a_changed_ledger_row() {
    caught("I3", "page-digest", &[], |e| {
        row(e, W1, "reserve-2").request_digest[0] ^= 1;
    });
}

#[test]
fn a_message_with_another_epoch() {
    caught("I5", "kafka-digest", &[], |e| {
        publish(e);
        messages(e, A1)[0].epoch = 2;
    });
}
