//! One order, folded from its stream, event by event.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::Looked;
use super::pieces::{Pieces, add, cost, each, is_of, number, pieces, text, units, without};
use crate::judge::case::Written;
use crate::shop::rules::orders as rules;

/// The beginning of a status in JSON.
const STATUS: &str = "ORDER_STATUS_";
/// Where an order may still be given up as a whole before it is the customer's.
const BEFORE_CONFIRMED: [&str; 5] = ["OPENED", "PLACED", "ALLOCATED", "AWAITING_PAYMENT", "ACTION_REQUIRED"];
/// Where its pieces leave.
const LEAVING: [&str; 5] = ["CONFIRMED", "PARTLY_SHIPPED", "SHIPPED", "DELIVERED", "CANCELLING"];

/// Pieces that leave a warehouse together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) warehouse: String,
    /// Those that were not cancelled.
    pub(super) pieces: Pieces,
    /// Of these, those that have left.
    pub(super) sent: Pieces,
    /// The event that told its end; empty: it has none.
    pub(super) end: String,
}

impl Parcel {
    pub(super) fn has_left(&self) -> bool {
        !self.sent.is_empty()
    }
}

/// Money that was asked for, and what came of it: nothing yet, done, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) amount: i64,
    pub(super) done: Option<bool>,
}

/// The state of an order's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::shop::books) struct Order {
    /// As OrderStatus says it, without the beginning; empty: there is none.
    status: String,
    customer: String,
    reason: String,
    pub(super) cart: String,
    pub(super) ordered: Pieces,
    expected: i64,
    /// Of each line.
    totals: BTreeMap<String, i64>,
    pub(super) total: i64,
    delivery: i64,
    pub(super) paid: bool,
    captures_once: bool,
    /// By number.
    pub(super) parcels: BTreeMap<i64, Parcel>,
    returned: Pieces,
    /// Pieces that were lost and arrived all the same, and are still the customer's: their money was given back when they were lost.
    found: Pieces,
    /// Pieces that are back on a shelf, by SKU and warehouse.
    pub(super) restocked: BTreeMap<(String, String), i64>,
    /// By number.
    pub(super) captures: BTreeMap<i64, Asked>,
    pub(super) refunds: BTreeMap<i64, Asked>,
    /// Captures, and what is given back of them once they are done.
    owed: Vec<(i64, i64)>,
    held: bool,
    /// Money that was given back, and not by us.
    disputed: i64,
    /// What has not left is to be held before anything else happens: its money is in doubt.
    pub(super) must_be_held: bool,
}

impl Order {
    /// After one more event.
    pub(in crate::shop::books) fn after(&self, at: &Written<'_>) -> Self {
        let mut next = self.clone();
        next.book(at, &mut Vec::new());
        next
    }

    /// Whether it will never change but for what comes back.
    pub(super) fn is_over(&self) -> bool {
        ["COMPLETED", "CANCELLED", "REJECTED"].contains(&self.status.as_str())
    }

    pub(super) fn is_undone(&self) -> bool {
        ["CANCELLED", "REJECTED"].contains(&self.status.as_str())
    }

    pub(super) fn is_completed(&self) -> bool {
        self.status == "COMPLETED"
    }

    pub(super) fn status(&self) -> &str {
        &self.status
    }

    /// Whether there is an order, and a page of `orders` shows it as it is.
    pub(in crate::shop::books) fn is_page(&self, page: &Value) -> bool {
        let taken = |of: &BTreeMap<i64, Asked>| of.values().filter(|asked| asked.done == Some(true)).map(|asked| asked.amount).sum::<i64>();
        self.is_there()
            && page["status"] == format!("{STATUS}{}", self.status)
            && page["customerId"] == self.customer
            && page["reason"] == self.reason
            && pieces(page, "lines") == self.ordered
            && units(&page["captured"]) == taken(&self.captures)
            && units(&page["refunded"]) == taken(&self.refunds)
    }

    pub(in crate::shop::books) fn is_there(&self) -> bool {
        !self.status.is_empty()
    }

    /// As a text for people.
    pub(in crate::shop::books) fn told(&self) -> Value {
        format!("{self:?}").into()
    }

    /// What these pieces cost, at the least and at the most.
    fn cost(&self, some: &Pieces) -> RangeInclusive<i64> {
        let each = some.iter().map(|(sku, quantity)| {
            let (total, of) = (self.totals.get(sku).copied().unwrap_or_default(), self.ordered.get(sku).copied().unwrap_or_default());
            cost(total, of, (*quantity).clamp(0, of))
        });
        each.fold(0..=0, |sum, of| sum.start() + of.start()..=sum.end() + of.end())
    }

