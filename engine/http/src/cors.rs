//! Which web pages may use a surface from a browser (CORS, as the Fetch standard has it). Off unless origins are set.
//!
//! No layer of a library: the one that there is takes every OPTIONS for a browser's question, so that nobody else would be
//! told what a path takes.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

/// Headers of answers that pages may read, beside those that browsers show anyway.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Allow, Consistency-Position, Consistency-Token, Daybook-Stale, Daybook-Hidden-Streams, ETag, Idempotent-Replayed, Location, \
     Next-Page-Token, Retry-After",
);
/// Headers that pages may send, beside those that they may anyway.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "Consistency-Token, Content-Encoding, Content-Type, Correlation-Id, Daybook-Actor, Daybook-Reason, Idempotency-Key, \
     If-Match, If-None-Match, Last-Event-ID, Prefer, traceparent",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
/// Two hours: the longest that browsers keep such an answer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

/// The origins whose pages may use a surface. None of them with credentials.
#[derive(Clone, Debug)]
pub struct Cors(Arc<Origins>);

#[derive(Debug)]
enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

impl Cors {
    /// Of origins as browsers write them, or of `*` alone. None: there are none, so it is off.
    ///
    /// # Errors
    /// The first that is no origin, and the form of one.
    pub fn of<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Option<Self>, String> {
        let origins: Vec<&str> = origins.into_iter().map(str::trim).filter(|origin| !origin.is_empty()).collect();
        let origins = match origins.as_slice() {
            [] => return Ok(None),
            ["*"] => Origins::Any,
            all => Origins::These(all.iter().map(|origin| written(origin)).collect::<Result<_, _>>()?),
        };
        Ok(Some(Self(Arc::new(origins))))
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        match &*self.0 {
            Origins::Any => Some(ANY),
            Origins::These(all) => request.get(header::ORIGIN).filter(|origin| all.contains(origin)).cloned(),
        }
    }

    /// Answers a browser's question whether a page may send its request. None: it is no such question, or the page's
    /// origin is none of ours.
    pub(crate) fn preflight(&self, request: &Parts) -> Option<Response> {
        let headers = &request.headers;
        let asked = request.method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        // A page of the public net that asks for a private one is for gateways to decide.
        if !asked || self.allowed(headers).is_none() || headers.contains_key(PRIVATE_NETWORK) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().extend([
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, TAKEN),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ]);
        Some(response)
    }

    /// Says in an answer which pages may read it, and which of its headers.
    pub(crate) fn tell(&self, allowed: Option<HeaderValue>, response: &mut Response) {
        let headers = response.headers_mut();
        if matches!(&*self.0, Origins::These(_)) {
            headers.append(header::VARY, ORIGIN);
        }
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// The part of a request that [`tell`](Self::tell) needs.
    pub(crate) fn asked(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.allowed(request)
    }
}

/// An origin as browsers write it: in lower case, without a path, and without the port that its scheme has anyway.
fn written(origin: &str) -> Result<HeaderValue, String> {
    let wrong =
        || format!("{origin:?} is no origin: write scheme://host or scheme://host:port, in lower case and without a path, or * alone");
    let (scheme, authority) = origin.split_once("://").ok_or_else(wrong)?;
    let usual_port = match scheme {
        "http" => authority.ends_with(":80"),
        "https" => authority.ends_with(":443"),
        _ => false,
    };
    if usual_port {
        return Err(format!("{origin:?}: browsers leave out the port that a scheme has anyway, and so it is here"));
    }
    let parsed: Option<axum::http::uri::Authority> = authority.parse().ok();
    let plain = parsed.is_some_and(|a| a.as_str() == authority && !a.host().is_empty() && !authority.contains(['@', '*']));
    let lower = !origin.bytes().any(|b| b.is_ascii_uppercase());
    if !plain || !lower || scheme.is_empty() {
        return Err(wrong());
    }
    HeaderValue::from_str(origin).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them_or_refused() {
        assert!(Cors::of([]).is_ok_and(|cors| cors.is_none()));
        assert!(Cors::of([" "]).is_ok_and(|cors| cors.is_none()));
        for good in ["*", "https://shop.example", "http://localhost:3000", "http://[::1]:3000", "capacitor://localhost", "http://10.0.0.1"]
        {
            assert!(Cors::of([good]).is_ok_and(|cors| cors.is_some()), "{good}");
        }
        for bad in [
            "shop.example",
            "https://shop.example/",
            "https://shop.example/a",
            "HTTPS://shop.example",
            "https://Shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://",
            "null",
            "https://*.example",
            "https://me@shop.example",
            "https://shop.example?x",
        ] {
            assert!(Cors::of([bad]).is_err(), "{bad}");
        }
        assert!(Cors::of(["*", "https://shop.example"]).is_err(), "all, or these");
    }
}
