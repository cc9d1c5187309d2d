//! Bytes as their descriptors say: what the judge knows of messages is what the contract's `.proto` files say.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use uuid::Uuid;

/// The result of a command, as its ledger row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerResult {
    pub(crate) service: String,
    pub(crate) stream: String,
    /// The stream's version afterwards.
    pub(crate) version: u64,
    /// Type and offset.
    pub(crate) events: Vec<(String, i64)>,
    pub(crate) partition: i32,
    /// The last offset that it rests on.
    pub(crate) offset: i64,
    pub(crate) epoch: u64,
    pub(crate) command_digest: Vec<u8>,
    pub(crate) outcome: CommandOutcome,
}

/// The three ways in which a command ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    Accepted,
    Refused { code: String },
    PreconditionFailed { expected: i64 },
}

impl LedgerResult {
    /// The stream's version before its events.
    pub(crate) fn version_before(&self) -> u64 {
        self.version - self.version.min(self.events.len() as u64)
    }

    /// As clients get it.
    pub(crate) fn token(&self) -> String {
        format!("{}/{}:{}@{}", self.service, self.partition, self.offset, self.epoch)
    }
}

/// A consistency token, or a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) service: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
}

/// Tokens of texts, which may each be a list with commas. What is none is passed over.
pub(crate) fn tokens(texts: &[String]) -> Vec<Token> {
    texts.iter().flat_map(|text| text.split(',')).filter_map(|text| token(text.trim())).collect()
}

fn token(text: &str) -> Option<Token> {
    let (service, rest) = text.split_once('/')?;
    let (partition, rest) = rest.split_once(':')?;
    let (offset, epoch) = rest.split_once('@')?;
    Some(Token {
        service: service.to_owned(),
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
        epoch: epoch.parse().ok()?,
    })
}

/// The descriptor of a message of the services or of Daybook.
fn descriptor(type_name: &str) -> Result<MessageDescriptor, String> {
    let of_a_service = contract::descriptors().get_message_by_name(type_name);
    let found = of_a_service.or_else(|| daybook_proto::descriptors().get_message_by_name(type_name));
    found.ok_or_else(|| format!("no type is named {type_name}"))
}

fn decoded(type_name: &str, bytes: &[u8]) -> Result<DynamicMessage, String> {
    DynamicMessage::decode(descriptor(type_name)?, bytes).map_err(|e| format!("no {type_name}: {e}"))
}

/// By the protobuf JSON mapping, default values written out.
fn told(message: &DynamicMessage) -> Result<Value, String> {
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|e| e.to_string())
}

/// A message as JSON, default values written out.
pub(crate) fn json(type_name: &str, bytes: &[u8]) -> Result<Value, String> {
    told(&decoded(type_name, bytes)?)
}

/// A command as a client wrote it, in JSON, with default values written out, and its encoding.
pub(crate) fn command(type_name: &str, body: &Value) -> Result<(Value, Vec<u8>), String> {
    let message = DynamicMessage::deserialize(descriptor(type_name)?, body).map_err(|e| format!("no {type_name}: {e}"))?;
    Ok((told(&message)?, prost::Message::encode_to_vec(&message)))
}

/// The maps of a message, as JSON names them.
pub(crate) fn maps(type_name: &str) -> Vec<String> {
    let message = descriptor(type_name).into_iter();
    message.flat_map(|m| m.fields().filter(|f| f.is_map()).map(|f| f.json_name().to_owned()).collect::<Vec<_>>()).collect()
}

/// Every message of a service that its commands' package has, by full name.
pub(crate) fn messages_of(service: &str) -> &'static [String] {
    static MESSAGES: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for message in contract::descriptors().all_messages() {
            if let Some(service) = message.package_name().split('.').nth(1) {
                all.entry(service.to_owned()).or_default().push(message.full_name().to_owned());
            }
        }
        all
    });
    MESSAGES.get(service).map(Vec::as_slice).unwrap_or_default()
}

