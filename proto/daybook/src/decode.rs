//! Decoding that loses nothing: bytes with a field that this build does not know are an error, never silently less than
//! what was sent.

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::Named;

/// Why bytes are no member of a message set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No such type in this build.
    UnknownType(String),
    /// A field that this build's definition of the type does not have.
    UnknownField(String),
    /// No protobuf encoding of that type.
    Malformed(String),
}

impl std::fmt::Display for SetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownType(t) => write!(f, "this build knows no type {t}"),
            Self::UnknownField(at) => write!(f, "this build knows no field {at}"),
            Self::Malformed(why) => write!(f, "no valid protobuf: {why}"),
        }
    }
}

impl std::error::Error for SetError {}

/// Decodes one type, and refuses fields that it does not have.
///
/// # Errors
/// [`SetError::Malformed`] or [`SetError::UnknownField`].
pub fn decode_as<T: Message + Default + Named>(bytes: &[u8]) -> Result<T, SetError> {
    decode_strict(bytes)
}

/// As [`decode_as`]. Generated code drops unknown fields, so the numbers of all fields are looked over. Only what is not
/// known at that glance pays for a look through the descriptors, which names the field.
///
/// # Errors
/// [`SetError::Malformed`] or [`SetError::UnknownField`].
pub fn decode_strict<T: Message + Default + Named>(bytes: &[u8]) -> Result<T, SetError> {
    let message = T::decode(bytes).map_err(|e| SetError::Malformed(e.to_string()))?;
    if T::SHAPE.covers(bytes) {
        return Ok(message);
    }
    let descriptor = T::pool().get_message_by_name(T::TYPE).expect("generated from these descriptors");
    let dynamic = DynamicMessage::decode(descriptor, bytes).map_err(|e| SetError::Malformed(e.to_string()))?;
    match unknown_field(&dynamic) {
        Some(field) => Err(SetError::UnknownField(field)),
        None => Ok(message),
    }
}

/// The first unknown field, as `type, number`.
fn unknown_field(message: &DynamicMessage) -> Option<String> {
    if let Some(field) = message.unknown_fields().next() {
        return Some(format!("{} of {}", field.number(), message.descriptor().full_name()));
    }
    message.fields().find_map(|(_, value)| unknown_in(value))
}

fn unknown_in(value: &Value) -> Option<String> {
    match value {
        Value::Message(m) => unknown_field(m),
        Value::List(l) => l.iter().find_map(unknown_in),
        Value::Map(m) => m.values().find_map(unknown_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{EventRef, Reply, Request};

    #[test]
    fn an_unknown_field_in_binary_is_refused_and_named_however_deep() {
        let mut bytes = Request { r#type: "t".into(), ..Default::default() }.encode_to_vec();
        assert!(decode_as::<Request>(&bytes).is_ok());
        bytes.extend_from_slice(&[0x9a, 0x06, 0x01, b'x']);
        assert_eq!(decode_as::<Request>(&bytes), Err(SetError::UnknownField("99 of daybook.v1.Request".into())));

        let mut inner = crate::v1::CommandResult::default().encode_to_vec();
        inner.extend_from_slice(&[0x22, 3, 0x9a, 0x06, 0x00]);
        let mut outer = vec![0x22, u8::try_from(inner.len()).expect("short")];
        outer.extend_from_slice(&inner);
        assert!(matches!(decode_as::<Reply>(&outer), Err(SetError::UnknownField(f)) if f.contains("EventRef")));
    }

    #[test]
    fn another_field_order_is_the_same_message() {
        let bytes = [0x10, 7, 0x0a, 1, b'e'];
        assert_eq!(decode_as::<EventRef>(&bytes).expect("valid"), EventRef { r#type: "e".into(), offset: 7 });
    }
}
