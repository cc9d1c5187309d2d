//! `ReadJson` for commands and all that they hold: a match over the names of a message's fields, and a call a field. What
//! no command has is not generated, and a command with a field that the reader can't read is no build.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::rules::{Rules, option, ours, rust_name};

const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Full names of all commands among these messages, and of every message inside one.
pub(crate) fn held_by_commands(messages: &[MessageDescriptor]) -> Result<BTreeSet<String>> {
    fn add(message: &MessageDescriptor, around: &mut Vec<String>, held: &mut BTreeSet<String>) -> Result<()> {
        if around.iter().any(|name| name == message.full_name()) {
            bail!("{}: a command can't hold a message that holds itself: JSON would have no bottom", message.full_name());
        }
        around.push(message.full_name().to_owned());
        for field in message.fields() {
            let inner = if field.is_map() {
                match field.kind() {
                    Kind::Message(entry) => entry.map_entry_value_field().kind(),
                    other => other,
                }
            } else {
                field.kind()
            };
            if let Kind::Message(inner) = inner
                && ours(&inner)
            {
                add(&inner, around, held)?;
            }
        }
        around.pop();
        held.insert(message.full_name().to_owned());
        Ok(())
    }
    let mut held = BTreeSet::new();
    for message in messages {
        if option(&message.options(), "daybook.v1.command").is_some() {
            add(message, &mut Vec::new(), &mut held)?;
        }
    }
    Ok(held)
}

/// The implementation for one message.
pub(crate) fn generate(message: &MessageDescriptor) -> Result<String> {
    let [mut names, mut places, mut reads, mut numbers] = [const { String::new() }; 4];
    for (place, field) in message.fields().enumerate() {
        if field.containing_oneof().is_some() && !is_optional(&field) {
            bail!("{}: a command has no oneof, for it is one message among several on Kafka already", field.full_name());
        }
        let _ = write!(names, "{:?},", field.json_name());
        // Both names are taken, as the mapping has it; they may be the same.
        let both: BTreeSet<&str> = [field.json_name(), field.name()].into();
        let either: Vec<String> = both.iter().map(|name| format!("{name:?}")).collect();
        let _ = write!(places, "{} => Some({place}),", either.join(" | "));
        if let Some(range) = must_be_named(&field) {
            let _ = write!(numbers, "({place}, {range:?}),");
        }
        let _ = write!(reads, "{place} => {{ {} }}", read(&field)?);
    }
    let name = message.name();
    Ok(format!(
        "impl RT::ReadJson for {name} {{\n\
         const NAME: &'static str = {name:?};\nconst MEMBERS: &'static [&'static str] = &[{names}];\n\
         const NUMBERS: &'static [(usize, &'static str)] = &[{numbers}];\n\
         fn member(name: &str) -> Option<usize> {{ match name {{ {places} _ => None }} }}\n\
         fn read(&mut self, member: usize, value: RT::Json<'_>, at: &RT::Path<'_>, out: &mut Vec<RT::Violation>) {{ \
         let _ = (value, at, &out); match member {{ {reads} _ => {{}} }} }}\n}}\n"
    ))
}

/// The values of a number that JSON must name, by the rule `required`.
fn must_be_named(field: &FieldDescriptor) -> Option<String> {
    let rules = Rules::of(field);
    if !rules.required || field.is_list() || is_optional(field) {
        return None;
    }
    let (min, max) = range(&field.kind(), &rules)?;
    let zero = if (min..=max).contains(&0) { "; 0 is written out too" } else { "" };
    Some(format!("a whole number, {min} to {max}{zero}"))
}

/// The range that the rules of a whole number leave of its type's.
fn range(kind: &Kind, rules: &Rules) -> Option<(i128, i128)> {
    let (min, max): (i128, i128) = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i64::MIN.into(), i64::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => return None,
    };
    Some((rules.min.map_or(min, |rule| min.max(rule.into())), rules.max.map_or(max, |rule| max.min(rule.into()))))
}

fn is_optional(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().proto3_optional()
}

fn read(field: &FieldDescriptor) -> Result<String> {
    let rust = rust_name(field.name());
    let rules = Rules::of(field);
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { bail!("{}: not a map", field.full_name()) };
        if entry.map_entry_key_field().kind() != Kind::String {
            bail!("{}: a command's maps have texts for keys", field.full_name());
        }
        let value = single(field, &entry.map_entry_value_field().kind(), &rules)?;
        return Ok(format!("self.{rust} = value.map(at, out, |value, at, out| {value});"));
    }
    let value = single(field, &field.kind(), &rules)?;
    if field.is_list() {
        return Ok(format!("self.{rust} = value.list(at, out, |value, at, out| {value});"));
    }
    if is_optional(field) || matches!(field.kind(), Kind::Message(_)) {
        return Ok(format!("self.{rust} = {value};"));
    }
    Ok(format!("if let Some(value) = {value} {{ self.{rust} = value; }}"))
}

/// The expression for one value, an `Option`.
fn single(field: &FieldDescriptor, kind: &Kind, rules: &Rules) -> Result<String> {
    if let Some((min, max)) = range(kind, rules) {
        let rust = match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "i32",
            Kind::Uint32 | Kind::Fixed32 => "u32",
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "i64",
            _ => "u64",
        };
        return Ok(format!("value.whole::<{rust}>({min}, {max}, at, out)"));
    }
    Ok(match kind {
        Kind::Bool => "value.boolean(at, out)".to_owned(),
        Kind::String => "value.text(at, out)".to_owned(),
        Kind::Enum(e) => format!("value.enumeration({}, at, out)", enum_values(e)),
        Kind::Message(m) if m.full_name() == TIMESTAMP => "value.timestamp(at, out)".to_owned(),
        Kind::Message(m) if ours(m) => "value.message(at, out)".to_owned(),
        other => bail!("{}: a command's JSON has no {other:?}: teach it to daybook_proto::Json first", field.full_name()),
    })
}

/// The expression for the names and numbers of an enum.
pub(crate) fn enum_values(e: &EnumDescriptor) -> String {
    let values: String = e.values().map(|v| format!("({:?}, {}),", v.name(), v.number())).collect();
    format!("&[{values}]")
}