/// The command that a service calls by this name in URLs, `do-something`: its package is `<contract>.<service>.v…`.
pub(crate) fn command_type(service: &str, name: &str) -> Option<&'static str> {
    static TYPES: LazyLock<HashMap<(String, String), String>> = LazyLock::new(|| {
        let messages = contract::descriptors().all_messages();
        let in_service = messages.filter_map(|m| {
            let service = m.package_name().split('.').nth(1)?.to_owned();
            Some(((service, kebab(m.name())), m.full_name().to_owned()))
        });
        in_service.collect()
    });
    TYPES.get(&(service.to_owned(), name.to_owned())).map(String::as_str)
}

/// `do-something` of `DoSomething`.
fn kebab(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// `daybook.v1.Who.PROCESS`, and `WEBHOOK`.
const PROCESS: i32 = 6;
const WEBHOOK: i32 = 7;

/// The origin of an event, by its metadata; texts are empty where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// None where it names none.
    pub(crate) command: Option<Uuid>,
    pub(crate) correlation: String,
    pub(crate) traceparent: String,
    pub(crate) causation: String,
    /// The engine's own process that asked; empty where a client did.
    pub(crate) process: String,
    /// Somebody outside told it, in a notice.
    pub(crate) is_notice: bool,
}

/// An event's metadata.
pub(crate) fn metadata(bytes: &[u8]) -> Result<Metadata, String> {
    let message = decoded("daybook.v1.Metadata", bytes)?;
    let id = bytes_of(&message, "command_id");
    let command = if id.is_empty() { None } else { Some(Uuid::from_slice(&id).map_err(|e| e.to_string())?) };
    let [correlation, traceparent, causation] = ["correlation_id", "traceparent", "causation_id"].map(|field| text_of(&message, field));
    let caller = message.get_field_by_name("caller");
    let caller = caller.as_ref().and_then(|value| value.as_message());
    let is_a = |caller: &DynamicMessage, kind: i32| caller.get_field_by_name("kind").and_then(|kind| kind.as_enum_number()) == Some(kind);
    let process = caller.filter(|caller| is_a(caller, PROCESS)).map(|caller| text_of(caller, "id")).unwrap_or_default();
    let is_notice = caller.is_some_and(|caller| is_a(caller, WEBHOOK));
    Ok(Metadata { command, correlation, traceparent, causation, process, is_notice })
}

fn text_of(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn bytes_of(message: &DynamicMessage, field: &str) -> Vec<u8> {
    message.get_field_by_name(field).and_then(|value| value.as_bytes().map(|b| b.to_vec())).unwrap_or_default()
}

/// A ledger row's result.
pub(crate) fn result(bytes: &[u8]) -> Result<LedgerResult, String> {
    let message = decoded("daybook.v1.CommandResult", bytes)?;
    let said = told(&message)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = said["events"].as_array().into_iter().flatten();
    Ok(LedgerResult {
        service: text(&said["service"]),
        stream: text(&said["streamId"]),
        version: integer(&said["version"]).unwrap_or_default().unsigned_abs(),
        events: events.map(|e| (text(&e["type"]), integer(&e["offset"]).unwrap_or(-1))).collect(),
        partition: integer(&said["partition"]).and_then(|n| i32::try_from(n).ok()).unwrap_or(-1),
        offset: integer(&said["offset"]).unwrap_or(-1),
        epoch: integer(&said["epoch"]).unwrap_or_default().unsigned_abs(),
        command_digest: bytes_of(&message, "command_digest"),
        outcome: outcome(&said).ok_or("a result without an outcome")?,
    })
}

fn outcome(said: &Value) -> Option<CommandOutcome> {
    if let Some(refused) = said.get("refused") {
        return Some(CommandOutcome::Refused { code: refused["code"].as_str()?.to_owned() });
    }
    if let Some(failed) = said.get("preconditionFailed") {
        return Some(CommandOutcome::PreconditionFailed { expected: integer(&failed["expected"])? });
    }
    said.get("accepted").map(|_| CommandOutcome::Accepted)
}

/// A number, in either of the forms that the JSON mapping has for one.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// Microseconds since 1970 of a time as RFC 3339 writes it.
pub(crate) fn micros(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros())
}
