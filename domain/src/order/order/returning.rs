//! Pieces come back, and what becomes of the money that was asked for.

use daybook_kernel::{Decision, Instant};
use shop_proto::common::v1::Money;
use shop_proto::order::v1::*;

use super::leaving::lacking;
use super::owed::{minor_units, of_failed};
use super::story::{GivenBack, Story};
use super::{Order, pieces, waits};

/// Reasons of [`NotReturnable`].
const NOT_DELIVERED: &str = "not-delivered";
const ALREADY_RETURNED: &str = "already-returned";
const TOO_LATE: &str = "too-late";

/// Pieces that are at the customer's.
fn is_theirs(run: &PieceRun) -> bool {
    matches!(run.fate(), PieceFate::Delivered | PieceFate::Returning)
}

impl Story<'_> {
    fn not_returnable(&self, why: &str) -> NotReturnable {
        NotReturnable { order_id: self.order_id.clone(), why: why.to_owned(), status: self.state.status().into() }
    }

    /// Why none of these lines' pieces is at the customer's: all that has arrived is back, and no more will arrive; else there may be some later.
    fn why_none_is_theirs(&self, lines: &[OrderedLine]) -> &'static str {
        let some = |is: &dyn Fn(&PieceRun) -> bool| lines.iter().any(|line| pieces::count_of(&self.state, &line.sku, is) > 0);
        let may_arrive = |run: &PieceRun| pieces::is_here(run) || run.fate() == PieceFate::Shipped;
        if some(&pieces::is(PieceFate::Returned)) && !some(&may_arrive) { ALREADY_RETURNED } else { NOT_DELIVERED }
    }

    fn is_too_late(&self) -> bool {
        let since = self.state.delivered_at.as_ref().map(Instant::from_proto).unwrap_or_default();
        self.context.now() > self.context.after_from(since, &waits::RETURNS)
    }

    pub(super) fn request_return(mut self, c: &RequestReturn) -> Decision<Order> {
        if self.state.status() == OrderStatus::Unspecified {
            return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() });
        }
        if pieces::count(&self.state, is_theirs) == 0 {
            return Decision::refuse(self.not_returnable(self.why_none_is_theirs(&c.lines)));
        }
        if self.is_too_late() {
            return Decision::refuse(self.not_returnable(TOO_LATE));
        }
        if let Some(refused) = lacking(&self.state, &c.lines, pieces::is(PieceFate::Delivered)) {
            return refused;
        }
        let (lines, customer_id) = (super::one_a_sku(&c.lines), self.state.customer_id.clone());
        self.tell(OrderReturnRequested { order_id: self.order_id.clone(), lines, customer_id, explanation: c.reason.clone() });
        self.told()
    }

    pub(super) fn refuse_return(mut self, c: &RefuseReturn) -> Decision<Order> {
        if self.state.status() == OrderStatus::Unspecified {
            return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() });
        }
        if let Some(refused) = lacking(&self.state, &c.lines, pieces::is(PieceFate::Returning)) {
            return refused;
        }
        let (lines, customer_id) = (super::one_a_sku(&c.lines), self.state.customer_id.clone());
        self.tell(OrderReturnRefused { order_id: self.order_id.clone(), lines, customer_id, explanation: c.reason.clone() });
        self.told()
    }

    /// Pieces lie here again, also such as nobody has said would come.
    pub(super) fn receive_return(mut self, c: &ReceiveReturn) -> Decision<Order> {
        if self.state.status() == OrderStatus::Unspecified {
            return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() });
        }
        if pieces::count(&self.state, is_theirs) == 0 {
            return Decision::refuse(self.not_returnable(self.why_none_is_theirs(&c.lines)));
        }
        if let Some(refused) = lacking(&self.state, &c.lines, is_theirs) {
            return refused;
        }
        let held = |sku: &str, warehouse: &str, quantity| HeldLine { sku: sku.to_owned(), warehouse: warehouse.to_owned(), quantity };
        let lines = super::one_a_sku(&c.lines).iter().map(|line| held(&line.sku, "", line.quantity)).collect();
        let bare = OrderReturned { order_id: self.order_id.clone(), lines, condition: c.condition, ..Default::default() };
        let (moved, _) = self.foresee(bare.clone());
        let warehouse = |number: u32| match self.shipment(number) {
            Some(shipment) if c.warehouse.is_empty() => shipment.warehouse.as_str(),
            _ => c.warehouse.as_str(),
        };
        let lines = moved.lines.iter().map(|line| held(&line.sku, warehouse(line.shipment), line.quantity)).collect();
        let GivenBack { taken, owed, no_longer_owed } = self.to_give_back(&moved);
        let (refund, amount) = (self.refund(taken), self.money(taken));
        self.tell(OrderReturned { lines, refund, amount, owed, no_longer_owed, ..bare });
        self.go_on();
        self.told()
    }

    pub(super) fn captured(mut self, c: &RecordCaptured) -> Decision<Order> {
        if self.state.captures_open.contains(&c.number) {
            self.tell(OrderCaptured::from(c));
            for due in self.state.owed.clone().into_iter().filter(|due| due.capture == c.number) {
                let units = minor_units(&due.amount);
                let (order_id, refund) = (self.order_id.clone(), self.refund(units));
                self.tell(OrderRefundDue { order_id, refund, amount: due.amount, capture: due.capture, owed: due.number });
            }
            self.go_on();
        }
        self.told()
    }

    pub(super) fn not_captured(mut self, c: &RecordNotCaptured) -> Decision<Order> {
        if self.state.captures_open.contains(&c.number) {
            let owed = self.money(of_failed(&self.state, c.number, &c.amount));
            self.tell(OrderCaptureFailed { owed, ..c.into() });
            self.hold_if_unpaid();
            self.go_on();
        }
        self.told()
    }

    pub(super) fn refunded(mut self, c: &RecordRefunded) -> Decision<Order> {
        if self.state.refunds_open.contains(&c.number) {
            self.tell(OrderRefunded::from(c));
            self.go_on();
        }
        self.told()
    }

    pub(super) fn not_refunded(mut self, c: &RecordNotRefunded) -> Decision<Order> {
        if self.state.refunds_open.contains(&c.number) {
            self.tell(OrderRefundFailed::from(c));
            self.go_on();
        }
        self.told()
    }
}

