//! The books of a payment: what the order asked to be taken and given back, what has become of it, and what the provider did beyond it.
//! Amounts are in minor units of the payment's currency.

use shop_proto::common::v1::Money;
use shop_proto::payment::v1::*;

use super::{NOT_AUTHORISED, OVER_LIMIT, RELEASED, Story, VOID, provider};

pub(super) fn units(amount: &Option<Money>) -> i64 {
    amount.as_ref().map_or(0, |amount| amount.minor_units.max(0))
}

/// The payment's currency; before there is one, that of the first object.
pub(super) fn currency(state: &PaymentState) -> String {
    let of_objects = || state.objects.iter().find_map(|object| object.known.as_ref()).map(|known| known.currency.clone());
    state.amount.as_ref().map(|amount| amount.currency.clone()).or_else(of_objects).unwrap_or_default()
}

/// A capture or refund has come to this.
pub(super) fn moved(state: &mut PaymentState, refund: bool, number: u32, amount: &Option<Money>, status: MoveStatus) {
    match state.moves.iter_mut().find(|known| known.refund == refund && known.number == number) {
        Some(known) => known.set_status(status),
        None => state.moves.push(MoneyMove { refund, number, amount: amount.clone(), status: status.into(), ..Default::default() }),
    }
}

/// The order has asked for a capture or refund; `retries`: that of this number has failed, and this one tries it again.
pub(super) fn requested(state: &mut PaymentState, refund: bool, number: u32, amount: &Option<Money>, retries: u32) {
    moved(state, refund, number, amount, MoveStatus::Unspecified);
    state.moves.iter_mut().filter(|known| known.refund == refund && known.number == number).for_each(|known| known.retries = retries);
}

/// The provider has forgotten what came of what it was asked: it waits to be asked again.
pub(super) fn in_doubt(state: &mut PaymentState, flight: &AskInFlight) {
    let refund = flight.operation() == Operation::Refund;
    let is_it = |known: &&mut MoneyMove| known.refund == refund && known.number == flight.number && known.status() == MoveStatus::Asked;
    if let Some(known) = state.moves.iter_mut().find(is_it) {
        known.set_status(MoveStatus::Unspecified);
        known.again = known.again.saturating_add(1);
    }
}

/// The sum of captures or refunds that wait to be asked again, and may be done all the same.
fn doubtful(state: &PaymentState, refund: bool) -> i128 {
    let waits = |known: &&MoneyMove| known.refund == refund && known.again > 0 && known.status() == MoveStatus::Unspecified;
    let moves = state.moves.iter().filter(waits).map(|known| known.asked);
    let undos = state.objects.iter().filter(|_| refund).map(|object| object.undo_in_doubt);
    moves.chain(undos).map(i128::from).sum()
}

/// Whether the order has asked for this one before.
pub(super) fn is_asked(state: &PaymentState, refund: bool, number: u32) -> bool {
    state.moves.iter().any(|known| known.refund == refund && known.number == number)
}

/// Whether money was taken, or may be: then nobody else can pay.
pub(super) fn is_taken(state: &PaymentState) -> bool {
    state.moves.iter().any(|known| !known.refund && known.status() != MoveStatus::Failed)
}

pub(super) fn waiting_captures(state: &PaymentState) -> Vec<MoneyMove> {
    state.moves.iter().filter(|known| !known.refund && known.status() == MoveStatus::Unspecified).cloned().collect()
}

/// The sum of captures or refunds that are done and, if so, of those that may be.
fn sum(state: &PaymentState, refund: bool, pending: bool) -> i128 {
    let counts = |known: &&MoneyMove| match known.status() {
        MoveStatus::Done => true,
        MoveStatus::Failed => false,
        MoveStatus::Unspecified | MoveStatus::Asked => pending,
    };
    state.moves.iter().filter(|known| known.refund == refund).filter(counts).map(|known| i128::from(units(&known.amount))).sum()
}

/// Why a capture or refund can't be done; none where it can. What is asked to be taken counts for a refund: it waits behind that.
pub(super) fn refusal(state: &PaymentState, asked: &MoneyMove) -> Option<&'static str> {
    if state.voided > 0 {
        return Some(VOID);
    }
    let is_itself =
        |known: &MoneyMove| (known.refund, known.number) == (asked.refund, asked.number) && known.status() != MoveStatus::Failed;
    let of_itself = if state.moves.iter().any(is_itself) { units(&asked.amount) } else { 0 };
    let wanted = sum(state, asked.refund, true) - i128::from(of_itself) + i128::from(units(&asked.amount));
    if asked.refund {
        let is_other = asked.amount.as_ref().is_none_or(|amount| amount.currency != currency(state));
        return (is_other || wanted > sum(state, false, true)).then_some(OVER_LIMIT);
    }
    if state.released > 0 {
        return Some(RELEASED);
    }
    let currency = |amount: &Option<Money>| amount.as_ref().map(|amount| amount.currency.clone());
    if !state.authorised || state.authorisation_lost || currency(&asked.amount) != currency(&state.amount) {
        return Some(NOT_AUTHORISED);
    }
    (wanted > i128::from(units(&state.amount))).then_some(OVER_LIMIT)
}

