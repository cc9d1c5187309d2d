//! How a payment ends: another attempt takes its place, its time is over, its order gives up.

use super::*;

fn cancelled(ask: u32, attempt: u32) -> RecordOperation {
    done(ask, standing(attempt, ProviderStatus::Cancelled))
}

/// The time was over while the customer had to act: the provider is asked once more.
fn looking() -> Vec<PaymentEvent> {
    all([acting(), vec![timed_out(), ask_look(3, 1)]])
}

#[test]
fn another_attempt_gives_up_the_one_before_first() {
    given::<Payment>(acting()).when(request(2)).then([ended(1, "superseded"), requested(2), ask_cancel(3, 1)]);
    let next = all([acting(), vec![ended(1, "superseded"), requested(2), ask_cancel(3, 1)]]);
    given::<Payment>(next).when(cancelled(3, 1)).then([heard(&cancelled(3, 1)), ask_create(4, 2)]);
    // Also one that is authorised, while nothing was asked to be taken.
    given::<Payment>(paid()).when(request(2)).then([requested(2), ask_cancel(3, 1)]);
}

#[test]
fn another_attempt_waits_for_what_the_provider_is_asked() {
    let (over, yes) = (vec![ended(1, "superseded"), requested(2)], confirmed(ProviderStatus::Authorised));
    given::<Payment>(making()).when(request(2)).then(over.clone());
    given::<Payment>(all([making(), over.clone()])).when(made()).then([heard(&made()), ask_cancel(2, 1)]);
    given::<Payment>(all([making(), over.clone()])).when(refused(1, "no")).then([heard(&refused(1, "no")), ask_create(2, 2)]);
    // Authorised in spite of it: that is undone.
    given::<Payment>(all([confirming(), over])).when(yes.clone()).then([heard(&yes), ask_cancel(3, 1)]);
}

#[test]
fn an_earlier_attempt_or_one_that_comes_when_money_is_taken_is_superseded() {
    given::<Payment>([requested(2), ask_create(1, 2)]).when(request(1)).then([ended(1, "superseded")]);
    for more in [vec![capturing(1, 5), ask_capture(3, 1, 5)], vec![capturing(1, 5), captured(1, 5)]] {
        given::<Payment>(all([paid(), more])).when(request(2)).then([ended(2, "superseded")]);
    }
    let failed = all([paid(), vec![not_captured(1, TOTAL + 1, "over-limit")]]);
    given::<Payment>(failed).when(request(2)).then([requested(2), ask_cancel(3, 1)]);
}

#[test]
fn the_provider_is_asked_once_more_when_the_time_is_over() {
    given::<Payment>(acting()).when(time_out()).then([timed_out(), ask_look(3, 1)]);
    let yes = done(3, standing(1, ProviderStatus::Authorised));
    given::<Payment>(looking()).when(yes.clone()).then([heard(&yes), authorised(1)]);
    let still = done(3, standing(1, ProviderStatus::ActionRequired));
    given::<Payment>(looking()).when(still.clone()).then([heard(&still), ended(1, "timeout"), ask_cancel(4, 1)]);
    let no = done(3, standing(1, ProviderStatus::Declined));
    given::<Payment>(looking()).when(no.clone()).then([heard(&no), ended(1, "timeout")]);
    given::<Payment>(looking()).when(refused(3, "")).then([heard(&refused(3, "")), ended(1, "timeout"), ask_cancel(4, 1)]);
}

#[test]
fn what_is_in_flight_when_the_time_is_over_is_that_look() {
    given::<Payment>(making()).when(time_out()).then([timed_out()]);
    given::<Payment>(confirming()).when(time_out()).then([timed_out()]);
    let late = all([confirming(), vec![timed_out()]]);
    let (yes, act) = (confirmed(ProviderStatus::Authorised), confirmed(ProviderStatus::ActionRequired));
    given::<Payment>(late.clone()).when(yes.clone()).then([heard(&yes), authorised(1)]);
    given::<Payment>(late).when(act.clone()).then([heard(&act), ended(1, "timeout"), ask_cancel(3, 1)]);
    let late = all([making(), vec![timed_out()]]);
    given::<Payment>(late.clone()).when(made()).then([heard(&made()), ended(1, "timeout"), ask_cancel(2, 1)]);
    given::<Payment>(late).when(refused(1, "no")).then([heard(&refused(1, "no")), ended(1, "timeout")]);
}

