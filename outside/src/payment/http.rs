//! A payment provider over HTTP: the API of `daybook simulate payment-provider`.

use chrono::{DateTime, Utc};
use daybook_kernel::Unknown;
use serde::Deserialize;
use serde_json::{Value, json};
use shop_proto::common::v1::Money;
use shop_proto::order::v1::PaymentLimits;
use uuid::Uuid;

use super::{Listed, Payment, PaymentProvider, PaymentStatus, TakenCurrencies, Unreadable};
use crate::http::Address;
use crate::said::{Asking, Said};
use crate::text::short;

/// Payments of a list: as many as it gives.
const LISTED: &str = "100";

/// A provider with this API.
pub struct HttpPaymentProvider {
    address: Address,
    taken: TakenCurrencies,
}

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
    /// Who does not tell them has let go of all that is left when a payment is cancelled, and knows no disputes.
    voided: Option<i64>,
    disputed: Option<i64>,
    created: Option<DateTime<Utc>>,
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
    let amounts_are_sound = [told.disputed, told.voided].into_iter().flatten().all(|amount| (0..=told.authorised).contains(&amount));
    if !amounts_are_sound {
        return Err("its disputed or voided amount can't be".to_owned());
    }
    let status = match told.status {
        Status::Created => PaymentStatus::Created,
        Status::ActionRequired => PaymentStatus::ActionRequired,
        Status::Authorised => PaymentStatus::Authorised,
        Status::Declined => PaymentStatus::Declined,
        Status::Cancelled => PaymentStatus::Cancelled,
    };
    let let_go = if status == PaymentStatus::Cancelled { told.authorised - told.captured } else { 0 };
    Ok(Payment {
        disputed: told.disputed.unwrap_or(0),
        voided: told.voided.unwrap_or(let_go),
        created: told.created,
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

/// A list of payments.
fn listed(list: Value) -> Result<Listed, Unknown> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        data: Vec<Value>,
        has_more: bool,
    }
    let List { data, has_more } =
        serde_json::from_value(list).map_err(|e| Unknown::Unusable(format!("a list of payments that can't be read: {e}")))?;
    let text = |object: &Value, name: &str| object[name].as_str().map(|text| short(text, 200)).unwrap_or_default();
    let last = data.last().map(|object| text(object, "id")).filter(|id| !id.is_empty());
    if has_more && last.is_none() {
        return Err(Unknown::unusable("a list of payments that goes on, and does not say where"));
    }
    let one = |object: Value| {
        let (id, order) = (text(&object, "id"), text(&object, "order"));
        read(object).map_err(|why| Unreadable { id, order, why })
    };
    Ok(Listed { payments: data.into_iter().map(one).collect(), next: last.filter(|_| has_more) })
}

/// A no without the object that can be read is a no; a yes without it says nothing.
fn payment(said: Said<Value>) -> Result<Said<Payment>, Unknown> {
    match said {
        Said::Done(object) => read(object).map(Said::Done).map_err(|why| Unknown::Unusable(format!("a payment that can't be read: {why}"))),
        Said::Refused { code, object } => Ok(Said::Refused { code, object: object.and_then(|object| read(object).ok()) }),
    }
}

impl HttpPaymentProvider {
    /// At this address, which takes these currencies.
    pub fn new(address: Address, taken: TakenCurrencies) -> Self {
        Self { address, taken }
    }

    fn post<'a>(&'a self, key: Uuid, id: &'a str, operation: &'a str, body: Value) -> Asking<'a, Said<Payment>> {
        Box::pin(async move { payment(self.address.ask(&["v1", "payments", id, operation], key, &body).await?) })
    }
}

impl PaymentProvider for HttpPaymentProvider {
    fn limits(&self, currency: &str) -> PaymentLimits {
        self.taken.limits(currency)
    }

    fn create<'a>(&'a self, key: Uuid, order: &'a str, amount: &'a Money) -> Asking<'a, Said<Payment>> {
        let body = json!({ "order": order, "amount": amount.minor_units, "currency": amount.currency });
        Box::pin(async move { payment(self.address.ask(&["v1", "payments"], key, &body).await?) })
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
        Box::pin(async move { payment(self.address.look(&["v1", "payments", id], &[]).await?) })
    }

    fn outcome(&self, key: Uuid) -> Asking<'_, Option<Said<Payment>>> {
        Box::pin(async move { self.address.outcome(key).await?.map(payment).transpose() })
    }

    fn list<'a>(&'a self, after: Option<&'a str>) -> Asking<'a, Listed> {
        Box::pin(async move {
            let limit = ("limit", LISTED);
            let query: Vec<(&str, &str)> = [limit].into_iter().chain(after.map(|id| ("starting_after", id))).collect();
            match self.address.look(&["v1", "payments"], &query).await? {
                Said::Done(list) => listed(list),
                Said::Refused { code, .. } => Err(Unknown::Unusable(format!("the provider does not list its payments: {code}"))),
            }
        })
    }
}
