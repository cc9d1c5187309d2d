//! The commands that rules send because of a result's events, each with its handle: a client follows its command from service to service.

use axum::response::Response;
use daybook_kernel::ids::EventPlace;
use daybook_kernel::{EventAt, StreamId, Version};
use daybook_proto::v1::reply::Answer;
use daybook_proto::v1::{CommandResult, Handle, Next, Origin, Reply};
use serde_json::{Value, json};
use uuid::Uuid;

use super::post::LOOK_UP;
use super::{Endpoint, render};
use crate::batch::following;
use crate::{HandlerError, handle};

/// A lane's reply as HTTP. What follows from a new result comes along with it; for one that stood already, the log is asked. Where that does
/// not answer, the result is told all the same, without it.
pub(super) async fn reply(endpoint: &Endpoint, reply: &Reply) -> Response {
    let next = match &reply.answer {
        Some(Answer::Result(r)) if reply.replayed => match tokio::time::timeout(LOOK_UP, in_log(endpoint, r)).await {
            Ok(Ok(next)) => rendered(endpoint, r, &next),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the commands that follow from a result could not be looked up");
                Vec::new()
            }
            Err(_) => Vec::new(),
        },
        Some(Answer::Result(r)) => rendered(endpoint, r, &reply.next),
        _ => Vec::new(),
    };
    render::reply(&endpoint.0.registry, reply, next)
}

/// A result that stands in the ledger, as HTTP.
pub(super) async fn result(endpoint: &Endpoint, r: &CommandResult, command_id: Uuid) -> Result<Response, HandlerError> {
    let next = in_log(endpoint, r).await?;
    Ok(render::result(&endpoint.0.registry, r, command_id, false, rendered(endpoint, r, &next)))
}

/// The commands that follow from the events of a result, by the log.
async fn in_log(endpoint: &Endpoint, r: &CommandResult) -> Result<Vec<Next>, HandlerError> {
    let inner = &endpoint.0;
    let (Some(first), Some(route)) = (r.events.first(), inner.services.get(&r.service)) else { return Ok(Vec::new()) };
    let Ok(stream) = StreamId::parse(&r.stream_id) else { return Ok(Vec::new()) };
    if !inner.registry.has_rules(&r.service, stream.aggregate()) {
        return Ok(Vec::new());
    }
    let many = i64::try_from(r.events.len()).unwrap_or(i64::MAX);
    let mut next = Vec::new();
    for event in route.log.partition(r.partition)?.read_events(first.offset, many).await? {
        let place = EventPlace { epoch: event.epoch, service: r.service.clone(), partition: r.partition, offset: event.offset };
        let at = EventAt { stream: &stream, version: Version(event.version.cast_unsigned()), recorded_at: event.recorded_at };
        next.extend(following(&inner.registry, (&event.type_name, &event.payload), &at, &place));
    }
    Ok(next)
}

/// As an answer lists them. A service whose log this endpoint does not know is left out.
fn rendered(endpoint: &Endpoint, r: &CommandResult, next: &[Next]) -> Vec<Value> {
    let one = |n: &Next| {
        let (route, stream) = (endpoint.0.services.get(&n.service)?, StreamId::parse(&n.stream_id).ok()?);
        let origin = Origin { service: r.service.clone(), partition: r.partition, offset: n.offset, rule: n.rule.clone() };
        let handle = Handle {
            service: n.service.clone(),
            stream_id: n.stream_id.clone(),
            command_id: n.command_id.clone(),
            partition: stream.partition(route.log.partitions()),
            message_offset: -1,
            origin: Some(origin),
        };
        let mut one = json!({
            "commandId": Uuid::from_slice(&n.command_id).unwrap_or_default().to_string(),
            "service": n.service,
            "stream": n.stream_id,
            "location": format!("/v1/commands/{}", handle::write(&handle, &endpoint.0.secret)),
        });
        if !n.r#type.is_empty() {
            one["command"] = n.r#type.as_str().into();
        }
        Some(one)
    };
    next.iter().filter_map(one).collect()
}
