//! The part that both simulators share: keys that remember, answers that go wrong, notices that are sent until they are taken.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use daybook_process::{Backoff, Shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::books::{Asked, Books, Change, Kept, Object};
use crate::faults::{Chances, Faults};
use crate::notice::{Notice, SIGNATURE, Sending, signature};

/// So often a notice is sent until it is taken: for a minute and a half. Who starts again with the same state begins again.
const TRIES: usize = 12;
/// Longest wait for the answer to a notice.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// An answer that never comes is held back so long: longer than anybody waits.
const NEVER: Duration = Duration::from_secs(60);
/// Longest time that what came of a key is told by its notice alone.
const ONLY_BY_NOTICE: i64 = 60;

/// Settings of a simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where its notices go; none: it sends none.
    pub notices: Option<NoticesTo>,
    /// Time that an answer takes.
    pub answer: Duration,
    /// It keeps what it knows in this file, and goes on from it; none: it forgets when it ends.
    pub state: Option<PathBuf>,
}

/// Where notices go, and the secret that signs them.
#[derive(Clone)]
pub struct NoticesTo {
    /// The whole address, for example `http://127.0.0.1:8080/v1/webhooks/payment`.
    pub url: String,
    /// Known to whoever takes them.
    pub secret: String,
}

impl std::fmt::Debug for NoticesTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticesTo").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A simulator that serves until its shutdown.
pub struct Running {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns once it has ended.
    pub async fn stopped(self) {
        let _ = self.task.await;
    }
}

/// A request that can't be done as it is, and changes nothing: status, code, what is wrong.
pub(crate) struct Wrong(pub(crate) StatusCode, pub(crate) &'static str, pub(crate) String);

impl Wrong {
    pub(crate) fn unreadable(why: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, "unreadable", why.to_string())
    }

    pub(crate) fn unknown(what: &str, id: &str) -> Self {
        Self(StatusCode::NOT_FOUND, "unknown", format!("there is no {what} {id:?}"))
    }

    fn unavailable() -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again later".to_owned())
    }

    pub(crate) fn response(&self) -> Response {
        (self.0, axum::Json(error(self.1, &self.2))).into_response()
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// A request's body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(Wrong::unreadable)
}

/// How an answer is given, the first time that its key is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    #[default]
    AtOnce,
    Late(Duration),
    /// The caller's patience ends first.
    Never,
    /// 500, although it is done.
    Error,
    /// No answer, and none to whoever asks, before the notice was taken.
    OnlyNotice,
}

/// What came of a request: kept under its key.
pub(crate) struct Done<O> {
    /// The object, changed; none: nothing changed.
    pub(crate) object: Option<O>,
    /// Why not: code and reason.
    pub(crate) refused: Option<(String, String)>,
    /// Of the notice.
    pub(crate) kind: Option<&'static str>,
    pub(crate) sending: Sending,
    pub(crate) manner: Manner,
}

impl<O> Done<O> {
    /// It is done, and a notice of this kind tells it.
    pub(crate) fn changed(object: O, kind: &'static str) -> Self {
        Self { object: Some(object), refused: None, kind: Some(kind), sending: Sending::default(), manner: Manner::default() }
    }

    /// It was so before.
    pub(crate) fn already(object: O) -> Self {
        Self { kind: None, ..Self::changed(object, "") }
    }

    /// The answer is no, for good.
    pub(crate) fn refused(object: Option<O>, code: impl Into<String>, why: impl Into<String>) -> Self {
        let refused = Some((code.into(), why.into()));
        Self { object, refused, kind: None, sending: Sending::default(), manner: Manner::default() }
    }
}

struct Inner<O> {
    books: Mutex<Books<O>>,
    chances: Mutex<Chances>,
    notices: Option<NoticesTo>,
    client: reqwest::Client,
    answer: Duration,
    shutdown: Shutdown,
}

/// One simulator. Cheap to clone.
pub(crate) struct Desk<O>(Arc<Inner<O>>);

impl<O> Clone for Desk<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What goes wrong with one request.
struct Luck {
    lost: bool,
    error: bool,
    slow: Duration,
}

