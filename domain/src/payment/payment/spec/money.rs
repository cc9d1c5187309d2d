//! How money is taken and given back.

use super::*;

/// Paid, and this much is being taken.
fn capturing_some(minor_units: i64) -> Vec<PaymentEvent> {
    all([paid(), vec![capturing(1, minor_units), ask_capture(3, 1, minor_units)]])
}

/// Paid, and this much was taken.
fn captured_some(minor_units: i64) -> Vec<PaymentEvent> {
    all([capturing_some(minor_units), vec![heard(&done(3, taken(minor_units, 0))), captured(1, minor_units)]])
}

#[test]
fn money_is_taken_when_the_order_asks() {
    given::<Payment>(paid()).when(capture(1, 1000)).then([capturing(1, 1000), ask_capture(3, 1, 1000)]);
    let yes = done(3, taken(1000, 0));
    given::<Payment>(capturing_some(1000)).when(yes.clone()).then([heard(&yes), captured(1, 1000)]);
    let bare = RecordOperation { payment: None, ..yes };
    given::<Payment>(capturing_some(1000)).when(bare.clone()).then([heard(&bare), captured(1, 1000)]);
    for history in [capturing_some(1000), captured_some(1000)] {
        given::<Payment>(history).when(capture(1, 1000)).then_nothing();
    }
}

#[test]
fn no_more_is_taken_than_is_authorised_whatever_is_pending() {
    given::<Payment>(paid()).when(capture(1, TOTAL)).then([capturing(1, TOTAL), ask_capture(3, 1, TOTAL)]);
    given::<Payment>(paid()).when(capture(1, TOTAL + 1)).then([not_captured(1, TOTAL + 1, "over-limit")]);
    for history in [capturing_some(3000), captured_some(3000)] {
        given::<Payment>(history.clone()).when(capture(2, 999)).then([not_captured(2, 999, "over-limit")]);
    }
    given::<Payment>(capturing_some(3000)).when(capture(2, 998)).then([capturing(2, 998)]);
    given::<Payment>(captured_some(3000)).when(capture(2, 998)).then([capturing(2, 998), ask_capture(4, 2, 998)]);
    given::<Payment>(paid()).when(capture(1, i64::MAX)).then([not_captured(1, i64::MAX, "over-limit")]);
}

#[test]
fn nothing_is_taken_of_what_is_not_authorised() {
    given_nothing::<Payment>().when(capture(1, 5)).then([not_captured(1, 5, "not-authorised")]);
    for history in [making(), confirming(), acting(), was_declined()] {
        given::<Payment>(history).when(capture(1, 5)).then([not_captured(1, 5, "not-authorised")]);
    }
    given::<Payment>([not_captured(1, 5, "not-authorised")]).when(capture(1, 5)).then_nothing();
    let dollars = RequestCapture { amount: Some(money("USD", 5)), ..capture(1, 5) };
    let no = CaptureFailed { code: "not-authorised".into(), ..(&dollars).into() };
    given::<Payment>(paid()).when(dollars).then([no.into()]);
}

#[test]
fn what_costs_nothing_is_taken_and_given_back_without_the_provider() {
    given::<Payment>(paid()).when(capture(1, 0)).then([capturing(1, 0), captured(1, 0)]);
    given::<Payment>(paid()).when(refund(1, 0)).then([refunding(1, 0), refunded(1, 0)]);
}

#[test]
fn a_capture_that_the_provider_refuses_has_failed_and_the_next_begins() {
    let waits = all([capturing_some(1000), vec![capturing(2, 500)]]);
    for (no, code) in [(refused(3, "expired"), "expired"), (refused(3, ""), "refused")] {
        given::<Payment>(waits.clone()).when(no.clone()).then([heard(&no), not_captured(1, 1000, code), ask_capture(4, 2, 500)]);
    }
}

#[test]
fn a_notice_that_shows_the_money_answers_before_the_answer() {
    let told = notice("n-1", taken(1000, 0));
    given::<Payment>(capturing_some(1000)).when(told.clone()).then([noticed(&told), captured(1, 1000)]);
    let early = all([capturing_some(1000), vec![noticed(&told), captured(1, 1000), capturing(2, 500)]]);
    // One operation is in flight until it is answered.
    for answer in [done(3, taken(1000, 0)), refused(3, "twice")] {
        given::<Payment>(early.clone()).when(answer.clone()).then([heard(&answer), ask_capture(4, 2, 500)]);
    }
    let less = notice("n-1", taken(999, 0));
    given::<Payment>(capturing_some(1000)).when(less.clone()).then([noticed(&less)]);
    // What was there before it was asked shows nothing.
    let before = all([paid(), vec![noticed(&told), deviated(1000, 0), capturing(1, 1000), ask_capture(3, 1, 1000)]]);
    let again = notice("n-2", taken(1000, 0));
    given::<Payment>(before).when(again.clone()).then([noticed(&again)]);
    // A refusal that shows the money is none.
    let odd = RecordOperation { payment: Some(taken(1000, 0)), ..refused(3, "twice") };
    given::<Payment>(capturing_some(1000)).when(odd.clone()).then([heard(&odd), captured(1, 1000)]);
}

