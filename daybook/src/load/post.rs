//! Posting a command until it has its result: an endpoint that restarts, is overloaded or answers later costs time, never a
//! command, and never a second one, for every attempt carries the same key.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::command::Post;

/// One request may take so long: the endpoint itself waits at most 30 s.
const REQUEST: Duration = Duration::from_secs(40);
/// Pauses between attempts grow from the first to the last of these.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(2);

/// The command endpoint.
pub(super) struct Endpoint {
    client: Client,
    url: String,
    patience: Duration,
}

/// The end of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandOutcome {
    /// It was decided; `replayed`: before this load, and here is the original result.
    Done { replayed: bool, place: ResultPosition },
    /// Refused, by this code.
    Refused { code: String, place: ResultPosition },
    /// The stream is not at the version that the command was for.
    Elsewhere(ResultPosition),
    /// It is no valid command.
    Bad(String),
}

/// Where a result stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResultPosition {
    /// Of the stream, after it.
    pub(super) version: u64,
    /// A query that carries it is answered from a state that has got there.
    pub(super) token: Option<String>,
}

/// The endpoint does not do its work: nothing that this row, or another, could change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unavailable(pub(super) String);

/// The meaning of one answer.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Over(CommandOutcome),
    /// Ask there for the result.
    Ask(String),
    /// Send it again, with the same key.
    Again(String),
    Stop(String),
}

impl Endpoint {
    /// `patience`: how long one command may be without a result.
    pub(super) fn new(client: Client, url: &str, patience: Duration) -> Self {
        Self { client, url: url.trim_end_matches('/').to_owned(), patience }
    }

