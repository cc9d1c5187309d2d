//! What a client says in headers of how it wants its answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// A form in which a read model is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The protobuf JSON mapping.
    Json,
    /// The stored bytes.
    Protobuf,
}

impl Form {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }
}

/// The form where nearly everybody's headers ask for it, and nobody needs to take anything apart. None: [`form`] says it.
pub(crate) fn plain_form(headers: &HeaderMap) -> Option<Form> {
    let mut all = headers.get_all(header::ACCEPT).iter();
    match (all.next().map(HeaderValue::as_bytes), all.next()) {
        (None | Some(b"*/*" | b"application/json"), None) => Some(Form::Json),
        (Some(b"application/x-protobuf"), None) => Some(Form::Protobuf),
        _ => None,
    }
}

/// The form that `Accept` likes best (RFC 9110, 12.5.1); JSON when it likes both as much, or says nothing. None: neither.
pub(crate) fn form(headers: &HeaderMap) -> Option<Form> {
    if let Some(form) = plain_form(headers) {
        return Some(form);
    }
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    if values.iter().all(|v| v.trim().is_empty()) {
        return Some(Form::Json);
    }
    let quality = |form: Form| {
        let ranges = values.iter().flat_map(|v| v.split(',')).filter_map(|range| weigh(range, form));
        // The most specific range that fits decides, wherever it stands.
        ranges.max_by_key(|(specific, _)| *specific).map_or(0, |(_, quality)| quality)
    };
    let (json, protobuf) = (quality(Form::Json), quality(Form::Protobuf));
    match (json, protobuf) {
        (0, 0) => None,
        _ if protobuf > json => Some(Form::Protobuf),
        _ => Some(Form::Json),
    }
}

/// Whether `Accept` names the stream of events.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| value.as_bytes().windows(17).any(|w| w.eq_ignore_ascii_case(b"text/event-stream"));
    headers.get_all(header::ACCEPT).iter().any(named)
}

/// How specific a media range is, and its quality in thousandths, when it fits a form.
fn weigh(range: &str, form: Form) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let specific = match media.as_str() {
        "*/*" => 0,
        "application/*" => 1,
        other if other == form.media_type() => 2,
        _ => return None,
    };
    let quality = parts
        .find_map(|p| p.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q")))
        .map_or(Some(1_000), |(_, q)| thousandths(q.trim()));
    quality.map(|q| (specific, q))
}

/// `0.5` as 500; none when it is no quality.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

/// Whether `If-None-Match` names this tag, or any. Weak and strong tags match alike: that is what it compares by.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).any(|value| {
        let mut rest = value.trim();
        if rest == "*" {
            return true;
        }
        // Tags may hold commas: they are told apart by their quotes.
        while let Some(open) = rest.find('"') {
            let Some(length) = rest[open + 1..].find('"') else { return false };
            let close = open + 1 + length;
            if &rest[open..=close] == etag {
                return true;
            }
            rest = &rest[close + 1..];
        }
        false
    })
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
    fn the_form_is_the_one_that_accept_likes_best() {
        use Form::{Json, Protobuf};
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("application/x-protobuf", Some(Protobuf)),
            ("Application/X-Protobuf; q=0.5", Some(Protobuf)),
            ("application/json;q=0.4, application/x-protobuf;q=0.5", Some(Protobuf)),
            ("application/x-protobuf, */*;q=0.1", Some(Protobuf)),
            ("application/x-protobuf, */*", Some(Json)),
            ("application/json;q=0, */*", Some(Protobuf)),
            ("*/*;q=0.2, application/json;q=0.1", Some(Protobuf)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(Json)),
            ("text/html", None),
            ("*/*;q=0", None),
            ("application/json;q=0, application/x-protobuf;q=0.000", None),
            ("application/json;q=7", None),
            ("application/json; charset=utf-8; q=1.000", Some(Json)),
        ] {
            assert_eq!(form(&with("accept", &[accept])), expected, "{accept:?}");
        }
        assert_eq!(form(&HeaderMap::new()), Some(Json));
        assert_eq!(form(&with("accept", &["text/html", "application/x-protobuf"])), Some(Protobuf));
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
