//! A payment, in sentences: how an order is paid.

use daybook_kernel::spec::{given, given_nothing};
use daybook_kernel::{Deadlines as _, EventAt, Instant, Reactor as _, ServiceMessage, StreamId, Version};
use shop_proto::order::v1::*;
use shop_proto::samples::payment::*;
use shop_proto::samples::{at, money};

use super::*;

mod money;
mod over;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

fn all<const N: usize>(parts: [Vec<PaymentEvent>; N]) -> Vec<PaymentEvent> {
    parts.into_iter().flatten().collect()
}

/// Requested, and the object is being made.
fn making() -> Vec<PaymentEvent> {
    vec![requested(1), ask_create(1, 1)]
}

fn made() -> RecordOperation {
    done(1, standing(1, ProviderStatus::Created))
}

/// Requested, made, and being confirmed.
fn confirming() -> Vec<PaymentEvent> {
    all([making(), vec![heard(&made()), ask_confirm(2, 1)]])
}

fn confirmed(status: ProviderStatus) -> RecordOperation {
    done(2, standing(1, status))
}

/// The customer has to act.
fn acting() -> Vec<PaymentEvent> {
    all([confirming(), vec![heard(&act()), action_required(1, "https://pay.example/3ds")]])
}

fn act() -> RecordOperation {
    done(2, ProviderPayment { action_url: "https://pay.example/3ds".into(), ..standing(1, ProviderStatus::ActionRequired) })
}

fn was_declined() -> Vec<PaymentEvent> {
    let no = done(2, ProviderPayment { code: "no-funds".into(), ..standing(1, ProviderStatus::Declined) });
    all([confirming(), vec![heard(&no), declined(1, "no-funds")]])
}

#[test]
fn an_object_is_made_first_and_then_confirmed_until_the_time_is_over() {
    given_nothing::<Payment>().when(request(1)).then([requested(1), ask_create(1, 1)]);
    given::<Payment>(making()).when(made()).then([heard(&made()), ask_confirm(2, 1)]);
    let yes = confirmed(ProviderStatus::Authorised);
    given::<Payment>(confirming()).when(yes.clone()).then([heard(&yes), authorised(1)]);
    given::<Payment>(confirming()).when(yes).then_state(|state| {
        assert_eq!((state.payment_token.as_str(), &state.in_flight), ("", &None), "the means of payment are not needed any more");
    });
}

#[test]
fn an_answer_tells_whether_all_has_to_be_taken_at_once_and_until_when() {
    let once = ProviderPayment { captures_once: true, capture_before: Some(at(7)), ..standing(1, ProviderStatus::Authorised) };
    let told = PaymentAuthorised {
        order_id: "o-1".into(),
        attempt: 1,
        amount: Some(money("EUR", TOTAL)),
        captures_once: true,
        capture_before: Some(at(7)),
    };
    given::<Payment>(confirming()).when(done(2, once.clone())).then([heard(&done(2, once)), told.into()]);
}

#[test]
fn the_same_attempt_is_requested_once() {
    for history in [making(), confirming(), was_declined(), paid()] {
        given::<Payment>(history).when(request(1)).then_nothing();
    }
}

#[test]
fn means_that_are_declined_may_be_followed_by_others() {
    for (answer, code) in [
        (done(2, ProviderPayment { code: "no-funds".into(), ..standing(1, ProviderStatus::Declined) }), "no-funds"),
        (confirmed(ProviderStatus::Declined), "refused"),
        (confirmed(ProviderStatus::Cancelled), "cancelled"),
    ] {
        given::<Payment>(confirming()).when(answer.clone()).then([heard(&answer), declined(1, code)]);
    }
    given::<Payment>(was_declined()).when(request(2)).then([requested(2), ask_create(3, 2)]);
}

#[test]
fn what_the_provider_refuses_is_declined_and_what_was_made_is_cancelled() {
    given::<Payment>(making()).when(refused(1, "bad-token")).then([heard(&refused(1, "bad-token")), declined(1, "bad-token")]);
    let no = refused(2, "");
    given::<Payment>(confirming()).when(no.clone()).then([heard(&no), declined(1, "refused"), ask_cancel(3, 1)]);
}

