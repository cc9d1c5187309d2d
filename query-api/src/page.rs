//! `GET /v1/{read-model}/{key}`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::Problem;
use daybook_proto::v1::Caller;
use daybook_proto::{TextForm, canonical};
use tokio::time::Instant;

use crate::api::{Served, Serving};
use crate::config::QueryModel;
use crate::consistency::{self, POSITION};
use crate::entry::Shown;
use crate::entry::etag;
use crate::flight::LoadError;
use crate::hidden::HIDDEN;
use crate::memory::{Memory, Need, Seen};
use crate::negotiate::{self, Form, Wanted};
use crate::view::View;
use crate::{events, list, past, search};

/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 512;
// What the segments of a path are called.
const MODEL: &str = "readModel";
const KEY: &str = "key";
/// The parked streams whose parts an answer shows: those are older than the log.
pub(crate) const STALE: HeaderName = HeaderName::from_static("daybook-stale");

/// How caches may keep an answer: they may, but must ask each time whether it still holds.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// A problem is of this moment.
const FORGET: HeaderValue = HeaderValue::from_static("no-store");
pub(crate) const VARY: HeaderValue = HeaderValue::from_static("Accept");
/// How long what is not in memory may take to be read.
pub(crate) const LOAD: Duration = Duration::from_secs(5);

/// The handler of the route.
pub(crate) async fn get(State(serving): State<Arc<Serving>>, request: Request) -> Response {
    handle(&serving, &request.into_parts().0, false).await
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
pub(crate) async fn handle(serving: &Arc<Serving>, request: &Parts, events: bool) -> Response {
    let begun = std::time::Instant::now();
    let (name, key) = name_and_key(&request.uri);
    let served = daybook_http::segment(name, MODEL);
    let served = served.and_then(|name| serving.model(&name).ok_or_else(|| serving.no_such_model(&name)));
    let (served, answer) = match served {
        Ok(served) => (Some(served), answer(serving, served, key, request, events).await),
        Err(problem) => (None, Err(problem)),
    };
    let response = answer.unwrap_or_else(|problem| problem.header(header::CACHE_CONTROL, FORGET).into_response());
    let meters = served.map_or(&serving.unknown, |served| &served.told.meters);
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
    let key = self::key(key, served.key_form).ok()?;
    let form = negotiate::form_of_page(headers)?;
    let memory = serving.generations.answering(name)?;
    let seen = memory.hit(&key, &[])?;
    let response = show(served, &memory, &key, &seen, form, headers).ok()?;
    memory.told.meters.hits.increment(1);
    memory.told.hot.hit(&key);
    served.told.meters.answered(response.status().as_u16(), begun.elapsed().as_secs_f64());
    Some(response)
}

/// A key of a path, in its canonical form: the one place where that is given to what is asked for.
pub(crate) fn key(segment: &str, form: TextForm) -> Result<Cow<'_, str>, Problem> {
    let key = match daybook_http::segment(segment, KEY)? {
        Cow::Borrowed(key) => canonical(key, form),
        Cow::Owned(key) => Cow::Owned(canonical(&key, form).into_owned()),
    };
    // Bytes bound characters from above: the common case is decided without counting.
    let long = key.len() > MAX_KEY && key.chars().count() > MAX_KEY;
    if key.is_empty() || long || key.contains('\0') {
        return Err(Problem::invalid(KEY, format!("must be 1 to {MAX_KEY} characters, without U+0000, is {}", daybook_proto::shown(&key))));
    }
    Ok(key)
}

async fn answer(serving: &Arc<Serving>, served: &Served, segment: &str, request: &Parts, events: bool) -> Result<Response, Problem> {
    let (key, headers, query) = (key(segment, served.key_form)?, &request.headers, request.uri.query());
    if events {
        events::is_followed(served)?;
        negotiate::takes(headers, &negotiate::EVENTS)?;
        daybook_http::parameters(query, [])?;
        // Boxed, like all that few requests need: the rest stays small.
        return Box::pin(events::answer(serving, served, &key, request)).await;
    }
    let asked = list::Asked::of(serving, served, query)?;
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
        None => {
            let (memory, seen) = see(serving, served, &key, headers).await?;
            show(served, &memory, &key, &seen, form, headers)
        }
    }
}

