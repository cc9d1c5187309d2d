//! `GET /v1/{list}/{key}?page_size=&page_token=`: a list's parts, a page at a time.
//!
//! A page token names the part that the page before ended with, so a page begins behind it whatever was added or taken
//! away meanwhile: what stood all the time is shown once.

mod token;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use daybook_http::Problem;

use super::made::Sight;
use super::response::unreadable;
use super::serving::Serving;
use crate::entry::{Form, MadePage, Parts, View, represent};
use crate::model::{Items, ServedModel};

/// Items of a page when the client does not say.
pub(crate) const DEFAULT_SIZE: usize = 20;
/// The most items of a page.
pub(crate) const MAX_SIZE: usize = 100;

/// The parameters of a query string.
pub(crate) struct ListQuery<'a> {
    /// As it was then.
    pub(crate) at: Option<Cow<'a, str>>,
    page_size: Option<Cow<'a, str>>,
    page_token: Option<Cow<'a, str>>,
}

impl<'a> ListQuery<'a> {
    /// # Errors
    /// 400 that names a parameter that is unknown, as those of a list are of a page, or can't be read.
    pub(crate) fn of(serving: &Serving, served: &ServedModel, query: Option<&'a str>) -> Result<Self, Problem> {
        let off: &[&str] = if serving.past.is_some() { &[] } else { &["at"] };
        if served.items.is_some() {
            let [at, page_size, page_token] = daybook_http::parameters_but(query, ["at", "page_size", "page_token"], off)?;
            Ok(Self { at, page_size, page_token })
        } else {
            let [at] = daybook_http::parameters_but(query, ["at"], off)?;
            Ok(Self { at, page_size: None, page_token: None })
        }
    }
}

/// The page that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    size: usize,
    /// Begins behind this part.
    after: Option<String>,
}

fn wanted(serving: &Serving, model: &str, key: &str, asked: &ListQuery<'_>) -> Result<Wanted, Problem> {
    let mut wanted = Wanted { size: DEFAULT_SIZE, after: None };
    if let Some(value) = &asked.page_size {
        let size = value.parse().ok().filter(|n| (1..=MAX_SIZE).contains(n));
        wanted.size = size.ok_or_else(|| {
            Problem::invalid("page_size", format!("must be a number from 1 to {MAX_SIZE}, is {}", daybook_proto::shown(value)))
        })?;
    }
    if let Some(value) = asked.page_token.as_ref().filter(|value| !value.is_empty()) {
        let after = token::read(&serving.secret, model, key, value);
        let refused = || Problem::invalid("page_token", "is none that a page of this list gave: begin without one");
        wanted.after = Some(after.ok_or_else(refused)?);
    }
    Ok(wanted)
}

/// Answers a list's query, as far as the request's tokens want it.
pub(crate) async fn answer(
    serving: &Serving,
    served: &ServedModel,
    items: &Items,
    key: &str,
    asked: &ListQuery<'_>,
    headers: &HeaderMap,
    form: Form,
) -> Result<Response, Problem> {
    let model = &served.model;
    let Wanted { size, after } = wanted(serving, &model.name, key, asked)?;
    let view = Arc::new(View::page(key, after.as_deref(), size));
    let page_of = |parts: &Parts| {
        let shown = &parts[..parts.len().min(size)];
        let last = shown.last().filter(|_| parts.len() > size);
        let next = last.map(|last| token::write(&serving.secret, &model.name, key, &last.id));
        MadePage::of_list(items, shown, next, model.fill.as_ref())
    };
    Sight::of(serving, served, view, headers, page_of).await?.response(served, headers, form)
}

/// A page of a list as it was at a moment, which never changes: there its token counts items. The body, and the token.
///
/// # Errors
/// What is wrong with the query, or that what was folded is no list.
pub(crate) fn past(
    serving: &Serving,
    served: &ServedModel,
    items: &Items,
    (key, at): (&str, &str),
    asked: &ListQuery<'_>,
    bytes: Bytes,
    form: Form,
) -> Result<(Vec<u8>, Option<String>), Problem> {
    let model = &served.model.name;
    let place = format!("{key}\0{at}");
    let wanted = wanted(serving, model, &place, asked)?;
    let unreadable = |error: String| unreadable(model, key, &error);
    let all = items.split(bytes).map_err(unreadable)?;
    let from = wanted.after.and_then(|n| n.parse::<usize>().ok()).unwrap_or_default().min(all.len());
    let to = (from + wanted.size).min(all.len());
    let next = (to < all.len()).then(|| token::write(&serving.secret, model, &place, &to.to_string()));
    Ok((represent(items, &all[from..to], next.as_deref(), form).map_err(unreadable)?, next))
}
