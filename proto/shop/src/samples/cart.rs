//! Of a cart, `k-1`.

use super::{at, money, sku};
use crate::cart::v1::*;
use crate::common::v1::Address;

/// The cart that all is about.
pub const CART: &str = "k-1";
/// When a cart that is touched as all begins expires, in seconds after that.
pub const EXPIRY: i64 = 30 * 24 * 60 * 60;

fn cart() -> String {
    CART.to_owned()
}

/// Pieces of one product.
pub fn line(sku: &str, quantity: u32) -> CartLine {
    CartLine { sku: sku.to_owned(), quantity }
}

/// Puts lamps into the cart.
pub fn add(quantity: u32) -> AddItem {
    AddItem { cart_id: cart(), sku: sku(), quantity }
}

/// The event of [`add`] when it is asked as all begins.
pub fn added(quantity: u32) -> CartEvent {
    ItemAdded { expires_at: Some(at(EXPIRY)), ..(&add(quantity)).into() }.into()
}

/// Says how many lamps.
pub fn change(quantity: u32) -> ChangeQuantity {
    ChangeQuantity { cart_id: cart(), sku: sku(), quantity }
}

/// The event of [`change`].
pub fn changed(quantity: u32) -> CartEvent {
    QuantityChanged { expires_at: Some(at(EXPIRY)), ..(&change(quantity)).into() }.into()
}

/// No lamps.
pub fn remove() -> RemoveItem {
    RemoveItem { cart_id: cart(), sku: sku() }
}

/// The event of [`remove`].
pub fn removed() -> CartEvent {
    ItemRemoved { expires_at: Some(at(EXPIRY)), ..(&remove()).into() }.into()
}

/// A house.
pub fn address() -> Address {
    Address {
        name: "Ada Lovelace".into(),
        line1: "Main Street 1".into(),
        city: "Berlin".into(),
        postal_code: "10115".into(),
        country: "DE".into(),
        ..Default::default()
    }
}

/// Orders what is in the cart.
pub fn check_out(order: &str) -> Checkout {
    Checkout {
        cart_id: cart(),
        order_id: order.to_owned(),
        customer_id: "c-1".into(),
        email: "ada@example.org".into(),
        delivery: "standard".into(),
        shipping_address: Some(address()),
        payment: Some(PaymentMeans { token: "tok_ok".into() }),
        expected_total: Some(money("EUR", 3998)),
        ordered_at: None,
        coupons: Vec::new(),
    }
}

/// The event of [`check_out`], without what tells one command from another.
pub fn checked_out(order: &str, lines: &[CartLine]) -> CartCheckedOut {
    CartCheckedOut { payment_token: "tok_ok".into(), lines: lines.to_vec(), ..(&check_out(order)).into() }
}

/// Gives the lines to another cart.
pub fn merge(into: &str) -> MergeCart {
    MergeCart { cart_id: cart(), into: into.to_owned() }
}

/// The event of [`merge`].
pub fn merged(into: &str, lines: &[CartLine]) -> CartEvent {
    CartMerged { lines: lines.to_vec(), ..(&merge(into)).into() }.into()
}

/// Lines of a guest's cart arrive: `cart/guest-1`, at its version 2.
pub fn take(lines: &[CartLine]) -> TakeLines {
    let (from, through, owner) = ("cart/guest-1".into(), vec!["guest-1".into()], String::new());
    TakeLines { cart_id: cart(), from, handover: 2, lines: lines.to_vec(), through, owner }
}

/// The event of [`take`] where the cart is open.
pub fn taken(lines: &[CartLine]) -> CartEvent {
    LinesTaken { expires_at: Some(at(EXPIRY)), ..(&take(lines)).into() }.into()
}

/// Lines go on to another cart, after this one and those before it.
pub fn handed_over(into: &str, lines: &[CartLine], through: &[&str]) -> CartEvent {
    let through = through.iter().map(|id| (*id).to_owned()).collect();
    LinesHandedOver { cart_id: cart(), into: into.to_owned(), lines: lines.to_vec(), through }.into()
}

/// An order gives the cart back.
pub fn reopen(order: &str) -> ReopenCart {
    ReopenCart { cart_id: cart(), order_id: order.to_owned() }
}

/// The event of [`reopen`] where the cart is that order's.
pub fn reopened(order: &str, lines: &[CartLine]) -> CartEvent {
    CartReopened { lines: lines.to_vec(), expires_at: Some(at(EXPIRY)), ..(&reopen(order)).into() }.into()
}

/// The event of [`reopen`] where it is not.
pub fn not_reopened(order: &str, code: &str) -> CartEvent {
    CartNotReopened { code: code.to_owned(), ..(&reopen(order)).into() }.into()
}

/// An order needs the cart no more.
pub fn close(order: &str) -> CloseCart {
    CloseCart { cart_id: cart(), order_id: order.to_owned() }
}

/// The event of [`close`].
pub fn closed(order: &str) -> CartEvent {
    CartClosed { expires_at: Some(at(EXPIRY)), ..(&close(order)).into() }.into()
}

/// The cart's time has come: so many seconds after all begins.
pub fn expire(seconds: i64) -> ExpireCart {
    ExpireCart { cart_id: cart(), due_at: Some(at(seconds)) }
}

/// The event of [`expire`].
pub fn expired(lines: &[CartLine]) -> CartEvent {
    CartExpired { cart_id: cart(), lines: lines.to_vec() }.into()
}