#[test]
fn a_look_is_not_taken_when_another_answer_has_come() {
    // The earlier attempt's object is being cancelled when the time is over.
    let busy = || {
        let second = done(4, standing(2, ProviderStatus::ActionRequired));
        let late = noticed(&notice("n-1", standing(1, ProviderStatus::ActionRequired)));
        let next = vec![ended(1, "superseded"), requested(2), heard(&refused(1, "no")), ask_create(4, 2), heard(&second)];
        all([making(), next, vec![action_required(2, ""), late]])
    };
    given::<Payment>(busy()).when(time_out()).then([timed_out(), ask_look(5, 2)]);
    let told = notice("n-2", standing(2, ProviderStatus::Authorised));
    let looking = all([busy(), vec![timed_out(), ask_look(5, 2)]]);
    given::<Payment>(looking.clone()).when(told.clone()).then([noticed(&told), authorised(2)]);
    let late = done(5, standing(2, ProviderStatus::ActionRequired));
    given::<Payment>(all([looking, vec![noticed(&told), authorised(2)]])).when(late.clone()).then([heard(&late)]);
}

#[test]
fn an_attempt_that_has_no_object_ends_with_its_time() {
    let none = all([making(), vec![heard(&RecordOperation { payment: None, ..made() })]]);
    given::<Payment>(none).when(time_out()).then([timed_out(), ended(1, "timeout")]);
    // It waits for the earlier one's cancellation, and was never begun.
    let waits = all([acting(), vec![ended(1, "superseded"), requested(2), ask_cancel(3, 1)]]);
    given::<Payment>(waits).when(time_out()).then([timed_out(), ended(2, "timeout")]);
}

#[test]
fn what_was_too_late_to_begin_has_timed_out() {
    given::<Payment>(making()).when(not_begun(1)).then([heard(&not_begun(1)), timed_out(), ended(1, "timeout")]);
    let events = [heard(&not_begun(2)), timed_out(), ended(1, "timeout"), ask_cancel(3, 1)];
    given::<Payment>(confirming()).when(not_begun(2)).then(events);
    let late = all([making(), vec![timed_out()]]);
    given::<Payment>(late).when(not_begun(1)).then([heard(&not_begun(1)), ended(1, "timeout")]);
}

#[test]
fn an_order_that_waits_for_other_means_hears_that_the_time_is_over() {
    given::<Payment>(was_declined()).when(time_out()).then([timed_out(), ended(1, "timeout")]);
    let over = all([was_declined(), vec![timed_out(), ended(1, "timeout")]]);
    given::<Payment>(over.clone()).when(request(2)).then([ended(2, "timeout")]);
    given::<Payment>(all([over, vec![ended(2, "timeout")]])).when(request(2)).then_nothing();
}

#[test]
fn a_time_that_is_over_matters_only_to_what_waits_for_it() {
    given_nothing::<Payment>().when(time_out()).then_nothing();
    let other = TimeOutPayment { due_at: Some(at(PAY_UNTIL + 1)), ..time_out() };
    given::<Payment>(making()).when(other).then_nothing();
    for history in [paid(), looking(), all([making(), vec![voiding(1), ended(1, "void")]])] {
        given::<Payment>(history).when(time_out()).then_nothing();
    }
    // The last request's time counts.
    let later = RequestPayment { pay_until: Some(at(PAY_UNTIL + 60)), ..request(2) };
    let history = all([was_declined(), vec![PaymentRequested::from(&later).into(), ask_create(3, 2)]]);
    given::<Payment>(history).when(time_out()).then_nothing();
}

#[test]
fn what_succeeds_after_the_time_is_undone() {
    let over = all([looking(), vec![heard(&refused(3, "")), ended(1, "timeout"), ask_cancel(4, 1)]]);
    let no = refused(4, "busy");
    given::<Payment>(over.clone()).when(no.clone()).then([heard(&no), ask_closer(5, 1)]);
    let still = done(5, standing(1, ProviderStatus::ActionRequired));
    let told = notice("n-1", standing(1, ProviderStatus::Authorised));
    let seen = all([over, vec![heard(&no), ask_closer(5, 1), heard(&still), cancel_refused(DAY)]]);
    given::<Payment>(seen).when(told.clone()).then([noticed(&told), ask_cancel_again(6, 2, 1)]);
}