impl<O: Object> Desk<O> {
    /// Binds the address, and serves these routes and those that both simulators have.
    ///
    /// # Errors
    /// When the address is taken, or the state's file can't be used.
    pub(crate) async fn start(
        options: Options,
        shutdown: Shutdown,
        routes: impl FnOnce(SocketAddr) -> Router<Self>,
    ) -> io::Result<Running> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let desk = Self(Arc::new(Inner {
            books: Mutex::new(Books::open(options.state.as_deref())?),
            chances: Mutex::new(Chances::new(Faults::default())),
            notices: options.notices,
            client: reqwest::Client::builder().timeout(TAKEN_WITHIN).build().map_err(io::Error::other)?,
            answer: options.answer,
            shutdown: shutdown.clone(),
        }));
        for notice in desk.books().untaken.clone() {
            desk.send(notice);
        }
        let router = routes(address)
            .route("/v1/operations/{key}", get(operation))
            .route("/faults", get(faults).put(set_faults))
            .route("/healthz", get(async || axum::Json(json!({ "status": "alive" }))))
            .with_state(desk);
        let task = tokio::spawn(async move {
            let stop = async move { shutdown.requested().await };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "serving ended");
            }
        });
        Ok(Running { address, task })
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books<O>> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chances(&self) -> MutexGuard<'_, Chances> {
        self.0.chances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request that changes something, once a key.
    pub(crate) async fn perform<B: Serialize>(
        &self,
        headers: &HeaderMap,
        operation: &str,
        target: &str,
        body: Result<B, Wrong>,
        act: impl FnOnce(&BTreeMap<String, O>, B) -> Result<Done<O>, Wrong>,
    ) -> Response {
        let luck = match self.luck() {
            Ok(luck) => luck,
            Err(down) => return down.response(),
        };
        let (answer, manner) = match self.done(headers, operation, target, body, act) {
            Ok(done) => done,
            Err(wrong) => (wrong.response(), Manner::AtOnce),
        };
        match manner {
            Manner::AtOnce | Manner::Error => {}
            Manner::Late(time) => self.pause(time).await,
            Manner::Never | Manner::OnlyNotice => self.pause(NEVER).await,
        }
        let answer = match manner {
            Manner::AtOnce | Manner::Late(_) => answer,
            Manner::Never | Manner::OnlyNotice | Manner::Error => internal(),
        };
        self.told(luck, answer).await
    }

    /// A request that changes nothing.
    pub(crate) async fn look(&self, read: impl FnOnce(&Books<O>) -> Result<Value, Wrong>) -> Response {
        let luck = match self.luck() {
            Ok(luck) => luck,
            Err(down) => return down.response(),
        };
        let answer = match read(&self.books()) {
            Ok(body) => axum::Json(body).into_response(),
            Err(wrong) => wrong.response(),
        };
        self.told(luck, answer).await
    }

    /// Something that happens by itself: no key, no faults of answers.
    pub(crate) fn happen(&self, id: &str, what: &str, act: impl FnOnce(&O) -> Result<(O, &'static str), Wrong>) -> Response {
        let happened = || {
            let mut books = self.books();
            let (object, kind) = act(books.objects.get(id).ok_or_else(|| Wrong::unknown(what, id))?)?;
            let value = json!(object);
            let notices: Vec<Notice> = self.notice(kind, &value, Sending::default()).into_iter().collect();
            books.change(Change { object: Some(object), notices: notices.clone(), ..Change::default() }).map_err(unwritten)?;
            notices.into_iter().for_each(|notice| self.send(notice));
            Ok(axum::Json(value).into_response())
        };
        happened().unwrap_or_else(|wrong: Wrong| wrong.response())
    }

    fn done<B: Serialize>(
        &self,
        headers: &HeaderMap,
        operation: &str,
        target: &str,
        body: Result<B, Wrong>,
        act: impl FnOnce(&BTreeMap<String, O>, B) -> Result<Done<O>, Wrong>,
    ) -> Result<(Response, Manner), Wrong> {
        let key = headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()).filter(|key| (1..=255).contains(&key.len()));
        let key = key.ok_or_else(|| Wrong(StatusCode::BAD_REQUEST, "no-key", "Idempotency-Key is required".to_owned()))?;
        let body = body?;
        let asked = Asked { operation: operation.to_owned(), target: target.to_owned(), body: json!(body) };
        let now = Utc::now();
        let remembered = self.remembered_since(now);
        let mut books = self.books();
        if let Some(kept) = books.keys.get(key).filter(|kept| kept.since >= remembered) {
            if kept.asked != asked {
                let why = "this Idempotency-Key stands for another request".to_owned();
                return Err(Wrong(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", why));
            }
            let kept = Kept { calls: kept.calls + 1, ..kept.clone() };
            let answer = if books.may_tell(&kept, now.timestamp()) { kept_answer(&kept) } else { Wrong::unavailable().response() };
            books.change(Change { kept: Some(kept), ..Change::default() }).map_err(unwritten)?;
            return Ok((answer, Manner::AtOnce));
        }
        let Done { object, refused, kind, sending, manner } = act(&books.objects, body)?;
        let value = object.as_ref().map(|object| json!(object)).unwrap_or_default();
        let notices: Vec<Notice> = kind.and_then(|kind| self.notice(kind, &value, sending)).into_iter().collect();
        let only_notice = notices.first().filter(|_| manner == Manner::OnlyNotice);
        let kept = Kept {
            key: key.to_owned(),
            asked,
            object: object.as_ref().map(|object| object.id().to_owned()).unwrap_or_default(),
            status: if refused.is_some() { 402 } else { 200 },
            answer: match refused {
                None => value,
                Some((code, why)) => json!({ "error": { "code": code, "message": why }, "object": value }),
            },
            calls: 1,
            since: now.timestamp_millis(),
            after_notice: only_notice.map(|notice| (notice.id.clone(), now.timestamp() + ONLY_BY_NOTICE)),
        };
        let answer = kept_answer(&kept);
        books.change(Change { object, kept: Some(kept), notices: notices.clone(), ..Change::default() }).map_err(unwritten)?;
        drop(books);
        notices.into_iter().for_each(|notice| self.send(notice));
        Ok((answer, manner))
    }

    /// Keys that were used first before then are forgotten; in milliseconds since 1970.
    fn remembered_since(&self, now: DateTime<Utc>) -> i64 {
        let forgotten_after = self.chances().faults.forget_keys_ms;
        forgotten_after.and_then(|ms| i64::try_from(ms).ok()).map_or(i64::MIN, |ms| now.timestamp_millis().saturating_sub(ms) + 1)
    }

    /// Faults of the next request.
    fn luck(&self) -> Result<Luck, Wrong> {
        let mut chances = self.chances();
        if chances.faults.down {
            return Err(Wrong::unavailable());
        }
        let Faults { lose_answers, errors_after, slow_ms, .. } = chances.faults;
        Ok(Luck { lost: chances.is(lose_answers), error: chances.is(errors_after), slow: Duration::from_millis(slow_ms) })
    }

    async fn told(&self, luck: Luck, answer: Response) -> Response {
        self.pause(self.0.answer + luck.slow).await;
        if luck.lost {
            let broken = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("the answer is lost")) });
            return (answer.status(), Body::from_stream(broken)).into_response();
        }
        if luck.error { internal() } else { answer }
    }

    /// Ends early where the simulator ends.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.0.shutdown.requested() => {}
        }
    }

    /// The notice that tells a change, with what goes wrong with it; none where none is sent.
    fn notice(&self, kind: &str, object: &Value, sending: Sending) -> Option<Notice> {
        self.0.notices.as_ref()?;
        let mut chances = self.chances();
        let faults = chances.faults.clone();
        if faults.no_notices {
            return None;
        }
        let held = if chances.is(faults.notices_out_of_order) { chances.millis(200..3_000) } else { 0 };
        let sending = Sending {
            late_ms: sending.late_ms + faults.notices_late_ms + held,
            twice: sending.twice | chances.is(faults.notices_twice),
            forged_first: sending.forged_first | chances.is(faults.notices_forged),
        };
        Some(Notice::new(kind, object, sending))
    }

    /// Sends a notice until it is taken.
    fn send(&self, notice: Notice) {
        let desk = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = desk.deliver(notice) => {}
                () = desk.0.shutdown.requested() => {}
            }
        });
    }

    async fn deliver(&self, notice: Notice) {
        let Some(to) = &self.0.notices else { return };
        tokio::time::sleep(Duration::from_millis(notice.sending.late_ms)).await;
        if notice.sending.forged_first {
            self.post(to, &notice, "no secret of ours").await;
        }
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
        for _ in 0..TRIES {
            if self.post(to, &notice, &to.secret).await {
                if notice.sending.twice {
                    self.post(to, &notice, &to.secret).await;
                }
                if let Err(error) = self.books().change(Change { taken: Some(notice.id), ..Change::default() }) {
                    tracing::error!(%error, "the state can't be written");
                }
                return;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        tracing::warn!(notice = %notice.id, url = %to.url, "a notice was not taken, and is given up until the next start");
    }

    /// Whether it was taken.
    async fn post(&self, to: &NoticesTo, notice: &Notice, secret: &str) -> bool {
        let signed = signature(secret, Utc::now().timestamp(), &notice.body);
        let request = self.0.client.post(&to.url).header(header::CONTENT_TYPE, "application/json").header(SIGNATURE, signed);
        match request.body(notice.body.clone()).send().await {
            Ok(answer) => answer.status().is_success(),
            Err(error) => {
                tracing::debug!(%error, url = %to.url, "a notice found nobody");
                false
            }
        }
    }
}

fn kept_answer(kept: &Kept) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(&kept.answer)).into_response()
}

