//! The provider's own books beside ours. It tells them by `GET /books`: of each payment its id, its order, what it authorised, captured,
//! voided and refunded, and each idempotency key with its operation and how often it was called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::payment::Object;
use super::pieces::{number, text};
use super::{AT_THE_END, Trade};
use crate::judge::case::Case;
use crate::judge::verdict::Findings;
use crate::shop::names::PROVIDER;
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

/// The operation of each of a payment's keys, in capitals.
fn operations(payment: &Value) -> Vec<String> {
    let keys = &payment["keys"];
    let all: Vec<&Value> = match keys {
        Value::Array(list) => list.iter().collect(),
        Value::Object(by_key) => by_key.values().collect(),
        _ => Vec::new(),
    };
    all.into_iter().map(|key| text(key, "operation").to_uppercase()).collect()
}

/// `provider-differs`, `money-moved-twice`.
pub(super) fn judge(case: &Case<'_>, trade: &Trade<'_>, findings: &mut Findings) {
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
        moved_once(trade, theirs, findings);
    }
    for (id, (order, object)) in known.iter().filter(|(id, _)| !told.contains(*id)) {
        findings.check(rules::PROVIDER_DIFFERS, AT_THE_END, false, || {
            (format!("payment {id} of order {order} is {object:?} in our books, and the provider has none"), vec![books.to_string()])
        });
    }
}

/// Money moves once an ask, and no key of money is of nobody's ask.
fn moved_once(trade: &Trade<'_>, theirs: &Value, findings: &mut Findings) {
    let (id, order) = (text(theirs, "id"), order_of(theirs));
    let Some(payment) = trade.payments.get(order) else { return };
    for (operation, field) in [("CAPTURE", "captured"), ("REFUND", "refunded")] {
        let asked = payment.operations.values().filter(|asked| asked.name == operation && asked.object == id);
        let (count, sum) = asked.fold((0, 0), |(count, sum), asked| (count + 1, sum + asked.amount));
        let keys = operations(theirs).iter().filter(|name| *name == operation).count();
        let moved = number(theirs, field);
        findings.check(rules::MONEY_MOVED_TWICE, AT_THE_END, moved <= sum && keys <= count, || {
            (format!("payment {id}: {field} {moved} by {keys} keys, asked for were {sum} by {count}"), vec![theirs.to_string()])
        });
    }
}
