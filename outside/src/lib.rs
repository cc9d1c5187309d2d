//! The outside as the shop sees it: what it asks of a payment provider and of a carrier, the effects that ask, and the notices that come
//! back by themselves. A provider is a trait and a file: [`PaymentProvider`] and [`Carrier`] say what one has to do, in our own words;
//! `tests/it` holds every implementation to it.

mod carrier;
mod http;
mod key;
mod notices;
mod payment;
mod said;
mod settings;
mod text;

pub use carrier::{Carrier, HttpCarrier, Label, LabelEffect, LabelRequest};
pub use http::{Address, AddressError};
pub use key::{label_key, operation_key};
pub use notices::{CARRIER_WEBHOOK, PAYMENT_WEBHOOK, SIGNATURE, carrier_webhook, payment_webhook};
pub use payment::{HttpPaymentProvider, Listed, PayingEffect, Payment, PaymentProvider, PaymentStatus, TakenCurrencies, Unreadable};
pub use said::{Asking, Said};
pub use settings::{Outside, effects};
