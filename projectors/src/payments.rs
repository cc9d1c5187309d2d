//! `payments`: the money of an order, for those who keep the books. What is kept of the stream is what is shown.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, SqlView, StreamId};
use shop_proto::common::v1::Money;
use shop_proto::payment::v1::{PaymentEvent, ProviderPayment};
use shop_proto::read::v1::{PaymentAsked, PaymentFailure, PaymentObject, PaymentPage};

const PAYMENT: &str = "payment";

/// Amounts are in minor units of the currency. What is lost was given back although nobody had asked for it: a chargeback.
const VIEWS: &[SqlView] = &[SqlView {
    name: "payments",
    select: "
        SELECT order_id, status, amount_currency AS currency, amount_minor_units AS amount, authorised, captured, refunded,
            capture_pending, refund_pending, capture_failed AS owed_by_customer, refund_failed AS owed_to_customer,
            captured_beyond AS taken_unasked, refunded_beyond AS lost, asked_operation AS awaits, asked_since AS awaits_since, changed_at
        FROM {rows}",
}];

pub(crate) fn read_model() -> ReadModel {
    let model = ReadModel::of::<PaymentPage>("payments", Some(PAYMENT)).with::<Payments>();
    model.kept_as_sql::<PaymentPage>(None, VIEWS)
}

struct Payments;

impl Projection for Payments {
    type Event = PaymentEvent;
    type View = PaymentPage;
    type Model = PaymentPage;

    fn fold(page: &mut PaymentPage, event: &PaymentEvent, at: &EventAt<'_>) {
        use PaymentEvent as E;
        event.order_id().clone_into(&mut page.order_id);
        page.changed_at = Some(at.recorded_at.to_proto());
        match event {
            E::PaymentRequested(e) => {
                (page.attempt, page.amount, page.authorised) = (e.attempt, e.amount.clone(), 0);
                stands(page, "requested");
            }
            E::PaymentActionRequired(_) => stands(page, "action-required"),
            E::PaymentDeclined(_) => stands(page, "declined"),
            E::PaymentAuthorised(e) => {
                page.authorised = minor_units(&e.amount);
                (page.capture_before, page.captures_once) = (e.capture_before, e.captures_once);
                stands(page, "authorised");
            }
            // Of an attempt that another has overtaken: nothing has ended.
            E::PaymentEnded(e) if e.attempt < page.attempt => {}
            E::PaymentEnded(_) => stands(page, "ended"),
            E::PaymentVoided(_) => {
                page.authorised = page.captured;
                stands(page, "voided");
            }
            E::PaymentReleased(_) => {
                page.authorised = page.captured;
                stands(page, "released");
            }
            E::AuthorisationLost(_) => {
                page.authorised = page.captured;
                stands(page, "lost");
            }
            E::CaptureRequested(e) => {
                add(&mut page.capture_pending, minor_units(&e.amount));
                let tried = tried_again(page, "capture", e.retries);
                settle(&mut page.capture_failed, tried);
            }
            E::RefundRequested(e) => {
                add(&mut page.refund_pending, minor_units(&e.amount));
                let tried = tried_again(page, "refund", e.retries);
                settle(&mut page.refund_failed, tried);
            }
            E::PaymentCaptured(e) => {
                add(&mut page.captured, minor_units(&e.amount));
                // What a try finds behind the end of an authorisation was taken by it.
                page.authorised = page.authorised.max(page.captured);
                settle(&mut page.capture_pending, minor_units(&e.amount));
            }
            E::PaymentRefunded(e) => {
                add(&mut page.refunded, minor_units(&e.amount));
                settle(&mut page.refund_pending, minor_units(&e.amount));
            }
            E::CaptureFailed(e) => {
                failed(page, "capture", e.number, &e.amount, &e.code);
                settle(&mut page.capture_pending, minor_units(&e.amount));
                add(&mut page.capture_failed, minor_units(&e.amount));
            }
            E::RefundFailed(e) => {
                failed(page, "refund", e.number, &e.amount, &e.code);
                settle(&mut page.refund_pending, minor_units(&e.amount));
                // Where all is given back anyway, nothing is owed.
                if e.code != "void" {
                    add(&mut page.refund_failed, minor_units(&e.amount));
                }
            }
            E::PaymentDeviated(e) => (page.captured_beyond, page.refunded_beyond) = (e.captured, e.refunded),
            E::ProviderAsked(e) => {
                page.asked = Some(PaymentAsked { ask: e.ask, operation: e.operation, since: Some(at.recorded_at.to_proto()) });
            }
            E::ProviderHeard(e) => {
                if page.asked.as_ref().is_some_and(|asked| asked.ask == e.ask) {
                    page.asked = None;
                }
                heard(page, e.payment.as_ref());
            }
            E::ReleaseRequested(_) | E::VoidRequested(_) | E::PaymentTimedOut(_) | E::CancelRefused(_) | E::CancelRetried(_) => {}
        }
    }

