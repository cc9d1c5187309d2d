//! A payment provider over HTTP: the API of `daybook simulate payment-provider`.

use chrono::{DateTime, Utc};
use daybook_kernel::Unknown;
use serde::Deserialize;
use serde_json::{Value, json};
use shop_proto::common::v1::Money;
use uuid::Uuid;

use super::{Payment, PaymentProvider, PaymentStatus};
use crate::http::Address;
use crate::said::{Asking, Said};

/// Codes of ISO 4217 that are no money to pay with: metals, units of account, funds.
const NOT_TAKEN: &[&str] = &[
    "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT",
    "XSU", "XUA",
];
/// The most that a payment may be, in minor units: twelve digits, as cards have it.
const MOST: i64 = 999_999_999_999;

/// A provider with this API.
pub struct HttpPaymentProvider(Address);

/// A payment, as it is told. Fields that we don't know are passed over: providers add some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    order: String,
    status: Status,
    currency: String,
    authorised: i64,
    captured: i64,
    refunded: i64,
    captures: Option<Captures>,
    capture_before: Option<DateTime<Utc>>,
    action_url: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Created,
    ActionRequired,
    Authorised,
    Declined,
    Cancelled,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Captures {
    Once,
    Many,
}

/// A payment, of what was told; else what can't be read.
pub(crate) fn read(told: Value) -> Result<Payment, String> {
    let told: Told = serde_json::from_value(told).map_err(|e| e.to_string())?;
    let amounts_are_sound = told.refunded >= 0 && told.refunded <= told.captured && told.captured <= told.authorised;
    if told.id.is_empty() || told.id.chars().count() > 200 || !amounts_are_sound {
        return Err("its id or its amounts can't be".to_owned());
    }
    let status = match told.status {
        Status::Created => PaymentStatus::Created,
        Status::ActionRequired => PaymentStatus::ActionRequired,
        Status::Authorised => PaymentStatus::Authorised,
        Status::Declined => PaymentStatus::Declined,
        Status::Cancelled => PaymentStatus::Cancelled,
    };
    Ok(Payment {
        id: told.id,
        order: told.order,
        status,
        currency: told.currency,
        authorised: told.authorised,
        captured: told.captured,
        refunded: told.refunded,
        captures_once: told.captures == Some(Captures::Once),
        capture_before: told.capture_before,
        action_url: told.action_url,
        code: told.code,
    })
}

/// A no without the object that can be read is a no; a yes without it says nothing.
fn payment(said: Said<Value>) -> Result<Said<Payment>, Unknown> {
    match said {
        Said::Done(object) => read(object).map(Said::Done).map_err(|why| Unknown(format!("a payment that can't be read: {why}"))),
        Said::Refused { code, object } => Ok(Said::Refused { code, object: object.and_then(|object| read(object).ok()) }),
    }
}

impl HttpPaymentProvider {
    /// At this address.
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    fn post<'a>(&'a self, key: Uuid, id: &'a str, operation: &'a str, body: Value) -> Asking<'a, Said<Payment>> {
        Box::pin(async move { payment(self.0.ask(&["v1", "payments", id, operation], key, &body).await?) })
    }
}

impl PaymentProvider for HttpPaymentProvider {
    fn takes(&self, currency: &str, amount: i64) -> Result<(), String> {
        if NOT_TAKEN.contains(&currency) {
            return Err(format!("nothing is paid in {currency} here"));
        }
        if !(1..=MOST).contains(&amount) {
            return Err(format!("a payment is 1 to {MOST} in minor units, not {amount}"));
        }
        Ok(())
    }

    fn create<'a>(&'a self, key: Uuid, order: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>> {
        let body = json!({ "order": order, "amount": amount.minor_units, "currency": amount.currency });
        Box::pin(async move { payment(self.0.ask(&["v1", "payments"], key, &body).await?) })
    }

    fn confirm<'a>(&'a self, key: Uuid, id: &'a str, token: &'a str) -> Asking<'a, Said<Payment>> {
        self.post(key, id, "confirm", json!({ "token": token }))
    }

    fn capture<'a>(&'a self, key: Uuid, id: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>> {
        self.post(key, id, "capture", json!({ "amount": amount.minor_units }))
    }

    fn cancel<'a>(&'a self, key: Uuid, id: &'a str) -> Asking<'a, Said<Payment>> {
        self.post(key, id, "cancel", Value::Null)
    }

    fn refund<'a>(&'a self, key: Uuid, id: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>> {
        self.post(key, id, "refund", json!({ "amount": amount.minor_units }))
    }

    fn look<'a>(&'a self, id: &'a str) -> Asking<'a, Said<Payment>> {
        Box::pin(async move { payment(self.0.look(&["v1", "payments", id]).await?) })
    }

    fn outcome(&self, key: Uuid) -> Asking<'_, Option<Said<Payment>>> {
        Box::pin(async move { self.0.outcome(key).await?.map(payment).transpose() })
    }
}