/// Until when a request with tokens waits.
pub(crate) fn deadline(serving: &Serving, headers: &HeaderMap) -> Instant {
    Instant::now() + negotiate::wait(headers, serving.default_wait, serving.max_wait)
}

/// Waits for the tokens that matter to a read model; what must be shown then.
pub(crate) async fn reach(
    serving: &Serving,
    memory: &Memory,
    model: &QueryModel,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Vec<Need>, Problem> {
    if !consistency::is_wanted(headers) {
        return Ok(Vec::new());
    }
    let mut tokens = consistency::tokens(headers, model).map_err(|why| Problem::invalid(consistency::TOKEN_NAME, why))?;
    tokens.extend(consistency::last_event(headers, memory));
    consistency::reach(&serving.watch, memory, &tokens, deadline).await
}

/// What is under a key now, as far as the request's tokens want it.
pub(crate) async fn see(serving: &Serving, served: &Served, key: &str, headers: &HeaderMap) -> Result<(Arc<Memory>, Seen), Problem> {
    // What is asked for without a token is shown as it is: no clock is looked at for it.
    let deadline = consistency::is_wanted(headers).then(|| deadline(serving, headers));
    loop {
        let memory = serving.memory(&served.model.name)?;
        let needs = match deadline {
            Some(deadline) => Box::pin(reach(serving, &memory, &served.model, headers, deadline)).await?,
            None => Vec::new(),
        };
        match serving.read(&memory, key, &needs).await {
            Ok(seen) => return Ok((memory, seen)),
            // It was begun on a generation that does not answer any more.
            Err(LoadError::Retired) => {}
            Err(error) => return Err(unread(error)),
        }
    }
}

/// 503: why it could not be read.
pub(crate) fn unread(error: LoadError) -> Problem {
    let why = match error {
        LoadError::Slow => "the read models' database does not answer in time",
        LoadError::TooOld => "the read models' database that is read lags behind what was shown: ask again",
        LoadError::Unreachable | LoadError::Retired => "the read models' database does not answer",
    };
    Problem::unavailable(why, 1)
}

impl Serving {
    /// What is under a key: from memory, or from the database.
    pub(crate) async fn read(&self, memory: &Arc<Memory>, key: &str, needs: &[Need]) -> Result<Seen, LoadError> {
        if let Some(seen) = memory.hit(key, needs) {
            memory.told.meters.hits.increment(1);
            memory.told.hot.hit(key);
            return Ok(seen);
        }
        memory.told.meters.misses.increment(1);
        memory.told.hot.missed(key);
        Box::pin(memory.load(&self.store, &Arc::new(View::all(key)), needs, Instant::now() + LOAD)).await
    }
}

/// A form of what is under a key.
pub(crate) fn form<'a>(served: &Served, memory: &Memory, key: &str, seen: &'a Seen, form: Form) -> Result<&'a Shown, Problem> {
    let (shown, made) = seen.entry.form(form, &served.message);
    if made {
        memory.weigh_again(key, &seen.entry);
    }
    shown.map_err(|error| {
        tracing::error!(model = served.model.name, key, %error, "stored parts are no message of the read model: run `daybook replay diff`");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the stored parts of this key can't be read; the operator has been told")
    })
}

/// An answer that was made for one request: with a tag of its own, and 304 where the client holds it already.
pub(crate) fn made(
    headers: &HeaderMap,
    form: Form,
    body: Vec<u8>,
    told: impl IntoIterator<Item = (HeaderName, Option<HeaderValue>)>,
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
    out.extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response
}

/// An answer of what is held, in a form that was made of it; 304 where the client holds it already.
pub(crate) fn held(headers: &HeaderMap, form: Form, shown: &Shown) -> Response {
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

fn show(served: &Served, memory: &Memory, key: &str, seen: &Seen, form: Form, headers: &HeaderMap) -> Result<Response, Problem> {
    let model = &served.model;
    if let Some(root) = &model.root
        && !seen.entry.is_rooted(root)
    {
        let nothing = Problem::new(StatusCode::NOT_FOUND, format!("{} has nothing under this key", model.name)).with("key", key);
        return Err(match &seen.hidden {
            Some(streams) => nothing.header(HIDDEN, streams.clone()),
            None => nothing,
        });
    }
    let shown = self::form(served, memory, key, seen, form)?;
    let mut response = held(headers, form, shown);
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
