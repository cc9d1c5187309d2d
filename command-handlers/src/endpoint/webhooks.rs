//! `POST /v1/webhooks/{name}`: what others tell by themselves. Whoever is known by a signature is answered 2xx whatever comes of it, for else
//! they would tell it again for hours; what could not be taken now is 503, and told again. What is about nothing that is known here is kept all
//! the same, where people look: its service's lane rejects it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daybook_bus::{Headers, Record, headers};
use daybook_http::Problem;
use daybook_messages::Addressed;
use daybook_process::metrics;
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::reply::Answer;
use daybook_proto::v1::{Caller, Reply, Request as CommandRequest, Who};
use serde_json::json;

use super::admission::Admission;
use super::post::body;
use super::sending::{Decided, decided};
use super::{Endpoint, Route};
use crate::{Notice, Webhook, WebhookRefusal};

/// The longest notice.
const LONGEST: usize = 64 << 10;

/// The route's state.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub(super) endpoint: Endpoint,
    pub(super) webhook: Arc<Webhook>,
}

/// The handler of the route.
pub(super) async fn take(State(of): State<Webhooks>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let response = answer(&of, from, request).await.unwrap_or_else(Problem::into_response);
    metrics::WEBHOOK_NOTICES.with([of.webhook.service, response.status().as_str()]).increment(1);
    response
}

/// The handler of other methods.
pub(super) async fn other_method() -> Problem {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a notice is sent by POST");
    problem.header(header::ALLOW, HeaderValue::from_static("POST"))
}

async fn answer(of: &Webhooks, from: SocketAddr, request: Request) -> Result<Response, Problem> {
    let Webhooks { endpoint, webhook } = of;
    let name = webhook.name;
    let mut admission = Admission::of(endpoint)?;
    let (head, unread) = request.into_parts();
    let body = body(unread, LONGEST).await?;
    admission.begins();
    let notice = match (webhook.read)(&head.headers, &body, daybook_log::Writer::now()) {
        Ok(notice) => notice,
        Err(WebhookRefusal::Forged(why)) => return Err(Problem::new(StatusCode::UNAUTHORIZED, why)),
        Err(WebhookRefusal::Unaddressed(why)) => return passed_over(of, why, body).await,
    };
    let mut addressed = match addressed(endpoint, webhook, notice, from) {
        Ok(addressed) => addressed,
        Err(why) => return passed_over(of, why, body).await,
    };
    let route = route(of)?;
    match decided(endpoint, route, &mut addressed, endpoint.0.config.default_wait, &admission).await? {
        Decided::Now(reply) => Ok(taken(name, &addressed, &reply)),
        Decided::Later(_) => Ok(told(StatusCode::ACCEPTED, "taken")),
    }
}

/// The command of a notice, in its canonical form; else why it is none.
fn addressed(endpoint: &Endpoint, webhook: &Webhook, notice: Notice, from: SocketAddr) -> Result<Addressed, String> {
    let Notice { key, command } = notice;
    let aggregate = endpoint.0.registry.of_command(command.type_name).filter(|_| command.service == webhook.service);
    let aggregate = aggregate.ok_or_else(|| format!("this build has no command {} of {}", command.type_name, webhook.service))?;
    let read = aggregate.read_command(command.type_name, &command.bytes).map_err(|fault| format!("it is no command: {fault:?}"))?;
    let request = CommandRequest {
        r#type: read.type_name.to_owned(),
        command: read.bytes,
        caller: Some(Caller {
            kind: Who::Webhook.into(),
            id: webhook.name.to_owned(),
            key_scope: format!("webhook/{}", webhook.name),
            ..Caller::default()
        }),
        source_address: from.ip().to_string(),
        ..CommandRequest::default()
    };
    let key = daybook_messages::idempotency_key(&key).map_err(|why| format!("its id {why}"))?;
    Ok(Addressed::new(webhook.service, read.stream, &key, request))
}

/// Whatever its lane says: the notice has come.
fn taken(name: &str, addressed: &Addressed, reply: &Reply) -> Response {
    let (stream, notice) = (addressed.stream.as_str(), addressed.key.as_str());
    match &reply.answer {
        Some(Answer::Result(result)) => {
            if let Some(Outcome::Refused(refused)) = &result.outcome {
                tracing::warn!(name, stream, notice, code = refused.code, "a notice was refused");
            }
            told(StatusCode::OK, "taken")
        }
        Some(Answer::Parked(_)) => told(StatusCode::ACCEPTED, "parked"),
        Some(Answer::KeyReused(_)) => {
            tracing::warn!(name, stream, notice, "a notice has come before, and said something else: the first one stands");
            told(StatusCode::ACCEPTED, "known")
        }
        Some(Answer::Rejected(_)) | None => {
            tracing::error!(name, stream, notice, "a notice was rejected");
            told(StatusCode::ACCEPTED, "rejected")
        }
    }
}

/// The service that is told. A build without it takes nothing: another may.
fn route(of: &Webhooks) -> Result<&Route, Problem> {
    let missing = || Problem::unavailable(format!("this build has no service {}", of.webhook.service), 60);
    of.endpoint.0.services.get(of.webhook.service).ok_or_else(missing)
}

/// It is theirs, and about nothing of ours. It goes to the service all the same, as no command: the lane rejects it, with the reason, and keeps
/// what was told beside whatever else it has rejected.
async fn passed_over(of: &Webhooks, why: String, body: Vec<u8>) -> Result<Response, Problem> {
    let Webhooks { endpoint, webhook } = of;
    let headers = Headers::new().with(headers::WEBHOOK, webhook.name).with(headers::REASON, why);
    // One that names no stream has no partition of its own.
    let record = Record { topic: route(of)?.topic.clone(), partition: 0, key: Bytes::new(), headers, value: Some(body.into()) };
    if let Err(error) = endpoint.producer().send(vec![record]).await {
        tracing::warn!(webhook = webhook.name, %error, "a notice that is about nothing that is known here could not be kept");
        return Err(Problem::unavailable("Kafka did not take it: send it again", 2));
    }
    metrics::WEBHOOK_UNADDRESSED.with([webhook.service]).increment(1);
    Ok(told(StatusCode::ACCEPTED, "passed over"))
}

fn told(status: StatusCode, word: &str) -> Response {
    (status, axum::Json(json!({ "status": word }))).into_response()
}
