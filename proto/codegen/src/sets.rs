//! Message sets: the commands, events and refusals of one aggregate as one Rust enum each. On Kafka and in the
//! log stands the concrete message with its full name beside it; the enum lives in process only.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use crate::rules::{Rules, option, text};
use crate::shared;

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
        let mut is = Vec::new();
        for (kind, name) in [(Kind::Command, "command"), (Kind::Event, "event"), (Kind::Refusal, "refusal")] {
            let Some(options) = option(&message.options(), &format!("daybook.v1.{name}")) else { continue };
            is.push(name);
            let (aggregate, extra) = belongs(message, kind, &options)?;
            sets.entry((aggregate, kind)).or_default().push(Member { message: message.clone(), service: service(message)?, extra });
        }
        if is.len() > 1 {
            bail!("{}: it is marked as {}; take one, for a name means one thing", place(message), is.join(" and as "));
        }
    }
    unused_aggregates(messages)?;
    let mut out = String::new();
    for ((aggregate, kind), members) in &sets {
        if let Some(other) = members.iter().find(|m| m.service != members[0].service) {
            bail!(
                "aggregate {aggregate:?} is of service {:?} in {}, and of {:?} in {}; an aggregate has one service",
                members[0].service,
                place(&members[0].message),
                other.service,
                place(&other.message)
            );
        }
        set(&mut out, aggregate, *kind, members)?;
        if let (Kind::Command, Some(events)) = (kind, sets.get(&(aggregate.clone(), Kind::Event))) {
            let events: Vec<&MessageDescriptor> = events.iter().map(|m| &m.message).collect();
            for command in members {
                out += &shared::conversions(&command.message, &names(&command.extra), &events);
            }
        }
    }
    Ok(out.replace("RT::", &format!("{runtime}::")))
}

/// Where a message stands, for whoever has to change it.
fn place(message: &MessageDescriptor) -> String {
    format!("{}: {}", message.parent_file().name(), message.name())
}

/// The file's own option, for all its messages: the aggregate's name, and the template of its stream ids.
fn of_file(message: &MessageDescriptor) -> Result<Option<(String, String)>> {
    let file = message.parent_file();
    let Some(options) = option(&file.options(), "daybook.v1.aggregate") else { return Ok(None) };
    let name = text(&options, "name");
    if name.is_empty() {
        bail!("{}: its option (daybook.v1.aggregate) has no name; add name: \"…\", or take the option away", file.name());
    }
    Ok(Some((name, text(&options, "stream_id"))))
}

/// The aggregate that a message belongs to; and of a command the template of its stream id, of a refusal its title.
fn belongs(message: &MessageDescriptor, kind: Kind, options: &DynamicMessage) -> Result<(String, String)> {
    let of_file = of_file(message)?;
    let (own, own_id) = (text(options, "aggregate"), if kind == Kind::Command { text(options, "stream_id") } else { String::new() });
    let aggregate = match (&of_file, own.is_empty()) {
        (Some((name, _)), false) if *name == own => {
            bail!("{}: its option names the aggregate {own:?}, which is its file's; leave it out", place(message))
        }
        (_, false) => own,
        (Some((name, _)), true) => name.clone(),
        (None, true) => bail!(
            "{}: nothing says which aggregate it belongs to; add option (daybook.v1.aggregate) = {{name: \"…\", stream_id: \"…\"}} to the file",
            place(message)
        ),
    };
    let is_word =
        |w: &str| w.starts_with(|c: char| c.is_ascii_lowercase()) && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !aggregate.split('-').all(is_word) {
        bail!("{}: the aggregate's name {aggregate:?} is not lower-case words with - between them, such as \"gift-card\"", place(message));
    }
    let extra = match kind {
        Kind::Event => String::new(),
        Kind::Refusal => match text(options, "title") {
            title if title.is_empty() => bail!("{}: it says nothing to people; add title: \"…\" to its option", place(message)),
            title => title,
        },
        Kind::Command => match of_file {
            Some((name, id)) if name == aggregate && !id.is_empty() && own_id == id => {
                bail!("{}: its option has the stream_id {own_id:?}, which is its file's; leave it out", place(message))
            }
            // The file's is that of the file's aggregate alone.
            Some((name, id)) if name == aggregate && own_id.is_empty() && !id.is_empty() => id,
            _ if own_id.is_empty() => bail!(
                "{}: nothing says which fields name its stream of {aggregate:?}; add stream_id: \"{{…}}\" beside the aggregate's name",
                place(message)
            ),
            _ => own_id,
        },
    };
    Ok((aggregate, extra))
}

