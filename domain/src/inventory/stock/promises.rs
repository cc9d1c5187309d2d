//! Pieces that are promised to orders: until a time, or without an end; what leaves of them, and what is given back.

use daybook_kernel::{Context, Decision, Instant};
use daybook_proto::RefusalSet as _;
use prost_types::Timestamp;
use shop_proto::inventory::v1::*;

use super::{Stock, and_reorder_point, available};

/// The time for which a reservation holds when the command does not say, in seconds.
const DEFAULT_EXPIRY: u32 = 15 * 60;
/// The shortest and the longest time that a reservation can be asked for, in seconds.
const SHORTEST: u32 = 1;
const LONGEST: u32 = 30 * 24 * 60 * 60;
/// The time for which a closed place is known, in seconds: the longest that a reservation can be asked for. What is forgotten was asked for
/// even longer ago; if it still comes, it is promised for a time, and nobody confirms it.
const CLOSED_FOR: u32 = LONGEST;
/// The most closed places that a stock knows. They are rare: an order gave up what never arrived here.
pub(super) const MOST_CLOSED: usize = 1_000;

pub(super) fn reserve(state: &StockState, c: &ReserveStock, context: &Context) -> Decision<Stock> {
    let available = available(state);
    let refusal: StockRefusal = match (state.reservations.get(&c.order_id), closed_place(state, c, context)) {
        (Some(open), _) if open.quantity == c.quantity => return so_already(open, &c.process, c),
        (Some(open), _) => ReservationExists { order_id: c.order_id.clone(), requested: c.quantity, reserved: open.quantity }.into(),
        (None, Some(place)) => {
            let told = StockPlaceClosed { at: Some(context.now().to_proto()), until: place.until, ..c.into() };
            return refuse_telling(PlaceClosed { order_id: c.order_id.clone() }.into(), &c.process, |_| told);
        }
        (None, None) if c.quantity > available => InsufficientStock { requested: c.quantity, available }.into(),
        (None, None) => {
            let expires_at = Some(first_expiry(c, context).to_proto());
            return and_reorder_point(state, StockReserved { expires_at, ..c.into() });
        }
    };
    refuse_telling(refusal, &c.process, |code| ReservationRefused { requested: c.quantity, available, code, ..c.into() })
}

/// The order's place, where it is closed for this attempt.
fn closed_place<'s>(state: &'s StockState, c: &ReserveStock, context: &Context) -> Option<&'s ClosedPlace> {
    let place = state.closed.get(&c.order_id)?;
    let is_known = place.until.as_ref().is_some_and(|until| Instant::from_proto(until) > context.now());
    (is_known && c.attempt <= place.attempt).then_some(place)
}

/// A process that asked learns of the refusal by an event, which takes its code.
fn refuse_telling<E: Into<StockEvent>>(refusal: StockRefusal, process: &str, told: impl FnOnce(String) -> E) -> Decision<Stock> {
    if process.is_empty() {
        return Decision::refuse(refusal);
    }
    let code = refusal.code().to_owned();
    Decision::refuse_with(refusal, [told(code).into()])
}

/// Already so: people hear that there was nothing to do, a process by an event.
fn so_already<'c, C>(open: &Reservation, process: &str, c: &'c C) -> Decision<Stock>
where
    ReservationStands: From<&'c C>,
{
    if process.is_empty() {
        return Decision::nothing();
    }
    let (asked_by, process) = (process.to_owned(), open.process.clone());
    Decision::event(ReservationStands { quantity: open.quantity, expires_at: open.expires_at, process, asked_by, ..c.into() })
}

/// When a reservation ends that begins now. A time that is over gives it a second: whoever asked hears of it, and then of its end.
fn first_expiry(c: &ReserveStock, context: &Context) -> Instant {
    match &c.expires_at {
        Some(at) => Instant::from_proto(at).clamp(after(SHORTEST, context), after(LONGEST, context)),
        None => expiry(c.expires_in_seconds, context),
    }
}

/// When what is promised now ends.
fn expiry(in_seconds: Option<u32>, context: &Context) -> Instant {
    after(in_seconds.unwrap_or(DEFAULT_EXPIRY), context)
}

fn after(seconds: u32, context: &Context) -> Instant {
    Instant::from_micros(context.now().micros().saturating_add(i64::from(seconds) * 1_000_000))
}

pub(super) fn unknown(order_id: &str) -> StockRefusal {
    UnknownReservation { order_id: order_id.to_owned() }.into()
}

/// A shorter time than the present one is no extension: a repeat of an older wish must not take a promise back. No end is later than any.
pub(super) fn extend(state: &StockState, c: &ExtendReservation, context: &Context) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else {
        return refuse_telling(unknown(&c.order_id), &c.process, |code| ExtendRefused { code, ..c.into() });
    };
    let expires_at = expiry(c.expires_in_seconds, context);
    if open.expires_at.as_ref().is_none_or(|before| Instant::from_proto(before) >= expires_at) {
        return so_already(open, &c.process, c);
    }
    let (process, asked_by) = (open.process.clone(), c.process.clone());
    Decision::event(ReservationExtended { expires_at: Some(expires_at.to_proto()), process, asked_by, ..c.into() })
}

