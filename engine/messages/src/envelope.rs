//! A command on `<service>.messages`: its headers, written and read in one place.

use std::sync::Arc;

use bytes::Bytes;
use daybook_bus::headers as h;
use daybook_bus::{Headers, Message, Record};
use daybook_kernel::{Secret, StreamId, ids};
use daybook_proto::v1::{Caller, Request};
use prost::Message as _;
use uuid::Uuid;

use crate::key::idempotency_key;
use crate::key_scope;

/// The purpose and version of the MAC of the engine's own messages: another version has another label, so a MAC of one is none of the other.
/// The header has version 1 as it is, in hex; that of version N is `N:` and the hex.
const MAC_LABEL: &str = "message";

/// The destination of the reply to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// A partition of `command.replies`.
    pub partition: i32,
    /// The endpoint's own number of the waiting request.
    pub request_id: u64,
}

/// A message's headers and value, read but not yet understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The request as it came; its `command` is the value's bytes.
    pub request: Request,
    /// The idempotency key; of an engine message as its header has it, for its id is signed.
    pub key: String,
    /// Of an authentic engine message: its command id.
    pub command_id: Option<Uuid>,
    /// Of an authentic engine message: the one that waits.
    pub reply_to: Option<ReplyTo>,
}

/// The reason why a message can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// A part is missing or wrong; the reason, for people.
    Invalid(String),
    /// Its MAC is of a version that this build does not know. Nothing of it can be believed, and it may be the engine's own.
    UnknownMac(u32),
}

impl From<String> for EnvelopeError {
    fn from(why: String) -> Self {
        Self::Invalid(why)
    }
}

impl From<&str> for EnvelopeError {
    fn from(why: &str) -> Self {
        Self::Invalid(why.to_owned())
    }
}

/// The version of a MAC, where its header says that it is not of version 1.
fn other_version(mac: &[u8]) -> Option<u32> {
    let (version, _) = std::str::from_utf8(mac).ok()?.split_once(':')?;
    version.parse().ok().filter(|version| *version != 1)
}

/// A command on its way to its lane.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The service that decides it.
    pub service: String,
    /// The stream that it is addressed to.
    pub stream: StreamId,
    /// The command's id.
    pub command_id: Uuid,
    /// The idempotency key; empty for a reactor's message.
    pub key: String,
    /// The request, canonical.
    pub request: Request,
    /// The one that waits.
    pub reply_to: Option<ReplyTo>,
    /// Which part of the engine sends it, for people: `endpoint`, `reactors`, `operator`.
    pub source: &'static str,
}

impl Addressed {
    /// As the endpoint sends it: the id is worked out from service, caller, stream and key.
    pub fn new(service: &str, stream: StreamId, key: &str, request: Request) -> Self {
        let command_id = ids::command_id(service, key_scope(&request), stream.as_str(), key);
        Self { service: service.to_owned(), stream, command_id, key: key.to_owned(), request, reply_to: None, source: "endpoint" }
    }

