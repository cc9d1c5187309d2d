//! The books of those outside beside ours. They tell them by `GET /books`: the provider of each payment its id, its order, what it authorised,
//! captured, voided and refunded, and each idempotency key with its operation, what it was asked with, and what came of it; the carrier of
//! each parcel its order, the number of its shipment, and its tracking number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::payment::{Object, Operation};
use super::pieces::{number, text};
use super::{AT_THE_END, Trade};
use crate::judge::case::{Case, Written};
use crate::judge::verdict::Findings;
use crate::shop::names::{CARRIER, PROVIDER};
use crate::shop::rules::orders as rules;

/// The list of payments in the books, whatever it is wrapped in.
fn payments(books: &Value) -> impl Iterator<Item = &Value> {
    let list = books.as_array().or_else(|| books["payments"].as_array());
    list.into_iter().flatten()
}

/// A payment's order.
fn order_of(payment: &Value) -> &str {
    ["order", "orderId"].iter().map(|field| text(payment, field)).find(|order| !order.is_empty()).unwrap_or_default()
}

/// The keys of a payment by which this operation was done, and the amounts that they were asked with.
fn done<'b>(payment: &'b Value, operation: &'b str) -> impl Iterator<Item = i64> {
    let keys = payment["keys"].as_array().into_iter().flatten();
    let of_it = keys.filter(move |key| text(key, "operation") == operation && key["status"] == 200);
    of_it.map(|key| number(&key["asked"], "amount"))
}

/// Every rule of those outside.
pub(super) fn judge(case: &Case<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    payments_are_equal(case, trade, findings);
    parcels_are_equal(case, findings);
}

/// `carrier-differs`: each parcel is of a shipment that has its label, and no shipment has two.
fn parcels_are_equal(case: &Case<'_>, findings: &mut Findings) {
    let Some(parcels) = case.evidence.outside.get(CARRIER).and_then(|books| books["parcels"].as_array()) else { return };
    let place = |of: &'_ Value| (text(of, "orderId").to_owned(), number(of, "number"), text(of, "tracking").to_owned());
    let theirs: Vec<_> = parcels.iter().map(place).collect();
    let mut ours = Vec::new();
    for at in case.written.iter().filter(|at| at.kind() == "ShipmentLabelled") {
        ours.push(place(&at.json));
        let holds = theirs.contains(&place(&at.json));
        findings.check(rules::CARRIER_DIFFERS, at.event.recorded_at, holds, || {
            (format!("{} has a label of which the carrier does not know", at.event.stream_id), vec![at.line()])
        });
    }
    for parcel in &theirs {
        let of_it = theirs.iter().filter(|other| (&other.0, other.1) == (&parcel.0, parcel.1));
        findings.check(rules::CARRIER_DIFFERS, AT_THE_END, ours.contains(parcel) && of_it.count() == 1, || {
            let all = parcels.iter().filter(|told| text(told, "orderId") == parcel.0).map(Value::to_string);
            (format!("the carrier has a parcel {parcel:?}, which our books do not have, or two of one shipment"), all.collect())
        });
    }
}

/// `provider-differs`, `money-moved-twice`.
fn payments_are_equal(case: &Case<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    let Some(books) = case.evidence.outside.get(PROVIDER) else { return };
    let mut known: BTreeMap<&str, (&str, &Object)> = BTreeMap::new();
    for (order, payment) in &trade.payments {
        known.extend(payment.objects.iter().map(|(id, object)| (id.as_str(), (*order, object))));
    }
    let mut told = BTreeSet::new();
    for theirs in payments(books) {
        let (id, order) = (text(theirs, "id"), order_of(theirs));
        told.insert(id);
        let own = known.get(id);
        let same = own.is_some_and(|(of, object)| {
            let amounts = [("authorised", object.authorised), ("captured", object.captured), ("refunded", object.refunded)];
            *of == order && amounts.iter().all(|(field, amount)| number(theirs, field) == *amount)
        });
        findings.check(rules::PROVIDER_DIFFERS, AT_THE_END, same, || {
            (format!("payment {id} of order {order} is {own:?} in our books"), vec![theirs.to_string()])
        });
        moved_once(case, trade, theirs, findings);
    }
    for (id, (order, object)) in known.iter().filter(|(id, _)| !told.contains(*id)) {
        findings.check(rules::PROVIDER_DIFFERS, AT_THE_END, false, || {
            (format!("payment {id} of order {order} is {object:?} in our books, and the provider has none"), vec![books.to_string()])
        });
    }
}

/// Money moves once an ask, also where it is asked again, and no key of money is of nobody's ask. An ask that a restore took away
/// counts: its money has moved, whether or not the order has come to ask for it again.
fn moved_once(case: &Case<'_>, trade: &Trade<'_>, theirs: &Value, findings: &mut Findings) {
    let (id, order) = (text(theirs, "id"), order_of(theirs));
    let Some(payment) = trade.payments.get(order) else { return };
    let is_lost_ask = |at: &&Written<'_>| at.kind() == "ProviderAsked" && at.event.stream_id.strip_prefix("payment/") == Some(order);
    let lost: Vec<Operation> = case.void.iter().map(|(at, _)| at).filter(is_lost_ask).map(|at| Operation::of(&at.json)).collect();
    for (operation, field) in [("capture", "captured"), ("refund", "refunded")] {
        let name = operation.to_uppercase();
        let of_it = payment.operations.values().chain(&lost).filter(|asked| asked.name == name && asked.object == id);
        let mut asked: BTreeMap<_, i64> = BTreeMap::new();
        for ask in of_it {
            let amount = asked.entry((ask.undo, ask.number)).or_default();
            *amount = ask.amount.max(*amount);
        }
        let (count, sum) = (asked.len(), asked.values().sum::<i64>());
        let (keys, by_keys) = done(theirs, operation).fold((0, 0), |(count, sum), amount| (count + 1, sum + amount));
        let moved = number(theirs, field);
        findings.check(rules::MONEY_MOVED_TWICE, AT_THE_END, moved == by_keys && moved <= sum && keys <= count, || {
            let what = format!("payment {id}: {field} {moved}, by {keys} keys {by_keys}, asked for were {sum} by {count}");
            (what, vec![theirs.to_string()])
        });
    }
}
