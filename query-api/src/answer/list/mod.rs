//! `GET /v1/{list}/{key}?page_size=&page_token=`: a list's parts, a page at a time.
//!
//! A page token names the part that the page before ended with, so a page begins behind it whatever was added or taken
//! away meanwhile: what stood all the time is shown once.
//!
//! A page is a [view](crate::view) of the list, and what its items are filled with is one of another read model: both are
//! held in memory under the rules of all entries, and the page that they make together until one of them changes.

mod token;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use daybook_http::Problem;
use tokio::time::Instant;

use super::consistency::{self, POSITION};
use super::response::{STALE, held};
use super::serving::{LOAD, Serving, unread};
use crate::entry::{Entry, Form, ListPage, View, represent};
use crate::memory::{EntryAt, LoadError, Memory};
use crate::model::{Items, ServedModel};
use crate::source::{HIDDEN, all_positions_text};

/// Items of a page when the client does not say.
pub(crate) const DEFAULT_SIZE: usize = 20;
/// The most items of a page.
pub(crate) const MAX_SIZE: usize = 100;
/// The token of the next page, for those who take protobuf; in JSON it is `nextPageToken`.
pub(crate) const NEXT: HeaderName = HeaderName::from_static("next-page-token");

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
    // One wait for both.
    let deadline = consistency::is_wanted(headers).then(|| serving.deadline(headers));
    let listed = see_view(serving, served, Some(&view), headers, deadline).await?;
    let unreadable = |error: &str| unreadable(&model.name, key, error);
    let Some(seen) = listed.seen.as_ref() else { return Err(unreadable("there is nothing of it")) };
    let page = seen.entry.page.get_or_init(|| {
        let parts = seen.entry.parts();
        let shown = &parts[..parts.len().min(size)];
        let last = shown.last().filter(|_| parts.len() > size);
        let next = last.map(|last| token::write(&serving.secret, &model.name, key, &last.id));
        Ok(Box::new(ListPage::of(items, shown, next, model.fill.as_ref())?))
    });
    let page = page.as_ref().map_err(|error| unreadable(error))?;
    let filling = match model.fill.as_ref().and_then(|fill| serving.model(&fill.model)) {
        Some(filling) => Some(see_view(serving, filling, page.filled_by.as_ref(), headers, deadline).await?),
        None => None,
    };
    let meters = &served.observers.meters;
    let from_memory = listed.held && filling.as_ref().is_none_or(|filling| filling.held);
    if from_memory { &meters.hits } else { &meters.misses }.increment(1);

    let from = filling.as_ref().and_then(|filling| filling.seen.as_ref()).map(|seen| &*seen.entry);
    let parts = from.map(Entry::parts);
    let filled = page.filled(parts);
    let (shown, made) = page.form(&filled, parts, items, form);
    if made {
        listed.memory.weigh_again(&view.id, &seen.entry);
    }
    let mut response = held(headers, form, shown.map_err(|error| unreadable(&error))?);
    let positions = [Some(&listed), filling.as_ref()].into_iter().flatten();
    let positions = all_positions_text(positions.flat_map(|v| v.seen.iter().flat_map(|seen| v.memory.positions(seen))));
    let extra = [
        (NEXT, page.next.clone()),
        (POSITION, HeaderValue::try_from(positions).ok().filter(|all| !all.is_empty())),
        (STALE, page.stale.clone()),
    ];
    let out = response.headers_mut();
    out.extend(extra.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if let Some(stale) = from.and_then(|from| from.stale()) {
        out.append(STALE, stale.clone());
    }
    let seen = [listed.seen.as_ref(), filling.as_ref().and_then(|filling| filling.seen.as_ref())];
    for streams in seen.into_iter().flatten().filter_map(|seen| seen.hidden.as_ref()) {
        out.append(HIDDEN, streams.clone());
    }
    Ok(response)
}

/// A view that was read.
struct Viewed {
    memory: Arc<Memory>,
    /// None where nothing was asked for.
    seen: Option<EntryAt>,
    /// It was in memory.
    held: bool,
}

/// Reads a view, as far as the request's tokens want it. Without a view they are waited for all the same.
async fn see_view(
    serving: &Serving,
    served: &ServedModel,
    view: Option<&Arc<View>>,
    headers: &HeaderMap,
    deadline: Option<Instant>,
) -> Result<Viewed, Problem> {
    loop {
        let memory = serving.memory(&served.model.name)?;
        let needs = match deadline {
            Some(deadline) => Box::pin(serving.reach(&memory, &served.model, headers, deadline)).await?,
            None => Vec::new(),
        };
        let Some(view) = view else { return Ok(Viewed { memory, seen: None, held: true }) };
        if let Some(seen) = memory.hit(&view.id, &needs) {
            return Ok(Viewed { memory, seen: Some(seen), held: true });
        }
        match Box::pin(memory.load(&serving.store, view, &needs, Instant::now() + LOAD)).await {
            Ok(seen) => return Ok(Viewed { memory, seen: Some(seen), held: false }),
            // It was begun on a generation that does not answer any more.
            Err(LoadError::Retired) => {}
            Err(error) => return Err(unread(error)),
        }
    }
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

/// Parts that are no message of the read model: no client can mend that.
pub(crate) fn unreadable(model: &str, key: &str, error: &str) -> Problem {
    tracing::error!(model, key, error, "parts are no message of the read model: run `daybook replay diff`");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the parts of this key can't be read; the operator has been told")
}
