//! One question over HTTP, and what came of it in the words of the history.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use crate::history::{Answer, Asked, Command, Recorder, Via};
use crate::shop::names::SEARCH;

/// The longest that a client waits for anything: longer than the longest wait it asks for.
const PATIENCE: Duration = Duration::from_secs(12);
/// The longest that the endpoint may wait for a result, and the query API for a token.
const WAIT: &str = "wait=5";

/// The kind of a problem: an older build owns the partition, and left the command to a newer one.
const NEWER_BUILD: &str = "urn:daybook:problem:parked:newer-build";

/// The kind of a problem: a token is of a past that a restore has taken away.
const ANOTHER_EPOCH: &str = "urn:daybook:token-of-another-epoch";

/// A process that serves HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in the history.
    pub name: String,
    /// `http://host:port`
    pub url: String,
}

/// An HTTP client that writes down all that it does.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    recorder: Recorder,
    two_builds: bool,
}

impl Http {
    /// Where `two_builds` serve, the older one may leave a command to the newer.
    ///
    /// # Errors
    /// When the library can't be set up.
    pub fn new(recorder: Recorder, two_builds: bool) -> anyhow::Result<Self> {
        // No proxy of the surroundings: it would answer in the place of a process that is dead.
        let client = Client::builder().no_proxy().timeout(PATIENCE).connect_timeout(Duration::from_secs(3)).build()?;
        Ok(Self { client, recorder, two_builds })
    }

    /// The history.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Posts a command to one endpoint.
    pub async fn command(&self, by: u32, at: &Server, command: &Command) -> Answer {
        let command = Command { via: Via::Http(at.name.clone()), ..command.clone() };
        let open = self.recorder.ask(by, Asked::Command(command.clone()));
        let request = self
            .client
            .post(format!("{}/v1/{}/{}", at.url, command.service, command.name))
            .header("Idempotency-Key", &command.key)
            .header("Prefer", WAIT)
            .json(&command.body);
        let request = match command.if_match {
            Some(version) => request.header("If-Match", format!("\"{version}\"")),
            None => request,
        };
        let told = match request.send().await {
            Ok(response) => self.result(response).await,
            Err(error) => Answer::Unknown { why: chain(&error) },
        };
        self.recorder.told(open, told.clone());
        told
    }

    /// Asks for the result of a command that was accepted.
    pub async fn handle(&self, by: u32, at: &Server, command: &Command, location: &str) -> Answer {
        let asked = Asked::Handle { command: command.clone(), location: location.to_owned() };
        let open = self.recorder.ask(by, asked);
        let told = match self.client.get(format!("{}{location}", at.url)).send().await {
            Ok(response) => self.result(response).await,
            Err(error) => Answer::Unknown { why: chain(&error) },
        };
        self.recorder.told(open, told.clone());
        told
    }

    async fn result(&self, response: Response) -> Answer {
        match result(response).await {
            // It waits for a newer build, durably, and nobody is told what comes of it: to repeat it is safe.
            Answer::Unexpected { body, .. } if self.two_builds && body.contains(NEWER_BUILD) => Answer::Unknown { why: body },
            Answer::Invalid { status: 410, body } if self.two_builds && body["type"] == NEWER_BUILD => {
                Answer::Unknown { why: body.to_string() }
            }
            told => told,
        }
    }

    /// Goes to an address outside, as a customer or a driver does, who does not care for what is said there.
    pub async fn visit(&self, url: &str) {
        let _ = self.client.post(url).send().await;
    }

    /// Reads a page of a read model.
    pub async fn read(&self, by: u32, at: &Server, model: &str, key: &str, tokens: &[String]) -> Answer {
        self.asked(by, at, (model, key), "", tokens).await
    }

    /// Searches, by a query string.
    pub async fn search(&self, by: u32, at: &Server, query: &str, tokens: &[String]) -> Answer {
        self.asked(by, at, (SEARCH, "search"), query, tokens).await
    }