#[test]
fn money_is_given_back_as_much_as_was_taken() {
    given::<Payment>(captured_some(1000)).when(refund(1, 1000)).then([refunding(1, 1000), ask_refund(4, 1, 1000)]);
    given::<Payment>(captured_some(1000)).when(refund(1, 1001)).then([not_refunded(1, 1001, "over-limit")]);
    given_nothing::<Payment>().when(refund(1, 1)).then([not_refunded(1, 1, "over-limit")]);
    let dollars = RequestRefund { amount: Some(money("USD", 5)), ..refund(1, 5) };
    let no = RefundFailed { code: "over-limit".into(), ..(&dollars).into() };
    given::<Payment>(captured_some(1000)).when(dollars).then([no.into()]);
    let some = all([captured_some(1000), vec![refunding(1, 600), ask_refund(4, 1, 600)]]);
    given::<Payment>(some.clone()).when(refund(2, 401)).then([not_refunded(2, 401, "over-limit")]);
    given::<Payment>(some.clone()).when(refund(2, 400)).then([refunding(2, 400)]);
    given::<Payment>(some.clone()).when(refund(1, 600)).then_nothing();
    let yes = done(4, taken(1000, 600));
    given::<Payment>(some.clone()).when(yes.clone()).then([heard(&yes), refunded(1, 600)]);
    let no = refused(4, "too-old");
    given::<Payment>(some.clone()).when(no.clone()).then([heard(&no), not_refunded(1, 600, "too-old")]);
    let told = notice("n-1", taken(1000, 600));
    given::<Payment>(some).when(told.clone()).then([noticed(&told), refunded(1, 600)]);
}

#[test]
fn a_refund_waits_for_the_captures_before_it() {
    let waits = all([capturing_some(1000), vec![refunding(1, 1000)]]);
    given::<Payment>(capturing_some(1000)).when(refund(1, 1000)).then([refunding(1, 1000)]);
    let yes = done(3, taken(1000, 0));
    given::<Payment>(waits.clone()).when(yes.clone()).then([heard(&yes), captured(1, 1000), ask_refund(4, 1, 1000)]);
    let no = refused(3, "expired");
    let events = [heard(&no), not_captured(1, 1000, "expired"), not_refunded(1, 1000, "over-limit")];
    given::<Payment>(waits).when(no.clone()).then(events);
}

#[test]
fn a_void_gives_back_what_was_taken() {
    given::<Payment>(captured_some(1000)).when(void(1)).then([voiding(1), ask_cancel(4, 1)]);
    let cancelled = done(4, ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(1000, 0) });
    let cancelling = all([captured_some(1000), vec![voiding(1), ask_cancel(4, 1)]]);
    given::<Payment>(cancelling.clone()).when(cancelled.clone()).then([heard(&cancelled), ask_undo(5, 1, 1000)]);
    let undoing = all([cancelling, vec![heard(&cancelled), ask_undo(5, 1, 1000)]]);
    for answer in [done(5, taken(1000, 1000)), RecordOperation { payment: None, ..done(5, taken(0, 0)) }] {
        given::<Payment>(undoing.clone()).when(answer.clone()).then([heard(&answer), voided(1)]);
    }
    let no = refused(5, "no");
    given::<Payment>(undoing).when(no.clone()).then([heard(&no), voided(1), cancel_refused(DAY)]);
    // All was taken: nothing is authorised any more.
    given::<Payment>(captured_some(TOTAL)).when(void(1)).then([voiding(1), ask_undo(4, 1, TOTAL)]);
    let once = ProviderPayment { captures_once: true, ..taken(1000, 0) };
    let once = all([capturing_some(1000), vec![heard(&done(3, once)), captured(1, 1000)]]);
    given::<Payment>(once).when(void(1)).then([voiding(1), ask_undo(4, 1, 1000)]);
}

#[test]
fn a_void_waits_for_a_capture_that_may_be_done_and_drops_those_that_were_not_begun() {
    let two = all([capturing_some(1000), vec![capturing(2, 500)]]);
    given::<Payment>(two.clone()).when(void(1)).then([voiding(1), not_captured(2, 500, "void")]);
    let over = all([two, vec![voiding(1), not_captured(2, 500, "void")]]);
    let yes = done(3, taken(1000, 0));
    given::<Payment>(over.clone()).when(yes.clone()).then([heard(&yes), captured(1, 1000), ask_cancel(4, 1)]);
    let no = refused(3, "no");
    given::<Payment>(over).when(no.clone()).then([heard(&no), not_captured(1, 1000, "no"), ask_cancel(4, 1)]);
}

