//! LiveQueries queries: `GET /v1/{read-model}/{key}/events`, or the page itself with `Accept: text/event-stream`.
//!
//! A live query holds no queue: it is woken, looks at what is newest, sends it, and waits again. So a slow reader is
//! sent the newest state and none of those between, and all who follow a key share the bytes of one event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::Utc;
use daybook_http::{Client, Problem};
use futures_util::future::select_all;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::consistency;
use super::made::{self, Sight};
use super::response::{self, VARY};
use super::serving::Serving;
use crate::entry::{Form, View};
use crate::memory::{EntryAt, LoadError, Memory};
use crate::model::ServedModel;
use crate::observers::Subscription;

/// Time that a live query rests when its key can't be read.
const REST: Duration = Duration::from_secs(1);
/// Time between two writes to a client that sends nothing more.
const PROBE: Duration = Duration::from_secs(1);
/// The name of an event that shows a page.
const STATE: &str = "state";
/// The same where there is none.
const GONE: &str = "gone";
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// That a read model can be followed.
///
/// # Errors
/// 404: a list can't.
pub(crate) fn is_followed(served: &ServedModel) -> Result<(), Problem> {
    if served.items.is_some() {
        return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "a list can't be followed: read its pages"));
    }
    Ok(())
}

/// Begins a live query; its first state covers the tokens, and the last event that the client says it has got.
pub(crate) async fn answer(serving: &Arc<Serving>, served: &ServedModel, key: &str, request: &Parts) -> Result<Response, Problem> {
    let full = || Problem::unavailable("there is no place for another live query: ask again, or another process", 5);
    let place = serving.events.places.clone().try_acquire_owned().map_err(|_| full())?;
    // Before the first look: what changes after it wakes us.
    let subscription = served.observers.subscriptions.begin(key);
    let mut following = Following {
        serving: serving.clone(),
        model: served.model.name.as_str().into(),
        key: key.into(),
        subscription,
        filled_from: BTreeMap::new(),
        until: None,
        closing: serving.events.closing.subscribe(),
        sent: None,
        client: request.extensions.get::<Client>().cloned(),
        heartbeat: serving.events.heartbeat,
        _place: place,
    };
    let first = if served.is_made() {
        following.look_at_made(serving, served, Some(&request.headers)).await?
    } else {
        let (memory, seen) = serving.see(served, key, &request.headers).await?;
        following.event(served, &memory, &seen)?
    };
    let rest = stream::unfold((following, first), async |(mut following, first)| {
        let event = match first {
            Some(first) => first,
            None => following.next().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(event), (following, None)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, VARY),
    ];
    Ok((headers, Body::from_stream(rest)).into_response())
}

/// Returns once something may have changed under one of the keys that are followed.
async fn any_changed(followed: &mut BTreeMap<String, Subscription>) {
    if followed.is_empty() {
        return std::future::pending().await;
    }
    select_all(followed.values_mut().map(|subscription| Box::pin(subscription.changed()))).await;
}

/// Returns at a time of the clock on the wall; never without one.
async fn reached(until: Option<daybook_kernel::Instant>) {
    let Some(until) = until else { return std::future::pending().await };
    let left = until.micros().saturating_sub(daybook_kernel::Instant::from(Utc::now()).micros());
    tokio::time::sleep(Duration::from_micros(left.try_into().unwrap_or_default())).await;
}

/// Returns once a client has shut its sending side.
async fn shut(client: Option<&Client>) {
    match client {
        Some(client) => client.shut().await,
        None => std::future::pending().await,
    }
}

/// One live query.
struct Following {
    serving: Arc<Serving>,
    model: Arc<str>,
    key: Box<str>,
    subscription: Subscription,
    /// The keys of another read model that fill it.
    filled_from: BTreeMap<String, Subscription>,
    /// When it shows something else though nothing has happened.
    until: Option<daybook_kernel::Instant>,
    closing: watch::Receiver<bool>,
    /// The tag of the state that was sent last; of none when there was nothing under the key.
    sent: Option<Option<HeaderValue>>,
    /// None: where it ends, its connection says so.
    client: Option<Client>,
    heartbeat: Duration,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// The next event that is worth sending; none when the process stops.
    async fn next(&mut self) -> Option<Bytes> {
        let serving = self.serving.clone();
        let mut beat = tokio::time::Instant::now() + self.heartbeat;
        loop {
            tokio::select! {
                () = shut(self.client.as_ref()) => {
                    // It may listen all the same. What is written to one that is gone breaks the connection, soon after.
                    self.client = None;
                    self.heartbeat = self.heartbeat.min(PROBE);
                    beat = tokio::time::Instant::now();
                }
                () = self.subscription.changed() => {}
                () = any_changed(&mut self.filled_from) => {}
                () = reached(self.until) => {}
                _ = self.closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep_until(beat) => return Some(HEARTBEAT),
            }
            // Boxed: it is there only while something is read, however many wait.
            match Box::pin(self.look(&serving)).await {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(()) => {
                    // What was sent last stands until it can be read again.
                    tokio::select! {
                        () = tokio::time::sleep(REST) => {}
                        _ = self.closing.wait_for(|closing| *closing) => return None,
                    }
                    self.subscription.again();
                }
            }
        }
    }

    /// The event of the newest state; none when that was sent already.
    async fn look(&mut self, serving: &Serving) -> Result<Option<Bytes>, ()> {
        let served = serving.model(&self.model).ok_or(())?;
        if served.is_made() {
            return self.look_at_made(serving, served, None).await.map_err(|_| ());
        }
        loop {
            let memory = serving.memory(&self.model).map_err(|_| ())?;
            let seen = match memory.hit(&self.key, &[]) {
                Some(seen) => seen,
                None => {
                    let _place = serving.events.reading.acquire().await.map_err(|_| ())?;
                    match serving.read(&memory, &self.key, &[]).await {
                        Ok(seen) => seen,
                        Err(LoadError::Retired) => continue,
                        Err(_) => return Err(()),
                    }
                }
            };
            return self.event(served, &memory, &seen).map_err(|_| ());
        }
    }

    /// The event of the newest state of a page that is made; none when it was sent already. `first`: the request of a live query that
    /// begins, whose tokens are waited for.
    async fn look_at_made(&mut self, serving: &Serving, served: &ServedModel, first: Option<&HeaderMap>) -> Result<Option<Bytes>, Problem> {
        let no_tokens = HeaderMap::new();
        loop {
            let headers = first.unwrap_or(&no_tokens);
            let held = if consistency::is_wanted(headers) { None } else { Sight::held(serving, served, &self.key) };
            let sight = match held {
                Some(sight) => sight,
                None => {
                    let stopped = |_| Problem::unavailable("the process stops", 1);
                    let _place = match first {
                        Some(_) => None,
                        None => Some(serving.events.reading.acquire().await.map_err(stopped)?),
                    };
                    let view = Arc::new(View::all(&self.key));
                    Sight::of(serving, served, view, headers, |parts| made::of_key(served, parts)).await?
                }
            };
            // What changes between the look and a new subscription is found by another look.
            if !self.follow(serving, served, sight.filled_from()) {
                return self.event_of_made(served, &sight);
            }
        }
    }

    /// Follows what fills the page; whether some of that was not followed before.
    fn follow(&mut self, serving: &Serving, served: &ServedModel, keys: &[String]) -> bool {
        let Some(filling) = served.model.fill.as_ref().and_then(|fill| serving.model(&fill.model)) else { return false };
        // They are in order.
        self.filled_from.retain(|followed, _| keys.binary_search(followed).is_ok());
        let before = self.filled_from.len();
        for key in keys {
            if !self.filled_from.contains_key(key) {
                self.filled_from.insert(key.clone(), filling.observers.subscriptions.begin(key));
            }
        }
        self.filled_from.len() > before
    }

    fn event_of_made(&mut self, served: &ServedModel, sight: &Sight) -> Result<Option<Bytes>, Problem> {
        if !sight.is_there(served) {
            self.until = None;
            return Ok(self.is_new(None).then(|| encode(&sight.positions(), GONE, b"{}")));
        }
        let filled = sight.filled(served)?;
        self.until = filled.until;
        let shown = sight.form(served, &filled, Form::Json)?;
        if !self.is_new(Some(&shown.etag)) {
            return Ok(None);
        }
        Ok(Some(sight.event(&filled, || encode(&sight.positions(), STATE, &shown.body))))
    }

    /// Whether a state was not sent last, by its tag: now it is. None: there is nothing under the key.
    fn is_new(&mut self, tag: Option<&HeaderValue>) -> bool {
        let tag = Some(tag.cloned());
        let is_new = self.sent != tag;
        self.sent = tag;
        is_new
    }

    /// The event of a state; none when it was sent already.
    fn event(&mut self, served: &ServedModel, memory: &Memory, seen: &EntryAt) -> Result<Option<Bytes>, Problem> {
        let gone = served.model.root.as_ref().is_some_and(|root| !seen.entry.has(root));
        let shown = if gone { None } else { Some(response::form(served, memory, &self.key, seen, Form::Json)?) };
        if !self.is_new(shown.map(|shown| &shown.etag)) {
            return Ok(None);
        }
        let Some(shown) = shown else {
            return Ok(Some(encode(&memory.position_text(seen), GONE, b"{}")));
        };
        let mut made = false;
        // Its id may be that of an earlier look: the state has been the same since.
        let event = seen.entry.event.get_or_init(|| {
            made = true;
            encode(&memory.position_text(seen), STATE, &shown.body)
        });
        if made {
            memory.weigh_again(&self.key, &seen.entry);
        }
        Ok(Some(event.clone()))
    }
}

/// An event. `data` has no line breaks: JSON is written without them.
fn encode(id: &str, name: &str, data: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(id.len() + name.len() + data.len() + 32);
    // Without an id the client keeps the one before, which is what its state rests on.
    for (field, value) in [("id", id.as_bytes()), ("event", name.as_bytes()), ("data", data)] {
        if !value.is_empty() {
            event.extend_from_slice(field.as_bytes());
            event.extend_from_slice(b": ");
            event.extend_from_slice(value);
            event.push(b'\n');
        }
    }
    event.push(b'\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_fields_a_line_each_and_an_empty_line() {
        assert_eq!(encode("catalog/1:7@1", "state", b"{\"a\":1}"), "id: catalog/1:7@1\nevent: state\ndata: {\"a\":1}\n\n");
        assert_eq!(encode("", "gone", b"{}"), "event: gone\ndata: {}\n\n");
    }
}