/// The refund that an event asks for, its amount, and the refunds that it owes until their money is taken. 0: it asks for none.
pub(super) fn given_back(event: &OrderEvent) -> (u32, Option<&Money>, &[OwedRefund]) {
    use OrderEvent as E;
    match event {
        E::OrderLinesCancelled(e) => (e.refund, e.amount.as_ref(), &e.owed),
        E::OrderLost(e) => (e.refund, e.amount.as_ref(), &e.owed),
        E::OrderReturnedToSender(e) => (e.refund, e.amount.as_ref(), &e.owed),
        E::OrderReturned(e) => (e.refund, e.amount.as_ref(), &e.owed),
        E::OrderRefundDue(e) => (e.refund, e.amount.as_ref(), &[]),
        E::OrderRefundRetried(e) => (e.refund, e.amount.as_ref(), &[]),
        _ => (0, None, &[]),
    }
}

/// Money that is on its way, and that has come, after an event.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    let (refund, _, owed) = given_back(event);
    state.owed.extend_from_slice(owed);
    state.owed_numbered = owed.last().map_or(state.owed_numbered, |due| due.number);
    if refund > 0 {
        state.refunds = refund;
        state.refunds_open.push(refund);
    }
    match event {
        E::OrderShipped(e) if e.capture > 0 => {
            state.captures = e.capture;
            state.captures_open.push(e.capture);
        }
        E::OrderCaptured(e) => {
            state.captures_open.retain(|open| *open != e.number);
            state.captured = state.captured.saturating_add(minor_units(&e.amount));
        }
        E::OrderRefundDue(e) => state.owed.retain(|due| due.number != e.owed),
        E::OrderCaptureFailed(e) => {
            state.captures_open.retain(|open| *open != e.number);
            state.captures_failed.push(e.number);
        }
        E::OrderRefunded(e) => {
            state.refunds_open.retain(|open| *open != e.number);
            state.refunded = state.refunded.saturating_add(minor_units(&e.amount));
        }
        E::OrderRefundFailed(e) => state.refunds_open.retain(|open| *open != e.number),
        _ => {}
    }
}
