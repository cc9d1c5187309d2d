//! `GET /v1/commands/{handle}`: the fate of a command, from any process, out of the ledger.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_http::Problem;
use daybook_log::Fate;
use daybook_proto::v1::{Handle, Parked};
use serde_json::json;
use uuid::Uuid;

use super::post::{LOOK_UP, unreadable_path};
use super::{Endpoint, Route, next, render};
use crate::{HandlerError, handle};

/// The handler of the route.
pub(super) async fn get_deferred(
    State(endpoint): State<Endpoint>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Path(text) = match path {
        Ok(path) => path,
        Err(rejection) => return unreadable_path(&rejection).into_response(),
    };
    if let Err(problem) = daybook_http::parameters(query.as_deref(), []) {
        return problem.into_response();
    }
    let inner = &endpoint.0;
    let read = handle::read(&text, &inner.secret).ok().and_then(|h| inner.services.get(&h.service).map(|route| (h, route)));
    let Some((handle, route)) = read else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such handle: it is not one that this install gave").into_response();
    };
    let answer = tokio::time::timeout(LOOK_UP, look_up(&endpoint, &handle, route)).await;
    match answer {
        Ok(Ok(Some(response))) => response,
        Ok(Ok(None)) => pending(&text, &handle),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a deferred result could not be looked up");
            Problem::unavailable("the result can't be looked up now: ask again", 1).into_response()
        }
        Err(_) => Problem::unavailable("the result could not be looked up in time: ask again", 1).into_response(),
    }
}

fn pending(text: &str, handle: &Handle) -> Response {
    let location = format!("/v1/commands/{text}");
    let command_id = Uuid::from_slice(&handle.command_id).unwrap_or_default();
    let body = json!({ "commandId": command_id.to_string(), "service": handle.service, "stream": handle.stream_id, "status": "accepted", "location": location });
    let headers = [(header::LOCATION, HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/")))];
    (StatusCode::ACCEPTED, headers, [(header::RETRY_AFTER, "1")], axum::Json(body)).into_response()
}

/// The progress of the lane, or of the rule, is read first, then the ledger, then what was parked or rejected: in another order a command that is
/// decided meanwhile could be told as lost. None: it is still to come.
async fn look_up(endpoint: &Endpoint, handle: &Handle, route: &Route) -> Result<Option<Response>, HandlerError> {
    let partition = route.log.partition(handle.partition)?;
    let command_id = Uuid::from_slice(&handle.command_id).unwrap_or_default();
    let passed = passed(endpoint, handle, route).await;
    if let Some(result) = partition.read_result(&handle.stream_id, command_id).await? {
        return Ok(Some(next::result(endpoint, &result, command_id).await?));
    }
    match partition.fate(command_id).await? {
        Some(Fate::Parked(kind, reason, parked_id)) => {
            let parked = Parked { parked_id: parked_id.as_bytes().to_vec(), kind, reason };
            return Ok(Some(render::parked(&parked, StatusCode::GONE, command_id).into_response()));
        }
        Some(Fate::Rejected(reason)) => {
            let problem = Problem::new(StatusCode::GONE, "the message was rejected: send a new one, mended, under a new key");
            return Ok(Some(problem.with("detail", reason).with("commandId", command_id.to_string()).into_response()));
        }
        None => {}
    }
    Ok(passed?.map(|title| Problem::new(StatusCode::GONE, title).with("commandId", command_id.to_string()).into_response()))
}

/// Why a command that has no result will have none; none: it is still to come.
async fn passed(endpoint: &Endpoint, handle: &Handle, route: &Route) -> Result<Option<&'static str>, HandlerError> {
    let inner = &endpoint.0;
    if let Some(origin) = &handle.origin {
        let Some(from) = inner.services.get(&origin.service) else { return Ok(None) };
        let settled = from.log.partition(origin.partition)?.rule_settled(&origin.rule).await?;
        let is_past = settled.is_some_and(|settled| settled > origin.offset);
        return Ok(is_past
            .then_some("the rule that was to send it has passed its event and sent another command, or none: the rule has changed since"));
    }
    if inner.inspector.committed(&route.group, &route.topic, handle.partition).await?.is_some_and(|next| next > handle.message_offset) {
        return Ok(Some("the lane has passed this command and there is no result: repeat it with the same key"));
    }
    // All that Kafka has taken: messages that a client's open transaction holds back are there, though nobody can read them yet.
    let is_there = inner.inspector.written(&route.topic, handle.partition).await?.contains(handle.message_offset);
    Ok((!is_there).then_some("Kafka has lost the message before it was decided: repeat the command with the same key"))
}
