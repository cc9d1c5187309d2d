//! Headers and replies by the thousand: a header is understood or named, and every reply is rendered.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse as _;
use daybook_http::Problem;
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::reply::Answer;
use daybook_proto::v1::{CommandResult, EventRef, KeyReused, Parked, PreconditionFailed, Refused, Rejected, Replies, Reply};
use daybook_testkit::fuzz::damaged;
use proptest::prelude::*;
use prost::Message as _;
use uuid::Uuid;

use super::{headers, render, waiting};
use crate::HandlerConfig;
use crate::fuzz::SHOP;

const ID: [u8; 16] = [7; 16];

fn body(problem: Problem) -> serde_json::Value {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let bytes = runtime.block_on(axum::body::to_bytes(problem.into_response().into_body(), 1 << 20)).expect("a short body");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// It is a 400 that names the header and says what is wrong.
fn named(problem: Problem, name: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    let body = body(problem);
    prop_assert_eq!(&body["errors"][0]["field"], name);
    prop_assert!(body["errors"][0]["message"].as_str().is_some_and(|m| !m.is_empty()));
    Ok(())
}

fn with(name: &'static str, values: Vec<Vec<u8>>) -> HeaderMap {
    let values = values.iter().filter_map(|v| HeaderValue::from_bytes(v).ok());
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

fn some(good: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let good = prop::sample::select(good).prop_map(|t| t.as_bytes().to_vec());
    prop::collection::vec(prop_oneof![1 => good.clone(), 4 => damaged(good)], 1..3)
}

fn a_reply() -> impl Strategy<Value = Reply> {
    let result = (
        any::<(String, String, u64, i32, i64, u32)>(),
        0..4_u8,
        any::<(String, Vec<u8>)>(),
        prop::sample::select(SHOP.aggregates().flat_map(|a| a.refusal_types()).copied().collect::<Vec<_>>()),
    );
    let result = result.prop_map(|((service, stream_id, version, partition, offset, epoch), outcome, (text, refusal), refused)| {
        let outcome = match outcome {
            0 => None,
            1 => Some(Outcome::PreconditionFailed(PreconditionFailed { expected: version })),
            _ => Some(Outcome::Refused(Refused { code: text.clone(), title: text.clone(), r#type: refused.to_owned(), refusal })),
        };
        let events = vec![EventRef { r#type: text, offset }];
        Answer::Result(CommandResult { service, stream_id, version, events, partition, offset, epoch, command_digest: Vec::new(), outcome })
    });
    let answer = prop_oneof![
        4 => result,
        1 => Just(Answer::KeyReused(KeyReused {})),
        1 => any::<(Vec<u8>, String, String)>().prop_map(|(parked_id, kind, reason)| Answer::Parked(Parked { parked_id, kind, reason })),
        1 => any::<String>().prop_map(|reason| Answer::Rejected(Rejected { reason })),
    ];
    (prop::option::of(answer), any::<bool>()).prop_map(|(answer, replayed)| Reply {
        request_id: 1,
        command_id: ID.to_vec(),
        replayed,
        answer,
        next: Vec::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_header_of_a_command_is_understood_or_named(
        key in some(&["8e03978e-40d5-43e8-bc93-6894a57f9324", "k", " k "]),
        version in some(&["\"7\"", "\"0\"", "\"18446744073709551615\""]),
        prefer in some(&["wait=7", "respond-async, wait=1", "wait=\"3\"; handling=strict"]),
        form in some(&["application/json", "application/x-protobuf; charset=utf-8"]),
        actor in some(&["alice", "Zoë"]),
    ) {
        match headers::idempotency_key(&with("idempotency-key", key)) {
            Ok(key) => prop_assert!((1..=255).contains(&key.chars().count()) && !key.chars().any(char::is_control)),
            Err(problem) => named(problem, "Idempotency-Key")?,
        }
        if let Err(problem) = headers::if_match(&with("if-match", version)) {
            named(problem, "If-Match")?;
        }
        match headers::text(&with("daybook-actor", actor), "Daybook-Actor", 255) {
            Ok(actor) => prop_assert!(actor.is_none_or(|a| (1..=255).contains(&a.chars().count()))),
            Err(problem) => named(problem, "Daybook-Actor")?,
        }
        let config = HandlerConfig::default();
        prop_assert!(headers::prefer(&with("prefer", prefer), &config).wait <= config.max_wait);
        if let Err(problem) = headers::body_form(&with("content-type", form)) {
            // 400: it stands twice.
            prop_assert!([StatusCode::UNSUPPORTED_MEDIA_TYPE, StatusCode::BAD_REQUEST].contains(&problem.status()));
        }
    }

    #[test]
    fn a_version_that_is_told_is_the_one_that_is_matched(version in 0..1_000_000_000_000_000_000_u64) {
        let headers = with("if-match", vec![format!("\"{version}\"").into_bytes()]);
        prop_assert_eq!(headers::if_match(&headers).ok().flatten(), Some(version));
    }

    /// A reply reaches the request that waits for it, and no other; any content is rendered.
    #[test]
    fn a_reply_is_rendered_whatever_it_says(bytes in prop_oneof![
        1 => a_reply().prop_map(|reply| Replies { replies: vec![reply] }.encode_to_vec()),
        2 => damaged(a_reply().prop_map(|reply| Replies { replies: vec![reply] }.encode_to_vec())),
    ]) {
        let waiters = waiting::Waiters::default();
        let mut waits = waiters.wait(1, Uuid::from_bytes(ID));
        let mut others = waiters.wait(2, Uuid::from_bytes([9; 16]));
        waiting::deliver(&bytes, &waiters);
        if let Ok(reply) = others.try_recv() {
            prop_assert_eq!(reply.command_id, [9; 16]);
        }
        if let Ok(reply) = waits.try_recv() {
            prop_assert_eq!(&reply.command_id, &ID);
            let status = render::reply(&SHOP, &reply, Vec::new()).status().as_u16();
            prop_assert!([200, 400, 409, 412, 422, 500].contains(&status), "{}", status);
        }
    }
}
