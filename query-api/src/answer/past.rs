//! `?at=`: a read model as it was.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::Utc;
use daybook_http::Problem;

use super::consistency::POSITION;
use super::response::{self, STALE, unreadable};
use super::serving::Serving;
use super::{list, made};
use crate::entry::{Form, finish, render};
use crate::model::ServedModel;
use crate::past::{Moment, PastError, Was, moment};

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
    if let Some(fill) = model.fill.as_ref().filter(|_| served.filled.is_some()) {
        let why =
            format!("can't be asked of {}, which shows what {} says when it is read: ask that one for its past", model.name, fill.model);
        return Err(Problem::invalid("at", why));
    }
    let then = match &moment {
        Moment::Time(time) => *time,
        Moment::Tokens(_) => Utc::now().into(),
    };
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
        (None, form) => {
            let finished = finish(model.finisher.as_ref(), bytes, then);
            let shown = finished.and_then(|page| match form {
                Form::Protobuf => Ok(page.message),
                Form::Json => render::json(&served.message, &page.message),
            });
            (shown.map_err(|why| unreadable(&model.name, key, &why))?, None)
        }
    };
    let joined = |all: Vec<String>| (!all.is_empty()).then(|| HeaderValue::try_from(all.join(", ")).ok()).flatten();
    let next = next.and_then(|token| HeaderValue::try_from(token).ok());
    Ok(response::made(headers, form, body, [(made::NEXT, next), (POSITION, joined(positions)), (STALE, joined(stale))]))
}
