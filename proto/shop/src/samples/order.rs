//! Of an order: `o-1` of cart `k-1` and customer `c-1`, two lamps at 19.99 EUR.

use super::{at, money, sku};
use crate::common::v1::Address;
use crate::order::v1::*;

fn id() -> String {
    "o-1".to_owned()
}

fn cart() -> String {
    "k-1".to_owned()
}

/// So many pieces of a product.
pub fn ordered(sku: &str, quantity: u32) -> OrderedLine {
    OrderedLine { sku: sku.to_owned(), quantity }
}

/// A cart is checked out.
pub fn open() -> OpenOrder {
    OpenOrder {
        order_id: id(),
        cart_id: cart(),
        customer_id: "c-1".into(),
        lines: vec![ordered("A-1", 2)],
        email: "someone@example.org".into(),
        delivery: "standard".into(),
        shipping_address: Some(Address {
            name: "Some One".into(),
            line1: "Long Street 1".into(),
            city: "Town".into(),
            postal_code: "12345".into(),
            country: "DE".into(),
            ..Default::default()
        }),
        payment_token: "tok_ok".into(),
        expected_total: Some(money("EUR", 3998)),
        ordered_at: None,
    }
}

/// The event of [`open`], when specs begin.
pub fn opened() -> OrderEvent {
    OrderOpened { place_by: Some(at(30)), ..(&open()).into() }.into()
}

/// The event of the same checkout by another cart.
pub fn opening_refused(cart: &str) -> OrderEvent {
    OrderOpeningRefused { order_id: id(), cart_id: cart.to_owned() }.into()
}

/// The lamp, as its page shows it.
pub fn lamp() -> ProductRead {
    ProductRead {
        sku: sku(),
        found: true,
        price: Some(money("EUR", 1999)),
        title: "Lamp".into(),
        tax_class: "standard".into(),
        weight_grams: 1_200,
        max_per_order: 10,
        category: "Home > Lamps".into(),
    }
}

/// The prices are read.
pub fn place(products: impl IntoIterator<Item = ProductRead>) -> PlaceOrder {
    PlaceOrder { order_id: id(), products: products.into_iter().collect(), payment_limits: None }
}

/// A line at a product's price.
pub fn line(product: &ProductRead, quantity: u32) -> OrderLine {
    let price = product.price.clone().unwrap_or_default();
    OrderLine {
        sku: product.sku.clone(),
        quantity,
        total: Some(money(&price.currency, price.minor_units * i64::from(quantity))),
        price: Some(price),
        title: product.title.clone(),
        tax_class: product.tax_class.clone(),
        weight_grams: product.weight_grams,
        category: product.category.clone(),
    }
}

/// The order of [`open`] is placed with the prices of [`lamp`].
pub fn placed() -> OrderEvent {
    placed_with(vec![line(&lamp(), 2)], 3998)
}

/// An order is placed with these lines.
pub fn placed_with(lines: Vec<OrderLine>, total: i64) -> OrderEvent {
    OrderPlaced {
        order_id: id(),
        lines,
        total: Some(money("EUR", total)),
        delivery_price: Some(money("EUR", 0)),
        country: "DE".into(),
        attempt: 1,
        allocate_by: Some(at(60)),
        hold_until: Some(at(60 + 20 * 60)),
    }
    .into()
}

/// The order will not be, for the lamp costs something else.
pub fn prices_changed(now: i64) -> OrderEvent {
    OrderRejecting {
        order_id: id(),
        cart_id: cart(),
        reason: "prices-changed".into(),
        now: Some(money("EUR", now)),
        expected: Some(money("EUR", 3998)),
        ..Default::default()
    }
    .into()
}

/// What a provider takes in a currency: from this amount on.
pub fn from_minor_units(minimum: i64) -> PaymentLimits {
    PaymentLimits { taken: true, minimum, maximum: 1_000_000, step: 1 }
}

/// The order will not be, for nobody takes its total.
pub fn payment_not_taken(limits: PaymentLimits) -> OrderEvent {
    OrderRejecting {
        order_id: id(),
        cart_id: cart(),
        reason: "payment-not-taken".into(),
        total: Some(money("EUR", 3998)),
        payment_limits: Some(limits),
        ..Default::default()
    }
    .into()
}

/// The order will not be, for these lines (SKU, ordered, allowed) can't be had.
pub fn unavailable<const N: usize>(lines: [(&str, u32, u32); N]) -> OrderEvent {
    let line = |(sku, requested, limit): (&str, u32, u32)| UnavailableLine { sku: sku.to_owned(), requested, limit };
    OrderRejecting {
        order_id: id(),
        cart_id: cart(),
        reason: "unavailable".into(),
        unavailable: lines.into_iter().map(line).collect(),
        ..Default::default()
    }
    .into()
}

/// The cart has answered.
pub fn record(cart: &str, reopened: bool) -> RecordCartReopened {
    RecordCartReopened { order_id: id(), cart_id: cart.to_owned(), reopened }
}

