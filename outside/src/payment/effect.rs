//! The effect `payment-provider`: what a payment asks for is asked of the provider, and what came of it is recorded.

use std::sync::Arc;

use daybook_kernel::{Attempt, Effect, EventAt, Instant, Outward, ServiceMessage, Unknown};
use shop_proto::common::v1::Money;
use shop_proto::payment::v1::{Operation, OperationResult, PaymentCommand, PaymentEvent, ProviderAsked, RecordOperation};

use super::{Payment, PaymentProvider};
use crate::key::operation_key;
use crate::said::{Asking, Said, attempted};
use crate::text::{message, short};

/// Asks a provider.
pub struct PayingEffect(Arc<dyn PaymentProvider>);

impl PayingEffect {
    /// This one.
    pub fn new(provider: Arc<dyn PaymentProvider>) -> Self {
        Self(provider)
    }

    /// None: it was not begun.
    async fn done(&self, asked: &ProviderAsked, attempt: Attempt) -> Result<Option<Said<Payment>>, Unknown> {
        let provider = &self.0;
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
            Operation::Unspecified => return Err(Unknown("an operation that this build does not know".to_owned())),
        };
        let key = operation_key(order, name, asked.number, asked.undo);
        let said = attempted(
            attempt,
            key,
            |key| provider.outcome(key),
            |key| -> Asking<'_, Said<Payment>> {
                match operation {
                    Operation::Create => provider.create(key, order, amount),
                    Operation::Confirm => provider.confirm(key, id, &asked.payment_token),
                    Operation::Capture => provider.capture(key, id, amount),
                    Operation::Cancel => provider.cancel(key, id),
                    Operation::Refund => provider.refund(key, id, amount),
                    Operation::Look | Operation::Unspecified => provider.look(id),
                }
            },
        )
        .await?;
        // A key that they have forgotten says nothing, and cancelling twice does no harm: an authorisation that stands does.
        if said.is_none() && operation == Operation::Cancel {
            return provider.cancel(key, id).await.map(Some);
        }
        Ok(said)
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
        let PaymentEvent::ProviderAsked(asked) = event else { return Err(Unknown("it asks for nothing".to_owned())) };
        let (result, payment, code) = match self.done(asked, attempt).await? {
            Some(Said::Done(payment)) => (OperationResult::Done, Some(payment), String::new()),
            Some(Said::Refused { code, object }) => (OperationResult::Refused, object, short(&code, 200)),
            None => (OperationResult::NotBegun, None, String::new()),
        };
        // Another order's payment would be booked here.
        if let Some(other) = payment.as_ref().filter(|payment| payment.order != asked.order_id) {
            return Err(Unknown(format!("the provider told of the payment of order {:?}", short(&other.order, 128))));
        }
        message(PaymentCommand::from(RecordOperation {
            order_id: asked.order_id.clone(),
            ask: asked.ask,
            result: result.into(),
            payment: payment.map(Into::into),
            code,
        }))
    }
}
