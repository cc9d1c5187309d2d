//! `Consistency-Token`: a query that carries one is answered from a state that has got there.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use daybook_http::Problem;
use daybook_kernel::ConsistencyToken;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::freshness::Watch;
use crate::memory::{Memory, Need};
use crate::model::QueryModel;
use crate::source::{Position, Wait};

/// The header that carries tokens.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("consistency-token");
/// The header by which a client that comes back to a live query says where it was.
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// The header that says which position an answer was made from; a token itself.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("consistency-position");
/// As clients write it.
pub(crate) const TOKEN_NAME: &str = "Consistency-Token";
/// In place of a token, for a client that has none: a state no older than what the read model's tables hold when it asks. A
/// load that compares a file with what another process has changed needs it.
pub(crate) const STORED: &str = "stored";
/// Time that one look into the database may take, however short a wait the client wants.
const LOOK: Duration = Duration::from_secs(5);

/// What the tokens of a request ask for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Those that matter to the read model.
    pub(crate) tokens: Vec<ConsistencyToken>,
    /// [`STORED`] is among them.
    pub(crate) stored: bool,
}

/// The tokens of a request.
///
/// # Errors
/// What is wrong with the header.
pub(crate) fn tokens(headers: &HeaderMap, model: &QueryModel) -> Result<Wanted, String> {
    let texts: Result<Vec<&str>, _> = headers.get_all(TOKEN).iter().map(|value| value.to_str()).collect();
    let texts = texts.map_err(|_| "must be printable ASCII".to_owned())?;
    if texts.is_empty() {
        return Ok(Wanted::default());
    }
    let (stored, rest): (Vec<&str>, Vec<&str>) = texts.iter().flat_map(|text| text.split(',')).partition(|text| text.trim() == STORED);
    let mut wanted = Wanted { tokens: Vec::new(), stored: !stored.is_empty() };
    if !wanted.stored || !rest.is_empty() {
        wanted.tokens = ConsistencyToken::parse_list(&rest.join(",")).map_err(|e| e.to_string())?;
        wanted.tokens.retain(|t| model.services.contains(&t.service));
    }
    Ok(wanted)
}

/// The positions of all that a read model's tables hold now.
///
/// # Errors
/// 503: the database does not say.
pub(crate) async fn stored(watch: &Watch, memory: &Memory) -> Result<Vec<Need>, Problem> {
    look(watch, memory).await?;
    let sources = (0..).zip(memory.sources.iter());
    Ok(sources.map(|(source, at)| Need { source, position: at.known() }).collect())
}

/// Looks into the database, for all who want it meanwhile.
async fn look(watch: &Watch, memory: &Memory) -> Result<(), Problem> {
    match tokio::time::timeout(LOOK, watch.fresh()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => tracing::warn!(model = &*memory.model, %error, "checkpoints can't be read"),
        Err(_) => {}
    }
    Err(Problem::unavailable("the read models' database does not answer", 1))
}

/// Whether a request wants to be shown what is not older than something.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(TOKEN) || headers.contains_key(LAST_EVENT)
}

/// The positions of the last event that a client has got: its `id`. What is no such text is passed over, and so is an epoch
/// that is over: the client is sent what is there now.
pub(crate) fn last_event(headers: &HeaderMap, memory: &Memory) -> Vec<ConsistencyToken> {
    let text = headers.get(LAST_EVENT).and_then(|value| value.to_str().ok());
    let mut tokens = text.and_then(|text| ConsistencyToken::parse_list(text).ok()).unwrap_or_default();
    tokens.retain(|token| {
        let source = memory.need(token).map(|need| &memory.sources[usize::from(need.source)]);
        source.is_some_and(|source| source.known().epoch() <= token.epoch)
    });
    tokens
}

/// `Consistency-Position`, when there are any to tell.
pub(crate) fn position_header(positions: &[ConsistencyToken]) -> Option<HeaderValue> {
    let text: Vec<String> = positions.iter().map(ToString::to_string).collect();
    (!text.is_empty()).then(|| HeaderValue::try_from(text.join(", ")).ok()).flatten()
}

