//! Field rules of ownership, as the `.proto` files declare them (`daybook/v1/options.proto`): `personal`, `owner` and `caller`.
//! Checked when a process starts: a person's data that nobody can find can't be erased.

use std::collections::BTreeSet;

use daybook_proto::DescriptorPool;
use daybook_proto::v1::{Access, FieldRules, Owner, Who};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::access::extension;

/// Personal data of the person that the stream is about.
const STREAM: &str = "STREAM";
/// Personal data, in a command, of the person whom the aggregate's state names as its owner.
const OWNER: &str = "OWNER";

/// A field whose rules can't be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, field {field}: {problem}")]
pub struct FieldError {
    /// Full protobuf name of the message.
    pub message: String,
    /// The field's name.
    pub field: String,
    /// The fault, and the remedy.
    pub problem: String,
}

fn wrong(field: &FieldDescriptor, problem: impl Into<String>) -> FieldError {
    FieldError { message: field.parent_message().full_name().to_owned(), field: field.name().to_owned(), problem: problem.into() }
}

/// The messages of one aggregate, by their full protobuf names.
pub(crate) struct Messages<'a> {
    pub(crate) pool: &'a DescriptorPool,
    /// With the access to each.
    pub(crate) commands: &'a [(&'a str, Access)],
    pub(crate) events: &'a [&'a str],
    pub(crate) refusals: &'a [&'a str],
    pub(crate) state: &'a str,
}

impl Messages<'_> {
    /// Checks the rules of every field, and of all that the fields hold.
    pub(crate) fn check(&self) -> Result<(), FieldError> {
        let has_owner = self.state_has_owner()?;
        for (name, access) in self.commands {
            self.visit(name, |field, is_inner| {
                no_owner(field)?;
                if rules(field).personal == OWNER && !has_owner {
                    let remedy = "the aggregate's state names no owner; mark the text that holds the owner's id with `owner: true`";
                    return Err(wrong(field, format!("personal: {OWNER:?}: {remedy}")));
                }
                callers_field(field, is_inner, access)
            })?;
        }
        for name in self.events {
            let mut subject = None;
            self.visit(name, |field, _| {
                no_owner(field)?;
                no_caller(field)?;
                names_person(field)?;
                one_person(field, &mut subject)
            })?;
        }
        for name in self.refusals {
            self.visit(name, |field, _| {
                no_owner(field)?;
                no_caller(field)?;
                names_person(field)
            })?;
        }
        Ok(())
    }

    /// Checks the personal data in a message and in the messages inside it, and shows each field to `look`, with whether it is inside.
    fn visit(&self, message: &str, mut look: impl FnMut(&FieldDescriptor, bool) -> Result<(), FieldError>) -> Result<(), FieldError> {
        let root = self.pool.get_message_by_name(message).expect("generated from these descriptors");
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![(root, false)]);
        while let Some((message, is_inner)) = waiting.pop() {
            if !seen.insert(message.full_name().to_owned()) {
                continue;
            }
            for field in message.fields() {
                personal(&message, &field)?;
                look(&field, is_inner)?;
                if let Kind::Message(inner) = field.kind() {
                    waiting.push((inner, true));
                }
            }
        }
        Ok(())
    }

    /// Whether the state names its owner: at most once, and where a command claims or holds the stream it does.
    fn state_has_owner(&self) -> Result<bool, FieldError> {
        let mut owner: Option<String> = None;
        self.visit(self.state, |field, is_inner| {
            no_caller(field)?;
            names_person(field)?;
            if !rules(field).owner {
                return Ok(());
            }
            if is_inner || !is_one_text(field) {
                return Err(wrong(field, "owner: the owner is a text of the state itself, not a list, a map, or inside another message"));
            }
            match owner.replace(field.name().to_owned()) {
                Some(other) => Err(wrong(field, format!("owner: {other} is the owner already: a state has one"))),
                None => Ok(()),
            }
        })?;
        let claims = |access: &Access| matches!(access.owner(), Owner::Claims | Owner::Holds);
        match self.commands.iter().find(|(_, access)| claims(access)) {
            Some((command, _)) if owner.is_none() => Err(FieldError {
                message: self.state.to_owned(),
                field: "(none)".to_owned(),
                problem: format!("{command} has an owner, and the state none: mark the text that holds the owner's id with `owner: true`"),
            }),
            _ => Ok(owner.is_some()),
        }
    }
}

