//! Orders that went wrong, each in one way.

use daybook_faults::evidence::{Evidence, Past};
use daybook_faults::shop::judge;
use daybook_proto::v1::Metadata;
use prost::Message as _;
use serde_json::{Value, json};

use crate::orders::{EXPIRED, STOCK, Story, asked, at, heard, line, money, of, of_stock, story};
use crate::support::{caught_in, event, pages, rows};
use crate::world::{BEGAN, encode, publish, reforge};

const O1: &str = "order/o-1";
const P1: &str = "payment/o-1";
const S1: &str = "shipment/o-1@1";
const O2: &str = "order/o-2";
const P2: &str = "payment/o-2";

/// Tells the story with one thing wrong: the first violation must be of this rule, and the only others of those that can't but fall with it.
#[track_caller]
fn caught(invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Story)) {
    let mut story = story();
    breaking(&mut story);
    caught_in(story.evidence(), invariant, rule, also, |_| {});
}

/// The same of what stands beside the log.
#[track_caller]
fn beside(invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Evidence)) {
    caught_in(story().evidence(), invariant, rule, also, breaking);
}

fn books(e: &mut Evidence) -> &mut Vec<Value> {
    e.outside.get_mut("payment-provider").and_then(|books| books["payments"].as_array_mut()).expect("they are told")
}

/// The capture of an order fails, and a piece of it comes back.
fn untaken() -> Story {
    let mut story = story();
    *story.of(P1, "ProviderHeard", 2) = of("o-1", heard(3, "ob-1", "AUTHORISED", [3000, 0, 0]));
    *story.of(P1, "ProviderHeard", 3) = of("o-1", heard(4, "ob-1", "CANCELLED", [3000, 0, 0]));
    for (stream, kind, fails) in [(P1, "PaymentCaptured", "CaptureFailed"), (O1, "OrderCaptured", "OrderCaptureFailed")] {
        story.becomes(stream, kind, fails);
    }
    *story.of(O1, "OrderReturned", 0) = of("o-1", json!({ "lines": line(1), "condition": "DAMAGED" }));
    story.stops(P1, "RefundRequested", 0);
    story.without(O1, "OrderRefunded", 0);
    story
}

#[test]
fn what_could_not_be_taken_is_not_given_back_and_no_more_is_kept_than_the_pieces_cost() {
    let verdict = judge(&untaken().evidence());
    assert!(!verdict.found.contains_key("money-unlike-kept"), "{verdict}");
    let mut kept = untaken();
    *kept.of(P1, "ProviderHeard", 2) = of("o-1", heard(3, "ob-1", "AUTHORISED", [3000, 2000, 0]));
    let verdict = judge(&kept.evidence());
    assert!(verdict.found.contains_key("money-unlike-kept"), "{verdict}");
}

#[test]
fn what_could_not_be_taken_leaves_an_authorisation_only_while_its_pieces_are_the_customers() {
    let is_found = |story: Story, rule: &str| judge(&story.evidence()).found.contains_key(rule);
    let open = || {
        let mut story = untaken();
        story.without(P1, "ProviderAsked", 3);
        story.without(P1, "ProviderHeard", 3);
        story.without(P1, "ReleaseRequested", 0);
        story.without(P1, "PaymentReleased", 0);
        story
    };
    assert!(!is_found(open(), "authorisation-left"));
    let mut back = open();
    back.of(O1, "OrderReturned", 0)["lines"] = line(2);
    assert!(is_found(back, "authorisation-left"));
}

#[test]
fn a_deviation_that_was_settled_hides_nothing() {
    let deviated = |captured: &str| (P1, "PaymentDeviated", of("o-1", json!({ "captured": captured })));
    let is_found = |story: Story| judge(&story.evidence()).found.contains_key("money-unlike-kept");
    let mut told = story();
    *told.of(P1, "ProviderHeard", 4) = of("o-1", heard(5, "ob-1", "AUTHORISED", [3000, 2000, 900]));
    told.then((P1, "ProviderHeard", 4), deviated("100"));
    let mut settled = told.clone();
    settled.then((P1, "PaymentDeviated", 0), deviated("0"));
    assert!(!is_found(told));
    assert!(is_found(settled));
}

