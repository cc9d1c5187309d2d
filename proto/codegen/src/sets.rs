//! Message sets: the commands, events and refusals of one aggregate as one Rust enum each. On Kafka and in the
//! log stands the concrete message with its full name beside it; the enum lives in process only.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use prost_reflect::{MessageDescriptor, Value};

use crate::checks::{Rules, option, text};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Command,
    Event,
    Refusal,
}

struct Member {
    message: MessageDescriptor,
    service: String,
    /// Of a command: the template; of a refusal: the title.
    extra: String,
}

pub(crate) fn generate(runtime: &str, messages: &[MessageDescriptor]) -> Result<String> {
    let mut sets: BTreeMap<(String, Kind), Vec<Member>> = BTreeMap::new();
    for message in messages {
        for (kind, name, extra) in
            [(Kind::Command, "command", "stream_id"), (Kind::Event, "event", ""), (Kind::Refusal, "refusal", "title")]
        {
            let Some(options) = option(&message.options(), &format!("daybook.v1.{name}")) else { continue };
            let service = service(message)?;
            let extra = if extra.is_empty() { String::new() } else { text(&options, extra) };
            sets.entry((text(&options, "aggregate"), kind)).or_default().push(Member { message: message.clone(), service, extra });
        }
    }
    let mut out = String::new();
    for ((aggregate, kind), members) in &sets {
        if aggregate.is_empty() {
            bail!("{}: its option names no aggregate", members[0].message.full_name());
        }
        set(&mut out, aggregate, *kind, members)?;
    }
    Ok(out.replace("RT::", &format!("{runtime}::")))
}

fn service(message: &MessageDescriptor) -> Result<String> {
    let file = message.parent_file();
    let options = file.options();
    let Some(extension) = file.parent_pool().get_extension_by_name("daybook.v1.service") else {
        bail!("daybook/v1/options.proto is not imported")
    };
    match options.get_extension(&extension).as_ref() {
        Value::String(s) if !s.is_empty() => Ok(s.clone()),
        _ => bail!("{}: the file has no option (daybook.v1.service)", file.name()),
    }
}

fn set(out: &mut String, aggregate: &str, kind: Kind, members: &[Member]) -> Result<()> {
    let suffix = match kind {
        Kind::Command => "Command",
        Kind::Event => "Event",
        Kind::Refusal => "Refusal",
    };
    let name = format!("{}{suffix}", camel(aggregate));
    let variants: Vec<&str> = members.iter().map(|m| m.message.name()).collect();
    let each = |f: &dyn Fn(&Member) -> String| members.iter().map(f).collect::<String>();
    let _ = writeln!(
        out,
        "/// Every {} of aggregate `{aggregate}`.\n#[derive(Clone, Debug, PartialEq)]\npub enum {name} {{",
        suffix.to_lowercase()
    );
    for v in &variants {
        let _ = writeln!(out, "{v}({v}),");
    }
    out.push_str("}\n");
    for v in &variants {
        let _ = writeln!(out, "impl From<{v}> for {name} {{ fn from(m: {v}) -> Self {{ Self::{v}(m) }} }}");
    }
    let types = each(&|m| format!("{:?},", m.message.full_name()));
    let _ = writeln!(
        out,
        "impl RT::MessageSet for {name} {{\n\
         const SERVICE: &'static str = {:?};\nconst AGGREGATE: &'static str = {aggregate:?};\nconst TYPES: &'static [&'static str] = &[{types}];\n\
         fn type_name(&self) -> &'static str {{ match self {{ {} }} }}\n\
         fn encode_to_vec(&self) -> Vec<u8> {{ match self {{ {} }} }}\n\
         fn decode(type_name: &str, bytes: &[u8]) -> Result<Self, RT::SetError> {{ match type_name {{ {} _ => Err(RT::SetError::UnknownType(type_name.to_owned())) }} }}\n\
         fn has_unknown_enum(&self) -> bool {{ match self {{ {} }} }}\n\
         fn to_json(&self) -> RT::JsonValue {{ match self {{ {} }} }}\n}}",
        members[0].service,
        each(&|m| format!("Self::{}(_) => {:?},", m.message.name(), m.message.full_name())),
        each(&|m| format!("Self::{}(m) => RT::prost::Message::encode_to_vec(m),", m.message.name())),
        each(&|m| format!("{:?} => RT::decode_as::<{}>(bytes).map(Self::{}),", m.message.full_name(), m.message.name(), m.message.name())),
        each(&|m| format!("Self::{}(m) => RT::Checked::has_unknown_enum(m),", m.message.name())),
        each(&|m| format!("Self::{}(m) => RT::json_of(m),", m.message.name())),
    );
    match kind {
        Kind::Command => {
            let mut keys = String::new();
            for m in members {
                let _ = write!(keys, "Self::{}(m) => {},", m.message.name(), template(&m.message, &m.extra)?);
            }
            let _ = writeln!(
                out,
                "impl RT::CommandSet for {name} {{\n\
                 fn from_json(type_name: &str, json: &[u8]) -> Result<Self, Vec<RT::Violation>> {{ match type_name {{ {} _ => Err(RT::unknown_type(type_name)) }} }}\n\
                 fn key(&self) -> String {{ match self {{ {keys} }} }}\n\
                 fn tidy(&mut self) -> Vec<RT::Violation> {{ let mut out = Vec::new(); match self {{ {} }} out }}\n\
                 fn violations(&self) -> Vec<RT::Violation> {{ let mut out = Vec::new(); match self {{ {} }} out }}\n}}",
                each(&|m| format!(
                    "{:?} => RT::from_json::<{}>(json).map(Self::{}),",
                    m.message.full_name(),
                    m.message.name(),
                    m.message.name()
                )),
                each(&|m| format!("Self::{}(m) => RT::Checked::tidy(m, &RT::Path::Root, &mut out),", m.message.name())),
                each(&|m| format!("Self::{}(m) => RT::Checked::check(m, &RT::Path::Root, &mut out),", m.message.name())),
            );
        }
        Kind::Event => {
            let _ = writeln!(out, "impl RT::EventSet for {name} {{ fn pool() -> &'static RT::DescriptorPool {{ crate::descriptors() }} }}");
        }
        Kind::Refusal => {
            let _ = writeln!(
                out,
                "impl RT::RefusalSet for {name} {{\n\
                 fn code(&self) -> &'static str {{ match self {{ {} }} }}\n\
                 fn title(&self) -> &'static str {{ match self {{ {} }} }}\n}}",
                each(&|m| format!("Self::{}(_) => {:?},", m.message.name(), kebab(m.message.name()))),
                each(&|m| format!("Self::{}(_) => {:?},", m.message.name(), m.extra)),
            );
        }
    }
    Ok(())
}

