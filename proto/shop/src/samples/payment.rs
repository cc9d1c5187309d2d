//! Of the payment of order `o-1`: 39.98 EUR, which a customer has a quarter of an hour to pay.

use super::{at, money};
use crate::payment::v1::*;

/// What is to be paid, in cents.
pub const TOTAL: i64 = 3998;
/// Until when, in seconds after all specs begin.
pub const PAY_UNTIL: i64 = 900;

fn id() -> String {
    "o-1".to_owned()
}

fn customer() -> String {
    "c-1".to_owned()
}

/// The provider's id of an attempt's object.
pub fn object(attempt: u32) -> String {
    format!("pay_{attempt}")
}

/// The order wants to be paid.
pub fn request(attempt: u32) -> RequestPayment {
    RequestPayment {
        order_id: id(),
        attempt,
        customer_id: customer(),
        amount: Some(money("EUR", TOTAL)),
        payment_token: "tok_ok".into(),
        pay_until: Some(at(PAY_UNTIL)),
    }
}

/// The event of [`request`].
pub fn requested(attempt: u32) -> PaymentEvent {
    PaymentRequested::from(&request(attempt)).into()
}

/// The order wants money to be taken.
pub fn capture(number: u32, minor_units: i64) -> RequestCapture {
    RequestCapture { order_id: id(), number, amount: Some(money("EUR", minor_units)), retries: 0 }
}

/// The event of [`capture`].
pub fn capturing(number: u32, minor_units: i64) -> PaymentEvent {
    CaptureRequested::from(&capture(number, minor_units)).into()
}

/// The order wants money to be given back.
pub fn refund(number: u32, minor_units: i64) -> RequestRefund {
    RequestRefund { order_id: id(), number, amount: Some(money("EUR", minor_units)), retries: 0 }
}

/// The event of [`refund`].
pub fn refunding(number: u32, minor_units: i64) -> PaymentEvent {
    RefundRequested::from(&refund(number, minor_units)).into()
}

/// The order gives up.
pub fn void(number: u32) -> RequestVoid {
    RequestVoid { order_id: id(), number }
}

/// The event of [`void`].
pub fn voiding(number: u32) -> PaymentEvent {
    VoidRequested::from(&void(number)).into()
}

/// The order will take nothing more.
pub fn release(number: u32) -> RequestRelease {
    RequestRelease { order_id: id(), number }
}

/// The event of [`release`].
pub fn releasing(number: u32) -> PaymentEvent {
    ReleaseRequested::from(&release(number)).into()
}

/// The answer to [`release`].
pub fn released(number: u32) -> PaymentEvent {
    PaymentReleased { order_id: id(), number }.into()
}

/// What an attempt had authorised has ended by itself.
pub fn lost(attempt: u32) -> PaymentEvent {
    AuthorisationLost { order_id: id(), attempt }.into()
}

/// The time to pay is over.
pub fn time_out() -> TimeOutPayment {
    TimeOutPayment { order_id: id(), due_at: Some(at(PAY_UNTIL)) }
}

/// The event of [`time_out`].
pub fn timed_out() -> PaymentEvent {
    PaymentTimedOut::from(&time_out()).into()
}

/// What the provider has refused to cancel is tried again at this time, in seconds after all specs begin.
pub fn cancel_refused(retry_at: i64) -> PaymentEvent {
    CancelRefused { order_id: id(), retry_at: Some(at(retry_at)) }.into()
}

/// It is time for that.
pub fn retry_cancel(retry_at: i64) -> RetryCancel {
    RetryCancel { order_id: id(), due_at: Some(at(retry_at)) }
}

/// The event of [`retry_cancel`].
pub fn cancel_retried(retry_at: i64) -> PaymentEvent {
    CancelRetried::from(&retry_cancel(retry_at)).into()
}

/// How an attempt's object stands at the provider. What is authorised is all.
pub fn standing(attempt: u32, status: ProviderStatus) -> ProviderPayment {
    let authorised = if status == ProviderStatus::Authorised { TOTAL } else { 0 };
    ProviderPayment { object_id: object(attempt), status: status.into(), currency: "EUR".into(), authorised, ..Default::default() }
}

/// The object of the first attempt, authorised, with this much taken and given back.
pub fn taken(captured: i64, refunded: i64) -> ProviderPayment {
    ProviderPayment { captured, refunded, ..standing(1, ProviderStatus::Authorised) }
}

/// What came of an operation: it is done.
pub fn done(ask: u32, payment: ProviderPayment) -> RecordOperation {
    RecordOperation { order_id: id(), ask, result: OperationResult::Done.into(), payment: Some(payment), code: String::new() }
}

/// What came of an operation: the provider said no.
pub fn refused(ask: u32, code: &str) -> RecordOperation {
    RecordOperation { order_id: id(), ask, result: OperationResult::Refused.into(), payment: None, code: code.into() }
}

/// What came of an operation: it was too late to begin it.
pub fn not_begun(ask: u32) -> RecordOperation {
    RecordOperation { order_id: id(), ask, result: OperationResult::NotBegun.into(), ..Default::default() }
}

/// The provider tells something by itself.
pub fn notice(notice_id: &str, payment: ProviderPayment) -> RecordProviderNotice {
    RecordProviderNotice { order_id: id(), notice_id: notice_id.into(), kind: "payment.changed".into(), payment: Some(payment) }
}

/// The event of an answer.
pub fn heard(answer: &RecordOperation) -> PaymentEvent {
    ProviderHeard::from(answer).into()
}

/// The event of a notice.
pub fn noticed(notice: &RecordProviderNotice) -> PaymentEvent {
    ProviderHeard::from(notice).into()
}