    /// Pieces that are the customer's: those that arrived and did not come back.
    fn at_the_customers(&self) -> Pieces {
        let mut there = Pieces::new();
        self.parcels.values().filter(|parcel| parcel.end == "OrderDelivered").for_each(|parcel| add(&mut there, &parcel.sent));
        without(&there, &self.returned)
    }

    /// What the pieces cost that the customer has and has paid for, at the least and at the most, and the delivery.
    pub(super) fn cost_of_kept(&self) -> RangeInclusive<i64> {
        let of = self.cost(&without(&self.at_the_customers(), &self.found));
        let delivery = if self.parcels.values().any(Parcel::has_left) { self.delivery } else { 0 };
        of.start() + delivery..=of.end() + delivery
    }

    /// Whether an event is possible where the order stands.
    fn may(&self, kind: &str) -> bool {
        let status = self.status.as_str();
        let one_of = |these: &[&str]| these.contains(&status);
        match kind {
            "OrderOpened" => status.is_empty(),
            "OrderPlaced" => status == "OPENED",
            "OrderAllocated" => status == "PLACED",
            "OrderAwaitingPayment" => one_of(&["ALLOCATED", "AWAITING_PAYMENT", "ACTION_REQUIRED"]),
            "OrderActionRequired" | "OrderPaymentDeclined" => one_of(&["AWAITING_PAYMENT", "ACTION_REQUIRED"]),
            "OrderPaid" => one_of(&["ALLOCATED", "AWAITING_PAYMENT", "ACTION_REQUIRED"]),
            "OrderConfirmed" => status == "ALLOCATED" && (self.paid || self.total == 0),
            // What was lost may come back when all is over.
            "OrderReturnedToSender" => one_of(&LEAVING) || status == "COMPLETED",
            "OrderShipped" | "OrderDelivered" | "OrderLost" | "OrderLinesCancelled" => one_of(&LEAVING),
            "OrderCompleted" => one_of(&LEAVING) && self.is_settled(),
            "OrderRejecting" => one_of(&BEFORE_CONFIRMED),
            "OrderRejected" => status == "REJECTING",
            "OrderCancelling" => one_of(&BEFORE_CONFIRMED) || status == "CONFIRMED",
            "OrderCancelled" => one_of(&BEFORE_CONFIRMED) || one_of(&["CONFIRMED", "CANCELLING"]),
            "OrderCaptureRetried" | "OrderRefundRetried" | "OrderFound" => one_of(&LEAVING) || status == "COMPLETED",
            "OrderReturned" => one_of(&["PARTLY_SHIPPED", "SHIPPED", "DELIVERED", "COMPLETED"]),
            _ => self.is_there(),
        }
    }

    /// Every piece has an end, and no money is on its way.
    fn is_settled(&self) -> bool {
        let mut open = self.captures.values().chain(self.refunds.values()).filter(|asked| asked.done.is_none());
        let has_end = |parcel: &Parcel| parcel.pieces == parcel.sent && (parcel.sent.is_empty() || !parcel.end.is_empty());
        open.next().is_none() && self.parcels.values().all(has_end)
    }

    /// Whether a parcel of it has still to leave, and may.
    fn may_leave(&self) -> bool {
        let is_sending = ["CONFIRMED", "PARTLY_SHIPPED"].contains(&self.status.as_str());
        is_sending && !self.held && self.parcels.values().any(|parcel| !parcel.pieces.is_empty() && !parcel.has_left())
    }

    /// Whether the one capture that the provider takes was asked for: of what leaves later nothing is missing.
    fn is_all_asked_for(&self) -> bool {
        self.captures_once && self.captures.last_key_value().is_some_and(|(_, asked)| asked.done != Some(false))
    }