fn internal() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(error("internal", "something went wrong"))).into_response()
}

fn unwritten(error: io::Error) -> Wrong {
    Wrong(StatusCode::INTERNAL_SERVER_ERROR, "state", format!("the state can't be written, nothing was done: {error}"))
}

/// What came of a key.
async fn operation<O: Object>(State(desk): State<Desk<O>>, Path(key): Path<String>) -> Response {
    let now = Utc::now();
    let remembered = desk.remembered_since(now);
    desk.look(|books| {
        let kept = books.keys.get(&key).filter(|kept| kept.since >= remembered);
        let kept = kept.ok_or_else(|| Wrong::unknown("operation under the key", &key))?;
        if !books.may_tell(kept, now.timestamp()) {
            return Err(Wrong::unavailable());
        }
        Ok(json!({ "key": kept.key, "operation": kept.asked.operation, "status": kept.status, "body": kept.answer }))
    })
    .await
}

async fn faults<O: Object>(State(desk): State<Desk<O>>) -> Response {
    axum::Json(desk.chances().faults.clone()).into_response()
}

async fn set_faults<O: Object>(State(desk): State<Desk<O>>, body: Bytes) -> Response {
    match read::<Faults>(&body) {
        Ok(faults) => {
            tracing::info!(?faults, "faults are set");
            *desk.chances() = Chances::new(faults.clone());
            axum::Json(faults).into_response()
        }
        Err(wrong) => wrong.response(),
    }
}
