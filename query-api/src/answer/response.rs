//! Responses, of what is held and of what was made for one request.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::Problem;

use super::negotiate;
use crate::entry::{Form, Representation, etag};
use crate::memory::{EntryAt, Memory};
use crate::model::ServedModel;

/// The parked streams whose parts an answer shows: those are older than the log.
pub(crate) const STALE: HeaderName = HeaderName::from_static("daybook-stale");

/// Caches may keep an answer, but must ask each time whether it still holds.
pub(crate) const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// A problem is of this moment.
pub(crate) const FORGET: HeaderValue = HeaderValue::from_static("no-store");
pub(crate) const VARY: HeaderValue = HeaderValue::from_static("Accept");

/// A form of what is under a key.
pub(crate) fn form<'a>(
    served: &ServedModel,
    memory: &Memory,
    key: &str,
    seen: &'a EntryAt,
    form: Form,
) -> Result<&'a Representation, Problem> {
    let (shown, made) = seen.entry.form(form, &served.message);
    if made {
        memory.weigh_again(key, &seen.entry);
    }
    shown.map_err(|error| unreadable(&served.model.name, key, &error))
}

/// An answer that was made for one request: with a tag of its own, and 304 where the client holds it already.
pub(crate) fn made(
    headers: &HeaderMap,
    form: Form,
    body: Vec<u8>,
    extra: impl IntoIterator<Item = (HeaderName, Option<HeaderValue>)>,
) -> Response {
    let etag = etag(form, &body);
    if let Err(problem) = negotiate::condition(headers, &etag) {
        return problem.into_response();
    }
    let mut response = if negotiate::is_known(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, form.media_type())], body).into_response()
    };
    let out = response.headers_mut();
    out.extend([(header::VARY, VARY), (header::CACHE_CONTROL, REVALIDATE)]);
    out.extend(HeaderValue::try_from(etag).ok().map(|etag| (header::ETAG, etag)));
    out.extend(extra.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response
}

/// An answer of what is held, in a form that was made of it; 304 where the client holds it already.
pub(crate) fn held(headers: &HeaderMap, form: Form, shown: &Representation) -> Response {
    if headers.contains_key(header::IF_MATCH)
        && let Err(problem) = negotiate::condition(headers, shown.etag.to_str().unwrap_or_default())
    {
        return problem.into_response();
    }
    let known = headers.contains_key(header::IF_NONE_MATCH) && shown.etag.to_str().is_ok_and(|etag| negotiate::is_known(headers, etag));
    let mut response = if known { Response::new(Body::empty()) } else { Response::new(Body::from(shown.body.clone())) };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    out.reserve(8);
    if !known {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    }
    out.insert(header::ETAG, shown.etag.clone());
    out.insert(header::VARY, VARY);
    out.insert(header::CACHE_CONTROL, REVALIDATE);
    response
}

/// Parts that are no message of the read model: no client can mend that.
pub(crate) fn unreadable(model: &str, key: &str, error: &str) -> Problem {
    tracing::error!(model, key, error, "parts are no message of the read model: run `daybook replay diff`");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the parts of this key can't be read; the operator has been told")
}