/// Behind the release of the rest staff has it tried again: it had been done after all, and what came back meanwhile is given back.
fn taken_after_all() -> Story {
    let mut story = untaken();
    let again = |more: Value| {
        let mut body = of("o-1", json!({ "number": 2, "amount": money(1000) }));
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        body
    };
    let mut undo = asked(6, "REFUND", "ob-1", 1000);
    undo["undo"] = json!(true);
    let way: [(&str, &'static str, Value); 9] = [
        (O1, "OrderCaptureRetried", of("o-1", json!({ "capture": 2, "amount": money(1000), "failed": 1 }))),
        (P1, "CaptureRequested", again(json!({ "retries": 1 }))),
        (P1, "ProviderAsked", of("o-1", asked(5, "LOOK", "ob-1", 0))),
        (P1, "ProviderHeard", of("o-1", heard(5, "ob-1", "CANCELLED", [3000, 2000, 0]))),
        (P1, "PaymentDeviated", of("o-1", json!({ "captured": "1000" }))),
        (P1, "PaymentCaptured", again(json!({}))),
        (O1, "OrderCaptured", again(json!({}))),
        (P1, "ProviderAsked", of("o-1", undo)),
        (P1, "ProviderHeard", of("o-1", heard(6, "ob-1", "CANCELLED", [3000, 2000, 1000]))),
    ];
    way.into_iter().rev().for_each(|step| story.then((O1, "OrderReturned", 0), step));
    story
}

#[test]
fn what_was_taken_after_all_is_found_behind_the_release_of_the_rest_and_nothing_is_taken_there() {
    let broken = |story: Story| judge(&story.evidence()).found;
    let of_money = ["ask-answered-once", "order-step", "released-once", "payment-unlike-order", "money-moved-twice", "provider-differs"];
    let good = broken(taken_after_all());
    assert!(of_money.iter().all(|rule| !good.contains_key(rule)), "{good:?}");
    let mut took = taken_after_all();
    took.of(P1, "ProviderAsked", 4)["operation"] = json!("OPERATION_CAPTURE");
    assert!(broken(took).contains_key("released-once"));
    let mut more = taken_after_all();
    more.of(O1, "OrderCaptureRetried", 0)["amount"] = money(2001);
    assert!(broken(more).contains_key("ask-answered-once"));
}

/// A parcel of two pieces is lost, and its money given back; it arrives after all, and a piece of it comes back.
fn found() -> Story {
    let mut story = story();
    let in_it = json!({ "number": 1, "lines": line(2), "refund": 1, "amount": money(2000), "status": "ORDER_STATUS_DELIVERED" });
    story.becomes(S1, "ShipmentDelivered", "ShipmentLost");
    story.becomes(O1, "OrderDelivered", "OrderLost");
    *story.of(O1, "OrderLost", 0) = of("o-1", in_it);
    story.without(O1, "OrderCompleted", 0);
    story.then((P1, "PaymentReleased", 0), (O1, "OrderFound", of("o-1", json!({ "number": 1, "lines": line(2) }))));
    story.then((P1, "PaymentReleased", 0), (S1, "ShipmentDelivered", of("o-1", json!({ "number": 1 }))));
    for (stream, kind) in [(P1, "RefundRequested"), (P1, "PaymentRefunded"), (O1, "OrderRefunded"), (P1, "ProviderAsked")] {
        story.of(stream, kind, if kind == "ProviderAsked" { 4 } else { 0 })["amount"] = money(2000);
    }
    *story.of(P1, "ProviderHeard", 4) = of("o-1", heard(5, "ob-1", "CANCELLED", [3000, 2000, 2000]));
    for (field, value) in [("refund", json!(0)), ("amount", money(0))] {
        story.of(O1, "OrderReturned", 0)[field] = value;
    }
    story.then((O1, "OrderRefunded", 0), (O1, "OrderCompleted", of("o-1", json!({ "cartId": "k-1" }))));
    story
}

#[test]
fn what_was_lost_and_found_comes_back_without_money_once() {
    let broken = |story: Story| judge(&story.evidence()).found;
    let of_pieces =
        ["order-pieces", "order-step", "money-unlike-pieces", "money-unlike-kept", "restock-unlike-order", "shipment-unlike-order"];
    let good = broken(found());
    assert!(of_pieces.iter().all(|rule| !good.contains_key(rule)), "{good:?}");
    let mut paid = found();
    paid.of(O1, "OrderReturned", 0)["refund"] = json!(2);
    paid.of(O1, "OrderReturned", 0)["amount"] = money(1000);
    assert!(broken(paid).contains_key("money-unlike-pieces"));
    let mut more = found();
    more.of(O1, "OrderFound", 0)["lines"] = line(3);
    assert!(broken(more).contains_key("order-pieces"));
}

#[test]
fn money_is_captured_twice_for_one_ask() {
    caught("I7", "captured-beyond-authorised", &["ask-answered-once"], |s| s.twice(P1, "PaymentCaptured", 0));
}

#[test]
fn more_is_captured_than_was_authorised() {
    caught("I7", "captured-beyond-authorised", &["money-unlike-kept", "provider-differs"], |s| {
        *s.of(P1, "ProviderHeard", 2) = of("o-1", heard(3, "ob-1", "AUTHORISED", [3000, 4000, 0]));
    });
}

#[test]
fn more_is_captured_than_the_payment_itself_has_authorised() {
    caught("I7", "captured-beyond-authorised", &["payment-unlike-order"], |s| {
        s.of(P1, "CaptureRequested", 0)["amount"] = money(5000);
        s.of(P1, "PaymentCaptured", 0)["amount"] = money(5000);
    });
}

#[test]
fn more_is_given_back_than_was_captured() {
    caught("I7", "refunded-beyond-captured", &["money-unlike-kept", "provider-differs"], |s| {
        *s.of(P1, "ProviderHeard", 4) = of("o-1", heard(5, "ob-1", "AUTHORISED", [3000, 2000, 2500]));
    });
}

#[test]
fn a_refund_that_was_asked_for_never_moves() {
    caught("I7", "ask-answered-once", &["part-differs", "served-differs"], |s| {
        s.without(P1, "PaymentRefunded", 0);
        s.without(O1, "OrderRefunded", 0);
    });
}

#[test]
fn the_provider_is_asked_for_two_things_at_once() {
    caught("I7", "two-in-flight", &[], |s| {
        s.then((P1, "ProviderAsked", 2), (P1, "ProviderAsked", of("o-1", asked(9, "LOOK", "ob-1", 0))));
        s.then((P1, "ProviderHeard", 2), (P1, "ProviderHeard", of("o-1", heard(9, "ob-1", "AUTHORISED", [3000, 2000, 0]))));
    });
}

#[test]
fn an_answer_to_an_ask_that_nobody_made() {
    caught("I7", "ask-answered-once", &[], |s| s.of(P1, "ProviderHeard", 4)["ask"] = json!(7));
}

#[test]
fn a_hold_is_left_after_an_order_was_cancelled() {
    caught("I6", "hold-unlike-order", &[], |s| s.without(STOCK, "StockReleased", 1));
}

#[test]
fn a_hold_is_left_after_an_order_was_completed() {
    caught("I6", "hold-unlike-order", &[], |s| s.without(STOCK, "StockReleased", 0));
}

#[test]
fn a_hold_that_a_confirmed_order_has_still_to_send_is_gone() {
    caught(
        "I6",
        "hold-unlike-order",
        &["money-moved-twice", "order-unfinished", "part-differs", "provider-differs", "served-differs"],
        |s| {
            for stream in [O1, S1, P1] {
                let kind = if stream == O1 {
                    "OrderShipped"
                } else if stream == S1 {
                    "ShipmentDispatched"
                } else {
                    "CaptureRequested"
                };
                s.stops(stream, kind, 0);
            }
            s.without(STOCK, "StockCommitted", 0);
            s.without(STOCK, "StockReceived", 1);
            s.of(STOCK, "StockReleased", 0)["quantity"] = json!(3);
        },
    );
}

#[test]
fn an_order_is_stuck_while_its_pieces_are_held() {
    caught("I9", "order-unfinished", &["part-differs", "provider-differs", "served-differs"], |s| {
        s.stops(O2, "OrderAwaitingPayment", 0);
        s.stops(P2, "PaymentRequested", 0);
    });
}

#[test]
fn more_leaves_than_was_ordered() {
    caught("I9", "order-pieces", &["commit-unlike-order", "money-unlike-kept", "money-unlike-pieces", "order-step"], |s| {
        for (stream, kind) in [(S1, "ShipmentDispatched"), (O1, "OrderShipped")] {
            s.of(stream, kind, 0)["lines"] = line(4);
        }
    });
}

#[test]
fn a_shipment_leaves_twice() {
    caught(
        "I9",
        "order-pieces",
        &["ask-answered-once", "commit-unlike-order", "money-unlike-kept", "order-step", "shipment-unlike-order"],
        |s| s.twice(O1, "OrderShipped", 0),
    );
}

#[test]
fn more_comes_back_than_has_arrived() {
    caught(
        "I9",
        "order-pieces",
        &["ask-answered-once", "money-unlike-kept", "part-differs", "payment-unlike-order", "restock-unlike-order", "served-differs"],
        |s| {
            let line = json!([{ "sku": "P-1", "warehouse": "w-1", "quantity": 3 }]);
            s.of(O1, "OrderReturned", 0)["lines"] = line;
            s.of(O1, "OrderReturned", 0)["amount"] = money(3000);
        },
    );
}

#[test]
fn a_piece_is_in_no_shipment() {
    caught("I9", "order-pieces", &["order-step"], |s| s.of(O1, "OrderConfirmed", 0)["shipments"][0]["lines"] = line(2));
}

#[test]
fn fewer_pieces_are_held_than_were_ordered() {
    caught("I9", "order-pieces", &[], |s| s.of(O2, "OrderAllocated", 0)["holds"] = json!([]));
}

#[test]
fn a_total_is_not_the_sum_of_its_lines() {
    caught("I7", "order-sum", &[], |s| s.of(O1, "OrderPlaced", 0)["lines"][0]["total"] = money(2999));
}

#[test]
fn an_order_is_placed_at_another_price_than_was_shown() {
    caught("I7", "order-sum", &[], |s| s.of(O2, "OrderOpened", 0)["expectedTotal"] = money(900));
}

#[test]
fn the_money_of_a_cancelled_piece_is_taken() {
    caught("I7", "money-unlike-pieces", &["ask-answered-once", "part-differs", "payment-unlike-order", "served-differs"], |s| {
        s.of(O1, "OrderShipped", 0)["amount"] = money(3000)
    });
}

#[test]
fn a_piece_that_came_back_is_not_paid_back() {
    caught(
        "I7",
        "money-unlike-pieces",
        &["money-moved-twice", "money-unlike-kept", "part-differs", "provider-differs", "served-differs"],
        |s| {
            s.of(O1, "OrderReturned", 0)["refund"] = json!(0);
            s.without(O1, "OrderRefunded", 0);
            s.stops(P1, "RefundRequested", 0);
        },
    );
}

#[test]
fn the_shop_keeps_more_than_the_customers_pieces_cost() {
    caught("I7", "money-unlike-kept", &["provider-differs"], |s| {
        *s.of(P1, "ProviderHeard", 4) = of("o-1", heard(5, "ob-1", "AUTHORISED", [3000, 2000, 900]));
    });
}

#[test]
fn money_is_taken_of_an_order_that_was_cancelled() {
    caught("I7", "money-left", &["provider-differs"], |s| {
        *s.of(P2, "ProviderHeard", 2) = of("o-2", heard(3, "ob-2", "CANCELLED", [1000, 1000, 0]));
    });
}

#[test]
fn money_stays_authorised_of_an_order_that_was_cancelled() {
    caught("I7", "money-left", &[], |s| {
        s.without(P2, "ProviderAsked", 2);
        s.without(P2, "ProviderHeard", 2);
    });
}

#[test]
fn money_stays_authorised_of_an_order_that_was_completed() {
    caught("I7", "authorisation-left", &[], |s| {
        s.without(P1, "ProviderAsked", 3);
        s.without(P1, "ProviderHeard", 3);
        *s.of(P1, "ProviderHeard", 3) = of("o-1", heard(5, "ob-1", "AUTHORISED", [3000, 2000, 1000]));
    });
}

#[test]
fn a_release_is_answered_twice_or_never() {
    caught("I7", "released-once", &[], |s| s.twice(P1, "PaymentReleased", 0));
    caught("I7", "ask-answered-once", &[], |s| s.without(P1, "PaymentReleased", 0));
}

#[test]
fn money_is_taken_after_the_rest_was_let_go() {
    caught("I7", "released-once", &["payment-unlike-order"], |s| {
        let capture = || of("o-1", json!({ "number": 2, "amount": money(0) }));
        s.then((P1, "PaymentReleased", 0), (P1, "PaymentCaptured", capture()));
        s.then((P1, "PaymentReleased", 0), (P1, "CaptureRequested", capture()));
    });
}

#[test]
fn a_shipment_leaves_while_it_is_held() {
    let held = || of("o-1", json!({ "number": 1, "reason": "authorisation-lost" }));
    caught("I9", "left-in-doubt", &[], |s| s.then((S1, "ShipmentCancelled", 0), (S1, "ShipmentHeld", held())));
    let mut ended = story();
    ended.then((S1, "ShipmentCancelled", 0), (S1, "ShipmentHoldEnded", of("o-1", json!({ "number": 1 }))));
    ended.then((S1, "ShipmentCancelled", 0), (S1, "ShipmentHeld", held()));
    let verdict = judge(&ended.evidence());
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn what_has_not_left_is_not_held_when_its_money_is_in_doubt() {
    let lost = || (O1, "OrderAuthorisationLost", of("o-1", json!({ "attempt": 1 })));
    caught("I9", "left-in-doubt", &[], |s| s.then((O1, "OrderConfirmed", 0), lost()));
    caught("I9", "left-in-doubt", &[], |s| {
        s.then((O1, "OrderConfirmed", 0), (O1, "OrderDisputed", of("o-1", json!({ "amount": money(1) }))));
    });
    // All has left, or it is held.
    let mut good = story();
    good.then((O1, "OrderShipped", 0), lost());
    good.then((O1, "OrderConfirmed", 0), (O1, "OrderHoldEnded", of("o-1", json!({ "numbers": [1] }))));
    good.then((O1, "OrderConfirmed", 0), (O1, "OrderHeld", of("o-1", json!({ "numbers": [1], "reason": "authorisation-lost" }))));
    good.then((O1, "OrderConfirmed", 0), lost());
    let verdict = judge(&good.evidence());
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn a_deadline_fires_before_its_time() {
    caught("I9", "deadline-early", &[], |s| s.of(STOCK, "StockReserved", 1)["expiresAt"] = at(BEGAN + 3_600_000_000));
    caught("I9", "deadline-early", &[], |s| s.of(STOCK, "StockReserved", 1)["expiresAt"] = Value::Null);
}

/// It was on its way when the clock was set back: the log stands still until its clock is where it was.
#[test]
fn what_a_log_decides_while_it_stands_still_is_not_early() {
    let mut story = story();
    story.of(STOCK, "StockReserved", 1)["expiresAt"] = at(BEGAN + 3_600_000_000);
    let mut evidence = story.evidence();
    let page = event(&mut evidence, STOCK, 5).page;
    let before = pages(&mut evidence, STOCK).iter().find(|before| before.page == page - 1).expect("it stands").recorded_at;
    event(&mut evidence, STOCK, 5).recorded_at = before;
    pages(&mut evidence, STOCK).iter_mut().filter(|at| at.page == page).for_each(|at| at.recorded_at = before);
    reforge(&mut evidence);
    publish(&mut evidence);
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn the_deadline_of_one_event_fires_twice() {
    // What is held the second time is let go for the first time's deadline, once more.
    caught("I9", "deadline-twice", &[], |s| s.of(STOCK, EXPIRED, 1)["number"] = json!(2));
}

#[test]
fn pieces_leave_of_an_order_that_was_rejected() {
    caught(
        "I9",
        "order-step",
        &[
            "commit-unlike-order",
            "hold-unlike-order",
            "money-unlike-pieces",
            "order-pieces",
            "order-unfinished",
            "part-differs",
            "payment-unlike-order",
            "served-differs",
            "shipment-unlike-order",
        ],
        |s| {
            let shipped = json!({ "number": 1, "warehouse": "w-1", "lines": line(2), "capture": 1, "amount": money(2000),
                              "status": "ORDER_STATUS_SHIPPED" });
            s.then(("order/o-3", "OrderRejected", 0), ("order/o-3", "OrderShipped", of("o-3", shipped)));
        },
    );
}

#[test]
fn an_order_is_confirmed_that_is_not_paid() {
    caught("I9", "order-step", &[], |s| s.without(O1, "OrderPaid", 0));
}

#[test]
fn an_order_is_completed_while_its_pieces_are_under_way() {
    caught("I9", "order-step", &["money-unlike-kept", "order-pieces"], |s| {
        s.without(O1, "OrderDelivered", 0);
        s.without(S1, "ShipmentDelivered", 0);
    });
}

#[test]
fn an_order_is_paid_and_nobody_has_authorised_it() {
    caught("I7", "payment-unlike-order", &[], |s| {
        s.without(P2, "PaymentAuthorised", 0);
    });
}

#[test]
fn an_order_has_never_heard_that_its_money_was_taken() {
    caught("I7", "payment-unlike-order", &["order-unfinished", "part-differs", "served-differs"], |s| {
        s.without(O1, "OrderCaptured", 0);
        s.without(O1, "OrderCompleted", 0);
    });
}

#[test]
fn two_orders_are_of_one_cart() {
    caught("I9", "cart-orders", &[], |s| {
        let checked_out = json!({ "cartId": "k-2", "customerId": "c-1", "lines": line(1), "expectedTotal": money(1000) });
        s.then(("cart/k-2", "CartCheckedOut", 0), ("cart/k-2", "CartCheckedOut", of("o-3", checked_out)));
    });
}

#[test]
fn a_cart_that_was_checked_out_has_no_order() {
    caught("I9", "cart-orders", &[], |s| {
        let checked_out = json!({ "cartId": "k-9", "customerId": "c-1", "lines": line(1), "expectedTotal": money(1000) });
        s.then(("cart/k-2", "CartCheckedOut", 0), ("cart/k-9", "CartCheckedOut", of("o-9", checked_out)));
    });
}

#[test]
fn an_order_has_other_lines_than_its_cart() {
    caught("I9", "cart-orders", &[], |s| s.of("cart/k-2", "CartCheckedOut", 0)["lines"] = line(2));
}

#[test]
fn pieces_leave_a_shelf_twice_for_one_shipment() {
    caught("I6", "commit-unlike-order", &[], |s| {
        s.of(STOCK, "StockReleased", 0)["quantity"] = json!(1);
        s.without(STOCK, "StockReleased", 0);
        s.then((STOCK, "StockCommitted", 0), (STOCK, "StockCommitted", of_stock("o-1", json!({ "quantity": 1 }))));
    });
}

#[test]
fn pieces_that_came_back_are_on_the_shelf_twice() {
    caught("I6", "restock-unlike-order", &[], |s| s.twice(STOCK, "StockReceived", 1));
}

#[test]
fn a_shipment_leaves_and_its_order_never_hears_of_it() {
    caught("I9", "shipment-unlike-order", &[], |s| {
        let created = json!({ "number": 2, "warehouse": "w-1", "lines": line(1) });
        s.then((S1, "ShipmentDispatched", 0), ("shipment/o-1@2", "ShipmentDispatched", of("o-1", created)));
    });
}

#[test]
fn an_order_says_that_it_arrived_and_its_shipment_does_not() {
    caught("I9", "shipment-unlike-order", &[], |s| s.without(S1, "ShipmentDelivered", 0));
}

#[test]
fn the_provider_has_charged_somebody_and_our_books_do_not_know() {
    beside("I7", "provider-differs", &[], |e| {
        books(e).push(json!({ "id": "ob-9", "order": "o-3", "authorised": 500, "captured": 500, "voided": 0, "refunded": 0, "keys": [] }));
    });
}

#[test]
fn our_books_have_a_payment_that_the_provider_does_not_know() {
    beside("I7", "provider-differs", &[], |e| {
        books(e).remove(1);
    });
}

#[test]
fn the_provider_has_given_back_less_than_our_books_say() {
    beside("I7", "provider-differs", &["money-moved-twice"], |e| books(e)[0]["refunded"] = json!(0));
}

#[test]
fn the_provider_has_captured_under_two_keys_what_was_asked_once() {
    beside("I7", "money-moved-twice", &[], |e| {
        let keys = books(e)[0]["keys"].as_array_mut().expect("keys");
        keys.push(json!({ "key": "another", "operation": "capture", "asked": { "amount": 0 }, "status": 200, "calls": 1 }));
    });
}

#[test]
fn the_provider_has_captured_twice_under_one_key() {
    let twice = heard(3, "ob-1", "AUTHORISED", [3000, 4000, 0]);
    let also = ["captured-beyond-authorised", "money-unlike-kept"];
    let mut story = story();
    *story.of(P1, "ProviderHeard", 2) = of("o-1", twice);
    let mut evidence = story.evidence();
    books(&mut evidence)[0]["captured"] = json!(4000);
    let verdict = judge(&evidence);
    let found: Vec<&str> = verdict.found.keys().copied().collect();
    assert_eq!(found, [also[0], "money-moved-twice", also[1]], "{verdict}");
}

#[test]
fn the_carrier_has_two_parcels_of_one_shipment() {
    beside("I9", "carrier-differs", &[], |e| {
        let parcels = e.outside.get_mut("carrier").and_then(|books| books["parcels"].as_array_mut()).expect("they are told");
        let mut other = parcels[0].clone();
        other["tracking"] = json!("PX2");
        parcels.push(other);
    });
}

#[test]
fn the_carrier_does_not_know_a_parcel() {
    beside("I9", "carrier-differs", &[], |e| drop(e.outside.insert("carrier".to_owned(), json!({ "parcels": [] }))));
}

#[test]
fn a_page_says_that_an_order_stands_elsewhere() {
    beside("I4", "served-differs", &[], |e| {
        let of_it = e.served.iter_mut().filter(|served| served.key == "o-1");
        of_it.for_each(|served| served.body["status"] = json!("ORDER_STATUS_SHIPPED"));
    });
    beside("I4", "part-differs", &[], |e| {
        let page =
            json!({ "orderId": "o-2", "customerId": "c-1", "status": "ORDER_STATUS_CANCELLING", "reason": "cancelled", "lines": line(1) });
        e.parts.get_mut("orders").expect("parts")[1].bytes = encode("shop.read.v1.OrderPage", &page);
    });
}

#[test]
fn an_order_that_was_opened_has_no_page() {
    beside("I4", "part-missing", &[], |e| drop(e.parts.get_mut("orders").expect("parts").remove(0)));
}

/// Has a command of a process go back to something else: its id is not that of its cause any more.
#[test]
fn a_process_has_sent_what_no_event_asks_for() {
    beside("I2", "reaction-unasked", &[], |e| {
        let event = event(e, O1, 2);
        let mut metadata = Metadata::decode(event.metadata.as_slice()).expect("metadata");
        metadata.causation_id = "cart/0:0@1".to_owned();
        event.metadata = metadata.encode_to_vec();
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_run_without_orders_is_not_held_to_their_rules() {
    let mut evidence = story().evidence();
    evidence.orders = false;
    let verdict = judge(&evidence);
    assert!(!verdict.rules.iter().any(|rule| rule.name == "order-unfinished"), "{verdict}");
    assert!(!verdict.checked.contains_key("order-step") && rows(&mut evidence, O1).len() > 1);
}

/// The provider gave back what was asked for before a restore, and the order went another way after it.
#[test]
fn what_a_lost_past_had_asked_for_may_have_moved_and_nothing_more() {
    let given_back = |units: i64| {
        let mut e = story().evidence();
        let of_o1 = books(&mut e).iter_mut().find(|payment| payment["id"] == "ob-1").expect("it is there");
        of_o1["refunded"] = json!(1000 + units);
        let key = json!({ "key": "lost-key", "operation": "refund", "asked": { "amount": units }, "status": 200, "calls": 1 });
        of_o1["keys"].as_array_mut().expect("keys").push(key);
        e
    };
    let mut before = story();
    let mut undo = asked(9, "REFUND", "ob-1", 700);
    undo["number"] = json!(9);
    before.0.push((P1.to_owned(), "ProviderAsked", of("o-1", undo)));
    let past = Past { at: u64::MAX, logs: before.evidence().logs, aside: Vec::new() };
    let is_found = |mut e: Evidence, past: Option<&Past>| {
        e.pasts.extend(past.cloned());
        judge(&e).found.contains_key("money-moved-twice")
    };
    assert!(is_found(given_back(700), None));
    assert!(!is_found(given_back(700), Some(&past)));
    assert!(is_found(given_back(800), Some(&past)));
}
