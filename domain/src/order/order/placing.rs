//! An order is placed at the prices that its products have, or it is rejected.

use daybook_kernel::{Context, Decision, Instant};
use shop_proto::common::v1::Money;
use shop_proto::order::v1::*;

use super::paying::ONLY_ATTEMPT;
use super::{Order, money, waits};

/// Some line can't be had as it was ordered.
const UNAVAILABLE: &str = "unavailable";
/// The shopper was shown another total.
const PRICES_CHANGED: &str = "prices-changed";
/// The payment provider would not take the total.
const PAYMENT_NOT_TAKEN: &str = "payment-not-taken";

/// A client's price is never trusted: the order works the total out, and compares.
pub(super) fn place(state: &OrderState, c: &PlaceOrder, context: &Context) -> Decision<Order> {
    let expected = state.expected_total.clone().unwrap_or_default();
    let of = |minor_units| Money { currency: expected.currency.clone(), minor_units };
    let (mut lines, mut unavailable, mut total) = (Vec::with_capacity(state.lines.len()), Vec::new(), Some(0_i64));
    for line in &state.lines {
        match offer(&c.products, line, &expected.currency) {
            Err(limit) => unavailable.push(UnavailableLine { sku: line.sku.clone(), requested: line.quantity, limit }),
            Ok((product, price)) => {
                let costs = money::times(price.minor_units, line.quantity);
                total = total.zip(costs).and_then(|(sum, costs)| sum.checked_add(costs));
                lines.push(OrderLine {
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                    price: Some(price.clone()),
                    total: costs.map(of),
                    title: product.title.clone(),
                    tax_class: product.tax_class.clone(),
                    weight_grams: product.weight_grams,
                    category: product.category.clone(),
                });
            }
        }
    }
    let (order_id, cart_id) = (c.order_id.clone(), state.cart_id.clone());
    if !unavailable.is_empty() {
        return Decision::event(OrderRejecting { order_id, cart_id, reason: UNAVAILABLE.to_owned(), unavailable, ..Default::default() });
    }
    if total != Some(expected.minor_units) {
        let (reason, now) = (PRICES_CHANGED.to_owned(), total.map(of));
        return Decision::event(OrderRejecting { order_id, cart_id, reason, now, expected: Some(expected), ..Default::default() });
    }
    if let Some(limits) = c.payment_limits.as_ref().filter(|limits| !takes(limits, expected.minor_units)) {
        let (reason, total, payment_limits) = (PAYMENT_NOT_TAKEN.to_owned(), Some(expected), Some(*limits));
        return Decision::event(OrderRejecting { order_id, cart_id, reason, total, payment_limits, ..Default::default() });
    }
    let allocate_by = context.after(&waits::ALLOCATION);
    // As long as the customer may pay, and longer.
    let hold_until = [waits::PAYMENT, waits::HOLD].iter().fold(allocate_by, |until, wait| context.after_from(until, wait));
    let at = |instant: Instant| Some(instant.to_proto());
    Decision::event(OrderPlaced {
        order_id,
        lines,
        delivery_price: Some(of(0)),
        total: Some(expected),
        country: state.shipping_address.as_ref().map(|address| address.country.clone()).unwrap_or_default(),
        attempt: ONLY_ATTEMPT,
        allocate_by: at(allocate_by),
        hold_until: at(hold_until),
    })
}

/// Whether a provider with these limits takes so much. What costs nothing is paid without one.
fn takes(limits: &PaymentLimits, minor_units: i64) -> bool {
    let is_within = minor_units >= limits.minimum && (limits.maximum == 0 || minor_units <= limits.maximum);
    minor_units == 0 || limits.taken && is_within && minor_units % limits.step.max(1) == 0
}

/// The product of a line and the price of a piece; or how many pieces one order may have of it, where those are fewer than the line has.
fn offer<'a>(products: &'a [ProductRead], line: &OrderLine, currency: &str) -> Result<(&'a ProductRead, &'a Money), u32> {
    let product = products.iter().find(|product| product.sku == line.sku && product.found).ok_or(0_u32)?;
    let price = product.price.as_ref().filter(|price| price.currency == currency).ok_or(0_u32)?;
    match product.max_per_order {
        limit if limit > 0 && line.quantity > limit => Err(limit),
        _ => Ok((product, price)),
    }
}