    fn render(page: &PaymentPage, stream: &StreamId) -> Vec<Part<PaymentPage>> {
        if page.order_id.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: PAYMENT.to_owned(), message: page.clone() }]
    }
}

fn minor_units(amount: &Option<Money>) -> i64 {
    amount.as_ref().map_or(0, |amount| amount.minor_units)
}

fn add(sum: &mut i64, amount: i64) {
    *sum = sum.saturating_add(amount);
}

/// An answer to what nobody had asked for settles nothing.
fn settle(pending: &mut i64, amount: i64) {
    *pending = pending.saturating_sub(amount).max(0);
}

/// A void is an end: what is told after it is undone.
fn stands(page: &mut PaymentPage, status: &str) {
    if page.status != "voided" {
        status.clone_into(&mut page.status);
    }
}

fn failed(page: &mut PaymentPage, what: &str, number: u32, amount: &Option<Money>, code: &str) {
    page.failures.push(PaymentFailure { what: what.to_owned(), number, amount: amount.clone(), code: code.to_owned() });
}

/// What had failed is asked for once more: it is pending and not failed. So much it was.
fn tried_again(page: &mut PaymentPage, what: &str, number: u32) -> i64 {
    let is_it = |failure: &mut PaymentFailure| failure.what == what && failure.number == number;
    page.failures.extract_if(.., is_it).map(|failure| minor_units(&failure.amount)).fold(0, i64::saturating_add)
}

