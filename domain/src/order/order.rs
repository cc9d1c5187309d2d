//! An order: the process that leads from a cart to goods at somebody's door.

use daybook_kernel::{Context, Decider, Decision};
use shop_proto::order::v1::*;

mod carts;
#[cfg(test)]
mod laws;
pub mod money;
mod place;
mod placing;
#[cfg(test)]
mod process;
#[cfg(test)]
mod spec;

pub use carts::ToCart;
pub use place::Place;

/// An order. Stream `order/{order_id}`.
pub struct Order;

/// Reasons, as events, states and pages tell them.
const CANCELLED: &str = "cancelled";

impl Decider for Order {
    type Command = OrderCommand;
    type Event = OrderEvent;
    type State = OrderState;
    type Refusal = OrderRefusal;

    fn decide(state: &OrderState, command: &OrderCommand, _: &Context) -> Decision<Self> {
        use OrderCommand as C;
        use OrderStatus as S;
        match (state.status(), command) {
            (S::Unspecified, C::OpenOrder(c)) => Decision::event(OrderOpened { lines: one_a_sku(&c.lines), ..c.into() }),
            (_, C::OpenOrder(c)) if c.cart_id == state.cart_id => Decision::nothing(),
            (_, C::OpenOrder(c)) => {
                Decision::refuse_with(OrderExists { order_id: c.order_id.clone() }, [OrderOpeningRefused::from(c).into()])
            }
            (S::Opened, C::PlaceOrder(c)) => placing::place(state, c),
            (_, C::PlaceOrder(_)) => Decision::nothing(),
            (S::Rejecting, C::RecordCartReopened(c)) if c.cart_id == state.cart_id => {
                Decision::event(OrderRejected { reason: state.reason.clone(), ..c.into() })
            }
            (_, C::RecordCartReopened(_)) => Decision::nothing(),
            (
                _,
                C::TimeOutStep(_)
                | C::RecordAllocated(_)
                | C::RecordNotAllocated(_)
                | C::RecordAllocationConfirmed(_)
                | C::RecordAllocationLost(_)
                | C::RecordAllocationReleased(_)
                | C::RecordPaid(_)
                | C::RecordNotPaid(_)
                | C::RecordActionRequired(_)
                | C::RecordCaptured(_)
                | C::RecordNotCaptured(_)
                | C::RecordRefunded(_)
                | C::RecordNotRefunded(_)
                | C::RecordVoided(_)
                | C::RecordLabelled(_)
                | C::RecordDispatched(_)
                | C::RecordDelivered(_)
                | C::RecordLost(_)
                | C::RecordReturnedToSender(_)
                | C::RecordShortPick(_)
                | C::RecordShipmentCancelled(_)
                | C::RecordCancelTooLate(_)
                | C::ChangePayment(_)
                | C::CancelLines(_)
                | C::RequestReturn(_)
                | C::ReceiveReturn(_)
                | C::RefuseReturn(_)
                | C::HoldOrder(_)
                | C::EndOrderHold(_),
            ) => Decision::nothing(),
            (S::Unspecified, C::CancelOrder(c)) => Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            (S::Opened | S::Placed, C::CancelOrder(c)) => cancel(state, c),
            (S::Cancelling | S::Cancelled, C::CancelOrder(_)) => Decision::nothing(),
            (status, C::CancelOrder(c)) => Decision::refuse(NotCancellable { order_id: c.order_id.clone(), status: status.into() }),
        }
    }

    fn evolve(state: &mut OrderState, event: &OrderEvent) {
        use OrderEvent as E;
        match event {
            E::OrderOpened(e) => {
                let bare = |line: &OrderedLine| OrderLine { sku: line.sku.clone(), quantity: line.quantity, ..Default::default() };
                *state = OrderState {
                    order_id: e.order_id.clone(),
                    cart_id: e.cart_id.clone(),
                    customer_id: e.customer_id.clone(),
                    lines: e.lines.iter().map(bare).collect(),
                    expected_total: e.expected_total.clone(),
                    ..Default::default()
                };
            }
            E::OrderPlaced(e) => {
                state.lines.clone_from(&e.lines);
                state.total.clone_from(&e.total);
            }
            E::OrderRejecting(e) => state.reason.clone_from(&e.reason),
            E::OrderCancelling(e) => state.reason.clone_from(&e.reason),
            _ => {}
        }
        if let Some(status) = event.leads_to() {
            state.set_status(status);
        }
    }
}

/// Lines that draw on one stock, and count against one limit, are one.
fn one_a_sku(lines: &[OrderedLine]) -> Vec<OrderedLine> {
    let mut all: Vec<OrderedLine> = Vec::with_capacity(lines.len());
    for line in lines {
        match all.iter_mut().find(|known| known.sku == line.sku) {
            Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
            None => all.push(line.clone()),
        }
    }
    all
}

/// Nothing has been begun elsewhere that would have to be undone first.
fn cancel(state: &OrderState, c: &CancelOrder) -> Decision<Order> {
    let reason = || CANCELLED.to_owned();
    let (customer_id, cart_id) = (state.customer_id.clone(), state.cart_id.clone());
    let cancelling = OrderCancelling { customer_id, reason: reason(), explanation: c.reason.clone(), ..c.into() };
    let cancelled = OrderCancelled { cart_id, reason: reason(), ..c.into() };
    Decision::events([cancelling.into(), cancelled.into()])
}
