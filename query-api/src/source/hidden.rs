//! Streams of which a read model shows nothing, for an event of theirs could not be folded before anything was: no part is
//! theirs that could be marked as stale, and nobody knows under which keys they would stand. So every answer of the read model
//! names them: a page that is not there, or a list that lacks an item, is told from one that is complete.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderName, HeaderValue};
use daybook_proto::v1::HiddenStreams;

use super::position::Position;

/// The header that names them.
pub(crate) const HIDDEN: HeaderName = HeaderName::from_static("daybook-hidden-streams");
/// The most streams that an answer names.
const NAMED: usize = 20;
/// Stands behind them where there are more.
const MORE: &str = "*";

/// Those of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streams {
    /// In order.
    pub(crate) named: Vec<String>,
    /// There are more than are named.
    pub(crate) more: bool,
}

impl From<Vec<String>> for Streams {
    /// One too many says that there are more.
    fn from(mut named: Vec<String>) -> Self {
        let more = named.len() > NAMED;
        named.truncate(NAMED);
        Self { named, more }
    }
}

impl From<HiddenStreams> for Streams {
    fn from(pushed: HiddenStreams) -> Self {
        let streams = Self::from(pushed.streams);
        Self { more: streams.more || pushed.more, ..streams }
    }
}

/// The streams of a generation's sources that show nothing, as far as they are known.
pub(crate) struct Hidden {
    /// Where there are none, nobody takes the lock to ask.
    any: AtomicBool,
    known: Mutex<Known>,
}

struct Known {
    /// By source, as of a position.
    of: Vec<(Position, Streams)>,
    header: Option<HeaderValue>,
}

impl Hidden {
    pub(crate) fn new(sources: usize) -> Self {
        let known = Known { of: vec![Default::default(); sources], header: None };
        Self { any: AtomicBool::new(false), known: Mutex::new(known) }
    }

    /// These are a source's as of a position. What is known of a later one stays; of the same one, what comes last counts, for
    /// a parked stream is mended in place: what was late with it is put right by the next look into the database.
    ///
    /// To be called before the position is published: who sees a position sees what could not be folded before it.
    pub(crate) fn learn(&self, source: u16, at: Position, streams: Streams) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of) = known.of.get_mut(usize::from(source)).filter(|(before, _)| *before <= at) else { return };
        let same = of.1 == streams;
        *of = (at, streams);
        if !same {
            known.header = header(&known.of);
            self.any.store(known.header.is_some(), Ordering::SeqCst);
        }
    }

    /// `Daybook-Hidden-Streams`, where there are any.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).header.clone()
    }
}

fn header(of: &[(Position, Streams)]) -> Option<HeaderValue> {
    let mut all: Vec<&str> = of.iter().flat_map(|(_, streams)| &streams.named).map(String::as_str).collect();
    all.sort_unstable();
    let more = all.len() > NAMED || of.iter().any(|(_, streams)| streams.more);
    all.truncate(NAMED);
    all.extend(more.then_some(MORE));
    (!all.is_empty()).then(|| HeaderValue::try_from(all.join(", ")).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(named: &[&str], more: bool) -> Streams {
        Streams { named: named.iter().map(|s| (*s).to_owned()).collect(), more }
    }

    fn at(next: i64) -> Position {
        Position::new(1, next)
    }

    #[test]
    fn what_was_known_later_is_not_forgotten_for_what_comes_late() {
        let hidden = Hidden::new(2);
        let says = || hidden.header().map(|h| h.to_str().expect("text").to_owned());
        assert_eq!(says(), None);
        hidden.learn(1, at(5), streams(&["b/1"], false));
        hidden.learn(0, at(3), streams(&["a/1"], false));
        assert_eq!(says().as_deref(), Some("a/1, b/1"));
        hidden.learn(1, at(4), Streams::default());
        assert_eq!(says().as_deref(), Some("a/1, b/1"), "it is of before");
        hidden.learn(1, at(5), Streams::default());
        assert_eq!(says().as_deref(), Some("a/1"), "it was mended in place");
        hidden.learn(0, at(9), Streams::default());
        hidden.learn(7, at(9), streams(&["c/1"], false));
        assert_eq!(says(), None);
    }

    #[test]
    fn an_answer_names_some_and_says_that_there_are_more() {
        let hidden = Hidden::new(1);
        let many: Vec<String> = (0..NAMED + 1).map(|n| format!("a/{n:02}")).collect();
        hidden.learn(0, at(1), Streams { named: many.clone(), more: false });
        let said = hidden.header().expect("there are some");
        assert_eq!(said.to_str().expect("text"), format!("{}, *", many[..NAMED].join(", ")));
        hidden.learn(0, at(1), many[..NAMED].to_vec().into());
        assert_eq!(hidden.header().expect("there are some").to_str().expect("text"), many[..NAMED].join(", "), "those are all");
        hidden.learn(0, at(1), many.clone().into());
        assert_eq!(hidden.header().expect("there are some").to_str().expect("text"), format!("{}, *", many[..NAMED].join(", ")));
        hidden.learn(0, at(2), streams(&["a/1"], true));
        assert_eq!(hidden.header().expect("there are some"), "a/1, *");
    }
}