#[test]
fn less_than_was_asked_for_is_declined_and_given_up() {
    let less = || ProviderPayment { authorised: TOTAL - 1, ..standing(1, ProviderStatus::Authorised) };
    let dollars = || ProviderPayment { currency: "USD".into(), ..standing(1, ProviderStatus::Authorised) };
    let events = |said: RecordOperation| [heard(&said), declined(1, "amount-differs"), ask_cancel(3, 1)];
    given::<Payment>(confirming()).when(done(2, less())).then(events(done(2, less())));
    let as_dollars = [requested(1), ask_create(1, 1), heard(&done(1, ProviderPayment { authorised: 0, ..dollars() }))];
    given::<Payment>(as_dollars[..2].to_vec()).when(done(1, dollars())).then([
        heard(&done(1, dollars())),
        declined(1, "amount-differs"),
        ask_cancel(2, 1),
    ]);
}

#[test]
fn a_customer_who_has_to_act_is_told_where_and_a_notice_tells_what_came_of_it() {
    given::<Payment>(confirming()).when(act()).then([heard(&act()), action_required(1, "https://pay.example/3ds")]);
    for (status, answer) in [(ProviderStatus::Authorised, authorised(1)), (ProviderStatus::Declined, declined(1, "refused"))] {
        let told = notice("n-1", standing(1, status));
        given::<Payment>(acting()).when(told.clone()).then([noticed(&told), answer]);
    }
    let again = notice("n-1", standing(1, ProviderStatus::ActionRequired));
    given::<Payment>(acting()).when(again.clone()).then([noticed(&again)]);
}

#[test]
fn a_notice_may_come_before_the_answer_and_then_the_answer_says_nothing_new() {
    let (told, yes) = (notice("n-1", standing(1, ProviderStatus::Authorised)), confirmed(ProviderStatus::Authorised));
    given::<Payment>(confirming()).when(told.clone()).then([noticed(&told), authorised(1)]);
    let early = all([confirming(), vec![noticed(&told), authorised(1)]]);
    given::<Payment>(early.clone()).when(yes.clone()).then([heard(&yes)]);
    given::<Payment>(early).when(refused(2, "late")).then([heard(&refused(2, "late"))]);
}

#[test]
fn a_notice_counts_once_and_one_that_is_not_understood_is_kept() {
    let told = notice("n-1", standing(1, ProviderStatus::ActionRequired));
    given::<Payment>([noticed(&told)]).when(told).then_nothing();
    let strange = RecordProviderNotice { payment: None, ..notice("n-2", standing(1, ProviderStatus::Created)) };
    given::<Payment>(paid()).when(strange.clone()).then([noticed(&strange)]);
    let many = (0..=1_000).map(|n| noticed(&RecordProviderNotice { notice_id: format!("m-{n}"), ..strange.clone() }));
    let old = RecordProviderNotice { notice_id: "m-0".into(), ..strange.clone() };
    given::<Payment>(many).when(old.clone()).then_state(|state| {
        assert_eq!((state.notices.len(), state.notices[0].as_str()), (1_000, "m-2"));
    });
}

#[test]
fn what_is_told_of_a_payment_that_nobody_knows_yet_is_kept_and_judged_later() {
    let (told, lost) = (notice("n-1", standing(1, ProviderStatus::Authorised)), refused(7, "late"));
    given_nothing::<Payment>().when(told.clone()).then([noticed(&told)]);
    given_nothing::<Payment>().when(lost.clone()).then([heard(&lost)]);
    // The log was restored to a time before: the key gives the same object, with all that was done with it.
    let again = vec![noticed(&told), heard(&lost), requested(1), ask_create(1, 1)];
    given::<Payment>(again).when(made()).then([heard(&made()), authorised(1)]);
}

#[test]
fn an_answer_to_another_ask_is_a_fact_and_no_answer() {
    let stray = done(9, standing(1, ProviderStatus::Authorised));
    given::<Payment>(confirming()).when(stray.clone()).then([heard(&stray), authorised(1)]);
    given::<Payment>(confirming()).when(stray).then_state(|state| assert!(state.in_flight.as_ref().is_some_and(|flight| flight.ask == 2)));
    given::<Payment>(confirming()).when(refused(1, "late")).then([heard(&refused(1, "late"))]);
}