/// `{sku}@{warehouse}` as Rust. Refused unless it is certain that two streams never share an id: every field
/// named is an id, and what stands between two fields is no character that an id may hold.
fn template(message: &MessageDescriptor, template: &str) -> Result<String> {
    let mut format = String::new();
    let mut arguments = String::new();
    let mut rest = template;
    let mut fields = 0;
    while let Some(open) = rest.find('{') {
        let between = &rest[..open];
        if fields > 0 && !between.chars().any(|c| !(c.is_ascii_alphanumeric() || "._-".contains(c))) {
            bail!("{}: stream_id {template:?}: put a character outside [A-Za-z0-9._-] between two fields, such as @", message.full_name());
        }
        let Some(close) = rest[open..].find('}') else { bail!("{}: stream_id {template:?}: a brace is not closed", message.full_name()) };
        let name = &rest[open + 1..open + close];
        let Some(field) = message.get_field_by_name(name) else {
            bail!("{}: stream_id names {name:?}, which is no field", message.full_name())
        };
        if !Rules::of(&field).id || field.kind() != prost_reflect::Kind::String || field.is_list() {
            bail!("{}: stream_id names {name:?}, which must be a string with the rule `id: true`", message.full_name());
        }
        format.push_str(between);
        format.push_str("{}");
        let _ = write!(arguments, ", m.{name}");
        rest = &rest[open + close + 1..];
        fields += 1;
    }
    if fields == 0 {
        bail!("{}: stream_id {template:?} names no field", message.full_name());
    }
    format.push_str(rest);
    Ok(format!("format!({format:?}{arguments})"))
}

fn camel(name: &str) -> String {
    name.split(['-', '_']).map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &str, stream_id: &str) -> Result<String> {
        let dir = std::env::temp_dir().join(format!("daybook-codegen-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&dir)?;
        let options = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        std::fs::write(
            dir.join("t.proto"),
            format!(
                "syntax=\"proto3\"; package t; import \"daybook/v1/options.proto\"; option (daybook.v1.service)=\"s\";\n\
                 message Do {{ option (daybook.v1.command) = {{aggregate: \"a\", stream_id: {stream_id:?}}}; {fields} }}"
            ),
        )?;
        let mut compiler = protox::Compiler::new([dir.as_path(), options.as_ref()])?;
        compiler.include_imports(true).open_file("t.proto")?;
        let pool = prost_reflect::DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())?;
        let messages: Vec<_> = pool.files().filter(|f| f.name() == "t.proto").flat_map(|f| f.messages().collect::<Vec<_>>()).collect();
        generate("crate", &messages)
    }

    const ID: &str = "[(daybook.v1.rules).id = true]";

    #[test]
    fn a_build_whose_stream_id_names_a_field_without_the_id_rule_is_refused() {
        assert!(message(&format!("string sku = 1 {ID};"), "{sku}").is_ok());
        let refused = message("string sku = 1;", "{sku}").expect_err("must be refused").to_string();
        assert!(refused.contains("id: true"), "{refused}");
    }

    #[test]
    fn two_fields_of_a_stream_id_need_a_separator_that_no_id_can_hold() {
        let fields = format!("string a = 1 {ID}; string b = 2 {ID};");
        assert!(message(&fields, "{a}@{b}").is_ok());
        assert!(message(&fields, "{a}-{b}").is_err());
        assert!(message(&fields, "{a}{b}").is_err());
    }

    #[test]
    fn names_become_kebab_case() {
        assert_eq!(kebab("InsufficientStock"), "insufficient-stock");
        assert_eq!(camel("stock"), "Stock");
    }
}
