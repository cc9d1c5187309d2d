//! An order: the process that leads from a cart to goods at somebody's door.

use daybook_kernel::{Context, Decider, Decision, Instant};
use prost_types::Timestamp;
use shop_proto::order::v1::*;
use shop_proto::pieces::{self, one_a_sku};

mod allocate;
mod carts;
mod deadlines;
mod holding;
#[cfg(test)]
mod laws;
mod leaving;
pub mod money;
mod others;
mod owed;
mod paying;
mod place;
mod placing;
#[cfg(test)]
mod process;
mod returning;
#[cfg(test)]
mod spec;
mod story;
mod undoing;
mod waits;

pub use allocate::Allocate;
pub use carts::ToCart;
pub use deadlines::OrderDeadlines;
pub use others::{ToAllocation, ToPayment, ToShipments, ToStocks};
use paying::ONLY_ATTEMPT;
pub use place::{LimitsOfPayments, Place, any_payment};
use story::Story;
use undoing::Undone;
pub use waits::WAITS;

#[cfg(test)]
pub(crate) use pieces::{costs as costs_of, count as pieces_of};

/// An order. Stream `order/{order_id}`.
pub struct Order;

/// Reasons, as events, states and pages tell them.
const CANCELLED: &str = "cancelled";

impl Decider for Order {
    type Command = OrderCommand;
    type Event = OrderEvent;
    type State = OrderState;
    type Refusal = OrderRefusal;

    // 2: what is owed of failed captures is as the events say.
    const FOLD_VERSION: u32 = 2;

    fn decide(state: &OrderState, command: &OrderCommand, context: &Context) -> Decision<Self> {
        use OrderCommand as C;
        use OrderStatus as S;
        let story = Story::of(state, command, context);
        match command {
            C::OpenOrder(c) => open(state, c, context),
            C::PlaceOrder(c) if state.status() == S::Opened => placing::place(state, c, context),
            C::PlaceOrder(_) => Decision::nothing(),
            C::TimeOutStep(c) => time_out(story, c),
            C::RecordAllocated(c) => story.allocated(c),
            C::RecordNotAllocated(c) => story.not_allocated(c),
            C::RecordPaid(c) => story.record_paid(c),
            C::RecordNotPaid(c) => story.not_paid(c),
            C::RecordActionRequired(c) => story.action_required(c),
            C::ChangePayment(c) => story.change_payment(c),
            C::RecordAllocationConfirmed(c) => story.confirmed(c),
            C::RecordAllocationLost(c) => story.allocation_lost(c),
            C::RecordLabelled(c) => story.labelled(c),
            C::RecordDispatched(c) => story.dispatched(c),
            C::RecordDelivered(c) => story.delivered(c),
            C::RecordLost(c) => story.lost(c),
            C::RecordReturnedToSender(c) => story.returned_to_sender(c),
            C::RecordShortPick(c) => story.short_pick(c),
            C::RecordShipmentCancelled(c) => story.shipment_cancelled(c),
            C::RecordCancelTooLate(c) => story.cancel_too_late(c),
            C::RecordCaptured(c) => story.captured(c),
            C::RecordNotCaptured(c) => story.not_captured(c),
            C::RecordRefunded(c) => story.refunded(c),
            C::RecordNotRefunded(c) => story.not_refunded(c),
            C::RecordAuthorisationLost(c) => story.authorisation_lost(c),
            C::RecordDisputed(c) => story.disputed(c),
            C::CancelOrder(c) => story.cancel_order(c),
            C::CancelLines(c) => story.cancel_lines(c),
            C::RequestReturn(c) => story.request_return(c),
            C::RefuseReturn(c) => story.refuse_return(c),
            C::ReceiveReturn(c) => story.receive_return(c),
            C::HoldOrder(c) => story.hold(c),
            C::EndOrderHold(c) => story.end_hold(c),
            C::RetryRefund(c) => story.retry_refund(c),
            C::RetryCapture(c) => story.retry_capture(c),
            C::RecordAllocationReleased(c) if c.attempt == ONLY_ATTEMPT => story.undone(Undone::Allocation),
            C::RecordVoided(c) if c.number == ONLY_ATTEMPT => story.undone(Undone::Payment),
            C::RecordCartReopened(c) if c.cart_id == state.cart_id => story.undone(Undone::Cart { reopened: c.reopened }),
            C::RecordAllocationReleased(_) | C::RecordVoided(_) | C::RecordCartReopened(_) => Decision::nothing(),
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
                    delivery: e.delivery.clone(),
                    shipping_address: e.shipping_address.clone(),
                    payment_token: e.payment_token.clone(),
                    due_at: e.place_by,
                    ..Default::default()
                };
            }
            E::OrderPlaced(e) => {
                state.lines.clone_from(&e.lines);
                state.pieces = pieces::placed(&e.lines);
                state.total.clone_from(&e.total);
                state.delivery_price = e.delivery_price.as_ref().map_or(0, |price| price.minor_units);
                state.due_at = e.allocate_by;
            }
            _ => {
                pieces::apply(state, event);
            }
        }
        paying::evolve(state, event);
        leaving::evolve(state, event);
        holding::evolve(state, event);
        returning::evolve(state, event);
        owed::evolve(state, event);
        undoing::evolve(state, event);
        if let Some(status) = event.leads_to() {
            state.set_status(status);
        }
    }
}

/// Once, by one cart; another one hears that it is taken.
fn open(state: &OrderState, c: &OpenOrder, context: &Context) -> Decision<Order> {
    if state.status() == OrderStatus::Unspecified {
        let place_by = Some(context.after(&waits::PLACE).to_proto());
        return Decision::event(OrderOpened { lines: one_a_sku(&c.lines), place_by, ..c.into() });
    }
    if c.cart_id == state.cart_id {
        return Decision::nothing();
    }
    Decision::refuse_with(OrderExists { order_id: c.order_id.clone() }, [OrderOpeningRefused::from(c).into()])
}

/// Nobody knows in time what the products cost, or the authorisation is about to end. The time named is compared with the order's own, never with a clock.
fn time_out(mut story: Story<'_>, c: &TimeOutStep) -> Decision<Order> {
    let instant = |at: &Option<Timestamp>| at.as_ref().map(Instant::from_proto);
    let is_due = story.state.due_at.is_some() && instant(&story.state.due_at) == instant(&c.due_at);
    if story.state.status() == OrderStatus::Opened && c.step == waits::PLACE.name && is_due {
        story.reject(paying::TIMEOUT, OrderRejecting::default());
    }
    if c.step == waits::AUTHORISATION.name && is_due {
        return story.authorisation_ends();
    }
    story.told()
}
