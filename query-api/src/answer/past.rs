//! `?at=`: a read model as it was.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use daybook_http::Problem;

use super::consistency::POSITION;
use super::list;
use super::response::{self, STALE};
use super::serving::Serving;
use crate::entry::{Form, render};
use crate::model::ServedModel;
use crate::past::{PastError, Was, moment};

/// Answers a query of the past.
pub(crate) async fn answer(
    serving: &Serving,
    served: &ServedModel,
    key: &str,
    (at, asked): (&str, &list::ListQuery<'_>),
    headers: &HeaderMap,
    form: Form,
) -> Result<Response, Problem> {
    let off = || Problem::invalid("at", "is not switched on here: start the query API with --as-of, or ask `daybook replay as-of`");
    let reader = serving.past.as_ref().ok_or_else(off)?;
    let moment = moment(at)?;
    let model = &served.model;
    let busy = || Problem::unavailable("too many ask for the past at once", 1);
    let _place = reader.places.try_acquire().map_err(|_| busy())?;
    let was = (reader.past)(model.name.clone(), key.to_owned(), moment).await.map_err(|error| match error {
        PastError::Moment(why) => Problem::invalid("at", why),
        PastError::Unreachable(why) => {
            tracing::warn!(model = model.name, why, "the past can't be read");
            Problem::unavailable("the log does not answer", 1)
        }
    })?;
    let nothing = || Problem::new(StatusCode::NOT_FOUND, format!("{} had nothing under this key then", model.name)).with("key", key);
    let Was { bytes, positions, stale } = match &served.items {
        Some(_) => was.unwrap_or_default(),
        None => was.ok_or_else(nothing)?,
    };
    let (body, next) = match (&served.items, form) {
        (Some(items), _) => list::past(serving, served, items, (key, at), asked, bytes.into(), form)?,
        (None, Form::Protobuf) => (bytes, None),
        (None, Form::Json) => (render::json(&served.message, &bytes).map_err(|why| list::unreadable(&model.name, key, &why))?, None),
    };
    let joined = |all: Vec<String>| (!all.is_empty()).then(|| HeaderValue::try_from(all.join(", ")).ok()).flatten();
    let next = next.and_then(|token| HeaderValue::try_from(token).ok());
    Ok(response::made(headers, form, body, [(list::NEXT, next), (POSITION, joined(positions)), (STALE, joined(stale))]))
}
