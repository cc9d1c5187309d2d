//! The texts of a URL: the parameters of a query string, and the segments of a path.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::Problem;

/// Longest name of a parameter that is told back, in characters.
const LONGEST_NAME: usize = 100;

/// A parameter's name and value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The names and values of a query string, in its order. A plus is a blank, as forms write it.
///
/// # Errors
/// 400 that names the first parameter whose bytes are no UTF-8, or that has a `%` of no byte: a replacement would be another text.
pub fn pairs(query: Option<&str>) -> Result<Vec<Pair<'_>>, Problem> {
    let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            // A parameter whose name can't be read is called as the URL has it.
            let name = decoded(name, true).map_err(|fault| invalid(name, fault))?;
            let value = decoded(value, true).map_err(|fault| invalid(&name, fault))?;
            Ok((name, value))
        })
        .collect()
}

/// A segment of a path. `field` is its name where it can't be read.
///
/// # Errors
/// 400 that names the field: its bytes are no UTF-8, or it has a `%` of no byte.
pub fn segment<'a>(segment: &'a str, field: &str) -> Result<Cow<'a, str>, Problem> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    decoded(segment, false).map_err(|fault| invalid(field, fault))
}

/// 400 for a part of a URL whose bytes are no UTF-8, where no more is known.
pub fn not_utf8(field: &str) -> Problem {
    invalid(field, "must be percent-encoded UTF-8".to_owned())
}

fn invalid(field: &str, fault: String) -> Problem {
    Problem::invalid(&field.chars().take(LONGEST_NAME).collect::<String>(), fault)
}

fn decoded(text: &str, of_a_form: bool) -> Result<Cow<'_, str>, String> {
    if let Some(at) = broken_escape(text) {
        return Err(format!("must be percent-encoded, has a % behind {at} bytes that no two hexadecimal digits follow; a % itself is %25"));
    }
    let plain = if of_a_form && text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let fault = |bytes: &[u8]| {
        std::str::from_utf8(bytes).err().map(|error| {
            let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            format!("must be percent-encoded UTF-8, has %{byte:02X} behind {} bytes", error.valid_up_to())
        })
    };
    let owned = |bytes: Vec<u8>| String::from_utf8(bytes).map(Cow::Owned).map_err(|e| fault(e.as_bytes()).unwrap_or_default());
    match plain {
        Cow::Borrowed(text) => match Cow::from(percent_decode(text.as_bytes())) {
            Cow::Borrowed(_) => Ok(Cow::Borrowed(text)),
            Cow::Owned(bytes) => owned(bytes),
        },
        Cow::Owned(text) => owned(percent_decode(text.as_bytes()).collect()),
    }
}

/// The place of a `%` that begins no byte. Form readers take it as it is; its sender meant something else.
fn broken_escape(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let broken = |at: &usize| bytes[*at] == b'%' && !bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    (0..bytes.len()).find(broken)
}

/// Reads a query string, in which each known parameter may stand once. The values are in the order of `known`.
///
/// # Errors
/// 400 that names the first parameter that is unknown, stands twice, or can't be read.
pub fn parameters<'a, const N: usize>(query: Option<&'a str>, known: [&str; N]) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    parameters_but(query, known, &[])
}

