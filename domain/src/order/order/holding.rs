//! Shipments that may not leave for now: staff says so, or their money is in doubt.

use daybook_kernel::Decision;
use shop_proto::order::v1::*;

use super::Order;
use super::paying::NOT_PAID;
use super::pieces;
use super::story::Story;

/// The reasons of holds that nobody asked for.
const AUTHORISATION_ENDS: &str = "authorisation-ends";
const AUTHORISATION_LOST: &str = "authorisation-lost";
const DISPUTED: &str = "disputed";

impl Story<'_> {
    fn open_shipments(&self) -> Vec<u32> {
        let has_some = |number: u32| pieces::count(&self.state, |run| run.shipment == number && pieces::is_here(run)) > 0;
        let open = self.state.shipments.iter().filter(|shipment| !shipment.dispatched && has_some(shipment.number));
        open.map(|shipment| shipment.number).collect()
    }

    pub(super) fn hold(mut self, c: &HoldOrder) -> Decision<Order> {
        let numbers = self.open_shipments();
        match self.state.status() {
            OrderStatus::Unspecified => return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            _ if self.state.held => return Decision::nothing(),
            status if numbers.is_empty() || !self.is_confirmed() => {
                return Decision::refuse(NotHoldable { order_id: c.order_id.clone(), status: status.into() });
            }
            _ => self.tell(OrderHeld { order_id: self.order_id.clone(), numbers, reason: c.reason.clone() }),
        }
        self.told()
    }

    pub(super) fn end_hold(mut self, c: &EndOrderHold) -> Decision<Order> {
        match self.state.status() {
            OrderStatus::Unspecified => return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            _ if !self.state.held => return Decision::nothing(),
            _ => self.let_go(),
        }
        self.told()
    }

    fn let_go(&mut self) {
        let numbers = self.open_shipments();
        self.tell(OrderHoldEnded { order_id: self.order_id.clone(), numbers });
    }

    /// Holds what has not left, where something may still leave.
    fn hold_for(&mut self, reason: &str) {
        let numbers = self.open_shipments();
        if self.is_confirmed() && !self.state.held && !numbers.is_empty() {
            self.tell(OrderHeld { order_id: self.order_id.clone(), numbers, reason: reason.to_owned() });
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

    /// The one capture of all could not be done: nothing of the order is paid.
    pub(super) fn hold_if_lost(&mut self) {
        if self.state.authorisation_lost && !self.is_all_taken() {
            self.hold_for(AUTHORISATION_LOST);
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
        } else if now == 0 && self.state.held && self.state.hold_reason == DISPUTED {
            self.let_go();
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

/// What is held, and why, after an event.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    match event {
        E::OrderHeld(e) => {
            state.held = true;
            state.hold_reason.clone_from(&e.reason);
        }
        E::OrderHoldEnded(_) => {
            state.held = false;
            state.hold_reason.clear();
        }
        E::OrderAuthorisationLost(_) => state.authorisation_lost = true,
        E::OrderDisputed(e) => state.disputed = e.amount.as_ref().map_or(0, |amount| amount.minor_units),
        _ => {}
    }
}
