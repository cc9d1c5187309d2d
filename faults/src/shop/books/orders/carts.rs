//! Carts beside orders: a cart that is checked out makes one order.

use std::collections::{BTreeMap, BTreeSet};

use super::Trade;
use super::pieces::{Pieces, pieces, text};
use crate::judge::case::Case;
use crate::judge::verdict::Findings;
use crate::shop::rules::orders as rules;

/// `cart-orders`: until it is reopened or closed a cart is not checked out again, nor under an order that it had before; its order has its
/// lines; and an order is of a cart that was checked out under it. An order of another cart refuses it, and that cart is told.
pub(super) fn judge(case: &Case<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    let mut checked_out: BTreeMap<(&str, &str), Pieces> = BTreeMap::new();
    let mut refused: BTreeSet<(&str, &str)> = BTreeSet::new();
    for at in case.written.iter().filter(|at| at.kind() == "OrderOpeningRefused") {
        refused.insert((text(&at.json, "cartId"), text(&at.json, "orderId")));
    }
    for ((_, stream), places) in case.streams.iter().filter(|((_, stream), _)| stream.starts_with("cart/")) {
        let cart = stream.strip_prefix("cart/").unwrap_or_default();
        let mut under = "";
        for at in places.iter().map(|n| &case.written[*n]) {
            match at.kind() {
                "CartCheckedOut" => {
                    let order = text(&at.json, "orderId");
                    let is_first = checked_out.insert((cart, order), pieces(&at.json, "lines")).is_none();
                    findings.check(rules::CART_ORDERS, at.event.recorded_at, under.is_empty() && is_first, || {
                        (format!("{stream} is checked out under {order}, and was under {under:?}"), vec![at.line()])
                    });
                    under = order;
                    if case.evidence.under_way {
                        continue;
                    }
                    let order_is = trade.orders.get(order);
                    let holds = order_is.is_some_and(|order| order.cart == cart && order.ordered == pieces(&at.json, "lines"))
                        || refused.contains(&(cart, order));
                    findings.check(rules::CART_ORDERS, super::AT_THE_END, holds, || {
                        (format!("{stream} was checked out under {order}, which is {order_is:?}"), vec![at.line()])
                    });
                }
                "CartReopened" | "CartClosed" => under = "",
                _ => {}
            }
        }
    }
    for (id, order) in trade.orders.iter().filter(|(_, order)| order.is_there()) {
        let holds = checked_out.contains_key(&(order.cart.as_str(), *id));
        findings.check(rules::CART_ORDERS, super::AT_THE_END, holds, || {
            (format!("order {id} is of cart {}, which was not checked out under it", order.cart), vec![order.told().to_string()])
        });
    }
}