pub(super) fn confirm(state: &StockState, c: &ConfirmReservation) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else {
        return refuse_telling(unknown(&c.order_id), &c.process, |code| ConfirmRefused { code, ..c.into() });
    };
    if open.expires_at.is_none() && c.process.is_empty() {
        return Decision::nothing();
    }
    let (process, asked_by) = (open.process.clone(), c.process.clone());
    Decision::event(ReservationConfirmed { quantity: open.quantity, process, asked_by, ..c.into() })
}

/// The pieces that a command means: all, unless it says how many.
fn meant(open: &Reservation, order_id: &str, quantity: Option<u32>) -> Result<u32, StockRefusal> {
    let requested = quantity.unwrap_or(open.quantity);
    if requested > open.quantity {
        return Err(MoreThanReserved { order_id: order_id.to_owned(), requested, reserved: open.quantity }.into());
    }
    Ok(requested)
}

/// The order's reservation, and the pieces of it that a command means.
fn found<'s>(state: &'s StockState, order_id: &str, quantity: Option<u32>) -> Result<(&'s Reservation, u32), StockRefusal> {
    let open = state.reservations.get(order_id).ok_or_else(|| unknown(order_id))?;
    Ok((open, meant(open, order_id, quantity)?))
}

/// Pieces that leave were reserved, so what is available stays and no reorder point is crossed.
pub(super) fn commit(state: &StockState, c: &CommitStock) -> Decision<Stock> {
    match found(state, &c.order_id, c.quantity) {
        Ok((open, quantity)) => {
            let (process, asked_by) = (open.process.clone(), c.process.clone());
            Decision::event(StockCommitted { quantity, process, asked_by, ..c.into() })
        }
        Err(refusal) => refuse_telling(refusal, &c.process, |code| CommitRefused { code, ..c.into() }),
    }
}

/// Pieces that nobody finds were reserved as well: nobody else is promised what is not there.
pub(super) fn write_off(state: &StockState, c: &WriteOffStock) -> Decision<Stock> {
    match found(state, &c.order_id, c.quantity) {
        Ok((open, quantity)) => {
            let (process, asked_by) = (open.process.clone(), c.process.clone());
            Decision::event(StockWrittenOff { quantity, process, asked_by, ..c.into() })
        }
        Err(refusal) => refuse_telling(refusal, &c.process, |code| WriteOffRefused { code, ..c.into() }),
    }
}

pub(super) fn release(state: &StockState, c: &ReleaseStock, context: &Context) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else {
        if c.process.is_empty() {
            return Decision::refuse(unknown(&c.order_id));
        }
        let (at, until) = (Some(context.now().to_proto()), Some(after(CLOSED_FOR, context).to_proto()));
        return Decision::event(StockPlaceClosed { at, until, ..c.into() });
    };
    match meant(open, &c.order_id, c.quantity) {
        Ok(quantity) => {
            let (process, asked_by) = (open.process.clone(), c.process.clone());
            and_reorder_point(state, StockReleased { quantity, process, asked_by, ..c.into() })
        }
        Err(refusal) => refuse_telling(refusal, &c.process, |code| ReleaseRefused { code, ..c.into() }),
    }
}

/// The time named is compared with the reservation's own, never with a clock: a lane whose clock is behind the
/// scheduler's would refuse a deadline that fires only once.
pub(super) fn expire(state: &StockState, c: &ExpireReservation) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else { return Decision::nothing() };
    match (&open.expires_at, &c.due_at) {
        (Some(at), Some(due)) if Instant::from_proto(at) == Instant::from_proto(due) => {
            let (quantity, process, attempt) = (open.quantity, open.process.clone(), open.attempt);
            and_reorder_point(state, ReservationExpired { quantity, process, attempt, ..c.into() })
        }
        _ => Decision::nothing(),
    }
}

/// An order's promise ends at another time.
pub(super) fn ends(state: &mut StockState, order_id: &str, expires_at: Option<Timestamp>) {
    if let Some(open) = state.reservations.get_mut(order_id) {
        open.expires_at = expires_at;
    }
}

/// Pieces of an order are promised no more.
pub(super) fn given_up(state: &mut StockState, order_id: &str, quantity: u32) {
    state.reserved = state.reserved.saturating_sub(quantity);
    if let Some(open) = state.reservations.get_mut(order_id) {
        open.quantity = open.quantity.saturating_sub(quantity);
        if open.quantity == 0 {
            state.reservations.remove(order_id);
        }
    }
}

/// An order's place is closed; those whose time is over are forgotten, and the one that ends first where there are too many.
pub(super) fn closed(state: &mut StockState, event: &StockPlaceClosed) {
    let instant = |t: &Option<Timestamp>| t.as_ref().map(Instant::from_proto);
    let now = instant(&event.at);
    state.closed.retain(|_, place| instant(&place.until) > now);
    let place = state.closed.entry(event.order_id.clone()).or_default();
    place.attempt = place.attempt.max(event.attempt);
    if instant(&event.until) > instant(&place.until) {
        place.until = event.until;
    }
    if state.closed.len() > MOST_CLOSED
        && let Some(first) = state.closed.iter().min_by_key(|(id, place)| (instant(&place.until), *id)).map(|(id, _)| id.clone())
    {
        state.closed.remove(&first);
    }
}