#[test]
fn a_void_closes_a_payment_that_nobody_has_requested() {
    given_nothing::<Payment>().when(void(1)).then([voiding(1), voided(1)]);
    let closed = vec![voiding(1), voided(1)];
    given::<Payment>(closed.clone()).when(request(1)).then([ended(1, "void")]);
    given::<Payment>(closed.clone()).when(capture(1, 5)).then([not_captured(1, 5, "void")]);
    given::<Payment>(closed.clone()).when(refund(1, 5)).then([not_refunded(1, 5, "void")]);
    given::<Payment>(closed.clone()).when(void(1)).then_nothing();
    given::<Payment>(closed).when(void(2)).then([voiding(2), voided(2)]);
}

#[test]
fn a_void_waits_for_an_object_that_is_being_made_and_cancels_it() {
    given::<Payment>(making()).when(void(1)).then([voiding(1), ended(1, "void")]);
    let given_up = all([making(), vec![voiding(1), ended(1, "void")]]);
    given::<Payment>(given_up.clone()).when(made()).then([heard(&made()), ask_cancel(2, 1)]);
    given::<Payment>(given_up.clone()).when(refused(1, "no")).then([heard(&refused(1, "no")), voided(1)]);
    given::<Payment>(given_up.clone()).when(not_begun(1)).then([heard(&not_begun(1)), voided(1)]);
    let cancelling = all([given_up, vec![heard(&made()), ask_cancel(2, 1)]]);
    for answer in [cancelled(2, 1), RecordOperation { payment: None, ..cancelled(2, 1) }] {
        given::<Payment>(cancelling.clone()).when(answer.clone()).then([heard(&answer), voided(1)]);
    }
    // Each void has its answer.
    given::<Payment>(cancelling.clone()).when(void(2)).then([voiding(2)]);
    let two = all([cancelling, vec![voiding(2)]]);
    given::<Payment>(two).when(cancelled(2, 1)).then([heard(&cancelled(2, 1)), voided(1), voided(2)]);
}

#[test]
fn a_void_gives_up_an_authorisation_and_has_nothing_to_do_where_there_is_none() {
    given::<Payment>(paid()).when(void(1)).then([voiding(1), ask_cancel(3, 1)]);
    given::<Payment>(acting()).when(void(1)).then([voiding(1), ended(1, "void"), ask_cancel(3, 1)]);
    given::<Payment>(was_declined()).when(void(1)).then([voiding(1), voided(1)]);
}

#[test]
fn an_object_that_no_attempt_has_made_is_cancelled_only_when_all_is_over() {
    let told = notice("n-1", standing(7, ProviderStatus::Authorised));
    given::<Payment>(paid()).when(told.clone()).then([noticed(&told)]);
    given::<Payment>([noticed(&told)]).when(void(1)).then([voiding(1), undo_of_stranger()]);
}

/// Nobody has requested anything, so it is nobody's.
fn undo_of_stranger() -> PaymentEvent {
    let (order_id, object_id) = ("o-1".to_owned(), object(7));
    ProviderAsked { order_id, ask: 1, operation: Operation::Cancel.into(), number: 1, undo: true, object_id, ..Default::default() }.into()
}

/// What the provider has refused to cancel is open: it says so itself, or is asked.
#[test]
fn a_void_is_not_over_while_the_provider_refuses_to_cancel() {
    let cancelling = || all([paid(), vec![voiding(1), ask_cancel(3, 1)]]);
    for no in [refused(3, "busy"), not_begun(3)] {
        given::<Payment>(cancelling()).when(no.clone()).then([heard(&no), ask_closer(4, 1)]);
    }
    let no = refused(3, "busy");
    let looking = || all([cancelling(), vec![heard(&no), ask_closer(4, 1)]]);
    // It had ended already.
    for status in [ProviderStatus::Cancelled, ProviderStatus::Declined] {
        let ended = done(4, standing(1, status));
        given::<Payment>(looking()).when(ended.clone()).then([heard(&ended), voided(1)]);
    }
    let unknown = RecordOperation { payment: None, ..done(4, standing(1, ProviderStatus::Cancelled)) };
    given::<Payment>(looking()).when(unknown.clone()).then([heard(&unknown), voided(1)]);
    // It stands as it stood: nobody says that it is over before it is.
    let open = done(4, standing(1, ProviderStatus::Authorised));
    given::<Payment>(looking()).when(open.clone()).then([heard(&open), cancel_refused(DAY)]);
    let waits = || all([looking(), vec![heard(&open), cancel_refused(DAY)]]);
    let told = notice("n-1", standing(1, ProviderStatus::Cancelled));
    given::<Payment>(waits()).when(told.clone()).then([noticed(&told), voided(1)]);
    let all_taken = notice("n-1", taken(TOTAL, 0));
    given::<Payment>(waits()).when(all_taken.clone()).then([noticed(&all_taken), deviated(TOTAL, 0), ask_undo(5, 2, TOTAL)]);
    // A refusal that says how it stands is judged by that.
    let shown = RecordOperation { payment: Some(standing(1, ProviderStatus::Authorised)), ..refused(3, "busy") };
    given::<Payment>(cancelling()).when(shown.clone()).then([heard(&shown), cancel_refused(DAY)]);
    let ended = RecordOperation { payment: Some(standing(1, ProviderStatus::Cancelled)), ..refused(3, "over") };
    given::<Payment>(cancelling()).when(ended.clone()).then([heard(&ended), voided(1)]);
    // The same of the rest that an order lets go.
    let letting_go = all([paid(), vec![releasing(1), ask_cancel(3, 1)]]);
    given::<Payment>(letting_go).when(shown.clone()).then([heard(&shown), cancel_refused(DAY)]);
}

