//! What is known of payments at the provider. Each fact is put to those that are known, so it does not matter in which order, how often and
//! how late they come.

use prost_types::Timestamp;
use shop_proto::payment::v1::*;

use super::books;

/// So many notices are remembered by their ids.
const NOTICES: usize = 1_000;

/// The provider has answered, or has told something by itself.
pub(super) fn heard(state: &mut PaymentState, e: &ProviderHeard) {
    if !e.notice_id.is_empty() {
        state.notices.push(e.notice_id.clone());
        let too_many = state.notices.len().saturating_sub(NOTICES);
        state.notices.drain(..too_many);
    }
    if let Some(payment) = &e.payment {
        learn(state, payment);
    }
    if let Some(flight) = state.in_flight.take_if(|flight| flight.ask == e.ask) {
        answered(state, &flight, e);
    }
}

/// Puts what is said to what is known: amounts grow, later statuses cover earlier ones, and of an authorisation's ends the earliest counts.
fn learn(state: &mut PaymentState, said: &ProviderPayment) {
    let object = match state.objects.iter_mut().position(|object| id(object) == said.object_id) {
        Some(n) => &mut state.objects[n],
        None => {
            let known = ProviderPayment { object_id: said.object_id.clone(), currency: said.currency.clone(), ..Default::default() };
            state.objects.push(ProviderObject { known: Some(known), ..Default::default() });
            let last = state.objects.len() - 1;
            &mut state.objects[last]
        }
    };
    let known = object.known.get_or_insert_default();
    known.set_status(known.status().max(said.status()));
    known.authorised = known.authorised.max(said.authorised);
    known.captured = known.captured.max(said.captured);
    known.refunded = known.refunded.max(said.refunded);
    known.captures_once |= said.captures_once;
    known.capture_before = [known.capture_before, said.capture_before].into_iter().flatten().min_by_key(time);
    if object.undo_in_doubt > 0 && known.refunded >= object.undo_before.saturating_add(object.undo_in_doubt) {
        object.undone = object.undone.saturating_add(std::mem::take(&mut object.undo_in_doubt));
    }
}

fn time(t: &Timestamp) -> (i64, i32) {
    (t.seconds, t.nanos)
}

/// The operation that was in flight has its answer.
fn answered(state: &mut PaymentState, flight: &AskInFlight, e: &ProviderHeard) {
    use Operation as O;
    let is_of_attempt = flight.number == state.attempt && !flight.undo;
    let tells_of_attempt = matches!(flight.operation(), O::Create | O::Confirm | O::Look) && is_of_attempt;
    state.looked |= tells_of_attempt && state.timed_out;
    let is_done = e.result() == OperationResult::Done || is_covered(state, flight);
    // A key that the provider does not know says nothing of what was done.
    let is_forgotten = e.result() == OperationResult::NotBegun;
    let of = match (flight.operation(), &e.payment) {
        (O::Create, Some(made)) => made.object_id.clone(),
        _ => flight.object_id.clone(),
    };
    let Some(object) = state.objects.iter_mut().find(|object| id(object) == of) else { return };
    match flight.operation() {
        O::Create => object.attempt = flight.number,
        O::Cancel => {
            let known = object.known.get_or_insert_default();
            if is_done && e.payment.is_none() {
                known.set_status(ProviderStatus::Cancelled);
            }
            let status = known.status();
            object.set_cancelled_at(status);
            object.cancel_refused = !is_done;
            object.unseen = !is_done && e.payment.is_none();
        }
        O::Look => {
            object.unseen = false;
            // The provider knows no such payment: there is nothing to cancel.
            object.cancel_refused &= e.payment.is_some() || e.result() == OperationResult::NotBegun;
            // Who tries again knows now what has come of the first try, if it is the payment that they belong to.
            if object.attempt > 0 && object.attempt == state.attempt {
                let waiting = state.moves.iter_mut().filter(|known| known.status() == MoveStatus::Unspecified && known.retries > 0);
                waiting.for_each(|known| known.looked = true);
            }
        }
        O::Refund if flight.undo => {
            if is_done {
                object.undone = object.undone.saturating_add(flight.amount);
            } else if is_forgotten {
                (object.undo_in_doubt, object.undo_before) = (flight.amount, flight.before);
            } else {
                // As it stood when it was asked: what was told with the refusal may be why.
                (object.refused_taken, object.refused_given_back) = (flight.taken, flight.before);
            }
        }
        O::Capture | O::Refund if !is_done && is_forgotten => books::in_doubt(state, flight),
        _ => {}
    }
}