    /// The record for `<service>.messages`, with the MAC that makes it the engine's own.
    pub fn record(&self, topic: Arc<str>, partitions: u32, secret: &Secret) -> Record {
        let r = &self.request;
        let mut headers = Headers::with_capacity(12);
        headers.push(h::CE_TYPE, r.r#type.clone());
        headers.push(h::CE_ID, self.key.clone());
        headers.push(h::CE_SPECVERSION, "1.0");
        headers.push(h::CE_SOURCE, format!("/daybook/{}", self.source));
        headers.push(h::CONTENT_TYPE, "application/protobuf");
        headers.push_display(h::COMMAND_ID, self.command_id);
        let texts = [
            (h::ACTOR, &r.actor),
            (h::REASON, &r.reason),
            (h::SOURCE_ADDRESS, &r.source_address),
            (h::CORRELATION_ID, &r.correlation_id),
            (h::CAUSATION, &r.causation_id),
            (h::TRACEPARENT, &r.traceparent),
        ];
        for (name, text) in texts {
            if !text.is_empty() {
                headers.push(name, text.clone());
            }
        }
        // A caller who is not named is anybody.
        if let Some(caller) = r.caller.as_ref().filter(|caller| **caller != Caller::anonymous()) {
            headers.push(h::CALLER, caller.to_header());
        }
        if let Some(version) = r.if_match {
            headers.push_display(h::IF_MATCH, version);
        }
        if let Some(reply_to) = self.reply_to {
            headers.push_display(h::REPLY_TO, reply_to.partition);
            headers.push_display(h::REQUEST_ID, reply_to.request_id);
        }
        let covered = covered(&topic, self.stream.as_str().as_bytes(), &self.key, self.command_id, self.reply_to, r);
        headers.push(h::MAC, hex::encode(secret.sign(MAC_LABEL, &covered.each_ref().map(Vec::as_slice))));
        Record {
            topic,
            partition: self.stream.partition(partitions),
            key: Bytes::copy_from_slice(self.stream.as_str().as_bytes()),
            headers,
            value: Some(Bytes::from(r.command.clone())),
        }
    }
}

/// The bytes that a message's MAC covers: all that a lane believes of it. The topic is among it, so that a message of one service is none
/// of another; so is the one that waits, so that nobody is answered with another's reply.
fn covered(topic: &str, key: &[u8], ce_id: &str, command_id: Uuid, reply_to: Option<ReplyTo>, request: &Request) -> [Vec<u8>; 6] {
    let reply_to = reply_to.map(|to| [&to.partition.to_be_bytes()[..], &to.request_id.to_be_bytes()[..]].concat());
    [topic.into(), key.into(), ce_id.into(), command_id.as_bytes().into(), reply_to.unwrap_or_default(), request.encode_to_vec()]
}

impl Envelope {
    /// Reads a message's headers. Only a message with a valid MAC may say who calls, what its id is and who waits: nobody
    /// else may occupy another's id, or answer in another's name.
    ///
    /// # Errors
    /// The part that is missing or unreadable, or the other version of the MAC.
    pub fn read(message: &Message, secret: &Secret) -> Result<Self, EnvelopeError> {
        let headers = &message.headers;
        if let Some(version) = headers.get(h::MAC).and_then(|mac| other_version(mac)) {
            return Err(EnvelopeError::UnknownMac(version));
        }
        let text = |name: &str| headers.get_str(name).map(Option::unwrap_or_default).map(str::to_owned).map_err(|e| e.to_string());
        let value = message.value.as_ref().ok_or("the message has no value: it must be the encoded command")?;
        let r#type = text(h::CE_TYPE)?;
        if r#type.is_empty() {
            return Err("the header ce_type is missing: it must be the command's full protobuf name".into());
        }
        // It is named in reasons, which are kept: Postgres takes no U+0000, and a reason must fit into a header.
        if r#type.len() > 255 || r#type.chars().any(char::is_control) {
            return Err("the header ce_type must be the command's full protobuf name: at most 255 printable characters".into());
        }
        let written = text(h::CE_ID)?;
        let mut request = Request {
            r#type,
            command: value.to_vec(),
            if_match: headers.get_parsed(h::IF_MATCH).map_err(|e| e.to_string())?,
            caller: Some(Caller::anonymous()),
            actor: text(h::ACTOR)?,
            reason: text(h::REASON)?,
            source_address: String::new(),
            correlation_id: text(h::CORRELATION_ID)?,
            causation_id: String::new(),
            traceparent: text(h::TRACEPARENT)?,
        };
        let Some(mac) = headers.get(h::MAC) else {
            let key = idempotency_key(&written).map_err(|why| format!("the header ce_id, which is the idempotency key, {why}"))?;
            limits(&request)?;
            return Ok(Self { request, key, command_id: None, reply_to: None });
        };
        if let Some(caller) = headers.get_str(h::CALLER).map_err(|e| e.to_string())? {
            let caller = Caller::of_header(caller).ok_or("the header daybook-caller is not of a form that this build knows")?;
            request.caller = Some(caller);
        }
        request.source_address = text(h::SOURCE_ADDRESS)?;
        request.causation_id = text(h::CAUSATION)?;
        let command_id: Uuid =
            headers.get_parsed(h::COMMAND_ID).map_err(|e| e.to_string())?.ok_or("the header daybook-command-id is missing")?;
        let mac = hex::decode(mac).unwrap_or_default();
        let partition = headers.get_parsed(h::REPLY_TO).ok().flatten();
        let request_id = headers.get_parsed(h::REQUEST_ID).ok().flatten();
        let reply_to = partition.zip(request_id).map(|(partition, request_id)| ReplyTo { partition, request_id });
        let key = message.key.as_deref().unwrap_or_default();
        let covered = covered(&message.topic, key, &written, command_id, reply_to, &request);
        if !secret.verify(MAC_LABEL, &covered.each_ref().map(Vec::as_slice), &mac) {
            return Err("the header daybook-mac is not valid: leave it out, with daybook-command-id and daybook-caller".into());
        }
        Ok(Self { request, key: written, command_id: Some(command_id), reply_to })
    }
}

