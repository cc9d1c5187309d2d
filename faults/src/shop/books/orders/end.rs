//! At the end all is quiet: orders beside their payments, shipments and stocks.

use std::collections::BTreeMap;

use super::order::{Asked, Order};
use super::payment::Payment;
use super::pieces::{Pieces, add, number, pieces, text, without};
use super::{AT_THE_END, Trade};
use crate::judge::case::Case;
use crate::judge::rules::Rule;
use crate::judge::verdict::Findings;
use crate::shop::books::folded::Folded;
use crate::shop::books::processes;
use crate::shop::books::stock::Kept;
use crate::shop::rules::orders as rules;

/// Every rule of the end.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    let nothing = Payment::default();
    for (id, order) in trade.orders.iter().filter(|(_, order)| order.is_there()) {
        let payment = trade.payments.get(id).unwrap_or(&nothing);
        let mut check = |rule: Rule, holds: bool, what: String| {
            findings.check(rule, AT_THE_END, holds, || (format!("order {id}: {what}"), vec![format!("{order:?}"), format!("{payment:?}")]))
        };
        check(rules::ORDER_UNFINISHED, order.is_over(), format!("it is {} for ever", order.status()));
        let unanswered = payment.unanswered();
        check(rules::ASK_ANSWERED, unanswered.is_empty(), format!("{unanswered:?} have no answer"));
        of_its_payment(order, payment, &mut check);
        money(order, payment, &mut check);
    }
    shipments(case, trade, findings);
    stocks(case, folded, trade, findings);
}

/// `payment-unlike-order`: it is paid by an authorisation, what it has asked for is what was asked of the payment, and what it says has
/// come of that is what has. A payment that was given up answers what the order does not wait for any more.
fn of_its_payment(order: &Order, payment: &Payment, check: &mut impl FnMut(Rule, bool, String) -> bool) {
    let is_paid = !order.paid || order.total == 0 || payment.authorised >= order.total;
    check(rules::PAYMENT_UNLIKE_ORDER, is_paid, format!("it is paid, and {} of {} is authorised", payment.authorised, order.total));
    for (what, own, theirs) in [("captures", &order.captures, &payment.captures), ("refunds", &order.refunds, &payment.refunds)] {
        let same = |(n, asked): (&i64, &Asked)| {
            own.get(n)
                .is_some_and(|own| own.amount == asked.amount && (own.done == asked.done || (own.done.is_none() && order.is_undone())))
        };
        let holds = own.len() == theirs.len() && theirs.iter().all(same);
        check(rules::PAYMENT_UNLIKE_ORDER, holds, format!("its {what} are {own:?}, its payment's {theirs:?}"));
    }
}

/// `authorisation-left`, `left-in-doubt`, `money-left`, `money-unlike-kept`. What the provider moved by itself, and what it would not, is told to staff.
fn money(order: &Order, payment: &Payment, check: &mut impl FnMut(Rule, bool, String) -> bool) {
    let failed = |of: &BTreeMap<i64, Asked>| of.values().filter(|asked| asked.done == Some(false)).map(|asked| asked.amount).sum::<i64>();
    // What the shop keeps, but for what it could not give back.
    let paid = payment.kept() - failed(&order.refunds);
    if order.is_completed() {
        let open = payment.open();
        // What could not be taken stays owed while the customer has its pieces, and may be tried again.
        let is_owed = failed(&payment.captures) > 0 && *order.cost_of_kept().end() > paid;
        check(rules::AUTHORISATION_LEFT, open.is_empty() || is_owed, format!("it is completed, and by {open:?} more may be taken"));
    }
    check(rules::LEFT_IN_DOUBT, !order.must_be_held, "its money is in doubt, and what has not left is not held".to_owned());
    if payment.deviated {
        return;
    }
    if order.is_undone() {
        let left = payment.left();
        check(rules::MONEY_LEFT, left.is_empty(), format!("it is {}, and the provider has {left:?}", order.status()));
    }
    if order.is_completed() {
        let (cost, kept) = (order.cost_of_kept(), payment.kept());
        let not_taken = failed(&order.captures);
        // What could not be taken is not given back: which pieces of it the customer has kept stands nowhere.
        let holds = if not_taken == 0 { cost.contains(&paid) } else { paid <= *cost.end() && paid + not_taken >= *cost.start() };
        check(rules::MONEY_UNLIKE_KEPT, holds, format!("the customer has pieces of {cost:?}, the shop {kept}"));
    }
}

/// An event of a shipment, and those of its order which tell it.
const TOLD_BY: [(&str, &[&str]); 4] = [
    ("ShipmentDispatched", &["OrderShipped"]),
    ("ShipmentDelivered", &["OrderDelivered", "OrderFound"]),
    ("ShipmentLost", &["OrderLost"]),
    ("ShipmentReturned", &["OrderReturnedToSender"]),
];

/// By order and number: how often, and with which pieces where they are said.
type Told<'w> = BTreeMap<(&'w str, i64), (usize, Pieces)>;

