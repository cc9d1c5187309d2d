//! A client's headers: read once, each error naming its header.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use daybook_http::{Problem, content_type};

use crate::HandlerConfig;

/// Most digits of a version that `If-Match` may name: more than any stream will ever have.
pub(crate) const MAX_DIGITS: usize = 18;

/// The time that a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefer {
    pub(crate) wait: Duration,
}

/// The form of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyForm {
    Json,
    Protobuf,
}

/// A header's text, at most `max` characters, none of them a control character.
pub(crate) fn text(headers: &HeaderMap, name: &str, max: usize) -> Result<Option<String>, Problem> {
    let Some(text) = once(headers, name)? else { return Ok(None) };
    if text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(Problem::invalid(name, format!("must be at most {max} printable characters")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A header's text without the blanks around it; none where it was not sent.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    if headers.get_all(name).iter().count() > 1 {
        return Err(Problem::invalid(name, "must be sent once"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Problem::invalid(name, "must be UTF-8"))?;
    Ok(Some(text.trim()))
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    const NAME: &str = "Idempotency-Key";
    let required =
        "is required: 1 to 255 printable characters that nobody can guess, such as a new UUID, the same for every repeat of this command";
    let written = once(headers, NAME)?.filter(|written| !written.is_empty()).ok_or_else(|| Problem::invalid(NAME, required))?;
    daybook_messages::idempotency_key(written).map_err(|why| Problem::invalid(NAME, why))
}

/// `If-Match: "7"`: at most 18 digits, written as `ETag` writes them. An empty one is no condition that holds always: its sender meant some
/// version.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let text = text(headers, "If-Match", 255)?.unwrap_or_default();
    let digits = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).filter(|t| t.len() <= MAX_DIGITS);
    let version = digits.and_then(|t| t.parse().ok().filter(|version: &u64| version.to_string() == t));
    version.map(Some).ok_or_else(|| Problem::invalid("If-Match", "must be one version in quotes, as ETag gave it: \"7\""))
}

/// `Prefer: wait=N` and `respond-async`; preferences that are not understood are passed over (RFC 7240).
pub(crate) fn prefer(headers: &HeaderMap, config: &HandlerConfig) -> Prefer {
    let mut wait = config.default_wait;
    for value in headers.get_all("prefer") {
        for preference in value.to_str().unwrap_or_default().split([',', ';']).map(str::trim) {
            if preference.eq_ignore_ascii_case("respond-async") {
                return Prefer { wait: Duration::ZERO };
            }
            if let Some((name, seconds)) = preference.split_once('=')
                && name.trim().eq_ignore_ascii_case("wait")
                && let Ok(seconds) = seconds.trim().trim_matches('"').parse::<u64>()
            {
                wait = Duration::from_secs(seconds).min(config.max_wait);
            }
        }
    }
    Prefer { wait }
}

pub(crate) fn body_form(headers: &HeaderMap) -> Result<BodyForm, Problem> {
    match content_type(headers, &["application/json", "application/x-protobuf", "application/protobuf"])? {
        0 => Ok(BodyForm::Json),
        _ => Ok(BodyForm::Protobuf),
    }
}

/// Wishes that a client may have of other requests, and has in vain here: to pass over one of these would do another
/// thing than was asked for. `Range`, `If-Range` and `If-Modified-Since` are not among them: RFC 9110 defines them for GET
/// alone, and has them passed over elsewhere.
///
/// # Errors
/// 400 that names the header, or 417.
pub(crate) fn no_other_wishes(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = [
        (
            header::IF_NONE_MATCH,
            "If-None-Match",
            "a command has no condition of this kind: If-Match names the version that the stream must be at",
        ),
        (header::IF_UNMODIFIED_SINCE, "If-Unmodified-Since", "a stream has versions, and no time to compare: If-Match names one"),
        (header::CONTENT_RANGE, "Content-Range", "a command comes as a whole"),
    ];
    for (header, name, why) in refused {
        if headers.contains_key(header) {
            return Err(Problem::invalid(name, why));
        }
    }
    let met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(met) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::EXPECTATION_FAILED, "Expect: 100-continue is all that can be met"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        headers
    }

    #[test]
    fn a_key_is_1_to_255_printable_characters() {
        assert!(idempotency_key(&with("idempotency-key", "k")).is_ok());
        assert!(idempotency_key(&with("idempotency-key", &"k".repeat(255))).is_ok());
        for bad in ["", " ", &"k".repeat(256)] {
            assert!(idempotency_key(&with("idempotency-key", bad)).is_err(), "{bad:?}");
        }
        assert!(idempotency_key(&HeaderMap::new()).is_err());
    }

    #[test]
    fn if_match_is_one_version_in_quotes() {
        assert_eq!(if_match(&with("if-match", "\"7\"")).expect("valid"), Some(7));
        for bad in ["7", "\"\"", "*", "", " ", "\"+7\"", "\"07\"", "\"1000000000000000000\"", "\"1\", \"2\"", "W/\"1\""] {
            assert!(if_match(&with("if-match", bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_would_change_a_commands_meaning_is_refused_by_its_name_and_the_rest_passed_over() {
        for bad in ["if-none-match", "if-unmodified-since", "content-range"] {
            assert_eq!(no_other_wishes(&with(bad, "*")).map_err(|p| p.status()), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
        assert_eq!(no_other_wishes(&with("expect", "miracles")).map_err(|p| p.status()), Err(StatusCode::EXPECTATION_FAILED));
        for good in ["range", "if-range", "if-modified-since", "accept", "consistency-token"] {
            assert!(no_other_wishes(&with(good, "x")).is_ok(), "{good}");
        }
        assert!(no_other_wishes(&with("expect", "100-Continue")).is_ok());
    }

    #[test]
    fn a_wait_has_an_upper_bound_and_what_is_not_understood_is_passed_over() {
        let config = HandlerConfig::default();
        let wait = |text: &str| prefer(&with("prefer", text), &config).wait.as_secs();
        assert_eq!(wait("wait=7"), 7);
        assert_eq!(wait("handling=strict, wait=600"), 30);
        assert_eq!(wait("wait=soon"), 5);
        assert_eq!(wait("respond-async, wait=7"), 0);
    }
}
