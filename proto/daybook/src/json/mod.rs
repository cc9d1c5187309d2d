//! Protobuf's JSON mapping, both ways. Read: by generated code that calls [`Json`]; every fault is told with its field, what
//! stands there, and what may. serde_json takes the text apart and hands out each value as it was written, so that numbers
//! stay exact. Written: by prost-reflect. What is held against the protobuf project's conformance suite: docs/json-mapping.md.

mod number;
#[cfg(test)]
mod tests;
mod time;

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::Timestamp;
use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::de::Read;
use serde_json::value::RawValue;

use crate::violation::{LONGEST_SHOWN, MAX_TOLD, REQUIRED, add, one_of, push, shortened};
use crate::{Checked, JsonValue, Named, Path, Violation};

/// A message that is read from JSON. Generated for commands, and for what they hold.
pub trait ReadJson: Default {
    /// Its name without the package.
    const NAME: &'static str;
    /// The JSON names of its fields.
    const MEMBERS: &'static [&'static str];
    /// Numbers that must be named: the place in [`MEMBERS`](Self::MEMBERS) of each, and what it may be.
    const NUMBERS: &'static [(usize, &'static str)] = &[];
    /// The place in [`MEMBERS`](Self::MEMBERS) of a field, by its JSON name or by its name in the `.proto` file.
    fn member(name: &str) -> Option<usize>;
    /// Sets the field at that place. What can't be read is added to `out`.
    fn read(&mut self, member: usize, value: Json<'_>, at: &Path<'_>, out: &mut Vec<Violation>);
}

/// A value of JSON, as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

/// Reads a message.
///
/// # Errors
/// All that is wrong, each with its field; without a field when the whole text is meant.
pub fn from_json<T: ReadJson + Checked>(json: &[u8]) -> Result<T, Vec<Violation>> {
    // RFC 8259 lets a reader pass over the mark that some writers begin with.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let whole = |message: String| vec![Violation { field: String::new(), message }];
    if is_utf16(json) {
        return Err(whole("is not UTF-8, it looks like UTF-16: JSON is sent as UTF-8".to_owned()));
    }
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(whole(no_object(json)));
    }
    let mut out = Vec::new();
    let mut reader = Deserializer::from_slice(json);
    let read = object::<T, _>(&mut reader, &Path::Root, &mut out);
    match read.and_then(|message| reader.end().map(|()| message).map_err(|e| (None, e))) {
        Ok(message) if out.is_empty() => Ok(message),
        Ok(message) => Err(with_rules(message, out)),
        Err((field, error)) => {
            let broken = Violation { field: field.unwrap_or_default(), message: broken(&error, json) };
            if out.len() >= MAX_TOLD {
                out.remove(MAX_TOLD - 1);
            }
            out.insert(0, broken);
            Err(out)
        }
    }
}

/// Where nothing is wrong but that numbers are missing, the message is held against its rules as well: all is told at once.
fn with_rules<T: Checked>(mut message: T, mut missing: Vec<Violation>) -> Vec<Violation> {
    if missing.iter().any(|fault| !fault.message.starts_with(REQUIRED)) {
        return missing;
    }
    let mut out = Vec::new();
    message.tidy(&Path::Root, &mut out);
    message.check(&Path::Root, &mut out);
    // A number that is missing is 0 to the rules.
    out.retain(|fault| !missing.iter().any(|lacks| lacks.field == fault.field));
    out.into_iter().for_each(|fault| push(&mut missing, || fault));
    missing
}

/// By its mark, or by the zero that half of a brace is.
fn is_utf16(json: &[u8]) -> bool {
    matches!(json, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..])
}

/// The kind of a body that does not begin as an object.
fn no_object(json: &[u8]) -> String {
    if json.trim_ascii().is_empty() {
        return "is empty: it must be a JSON object".to_owned();
    }
    let begins = snippet(json);
    match serde_json::from_slice::<&RawValue>(json) {
        Ok(_) => format!("must be a JSON object, is {begins}"),
        Err(_) => format!("must be a JSON object, begins with {begins:?}"),
    }
}

/// The beginning of some bytes.
fn snippet(bytes: &[u8]) -> String {
    let some = &bytes[..bytes.len().min(4 * LONGEST_SHOWN)];
    shortened(String::from_utf8_lossy(some).trim_ascii(), LONGEST_SHOWN).into_owned()
}

