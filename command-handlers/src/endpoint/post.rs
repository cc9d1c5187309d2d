//! `POST /v1/{service}/{command}`: check, produce, wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::{Coding, Packed, Problem};
use daybook_kernel::{Command, CommandFault};
use daybook_messages::{Addressed, MAX_COMMAND};
use daybook_process::metrics;
use daybook_proto::v1::{Caller, Request as CommandRequest};
use futures_util::StreamExt as _;
use serde_json::json;

use super::admission::Admission;
use super::headers::{BodyForm, body_form, idempotency_key, if_match, no_other_wishes, prefer, text};
use super::sending::{Decided, decided};
use super::{Endpoint, Route, next};
use crate::handle;

/// So much of a body that is too large is read and dropped, so that the client sees the answer.
const MAX_DRAINED: usize = 16 << 20;
/// Longest time that a body may take to come: meanwhile its command keeps others from being taken.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Longest silence of a body that is read only to be dropped.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// The handler of the route.
pub(super) async fn post_command(
    State(endpoint): State<Endpoint>,
    Extension(caller): Extension<Arc<Caller>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let Path((service, command)) = match path {
        Ok(path) => path,
        Err(rejection) => return unreadable_path(&rejection).into_response(),
    };
    let begun = std::time::Instant::now();
    let known = endpoint.0.registry.command_type(&service, &command).is_some();
    let (head, body) = request.into_parts();
    let mut body = Some(body);
    let response = match answer(&endpoint, (&caller, address), &service, &command, &head, &mut body).await {
        Ok(response) => response,
        Err(problem) => {
            if let Some(unread) = body.filter(|_| is_read_to_its_end(&head, &problem)) {
                drain(unread).await;
            }
            problem.into_response()
        }
    };
    // Only names that exist become labels: a made-up path must not grow the metrics.
    let label = if known { &*command } else { "unknown" };
    metrics::COMMAND_TIME.with([label, response.status().as_str()]).record(begun.elapsed().as_secs_f64());
    response
}

/// A client that still sends its body would not see why it is refused. Not where it waits for leave to send it, and not
/// where there is too much to do.
fn is_read_to_its_end(head: &Parts, problem: &Problem) -> bool {
    problem.status().is_client_error() && problem.status() != StatusCode::TOO_MANY_REQUESTS && !head.headers.contains_key(header::EXPECT)
}

/// The handler of other methods.
pub(super) async fn other_method(
    State(endpoint): State<Endpoint>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((service, command)) = path.map_err(|rejection| unreadable_path(&rejection))?;
    route(&endpoint, &service, &command)?;
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a command is sent by POST: see /openapi.json");
    Err(problem.header(header::ALLOW, HeaderValue::from_static("POST")))
}

async fn answer(
    endpoint: &Endpoint,
    from: (&Caller, SocketAddr),
    service: &str,
    command: &str,
    head: &Parts,
    body: &mut Option<Body>,
) -> Result<Response, Problem> {
    let (route, type_name) = route(endpoint, service, command)?;
    let headers = &head.headers;
    daybook_http::parameters(head.uri.query(), [])?;
    no_other_wishes(headers)?;
    let form = body_form(headers)?;
    let coding = Coding::of(headers)?;
    let key = idempotency_key(headers)?;
    let prefer = prefer(headers, &endpoint.0.config);
    let if_match = if_match(headers)?;
    let mut admission = Admission::of(endpoint)?;
    let body = self::body(body.take().unwrap_or_default(), MAX_COMMAND).await?;
    admission.begins();
    let body = match coding {
        Some(coding) => unpacked(coding, body).await?,
        None => body,
    };
    let command = read(endpoint, type_name, form, &body)?;
    let stream = command.stream.clone();
    let mut addressed = Addressed::new(service, stream, &key, request_of(headers, command, if_match, from)?);

    match decided(endpoint, route, &mut addressed, prefer.wait, &admission).await? {
        Decided::Now(reply) => Ok(next::reply(endpoint, &reply).await),
        Decided::Later(handle) => Ok(accepted(&handle::write(&handle, &endpoint.0.secret), &addressed)),
    }
}