fn heard(page: &mut PaymentPage, payment: Option<&ProviderPayment>) {
    let Some(payment) = payment else { return };
    page.object_id.clone_from(&payment.object_id);
    let known = match page.objects.iter_mut().position(|object| object.object_id == payment.object_id) {
        Some(n) => &mut page.objects[n],
        None => {
            let (object_id, currency) = (payment.object_id.clone(), payment.currency.clone());
            page.objects.push(PaymentObject { object_id, currency, ..PaymentObject::default() });
            let last = page.objects.len() - 1;
            &mut page.objects[last]
        }
    };
    // As the payment itself puts them together: later statuses cover earlier ones.
    known.set_status(known.status().max(payment.status()));
    known.authorised = known.authorised.max(payment.authorised);
    known.captured = known.captured.max(payment.captured);
    known.refunded = known.refunded.max(payment.refunded);
    known.captures_once |= payment.captures_once;
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::payment::v1::*;
    use shop_proto::samples::{at, money, with};

    use super::*;
    use crate::merging::Sample;

    fn id() -> String {
        "o-1".into()
    }

    fn eur(minor_units: i64) -> Option<Money> {
        Some(money("EUR", minor_units))
    }

    fn requested() -> PaymentEvent {
        PaymentRequested { order_id: id(), attempt: 1, customer_id: "c-1".into(), amount: eur(3998), ..Default::default() }.into()
    }

    fn asked(ask: u32) -> PaymentEvent {
        ProviderAsked { order_id: id(), ask, operation: Operation::Create.into(), number: 1, ..Default::default() }.into()
    }

    fn heard(ask: u32) -> PaymentEvent {
        let payment = ProviderPayment { object_id: "pay_1".into(), currency: "EUR".into(), ..Default::default() };
        ProviderHeard { order_id: id(), ask, payment: Some(payment), ..Default::default() }.into()
    }

    fn authorised() -> PaymentEvent {
        let capture_before = Some(at(604_800));
        PaymentAuthorised { order_id: id(), attempt: 1, amount: eur(3998), captures_once: true, capture_before }.into()
    }

    fn captured(minor_units: i64) -> PaymentEvent {
        PaymentCaptured { order_id: id(), number: 1, amount: eur(minor_units) }.into()
    }

    fn refunded(minor_units: i64) -> PaymentEvent {
        PaymentRefunded { order_id: id(), number: 1, amount: eur(minor_units) }.into()
    }

    fn capture_failed() -> PaymentEvent {
        CaptureFailed { order_id: id(), number: 2, amount: eur(1), code: "over-limit".into() }.into()
    }

    fn deviated() -> PaymentEvent {
        PaymentDeviated { order_id: id(), captured: 1, refunded: 2, currency: "EUR".into() }.into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let all = [requested(), heard(1), authorised(), captured(3998), refunded(1999), capture_failed(), deviated(), asked(2)];
        let other =
            [requested(), asks_capture(1999), asks_refund(5), asks_refund(1), refund_failed(1)].map(|e| with(&e, "order_id", "o-2"));
        vec![Sample::of("o-1", all), Sample::of("o-2", other)]
    }

    fn asks_capture(minor_units: i64) -> PaymentEvent {
        CaptureRequested { order_id: id(), number: 1, amount: eur(minor_units), retries: 0 }.into()
    }

    fn asks_refund(minor_units: i64) -> PaymentEvent {
        RefundRequested { order_id: id(), number: 1, amount: eur(minor_units), retries: 0 }.into()
    }

    fn refund_failed(minor_units: i64) -> PaymentEvent {
        RefundFailed { order_id: id(), number: 1, amount: eur(minor_units), code: "closed".into() }.into()
    }

    fn page(events: &[PaymentEvent]) -> PaymentPage {
        let stream = StreamId::new("payment", "o-1");
        let mut view = PaymentPage::default();
        assert!(Payments::render(&view, &stream).is_empty());
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            Payments::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        let part = Payments::render(&view, &stream).pop().expect("it is shown");
        assert_eq!((part.key.as_str(), &part.message), ("o-1", &view));
        part.message
    }

    #[test]
    fn a_payment_shows_where_it_stands_and_what_it_has_moved() {
        let shown = page(&[requested(), asked(1), heard(1), authorised(), captured(1999), captured(1999), refunded(1999)]);
        assert_eq!((shown.status.as_str(), shown.authorised, shown.captured, shown.refunded), ("authorised", 3998, 3998, 1999));
        assert_eq!((shown.object_id.as_str(), shown.captures_once, &shown.asked), ("pay_1", true, &None));
        assert_eq!(shown.changed_at.map(|at| at.seconds), Some(7));
    }

    #[test]
    fn what_the_provider_was_asked_is_shown_until_it_has_answered_that() {
        let open = page(&[requested(), asked(1), heard(0)]);
        assert_eq!(open.asked.map(|asked| (asked.ask, asked.since.map(|at| at.seconds))), Some((1, Some(2))));
        assert_eq!(page(&[requested(), asked(1), heard(1)]).asked, None);
    }

    #[test]
    fn every_payment_at_the_provider_is_shown_with_the_most_that_was_heard_of_it() {
        let told = |object_id: &str, status: ProviderStatus, captured: i64| {
            let payment = ProviderPayment {
                object_id: object_id.into(),
                status: status.into(),
                currency: "EUR".into(),
                authorised: 3998,
                captured,
                ..Default::default()
            };
            PaymentEvent::from(ProviderHeard { order_id: id(), payment: Some(payment), ..Default::default() })
        };
        let late = told("pay_1", ProviderStatus::Created, 0);
        let shown = page(&[requested(), told("pay_1", ProviderStatus::Authorised, 1999), late, told("pay_2", ProviderStatus::Declined, 0)]);
        let objects: Vec<_> = shown.objects.iter().map(|object| (object.object_id.as_str(), object.status(), object.captured)).collect();
        assert_eq!(objects, [("pay_1", ProviderStatus::Authorised, 1999), ("pay_2", ProviderStatus::Declined, 0)]);
    }

    #[test]
    fn what_could_not_be_moved_and_what_nobody_had_asked_for_is_shown() {
        let shown = page(&[requested(), authorised(), capture_failed(), deviated()]);
        assert_eq!((shown.failures[0].what.as_str(), shown.failures[0].code.as_str()), ("capture", "over-limit"));
        assert_eq!((shown.captured_beyond, shown.refunded_beyond, shown.captured), (1, 2, 0));
    }

    #[test]
    fn money_is_on_its_way_from_the_ask_to_the_answer_and_owed_where_that_is_a_failure() {
        let books = |events: &[PaymentEvent]| {
            let page = page(&[&[requested(), authorised()], events].concat());
            (page.capture_pending, page.captured, page.capture_failed, page.refund_pending, page.refunded, page.refund_failed)
        };
        assert_eq!(books(&[asks_capture(1999)]), (1999, 0, 0, 0, 0, 0));
        assert_eq!(books(&[asks_capture(1999), asks_capture(1000), captured(1999)]), (1000, 1999, 0, 0, 0, 0));
        assert_eq!(books(&[asks_capture(1), capture_failed()]).0, 0);
        assert_eq!(books(&[asks_refund(1999), asks_refund(5), refunded(5)]), (0, 0, 0, 1999, 5, 0));
        assert_eq!(books(&[asks_refund(1999), refund_failed(1999)]), (0, 0, 0, 0, 0, 1999));
        let void = RefundFailed { order_id: id(), number: 1, amount: eur(1999), code: "void".into() };
        assert_eq!(books(&[asks_refund(1999), void.into()]), (0, 0, 0, 0, 0, 0));
    }

    #[test]
    fn what_has_failed_is_owed_until_it_is_tried_again() {
        let again = |retries| -> PaymentEvent { RefundRequested { order_id: id(), number: 2, amount: eur(1999), retries }.into() };
        let failed = [requested(), authorised(), captured(1999), asks_refund(1999), refund_failed(1999)];
        let books = |events: &[PaymentEvent]| {
            let page = page(&[&failed[..], events].concat());
            (page.refund_pending, page.refunded, page.refund_failed, page.failures.len())
        };
        assert_eq!(books(&[]), (0, 0, 1999, 1));
        assert_eq!(books(&[again(1)]), (1999, 0, 0, 0));
        let done = PaymentRefunded { order_id: id(), number: 2, amount: eur(1999) };
        assert_eq!(books(&[again(1), done.into()]), (0, 1999, 0, 0));
        let no = RefundFailed { order_id: id(), number: 2, amount: eur(1999), code: "closed".into() };
        assert_eq!(books(&[again(1), no.into()]), (0, 0, 1999, 1));
        assert_eq!(books(&[again(7)]), (1999, 0, 1999, 1));
    }

    #[test]
    fn an_attempt_that_was_overtaken_ends_nothing_and_a_void_is_an_end() {
        let second = PaymentRequested { order_id: id(), attempt: 2, amount: eur(3998), ..Default::default() };
        let ended = |attempt| PaymentEvent::from(PaymentEnded { order_id: id(), attempt, reason: "superseded".into() });
        assert_eq!(page(&[requested(), second.clone().into(), ended(1)]).status, "requested");
        assert_eq!(page(&[requested(), second.into(), ended(2)]).status, "ended");
        let voided = PaymentVoided { order_id: id(), number: 1 };
        assert_eq!(page(&[requested(), voided.into(), authorised()]).status, "voided");
    }

    #[test]
    fn of_what_was_let_go_or_has_ended_only_what_was_taken_is_authorised() {
        let released = PaymentReleased { order_id: id(), number: 1 };
        let lost = AuthorisationLost { order_id: id(), attempt: 1 };
        let voided = PaymentVoided { order_id: id(), number: 1 };
        for (end, status) in [(PaymentEvent::from(released), "released"), (lost.into(), "lost"), (voided.into(), "voided")] {
            let shown = page(&[requested(), authorised(), captured(1999), end.clone()]);
            assert_eq!((shown.status.as_str(), shown.authorised, shown.captured), (status, 1999, 1999));
            let found = page(&[requested(), authorised(), end, captured(1999)]);
            assert_eq!((found.status.as_str(), found.authorised, found.captured), (status, 1999, 1999), "a try has found it");
        }
    }
}