    /// Books an event; what was looked at joins `looked`.
    pub(super) fn book(&mut self, at: &Written<'_>, looked: &mut Vec<Looked>) {
        let (kind, json) = (at.kind(), &at.json);
        looked.push((rules::ORDER_STEP, self.may(kind), format!("the order was {}, paid: {}", self.status, self.paid)));
        if std::mem::take(&mut self.must_be_held) {
            looked.push((
                rules::LEFT_IN_DOUBT,
                kind == "OrderHeld",
                format!("its money is in doubt, and what may leave is {:?}", self.parcels),
            ));
        }
        match kind {
            "OrderHeld" => self.held = true,
            "OrderHoldEnded" => self.held = false,
            "OrderAuthorisationLost" => self.must_be_held = self.may_leave() && !self.is_all_asked_for(),
            "OrderDisputed" => {
                let before = std::mem::replace(&mut self.disputed, units(&json["amount"]));
                self.must_be_held = self.disputed > before && self.may_leave();
            }
            "OrderOpened" => self.open(json),
            "OrderPlaced" => self.place(json, looked),
            "OrderAllocated" => self.allocated(json, looked),
            "OrderAwaitingPayment" => {
                let amount = units(&json["amount"]);
                looked.push((rules::MONEY_UNLIKE_PIECES, amount == self.total, format!("{amount} for {}", self.total)));
            }
            "OrderPaid" => {
                self.paid = true;
                self.captures_once = json["capturesOnce"] == true;
                // More than the total may be: no more than the pieces cost is taken.
                let authorised = units(&json["authorised"]);
                looked.push((rules::MONEY_UNLIKE_PIECES, authorised >= self.total, format!("{authorised} for {}", self.total)));
            }
            "OrderConfirmed" => self.confirm(json, looked),
            "OrderShipped" => self.ship(json, looked),
            "OrderLinesCancelled" => self.cancel(json, looked),
            "OrderDelivered" | "OrderLost" | "OrderReturnedToSender" => self.arrive(kind, json, looked),
            "OrderFound" => self.find(json, looked),
            "OrderReturned" => self.take_back(json, looked),
            "OrderRefundDue" => self.due(json, looked),
            "OrderCaptureRetried" => retried(&mut self.captures, number(json, "capture"), json, looked),
            "OrderRefundRetried" => retried(&mut self.refunds, number(json, "refund"), json, looked),
            "OrderCaptured" | "OrderCaptureFailed" => answered(&mut self.captures, json, kind == "OrderCaptured", looked),
            "OrderRefunded" | "OrderRefundFailed" => answered(&mut self.refunds, json, kind == "OrderRefunded", looked),
            "OrderRejecting" | "OrderCancelling" => text(json, "reason").clone_into(&mut self.reason),
            _ => {}
        }
        if let Some(status) = leads_to(kind, json) {
            status.clone_into(&mut self.status);
        }
    }

    fn open(&mut self, json: &Value) {
        let own = |field: &str| text(json, field).to_owned();
        (self.customer, self.cart) = (own("customerId"), own("cartId"));
        (self.ordered, self.expected) = (pieces(json, "lines"), units(&json["expectedTotal"]));
    }

    fn place(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let placed = pieces(json, "lines");
        looked.push((rules::ORDER_PIECES, placed == self.ordered, format!("{placed:?} of {:?}", self.ordered)));
        let mut sum = units(&json["deliveryPrice"]);
        let mut lines = true;
        for line in each(json, "lines") {
            let (total, quantity) = (units(&line["total"]), number(line, "quantity"));
            lines &= units(&line["price"]).checked_mul(quantity) == Some(total);
            sum += total;
            self.totals.insert(text(line, "sku").to_owned(), total);
        }
        (self.total, self.delivery) = (units(&json["total"]), units(&json["deliveryPrice"]));
        let holds = lines && sum == self.total && self.total == self.expected;
        looked.push((rules::ORDER_SUM, holds, format!("the lines add up to {sum} of {}, {} was shown", self.total, self.expected)));
    }

    fn allocated(&self, json: &Value, looked: &mut Vec<Looked>) {
        let held = pieces(json, "holds");
        looked.push((rules::ORDER_PIECES, held == self.ordered, format!("{held:?} of {:?}", self.ordered)));
    }

    fn confirm(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let mut planned = Pieces::new();
        let mut each_once = true;
        for parcel in each(json, "shipments") {
            let (warehouse, pieces) = (text(parcel, "warehouse").to_owned(), pieces(parcel, "lines"));
            add(&mut planned, &pieces);
            each_once &= self.parcels.insert(number(parcel, "number"), Parcel { warehouse, pieces, ..Parcel::default() }).is_none();
        }
        looked.push((rules::ORDER_PIECES, each_once && planned == self.ordered, format!("{planned:?} of {:?}", self.ordered)));
    }