    async fn asked(&self, by: u32, at: &Server, (model, key): (&str, &str), query: &str, tokens: &[String]) -> Answer {
        let (at_name, query_text) = (at.name.clone(), query.to_owned());
        let asked = Asked::Read { model: model.to_owned(), key: key.to_owned(), tokens: tokens.to_vec(), at: at_name, query: query_text };
        let open = self.recorder.ask(by, asked);
        let told = self.page(at, model, key, query, tokens).await;
        self.recorder.told(open, told.clone());
        told
    }

    /// The same without writing it down; with a query string, or an empty one.
    pub async fn page(&self, at: &Server, model: &str, key: &str, query: &str, tokens: &[String]) -> Answer {
        // The only one of the characters in our keys that means something in a URL.
        let key = key.replace('/', "%2F");
        let mut request = self.client.get(format!("{}/v1/{model}/{key}?{query}", at.url)).header("Prefer", WAIT);
        if !tokens.is_empty() {
            request = request.header("Consistency-Token", tokens.join(", "));
        }
        match request.send().await {
            Ok(response) => page(response).await,
            Err(error) => Answer::NotServed { why: chain(&error) },
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// The names in a header, all its values together; one that can't be read may name anything.
fn named(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap_or("*").split(','));
    values.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

async fn result(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = match response.text().await {
        Ok(text) => text,
        Err(error) => return Answer::Unknown { why: chain(&error) },
    };
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let replayed = headers.contains_key("Idempotent-Replayed");
    let number = status.as_u16();
    match status {
        StatusCode::OK => done(&body, replayed).unwrap_or(Answer::Unexpected { status: number, body: text }),
        StatusCode::ACCEPTED => Answer::Accepted { location: header(&headers, "Location") },
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
            Answer::Refused { status: number, body, token: header(&headers, "Consistency-Token"), replayed }
        }
        StatusCode::SERVICE_UNAVAILABLE if body["unknown"] == true => Answer::Unknown { why: text },
        // Its body came too slowly, because one of the two stood still: to be repeated at once.
        StatusCode::REQUEST_TIMEOUT => Answer::Shed { status: number, retry_after: true },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Answer::Shed { status: number, retry_after: headers.contains_key("Retry-After") }
        }
        _ if matches!(number, 400 | 404 | 405 | 410 | 413 | 415 | 422) => Answer::Invalid { status: number, body },
        _ => Answer::Unexpected { status: number, body: text },
    }
}

fn done(body: &Value, replayed: bool) -> Option<Answer> {
    let event = |e: &Value| Some((e["type"].as_str()?.to_owned(), e["offset"].as_u64()?));
    Some(Answer::Done {
        command_id: body["commandId"].as_str()?.to_owned(),
        version: body["version"].as_u64()?,
        events: body["events"].as_array()?.iter().map(event).collect::<Option<_>>()?,
        token: body["token"].as_str()?.to_owned(),
        replayed,
    })
}

async fn page(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = match response.text().await {
        Ok(text) => text,
        Err(error) => return Answer::NotServed { why: chain(&error) },
    };
    let number = status.as_u16();
    match number {
        200 | 404 => {
            let positions = header(&headers, "Consistency-Position").unwrap_or_default();
            let positions = positions.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
            // A problem is no page.
            let body = if number == 200 { serde_json::from_str(&text).unwrap_or(Value::Null) } else { Value::Null };
            let stale = ["Daybook-Stale", "Daybook-Hidden-Streams"].into_iter().flat_map(|name| named(&headers, name)).collect();
            Answer::Page { status: number, body, positions, stale }
        }
        429 | 503 => Answer::NotServed { why: text },
        409 if text.contains(ANOTHER_EPOCH) => {
            Answer::Refused { status: number, body: serde_json::from_str(&text).unwrap_or(Value::Null), token: None, replayed: false }
        }
        _ => Answer::Unexpected { status: number, body: text },
    }
}