/// Whether a refund whose turn it is would give back more than was taken: a capture before it has failed.
pub(super) fn is_too_much(state: &PaymentState, refund: &MoneyMove) -> bool {
    sum(state, true, false) + i128::from(units(&refund.amount)) > sum(state, false, false)
}

/// Taken with this object: as the provider shows it, and as it has said.
pub(super) fn taken(state: &PaymentState, object: &ProviderObject) -> i64 {
    let shown = object.known.as_ref().map_or(0, |known| known.captured);
    shown.max(of_order(state, object, false))
}

/// Given back with this object.
pub(super) fn given_back(state: &PaymentState, object: &ProviderObject) -> i64 {
    let shown = object.known.as_ref().map_or(0, |known| known.refunded);
    shown.max(of_order(state, object, true).saturating_add(object.undone))
}

/// Done with this object as the order has asked. All of it is done with the last attempt's: no other attempt comes once money is taken.
fn of_order(state: &PaymentState, object: &ProviderObject, refund: bool) -> i64 {
    let is_last = object.attempt > 0 && object.attempt == state.attempt;
    if is_last { clamp(sum(state, refund, false)) } else { 0 }
}

/// What the provider has done already of a capture or refund whose turn it is, though nobody had asked it to. Money that the customer's bank has
/// taken back, or that somebody has given back by hand, is the customer's: it is not given back once more. Money that somebody has taken by hand
/// counts as a capture of ours only where that was asked for before.
pub(super) fn done_unasked(state: &PaymentState, object: &ProviderObject, next: &MoneyMove) -> i64 {
    let Some(known) = object.known.as_ref().filter(|known| known.currency == currency(state)) else { return 0 };
    let taken = known.captured.saturating_sub(of_order(state, object, false)).saturating_sub(object.undone).max(0);
    if !next.refund {
        return if next.retries > 0 { taken.min(units(&next.amount)) } else { 0 };
    }
    // What a capture that has failed explains was not taken by hand.
    let taken = taken.saturating_sub(clamp(untried(state).map(|known| i128::from(known.asked)).sum())).max(0);
    let asked = of_order(state, object, true).saturating_add(object.undone);
    known.refunded.saturating_sub(asked).saturating_sub(taken).clamp(0, units(&next.amount))
}

/// What has to be given back of an object: all that was taken, where the order is not paid with it.
fn to_undo(state: &PaymentState, object: &ProviderObject) -> i64 {
    let left = taken(state, object).saturating_sub(given_back(state, object));
    let left = if provider::is_wanted(state, object) { left.min(done_after_all(state, object)) } else { left };
    left.max(0)
}

/// Whether the provider has refused to give back what has to be, and nothing has changed since.
fn is_undo_refused(state: &PaymentState, object: &ProviderObject) -> bool {
    let stands = (taken(state, object), given_back(state, object));
    to_undo(state, object) > 0 && stands == (object.refused_taken, object.refused_given_back)
}

/// What the provider has taken although it had said no, beyond what became of it when it was tried again. Pieces had come back meanwhile, and
/// less was tried; or the money was taken twice, late. What somebody takes by hand beside that is not ours to give back, and what is owed for a
/// capture that was not tried again is kept for it.
fn done_after_all(state: &PaymentState, object: &ProviderObject) -> i64 {
    if object.attempt == 0 || object.attempt != state.attempt {
        return 0;
    }
    let failed = |number: u32| state.moves.iter().find(|known| !known.refund && known.number == number);
    let mut may_be = -i128::from(object.undone);
    for done in state.moves.iter().filter(|known| !known.refund && known.status() == MoveStatus::Done && known.retries > 0) {
        let mut before = failed(done.retries);
        while let Some(tried) = before {
            may_be += i128::from(units(&tried.amount));
            before = failed(tried.retries).filter(|earlier| earlier.number < tried.number);
        }
        // So much of it was there already when its turn came, and counts for it.
        may_be -= i128::from(units(&done.amount).saturating_sub(done.asked));
    }
    let net = |taken: i64, given_back: i64| i128::from(taken) - i128::from(given_back);
    let shown = net(taken(state, object), given_back(state, object));
    let asked = net(of_order(state, object, false), of_order(state, object, true));
    let owed: i128 = untried(state).map(|known| i128::from(units(&known.amount))).sum();
    clamp(may_be.min(shown - asked - owed).max(0))
}

