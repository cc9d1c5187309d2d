//! The books of orders and of all that they set going: payments, allocations, shipments, carts. From the events alone, by own arithmetic.
//! Sources: the heads and comments of `proto/shop/{order,payment,shipping,inventory,cart}`.
//!
//! Each stream is looked at event by event; at the end, when every process has come to rest and clients have brought every order to an end,
//! the streams are held against each other, and against the provider's own books.

mod carts;
mod deadlines;
mod end;
pub(super) mod order;
mod payment;
mod pieces;
mod provider;
mod shipment;

use std::collections::BTreeMap;

use super::folded::Folded;
use crate::judge::case::{Case, Written};
use crate::judge::rules::Rule;
use crate::judge::verdict::Findings;
use order::Order;
use payment::Payment;
use shipment::Shipment;

/// What was looked at in booking an event: the rule, whether it holds, and what is so.
pub(super) type Looked = (Rule, bool, String);

/// At the end: behind every event.
const AT_THE_END: i64 = i64::MAX;

/// All that orders have come to.
struct Trade<'w> {
    /// By order id; those of other carts' refused tries are not among them.
    orders: BTreeMap<&'w str, Order>,
    /// By order id.
    payments: BTreeMap<&'w str, Payment>,
}

/// Every rule of orders.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    let trade = Trade {
        orders: of_streams(case, "order/", Order::book, findings),
        payments: of_streams(
            case,
            "payment/",
            |payment: &mut Payment, at, looked| payment.book(at, case.is_of_the_void(at), looked),
            findings,
        ),
    };
    of_streams(case, "shipment/", Shipment::book, findings);
    deadlines::judge(case, findings);
    carts::judge(case, &trade, findings);
    if !case.evidence.under_way {
        end::judge(case, folded, &trade, findings);
        provider::judge(case, &trade, findings);
    }
}

/// Books every event of an aggregate's streams, and tells what was looked at.
fn of_streams<'w, T: Default>(
    case: &'w Case<'_>,
    aggregate: &str,
    mut book: impl FnMut(&mut T, &Written<'_>, &mut Vec<Looked>),
    findings: &mut Findings,
) -> BTreeMap<&'w str, T> {
    let mut all = BTreeMap::new();
    let mut looked = Vec::new();
    for ((service, stream), places) in &case.streams {
        let Some(id) = stream.strip_prefix(aggregate) else { continue };
        let state: &mut T = all.entry(id).or_default();
        for at in places.iter().map(|n| &case.written[*n]) {
            book(state, at, &mut looked);
            for (rule, holds, what) in looked.drain(..) {
                let place = format!("{service} {stream} version {}", at.event.version);
                findings.check(rule, at.event.recorded_at, holds, || (format!("{place}, {}: {what}", at.kind()), vec![at.line()]));
            }
        }
    }
    all
}