fn accepted(handle: &str, addressed: &Addressed) -> Response {
    let location = format!("/v1/commands/{handle}");
    let body = json!({
        "commandId": addressed.command_id.to_string(),
        "service": addressed.service,
        "stream": addressed.stream.as_str(),
        "status": "accepted",
        "location": location,
    });
    let headers = [(header::LOCATION, HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/")))];
    (StatusCode::ACCEPTED, headers, [(header::RETRY_AFTER, "1")], axum::Json(body)).into_response()
}

fn route<'a>(endpoint: &'a Endpoint, service: &str, command: &str) -> Result<(&'a Route, &'static str), Problem> {
    let inner = &endpoint.0;
    let Some(route) = inner.services.get(service) else {
        let near = near(service, inner.services.keys().map(String::as_str));
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service {:?}", shorten(service))).with("near", near));
    };
    match inner.registry.command_type(service, command) {
        Some(type_name) => Ok((route, type_name)),
        None => {
            let near = near(command, inner.registry.commands(service).map(|(name, _)| name));
            Err(Problem::new(StatusCode::NOT_FOUND, format!("{service} has no command {:?}", shorten(command))).with("near", near))
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The nearest names, best first, at most five.
fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let name = shorten(name);
    let mut ranked: Vec<(f64, &str)> = all.map(|n| (strsim::jaro_winkler(&name, n), n)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(5).map(|(_, n)| n).collect()
}

/// Reads what comes of a body and drops it, as long as it comes.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut length = 0;
    let until = tokio::time::Instant::now() + BODY_WITHIN;
    while length <= MAX_DRAINED {
        match tokio::time::timeout_at(until.min(tokio::time::Instant::now() + DRAIN_IDLE), chunks.next()).await {
            Ok(Some(Ok(chunk))) => length += chunk.len(),
            _ => break,
        }
    }
}

/// The whole body, at most so long and within 10 s. Of a larger one up to 16 MiB is read and dropped.
pub(super) async fn body(body: Body, longest: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0;
    let until = tokio::time::Instant::now() + BODY_WITHIN;
    loop {
        let chunk = match tokio::time::timeout_at(until, chunks.next()).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) if length > longest => break,
            Err(_) => return Err(too_slow()),
        };
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a body broke off");
            Problem::new(StatusCode::BAD_REQUEST, "the body broke off before its end, or is not framed as its headers say: send it again")
        })?;
        length += chunk.len();
        if length <= longest {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
        if length > MAX_DRAINED {
            break;
        }
    }
    if length > longest { Err(too_large("the body must be", longest)) } else { Ok(bytes) }
}

fn too_large(what: &str, most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} at most {most} bytes")).with("limit", most)
}

/// A packed body, as it was before. The work is bounded by what a body may be, and done beside those who serve.
async fn unpacked(coding: Coding, packed: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let work = tokio::task::spawn_blocking(move || coding.unpack(&packed, MAX_COMMAND));
    match work.await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(Packed::TooLarge)) => Err(too_large("the body, unpacked, must be", MAX_COMMAND)),
        Ok(Err(Packed::Damaged(why))) => Err(Problem::invalid("Content-Encoding", format!("names {}, and the body {why}", coding.name()))),
        Err(error) => {
            tracing::error!(%error, "unpacking a body ended without a result");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be unpacked; the operator has been told"))
        }
    }
}

fn too_slow() -> Problem {
    let within = BODY_WITHIN.as_secs();
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("the body must come within {within} s: nothing was done; repeat with the same key, and send all of it at once"),
    )
}

fn read(endpoint: &Endpoint, type_name: &'static str, form: BodyForm, body: &[u8]) -> Result<Command, Problem> {
    // No fields at all are a message of protobuf, and none of JSON.
    if form == BodyForm::Json && body.is_empty() {
        return Err(Problem::invalid("", "the body is missing: send the command as a JSON object"));
    }
    let aggregate = endpoint.0.registry.of_command(type_name).expect("the registry named the type");
    let command = match form {
        BodyForm::Json => aggregate.read_json(type_name, body),
        BodyForm::Protobuf => aggregate.read_command(type_name, body),
    };
    command
        .map_err(|fault| {
            let errors = match fault {
                CommandFault::Unreadable(e) => json!([{ "field": "", "message": e.to_string() }]),
                CommandFault::Invalid(violations) => {
                    violations.into_iter().map(|v| json!({ "field": v.field, "message": v.message })).collect()
                }
            };
            Problem::new(StatusCode::BAD_REQUEST, "the command is not valid").with("errors", errors)
        })
        .and_then(|command| {
            // The canonical form may be larger than what came (JSON is not, protobuf with packed fields could be).
            if command.bytes.len() > MAX_COMMAND {
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the command must be at most {MAX_COMMAND} bytes")));
            }
            Ok(command)
        })
}

fn request_of(
    headers: &HeaderMap,
    command: Command,
    if_match: Option<u64>,
    (caller, address): (&Caller, SocketAddr),
) -> Result<CommandRequest, Problem> {
    Ok(CommandRequest {
        r#type: command.type_name.to_owned(),
        command: command.bytes,
        if_match,
        caller: Some(caller.clone()),
        actor: text(headers, "Daybook-Actor", 255)?.unwrap_or_default(),
        reason: text(headers, "Daybook-Reason", 1_000)?.unwrap_or_default(),
        source_address: address.ip().to_string(),
        correlation_id: text(headers, "Correlation-Id", 255)?.unwrap_or_default(),
        causation_id: String::new(),
        // W3C: a traceparent that can't be one is passed over.
        traceparent: text(headers, "traceparent", 255).ok().flatten().unwrap_or_default(),
    })
}

/// A path whose escapes are no UTF-8, by the segment that they stand in.
pub(super) fn unreadable_path(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else { return daybook_http::not_utf8("path") };
    match error.kind() {
        ErrorKind::InvalidUtf8InPathParam { key } => daybook_http::not_utf8(key),
        _ => daybook_http::not_utf8("path"),
    }
}

/// Longest that a look-up for a deferred result may take.
pub(super) const LOOK_UP: Duration = Duration::from_secs(5);