    fn ship(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let (sent, first) = (pieces(json, "lines"), !self.parcels.values().any(Parcel::has_left));
        let (capture, amount) = (number(json, "capture"), units(&json["amount"]));
        // One capture only: it takes all that is not cancelled.
        let all: Pieces = self.parcels.values().fold(Pieces::new(), |mut all, parcel| {
            add(&mut all, &parcel.pieces);
            all
        });
        let parcel = self.parcels.entry(number(json, "number")).or_default();
        // Pieces of which the order hears late that they had left follow the others.
        let there = without(&parcel.pieces, &parcel.sent);
        let holds = is_of(&sent, &there) && parcel.warehouse == text(json, "warehouse");
        looked.push((rules::ORDER_PIECES, holds, format!("{sent:?} left, in the shipment were {there:?}")));
        add(&mut parcel.sent, &sent);
        let of = match (self.captures_once, first) {
            (false, _) => self.cost(&sent),
            (true, true) => self.cost(&all),
            (true, false) => 0..=0,
        };
        let delivery = if first { self.delivery } else { 0 };
        let holds = (of.start() + delivery..=of.end() + delivery).contains(&amount);
        looked.push((rules::MONEY_UNLIKE_PIECES, holds, format!("{amount} is taken for {of:?} and {delivery}")));
        ask(&mut self.captures, capture, amount, looked);
    }

    fn cancel(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let gone = pieces(json, "lines");
        let was_taken = self.captures_once && !self.captures.is_empty();
        let of = if was_taken { self.cost(&gone) } else { 0..=0 };
        let parcel = self.parcels.entry(number(json, "number")).or_default();
        let there = without(&parcel.pieces, &parcel.sent);
        looked.push((rules::ORDER_PIECES, is_of(&gone, &there), format!("{gone:?} will not leave, there were {there:?}")));
        parcel.pieces = without(&parcel.pieces, &gone);
        self.refund(json, &of, looked);
    }

    fn arrive(&mut self, kind: &str, json: &Value, looked: &mut Vec<Looked>) {
        let (of, place) = (pieces(json, "lines"), text(json, "warehouse"));
        let parcel = self.parcels.entry(number(json, "number")).or_default();
        // Pieces of which the order hears late that they were in it have the same end.
        let is_first = parcel.end.is_empty() && parcel.sent == of;
        // What was lost comes back: its money was given back then.
        let was_lost = parcel.end == "OrderLost" && kind == "OrderReturnedToSender";
        let holds = is_first && (parcel.has_left() || of.is_empty()) || (parcel.end == kind || was_lost) && is_of(&of, &parcel.sent);
        looked.push((rules::ORDER_PIECES, holds, format!("{of:?}, {:?} had left, {}", parcel.sent, parcel.end)));
        kind.clone_into(&mut parcel.end);
        if kind == "OrderDelivered" {
            return;
        }
        if kind == "OrderReturnedToSender" {
            for (sku, quantity) in &of {
                *self.restocked.entry((sku.clone(), place.to_owned())).or_default() += quantity;
            }
        }
        let of = if was_lost { 0..=0 } else { self.cost(&of) };
        self.refund(json, &of, looked);
    }

    /// What was lost has arrived all the same: all of it, once.
    fn find(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let found = pieces(json, "lines");
        let parcel = self.parcels.entry(number(json, "number")).or_default();
        let holds = parcel.end == "OrderLost" && found == parcel.sent;
        looked.push((rules::ORDER_PIECES, holds, format!("{found:?} were found, {:?} had left, {}", parcel.sent, parcel.end)));
        "OrderDelivered".clone_into(&mut parcel.end);
        add(&mut self.found, &found);
    }

    fn take_back(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let (back, there) = (pieces(json, "lines"), self.at_the_customers());
        looked.push((rules::ORDER_PIECES, is_of(&back, &there), format!("{back:?} of {there:?} came back")));
        add(&mut self.returned, &back);
        if json["condition"] == "RESALABLE" {
            for line in each(json, "lines") {
                let place = (text(line, "sku").to_owned(), text(line, "warehouse").to_owned());
                *self.restocked.entry(place).or_default() += number(line, "quantity");
            }
        }
        // Those that were found come first, and are not paid back a second time.
        let free: Pieces = back.iter().map(|(sku, n)| (sku.clone(), self.found.get(sku).copied().unwrap_or_default().min(*n))).collect();
        self.found = without(&self.found, &free);
        let of = self.cost(&without(&back, &free));
        self.refund(json, &of, looked);
    }