fn rules(field: &FieldDescriptor) -> FieldRules {
    extension(&field.options(), "daybook.v1.rules").unwrap_or_default()
}

fn is_one_text(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && !field.is_list()
}

fn no_owner(field: &FieldDescriptor) -> Result<(), FieldError> {
    if rules(field).owner { Err(wrong(field, "owner: only a field of the aggregate's state can be that; take it away")) } else { Ok(()) }
}

fn no_caller(field: &FieldDescriptor) -> Result<(), FieldError> {
    if rules(field).caller { Err(wrong(field, "caller: only a field of a command can be that; take it away")) } else { Ok(()) }
}

/// A field that is marked as personal holds texts, bytes or messages, and names its subject.
fn personal(message: &MessageDescriptor, field: &FieldDescriptor) -> Result<(), FieldError> {
    let rules = rules(field);
    if rules.personal.is_empty() {
        return Ok(());
    }
    let of = format!("personal: {:?}", rules.personal);
    if !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Message(_)) {
        return Err(wrong(field, format!("{of}: only texts, bytes and messages can be encrypted; make it one of these")));
    }
    if rules.id {
        return Err(wrong(
            field,
            format!("{of}: an id stands in stream ids and URLs, where it can't be encrypted; take an id that tells nothing"),
        ));
    }
    if [STREAM, OWNER].contains(&&*rules.personal) {
        return Ok(());
    }
    match message.get_field_by_name(&rules.personal) {
        None => Err(wrong(
            field,
            format!("{of}: the message has no such field; name one that says whose it is, or {STREAM}, or in a command {OWNER}"),
        )),
        Some(subject) if !is_one_text(&subject) || !self::rules(&subject).id => {
            Err(wrong(field, format!("{of}: the field that says whose it is must be a text with the rule `id: true`")))
        }
        Some(_) => Ok(()),
    }
}

/// Whose it is can be read off what is kept: only a command is decided beside the state, which names its owner.
fn names_person(field: &FieldDescriptor) -> Result<(), FieldError> {
    if rules(field).personal != OWNER {
        return Ok(());
    }
    Err(wrong(field, format!("personal: {OWNER:?}: only in a command; name the field of the message that says whose it is, or {STREAM}")))
}

/// The metadata of an event name one person: all its personal fields are theirs.
fn one_person(field: &FieldDescriptor, subject: &mut Option<(String, String)>) -> Result<(), FieldError> {
    let personal = rules(field).personal;
    if personal.is_empty() {
        return Ok(());
    }
    // A field's name tells its person in its own message only.
    let within = if personal == STREAM { String::new() } else { field.parent_message().full_name().to_owned() };
    match subject {
        Some((of, name)) if (&*of, &*name) != (&within, &personal) => Err(wrong(
            field,
            format!("personal: {personal:?}: another field of the event is {name}'s; an event holds personal data of one"),
        )),
        _ => {
            *subject = Some((within, personal));
            Ok(())
        }
    }
}

