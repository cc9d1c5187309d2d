//! Forms in which a read model is served, and representations: the bytes of one form, with their tag.

use std::sync::{Arc, OnceLock};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use daybook_kernel::digest;

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

/// A form of an entry, as it is served.
pub(crate) struct Representation {
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
}

/// Both forms, each made when it is asked for first.
#[derive(Default)]
pub(crate) struct Forms([OnceLock<Result<Representation, Arc<str>>>; 2]);

impl Forms {
    /// A form, and whether it was made now: then there are more bytes of them.
    ///
    /// # Errors
    /// As `make`'s, which makes the body.
    pub(crate) fn get(&self, form: Form, make: impl FnOnce() -> Result<Bytes, String>) -> (Result<&Representation, Arc<str>>, bool) {
        let mut made = false;
        let shown = self.0[form as usize].get_or_init(|| {
            made = true;
            let body = make()?;
            let etag = HeaderValue::try_from(etag(form, &body)).map_err(|e| e.to_string())?;
            Ok(Representation { body, etag })
        });
        (shown.as_ref().map_err(Arc::clone), made)
    }

    /// The number of their bytes.
    pub(crate) fn weight(&self) -> usize {
        self.0.iter().filter_map(OnceLock::get).flatten().map(|shown| shown.body.len()).sum()
    }
}

/// A strong tag: a hash of the served bytes, and of the form that they are served in.
pub(crate) fn etag(form: Form, body: &[u8]) -> String {
    let hash = digest::sha256(body);
    let letter = match form {
        Form::Json => 'j',
        Form::Protobuf => 'p',
    };
    format!("\"{letter}{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..18]))
}
