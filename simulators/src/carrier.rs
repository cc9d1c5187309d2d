//! The carrier over HTTP.
//!
//! ```text
//! POST /v1/labels {orderId, number, address, weight?}      under an Idempotency-Key
//! GET  /v1/labels?orderId=…&number=…                       {data}: those of a shipment
//! GET  /v1/labels/{tracking}      GET /v1/operations/{key}      404: never heard of
//! POST /parcels/{tracking}/deliver | lose | return         moves a parcel
//! GET  /books                     PUT /faults
//! ```
//! It goes to every country but `AQ`, and to no postal code `00000`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use daybook_process::Shutdown;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::Object;
use crate::desk::{Desk, Done, Options, Running, Wrong, read};

/// Its name.
const CARRIER: &str = "parcel";

/// Where a parcel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Labelled,
    Delivered,
    Lost,
    Returned,
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parcel {
    tracking: String,
    carrier: String,
    order_id: String,
    number: u32,
    status: Status,
    label_url: String,
    weight: Option<u64>,
}

impl Object for Parcel {
    fn id(&self) -> &str {
        &self.tracking
    }
}

/// What a label is asked for with.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Label {
    order_id: String,
    number: u32,
    address: Value,
    /// Grams.
    weight: Option<u64>,
}

/// Starts a carrier; it ends with the shutdown.
///
/// # Errors
/// When the address is taken, or the state's file can't be used.
pub async fn start_carrier(options: Options, shutdown: Shutdown) -> std::io::Result<Running> {
    Desk::start(options, shutdown, |address| {
        let label = move |state, headers, body| label(state, headers, body, format!("http://{address}/v1/labels/"));
        Router::new()
            .route("/v1/labels", post(label).get(find))
            .route("/v1/labels/{tracking}", get(look))
            .route("/parcels/{tracking}/{what}", post(move_parcel))
            .route("/books", get(books))
    })
    .await
}

async fn label(State(desk): State<Desk<Parcel>>, headers: HeaderMap, body: Bytes, labels_at: String) -> Response {
    let label = |_: &_, label: Label| Ok(labelled(label, &labels_at));
    desk.perform(&headers, "label", "", read(&body), label).await
}

fn labelled(label: Label, labels_at: &str) -> Done<Parcel> {
    if label.address["country"] == "AQ" || label.address["postalCode"] == "00000" {
        return Done::refused(None, "undeliverable", "nobody goes there");
    }
    let tracking = format!("PX{}", &uuid::Uuid::new_v4().simple().to_string()[..16]).to_uppercase();
    let parcel = Parcel {
        label_url: format!("{labels_at}{tracking}"),
        tracking,
        carrier: CARRIER.to_owned(),
        order_id: label.order_id,
        number: label.number,
        status: Status::Labelled,
        weight: label.weight,
    };
    Done { kind: None, ..Done::changed(parcel, "") }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Of {
    order_id: String,
    number: u32,
}

async fn find(State(desk): State<Desk<Parcel>>, Query(of): Query<Of>) -> Response {
    desk.look(|books| {
        let of_it = |parcel: &&Parcel| (parcel.order_id.as_str(), parcel.number) == (of.order_id.as_str(), of.number);
        Ok(json!({ "data": books.objects.values().filter(of_it).collect::<Vec<_>>() }))
    })
    .await
}

async fn look(State(desk): State<Desk<Parcel>>, Path(tracking): Path<String>) -> Response {
    desk.look(|books| Ok(json!(books.objects.get(&tracking).ok_or_else(|| Wrong::unknown("parcel", &tracking))?))).await
}

async fn move_parcel(State(desk): State<Desk<Parcel>>, Path((tracking, what)): Path<(String, String)>) -> Response {
    let (status, kind) = match what.as_str() {
        "deliver" => (Status::Delivered, "parcel.delivered"),
        "lose" => (Status::Lost, "parcel.lost"),
        "return" => (Status::Returned, "parcel.returned"),
        _ => return Wrong(StatusCode::NOT_FOUND, "unknown", "deliver, lose or return".to_owned()).response(),
    };
    desk.happen(&tracking, "parcel", |parcel| Ok((Parcel { status, ..parcel.clone() }, kind)))
}

async fn books(State(desk): State<Desk<Parcel>>) -> Response {
    let books = desk.books();
    let parcels: Vec<&Parcel> = books.objects.values().collect();
    let keys: Vec<Value> = books
        .keys
        .values()
        .map(|kept| json!({ "key": kept.key, "operation": kept.asked.operation, "tracking": kept.object, "status": kept.status, "calls": kept.calls }))
        .collect();
    axum::Json(json!({ "parcels": parcels, "keys": keys })).into_response()
}
