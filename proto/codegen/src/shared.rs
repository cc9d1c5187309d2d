//! Fields that the messages of one aggregate share: events made of a command's fields, and the fields that all members of a set have.

use std::fmt::Write as _;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::rules::rust_name;

/// `From<&Command> for Event` for every pair that shares the fields which name the stream: what both have by name and type is
/// copied, all else is left at its default, to be said where the event is made: `StockReserved { expires_at, ..c.into() }`.
pub(crate) fn conversions(command: &MessageDescriptor, key: &[String], events: &[&MessageDescriptor]) -> String {
    let mut out = String::new();
    for event in events {
        let shared: Vec<String> = event.fields().filter(|f| has(command, f)).map(|f| f.name().to_owned()).collect();
        if !key.iter().all(|name| shared.contains(name)) {
            continue;
        }
        let copied: String = shared.iter().map(|name| format!("{0}: c.{0}.clone(),", rust_name(name))).collect();
        let rest = if shared.len() < event.fields().len() { "..Default::default()" } else { "" };
        let _ = writeln!(
            out,
            "/// Takes the fields that both have by name and type: {}. All else is left at its default.\n\
             impl From<&{command}> for {event} {{ fn from(c: &{command}) -> Self {{ Self {{ {copied} {rest} }} }} }}",
            shared.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            command = command.name(),
            event = event.name(),
        );
    }
    out
}

/// Methods of sets and of every Rust enum: a field of that name is read by matching on the member.
const TAKEN: [&str; 16] = [
    "type_name",
    "encode_to_vec",
    "decode",
    "has_unknown_enum",
    "to_json",
    "from_json",
    "key",
    "tidy",
    "violations",
    "pool",
    "code",
    "title",
    "clone",
    "eq",
    "ne",
    "fmt",
];

/// A method for each text, number and truth value that all members of a set have by name and type.
pub(crate) fn accessors(set: &str, members: &[&MessageDescriptor]) -> String {
    let Some((first, others)) = members.split_first() else { return String::new() };
    let mut methods = String::new();
    for field in first.fields() {
        let (returns, read) = match field.kind() {
            _ if field.is_list() || field.supports_presence() || TAKEN.contains(&field.name()) => continue,
            Kind::String => ("&str", "&m."),
            Kind::Bool => ("bool", "m."),
            Kind::Uint32 | Kind::Fixed32 => ("u32", "m."),
            Kind::Uint64 | Kind::Fixed64 => ("u64", "m."),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => ("i32", "m."),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => ("i64", "m."),
            _ => continue,
        };
        if others.iter().all(|m| has(m, &field)) {
            let name = rust_name(field.name());
            let arms: String = members.iter().map(|m| format!("Self::{}(m) => {read}{name},", m.name())).collect();
            let _ = writeln!(
                methods,
                "/// Field `{}`, which every member has.\npub fn {name}(&self) -> {returns} {{ match self {{ {arms} }} }}",
                field.name()
            );
        }
    }
    if methods.is_empty() { methods } else { format!("impl {set} {{\n{methods}}}\n") }
}

/// Whether a message has a field of this name that is of the same Rust type.
fn has(message: &MessageDescriptor, field: &FieldDescriptor) -> bool {
    message.get_field_by_name(field.name()).is_some_and(|other| is_same(&other, field))
}

fn is_same(a: &FieldDescriptor, b: &FieldDescriptor) -> bool {
    // The fields of a real oneof are no fields in Rust.
    let is_plain = |f: &FieldDescriptor| f.containing_oneof().is_none() || f.field_descriptor_proto().proto3_optional();
    let is_same_kind = match (a.kind(), b.kind()) {
        // Each message has an entry of its own for its map.
        (Kind::Message(x), Kind::Message(y)) if a.is_map() && b.is_map() => {
            is_same(&x.map_entry_key_field(), &y.map_entry_key_field()) && is_same(&x.map_entry_value_field(), &y.map_entry_value_field())
        }
        (x, y) => x == y,
    };
    let form = |f: &FieldDescriptor| (f.is_map(), f.is_list(), f.supports_presence());
    is_plain(a) && is_plain(b) && form(a) == form(b) && is_same_kind
}
