//! Decoding that loses nothing: bytes or JSON with a field that this build does not know are an error, never
//! silently less than what was sent.

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde::de::DeserializeOwned;

use crate::{Checked, Named};

/// Longest field name, and longest message, of an error, in characters.
const MAX_TOLD: usize = 500;

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

/// Why JSON is no such message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The field, as JSON names it; empty when the whole text is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl JsonError {
    /// The type is not a member of the set.
    pub fn unknown_type(name: &str) -> Self {
        Self { field: String::new(), message: format!("this build knows no type {name}") }
    }
}

/// Decodes the protobuf JSON mapping.
///
/// # Errors
/// What is wrong, and in which field; a field that does not exist is named.
pub fn from_json<T: DeserializeOwned + Checked>(json: &[u8]) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        let message = e.into_inner().to_string();
        // The path of an unknown field ends at the object that holds it; the message has its name.
        let unknown = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next()).map(str::to_owned);
        let field = match (path.as_str(), unknown) {
            (".", None) => String::new(),
            (".", Some(name)) => name,
            (_, Some(name)) if path.rsplit('.').next() != Some(name.as_str()) => format!("{path}.{name}"),
            _ => path,
        };
        JsonError { field: shortened(field), message: shortened(message) }
    })?;
    reader.end().map_err(|e| JsonError { field: String::new(), message: format!("after the JSON object: {e}") })?;
    Ok(value)
}

/// Readers name what they found, and that may be the whole text: its beginning says as much.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// By the protobuf JSON mapping.
pub fn json_of<T: serde::Serialize>(message: &T) -> serde_json::Value {
    serde_json::to_value(message).unwrap_or_default()
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

    #[test]
    fn json_with_an_unknown_field_names_it() {
        let error = from_json::<EventRef>(br#"{"type":"e","ofset":"7"}"#).expect_err("unknown");
        assert_eq!(error.field, "ofset");
        assert!(from_json::<EventRef>(br#"{"type":"e"} x"#).is_err());
        assert_eq!(from_json::<EventRef>(br#"{"type":7}"#).expect_err("a number").field, "type");
    }
}
