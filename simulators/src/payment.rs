//! The payment provider over HTTP.
//!
//! ```text
//! POST /v1/payments {order, amount, currency}        Idempotency-Key on every POST
//! POST /v1/payments/{id}/confirm {token} | /capture {amount} | /cancel | /refund {amount}
//! GET  /v1/payments/{id}      GET /v1/operations/{key}     404: never heard of
//! GET  /v1/payments?limit=…&starting_after={id}            {data, hasMore}, the newest first
//! GET  /v1/currencies                                      {currencies: {EUR: {minimum, step}}, maximum}; null: all
//! POST /act/{id}              the customer does what is asked for ({"decline":true}: does not)
//! POST /chargeback/{id} {amount}    the customer's bank takes money back
//! POST /expire/{id}           an authorisation ends by itself
//! POST /relent/{id}           the bank takes captures that it had refused
//! GET  /books                 PUT /faults
//! ```

mod account;

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use chrono::Utc;
use daybook_process::Shutdown;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Kept};
use crate::desk::{Desk, Options, Running, Wrong, read};

use account::Payment;
pub use account::{Captures, Least, Terms};

/// Payments of a list, at the most, and where nobody says how many.
const LISTED: usize = 100;
const LISTED_BY_DEFAULT: usize = 10;

/// Starts a payment provider; it ends with the shutdown.
///
/// # Errors
/// When the address is taken, or the state's file can't be used.
pub async fn start_payment_provider(options: Options, terms: impl Into<Terms>, shutdown: Shutdown) -> std::io::Result<Running> {
    let terms = Arc::new(terms.into());
    Desk::start(options, shutdown, move |address| {
        let told = json!({ "currencies": &terms.currencies, "maximum": account::MOST });
        let currencies = async move || axum::Json(told);
        let create = move |State(desk): State<Desk<Payment>>, headers: HeaderMap, body: Bytes| create(desk, headers, body, terms);
        let confirm = move |state, path, headers, body| confirm(state, path, headers, body, format!("http://{address}/act/"));
        Router::new()
            .route("/v1/payments", post(create).get(list))
            .route("/v1/currencies", get(currencies))
            .route("/v1/payments/{id}", get(look))
            .route("/v1/payments/{id}/confirm", post(confirm))
            .route("/v1/payments/{id}/capture", post(capture))
            .route("/v1/payments/{id}/cancel", post(cancel))
            .route("/v1/payments/{id}/refund", post(refund))
            .route("/act/{id}", get(page).post(act))
            .route("/chargeback/{id}", post(chargeback))
            .route("/expire/{id}", post(expire))
            .route("/relent/{id}", post(relent))
            .route("/books", get(books))
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    order: String,
    amount: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    token: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: i64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Act {
    decline: bool,
}

async fn create(desk: Desk<Payment>, headers: HeaderMap, body: Bytes, terms: Arc<Terms>) -> Response {
    let create = |_: &_, body: Create| {
        let Create { order, amount, currency } = body;
        Ok(Payment::create(order, amount, currency, &terms, Utc::now()))
    };
    desk.perform(&headers, "create", "", read(&body), create).await
}

async fn confirm(State(desk): State<Desk<Payment>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes, act_at: String) -> Response {
    let confirm = |payments: &_, body: Confirm| Ok(found(payments, &id)?.confirm(&body.token, &act_at));
    desk.perform(&headers, "confirm", &id, read(&body), confirm).await
}

async fn capture(State(desk): State<Desk<Payment>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let capture = |payments: &_, body: Amount| Ok(found(payments, &id)?.capture(body.amount, Utc::now()));
    desk.perform(&headers, "capture", &id, read(&body), capture).await
}

async fn cancel(State(desk): State<Desk<Payment>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let cancel = |payments: &_, (): ()| Ok(found(payments, &id)?.cancel());
    desk.perform(&headers, "cancel", &id, Ok(()), cancel).await
}

async fn refund(State(desk): State<Desk<Payment>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let refund = |payments: &_, body: Amount| Ok(found(payments, &id)?.refund(body.amount));
    desk.perform(&headers, "refund", &id, read(&body), refund).await
}

async fn look(State(desk): State<Desk<Payment>>, Path(id): Path<String>) -> Response {
    desk.look(|books| Ok(json!(found(&books.objects, &id)?))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    limit: Option<usize>,
    /// The id of the last payment of the list before.
    starting_after: Option<String>,
}

/// Payments, the newest first, a list after the other.
async fn list(State(desk): State<Desk<Payment>>, Query(Listed { limit, starting_after }): Query<Listed>) -> Response {
    desk.look(|books| {
        let limit = limit.unwrap_or(LISTED_BY_DEFAULT);
        if !(1..=LISTED).contains(&limit) {
            return Err(Wrong(StatusCode::BAD_REQUEST, "unreadable", format!("limit is 1 to {LISTED}, not {limit}")));
        }
        let place = |payment: &Payment| (Reverse(payment.created), payment.id.clone());
        let after = starting_after.map(|id| found(&books.objects, &id).map(place)).transpose()?;
        let mut payments: Vec<&Payment> = books.objects.values().collect();
        payments.sort_by_key(|payment| place(payment));
        let mut rest = payments.into_iter().filter(|payment| after.as_ref().is_none_or(|after| place(payment) > *after));
        let data: Vec<&Payment> = rest.by_ref().take(limit).collect();
        Ok(json!({ "data": data, "hasMore": rest.next().is_some() }))
    })
    .await
}

fn found<'a>(payments: &'a std::collections::BTreeMap<String, Payment>, id: &str) -> Result<&'a Payment, Wrong> {
    payments.get(id).ok_or_else(|| Wrong::unknown("payment", id))
}

/// Where a customer is sent: a page with one button.
async fn page() -> Response {
    let page = "<!doctype html><title>Payment</title><p>This is a simulator: no money moves.</p>\
        <form method=\"post\"><button>Confirm the payment</button></form>";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn act(State(desk): State<Desk<Payment>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let act = if is_json && !body.is_empty() { read::<Act>(&body) } else { Ok(Act::default()) };
    match act {
        Ok(act) => desk.happen(&id, "payment", |payment| payment.act(act.decline)),
        Err(wrong) => wrong.response(),
    }
}

async fn chargeback(State(desk): State<Desk<Payment>>, Path(id): Path<String>, body: Bytes) -> Response {
    match read::<Amount>(&body) {
        Ok(body) => desk.happen(&id, "payment", |payment| payment.charge_back(body.amount)),
        Err(wrong) => wrong.response(),
    }
}

async fn expire(State(desk): State<Desk<Payment>>, Path(id): Path<String>) -> Response {
    desk.happen(&id, "payment", Payment::expire)
}

async fn relent(State(desk): State<Desk<Payment>>, Path(id): Path<String>) -> Response {
    desk.happen(&id, "payment", |payment| Ok(payment.relent()))
}

/// Per payment what it authorised, captured, voided and refunded, and its keys; keys that were refused before there was a payment beside.
async fn books(State(desk): State<Desk<Payment>>) -> Response {
    let books = desk.books();
    let payments: Vec<Value> = books
        .objects
        .values()
        .map(|payment| {
            let mut told = json!(payment);
            told["keys"] = keys(&books, &payment.id);
            told
        })
        .collect();
    axum::Json(json!({ "payments": payments, "refused": keys(&books, "") })).into_response()
}

fn keys(books: &Books<Payment>, payment: &str) -> Value {
    let told = |kept: &Kept| json!({ "key": kept.key, "operation": kept.asked.operation, "asked": kept.asked.body, "status": kept.status, "calls": kept.calls });
    books.keys.values().filter(|kept| kept.object == payment).map(told).collect()
}
