//! Shipments that may not leave for now: staff says so, or their money is in doubt. Each reason holds them for itself: they leave when none is
//! left.

use daybook_kernel::{Decision, Instant};
use shop_proto::holds::{self, AUTHORISATION_ENDS, AUTHORISATION_LOST, DISPUTED, STAFF};
use shop_proto::order::v1::*;

use super::Order;
use super::paying::NOT_PAID;
use super::pieces;
use super::story::Story;

impl Story<'_> {
    fn open_shipments(&self) -> Vec<u32> {
        let has_some = |number: u32| pieces::count(&self.state, |run| run.shipment == number && pieces::is_here(run)) > 0;
        let open = self.state.shipments.iter().filter(|shipment| !shipment.dispatched && has_some(shipment.number));
        open.map(|shipment| shipment.number).collect()
    }

    fn is_held_for(&self, reason: &str) -> bool {
        self.state.holds.iter().any(|held| held == reason)
    }

    pub(super) fn hold(mut self, c: &HoldOrder) -> Decision<Order> {
        let numbers = self.open_shipments();
        match self.state.status() {
            OrderStatus::Unspecified => return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            _ if self.is_held_for(STAFF) => return Decision::nothing(),
            status if numbers.is_empty() || !self.is_confirmed() => {
                return Decision::refuse(NotHoldable { order_id: c.order_id.clone(), status: status.into() });
            }
            _ => {
                let (order_id, customer_id) = (self.order_id.clone(), self.state.customer_id.clone());
                self.tell(OrderHeld { order_id, numbers, reason: STAFF.to_owned(), explanation: c.reason.clone(), customer_id });
            }
        }
        self.told()
    }

    /// Staff's own hold, or the one that it names: of money in doubt staff may say that it is sent all the same.
    pub(super) fn end_hold(mut self, c: &EndOrderHold) -> Decision<Order> {
        if self.state.status() == OrderStatus::Unspecified {
            return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() });
        }
        self.let_go(if c.reason.is_empty() { STAFF } else { &c.reason });
        self.told()
    }

    /// This reason holds it no more, where it did.
    fn let_go(&mut self, reason: &str) {
        if !self.is_held_for(reason) {
            return;
        }
        let (order_id, numbers, left) = (self.order_id.clone(), self.open_shipments(), self.state.holds.clone());
        let left = left.into_iter().filter(|held| held != reason).collect();
        self.tell(OrderHoldEnded { order_id, numbers, reason: reason.to_owned(), left });
    }

    /// Holds what has not left, where something may still leave, also where it is held for something else.
    fn hold_for(&mut self, reason: &str) {
        let numbers = self.open_shipments();
        if self.is_confirmed() && !self.is_held_for(reason) && !numbers.is_empty() {
            let (order_id, customer_id) = (self.order_id.clone(), self.state.customer_id.clone());
            self.tell(OrderHeld { order_id, numbers, reason: reason.to_owned(), explanation: String::new(), customer_id });
        }
    }

    /// Whether the money of what has not left is taken, or asked for: with the one capture of a provider that takes no second.
    fn is_all_taken(&self) -> bool {
        let state = &self.state;
        state.captures_once && state.captures > 0 && !state.captures_failed.contains(&state.captures)
    }

    /// What has not left yet would leave without money. Where the one capture of all was asked for, nothing is missing.
    pub(super) fn authorisation_ends(mut self) -> Decision<Order> {
        if !self.is_all_taken() {
            self.hold_for(AUTHORISATION_ENDS);
        }
        self.told()
    }

    /// Nothing more can be taken. An order that is not the customer's yet will not be; of one that is, what has not left is held until staff
    /// cancels it, or sends it all the same.
    pub(super) fn authorisation_lost(mut self, c: &RecordAuthorisationLost) -> Decision<Order> {
        let is_known = self.state.authorisation_lost || c.attempt != self.state.payment_attempt;
        let is_being_confirmed = self.state.status() == OrderStatus::Allocated && self.state.paid;
        if is_known || !(is_being_confirmed || self.is_confirmed()) {
            return Decision::nothing();
        }
        self.tell(OrderAuthorisationLost { order_id: self.order_id.clone(), attempt: c.attempt });
        if is_being_confirmed {
            self.reject(NOT_PAID, OrderRejecting::default());
        } else if !self.is_all_taken() {
            self.hold_for(AUTHORISATION_LOST);
        }
        self.told()
    }

    /// The one capture of all could not be done: nothing of the order is paid. The authorisation may be lost by now, or about to end, and that
    /// held nothing as long as nothing seemed to be missing.
    pub(super) fn hold_if_unpaid(&mut self) {
        if self.is_all_taken() {
            return;
        }
        if self.state.authorisation_lost {
            self.hold_for(AUTHORISATION_LOST);
        }
        let is_due = self.state.due_at.as_ref().is_some_and(|due| Instant::from_proto(due) <= self.context.now());
        if self.state.captures_once && is_due {
            self.hold_for(AUTHORISATION_ENDS);
        }
    }

    /// Money was given back that nobody here had given: what has not left is held until it is settled, or staff decides.
    pub(super) fn disputed(mut self, c: &RecordDisputed) -> Decision<Order> {
        let (before, now) = (self.state.disputed, c.minor_units);
        if self.state.status() == OrderStatus::Unspecified || now == before {
            return Decision::nothing();
        }
        self.tell(OrderDisputed { order_id: self.order_id.clone(), amount: self.money(now) });
        if now > before {
            self.hold_for(DISPUTED);
        } else if now == 0 {
            self.let_go(DISPUTED);
        }
        self.told()
    }

    /// What was disputed before the order was the customer's is held from the beginning.
    pub(super) fn hold_if_disputed(&mut self) {
        if self.state.disputed > 0 {
            self.hold_for(DISPUTED);
        }
    }
}

/// Why it is held, after an event, and how its money stands.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    holds::apply(&mut state.holds, event);
    match event {
        E::OrderAuthorisationLost(_) => state.authorisation_lost = true,
        E::OrderDisputed(e) => state.disputed = e.amount.as_ref().map_or(0, |amount| amount.minor_units),
        _ => {}
    }
}
