//! `GET /v1/{read-model}/{key}`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::Problem;
use daybook_proto::v1::Caller;

use crate::answer::consistency::POSITION;
use crate::answer::made::{self, Sight};
use crate::answer::negotiate::Wanted;
use crate::answer::response::{self, FORGET, STALE};
use crate::answer::{Serving, consistency, events, list, negotiate, past};
use crate::entry::{Form, View};
use crate::memory::{EntryAt, Memory};
use crate::model::{self, KEY, ServedModel};
use crate::search;
use crate::source::HIDDEN;

/// The name of the path's segment that names a read model.
const MODEL: &str = "readModel";

/// The handler of a page's route.
pub(crate) async fn get(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    handle(&serving, &request.into_parts().0, false).await
}

/// The handler of a live query's route.
pub(crate) async fn get_events(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    handle(&serving, &request.into_parts().0, true).await
}

/// The handler of other methods.
pub(crate) async fn other_method(State(serving): State<Arc<Serving>>, uri: Uri) -> Problem {
    let (name, key) = name_and_key(&uri);
    let read = daybook_http::segment(name, MODEL).and_then(|name| daybook_http::segment(key, KEY).map(|_| name));
    match read {
        Ok(name) if serving.model(&name).is_some() => {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a read model is read by GET: see /openapi.json");
            problem.header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
        }
        Ok(name) => serving.no_such_model(&name),
        Err(problem) => problem,
    }
}

/// The segments of `/v1/{read-model}/{key}`, as the URL has them.
fn name_and_key(uri: &Uri) -> (&str, &str) {
    let mut segments = uri.path().split('/').skip(2);
    (segments.next().unwrap_or_default(), segments.next().unwrap_or_default())
}

/// Answers a request whose path begins with `/v1/{read-model}/{key}`.
async fn handle(serving: &Arc<Serving>, request: &Parts, events: bool) -> Response {
    let begun = std::time::Instant::now();
    let (name, key) = name_and_key(&request.uri);
    let served = daybook_http::segment(name, MODEL);
    let served = served.and_then(|name| serving.model(&name).ok_or_else(|| serving.no_such_model(&name)));
    let (served, answer) = match served {
        Ok(served) => (Some(served), answer(serving, served, key, request, events).await),
        Err(problem) => (None, Err(problem)),
    };
    let response = answer.unwrap_or_else(|problem| problem.header(header::CACHE_CONTROL, FORGET).into_response());
    let meters = served.map_or(&serving.unknown, |served| &served.observers.meters);
    meters.answered(response.status().as_u16(), begun.elapsed().as_secs_f64());
    response
}

/// Answers a request for a key that is in memory, where it asks for nothing else. None: that takes more, [`get`] does it.
///
/// No read model is kept from any caller yet: the caller decides nothing here.
pub(crate) fn at_once(serving: &Serving, request: &Parts, _: &Caller) -> Option<Response> {
    let (uri, headers) = (&request.uri, &request.headers);
    if request.method != Method::GET || uri.query().is_some() || consistency::is_wanted(headers) {
        return None;
    }
    let (name, key) = uri.path().strip_prefix("/v1/")?.split_once('/')?;
    // What has a route of its own, is encoded, or has a third segment.
    if search::ROUTES.contains(&key) || key.contains(['%', '/']) {
        return None;
    }
    let begun = std::time::Instant::now();
    let served = serving.model(name).filter(|served| served.items.is_none())?;
    let key = model::key(key, served.key_form).ok()?;
    let form = negotiate::form_of_page(headers)?;
    let memory = serving.generations.answering(name)?;
    let response = if served.is_made() {
        let sight = Sight::held(serving, served, &key)?;
        show_made(served, &sight, &key, form, headers).ok()?
    } else {
        let seen = memory.hit(&key, &[])?;
        show(served, &memory, &key, &seen, form, headers).ok()?
    };
    memory.observers.meters.hits.increment(1);
    memory.observers.hot.hit(&key);
    served.observers.meters.answered(response.status().as_u16(), begun.elapsed().as_secs_f64());
    Some(response)
}

async fn answer(serving: &Arc<Serving>, served: &ServedModel, segment: &str, request: &Parts, events: bool) -> Result<Response, Problem> {
    let (key, headers, query) = (model::key(segment, served.key_form)?, &request.headers, request.uri.query());
    if events {
        events::is_followed(served)?;
        negotiate::takes(headers, &negotiate::EVENTS)?;
        daybook_http::parameters(query, [])?;
        // Boxed, like all that few requests need: the rest stays small.
        return Box::pin(events::answer(serving, served, &key, request)).await;
    }
    let asked = list::ListQuery::of(serving, served, query)?;
    let offers: &[_] = if served.items.is_some() || asked.at.is_some() { &negotiate::FORMS } else { &negotiate::PAGE };
    let form = match negotiate::wanted(headers, offers)? {
        Wanted::Form(form) => form,
        Wanted::Events => return Box::pin(events::answer(serving, served, &key, request)).await,
    };
    if let Some(at) = &asked.at {
        return Box::pin(past::answer(serving, served, &key, (at, &asked), headers, form)).await;
    }
    match &served.items {
        Some(items) => Box::pin(list::answer(serving, served, items, &key, &asked, headers, form)).await,
        None if served.is_made() => {
            let view = Arc::new(View::all(&key));
            let sight = Box::pin(Sight::of(serving, served, view, headers, |parts| made::of_key(served, parts))).await?;
            show_made(served, &sight, &key, form, headers)
        }
        None => {
            let (memory, seen) = serving.see(served, &key, headers).await?;
            show(served, &memory, &key, &seen, form, headers)
        }
    }
}

/// 404: the root is not there. It names the streams that show nothing.
fn nothing(served: &ServedModel, key: &str, hidden: Option<&HeaderValue>) -> Problem {
    let nothing = Problem::new(StatusCode::NOT_FOUND, format!("{} has nothing under this key", served.model.name)).with("key", key);
    match hidden {
        Some(streams) => nothing.header(HIDDEN, streams.clone()),
        None => nothing,
    }
}

fn show_made(served: &ServedModel, sight: &Sight, key: &str, form: Form, headers: &HeaderMap) -> Result<Response, Problem> {
    if sight.is_there(served) { sight.response(served, headers, form) } else { Err(nothing(served, key, sight.hidden().next())) }
}

fn show(served: &ServedModel, memory: &Memory, key: &str, seen: &EntryAt, form: Form, headers: &HeaderMap) -> Result<Response, Problem> {
    let model = &served.model;
    if let Some(root) = &model.root
        && !seen.entry.is_rooted(root)
    {
        return Err(nothing(served, key, seen.hidden.as_ref()));
    }
    let representation = response::form(served, memory, key, seen, form)?;
    let mut response = response::held(headers, form, representation);
    let out = response.headers_mut();
    if let Some(positions) = memory.position_header(seen) {
        out.insert(POSITION, positions);
    }
    if let Some(stale) = seen.entry.stale() {
        out.insert(STALE, stale.clone());
    }
    if let Some(streams) = &seen.hidden {
        out.insert(HIDDEN, streams.clone());
    }
    Ok(response)
}
