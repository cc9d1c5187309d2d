//! The items of a list's parts, or of a page: taken out of them, filled in from another read model, and put together again.

use prost::bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};

/// The field of a message that repeats its items: a list's only one, or one of a page's.
#[derive(Clone, Debug)]
pub(crate) struct Items {
    field: FieldDescriptor,
    item: MessageDescriptor,
}

impl Items {
    /// None: the message is not a list's. It must have one field, which repeats a message.
    pub(crate) fn of(message: &MessageDescriptor) -> Option<Self> {
        let mut fields = message.fields();
        let (field, None) = (fields.next()?, fields.next()) else { return None };
        Self::field(field)
    }

    /// Of a message that has other fields too. None: it has no such field, or it does not repeat a message.
    pub(crate) fn named(message: &MessageDescriptor, field: &str) -> Option<Self> {
        Self::field(message.get_field_by_name(field)?)
    }

    fn field(field: FieldDescriptor) -> Option<Self> {
        match field.kind() {
            Kind::Message(item) if field.is_list() => Some(Self { field, item }),
            _ => None,
        }
    }

    /// The message of one item.
    pub(crate) fn message(&self) -> &MessageDescriptor {
        &self.item
    }

    /// The name of the field that holds them, as JSON writes it.
    pub(crate) fn name(&self) -> &str {
        self.field.json_name()
    }

    /// The encoded items of a part.
    ///
    /// # Errors
    /// When it is no such message.
    pub(crate) fn split(&self, part: Bytes) -> Result<Vec<Bytes>, String> {
        self.split_off(part).map(|(items, _)| items)
    }

    /// The encoded items of a message, and all else that it holds.
    ///
    /// # Errors
    /// When it is no such message.
    pub(crate) fn split_off(&self, mut part: Bytes) -> Result<(Vec<Bytes>, Vec<u8>), String> {
        let (mut items, mut others) = (Vec::with_capacity(1), Vec::new());
        while part.has_remaining() {
            let field = part.clone();
            let (number, wire) = decode_key(&mut part).map_err(|e| e.to_string())?;
            if number == self.field.number() && wire == WireType::LengthDelimited {
                let length = decode_varint(&mut part).map_err(|e| e.to_string())?;
                let length = usize::try_from(length).ok().filter(|l| *l <= part.remaining()).ok_or("an item is cut off")?;
                items.push(part.split_to(length));
            } else {
                skip_field(wire, number, &mut part, DecodeContext::default()).map_err(|e| e.to_string())?;
                others.extend_from_slice(&field[..field.len() - part.len()]);
            }
        }
        Ok((items, others))
    }

    /// The message of these items.
    pub(crate) fn join(&self, items: &[Bytes]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(items.iter().map(|i| i.len() + 8).sum());
        for item in items {
            encode_key(self.field.number(), WireType::LengthDelimited, &mut bytes);
            encode_varint(item.len() as u64, &mut bytes);
            bytes.extend_from_slice(item);
        }
        bytes
    }

    /// The text that an item has in a field.
    ///
    /// # Errors
    /// When it is no such message, or has no such text.
    pub(crate) fn text(&self, item: &Bytes, field: &str) -> Result<String, String> {
        let decoded = DynamicMessage::decode(self.item.clone(), item.clone()).map_err(|e| e.to_string())?;
        let value = decoded.get_field_by_name(field).ok_or_else(|| format!("{} has no field {field}", self.item.full_name()))?;
        value.as_str().map(str::to_owned).ok_or_else(|| format!("{field} is no text"))
    }
}