/// The relation of a source to a token.
enum Verdict {
    Reached,
    Behind,
    Never(Problem),
}

fn judge(at: Position, token: &ConsistencyToken) -> Verdict {
    // Where nothing is known yet lies before every token.
    if at.epoch() > token.epoch {
        Verdict::Never(other_epoch(token, at.epoch()))
    } else if at >= Position::of(token) {
        Verdict::Reached
    } else {
        Verdict::Behind
    }
}

/// 409: the log has begun another epoch since, or will have.
pub(crate) fn other_epoch(token: &ConsistencyToken, epoch: i32) -> Problem {
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

/// A token that is waited for.
struct Behind<'a> {
    token: &'a ConsistencyToken,
    need: Need,
    wait: Wait,
}

/// Waits until the generation that answers has got to every token; says what must be shown then.
///
/// # Errors
/// 400: no such partition. 409: another epoch. 503: not reached in time; it says where everything stands.
pub(crate) async fn reach(watch: &Watch, memory: &Memory, tokens: &[ConsistencyToken], deadline: Instant) -> Result<Vec<Need>, Problem> {
    let mut needs = Vec::with_capacity(tokens.len());
    let mut waiting: Vec<Behind<'_>> = Vec::new();
    for token in tokens {
        let Some(need) = memory.need(token) else {
            let nowhere = format!("{token}: {} has no partition {}", token.service, token.partition);
            return Err(Problem::invalid(TOKEN_NAME, nowhere));
        };
        needs.push(need);
        let source = &memory.sources[usize::from(need.source)];
        match judge(source.known(), token) {
            Verdict::Reached => {}
            // All are registered before the first is waited for.
            Verdict::Behind => waiting.push(Behind { token, need, wait: source.waits.begin(need.position) }),
            Verdict::Never(problem) => return Err(problem),
        }
    }
    if !waiting.is_empty() && !memory.is_trusted() {
        // No push would wake us.
        watch.wanted.notify_one();
    }
    let mut short = Vec::new();
    for behind in waiting {
        let source = &memory.sources[usize::from(behind.need.source)];
        let Behind { token, need, mut wait } = behind;
        loop {
            match judge(source.known(), token) {
                Verdict::Reached => break,
                Verdict::Never(problem) => return Err(problem),
                Verdict::Behind => {}
            }
            if tokio::time::timeout_at(deadline, wait.woken()).await.is_err() {
                short.push((token, need));
                break;
            }
            wait = source.waits.begin(need.position);
        }
    }
    if short.is_empty() {
        return Ok(needs);
    }
    // However short the wait, that is not said from memory.
    look(watch, memory).await?;
    let mut left = Vec::new();
    for (token, need) in short {
        let at = memory.sources[usize::from(need.source)].known();
        match judge(at, token) {
            Verdict::Reached => {}
            Verdict::Never(problem) => return Err(problem),
            Verdict::Behind => left.push((token, at)),
        }
    }
    if left.is_empty() { Ok(needs) } else { Err(not_reached(&memory.model, &left)) }
}

fn not_reached(model: &str, short: &[(&ConsistencyToken, Position)]) -> Problem {
    // The epoch of a log only grows: a token beyond it is of a log that is not this one, or will be soon.
    if let Some((token, at)) = short.iter().find(|(t, at)| *at != Position::UNKNOWN && at.epoch() < t.epoch) {
        return other_epoch(token, at.epoch());
    }
    let positions: Vec<Value> = short
        .iter()
        .map(|(token, at)| {
            let at = if *at == Position::UNKNOWN { Value::Null } else { json!(at.next() - 1) };
            json!({ "service": token.service, "partition": token.partition, "epoch": token.epoch, "wanted": token.offset, "at": at })
        })
        .collect();
    let waiting: Vec<String> = short.iter().map(|(token, _)| token.to_string()).collect();
    Problem::unavailable(format!("{model} has not got to {} yet: ask again", waiting.join(", ")), 1)
        .kind("urn:daybook:not-reached")
        .with("positions", positions)
}
