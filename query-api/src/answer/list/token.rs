//! Page tokens: where the next page of a list begins. Opaque, and only what this install gave is taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_kernel::Secret;

const MAC_LABEL: &str = "list page";
/// Bytes of a MAC.
const MAC: usize = 16;
/// Longest token that is looked at, in characters.
const MAX_LENGTH: usize = 4_096;

/// The token of the page after the part `last`, of one key's list.
pub(crate) fn write(secret: &Secret, model: &str, key: &str, last: &str) -> String {
    let mut bytes = last.as_bytes().to_vec();
    bytes.extend_from_slice(&secret.sign(MAC_LABEL, &[model.as_bytes(), key.as_bytes(), last.as_bytes()]));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The part after which the page begins. None: not a token of this list.
pub(crate) fn read(secret: &Secret, model: &str, key: &str, token: &str) -> Option<String> {
    let bytes = (token.len() <= MAX_LENGTH).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()?;
    let (last, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
    secret.verify(MAC_LABEL, &[model.as_bytes(), key.as_bytes(), last], mac).then(|| String::from_utf8(last.to_vec()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use daybook_testkit::fuzz::damaged_text;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_of_one_list_and_one_install() {
        let secret = Secret::new([1; 32]);
        let token = write(&secret, "lists", "Home", "lamp/A-1");
        assert_eq!(read(&secret, "lists", "Home", &token).as_deref(), Some("lamp/A-1"));
        assert_eq!(read(&secret, "lists", "Garden", &token), None);
        assert_eq!(read(&secret, "other", "Home", &token), None);
        assert_eq!(read(&Secret::new([2; 32]), "lists", "Home", &token), None);
        let mut changed = token.clone();
        changed.replace_range(1..2, if &token[1..2] == "A" { "B" } else { "A" });
        for bad in [changed.as_str(), "", "x", "AAAA", &"A".repeat(5_000), "ü"] {
            assert_eq!(read(&secret, "lists", "Home", bad), None, "{bad:.20}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_page_token_is_none(text in damaged_text(Just(write(&Secret::new([1; 32]), "lists", "Home", "lamp/A-1")))) {
            let read = read(&Secret::new([1; 32]), "lists", "Home", &text);
            prop_assert!(read.is_none() || text == write(&Secret::new([1; 32]), "lists", "Home", "lamp/A-1"), "{}", text);
        }
    }
}
