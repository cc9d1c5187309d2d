//! The past of read models. The query API never sees the log; a reader that does is given to it, where this is switched on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chrono::DateTime;
use daybook_http::Problem;
use daybook_kernel::{ConsistencyToken, Instant};
use tokio::sync::Semaphore;

/// Folding streams again takes a database's time: more at once would be felt by those who ask for the present.
const AT_ONCE: usize = 4;

/// Up to where to fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// All that was recorded then, and before.
    Time(Instant),
    /// All up to these places, inclusive.
    Tokens(Vec<ConsistencyToken>),
}

/// The state of a key at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Was {
    /// The parts, in byte order of their ids: the read model's message.
    pub bytes: Vec<u8>,
    /// The last places that it rests on, as tokens.
    pub positions: Vec<String>,
    /// Streams that are shown older than they were, for an event of theirs can't be folded.
    pub stale: Vec<String>,
}

/// The reason why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastError {
    /// The moment is none of this log's.
    Moment(String),
    /// The log does not answer.
    Unreachable(String),
}

/// A reader of the past: (read model, key, moment). None: there was nothing under the key.
pub type Past = Arc<dyn Fn(String, String, Moment) -> Pin<Box<dyn Future<Output = Result<Option<Was>, PastError>> + Send>> + Send + Sync>;

/// [`Past`], so many at once.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) past: Past,
    pub(crate) places: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(past: Past) -> Self {
        Self { past, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// The moment that `?at=` names.
pub(crate) fn moment(text: &str) -> Result<Moment, Problem> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment::Time(time.to_utc().into()));
    }
    let refused = || Problem::invalid("at", "must be a time as RFC 3339 writes it (2026-01-31T12:00:00Z), or consistency tokens");
    ConsistencyToken::parse_list(text).map(Moment::Tokens).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_tokens() {
        assert!(matches!(moment("2026-11-21T08:00:00.123456Z"), Ok(Moment::Time(t)) if t.to_string() == "2026-11-21T08:00:00.123456Z"));
        assert!(matches!(moment("catalog/1:7@1, inventory/0:2@1"), Ok(Moment::Tokens(tokens)) if tokens.len() == 2));
        for bad in ["", "yesterday", "2026-11-21", "catalog/1:7"] {
            assert!(moment(bad).is_err(), "{bad:?}");
        }
    }
}
