//! What the shop asks of a payment provider.

mod effect;
mod http;
mod limits;

use chrono::{DateTime, Utc};
use daybook_kernel::Instant;
use shop_proto::common::v1::Money;
use shop_proto::order::v1::PaymentLimits;
use shop_proto::payment::v1::{ProviderPayment, ProviderStatus};
use uuid::Uuid;

use crate::said::{Asking, Said};
use crate::text::short;

pub use effect::PayingEffect;
pub use http::HttpPaymentProvider;
pub(crate) use http::read;
pub use limits::TakenCurrencies;

/// A provider of payments. Each change has a key, under which it is done once however often it is asked for; what came of a key can be
/// asked for at least for a day. An answer is [`Unknown`](daybook_kernel::Unknown) where it does not say what was done: a time-out, a connection
/// that broke, a server's error; or one that can't be.
pub trait PaymentProvider: Send + Sync + 'static {
    /// What it takes in a currency. Asked before an order is placed, and without asking the provider.
    fn limits(&self, currency: &str) -> PaymentLimits;
    /// Makes its object of an attempt; no money moves. The order's id stands in it.
    fn create<'a>(&'a self, key: Uuid, order: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>>;
    /// Has all of it authorised with the means of payment; refused where it was cancelled before.
    fn confirm<'a>(&'a self, key: Uuid, id: &'a str, token: &'a str) -> Asking<'a, Said<Payment>>;
    /// Takes money that is authorised.
    fn capture<'a>(&'a self, key: Uuid, id: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>>;
    /// Releases what was not taken; nothing is authorised by it any more.
    fn cancel<'a>(&'a self, key: Uuid, id: &'a str) -> Asking<'a, Said<Payment>>;
    /// Gives back money that was taken.
    fn refund<'a>(&'a self, key: Uuid, id: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>>;
    /// Only looks.
    fn look<'a>(&'a self, id: &'a str) -> Asking<'a, Said<Payment>>;
    /// What came of a key; none: the provider has never heard of it.
    fn outcome(&self, key: Uuid) -> Asking<'_, Option<Said<Payment>>>;
    /// All payments, the newest first, as many as it tells at once. `after`: the id of the last one that was told before.
    fn list<'a>(&'a self, after: Option<&'a str>) -> Asking<'a, Listed>;
}

/// Payments of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// In the list's order. Of one that can't be read its id and order, as far as they stand there, and why.
    pub payments: Vec<Result<Payment, Unreadable>>,
    /// The id of the last one, where there are more.
    pub next: Option<String>,
}

/// A payment that can't be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The provider's id; empty where there is none.
    pub id: String,
    /// Our order's id; empty where there is none.
    pub order: String,
    /// For people.
    pub why: String,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// No money was asked for.
    Created,
    /// The customer has to do something at the provider.
    ActionRequired,
    /// Its money may be taken.
    Authorised,
    /// The means of payment were declined.
    Declined,
    /// Nothing is authorised by it any more.
    Cancelled,
}

/// A payment, as a provider tells it. Amounts are in minor units, each all that there ever was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The provider's id.
    pub id: String,
    /// Our order's id.
    pub order: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// ISO 4217.
    pub currency: String,
    /// Allowed to be taken, in all.
    pub authorised: i64,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
    /// Of that, what customers' banks have taken back.
    pub disputed: i64,
    /// Allowed, and let go of: it can't be taken any more.
    pub voided: i64,
    /// There is one capture only.
    pub captures_once: bool,
    /// The authorisation ends then; none: nobody said it.
    pub capture_before: Option<DateTime<Utc>>,
    /// Where the customer has to go.
    pub action_url: Option<String>,
    /// Why it was declined.
    pub code: Option<String>,
    /// When it was made; none: nobody said it.
    pub created: Option<DateTime<Utc>>,
}

impl From<Payment> for ProviderPayment {
    fn from(payment: Payment) -> Self {
        let status = match payment.status {
            PaymentStatus::Created => ProviderStatus::Created,
            PaymentStatus::ActionRequired => ProviderStatus::ActionRequired,
            PaymentStatus::Authorised => ProviderStatus::Authorised,
            PaymentStatus::Declined => ProviderStatus::Declined,
            PaymentStatus::Cancelled => ProviderStatus::Cancelled,
        };
        Self {
            object_id: payment.id,
            status: status.into(),
            currency: payment.currency,
            authorised: payment.authorised,
            captured: payment.captured,
            refunded: payment.refunded,
            captures_once: payment.captures_once,
            capture_before: payment.capture_before.map(|before| Instant::from(before).to_proto()),
            action_url: payment.action_url.filter(|url| url.chars().count() <= 2_000).unwrap_or_default(),
            code: short(&payment.code.unwrap_or_default(), 200),
        }
    }
}