#[test]
fn a_refund_that_was_promised_is_given_before_the_rest_is_undone() {
    let promised = all([captured_some(TOTAL), vec![refunding(1, 1000), ask_refund(4, 1, 1000), refunding(2, 500), voiding(1)]]);
    let yes = done(4, taken(TOTAL, 1000));
    given::<Payment>(promised.clone()).when(yes.clone()).then([heard(&yes), refunded(1, 1000), ask_refund(5, 2, 500)]);
    let then = all([promised, vec![heard(&yes), refunded(1, 1000), ask_refund(5, 2, 500)]]);
    let yes = done(5, taken(TOTAL, 1500));
    given::<Payment>(then).when(yes.clone()).then([heard(&yes), refunded(2, 500), ask_undo(6, 1, 2498)]);
}

#[test]
fn what_is_reported_after_a_void_is_undone() {
    let cancelled = done(3, standing(1, ProviderStatus::Cancelled));
    let gone = all([paid(), vec![voiding(1), ask_cancel(3, 1), heard(&cancelled), voided(1)]]);
    let told = notice("n-1", taken(1000, 0));
    let events = [noticed(&told), deviated(1000, 0), ask_undo(4, 1, 1000)];
    given::<Payment>(gone.clone()).when(told.clone()).then(events.clone());
    let undone = all([gone, events.to_vec()]);
    let yes = done(4, taken(1000, 1000));
    given::<Payment>(undone.clone()).when(yes.clone()).then([heard(&yes), deviated(0, 0)]);
    // Again, under another number.
    let more = notice("n-2", taken(1200, 1000));
    let again = [noticed(&more), deviated(200, 0), ask_undo(5, 2, 200)];
    given::<Payment>(all([undone, vec![heard(&yes), deviated(0, 0)]])).when(more.clone()).then(again);
    // What was the order's own, and was given back as well, is no part of it.
    let own = || all([captured_some(TOTAL), vec![voiding(1), ask_undo(4, 1, TOTAL), heard(&done(4, taken(TOTAL, TOTAL))), voided(1)]]);
    let more = notice("n-2", taken(TOTAL + 5, TOTAL));
    given::<Payment>(own()).when(more.clone()).then([noticed(&more), deviated(5, 0), ask_undo(5, 2, 5)]);
    let both = done(5, taken(TOTAL + 5, TOTAL + 5));
    let undoing = all([own(), vec![noticed(&more), deviated(5, 0), ask_undo(5, 2, 5)]]);
    given::<Payment>(undoing).when(both.clone()).then([heard(&both), deviated(0, 0)]);
}

#[test]
fn an_undo_that_is_refused_is_asked_for_again_when_there_is_something_else_to_undo_or_after_a_day() {
    let undoing = all([captured_some(TOTAL), vec![voiding(1), ask_undo(4, 1, TOTAL)]]);
    // Somebody has given back a part by hand meanwhile.
    let less = RecordOperation { payment: Some(taken(TOTAL, 1000)), ..refused(4, "too-much") };
    let events = [heard(&less), deviated(0, 1000), ask_undo(5, 2, TOTAL - 1000)];
    given::<Payment>(undoing.clone()).when(less).then(events);
    let no = refused(4, "too-much");
    let over = all([undoing, vec![heard(&no), voided(1), cancel_refused(DAY)]]);
    let same = notice("n-1", taken(TOTAL, 0));
    given::<Payment>(over.clone()).when(same.clone()).then([noticed(&same)]);
    let told = notice("n-1", taken(TOTAL, 1000));
    given::<Payment>(over.clone()).when(told.clone()).then([noticed(&told), deviated(0, 1000), ask_undo(5, 2, TOTAL - 1000)]);
    // And when it is time.
    given::<Payment>(over).when(retry_cancel(DAY)).then([cancel_retried(DAY), ask_undo(5, 2, TOTAL)]);
}

#[test]
fn what_nobody_asked_for_is_booked_and_shown_once() {
    let told = notice("n-1", taken(1000, 1000));
    given::<Payment>(captured_some(1000)).when(told.clone()).then([noticed(&told), deviated(0, 1000)]);
    let shown = all([captured_some(1000), vec![noticed(&told), deviated(0, 1000)]]);
    let again = notice("n-2", taken(1000, 1000));
    given::<Payment>(shown.clone()).when(again.clone()).then([noticed(&again)]);
    let more = notice("n-3", taken(1500, 1000));
    given::<Payment>(shown).when(more.clone()).then([noticed(&more), deviated(500, 1000)]);
    // A chargeback after a refund: more than was ever taken.
    let refunded_all = vec![refunding(1, 1000), ask_refund(4, 1, 1000), heard(&done(4, taken(1000, 1000))), refunded(1, 1000)];
    let loss = notice("n-4", taken(1000, 2000));
    given::<Payment>(all([captured_some(1000), refunded_all])).when(loss.clone()).then([noticed(&loss), deviated(0, 1000)]);
}