/// Whether what is known shows that the provider has done this capture or refund: its sum has grown by the amount since it was asked.
pub(super) fn is_covered(state: &PaymentState, flight: &AskInFlight) -> bool {
    let Some(known) = object(state, &flight.object_id).and_then(|object| object.known.as_ref()) else { return false };
    let shown = match flight.operation() {
        Operation::Capture => known.captured,
        Operation::Refund => known.refunded,
        _ => return false,
    };
    i128::from(shown) >= i128::from(flight.before) + i128::from(flight.amount)
}

/// The provider's id of an object.
pub(super) fn id(object: &ProviderObject) -> &str {
    object.known.as_ref().map_or("", |known| known.object_id.as_str())
}

/// Its authorisation ends then by itself; none: never, or nobody has said it.
pub(super) fn ends_at(object: &ProviderObject) -> Option<Timestamp> {
    object.known.as_ref().and_then(|known| known.capture_before)
}

pub(super) fn object<'s>(state: &'s PaymentState, object_id: &str) -> Option<&'s ProviderObject> {
    state.objects.iter().find(|object| id(object) == object_id)
}

/// The object of the last attempt: all that the order has asked to be taken is taken with it.
pub(super) fn of_attempt(state: &PaymentState) -> Option<&ProviderObject> {
    state.objects.iter().find(|object| object.attempt > 0 && object.attempt == state.attempt)
}

pub(super) fn status(object: &ProviderObject) -> ProviderStatus {
    object.known.as_ref().map_or(ProviderStatus::Unspecified, ProviderPayment::status)
}

/// Nothing will be paid any more, and what was is undone.
pub(super) fn is_over(state: &PaymentState) -> bool {
    state.voided > 0 || state.timed_out && !state.attempt_open && !state.authorised
}

/// Whether the object is, or may yet be, what the order is paid with. One that no known attempt has made is left alone until all is over.
pub(super) fn is_wanted(state: &PaymentState, object: &ProviderObject) -> bool {
    let is_last = object.attempt == state.attempt && (state.attempt_open || state.authorised);
    !is_over(state) && (object.attempt == 0 || is_last)
}

/// Whether the order may take nothing more with this object, though it is paid with it: what is not captured is let go, once all that was
/// asked for has been tried.
pub(super) fn is_let_go(state: &PaymentState, object: &ProviderObject) -> bool {
    let is_last = object.attempt > 0 && object.attempt == state.attempt && state.authorised;
    state.released > 0 && is_last && books::waiting_captures(state).is_empty()
}

/// Whether all that may be taken with the object was taken.
fn is_used_up(state: &PaymentState, object: &ProviderObject) -> bool {
    let taken = books::taken(state, object);
    object.known.as_ref().is_some_and(|known| taken > 0 && (known.captures_once || taken >= known.authorised))
}

/// Whether the object has come to an end at which nothing can be taken with it any more, and something was left.
pub(super) fn is_lost(state: &PaymentState, object: &ProviderObject) -> bool {
    matches!(status(object), ProviderStatus::Declined | ProviderStatus::Cancelled) && !is_used_up(state, object)
}

/// Whether the order is not paid with the object, or will take nothing more with it.
pub(super) fn is_over_with(state: &PaymentState, object: &ProviderObject) -> bool {
    !is_wanted(state, object) || is_let_go(state, object)
}

/// Whether nothing more can be taken with the object, as the provider has said.
fn has_ended(state: &PaymentState, object: &ProviderObject) -> bool {
    matches!(status(object), ProviderStatus::Declined | ProviderStatus::Cancelled) || is_used_up(state, object)
}

/// Whether something is authorised by the object, or may be, that nobody has asked to cancel yet. A cancellation that was answered is not
/// asked for again, unless the object has come further since.
pub(super) fn is_alive(state: &PaymentState, object: &ProviderObject) -> bool {
    !has_ended(state, object) && (object.cancels == 0 || status(object) > object.cancelled_at())
}

/// What the provider has refused to cancel, and what stands open still, is to be cancelled as if it had not been asked; and what it has refused to
/// give back, to be given back so.
pub(super) fn cancel_anew(state: &mut PaymentState) {
    state.retry_at = None;
    let open: Vec<String> = left_open(state).map(|object| id(object).to_owned()).collect();
    for object in &mut state.objects {
        (object.refused_taken, object.refused_given_back) = (0, 0);
        if open.iter().any(|open| open == id(object)) {
            object.set_cancelled_at(ProviderStatus::Unspecified);
        }
    }
}

/// What the order is not paid with, or will take nothing more with, and the provider has refused to cancel.
pub(super) fn left_open(state: &PaymentState) -> impl Iterator<Item = &ProviderObject> {
    state.objects.iter().filter(|object| is_over_with(state, object) && stands_open(state, object))
}

/// Whether the provider has refused to cancel the object, and it has not ended otherwise: what it has authorised may be taken still.
pub(super) fn stands_open(state: &PaymentState, object: &ProviderObject) -> bool {
    object.cancel_refused && !has_ended(state, object)
}
