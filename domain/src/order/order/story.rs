//! A decision that takes several steps: each event is told, and the next step sees what it has led to.

use daybook_kernel::{Context, Decider as _, Decision};
use shop_proto::common::v1::Money;
use shop_proto::order::v1::*;

use super::pieces::{self, Moved};
use super::{CANCELLED, Order};

/// A decision under way.
pub(super) struct Story<'c> {
    pub(super) state: OrderState,
    pub(super) order_id: String,
    pub(super) context: &'c Context,
    events: Vec<OrderEvent>,
}

/// The money of pieces that do not stay.
#[derive(Default)]
pub(super) struct GivenBack {
    /// It was taken, and is given back now: in minor units.
    pub(super) taken: i64,
    /// It is given back once it is taken.
    pub(super) owed: Vec<OwedRefund>,
    /// It could not be taken: the customer owes it no more.
    pub(super) no_longer_owed: Vec<OwedCapture>,
}

/// So much more of a capture.
fn add(sums: &mut Vec<(u32, i64)>, capture: u32, costs: i64) {
    match sums.iter_mut().find(|(known, _)| *known == capture) {
        Some((_, sum)) => *sum = sum.saturating_add(costs),
        None => sums.push((capture, costs)),
    }
}

impl<'c> Story<'c> {
    pub(super) fn of(state: &OrderState, command: &OrderCommand, context: &'c Context) -> Self {
        Self { state: state.clone(), order_id: command.order_id().to_owned(), context, events: Vec::new() }
    }

    pub(super) fn tell(&mut self, event: impl Into<OrderEvent>) {
        let event = event.into();
        Order::evolve(&mut self.state, &event);
        self.events.push(event);
    }

    pub(super) fn told(self) -> Decision<Order> {
        Decision::events(self.events)
    }

    /// So much in the order's currency.
    pub(super) fn money(&self, minor_units: i64) -> Option<Money> {
        let total = self.state.total.as_ref().or(self.state.expected_total.as_ref());
        total.map(|total| Money { currency: total.currency.clone(), minor_units })
    }

    /// The pieces that an event would give a new fate, and where the order would stand then.
    pub(super) fn foresee(&self, event: impl Into<OrderEvent>) -> (Moved, OrderState) {
        let mut state = self.state.clone();
        let moved = pieces::apply(&mut state, &event.into());
        (moved, state)
    }

    /// The number of a refund of so much; 0: there is nothing to give back.
    pub(super) fn refund(&self, minor_units: i64) -> u32 {
        if minor_units > 0 { self.state.refunds.saturating_add(1) } else { 0 }
    }

    /// The money of pieces that do not stay. That of lost ones was given back then, and is not given back once more.
    pub(super) fn to_give_back(&self, moved: &Moved) -> GivenBack {
        let (mut taken, mut open, mut failed) = (0_i64, Vec::new(), Vec::new());
        for line in moved.lines.iter().filter(|line| !line.was_lost && line.costs > 0) {
            match self.shipment(line.shipment).map_or(0, |shipment| shipment.capture) {
                0 => {}
                capture if self.state.captures_failed.contains(&capture) => add(&mut failed, capture, line.costs),
                capture if self.state.captures_open.contains(&capture) => add(&mut open, capture, line.costs),
                _ => taken = taken.saturating_add(line.costs),
            }
        }
        let numbered = (self.state.owed_numbered.saturating_add(1)..).zip(open);
        GivenBack {
            taken,
            owed: numbered.map(|(number, (capture, costs))| OwedRefund { capture, amount: self.money(costs), number }).collect(),
            no_longer_owed: failed.into_iter().map(|(capture, costs)| OwedCapture { capture, amount: self.money(costs) }).collect(),
        }
    }

    pub(super) fn shipment(&self, number: u32) -> Option<&OrderShipment> {
        self.state.shipments.iter().find(|shipment| shipment.number == number)
    }

    /// All that follows by itself from where the order stands now: an order of which nothing is left is cancelled, one whose pieces all have
    /// an end, and whose money is where it belongs, is completed.
    pub(super) fn go_on(&mut self) {
        use OrderStatus as S;
        if self.state.status() == S::Completed {
            return self.let_go_of_rest();
        }
        let is_confirmed = matches!(self.state.status(), S::Confirmed | S::PartlyShipped | S::Shipped | S::Delivered);
        if !is_confirmed || pieces::count(&self.state, |run| pieces::is_here(run) || run.fate() == PieceFate::Shipped) > 0 {
            return;
        }
        if pieces::count(&self.state, |run| run.fate() != PieceFate::Cancelled) == 0 {
            return self.cancel(CANCELLED, String::new());
        }
        if self.state.captures_open.is_empty() && self.state.refunds_open.is_empty() {
            let (order_id, cart_id, release_payment) = (self.order_id.clone(), self.state.cart_id.clone(), self.has_rest());
            self.tell(OrderCompleted { order_id, cart_id, release_payment });
        }
    }
}

/// Where an order stands whose pieces are so.
pub(super) fn standing(state: &OrderState) -> OrderStatus {
    use PieceFate as F;
    let some = |is: fn(&PieceRun) -> bool| pieces::count(state, is) > 0;
    let has_left = some(|run| matches!(run.fate(), F::Shipped | F::Delivered | F::Lost | F::Returning | F::Returned));
    match (some(pieces::is_here), has_left, some(|run| run.fate() == F::Shipped)) {
        (_, false, _) => OrderStatus::Confirmed,
        (true, true, _) => OrderStatus::PartlyShipped,
        (false, true, true) => OrderStatus::Shipped,
        (false, true, false) => OrderStatus::Delivered,
    }
}
