//! Handles of deferred results: what `Location` of a 202 names. Any process can answer one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_kernel::Secret;
use daybook_proto::v1::Handle;
use prost::Message as _;

/// Of a command that was sent, and of one that a rule is to send: a build that does not know the second must not take it for the first.
fn mac_label(handle: &Handle) -> &'static str {
    if handle.origin.is_some() { "handle of a rule" } else { "handle" }
}

/// Longest handle that is looked at, in characters.
const MAX_LENGTH: usize = 2_048;

/// A text that is no handle of this install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such handle: it is not one that this install gave")]
pub struct HandleError;

/// A handle as a URL's segment.
pub(crate) fn write(handle: &Handle, secret: &Secret) -> String {
    let mut bytes = handle.encode_to_vec();
    let mac = secret.sign(mac_label(handle), &[&bytes]);
    bytes.extend_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a handle back.
pub(crate) fn read(text: &str, secret: &Secret) -> Result<Handle, HandleError> {
    if text.len() > MAX_LENGTH {
        return Err(HandleError);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| HandleError)?;
    let (handle, mac) = bytes.split_at_checked(bytes.len().saturating_sub(16)).ok_or(HandleError)?;
    let read = Handle::decode(handle).map_err(|_| HandleError)?;
    if secret.verify(mac_label(&read), &[handle], mac) { Ok(read) } else { Err(HandleError) }
}

#[cfg(test)]
mod tests {
    use daybook_proto::v1::Origin;

    use super::*;

    #[test]
    fn a_handle_is_read_by_whoever_has_the_secret_and_a_made_up_one_by_nobody() {
        let secret = Secret::new([1; 32]);
        let handle =
            Handle { service: "s".into(), stream_id: "a/1".into(), command_id: vec![7; 16], partition: 3, message_offset: 9, origin: None };
        let text = write(&handle, &secret);
        assert_eq!(read(&text, &secret), Ok(handle));
        assert_eq!(read(&text, &Secret::new([2; 32])), Err(HandleError));
        let mut changed = text.clone();
        changed.replace_range(4..5, if &text[4..5] == "A" { "B" } else { "A" });
        assert_eq!(read(&changed, &secret), Err(HandleError));
        let of_rule = Handle {
            message_offset: -1,
            origin: Some(Origin { rule: "r".into(), ..Default::default() }),
            ..read(&text, &secret).expect("read above")
        };
        assert_eq!(read(&write(&of_rule, &secret), &secret), Ok(of_rule));
        for bad in ["", "x", "ü", "AAAA", &"A".repeat(5000)] {
            assert_eq!(read(bad, &secret), Err(HandleError));
        }
    }
}