#[test]
fn while_money_is_being_moved_only_what_is_beyond_it_is_certain() {
    let more = notice("n-1", taken(1200, 0));
    given::<Payment>(capturing_some(1000)).when(more.clone()).then([noticed(&more), captured(1, 1000), deviated(200, 0)]);
    let less = notice("n-1", taken(200, 0));
    given::<Payment>(capturing_some(1000)).when(less.clone()).then([noticed(&less)]);
    let no = refused(3, "no");
    let events = [heard(&no), not_captured(1, 1000, "no"), deviated(200, 0)];
    given::<Payment>(all([capturing_some(1000), vec![noticed(&less)]])).when(no.clone()).then(events);
}

#[test]
fn what_is_not_taken_is_let_go_and_what_was_taken_stays_and_may_be_given_back() {
    let cancelled = done(4, ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(1000, 0) });
    given::<Payment>(captured_some(1000)).when(release(1)).then([releasing(1), ask_cancel(4, 1)]);
    let letting_go = all([captured_some(1000), vec![releasing(1), ask_cancel(4, 1)]]);
    given::<Payment>(letting_go.clone()).when(cancelled.clone()).then([heard(&cancelled), released(1)]);
    let gone = all([letting_go, vec![heard(&cancelled), released(1)]]);
    given::<Payment>(gone.clone()).when(release(1)).then_nothing();
    given::<Payment>(gone.clone()).when(refund(1, 1000)).then([refunding(1, 1000), ask_refund(5, 1, 1000)]);
    given::<Payment>(gone.clone()).when(capture(2, 5)).then([not_captured(2, 5, "released")]);
    given::<Payment>(gone).when(void(1)).then([voiding(1), ask_undo(5, 1, 1000)]);
}

#[test]
fn there_is_nothing_to_let_go_where_all_was_taken_or_the_provider_takes_one_capture_only() {
    given::<Payment>(captured_some(TOTAL)).when(release(1)).then([releasing(1), released(1)]);
    let once = ProviderPayment { captures_once: true, ..taken(1000, 0) };
    let once = all([capturing_some(1000), vec![heard(&done(3, once)), captured(1, 1000)]]);
    given::<Payment>(once).when(release(1)).then([releasing(1), released(1)]);
}

#[test]
fn what_was_asked_to_be_taken_is_taken_before_the_rest_is_let_go() {
    let two = all([capturing_some(1000), vec![capturing(2, 500), releasing(1)]]);
    let yes = done(3, taken(1000, 0));
    given::<Payment>(two.clone()).when(yes.clone()).then([heard(&yes), captured(1, 1000), ask_capture(4, 2, 500)]);
    let then = all([two, vec![heard(&yes), captured(1, 1000), ask_capture(4, 2, 500)]]);
    let yes = done(4, taken(1500, 0));
    given::<Payment>(then).when(yes.clone()).then([heard(&yes), captured(2, 500), ask_cancel(5, 1)]);
}

#[test]
fn an_authorisation_that_ends_by_itself_is_told_once_and_nothing_is_taken_after_it() {
    let ended = ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(1000, 0) };
    let told = notice("n-1", ended.clone());
    given::<Payment>(captured_some(1000)).when(told.clone()).then([noticed(&told), lost(1)]);
    let gone = all([captured_some(1000), vec![noticed(&told), lost(1)]]);
    let again = notice("n-2", ended.clone());
    given::<Payment>(gone.clone()).when(again.clone()).then([noticed(&again)]);
    given::<Payment>(gone.clone()).when(capture(2, 5)).then([not_captured(2, 5, "not-authorised")]);
    given::<Payment>(gone.clone()).when(refund(1, 1000)).then([refunding(1, 1000), ask_refund(4, 1, 1000)]);
    given::<Payment>(gone.clone()).when(release(1)).then([releasing(1), released(1)]);
    // A capture that was refused tells it as well.
    let no = RecordOperation { payment: Some(ProviderPayment { captured: 0, ..ended.clone() }), ..refused(3, "not-authorised") };
    given::<Payment>(capturing_some(1000)).when(no.clone()).then([heard(&no), lost(1), not_captured(1, 1000, "not-authorised")]);
    // All of it was taken: nothing is lost. And what the order itself has given up is not.
    let all_taken = notice("n-1", ProviderPayment { captured: TOTAL, ..ended.clone() });
    given::<Payment>(captured_some(TOTAL)).when(all_taken.clone()).then([noticed(&all_taken)]);
    let voided = all([captured_some(1000), vec![voiding(1), ask_cancel(4, 1)]]);
    given::<Payment>(voided).when(told.clone()).then([noticed(&told)]);
}