/// A void, a release, and the customer's blocked money need nobody's hand.
#[test]
fn what_the_provider_refuses_to_cancel_is_tried_again_when_its_authorisation_ends_or_after_a_day() {
    let refused_until = |capture_before| {
        let payment = ProviderPayment { capture_before: Some(at(capture_before)), ..standing(1, ProviderStatus::Authorised) };
        RecordOperation { payment: Some(payment), ..refused(3, "busy") }
    };
    let cancelling = || all([paid(), vec![voiding(1), ask_cancel(3, 1)]]);
    for (capture_before, retry_at) in [(60, 60), (DAY - 1, DAY - 1), (DAY + 1, DAY), (-1, DAY), (0, DAY)] {
        let no = refused_until(capture_before);
        given::<Payment>(cancelling()).when(no.clone()).then([heard(&no), cancel_refused(retry_at)]);
    }
    let no = refused_until(60);
    let waits = || all([cancelling(), vec![heard(&no), cancel_refused(60)]]);
    // What is told meanwhile arms nothing anew.
    let told = notice("n-1", standing(1, ProviderStatus::Authorised));
    given::<Payment>(waits()).when(told.clone()).then([noticed(&told)]);
    given::<Payment>(waits()).when(retry_cancel(61)).then_nothing();
    given::<Payment>(waits()).when(retry_cancel(60)).then([cancel_retried(60), ask_cancel_again(4, 1, 1)]);
    let tried = || all([waits(), vec![cancel_retried(60), ask_cancel_again(4, 1, 1)]]);
    given::<Payment>(tried()).when(cancelled(4, 1)).then([heard(&cancelled(4, 1)), voided(1)]);
    given::<Payment>(tried()).when(retry_cancel(60)).then_nothing();
    let still = RecordOperation { ask: 4, ..refused_until(60) };
    given::<Payment>(tried()).at(Instant::from_proto(&at(60))).when(still.clone()).then([heard(&still), cancel_refused(60 + DAY)]);
    // It ends by itself before, and nothing is left to be tried.
    let ended = notice("n-1", standing(1, ProviderStatus::Cancelled));
    given::<Payment>(waits()).when(ended.clone()).then([noticed(&ended), voided(1)]);
    let over = all([waits(), vec![noticed(&ended), voided(1)]]);
    given::<Payment>(over).when(retry_cancel(60)).then_nothing();
}

/// Means that another has taken the place of are given up, also where nothing is voided.
#[test]
fn what_was_overtaken_and_can_not_be_cancelled_is_tried_again() {
    let other = all([acting(), vec![ended(1, "superseded"), requested(2), ask_cancel(3, 1)]]);
    let no = RecordOperation { payment: Some(standing(1, ProviderStatus::ActionRequired)), ..refused(3, "busy") };
    given::<Payment>(other.clone()).when(no.clone()).then([heard(&no), ask_create(4, 2)]);
    let second = done(4, standing(2, ProviderStatus::Authorised));
    let making = all([other, vec![heard(&no), ask_create(4, 2)]]);
    given::<Payment>(making.clone()).when(second.clone()).then([heard(&second), authorised(2), cancel_refused(DAY)]);
    let waits = all([making, vec![heard(&second), authorised(2), cancel_refused(DAY)]]);
    given::<Payment>(waits).when(retry_cancel(DAY)).then([cancel_retried(DAY), ask_cancel_again(5, 1, 1)]);
}
