//! Money that could not be moved: the customer owes it, or is owed it, until staff has it tried again with success.

use daybook_kernel::Decision;
use shop_proto::common::v1::Money;
use shop_proto::order::v1::*;

use super::Order;
use super::story::Story;

/// The reason of [`NotRetryable`].
const NOTHING_FAILED: &str = "nothing-failed";

impl Story<'_> {
    fn not_retryable(&self, number: u32) -> Decision<Order> {
        if self.state.status() == OrderStatus::Unspecified {
            return Decision::refuse(UnknownOrder { order_id: self.order_id.clone() });
        }
        Decision::refuse(NotRetryable { order_id: self.order_id.clone(), number, why: NOTHING_FAILED.to_owned() })
    }

    pub(super) fn retry_refund(mut self, c: &RetryRefund) -> Decision<Order> {
        let Some(owed) = self.state.refunds_owed.iter().find(|owed| owed.number == c.number).copied() else {
            return self.not_retryable(c.number);
        };
        let (order_id, refund, amount) = (self.order_id.clone(), self.refund(owed.minor_units), self.money(owed.minor_units));
        self.tell(OrderRefundRetried { order_id, refund, amount, failed: c.number });
        self.told()
    }

    /// Also where nothing more can be taken, or nothing of it is owed any more: it may have been done after all, which the payment finds out, and
    /// gives back what is too much.
    pub(super) fn retry_capture(mut self, c: &RetryCapture) -> Decision<Order> {
        let Some(owed) = self.state.captures_owed.iter().find(|owed| owed.number == c.number).copied() else {
            return self.not_retryable(c.number);
        };
        let (order_id, capture) = (self.order_id.clone(), self.state.captures.saturating_add(1));
        self.tell(OrderCaptureRetried { order_id, capture, amount: self.money(owed.minor_units), failed: c.number });
        self.told()
    }

    /// Whether more is authorised than was taken, and than may be taken still: of pieces that were cancelled, or have come back. A provider
    /// that takes one capture only lets go of the rest by itself.
    pub(super) fn has_rest(&self) -> bool {
        let state = &self.state;
        let is_let_go = state.released || state.authorisation_lost || (state.captures_once && state.captured > 0);
        let may_be_taken = state.captures_owed.iter().any(|owed| owed.minor_units > 0) || !state.captures_open.is_empty();
        state.captured < state.authorised && !is_let_go && !may_be_taken
    }

    /// A completed order lets go of what is authorised as soon as nothing of it is owed.
    pub(super) fn let_go_of_rest(&mut self) {
        if self.has_rest() {
            self.tell(OrderRestReleased { order_id: self.order_id.clone() });
        }
    }
}

pub(super) fn minor_units(amount: &Option<Money>) -> i64 {
    amount.as_ref().map_or(0, |amount| amount.minor_units)
}

/// The money of a capture that can't be done which the customer owes, in minor units: not what was to be given back of it.
pub(super) fn of_failed(state: &OrderState, capture: u32, amount: &Option<Money>) -> i64 {
    let back: i64 = state.owed.iter().filter(|due| due.capture == capture).map(|due| minor_units(&due.amount)).sum();
    minor_units(amount).saturating_sub(back).max(0)
}

/// What is owed, after an event.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    for less in event.no_longer_owed() {
        for owed in state.captures_owed.iter_mut().filter(|owed| owed.number == less.capture) {
            owed.minor_units = owed.minor_units.saturating_sub(minor_units(&less.amount)).max(0);
        }
    }
    match event {
        E::OrderCaptureFailed(e) => {
            // Events of earlier builds do not say what is owed.
            let minor_units = e.owed.as_ref().map_or_else(|| of_failed(state, e.number, &e.amount), |owed| owed.minor_units);
            state.owed.retain(|due| due.capture != e.number);
            state.captures_owed.push(FailedMove { number: e.number, minor_units });
        }
        E::OrderCaptureRetried(e) => {
            state.captures_owed.retain(|owed| owed.number != e.failed);
            state.shipments.iter_mut().filter(|shipment| shipment.capture == e.failed).for_each(|shipment| shipment.capture = e.capture);
            state.captures = e.capture;
            state.captures_open.push(e.capture);
        }
        E::OrderRefundFailed(e) => state.refunds_owed.push(FailedMove { number: e.number, minor_units: minor_units(&e.amount) }),
        E::OrderRefundRetried(e) => state.refunds_owed.retain(|owed| owed.number != e.failed),
        E::OrderCompleted(e) => state.released |= e.release_payment,
        E::OrderRestReleased(_) => state.released = true,
        _ => {}
    }
}