/// The endpoint's limits hold for every producer on Kafka too.
fn limits(request: &Request) -> Result<(), String> {
    for (name, text, max) in [
        (h::ACTOR, &request.actor, 255),
        (h::REASON, &request.reason, 1_000),
        (h::CORRELATION_ID, &request.correlation_id, 255),
        (h::TRACEPARENT, &request.traceparent, 255),
    ] {
        if text.chars().count() > max || text.contains('\0') {
            return Err(format!("the header {name} must be at most {max} characters, without U+0000"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use daybook_proto::v1::Who;

    use super::*;

    fn bob() -> Caller {
        Caller { kind: Who::Customer.into(), id: "bob".into(), key_scope: "bob's".into(), ..Caller::default() }
    }

    fn sent(secret: &Secret) -> Message {
        let request = Request {
            r#type: "t.Do".into(),
            command: vec![1],
            if_match: Some(3),
            caller: Some(bob()),
            actor: "alice".into(),
            source_address: "10.0.0.1".into(),
            ..Default::default()
        };
        let mut addressed = Addressed::new("s", StreamId::new("a", "1"), "k", request);
        addressed.reply_to = Some(ReplyTo { partition: 4, request_id: 9 });
        let record = addressed.record("s.messages".into(), 16, secret);
        Message {
            topic: record.topic,
            partition: record.partition,
            offset: 0,
            timestamp_ms: None,
            key: Some(record.key),
            value: record.value,
            headers: record.headers,
        }
    }

    fn invalid(read: Result<Envelope, EnvelopeError>, what: &str) -> String {
        match read.expect_err(what) {
            EnvelopeError::Invalid(why) => why,
            EnvelopeError::UnknownMac(version) => panic!("{what}: a MAC of version {version}"),
        }
    }

    fn without(message: &Message, names: &[&str]) -> Message {
        let mut headers = Headers::new();
        for (name, value) in message.headers.iter().filter(|(n, _)| !names.contains(n)) {
            headers.push(name.to_owned(), value.clone());
        }
        Message { headers, ..message.clone() }
    }

    #[test]
    fn an_engine_message_is_read_as_it_was_written() {
        let secret = Secret::new([1; 32]);
        let read = Envelope::read(&sent(&secret), &secret).expect("its MAC is valid");
        assert_eq!(read.request.caller, Some(bob()));
        assert_eq!(read.request.if_match, Some(3));
        assert_eq!(read.command_id, Some(ids::command_id("s", "bob's", "a/1", "k")));
        assert_eq!(read.reply_to, Some(ReplyTo { partition: 4, request_id: 9 }));
    }

    #[test]
    fn nobody_without_the_secret_may_name_a_caller_an_id_or_who_waits() {
        let secret = Secret::new([1; 32]);
        let message = sent(&secret);
        let plain = Envelope::read(&without(&message, &[h::MAC]), &secret).expect("a client's message");
        assert_eq!((plain.request.caller, plain.command_id, plain.reply_to), (Some(Caller::anonymous()), None, None));
        assert!(plain.request.source_address.is_empty());
        let error = invalid(Envelope::read(&message, &Secret::new([2; 32])), "another secret");
        assert!(error.contains("daybook-mac"), "{error}");
        let other_key = Message { key: Some(Bytes::from_static(b"a/2")), ..message };
        assert!(Envelope::read(&other_key, &secret).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let secret = Secret::new([1; 32]);
        let message = without(&sent(&secret), &[h::MAC]);
        assert!(invalid(Envelope::read(&without(&message, &[h::CE_TYPE]), &secret), "no type").contains("ce_type"));
        assert!(invalid(Envelope::read(&without(&message, &[h::CE_ID]), &secret), "no key").contains("ce_id"));
        assert!(invalid(Envelope::read(&Message { value: None, ..message }, &secret), "no value").contains("value"));
    }

    /// A message with one of its headers changed.
    fn with(message: &Message, name: &'static str, value: &str) -> Message {
        let mut changed = without(message, &[name]);
        changed.headers.push(name, value.to_owned());
        changed
    }

    #[test]
    fn a_mac_covers_all_that_a_message_says_of_its_command() {
        let secret = Secret::new([1; 32]);
        let message = sent(&secret);
        let other_id = Uuid::from_u128(7).to_string();
        let changes = [
            (h::COMMAND_ID, other_id.as_str()),
            (h::CALLER, r#"{"kind":"STAFF","id":"eve"}"#),
            (h::ACTOR, "eve"),
            (h::REASON, "why not"),
            (h::SOURCE_ADDRESS, "10.0.0.2"),
            (h::IF_MATCH, "4"),
            (h::CE_TYPE, "t.Undo"),
            (h::CORRELATION_ID, "another"),
            (h::CAUSATION, "another"),
            (h::TRACEPARENT, "another"),
            (h::CE_ID, "another"),
            (h::REPLY_TO, "5"),
            (h::REQUEST_ID, "10"),
        ];
        for (name, value) in changes {
            let error = invalid(Envelope::read(&with(&message, name, value), &secret), name);
            assert!(error.contains("daybook-mac"), "{name}: {error}");
        }
        let others = [
            Message { value: Some(Bytes::from_static(&[2])), ..message.clone() },
            Message { topic: "t.messages".into(), ..message.clone() },
            without(&message, &[h::REPLY_TO, h::REQUEST_ID]),
            Message { key: None, ..message },
        ];
        assert!(others.iter().all(|other| Envelope::read(other, &secret).is_err()));
    }

    #[test]
    fn a_mac_of_another_version_is_told_apart_from_a_wrong_one() {
        let secret = Secret::new([1; 32]);
        let message = sent(&secret);
        let mac = hex::encode([7; 32]);
        for (header, read) in
            [(format!("2:{mac}"), Some(2)), ("17:".to_owned(), Some(17)), (format!("1:{mac}"), None), (format!("x:{mac}"), None)]
        {
            let error = Envelope::read(&with(&message, h::MAC, &header), &secret).expect_err(&header);
            assert_eq!(matches!(error, EnvelopeError::UnknownMac(version) if Some(version) == read), read.is_some(), "{header}: {error:?}");
        }
    }

    #[test]
    fn a_clients_headers_have_the_endpoints_limits() {
        let secret = Secret::new([1; 32]);
        let message = without(&sent(&secret), &[h::MAC]);
        let reads = |name, value: &str| Envelope::read(&with(&message, name, value), &secret);
        for (name, longest) in [(h::CE_ID, 255), (h::ACTOR, 255), (h::REASON, 1_000), (h::CORRELATION_ID, 255), (h::TRACEPARENT, 255)] {
            assert!(reads(name, &"ü".repeat(longest)).is_ok(), "{name}");
            assert!(invalid(reads(name, &"ü".repeat(longest + 1)), name).contains(name));
            assert!(invalid(reads(name, "a\0b"), name).contains(name));
        }
        assert!(reads(h::CE_TYPE, &"t".repeat(255)).is_ok());
        for bad in [&"t".repeat(256), "t.\nDo"] {
            assert!(invalid(reads(h::CE_TYPE, bad), "no name").contains("ce_type"));
        }
    }
}
