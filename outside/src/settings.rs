//! Who is outside, as an install says it.

use std::sync::Arc;

use daybook_kernel::ErasedEffect;

use crate::carrier::{Carrier, HttpCarrier, LabelEffect};
use crate::http::Address;
use crate::payment::{HttpPaymentProvider, PayingEffect, PaymentProvider, TakenCurrencies};

/// Where the outside is. Of what is not set the effects are there, and begin no call: what is asked waits until it is set, or is too late.
#[derive(Clone, Default)]
pub struct Outside {
    /// The payment provider.
    pub payment: Option<Address>,
    /// What it takes.
    pub taken: TakenCurrencies,
    /// The carrier.
    pub carrier: Option<Address>,
}

impl Outside {
    /// The provider of payments.
    pub fn payment_provider(&self) -> Option<Arc<dyn PaymentProvider>> {
        let address = self.payment.clone()?;
        Some(Arc::new(HttpPaymentProvider::new(address, self.taken.clone())))
    }

    /// The carrier.
    pub fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        let address = self.carrier.clone()?;
        Some(Arc::new(HttpCarrier::new(address)))
    }
}

/// Every effect of the shop.
pub fn effects(outside: &Outside) -> Vec<Arc<dyn ErasedEffect>> {
    vec![<dyn ErasedEffect>::of(PayingEffect::new(outside.payment_provider())), <dyn ErasedEffect>::of(LabelEffect::new(outside.carrier()))]
}
