//! Of an order: `o-1` of cart `k-1` and customer `c-1`, two lamps at 19.99 EUR.

use super::{money, sku};
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

/// The event of [`open`].
pub fn opened() -> OrderEvent {
    OrderOpened::from(&open()).into()
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
    }
}

/// The prices are read.
pub fn place(products: impl IntoIterator<Item = ProductRead>) -> PlaceOrder {
    PlaceOrder { order_id: id(), products: products.into_iter().collect() }
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
    }
}

/// The order of [`open`] is placed with the prices of [`lamp`].
pub fn placed() -> OrderEvent {
    placed_with(vec![line(&lamp(), 2)], 3998)
}

/// An order is placed with these lines.
pub fn placed_with(lines: Vec<OrderLine>, total: i64) -> OrderEvent {
    OrderPlaced { order_id: id(), lines, total: Some(money("EUR", total)), delivery_price: Some(money("EUR", 0)), ..Default::default() }
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

/// The first event of [`cancel`].
pub fn cancelling() -> OrderEvent {
    let explanation = cancel().reason;
    OrderCancelling { order_id: id(), customer_id: "c-1".into(), reason: "cancelled".into(), explanation, ..Default::default() }.into()
}

/// The second event of [`cancel`], while nothing has to be undone.
pub fn cancelled() -> OrderEvent {
    OrderCancelled { order_id: id(), cart_id: cart(), reason: "cancelled".into() }.into()
}
