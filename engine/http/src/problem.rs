//! Errors as `application/problem+json` (RFC 9457): the fault, its field, and the remedy.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// One problem. Its `type` is `about:blank`, or a URN that clients may branch on.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

/// Boxed, for it travels as an error through every handler.
#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    kind: String,
    title: String,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A status and a sentence that tells the fault and the remedy.
    pub fn new(status: StatusCode, title: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            kind: "about:blank".to_owned(),
            title: title.into(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400, naming one field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the request is not valid")
            .with("errors", json!([{ "field": field, "message": message.into() }]))
    }

    /// 503: try again in so many seconds.
    pub fn unavailable(title: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, title).retry_after(retry_after)
    }

    /// A URN that clients may branch on.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// A further member. The members that the standard names can't be replaced.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !matches!(name, "type" | "title" | "status") {
            self.0.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// `Retry-After`, in seconds.
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A response header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "type": self.0.kind, "title": self.0.title, "status": self.0.status.as_u16() });
        if let Value::Object(object) = &mut body {
            object.extend(self.0.members);
        }
        let mut response = (self.0.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        response.headers_mut().extend(self.0.headers);
        response
    }
}
