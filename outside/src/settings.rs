//! Who is outside, as an install says it.

use std::sync::Arc;

use daybook_kernel::ErasedEffect;

use crate::carrier::{Carrier, HttpCarrier, LabelEffect, NoCarrier};
use crate::http::Address;
use crate::payment::{HttpPaymentProvider, NoPaymentProvider, PayingEffect, PaymentProvider};

/// Where the outside is. What is not set is asked in vain: the effects are there, and nothing comes of their calls until it is set.
#[derive(Clone, Default)]
pub struct Outside {
    /// The payment provider.
    pub payment: Option<Address>,
    /// The carrier.
    pub carrier: Option<Address>,
}

impl Outside {
    /// The provider of payments.
    pub fn payment_provider(&self) -> Arc<dyn PaymentProvider> {
        match &self.payment {
            Some(address) => Arc::new(HttpPaymentProvider::new(address.clone())),
            None => Arc::new(NoPaymentProvider),
        }
    }

    /// The carrier.
    pub fn carrier(&self) -> Arc<dyn Carrier> {
        match &self.carrier {
            Some(address) => Arc::new(HttpCarrier::new(address.clone())),
            None => Arc::new(NoCarrier),
        }
    }
}

/// Every effect of the shop.
pub fn effects(outside: &Outside) -> Vec<Arc<dyn ErasedEffect>> {
    vec![<dyn ErasedEffect>::of(PayingEffect::new(outside.payment_provider())), <dyn ErasedEffect>::of(LabelEffect::new(outside.carrier()))]
}
