//! `Consistency-Token`: a query that carries one is answered from a state that has got there.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use daybook_http::Problem;
use daybook_kernel::ConsistencyToken;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::QueryModel;
use crate::positions::{Positions, Seen, Waiter};
use crate::store::Place;

/// The header that carries tokens.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("consistency-token");
/// The header that says which position an answer was made from; a token itself.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("consistency-position");
/// As clients write it.
pub(crate) const TOKEN_NAME: &str = "Consistency-Token";
/// How long one look into the database may take, however short a wait the client wants.
const LOOK: Duration = Duration::from_secs(5);

/// The tokens of a request that matter to a read model.
///
/// # Errors
/// What is wrong with the header.
pub(crate) fn tokens(headers: &HeaderMap, model: &QueryModel) -> Result<Vec<ConsistencyToken>, String> {
    let texts: Result<Vec<&str>, _> = headers.get_all(TOKEN).iter().map(|value| value.to_str()).collect();
    let texts = texts.map_err(|_| "must be printable ASCII".to_owned())?;
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut tokens = ConsistencyToken::parse_list(&texts.join(",")).map_err(|e| e.to_string())?;
    tokens.retain(|t| model.services.contains(&t.service));
    Ok(tokens)
}

/// `Consistency-Position`, when there are any to tell.
pub(crate) fn position_header(positions: &[ConsistencyToken]) -> Option<HeaderValue> {
    let text: Vec<String> = positions.iter().map(ToString::to_string).collect();
    (!text.is_empty()).then(|| HeaderValue::try_from(text.join(", ")).ok()).flatten()
}

/// How a place stands to a token.
enum Verdict {
    Reached,
    Behind,
    Never(Problem),
}

fn judge(seen: Seen, token: &ConsistencyToken) -> Verdict {
    match seen {
        Seen::NotYet => Verdict::Behind,
        Seen::Nowhere => {
            Verdict::Never(Problem::invalid(TOKEN_NAME, format!("{token}: {} has no partition {}", token.service, token.partition)))
        }
        Seen::At(at) if at.epoch > token.epoch => Verdict::Never(other_epoch(token, at.epoch)),
        Seen::At(at) if at.epoch == token.epoch && at.next > token.offset => Verdict::Reached,
        Seen::At(_) => Verdict::Behind,
    }
}

fn other_epoch(token: &ConsistencyToken, epoch: i32) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        format!(
            "{token} is of epoch {}, but the log of {} is in epoch {epoch}: read without it, and take a new one",
            token.epoch, token.service
        ),
    )
    .kind("urn:daybook:token-of-another-epoch")
    .with("token", token.to_string())
    .with("epoch", epoch)
}

/// Waits until the generation that answers has got to every token.
///
/// # Errors
/// 400: no such partition. 409: another epoch. 503: not reached in time; it says where everything stands.
pub(crate) async fn reach(
    positions: &Positions,
    model: &QueryModel,
    generation: i32,
    tokens: &[ConsistencyToken],
    wait: Duration,
) -> Result<(), Problem> {
    let deadline = Instant::now() + wait;
    let mut waiting: Vec<(&ConsistencyToken, Waiter)> = Vec::new();
    for token in tokens {
        let place = Place { projection: model.name.clone(), generation, service: token.service.clone(), partition: token.partition };
        match judge(positions.known(&place), token) {
            Verdict::Reached => {}
            // All are registered before the first is waited for: one look serves them all.
            Verdict::Behind => waiting.push((token, positions.wait(place))),
            Verdict::Never(problem) => return Err(problem),
        }
    }
    let mut short = Vec::new();
    for (token, mut waiter) in waiting {
        // However short the wait, the answer is not given from memory.
        if tokio::time::timeout(LOOK, waiter.fresh()).await.is_err() {
            return Err(Problem::unavailable("the read models' database does not answer", 1));
        }
        loop {
            let seen = waiter.seen();
            match judge(seen, token) {
                Verdict::Reached => break,
                Verdict::Never(problem) => return Err(problem),
                Verdict::Behind => {}
            }
            if tokio::time::timeout_at(deadline, waiter.moved()).await.is_err() {
                short.push((token, seen));
                break;
            }
        }
    }
    if short.is_empty() { Ok(()) } else { Err(not_reached(model, &short)) }
}

fn not_reached(model: &QueryModel, short: &[(&ConsistencyToken, Seen)]) -> Problem {
    // The epoch of a log only grows: a token beyond it is of a log that is not this one, or will be soon.
    if let Some((token, Seen::At(at))) = short.iter().find(|(t, seen)| matches!(seen, Seen::At(at) if at.epoch < t.epoch)) {
        return other_epoch(token, at.epoch);
    }
    let positions: Vec<Value> = short
        .iter()
        .map(|(token, seen)| {
            let at = match seen {
                Seen::At(at) => json!(at.next - 1),
                Seen::NotYet | Seen::Nowhere => Value::Null,
            };
            json!({ "service": token.service, "partition": token.partition, "epoch": token.epoch, "wanted": token.offset, "at": at })
        })
        .collect();
    let waiting: Vec<String> = short.iter().map(|(token, _)| token.to_string()).collect();
    Problem::unavailable(format!("{} has not got to {} yet: ask again", model.name, waiting.join(", ")), 1)
        .kind("urn:daybook:not-reached")
        .with("positions", positions)
}