/// Where a text stops being JSON.
fn broken(error: &serde_json::Error, json: &[u8]) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return format!("the JSON ends too early, in line {line}: a text, a list or an object is not closed");
    }
    let begin: usize = json.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let from = json.get(begin + column.saturating_sub(1)..).unwrap_or_default();
    let utf8 = if std::str::from_utf8(json).is_err() { ", and not UTF-8" } else { "" };
    format!("is no JSON{utf8}: line {line}, column {column}, from {:?} on", shortened(&snippet(from), 20))
}

/// The members of an object, as `take(name, value)`; no value: it breaks off there.
struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, Option<&'de str>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            match map.next_value::<&RawValue>() {
                Ok(value) => (self.0)(name, Some(value.get())),
                Err(error) => {
                    (self.0)(name, None);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed where nothing in it is escaped.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A message; where it breaks off, the field that it was at.
fn object<'de, T: ReadJson, R: Read<'de>>(
    reader: &mut Deserializer<R>,
    path: &Path<'_>,
    out: &mut Vec<Violation>,
) -> Result<T, (Option<String>, serde_json::Error)> {
    let mut message = T::default();
    // Under which name, and whether with a value.
    let mut given: Vec<Option<(Cow<'de, str>, bool)>> = vec![None; T::MEMBERS.len()];
    let mut at = None;
    let taken = reader.deserialize_map(Members(|name: Cow<'de, str>, value: Option<&'de str>| {
        let Some(member) = T::member(&name) else {
            let known = T::MEMBERS.join(", ");
            let name = if name.is_empty() { Cow::Borrowed("\"\"") } else { shortened(&name, LONGEST_SHOWN) };
            return add(&path.field(&name), format!("is no field of {}, which has {known}", T::NAME), out);
        };
        let path = path.field(T::MEMBERS[member]);
        let Some(value) = value else {
            at = Some(path.to_string());
            return;
        };
        if let Some((before, named)) = &mut given[member] {
            *named = true;
            let names = if *before == name { String::new() } else { format!(", as {before} and as {name}") };
            return add(&path, format!("is given twice{names}"), out);
        }
        given[member] = Some((name, value != "null"));
        // Null is the same as not to name the field.
        if value != "null" {
            message.read(member, Json(value), &path, out);
        }
    }));
    match taken {
        Ok(()) => {
            for (member, what) in T::NUMBERS {
                if !matches!(given[*member], Some((_, true))) {
                    add(&path.field(T::MEMBERS[*member]), format!("{REQUIRED}: {what}"), out);
                }
            }
            Ok(message)
        }
        Err(error) => Err((at, error)),
    }
}

impl<'a> Json<'a> {
    fn must_be(self, what: &str, at: &Path<'_>, out: &mut Vec<Violation>) {
        add(at, format!("must be {what}, is {}", shortened(self.0, LONGEST_SHOWN)), out);
    }

    /// The value of a text; none where it is no text, or one of half characters.
    fn unquoted(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// A text.
    pub fn text(self, at: &Path<'_>, out: &mut Vec<Violation>) -> Option<String> {
        let text = self.unquoted();
        if text.is_none() {
            let what = if self.0.starts_with('"') { "a text of whole characters (an escape is half of a pair)" } else { "a text" };
            self.must_be(what, at, out);
        }
        text.map(Cow::into_owned)
    }

    /// `true` or `false`.
    pub fn boolean(self, at: &Path<'_>, out: &mut Vec<Violation>) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.must_be("true or false", at, out);
                None
            }
        }
    }

    /// A whole number, as a number or as a text of one. `min` and `max` are what is told: bounds that are narrower than the
    /// type's are checked with the field's other rules.
    pub fn whole<T: TryFrom<i128>>(self, min: i128, max: i128, at: &Path<'_>, out: &mut Vec<Violation>) -> Option<T> {
        let text = if self.0.starts_with('"') { self.unquoted() } else { Some(Cow::Borrowed(self.0)) };
        let value = text.and_then(|text| number::whole(&text).ok()).and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            self.must_be(&format!("a whole number, {min} to {max}"), at, out);
        }
        value
    }

    /// The number of an enum's value, by its name or by its number, which may be one that this build has no name for.
    pub fn enumeration(self, values: &[(&str, i32)], at: &Path<'_>, out: &mut Vec<Violation>) -> Option<i32> {
        let value = if self.0.starts_with('"') {
            self.unquoted().and_then(|name| values.iter().find(|(known, _)| *known == name).map(|(_, number)| *number))
        } else {
            number::whole(self.0).ok().and_then(|number| i32::try_from(number).ok())
        };
        if value.is_none() {
            self.must_be(&one_of(values), at, out);
        }
        value
    }

    /// A moment.
    pub fn timestamp(self, at: &Path<'_>, out: &mut Vec<Violation>) -> Option<Timestamp> {
        let why = match self.unquoted() {
            Some(text) => match time::timestamp(&text) {
                Ok(read) => return Some(read),
                Err(why) => format!(" ({why})"),
            },
            None => String::new(),
        };
        self.must_be(&format!("a time such as \"2026-11-29T08:00:00Z\" or \"2026-11-29T10:00:00.5+02:00\"{why}"), at, out);
        None
    }

    /// A message.
    pub fn message<T: ReadJson>(self, at: &Path<'_>, out: &mut Vec<Violation>) -> Option<T> {
        if !self.0.starts_with('{') {
            self.must_be("an object", at, out);
            return None;
        }
        match object(&mut Deserializer::from_str(self.0), at, out) {
            Ok(message) => Some(message),
            Err(_) => {
                self.must_be("an object whose names are whole characters", at, out);
                None
            }
        }
    }

    /// A list: what `read` makes of its elements.
    pub fn list<T>(
        self,
        at: &Path<'_>,
        out: &mut Vec<Violation>,
        read: impl Fn(Json<'_>, &Path<'_>, &mut Vec<Violation>) -> Option<T>,
    ) -> Vec<T> {
        struct Elements<F>(F);
        impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
            type Value = ();

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
                while let Some(value) = seq.next_element::<&RawValue>()? {
                    (self.0)(value.get());
                }
                Ok(())
            }
        }
        let (mut all, mut index) = (Vec::new(), 0);
        let elements = Elements(|value: &str| {
            all.extend(read(Json(value), &at.index(index), out));
            index += 1;
        });
        if Deserializer::from_str(self.0).deserialize_seq(elements).is_err() {
            self.must_be("a list", at, out);
        }
        all
    }

    /// A map: what `read` makes of its values.
    pub fn map<T>(
        self,
        at: &Path<'_>,
        out: &mut Vec<Violation>,
        read: impl Fn(Json<'_>, &Path<'_>, &mut Vec<Violation>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut all = BTreeMap::new();
        let members = Members(|key: Cow<'_, str>, value: Option<&str>| {
            let Some(value) = value else { return };
            let key = key.into_owned();
            if all.contains_key(&key) {
                return add(&at.key(&key), "is given twice".to_owned(), out);
            }
            // One that can't be read is told, and so is not in doubt when it comes again.
            let value = read(Json(value), &at.key(&key), out);
            all.extend(value.map(|value| (key, value)));
        });
        if Deserializer::from_str(self.0).deserialize_map(members).is_err() {
            let what = if self.0.starts_with('{') { "an object whose names are whole characters" } else { "an object" };
            self.must_be(what, at, out);
        }
        all
    }
}

/// A message by the protobuf JSON mapping, zeros written out: `available: 0` is what a refusal has to say. What is absent
/// stays absent.
pub fn json_of<T: Message + Named>(message: &T) -> JsonValue {
    let descriptor = T::pool().get_message_by_name(T::TYPE).expect("generated from these descriptors");
    // Only a moment that no calendar has can't be written; the field rules let none in.
    bytes_as_json(&descriptor, &message.encode_to_vec()).unwrap_or_default()
}

/// As [`json_of`], of an encoded message. The same bytes give the same value, whoever asks: maps have no order in a decoded
/// message, so members are sorted.
///
/// # Errors
/// When the bytes are no such message, or hold a moment outside the years 1 to 9999.
pub fn bytes_as_json(message: &MessageDescriptor, bytes: &[u8]) -> Result<JsonValue, String> {
    let decoded = DynamicMessage::decode(message.clone(), bytes).map_err(|e| e.to_string())?;
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut value = decoded.serialize_with_options(serde_json::value::Serializer, &options).map_err(|e| e.to_string())?;
    // Without effect where serde_json keeps its objects sorted; a feature of it, set anywhere in the build, changes that.
    value.sort_all_objects();
    Ok(value)
}