/// A field of a command that must be the caller's id.
fn callers_field(field: &FieldDescriptor, is_inner: bool, access: &Access) -> Result<(), FieldError> {
    if !rules(field).caller {
        return Ok(());
    }
    if is_inner || !is_one_text(field) {
        return Err(wrong(field, "caller: the caller's id is a text of the command itself, not a list, a map, or inside another message"));
    }
    if !access.who().any(|who| [Who::Guest, Who::Customer].contains(&who)) {
        return Err(wrong(field, "caller: no guest and no customer may send the command, so nobody is compared; take it away"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The descriptors of a file with these messages, and of all that it imports.
    pub(crate) fn pool(messages: &str) -> DescriptorPool {
        let dir = std::env::temp_dir().join(format!("daybook-fields-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
        let head = "syntax = \"proto3\"; package t; import \"daybook/v1/access.proto\"; import \"daybook/v1/options.proto\";";
        std::fs::write(dir.join("t.proto"), format!("{head}\n{messages}")).expect("a file");
        let mut compiler = protox::Compiler::new([dir.as_path(), contract.as_ref()]).expect("a compiler");
        compiler.include_imports(true).open_file("t.proto").expect("it compiles");
        std::fs::remove_dir_all(&dir).expect("a folder of ours");
        DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors")
    }

    /// Checks an aggregate with these messages; the access to `Do` comes first.
    fn check(who: &[Who], owner: Owner, messages: &str) -> Result<(), String> {
        let pool = pool(messages);
        let who = who.iter().map(|who| i32::from(*who)).collect();
        let access = Access { who, owner: owner.into(), ..Access::default() };
        let messages = Messages { pool: &pool, commands: &[("t.Do", access)], events: &["t.Done"], refusals: &["t.No"], state: "t.State" };
        messages.check().map_err(|error| error.to_string())
    }

    /// All four messages; these have the fields named.
    fn aggregate(fields: &[(&str, &str)]) -> String {
        let of = |name: &str| fields.iter().filter(|(message, _)| *message == name).map(|(_, fields)| *fields).collect::<String>();
        let all = ["Do", "Done", "No", "State", "Inner"].map(|name| format!("message {name} {{ {} }}", of(name)));
        all.join("\n")
    }

    const ID: &str = "string id = 1 [(daybook.v1.rules).id = true];";

    #[test]
    fn personal_fields_name_a_person_by_an_id_or_the_stream() {
        let event = format!(
            "{ID} string name = 2 [(daybook.v1.rules).personal = \"id\"]; Inner address = 3 [(daybook.v1.rules).personal = \"id\"]; \
             repeated bytes photos = 4 [(daybook.v1.rules).personal = \"id\"];"
        );
        assert_eq!(check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("Done", &event)])), Ok(()));
        let of_stream = "string name = 2 [(daybook.v1.rules).personal = \"STREAM\"]; Inner address = 3;";
        let inner = "string street = 1 [(daybook.v1.rules).personal = \"STREAM\"];";
        assert_eq!(check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("Done", of_stream), ("Inner", inner)])), Ok(()));
    }

    #[test]
    fn a_personal_field_that_names_nobody_is_refused_by_message_and_field() {
        let name = |subject: &str| format!("string name = 2 [(daybook.v1.rules).personal = {subject:?}];");
        for message in ["Do", "Done", "No", "State"] {
            let refused = |fields: &str, says: &str| {
                let error = check(&[Who::Staff], Owner::NoOwner, &aggregate(&[(message, fields)])).expect_err(fields);
                assert!(error.starts_with(&format!("t.{message}, field name: personal")) && error.contains(says), "{fields}: {error}");
            };
            refused(&format!("{ID} {}", name("customer")), "no such field");
            refused(&format!("string id = 1; {}", name("id")), "id: true");
            refused(&format!("repeated string id = 1 [(daybook.v1.rules).id = true]; {}", name("id")), "id: true");
            refused(&format!("{ID} int64 name = 2 [(daybook.v1.rules).personal = \"id\"];"), "only texts, bytes and messages");
            refused(&format!("{ID} string name = 2 [(daybook.v1.rules) = {{id: true, personal: \"id\"}}];"), "can't be encrypted");
        }
        let inner = aggregate(&[("Done", "Inner inner = 1;"), ("Inner", &name("STRAEM"))]);
        let error = check(&[Who::Staff], Owner::NoOwner, &inner).expect_err("a message inside it");
        assert!(error.starts_with("t.Inner, field name: "), "{error}");
    }

    #[test]
    fn only_a_command_may_leave_its_person_to_the_owner_and_only_where_the_state_names_one() {
        let owner = "string customer = 1 [(daybook.v1.rules).owner = true];";
        let name = "string name = 2 [(daybook.v1.rules).personal = \"OWNER\"];";
        assert_eq!(check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("State", owner), ("Do", name)])), Ok(()));
        let error = check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("Do", name)])).expect_err("nobody is the owner");
        assert!(error.starts_with("t.Do, field name: personal: \"OWNER\": the aggregate's state names no owner"), "{error}");
        for message in ["Done", "No", "State"] {
            let state = if message == "State" { format!("{owner} {name}") } else { owner.to_owned() };
            let fields = if message == "State" { vec![("State", &*state)] } else { vec![("State", &*state), (message, name)] };
            let error = check(&[Who::Staff], Owner::NoOwner, &aggregate(&fields)).expect_err(message);
            assert!(error.starts_with(&format!("t.{message}, field name: personal")) && error.contains("only in a command"), "{error}");
        }
    }

    #[test]
    fn an_event_holds_personal_data_of_one_person() {
        let two = "string a = 1 [(daybook.v1.rules).id = true]; string b = 2 [(daybook.v1.rules).id = true]; \
                   string c = 3 [(daybook.v1.rules).personal = \"a\"]; string d = 4 [(daybook.v1.rules).personal = \"b\"];";
        let error = check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("Done", two)])).expect_err("two people");
        assert!(error.starts_with("t.Done, field d: ") && error.contains("of one"), "{error}");
        assert_eq!(check(&[Who::Staff], Owner::NoOwner, &aggregate(&[("State", two)])), Ok(()), "a state may hold several people's");
    }

    #[test]
    fn a_state_names_its_owner_once_and_where_a_command_has_one() {
        let owner = "string customer = 1 [(daybook.v1.rules).owner = true];";
        for (kind, fields) in [(Owner::Claims, owner), (Owner::Holds, owner), (Owner::NoOwner, ""), (Owner::NoOwner, owner)] {
            assert_eq!(check(&[Who::Customer], kind, &aggregate(&[("State", fields)])), Ok(()));
        }
        let refused = |fields: &[(&str, &str)], says: &str| {
            let error = check(&[Who::Customer], Owner::Claims, &aggregate(fields)).expect_err(says);
            assert!(error.contains(says), "{fields:?}: {error}");
        };
        refused(&[], "t.State, field (none): t.Do has an owner");
        refused(&[("State", &format!("{owner} string other = 2 [(daybook.v1.rules).owner = true];"))], "field other: owner: customer is");
        refused(&[("State", "repeated string all = 1 [(daybook.v1.rules).owner = true];")], "field all: owner: the owner is a text");
        refused(&[("State", "Inner inner = 1;"), ("Inner", owner)], "t.Inner, field customer: owner: the owner is a text");
        for message in ["Do", "Done", "No"] {
            refused(
                &[("State", owner), (message, owner)],
                &format!("t.{message}, field customer: owner: only a field of the aggregate's state"),
            );
        }
    }

    #[test]
    fn only_a_command_of_guests_or_customers_says_who_calls() {
        let caller = "string customer = 1 [(daybook.v1.rules).caller = true];";
        assert_eq!(check(&[Who::Guest, Who::Staff], Owner::NoOwner, &aggregate(&[("Do", caller)])), Ok(()));
        let refused = |who: Who, fields: &[(&str, &str)], says: &str| {
            let error = check(&[who], Owner::NoOwner, &aggregate(fields)).expect_err(says);
            assert!(error.contains(says), "{fields:?}: {error}");
        };
        refused(Who::Process, &[("Do", caller)], "t.Do, field customer: caller: no guest");
        refused(
            Who::Guest,
            &[("Do", "int64 n = 1 [(daybook.v1.rules).caller = true];")],
            "t.Do, field n: caller: the caller's id is a text",
        );
        refused(Who::Guest, &[("Do", "Inner inner = 1;"), ("Inner", caller)], "t.Inner, field customer: caller: the caller's id is a text");
        for message in ["Done", "No", "State"] {
            refused(Who::Guest, &[(message, caller)], &format!("t.{message}, field customer: caller: only a field of a command"));
        }
    }
}
