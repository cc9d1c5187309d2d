//! An order is given up: all that was begun elsewhere is undone, and it ends when all of it has answered.

use daybook_kernel::Decision;
use shop_proto::order::v1::*;

use super::story::Story;
use super::{CANCELLED, Order};

/// Somebody whose answer an order that is given up waits for.
#[derive(Clone, Copy)]
pub(super) enum Undone {
    Allocation,
    Payment,
    Cart { reopened: bool },
}

impl Undone {
    fn name(self) -> &'static str {
        match self {
            Self::Allocation => "allocation",
            Self::Payment => "payment",
            Self::Cart { .. } => "cart",
        }
    }
}

impl Story<'_> {
    /// Whether the allocation may hold pieces: they were asked for, and nobody has said that there are none. Those of a confirmed order are
    /// the order's own, which has given back, or written off, each of them when it was cancelled: an allocation that gave back all might be
    /// faster, and put on sale what nobody has found.
    fn may_hold(&self) -> bool {
        !matches!(self.state.status(), OrderStatus::Unspecified | OrderStatus::Opened) && !self.is_confirmed()
    }

    fn may_be_paid(&self) -> bool {
        self.state.payment_attempt > 0
    }

    /// The order will not be, for this reason; its numbers are in `rejecting`, and what is undone is added.
    pub(super) fn reject(&mut self, reason: &str, rejecting: OrderRejecting) {
        let may_hold = self.may_hold();
        self.reject_with(reason, may_hold, rejecting);
    }

    /// The same where it is known whether pieces may be held.
    pub(super) fn reject_with(&mut self, reason: &str, undo_allocation: bool, rejecting: OrderRejecting) {
        let (order_id, cart_id, reason) = (self.order_id.clone(), self.state.cart_id.clone(), reason.to_owned());
        let undo_payment = self.may_be_paid();
        self.tell(OrderRejecting { order_id, cart_id, reason, undo_allocation, undo_payment, ..rejecting });
    }

    /// The order is over, as soon as all is undone.
    pub(super) fn cancel(&mut self, reason: &str, explanation: String) {
        let (order_id, customer_id, reason) = (self.order_id.clone(), self.state.customer_id.clone(), reason.to_owned());
        let (undo_allocation, undo_payment) = (self.may_hold(), self.may_be_paid());
        self.tell(OrderCancelling { order_id, customer_id, reason, explanation, undo_allocation, undo_payment });
        if !undo_allocation && !undo_payment {
            self.end();
        }
    }

    fn end(&mut self) {
        let (order_id, cart_id, reason) = (self.order_id.clone(), self.state.cart_id.clone(), self.state.reason.clone());
        if self.state.status() == OrderStatus::Rejecting {
            self.tell(OrderRejected { order_id, reason, reopened: self.state.cart_reopened });
        } else {
            self.tell(OrderCancelled { order_id, cart_id, reason });
        }
    }

    /// Somebody has undone what was begun there. An answer that is not awaited changes nothing.
    pub(super) fn undone(mut self, by: Undone) -> Decision<Order> {
        let awaited = [
            (self.state.awaits_allocation, matches!(by, Undone::Allocation)),
            (self.state.awaits_payment, matches!(by, Undone::Payment)),
            (self.state.awaits_cart, matches!(by, Undone::Cart { .. })),
        ];
        if !awaited.contains(&(true, true)) {
            return Decision::nothing();
        }
        let reopened = matches!(by, Undone::Cart { reopened: true });
        if awaited.iter().filter(|(waits, _)| *waits).count() > 1 {
            self.tell(OrderUndone { order_id: self.order_id.clone(), what: by.name().to_owned(), reopened });
        } else {
            self.state.cart_reopened |= reopened;
            self.end();
        }
        self.told()
    }

    /// The customer wants it no more. What has left already can't be cancelled, but may be sent back.
    pub(super) fn cancel_order(mut self, c: &CancelOrder) -> Decision<Order> {
        use OrderStatus as S;
        match self.state.status() {
            S::Unspecified => Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            S::Opened | S::Placed | S::Allocated | S::AwaitingPayment | S::ActionRequired => {
                self.cancel(CANCELLED, c.reason.clone());
                self.told()
            }
            S::Cancelling | S::Cancelled => Decision::nothing(),
            status @ (S::Rejecting | S::Rejected | S::Delivered | S::Completed) => {
                Decision::refuse(NotCancellable { order_id: c.order_id.clone(), status: status.into() })
            }
            S::Confirmed | S::PartlyShipped | S::Shipped => self.cancel_all(c),
        }
    }
}

/// What is undone, after an event.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    match event {
        E::OrderRejecting(e) => {
            (state.awaits_allocation, state.awaits_payment, state.awaits_cart) = (e.undo_allocation, e.undo_payment, true);
            state.reason.clone_from(&e.reason);
        }
        E::OrderCancelling(e) => {
            (state.awaits_allocation, state.awaits_payment, state.awaits_cart) = (e.undo_allocation, e.undo_payment, false);
            state.reason.clone_from(&e.reason);
        }
        E::OrderUndone(e) => match e.what.as_str() {
            "allocation" => state.awaits_allocation = false,
            "payment" => state.awaits_payment = false,
            _ => (state.awaits_cart, state.cart_reopened) = (false, e.reopened),
        },
        E::OrderRejected(e) => {
            (state.awaits_allocation, state.awaits_payment, state.awaits_cart) = (false, false, false);
            state.cart_reopened = e.reopened;
        }
        E::OrderCancelled(_) => (state.awaits_allocation, state.awaits_payment, state.awaits_cart) = (false, false, false),
        _ => {}
    }
}
