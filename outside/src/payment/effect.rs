//! The effect `payment-provider`: what a payment asks for is asked of the provider, and what came of it is recorded.

use std::sync::Arc;

use daybook_kernel::{Attempt, Effect, EventAt, Instant, Outward, ServiceMessage, Unknown};
use shop_proto::common::v1::Money;
use shop_proto::payment::v1::{Operation, OperationResult, PaymentCommand, PaymentEvent, ProviderAsked, RecordOperation};

use super::{Payment, PaymentProvider};
use crate::key::operation_key;
use crate::said::Said;
use crate::text::{message, short};

/// Why nothing is asked for.
const NOBODY: &str = "no payment provider: set --payment-url";

/// Asks a provider.
pub struct PayingEffect(Option<Arc<dyn PaymentProvider>>);

impl PayingEffect {
    /// This one; none: what is asked waits until there is one, or until it is too late to begin it.
    pub fn new(provider: Option<Arc<dyn PaymentProvider>>) -> Self {
        Self(provider)
    }

    /// None: it is too late to begin it, and they do not know its key.
    async fn done(&self, asked: &ProviderAsked, attempt: Attempt) -> Result<Option<Said<Payment>>, Unknown> {
        let provider = self.0.as_deref().ok_or_else(|| Unknown::unanswered(NOBODY))?;
        let none = Money::default();
        let (order, id, amount) = (asked.order_id.as_str(), asked.object_id.as_str(), asked.amount.as_ref().unwrap_or(&none));
        let operation = Operation::try_from(asked.operation).unwrap_or_default();
        // A name is part of the key: it may never change.
        let name = match operation {
            Operation::Create => "create",
            Operation::Confirm => "confirm",
            Operation::Capture => "capture",
            Operation::Cancel => "cancel",
            Operation::Refund => "refund",
            Operation::Look => return provider.look(id).await.map(Some),
            Operation::Unspecified => return Err(Unknown::unanswered("an operation that this build does not know")),
        };
        let key = operation_key(order, name, asked.number, asked.undo, asked.again);
        if attempt != Attempt::First
            && let Some(said) = provider.outcome(key).await?
        {
            return Ok(Some(said));
        }
        if asked.again > 0
            && let Some(payment) = done_before(provider.look(id).await?, operation, asked)?
        {
            return Ok(Some(Said::Done(payment)));
        }
        // A key that they have forgotten says nothing, and cancelling twice does no harm: an authorisation that stands does.
        if attempt == Attempt::AskOnly && operation != Operation::Cancel {
            return Ok(None);
        }
        let said = match operation {
            Operation::Create => provider.create(key, order, amount),
            Operation::Confirm => provider.confirm(key, id, &asked.payment_token),
            Operation::Capture => provider.capture(key, id, amount),
            Operation::Cancel => provider.cancel(key, id),
            Operation::Refund => provider.refund(key, id, amount),
            Operation::Look | Operation::Unspecified => provider.look(id),
        };
        said.await.map(Some)
    }
}

impl Effect for PayingEffect {
    const NAME: &'static str = "payment-provider";
    const DESTINATION: &'static str = "payment-provider";
    type Event = PaymentEvent;

    fn asks(event: &PaymentEvent, _: &EventAt<'_>) -> Option<Outward> {
        let PaymentEvent::ProviderAsked(asked) = event else { return None };
        Some(Outward::of::<PaymentCommand>(&asked.order_id, asked.not_after.as_ref().map(Instant::from_proto)))
    }

    async fn call(&self, event: &PaymentEvent, attempt: Attempt) -> Result<ServiceMessage, Unknown> {
        let PaymentEvent::ProviderAsked(asked) = event else { return Err(Unknown::unanswered("it asks for nothing")) };
        let (result, payment, code) = match self.done(asked, attempt).await? {
            Some(Said::Done(payment)) => (OperationResult::Done, Some(payment), String::new()),
            Some(Said::Refused { code, object }) => (OperationResult::Refused, object, short(&code, 200)),
            None => (OperationResult::NotBegun, None, String::new()),
        };
        if let Some(payment) = &payment {
            belongs(payment, asked, result)?;
        }
        message(PaymentCommand::from(RecordOperation {
            order_id: asked.order_id.clone(),
            ask: asked.ask,
            result: result.into(),
            payment: payment.map(Into::into),
            code,
        }))
    }

    fn nobody(&self) -> Option<&str> {
        self.0.is_none().then_some(NOBODY)
    }

    /// Of CREATE and CONFIRM, whose time to pay is over: nothing stands at the provider that nobody has heard of.
    fn not_begun(event: &PaymentEvent) -> Option<ServiceMessage> {
        let PaymentEvent::ProviderAsked(ProviderAsked { order_id, ask, not_after: Some(_), .. }) = event else { return None };
        let record =
            RecordOperation { order_id: order_id.clone(), ask: *ask, result: OperationResult::NotBegun.into(), ..Default::default() };
        message(PaymentCommand::from(record)).ok()
    }
}

/// The payment, where it shows that a capture or refund which is asked again was done when it was asked before, under a key that they have
/// forgotten. None: it was not done, for an operation is done as a whole; what has moved since, if anything, others have moved.
fn done_before(said: Said<Payment>, operation: Operation, asked: &ProviderAsked) -> Result<Option<Payment>, Unknown> {
    let payment = match said {
        Said::Done(payment) => payment,
        Said::Refused { code, .. } => return Err(Unknown::Unusable(format!("the provider does not show the payment: {code}"))),
    };
    belongs(&payment, asked, OperationResult::Unspecified)?;
    let (what, moved) = if operation == Operation::Refund { ("refunded", payment.refunded) } else { ("captured", payment.captured) };
    let (before, amount) = (asked.before, asked.amount.as_ref().map_or(0, |amount| amount.minor_units));
    match moved.checked_sub(before) {
        Some(since) if since >= amount => Ok(Some(payment)),
        Some(0..) => Ok(None),
        _ => Err(Unknown::Unusable(format!(
            "the provider has forgotten whether it has {what} {amount}, and its payment does not show it: {moved} in all, {before} before it"
        ))),
    }
}

/// Whether what was told can be the answer to what was asked: else another order's payment would be booked, or money that was not moved.
fn belongs(payment: &Payment, asked: &ProviderAsked, result: OperationResult) -> Result<(), Unknown> {
    if payment.order != asked.order_id {
        return Err(Unknown::Unusable(format!("the provider told of the payment of order {:?}", short(&payment.order, 128))));
    }
    let operation = Operation::try_from(asked.operation).unwrap_or_default();
    if operation != Operation::Create && payment.id != asked.object_id {
        return Err(Unknown::Unusable(format!(
            "the provider told of its payment {:?}, and was asked about another",
            short(&payment.id, 200)
        )));
    }
    let amount = asked.amount.as_ref().map_or(0, |amount| amount.minor_units);
    let moved = match operation {
        Operation::Capture => payment.captured,
        Operation::Refund => payment.refunded,
        _ => return Ok(()),
    };
    if result == OperationResult::Done && moved < amount {
        return Err(Unknown::Unusable(format!("the provider told that it has moved {amount}, and shows {moved} in all")));
    }
    Ok(())
}
