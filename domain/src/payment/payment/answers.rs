//! What a payment tells its order, and the time that its customer has.

use daybook_kernel::{Deadline, Deadlines, EventAt, Instant, Reactor, ServiceMessage};
use shop_proto::order::v1::*;
use shop_proto::payment::v1::*;

use super::SUPERSEDED;
use super::waits::CANCEL;

/// Tells an order what has come of what it asked its payment for.
pub struct PaymentAnswers;

impl Reactor for PaymentAnswers {
    const NAME: &'static str = "payment-answers";
    type Event = PaymentEvent;

    fn react(event: &PaymentEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        answer(event).iter().map(ServiceMessage::of).collect()
    }
}

fn answer(event: &PaymentEvent) -> Option<OrderCommand> {
    use PaymentEvent as E;
    let order_id = event.order_id().to_owned();
    Some(match event.clone() {
        E::PaymentAuthorised(e) => {
            let PaymentAuthorised { attempt, amount: authorised, captures_once, capture_before, .. } = e;
            RecordPaid { order_id, attempt, authorised, captures_once, capture_before }.into()
        }
        E::PaymentDeclined(PaymentDeclined { attempt, code, .. }) => {
            RecordNotPaid { order_id, attempt, reason: "declined".to_owned(), code }.into()
        }
        E::PaymentEnded(PaymentEnded { attempt, reason, .. }) => RecordNotPaid { order_id, attempt, reason, code: String::new() }.into(),
        E::PaymentActionRequired(PaymentActionRequired { attempt, url, .. }) => RecordActionRequired { order_id, attempt, url }.into(),
        E::PaymentCaptured(PaymentCaptured { number, amount, .. }) => RecordCaptured { order_id, number, amount }.into(),
        E::CaptureFailed(CaptureFailed { number, amount, code, .. }) => RecordNotCaptured { order_id, number, amount, code }.into(),
        E::PaymentRefunded(PaymentRefunded { number, amount, .. }) => RecordRefunded { order_id, number, amount }.into(),
        E::RefundFailed(RefundFailed { number, amount, code, .. }) => RecordNotRefunded { order_id, number, amount, code }.into(),
        E::PaymentVoided(PaymentVoided { number, .. }) => RecordVoided { order_id, number }.into(),
        E::AuthorisationLost(AuthorisationLost { attempt, .. }) => RecordAuthorisationLost { order_id, attempt }.into(),
        E::PaymentDeviated(PaymentDeviated { refunded: minor_units, .. }) => RecordDisputed { order_id, minor_units }.into(),
        E::PaymentRequested(_)
        | E::CaptureRequested(_)
        | E::RefundRequested(_)
        | E::ReleaseRequested(_)
        | E::PaymentReleased(_)
        | E::VoidRequested(_)
        | E::PaymentTimedOut(_)
        | E::CancelRefused(_)
        | E::CancelRetried(_)
        | E::ProviderAsked(_)
        | E::ProviderHeard(_) => return None,
    })
}

/// Ends the customer's time to pay, and has what the provider has refused to cancel or to give back tried again.
pub struct PaymentDeadlines;

/// The customer's time.
const PAYMENT: &str = "payment";

impl Deadlines for PaymentDeadlines {
    const NAME: &'static str = "payment-deadlines";
    type Event = PaymentEvent;

    fn arms(event: &PaymentEvent, _: &EventAt<'_>) -> Vec<Deadline> {
        let order_id = event.order_id().to_owned();
        let (name, due_at, command): (_, _, PaymentCommand) = match event {
            PaymentEvent::PaymentRequested(e) => (PAYMENT, e.pay_until, TimeOutPayment { order_id, due_at: e.pay_until }.into()),
            PaymentEvent::CancelRefused(e) => (CANCEL.name, e.retry_at, RetryCancel { order_id, due_at: e.retry_at }.into()),
            _ => return Vec::new(),
        };
        let armed = |due_at| Deadline { name, due_at: Instant::from_proto(due_at), message: ServiceMessage::of(&command) };
        due_at.as_ref().map(armed).into_iter().collect()
    }

    /// Each request arms anew, as its own time may be another: then the earlier one's is over.
    fn disarms(event: &PaymentEvent) -> Vec<&'static str> {
        use PaymentEvent as E;
        match event {
            E::PaymentRequested(_) | E::PaymentAuthorised(_) | E::PaymentTimedOut(_) => vec![PAYMENT],
            E::PaymentVoided(_) => vec![PAYMENT, CANCEL.name],
            E::PaymentReleased(_) => vec![CANCEL.name],
            // A superseded attempt leaves the time to the one that took its place.
            E::PaymentEnded(e) if e.reason != SUPERSEDED => vec![PAYMENT],
            _ => Vec::new(),
        }
    }
}