/// The provider is asked to make the object of an attempt.
pub fn ask_create(ask: u32, attempt: u32) -> PaymentEvent {
    let object_id = String::new();
    ProviderAsked { operation: Operation::Create.into(), object_id, ..begins(ask, attempt) }.into()
}

/// The provider is asked to have the amount authorised.
pub fn ask_confirm(ask: u32, attempt: u32) -> PaymentEvent {
    ProviderAsked { operation: Operation::Confirm.into(), ..begins(ask, attempt) }.into()
}

fn begins(ask: u32, attempt: u32) -> ProviderAsked {
    let RequestPayment { amount, payment_token, pay_until: not_after, .. } = request(attempt);
    ProviderAsked { amount, payment_token, not_after, object_id: object(attempt), ..asks(ask, attempt) }
}

fn asks(ask: u32, number: u32) -> ProviderAsked {
    ProviderAsked { order_id: id(), ask, number, object_id: object(1), customer_id: customer(), ..Default::default() }
}

/// The provider is asked to cancel an attempt's object.
pub fn ask_cancel(ask: u32, attempt: u32) -> PaymentEvent {
    ProviderAsked { operation: Operation::Cancel.into(), object_id: object(attempt), ..asks(ask, attempt) }.into()
}

/// The provider is asked to cancel an attempt's object, under a number of the payment's own.
pub fn ask_cancel_again(ask: u32, number: u32, attempt: u32) -> PaymentEvent {
    ProviderAsked { operation: Operation::Cancel.into(), undo: true, object_id: object(attempt), ..asks(ask, number) }.into()
}

/// The provider is asked how an attempt's object stands.
pub fn ask_look(ask: u32, attempt: u32) -> PaymentEvent {
    ProviderAsked { operation: Operation::Look.into(), object_id: object(attempt), ..asks(ask, attempt) }.into()
}

/// The provider is asked how the first attempt's object stands, under a number of the payment's own.
pub fn ask_closer(ask: u32, number: u32) -> PaymentEvent {
    ProviderAsked { operation: Operation::Look.into(), undo: true, ..asks(ask, number) }.into()
}

/// The provider is asked to take money with the first attempt's object.
pub fn ask_capture(ask: u32, number: u32, minor_units: i64) -> PaymentEvent {
    let amount = Some(money("EUR", minor_units));
    ProviderAsked { operation: Operation::Capture.into(), amount, ..asks(ask, number) }.into()
}

/// The provider is asked to give money back.
pub fn ask_refund(ask: u32, number: u32, minor_units: i64) -> PaymentEvent {
    let amount = Some(money("EUR", minor_units));
    ProviderAsked { operation: Operation::Refund.into(), amount, ..asks(ask, number) }.into()
}

/// The same as one that is asked again, the `again`th time, of what had moved so much before it was asked first.
pub fn asked_again(asked: PaymentEvent, again: u32, before: i64) -> PaymentEvent {
    let PaymentEvent::ProviderAsked(asked) = asked else { return asked };
    ProviderAsked { again, before, ..asked }.into()
}

/// The provider is asked to give money back that nobody is to have paid.
pub fn ask_undo(ask: u32, number: u32, minor_units: i64) -> PaymentEvent {
    let amount = Some(money("EUR", minor_units));
    ProviderAsked { operation: Operation::Refund.into(), amount, undo: true, ..asks(ask, number) }.into()
}

/// The amount may be taken.
pub fn authorised(attempt: u32) -> PaymentEvent {
    PaymentAuthorised { order_id: id(), attempt, amount: Some(money("EUR", TOTAL)), ..Default::default() }.into()
}

/// The means of payment were declined.
pub fn declined(attempt: u32, code: &str) -> PaymentEvent {
    PaymentDeclined { order_id: id(), attempt, code: code.into() }.into()
}

/// Nothing will be paid.
pub fn ended(attempt: u32, reason: &str) -> PaymentEvent {
    PaymentEnded { order_id: id(), attempt, reason: reason.into() }.into()
}

/// The customer has to do something first.
pub fn action_required(attempt: u32, url: &str) -> PaymentEvent {
    PaymentActionRequired { order_id: id(), attempt, url: url.into() }.into()
}

/// Money was taken.
pub fn captured(number: u32, minor_units: i64) -> PaymentEvent {
    PaymentCaptured::from(&capture(number, minor_units)).into()
}

/// Money can't be taken.
pub fn not_captured(number: u32, minor_units: i64, code: &str) -> PaymentEvent {
    CaptureFailed { code: code.into(), ..(&capture(number, minor_units)).into() }.into()
}

/// Money was given back.
pub fn refunded(number: u32, minor_units: i64) -> PaymentEvent {
    PaymentRefunded::from(&refund(number, minor_units)).into()
}

/// Money can't be given back.
pub fn not_refunded(number: u32, minor_units: i64, code: &str) -> PaymentEvent {
    RefundFailed { code: code.into(), ..(&refund(number, minor_units)).into() }.into()
}

/// Nothing is authorised any more.
pub fn voided(number: u32) -> PaymentEvent {
    PaymentVoided::from(&void(number)).into()
}

/// The provider has done what nobody asked it to.
pub fn deviated(captured: i64, refunded: i64) -> PaymentEvent {
    PaymentDeviated { order_id: id(), captured, refunded, currency: "EUR".into() }.into()
}

/// An order that is paid: requested, made, confirmed, authorised.
pub fn paid() -> Vec<PaymentEvent> {
    vec![
        requested(1),
        ask_create(1, 1),
        heard(&done(1, standing(1, ProviderStatus::Created))),
        ask_confirm(2, 1),
        heard(&done(2, standing(1, ProviderStatus::Authorised))),
        authorised(1),
    ]
}