/// Captures that have failed and that the order has not tried again: the provider may have done them after all, and the order owes them still.
fn untried(state: &PaymentState) -> impl Iterator<Item = &MoneyMove> {
    let is_tried = |number: u32| state.moves.iter().any(|known| !known.refund && known.retries == number);
    state.moves.iter().filter(move |known| !known.refund && known.status() == MoveStatus::Failed && !is_tried(known.number))
}

fn clamp(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

impl Story {
    /// Tells what the provider has done beyond what it was asked to, when that is another amount than was told.
    pub(super) fn deviate(&mut self) {
        let state = &self.state;
        if state.requested == 0 && state.voided == 0 {
            return;
        }
        let is_asked = |operation| {
            let is_in_flight = state.in_flight.as_ref().is_some_and(|flight| flight.operation() == operation);
            is_in_flight || doubtful(state, operation == Operation::Refund) > 0
        };
        // While an operation is in flight, its amount may have been done or not: only what is beyond it is certain.
        let now = |beyond: i64, told: i64, operation| if is_asked(operation) { beyond.max(told) } else { beyond };
        let captured = now(beyond(state, Operation::Capture), state.deviated_captured, Operation::Capture);
        let refunded = now(beyond(state, Operation::Refund), state.deviated_refunded, Operation::Refund);
        if (captured, refunded) != (state.deviated_captured, state.deviated_refunded) {
            let (order_id, currency) = (self.order_id.clone(), currency(state));
            self.tell(PaymentDeviated { order_id, captured, refunded, currency });
        }
    }
}

/// What the provider shows beyond what was done, what it is being asked, and what of it was given back.
fn beyond(state: &PaymentState, operation: Operation) -> i64 {
    let (currency, refund) = (currency(state), operation == Operation::Refund);
    let of = |object: &ProviderObject| {
        let known = object.known.as_ref().filter(|known| known.currency == currency)?;
        Some(i128::from(if refund { known.refunded } else { known.captured }))
    };
    let shown: i128 = state.objects.iter().filter_map(of).sum();
    let undone = |object: &ProviderObject| if refund { i128::from(object.undone) } else { settled(state, object) };
    let undone: i128 = state.objects.iter().map(undone).sum();
    let counted = |flight: &&AskInFlight| {
        let is_done = |known: &MoneyMove| known.refund == refund && known.number == flight.number && known.status() == MoveStatus::Done;
        flight.operation() != operation || !flight.undo && state.moves.iter().any(is_done)
    };
    let asked = state.in_flight.as_ref().filter(|flight| !counted(flight)).map_or(0, |flight| i128::from(flight.amount));
    clamp((shown - sum(state, refund, false) - undone - asked - doubtful(state, refund)).max(0))
}

/// What was taken with an object beyond what the order has asked for, and was given back. What is undone of an object that the order is paid with is
/// that; of one that is given up, the order's own is undone as well.
fn settled(state: &PaymentState, object: &ProviderObject) -> i128 {
    let own = || i128::from(of_order(state, object, false)) - i128::from(of_order(state, object, true));
    let own = if provider::is_wanted(state, object) { 0 } else { own() };
    (i128::from(object.undone) - own).max(0)
}

/// What the order may rely on: authorised, taken and given back. Each is at most the one before.
#[cfg(test)]
pub(super) fn shown(state: &PaymentState) -> [i64; 3] {
    let authorised = if state.authorised || is_taken(state) { units(&state.amount) } else { 0 };
    [authorised, clamp(sum(state, false, false)), clamp(sum(state, true, false))]
}

/// The object whose money is to be given back next, and how much.
pub(super) fn next_undo(state: &PaymentState) -> Option<(String, i64)> {
    let asks = state.objects.iter().filter(|object| !is_undo_refused(state, object));
    asks.map(|object| (provider::id(object).to_owned(), to_undo(state, object))).find(|(_, amount)| *amount > 0)
}

/// Whether something has to be given back that the provider has refused to.
pub(super) fn is_any_undo_refused(state: &PaymentState) -> bool {
    state.objects.iter().any(|object| is_undo_refused(state, object))
}
