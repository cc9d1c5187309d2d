//! Headers by which a client says how it wants its answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use daybook_http::{Choice, Offer, Problem};

use crate::entry::Form;

/// The forms of a page. A client that likes JSON as much is not sent events.
pub(crate) const PAGE: [Offer; 3] = [FORMS[0], FORMS[1], Offer::by_name(EVENT_STREAM)];
/// The forms of a list, and of the past.
pub(crate) const FORMS: [Offer; 2] = [Offer::new("application/json"), Offer::new("application/x-protobuf")];
/// The form of a search's answer.
pub(crate) const SEARCHED: [Offer; 1] = [FORMS[0]];
/// The form of a live query.
pub(crate) const EVENTS: [Offer; 1] = [Offer::new(EVENT_STREAM)];
const EVENT_STREAM: &str = "text/event-stream";

/// The kind of answer that a client is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A page.
    Form(Form),
    /// A live query.
    Events,
}

impl Wanted {
    /// By the place among the offers of a [`PAGE`].
    fn at(place: usize) -> Self {
        match place {
            0 => Self::Form(Form::Json),
            1 => Self::Form(Form::Protobuf),
            _ => Self::Events,
        }
    }
}

/// The form of a page that is wanted; none where it is events, or nothing that there is.
pub(crate) fn form_of_page(headers: &HeaderMap) -> Option<Form> {
    match Choice::of(headers, &PAGE) {
        Choice::Offer(place) => match Wanted::at(place) {
            Wanted::Form(form) => Some(form),
            Wanted::Events => None,
        },
        Choice::None | Choice::Unreadable => None,
    }
}

/// The best of a [`PAGE`], or of [`FORMS`], by `Accept`.
///
/// # Errors
/// 406, or 400 where it can't be read.
pub(crate) fn wanted(headers: &HeaderMap, offers: &[Offer]) -> Result<Wanted, Problem> {
    Choice::of(headers, offers).offer(offers).map(Wanted::at)
}

/// Whether `Accept` takes the one form that there is.
///
/// # Errors
/// 406, or 400 where it can't be read.
pub(crate) fn takes(headers: &HeaderMap, offer: &[Offer; 1]) -> Result<(), Problem> {
    Choice::of(headers, offer).offer(offer).map(|_| ())
}

/// The tags of a list, and whether each is weak. They may hold commas: they are told apart by their quotes.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (bool, &str)> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| {
        let mut rest = value;
        std::iter::from_fn(move || {
            let open = rest.find('"')?;
            let close = open + 2 + rest[open + 1..].find('"')?;
            let (weak, tag) = (rest[..open].ends_with("W/"), &rest[open..close]);
            rest = &rest[close..];
            Some((weak, tag))
        })
    })
}

fn is_any(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| value.as_bytes().trim_ascii() == b"*")
}

/// Whether `If-None-Match` names this tag, or any. Weak and strong tags match alike: that is what it compares by.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    is_any(headers, header::IF_NONE_MATCH) || tags(headers, header::IF_NONE_MATCH).any(|(_, tag)| tag == etag)
}

/// That `If-Match`, where it stands, names this tag, or any: it compares strongly, so weak tags match nothing.
///
/// # Errors
/// 412, or 400 where no tag can be read.
pub(crate) fn condition(headers: &HeaderMap, etag: &str) -> Result<(), Problem> {
    if !headers.contains_key(header::IF_MATCH) || is_any(headers, header::IF_MATCH) {
        return Ok(());
    }
    let mut all = tags(headers, header::IF_MATCH).peekable();
    if all.peek().is_none() {
        return Err(Problem::invalid("If-Match", "must be ETags in quotes, as answers gave them, or *"));
    }
    if all.any(|(weak, tag)| !weak && tag == etag) {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, format!("If-Match names another state: this one is {etag}"));
    Err(HeaderValue::from_str(etag).map_or(problem.clone(), |etag| problem.header(header::ETAG, etag)))
}

/// `Prefer: wait=N`, in seconds; what is not understood is passed over (RFC 7240).
pub(crate) fn wait(headers: &HeaderMap, default: Duration, longest: Duration) -> Duration {
    let preferences = headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split([',', ';']));
    let mut seconds = preferences
        .filter_map(|p| p.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("wait")))
        .filter_map(|(_, n)| n.trim().trim_matches('"').parse::<u64>().ok());
    seconds.next().map_or(default, Duration::from_secs).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn nobody_is_sent_events_who_likes_a_page_as_much() {
        let wanted = |accept: &str| wanted(&with("accept", &[accept]), &PAGE);
        for (accept, expected) in [
            ("*/*", Wanted::Form(Form::Json)),
            ("application/x-protobuf", Wanted::Form(Form::Protobuf)),
            ("text/event-stream", Wanted::Events),
            ("text/event-stream;q=0.2, application/json", Wanted::Form(Form::Json)),
            ("text/event-stream, application/x-protobuf;q=0.5", Wanted::Events),
        ] {
            assert_eq!(wanted(accept).expect(accept), expected, "{accept}");
        }
        assert_eq!(wanted("text/event-stream;q=0").map_err(|p| p.status()), Err(StatusCode::NOT_ACCEPTABLE));
        assert_eq!(wanted("text/event-stream;q=2").map_err(|p| p.status()), Err(StatusCode::BAD_REQUEST));
        assert_eq!(form_of_page(&with("accept", &["text/event-stream"])), None);
        assert_eq!(form_of_page(&with("accept", &["application/json, text/plain, */*"])), Some(Form::Json));
    }

    #[test]
    fn a_condition_holds_for_a_strong_tag_of_the_list_and_for_any() {
        let holds = |values: &[&str]| condition(&with("if-match", values), "\"a,b\"").map_err(|p| p.status());
        for yes in [&["\"a,b\""][..], &["*"], &[" * "], &["\"x\", \"a,b\""], &["\"x\"", "\"a,b\""], &["W/\"a,b\", \"a,b\""], &[]] {
            assert_eq!(holds(yes), Ok(()), "{yes:?}");
        }
        for no in ["\"x\"", "W/\"a,b\"", "\"a\", \"b\""] {
            assert_eq!(holds(&[no]), Err(StatusCode::PRECONDITION_FAILED), "{no}");
        }
        for bad in ["", "a,b", "\"a"] {
            assert_eq!(holds(&[bad]), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }

    #[test]
    fn a_tag_is_known_when_the_list_names_it_weak_or_strong_or_all() {
        let known = |value: &str| is_known(&with("if-none-match", &[value]), "\"a,b\"");
        for yes in ["\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "\"x\",W/\"a,b\" , \"y\"", "*", " * "] {
            assert!(known(yes), "{yes}");
        }
        for no in ["", "\"a\"", "a,b", "\"a", "\"x\", \"y\"", "\"a,b"] {
            assert!(!known(no), "{no}");
        }
        assert!(is_known(&with("if-none-match", &["\"x\"", "\"a,b\""]), "\"a,b\""));
    }

    #[test]
    fn a_wait_has_an_upper_bound_and_what_is_not_understood_is_passed_over() {
        let (two, thirty) = (Duration::from_secs(2), Duration::from_secs(30));
        let wait = |value: &str| wait(&with("prefer", &[value]), two, thirty).as_secs();
        assert_eq!(wait("wait=7"), 7);
        assert_eq!(wait("handling=strict; wait=0"), 0);
        assert_eq!(wait("respond-async, WAIT = \"600\""), 30);
        assert_eq!(wait("wait=soon"), 2);
        assert_eq!(wait("wait=-1"), 2);
    }
}
