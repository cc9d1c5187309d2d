//! Logs that are not dense, or hold what cannot be.

use daybook_faults::judge::digest;
use prost::Message as _;
use serde_json::json;

use crate::support::{caught, event, events, pages, row, rows};
use crate::world::{encode, publish, reforge};

const W1: &str = "stock/A-1@w-1";
const W2: &str = "stock/A-1@w-2";
const A1: &str = "product/A-1";

#[test]
fn an_event_that_is_gone_from_the_log() {
    // The last of its stream, in the middle of its partition: no version is missing, an offset is.
    let also = ["lost-event", "wrong-version", "kafka-ahead", "sum-of-effects", "part-unexpected", "served-differs", "from-nowhere"];
    caught("I3", "offset-gap", &also, |e| {
        events(e, W2).retain(|event| event.stream_id != W2);
    });
}

#[test]
fn a_page_that_is_gone() {
    caught("I3", "page-gap", &["broken-link", "ordinal-gap", "page-tiling", "event-outside-page", "kafka-digest"], |e| {
        pages(e, W2).remove(4);
    });
}

#[test]
fn a_page_that_does_not_begin_where_the_one_before_ends() {
    caught("I3", "page-tiling", &["event-outside-page", "page-digest", "wrong-token"], |e| {
        // The page of the last refusal's fact claims to begin one later; the chain says so too.
        let last = pages(e, W1).last_mut().expect("a page");
        (last.first_offset, last.count) = (last.first_offset + 1, last.count - 1);
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_version_that_is_missing() {
    caught("I3", "version-gap", &["lost-event"], |e| {
        event(e, W1, 6).version = 7;
        reforge(e);
        publish(e);
    });
}

#[test]
fn an_ordinal_that_is_missing() {
    caught("I3", "ordinal-gap", &[], |e| {
        row(e, W1, "reserve-2").ordinal = 2;
        reforge(e);
        publish(e);
    });
}

#[test]
fn an_event_in_a_wrong_partition() {
    caught("I3", "wrong-partition", &["effect-twice", "lost-event", "wrong-token", "wrong-version", "effect-not-asked"], |e| {
        let log = e.logs.get_mut("inventory").expect("a log");
        // The only page of the other partition moves here as a whole, at the end.
        let (mut page, mut moved) = (log.pages.get_mut(&1).expect("pages").remove(1), log.events.get_mut(&1).expect("events").remove(0));
        let (mut row, pages) = (log.commands.get_mut(&1).expect("rows").remove(0), log.pages.get_mut(&0).expect("pages"));
        let events = log.events.get_mut(&0).expect("events");
        (page.page, page.first_offset) = (i64::try_from(pages.len()).expect("few"), i64::try_from(events.len()).expect("few"));
        (moved.page, moved.offset, row.page) = (page.page, page.first_offset, page.page);
        pages.push(page);
        events.push(moved);
        log.commands.get_mut(&0).expect("rows").push(row);
        reforge(e);
        publish(e);
    });
}

#[test]
fn an_event_of_another_time_than_its_page() {
    caught("I3", "event-outside-page", &[], |e| {
        event(e, W2, 1).recorded_at += 1;
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_payload_that_is_none() {
    caught("I3", "unreadable", &["effect-not-asked", "part-differs", "served-differs", "sum-of-effects", "mixed-page"], |e| {
        event(e, W2, 1).payload = vec![0xff];
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_page_before_the_time_of_the_one_before() {
    caught("I8", "time-went-back", &["event-outside-page"], |e| {
        let pages = pages(e, A1);
        pages[2].recorded_at = pages[1].recorded_at - 1;
        reforge(e);
        publish(e);
    });
}

#[test]
fn an_effect_twice_in_a_second_page() {
    let also = ["kafka-missing", "part-differs", "served-differs", "sum-of-effects"];
    caught("I2", "effect-twice", &also, |e| {
        let mut twice = event(e, "stock/A-1@w-3", 1).clone();
        (twice.page, twice.offset, twice.version) = (2, 1, 2);
        events(e, "stock/A-1@w-3").push(twice.clone());
        let mut page = pages(e, "stock/A-1@w-3")[1].clone();
        (page.page, page.first_offset) = (2, 1);
        pages(e, "stock/A-1@w-3").push(page);
        reforge(e);
    });
}

#[test]
fn two_results_of_one_command() {
    caught("I2", "two-results", &["wrong-token"], |e| {
        let mut twice = row(e, W1, "reserve-1").clone();
        let page = pages(e, W1).last().expect("a page").page;
        (twice.page, twice.ordinal) = (page, 1);
        rows(e, W1).push(twice);
        reforge(e);
        publish(e);
    });
}

#[test]
fn an_event_of_a_command_without_a_result() {
    caught("I2", "event-without-command", &["accepted-without-result", "sum-of-effects"], |e| {
        let id = row(e, W2, "raw").command_id.clone();
        rows(e, W2).retain(|row| row.command_id != id);
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_refusal_that_has_events() {
    use daybook_proto::v1::command_result::Outcome;
    use daybook_proto::v1::{CommandResult, Refused};
    caught("I2", "refusal-with-effect", &["told-otherwise"], |e| {
        let row = row(e, A1, "reprice");
        let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
        result.outcome = Some(Outcome::Refused(Refused { code: "product-is-retired".into(), ..Refused::default() }));
        row.result = result.encode_to_vec();
        reforge(e);
        publish(e);
    });
}

#[test]
fn stock_below_zero() {
    let also = ["reservation-unbalanced", "part-differs", "served-differs", "mixed-page"];
    caught("I6", "stock-below-zero", &also, |e| {
        let more = json!({ "sku": "A-1", "warehouse": "w-1", "orderId": "o-1", "quantity": 9 });
        event(e, W1, 3).payload = encode("shop.inventory.v1.StockCommitted", &more);
        reforge(e);
        publish(e);
    });
}

#[test]
fn more_reserved_than_on_hand() {
    let also = ["effect-not-asked", "mixed-page", "part-differs", "served-differs"];
    caught("I6", "reserved-above-hand", &also, |e| {
        let more = json!({ "sku": "A-1", "warehouse": "w-1", "orderId": "o-1", "quantity": 9 });
        event(e, W1, 2).payload = encode("shop.inventory.v1.StockReserved", &more);
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_reservation_that_does_not_balance() {
    caught("I6", "reservation-unbalanced", &["effect-not-asked"], |e| {
        // The pieces of o-3 are given back by an order that had none.
        let other = json!({ "sku": "A-1", "warehouse": "w-1", "orderId": "o-9", "quantity": 1 });
        event(e, W1, 5).payload = encode("shop.inventory.v1.StockReleased", &other);
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_log_of_another_birth() {
    caught("I3", "broken-link", &[], |e| {
        let log = e.logs.get_mut("catalog").expect("a log");
        log.log_id = digest::command_id("catalog", "somebody", "else", "x").to_string();
    });
}
