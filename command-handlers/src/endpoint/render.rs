//! Results as HTTP: the same whether a POST waited for it or a handle was asked later.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::Problem;
use daybook_kernel::{ConsistencyToken, Registry};
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::reply::Answer;
use daybook_proto::v1::{CommandResult, Parked, Reply};
use serde_json::{Value, json};
use uuid::Uuid;

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A lane's reply, with the commands that follow from a result's events.
pub(super) fn reply(registry: &Registry, reply: &Reply, next: Vec<Value>) -> Response {
    let command_id = Uuid::from_slice(&reply.command_id).unwrap_or_default();
    match &reply.answer {
        Some(Answer::Result(r)) => result(registry, r, command_id, reply.replayed, next),
        Some(Answer::KeyReused(_)) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this Idempotency-Key stands for another command, body or If-Match: a new attempt needs a new key",
        )
        .kind("urn:daybook:problem:key-reused")
        .with("commandId", command_id.to_string())
        .into_response(),
        Some(Answer::Parked(p)) => parked(p, StatusCode::INTERNAL_SERVER_ERROR, command_id).into_response(),
        Some(Answer::Rejected(r)) => Problem::new(StatusCode::BAD_REQUEST, "the message was rejected")
            .with("detail", r.reason.clone())
            .with("commandId", command_id.to_string())
            .into_response(),
        None => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a reply that this build does not know: ask again with the same key")
            .into_response(),
    }
}

/// A message that waits for an operator or for a newer build.
pub(super) fn parked(p: &Parked, status: StatusCode, command_id: Uuid) -> Problem {
    let parked_id = Uuid::from_slice(&p.parked_id).unwrap_or_default();
    Problem::new(
        status,
        "the command could not be handled and was parked: an operator can retry it (`daybook parked retry`); repeating it is safe",
    )
    .kind(format!("urn:daybook:problem:parked:{}", p.kind))
    .with("detail", p.reason.clone())
    .with("parkedId", parked_id.to_string())
    .with("commandId", command_id.to_string())
}

/// A result of the ledger, with the commands that follow from its events.
pub(super) fn result(registry: &Registry, r: &CommandResult, command_id: Uuid, replayed: bool, next: Vec<Value>) -> Response {
    let token =
        ConsistencyToken { service: r.service.clone(), partition: r.partition, offset: r.offset, epoch: r.epoch.cast_signed() }.to_string();
    let place = |problem: Problem| {
        problem
            .with("commandId", command_id.to_string())
            .with("service", r.service.clone())
            .with("stream", r.stream_id.clone())
            .with("version", r.version)
            .with("token", token.clone())
    };
    let mut response = match &r.outcome {
        Some(Outcome::Refused(refused)) => {
            let problem =
                place(Problem::new(StatusCode::CONFLICT, refused.title.clone()).kind(format!("urn:daybook:refusal:{}", refused.code)));
            let members = registry.refusal_json(&refused.r#type, &refused.refusal);
            let members = match members {
                Some(Value::Object(members)) => members,
                _ => serde_json::Map::new(),
            };
            let problem = members.into_iter().fold(problem, |problem, (name, value)| problem.with(&name, value));
            if next.is_empty() { problem } else { problem.with("next", next) }.into_response()
        }
        Some(Outcome::PreconditionFailed(p)) => {
            let title = format!("If-Match names version {}, the stream is at {}", p.expected, r.version);
            place(Problem::new(StatusCode::PRECONDITION_FAILED, title)).with("expected", p.expected).into_response()
        }
        Some(Outcome::Accepted(_)) | None => {
            let events: Vec<Value> = r.events.iter().map(|e| json!({ "type": e.r#type, "offset": e.offset })).collect();
            let mut body = json!({
                "commandId": command_id.to_string(),
                "service": r.service,
                "stream": r.stream_id,
                "version": r.version,
                "events": events,
                "token": token,
            });
            if !next.is_empty() {
                body["next"] = Value::Array(next);
            }
            axum::Json(body).into_response()
        }
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&token) {
        headers.insert(CONSISTENCY_TOKEN, value);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", r.version)) {
        headers.insert(header::ETAG, value);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
