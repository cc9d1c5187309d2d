//! `GET /v1/{read-model}/{key}`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use daybook_http::Problem;
use daybook_kernel::digest;

use crate::api::{Served, Serving};
use crate::config::QueryModel;
use crate::consistency::{self, POSITION};
use crate::negotiate::{self, Form};
use crate::store::Merged;
use crate::{list, render};

/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 512;

/// How caches may keep an answer: they may, but must ask each time whether it still holds.
pub(crate) const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// A problem is of this moment.
const FORGET: HeaderValue = HeaderValue::from_static("no-store");

/// The handler of the route.
pub(crate) async fn get(
    State(serving): State<Arc<Serving>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let begun = Instant::now();
    let (model, answer) = match path {
        Ok(Path((name, key))) => match serving.model(&name) {
            Some(served) => (served.model.name.clone(), answer(&serving, served, &key, query.as_deref(), &headers).await),
            None => ("unknown".to_owned(), Err(serving.no_such_model(&name))),
        },
        Err(_) => ("unknown".to_owned(), Err(Problem::invalid("path", "must be percent-encoded UTF-8"))),
    };
    let response = answer.unwrap_or_else(|problem| problem.header(header::CACHE_CONTROL, FORGET).into_response());
    let labels = [("read_model", model), ("status", response.status().as_str().to_owned())];
    metrics::counter!("daybook_query_requests_total", &labels).increment(1);
    metrics::histogram!("daybook_query_seconds", &labels[..1]).record(begun.elapsed().as_secs_f64());
    response
}

async fn answer(serving: &Serving, served: &Served, key: &str, query: Option<&str>, headers: &HeaderMap) -> Result<Response, Problem> {
    let model = &served.model;
    if key.is_empty() || key.len() > MAX_KEY || key.contains('\0') {
        return Err(Problem::invalid("key", format!("must be 1 to {MAX_KEY} bytes, none of them zero")));
    }
    let form = negotiate::form(headers).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "read models are served as application/json and application/x-protobuf: Accept takes neither",
        )
    })?;
    let live = serving.live(&model.name)?;
    let wait = negotiate::wait(headers, serving.default_wait, serving.max_wait);
    reach(serving, model, headers, wait).await?;
    if let Some(items) = &served.items {
        if let Some(filling) = model.fill.as_ref().and_then(|fill| serving.model(&fill.model)) {
            reach(serving, &filling.model, headers, wait).await?;
        }
        return list::answer(serving, served, items, key, query, headers, form).await;
    }
    let merged = serving.store.parts(&model.name, &live, key).await.map_err(|error| {
        tracing::warn!(model = model.name, %error, "parts can't be read");
        Problem::unavailable("the read models' database does not answer", 1)
    })?;
    if let Some(root) = &model.root
        && !merged.parts.iter().any(|part| part.starts_with(root.as_str()))
    {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("{} has nothing under this key", model.name)).with("key", key));
    }
    let positions = consistency::position_header(&merged.positions);
    let body = represent(served, form, merged).map_err(|error| {
        tracing::error!(model = model.name, key, error, "stored parts are no message of the read model: run `daybook replay diff`");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the stored parts of this key can't be read; the operator has been told")
    })?;
    let etag = etag(form, &body);
    let mut response = if negotiate::is_known(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, form.media_type())], body).into_response()
    };
    let out = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        out.insert(header::ETAG, etag);
    }
    out.insert(header::VARY, HeaderValue::from_static("Accept"));
    out.insert(header::CACHE_CONTROL, REVALIDATE);
    if let Some(positions) = positions {
        out.insert(POSITION, positions);
    }
    Ok(response)
}

/// Waits for the tokens that matter to a read model.
async fn reach(serving: &Serving, model: &QueryModel, headers: &HeaderMap, wait: Duration) -> Result<(), Problem> {
    let tokens = consistency::tokens(headers, model).map_err(|why| Problem::invalid(consistency::TOKEN_NAME, why))?;
    if tokens.is_empty() {
        return Ok(());
    }
    let live = serving.live(&model.name)?;
    consistency::reach(&serving.positions, model, live.generation, &tokens, wait).await
}

fn represent(served: &Served, form: Form, merged: Merged) -> Result<Bytes, String> {
    match form {
        Form::Protobuf => Ok(merged.bytes.into()),
        Form::Json => render::json(&served.message, &merged.bytes).map(Bytes::from),
    }
}

/// A strong tag: a hash of the served bytes, and of the form that they are served in.
pub(crate) fn etag(form: Form, body: &[u8]) -> String {
    let hash = digest::sha256(body);
    let letter = match form {
        Form::Json => 'j',
        Form::Protobuf => 'p',
    };
    format!("\"{letter}{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..18]))
}
