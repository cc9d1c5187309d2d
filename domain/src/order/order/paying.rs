//! From a placed order to one that is the customer's: its pieces are held, paid for, and kept.

use daybook_kernel::{Decision, Instant};
use prost_types::Timestamp;
use shop_proto::order::v1::*;

use super::story::Story;
use super::{Order, waits};

/// Each of these is asked for once an order.
pub(super) const ONLY_ATTEMPT: u32 = 1;

/// Reasons, as events, states and pages tell them.
const UNDELIVERABLE: &str = "undeliverable";
const OUT_OF_STOCK: &str = "out-of-stock";
pub(super) const NOT_PAID: &str = "not-paid";
const STOCK_LOST: &str = "stock-lost";
pub(super) const TIMEOUT: &str = "timeout";
/// The answer of a payment whose means were declined: others may follow.
const DECLINED: &str = "declined";

impl Story<'_> {
    fn awaits_payment(&self) -> bool {
        matches!(self.state.status(), OrderStatus::AwaitingPayment | OrderStatus::ActionRequired)
    }

    /// Of the attempt to pay that counts.
    fn is_current(&self, attempt: u32) -> bool {
        self.awaits_payment() && attempt == self.state.payment_attempt
    }

    /// Whether the pieces of a paid order are being kept.
    fn is_being_confirmed(&self, attempt: u32) -> bool {
        self.state.status() == OrderStatus::Allocated && self.state.paid && attempt == ONLY_ATTEMPT
    }

    pub(super) fn allocated(mut self, c: &RecordAllocated) -> Decision<Order> {
        if self.state.status() != OrderStatus::Placed || c.attempt != ONLY_ATTEMPT {
            return Decision::nothing();
        }
        self.tell(OrderAllocated { order_id: self.order_id.clone(), holds: c.holds.clone() });
        if self.state.total.as_ref().is_none_or(|total| total.minor_units == 0) {
            self.paid(&RecordPaid { authorised: self.money(0), ..Default::default() });
        } else {
            let pay_until = Some(self.context.after(&waits::PAYMENT).to_proto());
            self.ask_to_pay(self.state.payment_token.clone(), pay_until);
        }
        self.told()
    }

    fn ask_to_pay(&mut self, payment_token: String, pay_until: Option<Timestamp>) {
        let (order_id, customer_id, amount) = (self.order_id.clone(), self.state.customer_id.clone(), self.state.total.clone());
        let attempt = self.state.payment_attempt.saturating_add(1);
        self.tell(OrderAwaitingPayment { order_id, attempt, amount, customer_id, payment_token, pay_until });
    }

    fn paid(&mut self, c: &RecordPaid) {
        self.tell(OrderPaid {
            order_id: self.order_id.clone(),
            authorised: c.authorised.clone(),
            captures_once: c.captures_once,
            capture_before: c.capture_before,
            attempt: ONLY_ATTEMPT,
            confirm_by: Some(self.context.after(&waits::CONFIRMATION).to_proto()),
        });
    }

    /// Nothing is held: the allocation has given back what it had.
    pub(super) fn not_allocated(mut self, c: &RecordNotAllocated) -> Decision<Order> {
        if self.state.status() != OrderStatus::Placed || c.attempt != ONLY_ATTEMPT {
            return Decision::nothing();
        }
        let (reason, lacking) = match c {
            _ if c.undeliverable => (UNDELIVERABLE, Vec::new()),
            _ if c.timed_out => (TIMEOUT, Vec::new()),
            _ => (OUT_OF_STOCK, c.lines.clone()),
        };
        self.reject_with(reason, false, OrderRejecting { lacking, ..Default::default() });
        self.told()
    }

    pub(super) fn record_paid(mut self, c: &RecordPaid) -> Decision<Order> {
        if !self.is_current(c.attempt) {
            return Decision::nothing();
        }
        let covers = self.state.total.as_ref().zip(c.authorised.as_ref());
        if covers.is_some_and(|(total, authorised)| total.currency == authorised.currency && authorised.minor_units >= total.minor_units) {
            self.paid(c);
        } else {
            self.reject(NOT_PAID, OrderRejecting::default());
        }
        self.told()
    }

    pub(super) fn not_paid(mut self, c: &RecordNotPaid) -> Decision<Order> {
        if !self.is_current(c.attempt) {
            return Decision::nothing();
        }
        if c.reason == DECLINED {
            self.tell(OrderPaymentDeclined { order_id: self.order_id.clone(), attempt: c.attempt, code: c.code.clone() });
        } else {
            self.reject(NOT_PAID, OrderRejecting::default());
        }
        self.told()
    }

    pub(super) fn action_required(mut self, c: &RecordActionRequired) -> Decision<Order> {
        if !self.is_current(c.attempt) || self.state.declined || self.state.status() == OrderStatus::ActionRequired {
            return Decision::nothing();
        }
        self.tell(OrderActionRequired { order_id: self.order_id.clone(), attempt: c.attempt, url: c.url.clone() });
        self.told()
    }

    /// Other means of payment, in the time that the first had.
    pub(super) fn change_payment(mut self, c: &ChangePayment) -> Decision<Order> {
        let token = c.payment.as_ref().map(|payment| payment.token.clone()).unwrap_or_default();
        match self.state.status() {
            OrderStatus::Unspecified => return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            status if !self.awaits_payment() => {
                return Decision::refuse(NotAwaitingPayment { order_id: c.order_id.clone(), status: status.into() });
            }
            _ if token == self.state.payment_token && !self.state.declined => return Decision::nothing(),
            _ => self.ask_to_pay(token, self.state.pay_until),
        }
        self.told()
    }

    /// Only now is it the customer's. Of each warehouse one shipment.
    pub(super) fn confirmed(mut self, c: &RecordAllocationConfirmed) -> Decision<Order> {
        if !self.is_being_confirmed(c.attempt) {
            return Decision::nothing();
        }
        let held = |sku: &str| c.holds.iter().filter(|hold| hold.sku == sku).map(|hold| u64::from(hold.quantity)).sum::<u64>();
        if self.state.lines.iter().any(|line| held(&line.sku) < u64::from(line.quantity)) {
            // Somebody else has given pieces away that were held for it.
            self.reject(STOCK_LOST, OrderRejecting::default());
            return self.told();
        }
        let mut shipments: Vec<PlannedShipment> = Vec::new();
        let mut holds: Vec<&HeldLine> = c.holds.iter().collect();
        holds.sort_by_key(|hold| (&hold.warehouse, &hold.sku));
        for hold in holds {
            let line = OrderedLine { sku: hold.sku.clone(), quantity: hold.quantity };
            match shipments.last_mut() {
                Some(shipment) if shipment.warehouse == hold.warehouse => shipment.lines.push(line),
                last => {
                    let number = last.map_or(1, |shipment| shipment.number + 1);
                    shipments.push(PlannedShipment { number, warehouse: hold.warehouse.clone(), lines: vec![line] });
                }
            }
        }
        let state = &self.state;
        self.tell(OrderConfirmed {
            order_id: self.order_id.clone(),
            cart_id: state.cart_id.clone(),
            customer_id: state.customer_id.clone(),
            shipments,
            delivery: state.delivery.clone(),
            shipping_address: state.shipping_address.clone(),
            hold_at: self.hold_at(),
        });
        self.hold_if_disputed();
        self.told()
    }

    /// Some time before the authorisation ends, and not before now.
    fn hold_at(&self) -> Option<Timestamp> {
        let end = Instant::from_proto(self.state.capture_before.as_ref()?);
        let (now, margin) = (self.context.now(), self.context.after(&waits::AUTHORISATION));
        let at = end.micros().saturating_sub(margin.micros().saturating_sub(now.micros())).max(now.micros());
        Some(Instant::from_micros(at).to_proto())
    }

    pub(super) fn allocation_lost(mut self, c: &RecordAllocationLost) -> Decision<Order> {
        if !self.is_being_confirmed(c.attempt) {
            return Decision::nothing();
        }
        self.reject(if c.timed_out { TIMEOUT } else { STOCK_LOST }, OrderRejecting::default());
        self.told()
    }
}

/// What is paid, and how, after an event.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    match event {
        E::OrderAwaitingPayment(e) => {
            (state.payment_attempt, state.pay_until, state.declined) = (e.attempt, e.pay_until, false);
            state.payment_token.clone_from(&e.payment_token);
        }
        E::OrderPaymentDeclined(_) => state.declined = true,
        E::OrderPaid(e) => {
            (state.paid, state.captures_once, state.due_at) = (true, e.captures_once, e.confirm_by);
            state.capture_before = e.capture_before;
            state.authorised = e.authorised.as_ref().map_or(0, |authorised| authorised.minor_units);
        }
        E::OrderConfirmed(e) => state.due_at = e.hold_at,
        _ => {}
    }
}
