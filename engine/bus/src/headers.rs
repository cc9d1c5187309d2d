//! Every header the engine writes or reads, by name, and a message's headers.

use std::borrow::Cow;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

macro_rules! names {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*

        /// The known header of that name, if there is one: spares an allocation a header and message.
        pub(crate) fn known(name: &str) -> Option<&'static str> {
            match name { $($name => Some($constant),)* _ => None }
        }
    };
}

names! {
    /// CloudEvents id: the idempotency key of a client's message; an event's own id.
    CE_ID = "ce_id";
    /// CloudEvents type: the full protobuf name of the value.
    CE_TYPE = "ce_type";
    /// CloudEvents source.
    CE_SOURCE = "ce_source";
    /// CloudEvents time, RFC 3339.
    CE_TIME = "ce_time";
    /// CloudEvents version, `1.0`.
    CE_SPECVERSION = "ce_specversion";
    /// Media type of the value.
    CONTENT_TYPE = "content-type";
    /// Epoch of the event's page, decimal.
    EPOCH = "daybook-epoch";
    /// The event's place in its log partition, decimal.
    OFFSET = "daybook-offset";
    /// The event's version in its stream, decimal.
    VERSION = "daybook-version";
    /// The command that caused the event or reply, a UUID.
    COMMAND_ID = "daybook-command-id";
    /// Ties together all that one request caused.
    CORRELATION_ID = "daybook-correlation-id";
    /// The direct cause of this message.
    CAUSATION = "daybook-causation";
    /// Digest of the page that the event stands in.
    PAGE_DIGEST = "daybook-page-digest";
    /// The stream version that a command expects.
    IF_MATCH = "daybook-if-match";
    /// The actor, as the client says.
    ACTOR = "daybook-actor";
    /// Why: a client's words on a command, the engine's on a notice that is none.
    REASON = "daybook-reason";
    /// The caller, as authentication says: scopes idempotency keys.
    CALLER = "daybook-caller";
    /// The network address that the request came from.
    SOURCE_ADDRESS = "daybook-source-address";
    /// Shows that a message is the engine's own.
    MAC = "daybook-mac";
    /// The partition of `command.replies` that the endpoint reads.
    REPLY_TO = "daybook-reply-to";
    /// The endpoint's own number for the request that waits.
    REQUEST_ID = "daybook-request-id";
    /// Of a notice that is no command, on its way to be rejected: the webhook that it came to.
    WEBHOOK = "daybook-webhook";
    /// Of a message in `<service>.messages.rejected`: why.
    REJECTED_REASON = "daybook-rejected-reason";
    /// Of a message in `<service>.messages.rejected`: where it stood.
    REJECTED_FROM = "daybook-rejected-from";
    /// W3C trace context.
    TRACEPARENT = "traceparent";
    /// Marks events that are published again.
    REPLAY = "daybook-replay";
}

/// A header's value is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("header {name} {problem}")]
pub struct HeaderError {
    /// The header.
    pub name: String,
    /// The fault, without the value.
    pub problem: String,
}

/// A message's headers, in order. A name may stand twice: the last one counts, as in the Java client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(Cow<'static, str>, Bytes)>);

impl Headers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds one at the end.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds one at the end, its value written in decimal or as it displays.
    pub fn push_display(&mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) {
        self.0.push((name.into(), Bytes::from(value.to_string().into_bytes())));
    }

    /// Adds one at the end; chains.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        self.push(name, value);
        self
    }

    /// The value's bytes, if the header is there.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The value as text, if the header is there.
    ///
    /// # Errors
    /// Names the header when its value is not UTF-8.
    pub fn get_str(&self, name: &str) -> Result<Option<&str>, HeaderError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(HeaderError { name: name.to_owned(), problem: "is not UTF-8".to_owned() }),
        }
    }

    /// The value read as `T`, if the header is there.
    ///
    /// # Errors
    /// Names the header when its value is not UTF-8, or not a `T`.
    pub fn get_parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, HeaderError> {
        let Some(text) = self.get_str(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(HeaderError { name: name.to_owned(), problem: format!("cannot be read as {}", std::any::type_name::<T>()) }),
        }
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Number of headers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_headers_counts() {
        let headers = Headers::new().with(CE_ID, "first").with(CE_ID, "second");
        assert_eq!(headers.get_str(CE_ID), Ok(Some("second")));
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_an_error_that_names_the_header() {
        let headers = Headers::new().with(ACTOR, &b"\xff\xfe"[..]);
        assert_eq!(headers.get_str(ACTOR).unwrap_err().to_string(), "header daybook-actor is not UTF-8");
        assert_eq!(headers.get_str(REASON), Ok(None));
    }

    #[test]
    fn a_number_is_read_and_anything_else_is_an_error_without_its_value() {
        let mut headers = Headers::new().with(EPOCH, "secret");
        headers.push_display(OFFSET, 42);
        assert_eq!(headers.get_parsed::<u64>(OFFSET), Ok(Some(42)));
        let problem = headers.get_parsed::<u32>(EPOCH).unwrap_err().to_string();
        assert_eq!(problem, "header daybook-epoch cannot be read as u32");
    }

    #[test]
    fn every_known_name_is_found_again() {
        assert_eq!(known("daybook-mac"), Some(MAC));
        assert_eq!(known("x-other"), None);
    }
}