#[test]
fn facts_of_one_object_only_grow() {
    let later = noticed(&notice("n-2", ProviderPayment { capture_before: Some(at(5)), ..taken(900, 300) }));
    let earlier = noticed(&notice("n-1", ProviderPayment { capture_before: Some(at(9)), ..standing(1, ProviderStatus::Created) }));
    for history in [[later.clone(), earlier.clone()], [earlier, later]] {
        let state = daybook_kernel::fold::<Payment>(&history);
        let known = state.objects[0].known.clone().expect("it is known");
        assert_eq!(known, ProviderPayment { capture_before: Some(at(5)), ..taken(900, 300) });
    }
}

#[test]
fn an_order_hears_each_answer_and_nothing_else() {
    let stream = StreamId::new("payment", "o-1");
    let at_it = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() };
    let id = || "o-1".to_owned();
    let eur = |units| Some(money("EUR", units));
    let not_paid = |reason: &str, code: &str| RecordNotPaid { order_id: id(), attempt: 2, reason: reason.into(), code: code.into() };
    let answers: [(PaymentEvent, OrderCommand); 13] = [
        (authorised(2), RecordPaid { order_id: id(), attempt: 2, authorised: eur(TOTAL), ..Default::default() }.into()),
        (declined(2, "no-funds"), not_paid("declined", "no-funds").into()),
        (ended(2, "superseded"), not_paid("superseded", "").into()),
        (ended(2, "timeout"), not_paid("timeout", "").into()),
        (action_required(2, "https://a"), RecordActionRequired { order_id: id(), attempt: 2, url: "https://a".into() }.into()),
        (captured(3, 5), RecordCaptured { order_id: id(), number: 3, amount: eur(5) }.into()),
        (not_captured(3, 5, "x"), RecordNotCaptured { order_id: id(), number: 3, amount: eur(5), code: "x".into() }.into()),
        (refunded(3, 5), RecordRefunded { order_id: id(), number: 3, amount: eur(5) }.into()),
        (not_refunded(3, 5, "x"), RecordNotRefunded { order_id: id(), number: 3, amount: eur(5), code: "x".into() }.into()),
        (voided(4), RecordVoided { order_id: id(), number: 4 }.into()),
        (lost(2), RecordAuthorisationLost { order_id: id(), attempt: 2 }.into()),
        (deviated(1, 5), RecordDisputed { order_id: id(), minor_units: 5 }.into()),
        (deviated(1, 0), RecordDisputed { order_id: id(), minor_units: 0 }.into()),
    ];
    for (event, command) in answers {
        let sent = PaymentAnswers::react(&event, &at_it);
        assert_eq!(sent, [ServiceMessage::of(&command)]);
        assert_eq!(sent[0].target.as_str(), "order/o-1");
    }
    let others = vec![heard(&made()), capturing(1, 1), refunding(1, 1), releasing(1), released(1), voiding(1), timed_out()];
    let tries = vec![cancel_refused(60), cancel_retried(60)];
    for event in all([making(), others, tries]) {
        assert_eq!(PaymentAnswers::react(&event, &at_it), []);
    }
}

#[test]
fn a_request_arms_the_time_to_pay_and_what_ends_the_wait_disarms_it() {
    let stream = StreamId::new("payment", "o-1");
    let at_it = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() };
    let armed = PaymentDeadlines::arms(&requested(1), &at_it);
    assert_eq!((armed.len(), armed[0].name, armed[0].due_at), (1, "payment", Instant::from_proto(&at(PAY_UNTIL))));
    assert_eq!(armed[0].message, ServiceMessage::of(&PaymentCommand::from(time_out())));
    for event in [authorised(1), ended(1, "timeout"), ended(1, "void"), timed_out(), requested(2)] {
        assert_eq!(PaymentDeadlines::disarms(&event), ["payment"], "{event:?}");
    }
    assert_eq!(PaymentDeadlines::disarms(&voided(1)), ["payment", "cancel-refused"]);
    assert_eq!(PaymentDeadlines::disarms(&released(1)), ["cancel-refused"]);
    let again = PaymentDeadlines::arms(&cancel_refused(60), &at_it);
    assert_eq!((again.len(), again[0].name, again[0].due_at), (1, "cancel-refused", Instant::from_proto(&at(60))));
    assert_eq!(again[0].message, ServiceMessage::of(&PaymentCommand::from(retry_cancel(60))));
    for event in [declined(1, "x"), action_required(1, ""), ended(1, "superseded"), ask_create(1, 1), voiding(1)] {
        assert!(PaymentDeadlines::disarms(&event).is_empty(), "{event:?}");
        assert_eq!(PaymentDeadlines::arms(&event, &at_it), []);
    }
}
