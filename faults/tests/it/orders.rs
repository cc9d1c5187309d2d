//! A run in which shoppers ordered goods, told event by event: one order is completed after a piece was cancelled and one came back, one is
//! cancelled after it was paid, one is rejected.

use std::collections::BTreeMap;

use daybook_faults::evidence::{Evidence, Part, Served};
use daybook_faults::shop::judge;
use daybook_faults::shop::rules::orders::RULES;
use serde_json::{Value, json};

use crate::good::note_done;
use crate::world::{BEGAN, World, command, encode, publish, reforge, service_of};

pub(crate) const STOCK: &str = "stock/P-1@w-1";
/// The scheduler's.
pub(crate) const EXPIRED: &str = "ReservationExpired";

/// Events in the order in which they were written, each the cause of the next: stream, kind, content.
#[derive(Clone)]
pub(crate) struct Story(pub(crate) Vec<(String, &'static str, Value)>);

impl Story {
    fn tell(&mut self, stream: &str, kind: &'static str, body: Value) {
        self.0.push((stream.to_owned(), kind, body));
    }

    /// The place of the n-th event of a kind in a stream, from 0.
    #[track_caller]
    fn at(&self, stream: &str, kind: &str, n: usize) -> usize {
        let mut places = (0..self.0.len()).filter(|at| self.0[*at].0 == stream && self.0[*at].1 == kind);
        places.nth(n).expect("it is told")
    }

    /// The content of the n-th event of a kind in a stream.
    #[track_caller]
    pub(crate) fn of(&mut self, stream: &str, kind: &str, n: usize) -> &mut Value {
        let at = self.at(stream, kind, n);
        &mut self.0[at].2
    }

    /// The first event of a kind in a stream is one of another kind.
    #[track_caller]
    pub(crate) fn becomes(&mut self, stream: &str, kind: &str, other: &'static str) {
        let at = self.at(stream, kind, 0);
        self.0[at].1 = other;
    }

    /// It never happened.
    #[track_caller]
    pub(crate) fn without(&mut self, stream: &str, kind: &str, n: usize) {
        let at = self.at(stream, kind, n);
        self.0.remove(at);
    }

    /// It happened twice.
    #[track_caller]
    pub(crate) fn twice(&mut self, stream: &str, kind: &str, n: usize) {
        let at = self.at(stream, kind, n);
        self.0.insert(at + 1, self.0[at].clone());
    }

    /// Something happened behind it.
    #[track_caller]
    pub(crate) fn then(&mut self, (stream, kind, n): (&str, &str, usize), what: (&str, &'static str, Value)) {
        let at = self.at(stream, kind, n);
        self.0.insert(at + 1, (what.0.to_owned(), what.1, what.2));
    }

    /// Nothing of a stream happened from there on.
    #[track_caller]
    pub(crate) fn stops(&mut self, stream: &str, kind: &str, n: usize) {
        let at = self.at(stream, kind, n);
        let mut place = 0..;
        self.0.retain(|(of, _, _)| place.next().is_some_and(|place| place < at) || of != stream);
    }

    /// As a run leaves it, with the provider's books and the pages of the orders as they are when all goes well.
    pub(crate) fn evidence(&self) -> Evidence {
        let mut w = World::of(&["catalog", "inventory", "cart", "order", "payment", "shipping"]);
        let mut last: Option<(String, i64)> = None;
        for (stream, kind, body) in &self.0 {
            match &last {
                // The first goods come from outside, as all that was begun does.
                None => note_done(&mut w, &command("receive-stock", stream, "receive", body.clone()), vec![(kind, body.clone())]),
                Some(_) if *kind == EXPIRED => {
                    // What is sent a second time says of itself which version it is about, and is another deadline.
                    let mut body = body.clone();
                    let again = body.as_object_mut().and_then(|body| body.remove("number")).and_then(|version| version.as_i64());
                    let (cause, name) = (again.unwrap_or_else(|| w.version(stream)), if again.is_some() { "other" } else { "expiry" });
                    w.fired((stream, cause), name, stream, kind, body);
                }
                Some((cause, version)) => w.said((cause, *version), stream, kind, body.clone()),
            }
            last = Some((stream.clone(), w.version(stream)));
        }
        let mut evidence = w.evidence;
        reforge(&mut evidence);
        publish(&mut evidence);
        evidence.orders = true;
        evidence.outside.insert("payment-provider".to_owned(), books());
        let parcel = json!({ "orderId": "o-1", "number": 1, "tracking": "PX1", "carrier": "parcel", "status": "delivered" });
        evidence.outside.insert("carrier".to_owned(), json!({ "parcels": [parcel], "keys": [] }));
        pages(&mut evidence);
        evidence
    }
}

pub(crate) fn money(units: i64) -> Value {
    json!({ "currency": "EUR", "minorUnits": units.to_string() })
}

pub(crate) fn line(quantity: i64) -> Value {
    json!([{ "sku": "P-1", "quantity": quantity }])
}

fn held(quantity: i64) -> Value {
    json!([{ "sku": "P-1", "warehouse": "w-1", "quantity": quantity }])
}

/// Content with what every event of the order says.
pub(crate) fn of(order: &str, more: Value) -> Value {
    let mut body = json!({ "orderId": order });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    body
}

pub(crate) fn of_stock(order: &str, more: Value) -> Value {
    let mut body = of(order, json!({ "sku": "P-1", "warehouse": "w-1", "process": format!("allocation/{order}") }));
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    body
}

/// As the provider tells of its object.
pub(crate) fn heard(ask: i64, object: &str, status: &str, [authorised, captured, refunded]: [i64; 3]) -> Value {
    json!({ "ask": ask, "result": "OPERATION_RESULT_DONE", "payment": {
        "objectId": object, "status": format!("PROVIDER_STATUS_{status}"), "currency": "EUR", "authorised": authorised.to_string(),
        "captured": captured.to_string(), "refunded": refunded.to_string() } })
}

pub(crate) fn asked(ask: i64, operation: &str, object: &str, amount: i64) -> Value {
    json!({ "ask": ask, "operation": format!("OPERATION_{operation}"), "number": 1, "objectId": object, "amount": money(amount) })
}

/// A cart becomes an order of so many pieces, which cost 10.00 each.
fn opened(story: &mut Story, cart: &str, order: &str, quantity: i64, shown: i64) {
    let checked_out = json!({ "cartId": cart, "customerId": "c-1", "lines": line(quantity), "expectedTotal": money(shown) });
    story.tell(&format!("cart/{cart}"), "CartCheckedOut", of(order, checked_out.clone()));
    story.tell(&format!("order/{order}"), "OrderOpened", of(order, checked_out));
}

/// It is placed, its pieces are held, and it is paid.
fn paid(story: &mut Story, order: &str, quantity: i64, object: &str) {
    let (stream, payment, total) = (format!("order/{order}"), format!("payment/{order}"), 1000 * quantity);
    let lines = json!([{ "sku": "P-1", "quantity": quantity, "price": money(1000), "total": money(total) }]);
    let placed = json!({ "lines": lines, "total": money(total), "deliveryPrice": money(0), "country": "DE", "attempt": 1 });
    story.tell(&stream, "OrderPlaced", of(order, placed));
    story.tell(STOCK, "StockReserved", of_stock(order, json!({ "quantity": quantity, "attempt": 1 })));
    story.tell(&stream, "OrderAllocated", of(order, json!({ "holds": held(quantity) })));
    let attempt = json!({ "attempt": 1, "amount": money(total), "customerId": "c-1" });
    story.tell(&stream, "OrderAwaitingPayment", of(order, attempt.clone()));
    story.tell(&payment, "PaymentRequested", of(order, attempt));
    story.tell(&payment, "ProviderAsked", of(order, asked(1, "CREATE", "", total)));
    story.tell(&payment, "ProviderHeard", of(order, heard(1, object, "CREATED", [0, 0, 0])));
    story.tell(&payment, "ProviderAsked", of(order, asked(2, "CONFIRM", object, total)));
    story.tell(&payment, "ProviderHeard", of(order, heard(2, object, "AUTHORISED", [total, 0, 0])));
    story.tell(&payment, "PaymentAuthorised", of(order, json!({ "attempt": 1, "amount": money(total) })));
    story.tell(&stream, "OrderPaid", of(order, json!({ "authorised": money(total), "attempt": 1 })));
}

pub(crate) fn story() -> Story {
    let mut s = Story(Vec::new());
    s.tell(STOCK, "StockReceived", json!({ "sku": "P-1", "warehouse": "w-1", "quantity": 10 }));
    expired(&mut s);
    completed(&mut s);
    cancelled(&mut s);
    rejected(&mut s);
    s
}

/// Of an order that nobody places: two pieces are held for a while, one after the other, and let go when their time is over.
fn expired(s: &mut Story) {
    for _ in 0..2 {
        s.tell(STOCK, "StockReserved", of_stock("o-7", json!({ "quantity": 1, "expiresAt": at(BEGAN) })));
        s.tell(STOCK, EXPIRED, of_stock("o-7", json!({ "quantity": 1 })));
    }
}

/// A time, in microseconds since 1970, as events have it.
pub(crate) fn at(micros: i64) -> Value {
    json!(chrono::DateTime::from_timestamp_micros(micros).expect("a time").to_rfc3339())
}

fn completed(s: &mut Story) {
    let (order, payment, shipment) = ("order/o-1", "payment/o-1", "shipment/o-1@1");
    let in_it = |n: i64| json!({ "number": 1, "warehouse": "w-1", "lines": line(n) });
    opened(s, "k-1", "o-1", 3, 3000);
    paid(s, "o-1", 3, "ob-1");
    s.tell(STOCK, "ReservationConfirmed", of_stock("o-1", json!({ "quantity": 3, "attempt": 1 })));
    s.tell(order, "OrderConfirmed", of("o-1", json!({ "cartId": "k-1", "shipments": [in_it(3)] })));
    s.tell("cart/k-1", "CartClosed", of("o-1", json!({ "cartId": "k-1" })));
    s.tell(shipment, "ShipmentCreated", of("o-1", in_it(3)));
    s.tell(shipment, "ShipmentLabelled", of("o-1", json!({ "number": 1, "carrier": "parcel", "tracking": "PX1" })));
    // One piece is not wanted any more.
    s.tell(shipment, "ShipmentCancelled", of("o-1", json!({ "number": 1, "ask": 1, "lines": line(1) })));
    let cancelled =
        json!({ "number": 1, "warehouse": "w-1", "lines": line(1), "reason": "cancelled", "ask": 1, "status": "ORDER_STATUS_CONFIRMED" });
    s.tell(order, "OrderLinesCancelled", of("o-1", cancelled));
    s.tell(STOCK, "StockReleased", of_stock("o-1", json!({ "quantity": 1 })));
    // Two leave, and arrive.
    s.tell(shipment, "ShipmentDispatched", of("o-1", in_it(2)));
    let mut shipped = in_it(2);
    (shipped["capture"], shipped["amount"], shipped["status"]) = (json!(1), money(2000), json!("ORDER_STATUS_SHIPPED"));
    s.tell(order, "OrderShipped", of("o-1", shipped));
    s.tell(STOCK, "StockCommitted", of_stock("o-1", json!({ "quantity": 2 })));
    let capture = json!({ "number": 1, "amount": money(2000) });
    s.tell(payment, "CaptureRequested", of("o-1", capture.clone()));
    s.tell(payment, "ProviderAsked", of("o-1", asked(3, "CAPTURE", "ob-1", 2000)));
    s.tell(payment, "ProviderHeard", of("o-1", heard(3, "ob-1", "AUTHORISED", [3000, 2000, 0])));
    s.tell(payment, "PaymentCaptured", of("o-1", capture.clone()));
    s.tell(order, "OrderCaptured", of("o-1", capture));
    s.tell(shipment, "ShipmentDelivered", of("o-1", json!({ "number": 1 })));
    s.tell(order, "OrderDelivered", of("o-1", json!({ "number": 1, "lines": line(2), "status": "ORDER_STATUS_DELIVERED" })));
    s.tell(order, "OrderCompleted", of("o-1", json!({ "cartId": "k-1" })));
    // The rest is let go.
    s.tell(payment, "ReleaseRequested", of("o-1", json!({ "number": 1 })));
    s.tell(payment, "ProviderAsked", of("o-1", asked(4, "CANCEL", "ob-1", 0)));
    s.tell(payment, "ProviderHeard", of("o-1", heard(4, "ob-1", "CANCELLED", [3000, 2000, 0])));
    s.tell(payment, "PaymentReleased", of("o-1", json!({ "number": 1 })));
    // One comes back.
    let back = json!({ "lines": held(1), "condition": "RESALABLE", "refund": 1, "amount": money(1000) });
    s.tell(order, "OrderReturned", of("o-1", back));
    s.tell(STOCK, "StockReceived", json!({ "sku": "P-1", "warehouse": "w-1", "quantity": 1 }));
    let refund = json!({ "number": 1, "amount": money(1000) });
    s.tell(payment, "RefundRequested", of("o-1", refund.clone()));
    s.tell(payment, "ProviderAsked", of("o-1", asked(5, "REFUND", "ob-1", 1000)));
    s.tell(payment, "ProviderHeard", of("o-1", heard(5, "ob-1", "CANCELLED", [3000, 2000, 1000])));
    s.tell(payment, "PaymentRefunded", of("o-1", refund.clone()));
    s.tell(order, "OrderRefunded", of("o-1", refund));
}

fn cancelled(s: &mut Story) {
    let (order, payment) = ("order/o-2", "payment/o-2");
    opened(s, "k-2", "o-2", 1, 1000);
    paid(s, "o-2", 1, "ob-2");
    s.tell(order, "OrderCancelling", of("o-2", json!({ "reason": "cancelled", "undoAllocation": true, "undoPayment": true })));
    s.tell(STOCK, "StockReleased", of_stock("o-2", json!({ "quantity": 1 })));
    s.tell(order, "OrderUndone", of("o-2", json!({ "what": "allocation" })));
    s.tell(payment, "VoidRequested", of("o-2", json!({ "number": 1 })));
    s.tell(payment, "ProviderAsked", of("o-2", asked(3, "CANCEL", "ob-2", 0)));
    s.tell(payment, "ProviderHeard", of("o-2", heard(3, "ob-2", "CANCELLED", [1000, 0, 0])));
    s.tell(payment, "PaymentVoided", of("o-2", json!({ "number": 1 })));
    s.tell(order, "OrderCancelled", of("o-2", json!({ "cartId": "k-2", "reason": "cancelled" })));
    s.tell("cart/k-2", "CartClosed", of("o-2", json!({ "cartId": "k-2" })));
}

fn rejected(s: &mut Story) {
    opened(s, "k-3", "o-3", 2, 1999);
    let why = json!({ "cartId": "k-3", "reason": "prices-changed", "now": money(2000), "expected": money(1999) });
    s.tell("order/o-3", "OrderRejecting", of("o-3", why));
    s.tell("cart/k-3", "CartReopened", of("o-3", json!({ "cartId": "k-3", "lines": line(2) })));
    s.tell("order/o-3", "OrderRejected", of("o-3", json!({ "reason": "prices-changed", "reopened": true })));
}

/// The provider's own books.
fn books() -> Value {
    let of_money = |operation: &str, amount: i64| json!({ "key": format!("{operation}-key"), "operation": operation, "asked": { "amount": amount }, "status": 200, "calls": 2 });
    let key = |operation: &str| of_money(operation, 0);
    json!({ "payments": [
        { "id": "ob-1", "order": "o-1", "currency": "EUR", "authorised": 3000, "captured": 2000, "voided": 1000, "refunded": 1000,
          "keys": [key("create"), key("confirm"), of_money("capture", 2000), key("cancel"), of_money("refund", 1000)] },
        { "id": "ob-2", "order": "o-2", "currency": "EUR", "authorised": 1000, "captured": 0, "voided": 1000, "refunded": 0,
          "keys": [key("create"), key("confirm"), key("cancel")] },
    ] })
}

/// `orders`, as it is when all has caught up.
fn pages(evidence: &mut Evidence) {
    let (mut parts, mut all) = (Vec::new(), BTreeMap::new());
    for (order, status, reason, quantity, [captured, refunded]) in [
        ("o-1", "COMPLETED", "", 3, [2000, 1000]),
        ("o-2", "CANCELLED", "cancelled", 1, [0, 0]),
        ("o-3", "REJECTED", "prices-changed", 2, [0, 0]),
    ] {
        let page = json!({ "customerId": "c-1", "status": format!("ORDER_STATUS_{status}"), "reason": reason, "lines": line(quantity),
                           "captured": money(captured), "refunded": money(refunded) });
        let bytes = encode("shop.read.v1.OrderPage", &of(order, page.clone()));
        parts.push(Part { key: order.to_owned(), part: "order".to_owned(), bytes });
        all.insert(order, of(order, page));
    }
    evidence.parts.insert("orders".to_owned(), parts);
    for at in ["p-1", "p-2"] {
        for (order, page) in &all {
            let (model, key, at) = ("orders".to_owned(), (*order).to_owned(), at.to_owned());
            evidence.served.push(Served { model, key, at, status: 200, body: page.clone() });
        }
        let (model, key, at) = ("orders".to_owned(), "nothing".to_owned(), at.to_owned());
        evidence.served.push(Served { model, key, at, status: 404, body: Value::Null });
    }
}

#[test]
fn the_judge_passes_orders_that_went_well_and_no_rule_of_theirs_is_vacuous() {
    let verdict = judge(&story().evidence());
    assert!(verdict.holds(), "{verdict}");
    let vacuous = verdict.vacuous();
    let of_orders: Vec<&str> = RULES.iter().map(|rule| rule.name).filter(|name| vacuous.contains(name)).collect();
    assert_eq!(of_orders, Vec::<&str>::new(), "{verdict}");
    assert!(!verdict.to_string().contains("not yet"), "{verdict}");
}

#[test]
fn each_event_is_of_a_service_that_there_is() {
    assert!(story().0.iter().all(|(stream, _, _)| ["cart", "order", "payment", "shipping", "inventory"].contains(&service_of(stream))));
}