/// The bank, or somebody by hand, has given the customer money of the order: it is not given once more.
#[test]
fn what_was_taken_back_counts_for_what_is_to_be_given_back() {
    let told = notice("n-1", taken(1000, 600));
    let back = || all([captured_some(1000), vec![noticed(&told), deviated(0, 600)]]);
    given::<Payment>(back()).when(refund(1, 600)).then([refunding(1, 600), refunded(1, 600), deviated(0, 0)]);
    given::<Payment>(back()).when(refund(1, 200)).then([refunding(1, 200), refunded(1, 200), deviated(0, 400)]);
    // Only the rest is asked for.
    given::<Payment>(back()).when(refund(1, 1000)).then([refunding(1, 1000), ask_refund(4, 1, 400)]);
    let asked = || all([back(), vec![refunding(1, 1000), ask_refund(4, 1, 400)]]);
    let yes = done(4, taken(1000, 1000));
    given::<Payment>(asked()).when(yes.clone()).then([heard(&yes), refunded(1, 1000), deviated(0, 0)]);
    let no = refused(4, "no");
    given::<Payment>(asked()).when(no.clone()).then([heard(&no), not_refunded(1, 1000, "no")]);
    // What was taken by hand, and given back, was never the order's.
    let by_hand = notice("n-1", taken(1500, 500));
    let both = all([captured_some(1000), vec![noticed(&by_hand), deviated(500, 500)]]);
    given::<Payment>(both).when(refund(1, 300)).then([refunding(1, 300), ask_refund(4, 1, 300)]);
}

fn again_capture(number: u32, minor_units: i64, retries: u32) -> RequestCapture {
    RequestCapture { retries, ..capture(number, minor_units) }
}

fn again_refund(number: u32, minor_units: i64, retries: u32) -> RequestRefund {
    RequestRefund { retries, ..refund(number, minor_units) }
}

#[test]
fn what_failed_is_tried_again_under_another_number_once_the_provider_has_said_how_it_stands() {
    let no = refused(3, "no");
    let failed = || all([capturing_some(1000), vec![heard(&no), not_captured(1, 1000, "no")]]);
    let again = || PaymentEvent::from(CaptureRequested::from(&again_capture(2, 1000, 1)));
    given::<Payment>(failed()).when(again_capture(2, 1000, 1)).then([again(), ask_closer(4, 1)]);
    let looking = || all([failed(), vec![again(), ask_closer(4, 1)]]);
    let not_taken = done(4, taken(0, 0));
    given::<Payment>(looking()).when(not_taken.clone()).then([heard(&not_taken), ask_capture(5, 2, 1000)]);
    // It was done after all: it is not done twice.
    let late = done(4, taken(1000, 0));
    given::<Payment>(looking()).when(late.clone()).then([heard(&late), deviated(1000, 0), captured(2, 1000), deviated(0, 0)]);
    // Nothing more may be taken: it may have been done all the same.
    let gone = || all([failed(), vec![releasing(1), ask_cancel(4, 1)]]);
    given::<Payment>(gone()).when(again_capture(2, 1000, 1)).then([again()]);
    let cancelled = |ask, captured| done(ask, ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(captured, 0) });
    let looking = || all([gone(), vec![again(), heard(&cancelled(4, 0)), released(1), ask_closer(5, 1)]]);
    let (no, yes) = (cancelled(5, 0), cancelled(5, 1000));
    given::<Payment>(looking()).when(no.clone()).then([heard(&no), not_captured(2, 1000, "released")]);
    given::<Payment>(looking()).when(yes.clone()).then([heard(&yes), deviated(1000, 0), captured(2, 1000), deviated(0, 0)]);
    let lost_it = || all([failed(), vec![noticed(&notice("n-1", cancelled(9, 0).payment.expect("it is told"))), lost(1)]]);
    given::<Payment>(lost_it()).when(again_capture(2, 1000, 1)).then([again(), ask_closer(4, 1)]);
    let no = cancelled(4, 0);
    let looked = all([lost_it(), vec![again(), ask_closer(4, 1)]]);
    given::<Payment>(looked).when(no.clone()).then([heard(&no), not_captured(2, 1000, "not-authorised")]);
    // Of what was given up all is given back.
    given::<Payment>(all([failed(), vec![voiding(1), ask_cancel(4, 1)]]))
        .when(again_capture(2, 1000, 1))
        .then([again(), not_captured(2, 1000, "void")]);
}

