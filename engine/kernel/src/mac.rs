//! Message authentication: a holder of the install's secret made this, and nobody changed it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The secret of one install, made by `migrate`. Never printed. A clone is cheap.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

/// Purposes of hashes are no labels of MACs: without this, the hash of one name would tell the MAC of another.
const HASHES: &str = "keyed-hash";

/// HMAC-SHA-256, cut to 16 bytes.
pub type Mac = [u8; 16];

impl Secret {
    /// From its bytes; 32 random ones.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }

    fn hmac(&self, label: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in std::iter::once(&label.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// The MAC over length-prefixed parts. `label` names its purpose: one purpose's MAC is never another's.
    pub fn sign(&self, label: &str, parts: &[&[u8]]) -> Mac {
        let full = self.hmac(label, parts).finalize().into_bytes();
        std::array::from_fn(|i| full[i])
    }

    /// A hash that only a holder of the secret can work out: HMAC-SHA-256, all 32 bytes. `purpose` keeps one purpose's hashes apart from
    /// another's, and from every MAC.
    pub fn hash(&self, purpose: &str, text: &str) -> [u8; 32] {
        self.hmac(HASHES, &[purpose.as_bytes(), text.as_bytes()]).finalize().into_bytes().into()
    }

    /// Whether `mac` is the MAC over these parts; takes the same time whichever byte differs.
    pub fn verify(&self, label: &str, parts: &[&[u8]], mac: &[u8]) -> bool {
        mac.len() == 16 && self.hmac(label, parts).verify_truncated_left(mac).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_holds_for_its_purpose_its_parts_and_its_secret_only() {
        let secret = Secret::new([7; 32]);
        let mac = secret.sign("handle", &[b"ab", b"c"]);
        assert!(secret.verify("handle", &[b"ab", b"c"], &mac));
        assert!(!secret.verify("page", &[b"ab", b"c"], &mac));
        assert!(!secret.verify("handle", &[b"a", b"bc"], &mac));
        assert!(!Secret::new([8; 32]).verify("handle", &[b"ab", b"c"], &mac));
        assert!(!secret.verify("handle", &[b"ab", b"c"], &mac[..8]));
        assert!(!secret.verify("handle", &[b"ab", b"c"], b""));
    }

    #[test]
    fn a_hash_is_of_its_purpose_its_text_and_its_secret_and_tells_no_mac() {
        let secret = Secret::new([7; 32]);
        let hash = secret.hash("email", "ann@example.org");
        assert_eq!(hash, secret.clone().hash("email", "ann@example.org"));
        assert_ne!(hash, secret.hash("phone", "ann@example.org"));
        assert_ne!(hash, secret.hash("emaila", "nn@example.org"));
        assert_ne!(hash, secret.hash("email", "bob@example.org"));
        assert_ne!(hash, Secret::new([8; 32]).hash("email", "ann@example.org"));
        assert!(!secret.verify("email", &[b"ann@example.org"], &hash[..16]));
    }

    /// Whatever is named by a hash is lost under another one: it may never change. Worked out by Python's `hmac`.
    #[test]
    fn a_hash_is_what_it_has_always_been() {
        let hash = Secret::new([7; 32]).hash("email", "ann@example.org");
        assert_eq!(hex::encode(hash), "03a81d6efb0d968d3ff2686006a78f881d07d8cf6321697fe8701e9c5394ccfc");
    }
}
