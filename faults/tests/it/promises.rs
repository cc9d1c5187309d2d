//! Pieces that are promised to orders, kept, and leave in parts; a place that was given up; a transfer. And what breaks of them.

use daybook_faults::evidence::{Evidence, Part, Served};
use daybook_faults::history::Asked;
use serde_json::{Value, json};

use crate::broken_told::asked_otherwise;
use crate::good::{lines_of, note_done, reordering};
use crate::support::{caught_in, event};
use crate::world::{End, World, command, encode, publish, reforge};

const C1: &str = "stock/C-1@w-1";
const C2: &str = "stock/C-1@w-2";
const O1: &str = "allocation/o-1";
const O2: &str = "allocation/o-2";

fn of(warehouse: &str, more: Value) -> Value {
    let mut body = json!({ "sku": "C-1", "warehouse": warehouse });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    body
}

fn refused(w: &mut World, name: &str, key: &str, body: Value, end: End) {
    let asked = command(name, C1, key, of("w-1", body));
    let told = w.page(vec![(&asked, end)]).remove(0);
    w.note(Asked::Command(asked), told);
}

pub(crate) fn promises(w: &mut World) {
    let mut done = |name: &str, key: &str, body: Value, event: Option<(&'static str, Value)>| {
        let events = event.map(|(kind, body)| (kind, of("w-1", body))).into_iter().collect();
        note_done(w, &command(name, C1, key, of("w-1", body)), events);
    };
    done("receive-stock", "nine", json!({ "quantity": 9 }), Some(("StockReceived", json!({ "quantity": 9 }))));
    let three = |attempt: u32| json!({ "orderId": "o-1", "quantity": 3, "process": O1, "attempt": attempt });
    done("reserve-stock", "reserve", three(1), Some(("StockReserved", three(1))));
    let stands = json!({ "orderId": "o-1", "quantity": 3, "process": O1, "askedBy": O1, "attempt": 2 });
    done("reserve-stock", "reserve-again", three(2), Some(("ReservationStands", stands)));
    let kept = json!({ "orderId": "o-1", "quantity": 3, "process": O1, "askedBy": "order/o-1", "attempt": 1 });
    let confirm = json!({ "orderId": "o-1", "process": "order/o-1", "attempt": 1 });
    done("confirm-reservation", "confirm", confirm, Some(("ReservationConfirmed", kept)));
    done("confirm-reservation", "confirm-again", json!({ "orderId": "o-1" }), None);
    let one = || json!({ "orderId": "o-1", "quantity": 1 });
    done("commit-stock", "commit-1", one(), Some(("StockCommitted", json!({ "orderId": "o-1", "quantity": 1, "process": O1 }))));
    done("release-stock", "release-1", one(), Some(("StockReleased", json!({ "orderId": "o-1", "quantity": 1, "process": O1 }))));
    let closed = |attempt: u32| json!({ "orderId": "o-2", "process": O2, "attempt": attempt });
    done("release-stock", "undo", closed(2), Some(("StockPlaceClosed", closed(2))));
    let later = json!({ "orderId": "o-2", "quantity": 1, "process": O2, "attempt": 3 });
    done("reserve-stock", "later", later.clone(), Some(("StockReserved", later)));
    done(
        "release-stock",
        "back",
        json!({ "orderId": "o-2" }),
        Some(("StockReleased", json!({ "orderId": "o-2", "quantity": 1, "process": O2 }))),
    );
    let four = || json!({ "transferId": "t-1", "to": "w-2", "quantity": 4 });
    done("start-transfer", "leaves", four(), Some(("TransferStarted", four())));
    done("start-transfer", "leaves-again", four(), None);

    let too_much = json!({ "orderId": "o-1", "requested": 5, "reserved": 1 });
    let five = json!({ "orderId": "o-1", "quantity": 5 });
    refused(w, "release-stock", "release-5", five, End::Refused("more-than-reserved", too_much, Vec::new()));
    let late = json!({ "orderId": "o-2", "quantity": 1, "process": O2, "attempt": 1 });
    let told = vec![("StockPlaceClosed", of("w-1", closed(1)))];
    refused(w, "reserve-stock", "late", late, End::Refused("place-closed", json!({ "orderId": "o-2" }), told));
    let other = json!({ "transferId": "t-1", "requested": 3, "quantity": 4 });
    let fewer = json!({ "transferId": "t-1", "to": "w-2", "quantity": 3 });
    refused(w, "start-transfer", "leaves-otherwise", fewer, End::Refused("transfer-exists", other, Vec::new()));

    let came = of("w-2", json!({ "transferId": "t-1", "from": "w-1", "quantity": 3 }));
    note_done(w, &command("finish-transfer", C2, "arrives", came.clone()), vec![("TransferFinished", came.clone())]);
    note_done(w, &command("finish-transfer", C2, "arrives-again", came), Vec::new());
}