/// Pieces had come back while nobody knew that they were paid.
#[test]
fn what_was_taken_after_all_beyond_what_is_tried_again_is_given_back() {
    let no = refused(3, "no");
    let failed = || all([capturing_some(1000), vec![heard(&no), not_captured(1, 1000, "no")]]);
    let again = |number, minor_units, retries| PaymentEvent::from(CaptureRequested::from(&again_capture(number, minor_units, retries)));
    let tried = |minor_units| all([failed(), vec![again(2, minor_units, 1), ask_closer(4, 1)]]);
    let late = done(4, taken(1000, 0));
    // Of 10.00, 6.00 are owed still, or nothing.
    let events = [heard(&late), deviated(1000, 0), captured(2, 600), ask_undo(5, 2, 400), deviated(400, 0)];
    given::<Payment>(tried(600)).when(late.clone()).then(events.clone());
    let all_back = [heard(&late), deviated(1000, 0), captured(2, 0), ask_undo(5, 2, 1000)];
    given::<Payment>(tried(0)).when(late).then(all_back);
    let (not_taken, nothing) = (done(4, taken(0, 0)), [captured(2, 0)]);
    given::<Payment>(tried(0)).when(not_taken.clone()).then([vec![heard(&not_taken)], nothing.to_vec()].concat());
    // It is given back once, and what comes back later is no part of it.
    let undone = done(5, taken(1000, 400));
    given::<Payment>(all([tried(600), events.to_vec()])).when(undone.clone()).then([heard(&undone), deviated(0, 0)]);
    let settled = || all([tried(600), events.to_vec(), vec![heard(&undone), deviated(0, 0)]]);
    given::<Payment>(settled()).when(refund(1, 600)).then([refunding(1, 600), ask_refund(6, 1, 600)]);
    // A refusal is taken for one until something else has changed.
    let refuses = refused(5, "busy");
    given::<Payment>(all([tried(600), events.to_vec()])).when(refuses.clone()).then([heard(&refuses), cancel_refused(DAY)]);
    let over = || all([tried(600), events.to_vec(), vec![heard(&refuses), cancel_refused(DAY)]]);
    given::<Payment>(over()).when(refund(1, 600)).then([refunding(1, 600), ask_refund(6, 1, 600)]);
    // And after a day it is tried again.
    given::<Payment>(over()).when(retry_cancel(DAY)).then([cancel_retried(DAY), ask_undo(6, 3, 400)]);
    let later = || all([over(), vec![cancel_retried(DAY), ask_undo(6, 3, 400)]]);
    let (undone, still) = (done(6, taken(1000, 400)), refused(6, "busy"));
    given::<Payment>(later()).when(undone.clone()).then([heard(&undone), deviated(0, 0)]);
    given::<Payment>(later()).at(Instant::from_proto(&at(60))).when(still.clone()).then([heard(&still), cancel_refused(60 + DAY)]);
    // Nobody waits for it: the rest is let go all the same.
    let cancelled = done(6, ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(1000, 0) });
    let letting_go = all([over(), vec![releasing(1), ask_cancel(6, 1)]]);
    given::<Payment>(letting_go).when(cancelled.clone()).then([heard(&cancelled), released(1), cancel_refused(DAY)]);
    // Somebody has given it back by hand meanwhile.
    let by_hand = notice("n-1", taken(1000, 400));
    given::<Payment>(over()).when(by_hand.clone()).then([noticed(&by_hand), deviated(400, 400)]);
    // More than had failed was taken by somebody else.
    let more = done(4, taken(1700, 0));
    let events = [heard(&more), deviated(1700, 0), captured(2, 600), ask_undo(5, 2, 400), deviated(1100, 0)];
    given::<Payment>(tried(600)).when(more).then(events);
}

#[test]
fn what_is_done_once_more_when_it_was_tried_again_with_success_is_given_back() {
    let no = refused(3, "no");
    let failed = all([capturing_some(1000), vec![heard(&no), not_captured(1, 1000, "no")]]);
    let again = PaymentEvent::from(CaptureRequested::from(&again_capture(2, 600, 1)));
    let (not_taken, yes) = (done(4, taken(0, 0)), done(5, taken(600, 0)));
    let tried = all([failed, vec![again, ask_closer(4, 1), heard(&not_taken), ask_capture(5, 2, 600), heard(&yes), captured(2, 600)]]);
    let late = notice("n-1", taken(1600, 0));
    given::<Payment>(tried).when(late.clone()).then([noticed(&late), deviated(1000, 0), ask_undo(6, 2, 1000)]);
}

/// It is not known whose capture was done: what may be another's, which the order owes still, stays.
#[test]
fn what_was_taken_for_a_capture_that_is_owed_still_is_not_given_back() {
    let no = |ask| refused(ask, "no");
    let first = || all([capturing_some(300), vec![heard(&no(3)), not_captured(1, 300, "no")]]);
    let both = || all([first(), vec![capturing(2, 500), ask_capture(4, 2, 500), heard(&no(4)), not_captured(2, 500, "no")]]);
    let again = |number, minor_units, retries| PaymentEvent::from(CaptureRequested::from(&again_capture(number, minor_units, retries)));
    let tried = vec![again(3, 300, 1), ask_closer(5, 1), heard(&done(5, taken(0, 0))), ask_capture(6, 3, 300)];
    let tried = || all([both(), tried.clone(), vec![heard(&done(6, taken(300, 0))), captured(3, 300)]]);
    let late = notice("n-1", taken(800, 0));
    given::<Payment>(tried()).when(late.clone()).then([noticed(&late), deviated(500, 0)]);
    let shown = || all([tried(), vec![noticed(&late), deviated(500, 0), again(4, 500, 2), ask_closer(7, 2)]]);
    let seen = done(7, taken(800, 0));
    given::<Payment>(shown()).when(seen.clone()).then([heard(&seen), captured(4, 500), deviated(0, 0)]);
    // Both were done late: the one that was tried again is too much.
    let twice = notice("n-1", taken(1100, 0));
    given::<Payment>(tried()).when(twice.clone()).then([noticed(&twice), deviated(800, 0), ask_undo(7, 2, 300)]);
}

