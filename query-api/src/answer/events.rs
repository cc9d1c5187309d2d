//! LiveQueries queries: `GET /v1/{read-model}/{key}/events`, or the page itself with `Accept: text/event-stream`.
//!
//! A live query holds no queue: it is woken, looks at what is newest, sends it, and waits again. So a slow reader is
//! sent the newest state and none of those between, and all who follow a key share the bytes of one event.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daybook_http::{Client, Problem};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::response::{self, VARY};
use super::serving::Serving;
use crate::entry::Form;
use crate::memory::{EntryAt, LoadError, Memory};
use crate::model::ServedModel;
use crate::observers::Subscription;

/// Time that a live query rests when its key can't be read.
const REST: Duration = Duration::from_secs(1);
/// Time between two writes to a client that sends nothing more.
const PROBE: Duration = Duration::from_secs(1);
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
    let (memory, seen) = serving.see(served, key, &request.headers).await?;
    let mut following = Following {
        serving: serving.clone(),
        model: memory.model.clone(),
        key: key.into(),
        subscription,
        closing: serving.events.closing.subscribe(),
        sent: None,
        client: request.extensions.get::<Client>().cloned(),
        heartbeat: serving.events.heartbeat,
        _place: place,
    };
    let first = following.event(served, &memory, &seen)?;
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

    /// The event of a state; none when it was sent already.
    fn event(&mut self, served: &ServedModel, memory: &Memory, seen: &EntryAt) -> Result<Option<Bytes>, Problem> {
        let gone = served.model.root.as_ref().is_some_and(|root| !seen.entry.has(root));
        let shown = if gone { None } else { Some(response::form(served, memory, &self.key, seen, Form::Json)?) };
        let tag = shown.map(|shown| shown.etag.clone());
        if self.sent.as_ref() == Some(&tag) {
            return Ok(None);
        }
        self.sent = Some(tag);
        let Some(shown) = shown else {
            return Ok(Some(encode(&memory.position_text(seen), "gone", b"{}")));
        };
        let mut made = false;
        // Its id may be that of an earlier look: the state has been the same since.
        let event = seen.entry.event.get_or_init(|| {
            made = true;
            encode(&memory.position_text(seen), "state", &shown.body)
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