/// Its parts of read models.
pub(crate) fn promised(evidence: &mut Evidence) {
    for (warehouse, on_hand, reserved) in [("w-1", 4, 1), ("w-2", 3, 0)] {
        let line = json!({ "stock": lines_of(&[(warehouse, on_hand, reserved)]) });
        let more = json!({ "onHand": on_hand, "reserved": reserved, "available": on_hand - reserved, "reorderPoint": 0, "below": false });
        let (key, level) = (format!("C-1@{warehouse}"), of(warehouse, more));
        let parts = [
            ("product-pages", "C-1", format!("stock/{warehouse}"), "ProductPage", line),
            ("stock-levels", &key, "level".to_owned(), "StockLevel", level.clone()),
        ];
        for (model, key, part, kind, json) in parts {
            let bytes = encode(&format!("shop.read.v1.{kind}"), &json);
            evidence.parts.get_mut(model).expect("parts").push(Part { key: key.to_owned(), part, bytes });
        }
        for at in ["p-1", "p-2"] {
            let (model, at, body) = ("stock-levels".to_owned(), at.to_owned(), level.clone());
            evidence.served.push(Served { model, key: key.clone(), at, status: 200, body });
        }
    }
}

/// Other content of an event, in a log that is whole.
#[track_caller]
fn unbalanced(also: &[&str], (stream, version): (&str, i64), kind: &'static str, body: Value) {
    caught_in(reordering(), "I6", "reservation-unbalanced", also, |e| {
        event(e, stream, version).payload = encode(&format!("shop.inventory.v1.{kind}"), &body);
        reforge(e);
        publish(e);
    });
}

const SHOWN: [&str; 2] = ["part-differs", "served-differs"];

#[test]
fn more_pieces_come_back_than_the_order_held() {
    unbalanced(&SHOWN, (C1, 9), "StockReleased", of("w-1", json!({ "orderId": "o-2", "quantity": 2, "process": O2 })));
}

#[test]
fn a_reservation_is_confirmed_that_the_order_does_not_hold() {
    unbalanced(
        &[],
        (C1, 4),
        "ReservationConfirmed",
        of("w-1", json!({ "orderId": "o-1", "quantity": 2, "process": O1, "askedBy": "order/o-1", "attempt": 1 })),
    );
}

#[test]
fn pieces_are_promised_in_a_place_that_was_given_up() {
    let again = of("w-1", json!({ "orderId": "o-2", "quantity": 1, "process": O2, "attempt": 2 }));
    unbalanced(&["effect-not-asked"], (C1, 8), "StockReserved", again);
}

#[test]
fn an_order_that_holds_pieces_gives_up_its_place() {
    unbalanced(
        &["effect-not-asked", "unfounded-answer"],
        (C1, 7),
        "StockPlaceClosed",
        of("w-1", json!({ "orderId": "o-1", "process": O2, "attempt": 2 })),
    );
}

#[test]
fn a_refusal_to_give_back_what_the_order_holds() {
    caught_in(reordering(), "I2", "unfounded-answer", &[], |e| {
        asked_otherwise(e, C1, "release-5", "shop.inventory.v1.ReleaseStock", |command| command.body["quantity"] = json!(1));
    });
}

#[test]
fn a_refusal_of_a_transfer_that_is_the_one_that_is_known() {
    caught_in(reordering(), "I2", "unfounded-answer", &[], |e| {
        asked_otherwise(e, C1, "leaves-otherwise", "shop.inventory.v1.StartTransfer", |command| command.body["quantity"] = json!(4));
    });
}

#[test]
fn nothing_to_do_for_pieces_that_have_not_come() {
    caught_in(reordering(), "I2", "unfounded-answer", &[], |e| {
        asked_otherwise(e, C2, "arrives-again", "shop.inventory.v1.FinishTransfer", |command| command.body["quantity"] = json!(2));
    });
}
