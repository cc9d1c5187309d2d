//! Notices: what is told by itself, signed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

/// The header of a notice's signature.
pub(crate) const SIGNATURE: &str = "Simulator-Signature";

/// `t=<seconds since 1970>,v1=<hex>`: HMAC-SHA-256 under the secret, over `<t>.<body>`.
pub fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// How a notice is sent, beside once and at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sending {
    pub(crate) late_ms: u64,
    pub(crate) twice: bool,
    /// One with a bad signature goes before it.
    pub(crate) forged_first: bool,
}

/// A notice that was not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) id: String,
    /// Each try sends these bytes.
    pub(crate) body: String,
    pub(crate) sending: Sending,
}

impl Notice {
    /// Of an object as it is now. The kind is a word such as `payment.captured`.
    pub(crate) fn new(kind: &str, object: &Value, sending: Sending) -> Self {
        let id = format!("evt_{}", uuid::Uuid::new_v4().simple());
        let body = json!({ "id": id, "type": kind, "created": chrono::Utc::now().timestamp(), "data": object }).to_string();
        Self { id, body, sending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by Python's `hmac`.
    #[test]
    fn a_signature_is_what_it_has_always_been() {
        let signed = signature("s3cret", 1_700_000_000, r#"{"id":"evt_1"}"#);
        assert_eq!(signed, "t=1700000000,v1=8e6f5c9e12ccd802130a0cf337c2d90395d59605481627c32bb6c530172adf23");
    }
}