/// The end of an order that was rejected for this reason.
pub fn rejected(reason: &str, reopened: bool) -> OrderEvent {
    OrderRejected { order_id: id(), reason: reason.to_owned(), reopened }.into()
}

/// The customer wants it no more.
pub fn cancel() -> CancelOrder {
    CancelOrder { order_id: id(), reason: "Found it in the attic.".into() }
}

/// The first event of [`cancel`], while nothing has to be undone.
pub fn cancelling() -> OrderEvent {
    undoing(false, false)
}

/// The event of [`cancel`], with what has to be undone: pieces that may be held, and money that may be authorised.
pub fn undoing(undo_allocation: bool, undo_payment: bool) -> OrderEvent {
    let (order_id, customer_id, reason, explanation) = (id(), "c-1".into(), "cancelled".into(), cancel().reason);
    OrderCancelling { order_id, customer_id, reason, explanation, undo_allocation, undo_payment }.into()
}

/// So many pieces of a product in a warehouse.
pub fn held(sku: &str, warehouse: &str, quantity: u32) -> HeldLine {
    HeldLine { sku: sku.to_owned(), warehouse: warehouse.to_owned(), quantity }
}

/// The lamps of [`placed`] are held in one warehouse.
pub fn record_allocated() -> RecordAllocated {
    RecordAllocated { order_id: id(), attempt: 1, holds: vec![held("A-1", "w-1", 2)] }
}

/// The first event of [`record_allocated`].
pub fn allocated() -> OrderEvent {
    OrderAllocated { order_id: id(), holds: record_allocated().holds }.into()
}

/// The order waits for its money, by these means.
pub fn awaiting(attempt: u32, token: &str) -> OrderEvent {
    OrderAwaitingPayment {
        order_id: id(),
        attempt,
        amount: Some(money("EUR", 3998)),
        customer_id: "c-1".into(),
        payment_token: token.to_owned(),
        pay_until: Some(at(15 * 60)),
    }
    .into()
}

/// The amount may be taken, in as many captures as there are shipments.
pub fn record_paid() -> RecordPaid {
    RecordPaid { order_id: id(), attempt: 1, authorised: Some(money("EUR", 3998)), captures_once: false, capture_before: Some(at(604_800)) }
}

/// The event of [`record_paid`].
pub fn paid() -> OrderEvent {
    OrderPaid {
        order_id: id(),
        authorised: Some(money("EUR", 3998)),
        captures_once: false,
        capture_before: Some(at(604_800)),
        attempt: 1,
        confirm_by: Some(at(60)),
    }
    .into()
}

/// These are held without an end.
pub fn record_confirmed(holds: impl IntoIterator<Item = HeldLine>) -> RecordAllocationConfirmed {
    RecordAllocationConfirmed { order_id: id(), attempt: 1, holds: holds.into_iter().collect() }
}

/// The order is the customer's: these shipments, each of these lines.
pub fn confirmed<const N: usize>(shipments: [(&str, Vec<OrderedLine>); N]) -> OrderEvent {
    let shipments = (1..).zip(shipments).map(|(number, (warehouse, lines))| PlannedShipment { number, warehouse: warehouse.into(), lines });
    OrderConfirmed {
        order_id: id(),
        cart_id: cart(),
        customer_id: "c-1".into(),
        shipments: shipments.collect(),
        delivery: "standard".into(),
        shipping_address: open().shipping_address,
        hold_at: Some(at(6 * 24 * 60 * 60)),
    }
    .into()
}

/// From the opening to an order of two lamps in two shipments, one each, that the customer has paid.
pub fn in_two_shipments() -> Vec<OrderEvent> {
    let one = || vec![ordered("A-1", 1)];
    vec![opened(), placed(), allocated(), awaiting(1, "tok_ok"), paid(), confirmed([("w-1", one()), ("w-2", one())])]
}

/// A shipment of one lamp has left, and takes its money.
pub fn shipped(number: u32, capture: u32, minor_units: i64, status: OrderStatus) -> OrderEvent {
    OrderShipped {
        order_id: id(),
        number,
        warehouse: format!("w-{number}"),
        lines: vec![ordered("A-1", 1)],
        capture,
        amount: Some(money("EUR", minor_units)),
        status: status.into(),
    }
    .into()
}

/// It has arrived.
pub fn delivered(number: u32, status: OrderStatus) -> OrderEvent {
    OrderDelivered { order_id: id(), number, lines: vec![ordered("A-1", 1)], delivered_at: Some(at(0)), status: status.into() }.into()
}

/// The money of a capture was taken.
pub fn captured(number: u32, minor_units: i64) -> OrderEvent {
    OrderCaptured { order_id: id(), number, amount: Some(money("EUR", minor_units)) }.into()
}

/// Every piece has an end, and all money is where it belongs.
pub fn completed() -> OrderEvent {
    OrderCompleted { order_id: id(), cart_id: cart(), release_payment: false }.into()
}

/// The second event of [`cancel`], while nothing has to be undone.
pub fn cancelled() -> OrderEvent {
    OrderCancelled { order_id: id(), cart_id: cart(), reason: "cancelled".into() }.into()
}