/// What was taken late is no money that somebody took by hand, and so what was given back late is the refund that failed.
#[test]
fn a_refund_that_was_done_after_all_is_not_done_twice_beside_a_capture_that_was() {
    let no = |ask| refused(ask, "no");
    let captures = vec![heard(&no(3)), not_captured(1, 600, "no"), capturing(2, 400), ask_capture(4, 2, 400)];
    let captures = all([capturing_some(600), captures, vec![heard(&done(4, taken(1000, 0))), captured(2, 400), deviated(600, 0)]]);
    let refused_first = vec![refunding(1, 400), ask_refund(5, 1, 400), heard(&no(5)), not_refunded(1, 400, "no")];
    let again = PaymentEvent::from(RefundRequested::from(&again_refund(2, 400, 1)));
    let looking = all([captures, refused_first, vec![again, ask_closer(6, 1)]]);
    let late = done(6, taken(1000, 400));
    given::<Payment>(looking).when(late.clone()).then([heard(&late), deviated(600, 400), refunded(2, 400), deviated(600, 0)]);
}

/// The answer of the first try comes while the second is under way, in whichever order: the books never say more than was taken.
#[test]
fn a_refund_that_is_tried_again_and_the_late_answer_of_the_first_give_back_once() {
    let no = refused(4, "no");
    let first = || all([captured_some(1000), vec![refunding(1, 1000), ask_refund(4, 1, 1000), heard(&no), not_refunded(1, 1000, "no")]]);
    let again = || PaymentEvent::from(RefundRequested::from(&again_refund(2, 1000, 1)));
    let (late, closer) = (done(4, taken(1000, 1000)), || ask_closer(5, 1));
    // Before the provider has said how it stands.
    let looking = || all([first(), vec![again(), closer()]]);
    given::<Payment>(looking()).when(late.clone()).then([heard(&late), deviated(0, 1000)]);
    let seen = done(5, taken(1000, 1000));
    let late_first = all([looking(), vec![heard(&late), deviated(0, 1000)]]);
    given::<Payment>(late_first).when(seen.clone()).then([heard(&seen), refunded(2, 1000), deviated(0, 0)]);
    // And after: the second try is done, whoever has done it.
    let nothing = done(5, taken(1000, 0));
    let asked = all([looking(), vec![heard(&nothing), ask_refund(6, 2, 1000)]]);
    given::<Payment>(asked.clone()).when(late.clone()).then([heard(&late), refunded(2, 1000)]);
    let over = all([asked, vec![heard(&late), refunded(2, 1000)]]);
    let no = RecordOperation { payment: Some(taken(1000, 1000)), ..refused(6, "too-much") };
    given::<Payment>(over).when(no.clone()).then([heard(&no)]);
}

/// The provider has forgotten the key: the payment shows whether it was done, and the effect looks there before it begins anything.
#[test]
fn what_the_provider_has_forgotten_is_asked_again_under_another_key_and_has_not_failed() {
    let again = |ask, times| asked_again(ask_capture(ask, 1, 1000), times, 0);
    let waits = all([capturing_some(1000), vec![capturing(2, 500)]]);
    given::<Payment>(waits.clone()).when(not_begun(3)).then([heard(&not_begun(3)), again(4, 1)]);
    let asked = all([waits, vec![heard(&not_begun(3)), again(4, 1)]]);
    given::<Payment>(asked.clone()).when(not_begun(4)).then([heard(&not_begun(4)), again(5, 2)]);
    let yes = done(4, taken(1000, 0));
    given::<Payment>(asked.clone()).when(yes.clone()).then([heard(&yes), captured(1, 1000), ask_capture(5, 2, 500)]);
    let no = refused(4, "expired");
    given::<Payment>(asked).when(no.clone()).then([heard(&no), not_captured(1, 1000, "expired"), ask_capture(5, 2, 500)]);
    // A notice has shown it meanwhile.
    let shown = all([capturing_some(1000), vec![noticed(&notice("n-1", taken(1000, 0))), captured(1, 1000)]]);
    given::<Payment>(shown).when(not_begun(3)).then([heard(&not_begun(3))]);
    let refunds = all([captured_some(1000), vec![refunding(1, 300), ask_refund(4, 1, 300)]]);
    let gone = RecordOperation { payment: Some(taken(1000, 0)), ..not_begun(4) };
    given::<Payment>(refunds).when(gone.clone()).then([heard(&gone), asked_again(ask_refund(5, 1, 300), 1, 0)]);
    // What was given back before it is no part of it.
    let second = all([captured_some(1000), vec![refunding(1, 300), ask_refund(4, 1, 300), heard(&done(4, taken(1000, 300)))]]);
    let second = all([second, vec![refunded(1, 300), refunding(2, 200), ask_refund(5, 2, 200)]]);
    given::<Payment>(second).when(not_begun(5)).then([heard(&not_begun(5)), asked_again(ask_refund(6, 2, 200), 1, 300)]);
}

