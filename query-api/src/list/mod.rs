//! `GET /v1/{list}/{key}?page_size=&page_token=`: a list's parts, a page at a time.
//!
//! A page token names the part that the page before ended with, so a page begins behind it whatever was added or taken
//! away meanwhile: what stood all the time is shown once.

mod items;
mod store;
mod token;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use daybook_http::Problem;
use daybook_kernel::ConsistencyToken;
use serde_json::{Map, Value};

pub(crate) use items::Items;

use crate::api::{Served, Serving};
use crate::config::Fill;
use crate::consistency::{self, POSITION};
use crate::negotiate::Form;
use crate::{QueryError, page, render};

/// Items of a page when the client does not say.
pub(crate) const DEFAULT_SIZE: usize = 20;
/// The most items of a page.
pub(crate) const MAX_SIZE: usize = 100;
/// The token of the next page, for those who take protobuf; in JSON it is `nextPageToken`.
pub(crate) const NEXT: HeaderName = HeaderName::from_static("next-page-token");

/// Which page a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    size: usize,
    /// Begins behind this part.
    after: Option<String>,
}

/// Reads the query string. Parameters of other names are passed over.
fn wanted(serving: &Serving, model: &str, key: &str, query: Option<&str>) -> Result<Wanted, Problem> {
    let mut wanted = Wanted { size: DEFAULT_SIZE, after: None };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "page_size" => {
                let size = value.parse().ok().filter(|n| (1..=MAX_SIZE).contains(n));
                wanted.size = size.ok_or_else(|| Problem::invalid("page_size", format!("must be a number from 1 to {MAX_SIZE}")))?;
            }
            "page_token" if !value.is_empty() => {
                let after = token::read(&serving.secret, model, key, &value);
                let refused = || Problem::invalid("page_token", "is none that a page of this list gave: begin without one");
                wanted.after = Some(after.ok_or_else(refused)?);
            }
            _ => {}
        }
    }
    Ok(wanted)
}

/// One page.
#[derive(Default)]
struct Page {
    items: Vec<Bytes>,
    /// Where the next one begins.
    next: Option<String>,
    positions: Vec<ConsistencyToken>,
}

/// Answers a list's query; tokens are waited for before.
pub(crate) async fn answer(
    serving: &Serving,
    served: &Served,
    items: &Items,
    key: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    form: Form,
) -> Result<Response, Problem> {
    let model = &served.model;
    let wanted = wanted(serving, &model.name, key, query)?;
    let mut page = read(serving, served, items, key, &wanted).await?;
    let unreadable = |error: String| unreadable(&model.name, key, &error);
    if let Some(fill) = &model.fill {
        let positions = filled(serving, items, fill, &mut page.items, &unreadable).await?;
        page.positions.extend(positions);
    }
    let next = page.next.map(|last| token::write(&serving.secret, &model.name, key, &last));
    let body = represent(items, &page.items, next.as_deref(), form).map_err(unreadable)?;
    page.positions.sort_unstable();
    page.positions.dedup();

    let next = next.and_then(|token| HeaderValue::try_from(token).ok());
    Ok(page::made(headers, form, body, [(NEXT, next), (POSITION, consistency::position_header(&page.positions))]))
}

/// A page of a list as it was at a moment, which never changes: there its token counts items. The body, and the token.
///
/// # Errors
/// What is wrong with the query, or that what was folded is no list.
pub(crate) fn past(
    serving: &Serving,
    served: &Served,
    items: &Items,
    (key, at): (&str, &str),
    query: Option<&str>,
    bytes: Bytes,
    form: Form,
) -> Result<(Vec<u8>, Option<String>), Problem> {
    let model = &served.model.name;
    let place = format!("{key}\0{at}");
    let wanted = wanted(serving, model, &place, query)?;
    let unreadable = |error: String| unreadable(model, key, &error);
    let all = items.split(bytes).map_err(unreadable)?;
    let from = wanted.after.and_then(|n| n.parse::<usize>().ok()).unwrap_or_default().min(all.len());
    let to = (from + wanted.size).min(all.len());
    let next = (to < all.len()).then(|| token::write(&serving.secret, model, &place, &to.to_string()));
    Ok((represent(items, &all[from..to], next.as_deref(), form).map_err(unreadable)?, next))
}

/// Reads a page, and one part more: that tells whether there is a next one.
async fn read(serving: &Serving, served: &Served, items: &Items, key: &str, wanted: &Wanted) -> Result<Page, Problem> {
    let model = &served.model.name;
    let live = serving.live(model)?;
    let listed =
        serving.store.list(model, &live, key, wanted.after.as_deref(), wanted.size + 1).await.map_err(|e| unreachable(model, &e))?;
    let mut page = Page { positions: listed.positions, ..Page::default() };
    let more = listed.parts.len() > wanted.size;
    let shown = &listed.parts[..listed.parts.len().min(wanted.size)];
    for (_, bytes) in shown {
        let split = items.split(bytes.clone());
        page.items.extend(split.map_err(|error| unreadable(model, key, &error))?);
    }
    page.next = shown.last().filter(|_| more).map(|(part, _)| part.clone());
    Ok(page)
}

/// Appends to each item what another read model has under its key: merging is concatenating. Says how far that one was.
async fn filled(
    serving: &Serving,
    items: &Items,
    fill: &Fill,
    page: &mut [Bytes],
    unreadable: &(dyn Fn(String) -> Problem + Sync),
) -> Result<Vec<ConsistencyToken>, Problem> {
    let keys: Result<Vec<String>, String> = page.iter().map(|item| items.text(item, &fill.by)).collect();
    let keys = keys.map_err(unreadable)?;
    let live = serving.live(&fill.model)?;
    let filling = serving.store.fill(&fill.model, &live, &keys, &fill.parts).await.map_err(|e| unreachable(&fill.model, &e))?;
    for (item, key) in page.iter_mut().zip(&keys) {
        if let Some(more) = filling.by_key.get(key) {
            *item = [item.as_ref(), more].concat().into();
        }
    }
    Ok(filling.positions)
}

/// Parts that are no message of the read model: no client can mend that.
pub(crate) fn unreadable(model: &str, key: &str, error: &str) -> Problem {
    tracing::error!(model, key, error, "parts are no message of the read model: run `daybook replay diff`");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the parts of this key can't be read; the operator has been told")
}

fn unreachable(model: &str, error: &QueryError) -> Problem {
    tracing::warn!(model, %error, "a list can't be read");
    Problem::unavailable("the read models' database does not answer", 1)
}

fn represent(items: &Items, page: &[Bytes], next: Option<&str>, form: Form) -> Result<Vec<u8>, String> {
    match form {
        Form::Protobuf => Ok(items.join(page)),
        Form::Json => {
            let values: Result<Vec<Value>, String> = page.iter().map(|item| render::value(items.message(), item)).collect();
            let mut list = Map::new();
            list.insert(items.name().to_owned(), values?.into());
            list.insert("nextPageToken".to_owned(), next.unwrap_or_default().into());
            serde_json::to_vec(&list).map_err(|e| e.to_string())
        }
    }
}