    fn refund(&mut self, json: &Value, of: &RangeInclusive<i64>, looked: &mut Vec<Looked>) {
        let amount = if number(json, "refund") == 0 { 0 } else { units(&json["amount"]) };
        let owed: Vec<(i64, i64)> = each(json, "owed").map(|due| (number(due, "capture"), units(&due["amount"]))).collect();
        let all = amount + owed.iter().map(|(_, amount)| amount).sum::<i64>();
        // What could not be taken is not given back.
        let has_failed = self.captures.values().any(|asked| asked.done == Some(false));
        let holds = of.contains(&all) || (has_failed && all <= *of.end());
        looked.push((rules::MONEY_UNLIKE_PIECES, holds, format!("{amount} is given back, and {owed:?} owed, for {of:?}")));
        self.owed.extend(owed);
        ask(&mut self.refunds, number(json, "refund"), amount, looked);
    }

    /// What was owed is given back, now that it is taken.
    fn due(&mut self, json: &Value, looked: &mut Vec<Looked>) {
        let due = (number(json, "capture"), units(&json["amount"]));
        let is_taken = self.captures.get(&due.0).is_some_and(|asked| asked.done == Some(true));
        let place = self.owed.iter().position(|owed| *owed == due);
        looked.push((rules::MONEY_UNLIKE_PIECES, is_taken && place.is_some(), format!("{due:?} is due of {:?}", self.owed)));
        if let Some(place) = place {
            self.owed.remove(place);
        }
        ask(&mut self.refunds, number(json, "refund"), due.1, looked);
    }
}

/// Where an order stands after an event; none: where it stood before.
fn leads_to<'j>(kind: &str, json: &'j Value) -> Option<&'j str> {
    Some(match kind {
        "OrderOpened" => "OPENED",
        "OrderPlaced" => "PLACED",
        "OrderAllocated" | "OrderPaid" => "ALLOCATED",
        "OrderAwaitingPayment" | "OrderPaymentDeclined" => "AWAITING_PAYMENT",
        "OrderActionRequired" => "ACTION_REQUIRED",
        "OrderConfirmed" => "CONFIRMED",
        "OrderCompleted" => "COMPLETED",
        "OrderRejecting" => "REJECTING",
        "OrderRejected" => "REJECTED",
        "OrderCancelling" => "CANCELLING",
        "OrderCancelled" => "CANCELLED",
        "OrderShipped" | "OrderDelivered" | "OrderLost" | "OrderReturnedToSender" | "OrderLinesCancelled" => {
            text(json, "status").strip_prefix(STATUS)?
        }
        _ => return None,
    })
}

/// Notes an ask for money: nothing is not asked for.
fn ask(asks: &mut BTreeMap<i64, Asked>, number: i64, amount: i64, looked: &mut Vec<Looked>) {
    looked.push((rules::ASK_ANSWERED, (number == 0) == (amount == 0), format!("ask {number} of {amount}")));
    if number > 0 {
        note(asks, number, amount, looked);
    }
}

/// Notes an ask: numbers rise.
fn note(asks: &mut BTreeMap<i64, Asked>, number: i64, amount: i64, looked: &mut Vec<Looked>) {
    let last = asks.keys().next_back();
    let holds = amount >= 0 && last.is_none_or(|last| number > *last);
    looked.push((rules::ASK_ANSWERED, holds, format!("ask {number} of {amount}, behind {last:?}")));
    asks.insert(number, Asked { amount, done: None });
}

/// Notes that what has failed is asked for again: no more than that, be it nothing, under a number of its own. What has failed is it no more.
fn retried(asks: &mut BTreeMap<i64, Asked>, again: i64, json: &Value, looked: &mut Vec<Looked>) {
    let (failed, amount) = (number(json, "failed"), units(&json["amount"]));
    let before = asks.get_mut(&failed);
    let holds = before.as_ref().is_some_and(|asked| asked.done == Some(false) && asked.amount >= amount);
    looked.push((rules::ASK_ANSWERED, holds, format!("{amount} of {failed}, which was {before:?}, is asked for again")));
    if let Some(before) = before {
        before.amount = 0;
    }
    note(asks, again, amount, looked);
}

/// Notes what came of an ask: once, of its amount.
fn answered(asks: &mut BTreeMap<i64, Asked>, json: &Value, done: bool, looked: &mut Vec<Looked>) {
    let (number, amount) = (number(json, "number"), units(&json["amount"]));
    let asked = asks.get_mut(&number);
    let holds = asked.as_ref().is_some_and(|asked| asked.done.is_none() && asked.amount == amount);
    looked.push((rules::ASK_ANSWERED, holds, format!("{amount} for {number}, which was {asked:?}")));
    if let Some(asked) = asked {
        asked.done = Some(done);
    }
}