#[test]
fn an_undo_that_the_provider_has_forgotten_is_no_refusal_and_is_asked_again() {
    let undoing = all([captured_some(TOTAL), vec![voiding(1), ask_undo(4, 1, TOTAL)]]);
    let again = asked_again(ask_undo(5, 2, TOTAL), 1, 0);
    given::<Payment>(undoing.clone()).when(not_begun(4)).then([heard(&not_begun(4)), again.clone()]);
    let asked = all([undoing.clone(), vec![heard(&not_begun(4)), again]]);
    let yes = done(5, taken(TOTAL, TOTAL));
    given::<Payment>(asked.clone()).when(yes.clone()).then([heard(&yes), voided(1)]);
    let next = asked_again(ask_undo(6, 3, TOTAL), 1, 0);
    given::<Payment>(asked).when(not_begun(5)).then([heard(&not_begun(5)), next]);
    // It was done, and that is told with the answer.
    let shown = RecordOperation { payment: Some(taken(TOTAL, TOTAL)), ..not_begun(4) };
    given::<Payment>(undoing).when(shown.clone()).then([heard(&shown), voided(1)]);
}

/// A refund of the order of the same size would be taken for it.
#[test]
fn an_undo_that_the_provider_has_forgotten_is_asked_again_before_other_money_is_moved() {
    let no = refused(3, "no");
    let failed = all([capturing_some(1000), vec![heard(&no), not_captured(1, 1000, "no")]]);
    let again = PaymentEvent::from(CaptureRequested::from(&again_capture(2, 600, 1)));
    let late = done(4, taken(1000, 0));
    let found = vec![heard(&late), deviated(1000, 0), captured(2, 600), ask_undo(5, 2, 400), deviated(400, 0)];
    let undoing = all([failed, vec![again, ask_closer(4, 1)], found, vec![refunding(1, 400)]]);
    let undo_again = || asked_again(ask_undo(6, 3, 400), 1, 0);
    given::<Payment>(undoing.clone()).when(not_begun(5)).then([heard(&not_begun(5)), undo_again()]);
    let asked = all([undoing, vec![heard(&not_begun(5)), undo_again()]]);
    let undone = done(6, taken(1000, 400));
    given::<Payment>(asked).when(undone.clone()).then([heard(&undone), deviated(0, 0), ask_refund(7, 1, 400)]);
}

#[test]
fn a_void_takes_nothing_anew_and_looks_whether_what_was_forgotten_was_taken() {
    let look = |ask| asked_again(ask_look(ask, 1), 1, 0);
    let given_up = all([capturing_some(1000), vec![voiding(1)]]);
    let cancelling = all([given_up.clone(), vec![heard(&not_begun(3)), ask_cancel(4, 1)]]);
    given::<Payment>(given_up).when(not_begun(3)).then([heard(&not_begun(3)), ask_cancel(4, 1)]);
    let cancelled = |ask, captured| done(ask, ProviderPayment { status: ProviderStatus::Cancelled.into(), ..taken(captured, 0) });
    let curt = RecordOperation { payment: None, ..cancelled(4, 0) };
    given::<Payment>(cancelling.clone()).when(curt.clone()).then([heard(&curt), look(5)]);
    // What the cancellation shows of it is no deviation.
    given::<Payment>(cancelling.clone()).when(cancelled(4, 1000)).then([heard(&cancelled(4, 1000)), look(5)]);
    // Another void finds it still in doubt.
    given::<Payment>(cancelling.clone()).when(void(2)).then([voiding(2)]);
    let looking = all([cancelling, vec![heard(&curt), look(5)]]);
    let (was_taken, was_not) = (cancelled(5, 1000), cancelled(5, 0));
    given::<Payment>(looking.clone()).when(was_taken.clone()).then([heard(&was_taken), captured(1, 1000), ask_undo(6, 1, 1000)]);
    given::<Payment>(looking).when(was_not.clone()).then([heard(&was_not), not_captured(1, 1000, "void"), voided(1)]);
}