/// An aggregate that a file names and no message takes is a file's mistake: a mark was forgotten.
fn unused_aggregates(messages: &[MessageDescriptor]) -> Result<()> {
    let is_marked = |m: &MessageDescriptor| {
        ["command", "event", "refusal"].iter().any(|name| option(&m.options(), &format!("daybook.v1.{name}")).is_some())
    };
    for message in messages {
        let file = message.parent_file();
        if of_file(message)?.is_some() && !file.messages().any(|m| is_marked(&m)) {
            bail!(
                "{}: it names an aggregate, but none of its messages is a command, an event or a refusal; mark them, for example by \
                 option (daybook.v1.event) = {{}}",
                file.name()
            );
        }
    }
    Ok(())
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
    *out += &shared::accessors(&name, &members.iter().map(|m| &m.message).collect::<Vec<_>>());
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

/// The fields that a template names.
fn names(template: &str) -> Vec<String> {
    template.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

/// `{sku}@{warehouse}` as Rust. Refused unless it is certain that two streams never share an id: every field
/// named is an id or a number, which is written in decimal, and what stands between two fields is no character that an id may hold.
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
        let rules = Rules::of(&field);
        let is_id = rules.id && field.kind() == prost_reflect::Kind::String;
        let is_number = rules.required && rules.min.is_some_and(|min| min > 0) && field.kind() == prost_reflect::Kind::Uint32;
        if field.is_list() || !(is_id || is_number) {
            bail!(
                "{}: stream_id names {name:?}, which must be a string with the rule `id: true`, or a uint32 that is required and at least 1",
                message.full_name()
            );
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

    /// The code that is generated of a file with these contents, behind its imports and its service.
    fn file(contents: &str) -> Result<String> {
        let dir = std::env::temp_dir().join(format!("daybook-codegen-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&dir)?;
        let options = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let head = "syntax=\"proto3\"; package t; import \"daybook/v1/options.proto\"; option (daybook.v1.service)=\"s\";";
        std::fs::write(dir.join("t.proto"), format!("{head}\n{contents}"))?;
        let mut compiler = protox::Compiler::new([dir.as_path(), options.as_ref()])?;
        compiler.include_imports(true).open_file("t.proto")?;
        let pool = prost_reflect::DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())?;
        let messages: Vec<_> = pool.files().filter(|f| f.name() == "t.proto").flat_map(|f| f.messages().collect::<Vec<_>>()).collect();
        generate("crate", &messages)
    }

    fn message(fields: &str, stream_id: &str) -> Result<String> {
        file(&format!("message Do {{ option (daybook.v1.command) = {{aggregate: \"a\", stream_id: {stream_id:?}}}; {fields} }}"))
    }

    const OF_FILE: &str = "option (daybook.v1.aggregate) = {name: \"gift-card\", stream_id: \"{card}\"};";
    const COMMAND: &str = "message Do { option (daybook.v1.command) = {}; string card = 1 [(daybook.v1.rules).id = true]; }";

    #[test]
    fn a_file_says_once_what_its_messages_share_and_a_message_may_say_otherwise() {
        let same = format!("{OF_FILE} {COMMAND} message Done {{ option (daybook.v1.event) = {{}}; string card = 1; }}");
        let code = file(&same).expect("it makes sense");
        assert!(code.contains("pub enum GiftCardCommand") && code.contains("pub enum GiftCardEvent") && code.contains("m.card"), "{code}");
        let other = format!(
            "{OF_FILE} {COMMAND} message Other {{ option (daybook.v1.command) = {{aggregate: \"b\", stream_id: \"x-{{card}}\"}}; string card = 1 {ID}; }}"
        );
        assert!(file(&other).expect("it makes sense").contains("pub enum BCommand"));
        let longer = format!(
            "{OF_FILE} message Do {{ option (daybook.v1.command) = {{stream_id: \"{{card}}@{{shop}}\"}}; string card = 1 {ID}; string shop = 2 {ID}; }}"
        );
        assert!(file(&longer).expect("it makes sense").contains("m.shop"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_file_and_the_remedy() {
        let refused = |contents: &str, remedy: &str| {
            let error = file(contents).expect_err(contents).to_string();
            assert!(error.contains("t.proto") && error.contains(remedy), "{contents}: {error}");
        };
        refused(COMMAND, "add option (daybook.v1.aggregate)");
        refused(&format!("option (daybook.v1.aggregate) = {{name: \"a\"}}; {COMMAND}"), "add stream_id");
        refused(&format!("option (daybook.v1.aggregate) = {{stream_id: \"{{card}}\"}}; {COMMAND}"), "add name");
        refused(
            &format!("option (daybook.v1.aggregate) = {{name: \"Gift_Card\", stream_id: \"{{card}}\"}}; {COMMAND}"),
            "lower-case words",
        );
        refused(&format!("{OF_FILE} message Value {{ string card = 1; }}"), "mark them");
        refused(&format!("{OF_FILE} message No {{ option (daybook.v1.refusal) = {{}}; }}"), "add title");
        for said_twice in ["aggregate: \"gift-card\"", "stream_id: \"{card}\""] {
            refused(&format!("{OF_FILE} {}", COMMAND.replace("= {}", &format!("= {{{said_twice}}}"))), "leave it out");
        }
        // The file's stream id is not that of another aggregate.
        refused(&format!("{OF_FILE} {}", COMMAND.replace("= {}", "= {aggregate: \"b\"}")), "add stream_id");
        refused(&format!("{OF_FILE} {}", COMMAND.replace("= {};", "= {}; option (daybook.v1.event) = {};")), "take one");
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
    fn an_event_takes_from_a_command_what_both_have_by_name_and_type() {
        let with = |fields: &str| {
            let of_command = format!("string a = 1 {ID}; uint32 n = 2; optional string o = 3; map<string, string> m = 4; string x = 5;");
            let command =
                format!("message Do {{ option (daybook.v1.command) = {{aggregate: \"a\", stream_id: \"{{a}}\"}}; {of_command} }}");
            file(&format!("{command} message Done {{ option (daybook.v1.event) = {{aggregate: \"a\"}}; {fields} }}"))
                .expect("it makes sense")
        };
        let copied = |code: &str| code.split("for Done {").nth(1).map(|c| c.lines().next().unwrap_or_default().to_owned());
        let all =
            copied(&with("string a = 1; uint32 n = 2; optional string o = 3; map<string, string> m = 4;")).expect("they share the key");
        assert!(["a: c.a", "n: c.n", "o: c.o", "m: c.m"].iter().all(|c| all.contains(c)) && !all.contains("Default"), "{all}");
        // Another type, another presence, another name: left at the default.
        let one =
            copied(&with("string a = 1; int32 n = 2; string o = 3; map<string, uint32> m = 4; repeated string x = 5;")).expect("the key");
        assert!(one.contains("{ a: c.a.clone(), ..Default::default() }"), "{one}");
        // Without the field that names the stream it is about something else.
        assert_eq!(copied(&with("uint32 n = 2;")), None);
    }

    #[test]
    fn a_set_tells_the_fields_that_all_its_members_have() {
        let code = file(
            "message A { option (daybook.v1.event) = {aggregate: \"a\"}; string id = 1; uint32 n = 2; string only = 3; string code = 4; }\n\
             message B { option (daybook.v1.event) = {aggregate: \"a\"}; string id = 7; uint32 n = 8; uint32 other = 3; string code = 4; }",
        )
        .expect("it makes sense");
        assert!(code.contains("pub fn id(&self) -> &str") && code.contains("pub fn n(&self) -> u32"), "{code}");
        // `code` is how a set of refusals names its member.
        assert!(["fn only", "fn other", "fn code"].iter().all(|name| !code.contains(name)), "{code}");
    }

    #[test]
    fn names_become_kebab_case() {
        assert_eq!(kebab("InsufficientStock"), "insufficient-stock");
        assert_eq!(camel("stock"), "Stock");
    }
}