/// `shipment-unlike-order`. An order may hear in two parts of what has left.
fn shipments(case: &Case<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    let told = |kinds: &[&str]| {
        let mut told: Told<'_> = Told::new();
        for at in case.written.iter().filter(|at| kinds.contains(&at.kind())) {
            let (count, of) = told.entry((text(&at.json, "orderId"), number(&at.json, "number"))).or_default();
            *count += 1;
            add(of, &pieces(&at.json, "lines"));
        }
        told
    };
    let mut differs = |(order, n): (&str, i64), holds: bool, what: String| {
        findings.check(rules::SHIPMENT_UNLIKE_ORDER, AT_THE_END, holds, || {
            (
                format!("shipment {n} of order {order}: {what}"),
                trade.orders.get(order).map(|order| format!("{order:?}")).into_iter().collect(),
            )
        });
    };
    for (theirs, ours) in TOLD_BY {
        let (by_shipment, by_order) = (told(&[theirs]), told(ours));
        for (place, (count, of)) in &by_shipment {
            let own = by_order.get(place);
            let same = own.is_some_and(|(_, own)| theirs != "ShipmentDispatched" || own == of);
            differs(*place, *count == 1 && same, format!("{count} {theirs} of {of:?}, {ours:?}: {own:?}"));
        }
        for (place, (count, _)) in &by_order {
            let once = *count == 1 || theirs == "ShipmentDispatched";
            differs(*place, once && by_shipment.contains_key(place), format!("{count} {ours:?}, {theirs}: {:?}", by_shipment.get(place)));
        }
    }
    let created = told(&["ShipmentCreated"]);
    for (id, order) in &trade.orders {
        for (n, parcel) in &order.parcels {
            // One that was cancelled as a whole before it was there is none.
            let holds = parcel.pieces.is_empty() || created.contains_key(&(*id, *n));
            differs((id, *n), holds, format!("there is none for {:?}", parcel.pieces));
        }
    }
}

/// By SKU and warehouse, and order.
type ByOrder<'w> = BTreeMap<(String, &'w str), i64>;

/// `hold-unlike-order`, `commit-unlike-order`, `restock-unlike-order`.
fn stocks(case: &Case<'_>, folded: &Folded<'_>, trade: &Trade<'_>, findings: &mut Findings) {
    let (mut to_send, mut sent): (ByOrder<'_>, ByOrder<'_>) = (ByOrder::new(), ByOrder::new());
    let mut restocked: BTreeMap<String, i64> = BTreeMap::new();
    for (id, order) in &trade.orders {
        for parcel in order.parcels.values() {
            let left = if order.is_over() { Pieces::new() } else { without(&parcel.pieces, &parcel.sent) };
            for (of, pieces) in [(&mut sent, &parcel.sent), (&mut to_send, &left)] {
                for (sku, quantity) in pieces {
                    *of.entry((format!("{sku}@{}", parcel.warehouse), id)).or_default() += quantity;
                }
            }
        }
        for ((sku, warehouse), quantity) in &order.restocked {
            *restocked.entry(format!("{sku}@{warehouse}")).or_default() += quantity;
        }
    }
    let (mut held, mut committed): (ByOrder<'_>, ByOrder<'_>) = (ByOrder::new(), ByOrder::new());
    for (key, shelves) in &folded.shelves {
        let places = case.streams.get(&(shelves.story.service, shelves.story.stream)).map(Vec::as_slice).unwrap_or_default();
        let events = || places.iter().map(|n| &case.written[*n]);
        for (order, quantity) in Kept::after(events()).held() {
            held.insert(((*key).to_owned(), order), quantity);
        }
        let mut back = 0;
        for at in events() {
            let quantity = number(&at.json, "quantity");
            match at.kind() {
                "StockCommitted" => *committed.entry(((*key).to_owned(), text(&at.json, "orderId"))).or_default() += quantity,
                "StockReceived" if processes::is_of_one(at) => back += quantity,
                _ => {}
            }
        }
        let should_be = restocked.remove(*key).unwrap_or_default();
        findings.check(rules::RESTOCK_UNLIKE_ORDER, AT_THE_END, back == should_be, || {
            (format!("stock {key}: {back} pieces are back, orders took back {should_be}"), Vec::from([shelves.story.line()]))
        });
    }
    for (key, quantity) in restocked {
        findings.check(rules::RESTOCK_UNLIKE_ORDER, AT_THE_END, false, || {
            (format!("stock {key}: orders took back {quantity} pieces, and there is no such stock"), vec![key.clone()])
        });
    }
    let mut compare = |rule: Rule, own: &ByOrder<'_>, theirs: &ByOrder<'_>, what: &str| {
        for (place, wanted) in own.iter().map(|(place, n)| (place, *n)).chain(theirs.keys().map(|place| (place, 0))) {
            let (key, order) = place;
            // Clients reserve under orders that there are not.
            let Some(known) = trade.orders.get(order).filter(|known| known.is_there()) else { continue };
            let wanted = own.get(place).copied().unwrap_or(wanted);
            let found = theirs.get(place).copied().unwrap_or_default();
            findings.check(rule, AT_THE_END, found == wanted, || {
                (format!("stock {key}: {found} pieces of order {order} {what}, by the order {wanted}"), vec![format!("{known:?}")])
            });
        }
    };
    // Every pair is looked at, held or not: what has ended holds nothing.
    let ended: ByOrder<'_> =
        committed.keys().chain(held.keys()).map(|place| (place.clone(), to_send.get(place).copied().unwrap_or_default())).collect();
    let all = to_send.into_iter().chain(ended).collect();
    compare(rules::HOLD_UNLIKE_ORDER, &all, &held, "are held");
    compare(rules::COMMIT_UNLIKE_ORDER, &sent, &committed, "left the shelf");
}