    /// Posts a command until it has its result.
    ///
    /// # Errors
    /// When it has none after the patience, or the endpoint is no command endpoint.
    pub(super) async fn send(&self, post: Post) -> Result<CommandOutcome, Unavailable> {
        let (path, key, version) = (post.path(), post.key.to_string(), post.if_match.map(|v| format!("\"{v}\"")));
        let body = bytes::Bytes::from(post.body);
        let begun = Instant::now();
        let mut asked: Option<String> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let request = match &asked {
                Some(location) => self.client.get(format!("{}{location}", self.url)),
                None => {
                    let request = self.client.post(format!("{}{path}", self.url)).header("Idempotency-Key", &key);
                    let request = request.header(CONTENT_TYPE, "application/x-protobuf").header("Prefer", "wait=30").body(body.clone());
                    match &version {
                        Some(version) => request.header(IF_MATCH, version),
                        None => request,
                    }
                }
            };
            let (step, retry_after) = match request.send().await {
                Ok(response) => judge(response).await,
                // A handle survives a restart; so does a command that was perhaps taken.
                Err(error) => (asked.clone().map_or_else(|| Step::Again(reason(&error)), Step::Ask), None),
            };
            let last = match step {
                Step::Over(outcome) => return Ok(outcome),
                Step::Stop(why) => return Err(Unavailable(why)),
                Step::Ask(location) => {
                    asked = Some(location);
                    "its result is still to come".to_owned()
                }
                Step::Again(why) => {
                    asked = None;
                    why
                }
            };
            let waited = pause.max(retry_after.unwrap_or_default());
            if begun.elapsed().saturating_add(waited) > self.patience {
                return Err(Unavailable(format!("{}{path} has no result after {} s ({last})", self.url, self.patience.as_secs())));
            }
            tokio::time::sleep(waited).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// One client of HTTP for `clients` requests at once.
///
/// # Errors
/// When none can be made.
pub(super) fn client(clients: usize) -> Result<Client, reqwest::Error> {
    let client = Client::builder().timeout(REQUEST).connect_timeout(Duration::from_secs(5)).pool_max_idle_per_host(clients);
    client.tcp_nodelay(true).user_agent(concat!("daybook-load/", env!("CARGO_PKG_VERSION"))).build()
}

/// Whether anything serves at an address at all: a wrong one should not cost the whole patience.
///
/// # Errors
/// When nothing does.
pub(super) async fn probe(client: &Client, what: &str, url: &str, patience: Duration) -> Result<(), Unavailable> {
    let (begun, url) = (Instant::now(), url.trim_end_matches('/'));
    loop {
        match client.get(format!("{url}/healthz")).send().await {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > Duration::from_secs(10).min(patience) => {
                return Err(Unavailable(format!("no {what} answers at {url}: {}", reason(&error))));
            }
            Err(_) => tokio::time::sleep(FIRST_PAUSE).await,
        }
    }
}

/// A network error in its own words: the client's begin with the URL and end before the cause.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

async fn judge(response: Response) -> (Step, Option<Duration>) {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|v: &reqwest::header::HeaderValue| v.to_str().ok()).map(str::to_owned);
    let retry_after = header(RETRY_AFTER.as_str()).and_then(|s| s.parse().ok()).map(Duration::from_secs);
    let location = header(LOCATION.as_str());
    let replayed = header("idempotent-replayed").as_deref() == Some("true");
    let version = header(ETAG.as_str()).and_then(|tag| tag.trim_matches('"').parse().ok()).unwrap_or_default();
    let place = ResultPosition { version, token: header("consistency-token") };
    // The body is read even when it is not needed: only then the connection is used again.
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return (Step::Again(reason(&error)), retry_after),
    };
    let problem: Value = if status == StatusCode::OK { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
    (step(status, replayed, place, location, &problem), retry_after)
}

fn step(status: StatusCode, replayed: bool, place: ResultPosition, location: Option<String>, problem: &Value) -> Step {
    let kind = problem["type"].as_str().unwrap_or_default();
    let said = || problem["title"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
    match status.as_u16() {
        200 => Step::Over(CommandOutcome::Done { replayed, place }),
        202 => location.map_or_else(|| Step::Stop("the endpoint answered 202 without a Location".to_owned()), Step::Ask),
        409 => Step::Over(CommandOutcome::Refused { code: kind.rsplit(':').next().unwrap_or_default().to_owned(), place }),
        412 => Step::Over(CommandOutcome::Elsewhere(place)),
        422 => Step::Over(CommandOutcome::Refused { code: "key-reused".to_owned(), place }),
        _ if kind.starts_with("urn:daybook:problem:parked") => Step::Over(CommandOutcome::Refused { code: "parked".to_owned(), place }),
        400 | 413 => Step::Over(CommandOutcome::Bad(faults(problem).unwrap_or_else(said))),
        410 => match problem["detail"].as_str() {
            Some(why) => Step::Over(CommandOutcome::Bad(why.to_owned())),
            // It was lost on the way: the same key asks for it again.
            None => Step::Again(said()),
        },
        408 | 429 | 500 | 502 | 503 | 504 => Step::Again(said()),
        _ => Step::Stop(format!("the endpoint answered {status} ({}): is it a Daybook command endpoint with this service?", said())),
    }
}

/// `errors` of a 400, or why a message was rejected.
fn faults(problem: &Value) -> Option<String> {
    let Some(errors) = problem["errors"].as_array() else { return problem["detail"].as_str().map(str::to_owned) };
    let each = errors.iter().map(|e| format!("{} {}", e["field"].as_str().unwrap_or_default(), e["message"].as_str().unwrap_or_default()));
    Some(each.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(status: u16, problem: Value) -> Step {
        step(StatusCode::from_u16(status).expect("a status"), false, ResultPosition::default(), Some("/v1/commands/h".to_owned()), &problem)
    }

    fn refused(code: &str) -> Step {
        Step::Over(CommandOutcome::Refused { code: code.to_owned(), place: ResultPosition::default() })
    }

    #[test]
    fn every_status_of_the_contract_means_one_thing() {
        assert_eq!(at(200, json!({})), Step::Over(CommandOutcome::Done { replayed: false, place: ResultPosition::default() }));
        assert_eq!(at(202, json!({})), Step::Ask("/v1/commands/h".into()));
        assert_eq!(at(409, json!({ "type": "urn:daybook:refusal:product-exists" })), refused("product-exists"));
        assert_eq!(at(412, json!({})), Step::Over(CommandOutcome::Elsewhere(ResultPosition::default())));
        assert_eq!(at(422, json!({})), refused("key-reused"));
        let invalid = json!({ "errors": [{ "field": "sku", "message": "is required" }] });
        assert_eq!(at(400, invalid), Step::Over(CommandOutcome::Bad("sku is required".into())));
        for parked in [500, 410] {
            let problem = json!({ "type": "urn:daybook:problem:parked:panic", "detail": "why" });
            assert_eq!(at(parked, problem), refused("parked"));
        }
        assert_eq!(at(410, json!({ "detail": "rejected" })), Step::Over(CommandOutcome::Bad("rejected".into())));
        for again in [408, 410, 429, 500, 503] {
            assert_eq!(at(again, json!({ "title": "t" })), Step::Again("t".into()));
        }
        assert!(matches!(at(404, json!({})), Step::Stop(_)));
    }
}
