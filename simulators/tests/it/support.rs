//! A simulator and who takes its notices.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use daybook_process::shutdown;
use serde_json::{Value, json};
use shop_simulators::{Captures, NoticesTo, Options, Running, start_carrier, start_payment_provider};
use tokio::sync::watch;

pub(crate) const SECRET: &str = "s3cret";

/// A notice as it came: the header of its signature, the body, whether it was taken.
pub(crate) type Came = (String, String, bool);

/// Takes notices, after so many refusals.
#[derive(Clone)]
pub(crate) struct Taker {
    pub(crate) came: Arc<Mutex<Vec<Came>>>,
    refusals: Arc<Mutex<usize>>,
    url: String,
}

impl Taker {
    pub(crate) async fn refusing(refusals: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/notices", listener.local_addr().expect("bound"));
        let taker = Self { came: Arc::default(), refusals: Arc::new(Mutex::new(refusals)), url };
        let router = Router::new().route("/notices", post(take)).with_state(taker.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        taker
    }

    pub(crate) fn to(&self) -> NoticesTo {
        NoticesTo { url: self.url.clone(), secret: SECRET.to_owned() }
    }

    pub(crate) fn all(&self) -> Vec<Came> {
        self.came.lock().expect("nobody panics with it").clone()
    }

    /// The kinds of those that were taken.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.all().iter().filter(|came| came.2).map(|came| body(came)["type"].as_str().expect("a kind").to_owned()).collect()
    }

    pub(crate) async fn until(&self, what: &str, is: impl Fn(&[Came]) -> bool) -> Vec<Came> {
        for _ in 0..600 {
            let all = self.all();
            if is(&all) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {:?}", self.all());
    }
}

pub(crate) fn body(came: &Came) -> Value {
    serde_json::from_str(&came.1).expect("JSON")
}

/// Whether it is signed under our secret.
pub(crate) fn is_signed(came: &Came) -> bool {
    let seconds = came.0.strip_prefix("t=").and_then(|rest| rest.split(',').next()).and_then(|t| t.parse().ok()).expect("a time");
    shop_simulators::signature(SECRET, seconds, &came.1) == came.0
}

async fn take(State(taker): State<Taker>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refusals = taker.refusals.lock().expect("nobody panics with it");
    let signature = headers["simulator-signature"].to_str().expect("text").to_owned();
    let mut came = (signature, body, false);
    came.2 = *refusals == 0 && is_signed(&came);
    let taken = came.2;
    *refusals = refusals.saturating_sub(1);
    taker.came.lock().expect("nobody panics with it").push(came);
    if taken { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

pub(crate) struct Simulator {
    pub(crate) url: String,
    client: reqwest::Client,
    running: Running,
    stop: watch::Sender<bool>,
}

pub(crate) fn options(notices: Option<NoticesTo>, state: Option<PathBuf>) -> Options {
    Options { listen: "127.0.0.1:0".parse().expect("an address"), notices, answer: Duration::ZERO, state }
}

impl Simulator {
    pub(crate) async fn payments(options: Options) -> Self {
        let (stop, stopping) = shutdown();
        Self::of(start_payment_provider(options, Captures::Many, stopping).await.expect("a free port"), stop)
    }

    pub(crate) async fn carrier(options: Options) -> Self {
        let (stop, stopping) = shutdown();
        Self::of(start_carrier(options, stopping).await.expect("a free port"), stop)
    }

    fn of(running: Running, stop: watch::Sender<bool>) -> Self {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().expect("no TLS");
        Self { url: format!("http://{}", running.address()), client, running, stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.running.stopped().await;
    }

    /// Status and body; none: no whole answer came.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Option<(u16, Value)> {
        told(self.client.post(format!("{}{path}", self.url)).header("Idempotency-Key", key).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<(u16, Value)> {
        told(self.client.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn faults(&self, faults: Value) {
        let (status, told) = told(self.client.put(format!("{}/faults", self.url)).json(&faults)).await.expect("never faulty");
        assert_eq!(status, 200, "{told}");
    }

    /// A new payment's id.
    pub(crate) async fn create(&self, order: &str) -> String {
        let asked = json!({ "order": order, "amount": 1_000, "currency": "EUR" });
        let (status, payment) = self.post("/v1/payments", &format!("create {order}"), asked).await.expect("an answer");
        assert_eq!(status, 200, "{payment}");
        payment["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn confirm(&self, id: &str, token: &str) -> Option<(u16, Value)> {
        self.post(&format!("/v1/payments/{id}/confirm"), &format!("confirm {id}"), json!({ "token": token })).await
    }
}

async fn told(request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
    let answer = request.send().await.ok()?;
    Some((answer.status().as_u16(), answer.json().await.ok()?))
}