/// As [`parameters`]; those that are `off` here are read, so that a client that sends one is told so, and offered to nobody.
///
/// # Errors
/// As [`parameters`].
pub fn parameters_but<'a, const N: usize>(
    query: Option<&'a str>,
    known: [&str; N],
    off: &[&str],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for (name, value) in pairs(query)? {
        let Some(place) = known.iter().position(|known| *known == name) else {
            let offered: Vec<&str> = known.iter().copied().filter(|name| !off.contains(name)).collect();
            let there = match offered[..] {
                [] => "none is taken here".to_owned(),
                [one] => format!("there is {one}"),
                _ => format!("there are {}", offered.join(", ")),
            };
            return Err(invalid(&name, format!("is no parameter of this path: {there}")));
        };
        if values[place].replace(value).is_some() {
            return Err(Problem::invalid(known[place], "must stand once"));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    async fn told(problem: Problem) -> (String, String) {
        let response = problem.into_response();
        assert_eq!(response.status(), axum::http::StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let text = |name: &str| problem["errors"][0][name].as_str().expect("a text").to_owned();
        (text("field"), text("message"))
    }

    #[test]
    fn known_parameters_are_read_and_others_refused() {
        let [size, at] = parameters(Some("at=a%20b&page_size=2"), ["page_size", "at"]).expect("known");
        assert_eq!((size.as_deref(), at.as_deref()), (Some("2"), Some("a b")));
        assert!(parameters(None, ["at"]).is_ok_and(|[at]| at.is_none()));
        assert!(parameters(Some(""), []).is_ok());
        for bad in ["dry_run=true", "at=1&at=2", "AT=1", "=", "at=1&x"] {
            assert!(parameters(Some(bad), ["at"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_string_is_read_as_forms_write_it() {
        let query = "a+b=c%2Bd&&x=&y&z=1=2&%C3%BC=%E6%9C%A8&k=100%25&raw=木";
        let expected = [("a b", "c+d"), ("x", ""), ("y", ""), ("z", "1=2"), ("ü", "木"), ("k", "100%"), ("raw", "木")];
        let all = pairs(Some(query)).expect("UTF-8");
        assert_eq!(all.iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>(), expected);
        let reference: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        assert_eq!(all, reference, "nothing else is read than the standard's reader reads");
    }

    #[tokio::test]
    async fn a_percent_sign_of_no_byte_is_named_and_never_taken_for_itself() {
        for (query, field, behind) in [
            ("q=%f", "q", "behind 0 bytes"),
            ("a=1&q=100%", "q", "behind 3 bytes"),
            ("q=a+%zz", "q", "behind 2 bytes"),
            ("q=%%41", "q", "behind 0"),
            ("%=1", "%", "behind 0"),
        ] {
            let (at, message) = told(parameters(Some(query), ["a", "q"]).expect_err(query)).await;
            assert!(at == field && message.contains(behind) && message.contains("%25"), "{query}: {at} {message}");
        }
        let (field, message) = told(segment("a%2", "key").expect_err("it ends too early")).await;
        assert!(field == "key" && message.contains("behind 1 bytes"), "{message}");
        assert_eq!(segment("100%25", "key").expect("good"), "100%");
    }

    #[tokio::test]
    async fn bytes_that_are_no_utf_8_are_named_and_never_replaced() {
        for (query, field, byte) in [
            ("q=%ff", "q", "%FF behind 0 bytes"),
            ("a=1&q=caf%E9", "q", "%E9 behind 3 bytes"),
            ("q=a+%C3", "q", "%C3 behind 2 bytes"),
            ("q=%ED%A0%80", "q", "%ED"),
            ("%FE=1", "%FE", "%FE"),
        ] {
            for problem in [pairs(Some(query)).expect_err(query), parameters(Some(query), ["a", "q"]).expect_err(query)] {
                let (at, message) = told(problem).await;
                assert!(at == field && message.contains(byte), "{query}: {at} {message}");
            }
        }
        let (field, message) = told(segment("caf%e9", "key").expect_err("Latin-1")).await;
        assert!(field == "key" && message.contains("%E9 behind 3 bytes"), "{message}");
        assert_eq!(segment("a+b%2Fc", "key").expect("UTF-8"), "a+b/c", "a plus in a path is a plus");
        assert!(told(pairs(Some(&format!("{}%ff=1", "n".repeat(9_000)))).expect_err("long")).await.0.len() <= 100);
    }

    #[tokio::test]
    async fn only_what_is_on_is_offered() {
        let said = |off: &'static [&'static str]| async move {
            let problem = parameters_but(Some("x=1"), ["at", "page_size"], off).expect_err("unknown");
            told(problem).await.1
        };
        assert!(said(&[]).await.ends_with("there are at, page_size"));
        assert!(said(&["at"]).await.ends_with("there is page_size"));
        assert!(said(&["at", "page_size"]).await.ends_with("none is taken here"));
        let [at, _] = parameters_but(Some("at=1"), ["at", "page_size"], &["at"]).expect("whoever asks for it is told that it is off");
        assert_eq!(at.as_deref(), Some("1"));
    }
}
