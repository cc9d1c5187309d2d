//! Stock of one SKU in one warehouse: what is on the shelf, and what is promised to whom.

mod deadlines;
mod promises;
mod transfers;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod spec;

use daybook_kernel::{Context, Decider, Decision};
pub use deadlines::Reservations;
use shop_proto::inventory::v1::*;

/// Stock of one SKU in one warehouse. Stream `stock/{sku}@{warehouse}`.
pub struct Stock;

/// The most pieces that there may be on hand: far beyond any warehouse, and such that sums and differences fit 32 bits.
const MAX_ON_HAND: u32 = 2_000_000_000;

impl Decider for Stock {
    type Command = StockCommand;
    type Event = StockEvent;
    type State = StockState;
    type Refusal = StockRefusal;

    fn decide(state: &StockState, command: &StockCommand, context: &Context) -> Decision<Self> {
        use StockCommand as C;
        match command {
            C::ReceiveStock(c) => added(state, c.quantity, StockReceived::from(c)),
            C::AdjustStock(c) => adjusted(state, c.into()),
            C::CountStock(c) => count(state, c),
            C::ReserveStock(c) => promises::reserve(state, c, context),
            C::ExtendReservation(c) => promises::extend(state, c, context),
            C::ConfirmReservation(c) => promises::confirm(state, c),
            C::CommitStock(c) => promises::commit(state, c),
            C::ReleaseStock(c) => promises::release(state, c, context),
            C::WriteOffStock(c) => promises::write_off(state, c),
            C::ExpireReservation(c) => promises::expire(state, c),
            C::StartTransfer(c) => transfers::start(state, c),
            C::FinishTransfer(c) => transfers::finish(state, c),
            C::SetReorderPoint(c) if state.reorder_point == c.reorder_point => Decision::nothing(),
            C::SetReorderPoint(c) => and_reorder_point(state, ReorderPointSet::from(c)),
        }
    }

    fn evolve(state: &mut StockState, event: &StockEvent) {
        use StockEvent as E;
        match event {
            E::StockReceived(e) => state.on_hand = state.on_hand.saturating_add(e.quantity),
            E::StockAdjusted(e) => state.on_hand = state.on_hand.saturating_add_signed(e.delta),
            E::StockReserved(e) => {
                state.reserved = state.reserved.saturating_add(e.quantity);
                let (quantity, expires_at, attempt) = (e.quantity, e.expires_at, e.attempt);
                let reservation = Reservation { quantity, expires_at, process: e.process.clone(), attempt };
                state.reservations.insert(e.order_id.clone(), reservation);
            }
            E::ReservationExtended(e) => promises::ends(state, &e.order_id, e.expires_at),
            E::ReservationConfirmed(e) => promises::ends(state, &e.order_id, None),
            E::StockCommitted(e) => {
                promises::given_up(state, &e.order_id, e.quantity);
                state.on_hand = state.on_hand.saturating_sub(e.quantity);
            }
            E::StockWrittenOff(e) => {
                promises::given_up(state, &e.order_id, e.quantity);
                state.on_hand = state.on_hand.saturating_sub(e.quantity);
            }
            E::StockReleased(e) => promises::given_up(state, &e.order_id, e.quantity),
            E::ReservationExpired(e) => promises::given_up(state, &e.order_id, e.quantity),
            E::StockPlaceClosed(e) => promises::closed(state, e),
            E::TransferStarted(e) => {
                state.on_hand = state.on_hand.saturating_sub(e.quantity);
                transfers::known(state, &e.transfer_id, (&e.to, e.quantity, false));
            }
            E::TransferFinished(e) => {
                state.on_hand = state.on_hand.saturating_add(e.quantity);
                transfers::known(state, &e.transfer_id, (&e.from, e.quantity, true));
            }
            E::ReorderPointSet(e) => state.reorder_point = e.reorder_point,
            // For the process that asked: nothing moved.
            E::ReservationStands(_)
            | E::ReservationRefused(_)
            | E::ExtendRefused(_)
            | E::ConfirmRefused(_)
            | E::CommitRefused(_)
            | E::ReleaseRefused(_)
            | E::WriteOffRefused(_)
            | E::ReorderPointCrossed(_)
            | E::ReorderPointRegained(_) => {}
        }
    }
}

/// Pieces that can be promised now.
fn available(state: &StockState) -> u32 {
    state.on_hand.saturating_sub(state.reserved)
}

fn is_below_reorder_point(state: &StockState) -> bool {
    available(state) < state.reorder_point
}

/// The event, and, when it makes what is available fall below the reorder point or come back to it, that too.
fn and_reorder_point(state: &StockState, event: impl Into<StockEvent>) -> Decision<Stock> {
    let event = event.into();
    // Without the reservations: a busy stock has many, and levels don't need them.
    let mut after =
        StockState { on_hand: state.on_hand, reserved: state.reserved, reorder_point: state.reorder_point, ..Default::default() };
    Stock::evolve(&mut after, &event);
    let (sku, warehouse) = (event.sku().to_owned(), event.warehouse().to_owned());
    let (reorder_point, available) = (after.reorder_point, available(&after));
    match (is_below_reorder_point(state), is_below_reorder_point(&after)) {
        (false, true) => Decision::events([event, ReorderPointCrossed { sku, warehouse, reorder_point, available }.into()]),
        (true, false) => Decision::events([event, ReorderPointRegained { sku, warehouse, reorder_point, available }.into()]),
        _ => Decision::event(event),
    }
}

/// More pieces, when the books allow it.
fn added(state: &StockState, quantity: u32, event: impl Into<StockEvent>) -> Decision<Stock> {
    match state.on_hand.checked_add(quantity) {
        Some(sum) if sum <= MAX_ON_HAND => and_reorder_point(state, event),
        _ => Decision::refuse(StockLimitExceeded { on_hand: state.on_hand, added: quantity, limit: MAX_ON_HAND }),
    }
}

fn count(state: &StockState, c: &CountStock) -> Decision<Stock> {
    // Both are at most MAX_ON_HAND, so their difference fits.
    let delta = c.counted.cast_signed().saturating_sub(state.on_hand.cast_signed());
    adjusted(state, StockAdjusted { delta, counted: Some(c.counted), ..c.into() })
}

fn adjusted(state: &StockState, event: StockAdjusted) -> Decision<Stock> {
    let (delta, available) = (event.delta, available(state));
    match delta {
        0 => Decision::nothing(),
        1.. => added(state, delta.unsigned_abs(), event),
        _ if delta.unsigned_abs() <= available => and_reorder_point(state, event),
        _ => Decision::refuse(AdjustmentBelowZero { delta, on_hand: state.on_hand, reserved: state.reserved, available }),
    }
}
