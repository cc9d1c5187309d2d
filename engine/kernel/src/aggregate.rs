//! A decider behind one face, so that a lane handles every aggregate of a service without knowing any.

use std::any::Any;
use std::collections::BTreeSet;
use std::marker::PhantomData;

use daybook_proto::{CommandSet as _, JsonValue, MessageSet, Named, RefusalSet as _, SetError, Violation, decode_strict};
use prost::Message as _;

use crate::decider::Decider;
use crate::{Context, Digest, StreamId, digest};

/// An aggregate's state, whatever its type. Only the aggregate that made it can read it.
pub struct AnyState(Box<dyn Any + Send + Sync>);

/// A command that was read and checked.
pub struct Command {
    /// Full protobuf name.
    pub type_name: &'static str,
    /// The canonical encoding: the same whichever form the client sent, JSON or protobuf, and however it composed and spaced names.
    pub bytes: Vec<u8>,
    /// The stream that it is addressed to, derived from its fields.
    pub stream: StreamId,
    value: Box<dyn Any + Send + Sync>,
}

/// Why bytes are no command that may be decided.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandFault {
    /// They are no such message, or hold a field that this build does not know.
    Unreadable(SetError),
    /// The JSON is no such message, or it breaks its field rules.
    Invalid(Vec<Violation>),
}

impl std::fmt::Display for CommandFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(e) => e.fmt(f),
            Self::Invalid(v) => {
                let all: Vec<String> = v.iter().map(|v| format!("{} {}", v.field, v.message)).collect();
                f.write_str(&all.join("; "))
            }
        }
    }
}

/// One event that was decided.
pub struct ErasedEvent {
    /// Full protobuf name.
    pub type_name: &'static str,
    /// The canonical encoding.
    pub payload: Vec<u8>,
}

/// A refusal that was decided.
pub struct ErasedRefusal {
    /// Kebab-case.
    pub code: &'static str,
    /// A sentence for people.
    pub title: &'static str,
    /// Full protobuf name.
    pub type_name: &'static str,
    /// The canonical encoding.
    pub payload: Vec<u8>,
}

/// A decision.
pub struct ErasedDecision {
    /// Facts, in order.
    pub events: Vec<ErasedEvent>,
    /// The domain says no.
    pub refusal: Option<ErasedRefusal>,
}

/// One aggregate of a service, behind one face. Made of a [`Decider`] by [`Aggregate::of`].
pub trait Aggregate: Send + Sync {
    /// For example `catalog`.
    fn service(&self) -> &'static str;
    /// For example `product`.
    fn name(&self) -> &'static str;
    /// Full protobuf names of its commands.
    fn command_types(&self) -> &'static [&'static str];
    /// Full protobuf names of its events.
    fn event_types(&self) -> &'static [&'static str];
    /// Full protobuf names of its refusals.
    fn refusal_types(&self) -> &'static [&'static str];
    /// Full protobuf name of its state.
    fn state_type(&self) -> &'static str;
    /// Of the state's descriptor and the fold's version: a snapshot with another one is ignored, never misread.
    fn fingerprint(&self) -> Digest;
    /// The state of a stream that does not exist yet.
    fn new_state(&self) -> AnyState;
    /// A state from a snapshot.
    ///
    /// # Errors
    /// When the bytes are no such state.
    fn decode_state(&self, bytes: &[u8]) -> Result<AnyState, SetError>;
    /// For a snapshot.
    fn encode_state(&self, state: &AnyState) -> Vec<u8>;
    /// For people, by the protobuf JSON mapping.
    fn state_json(&self, state: &AnyState) -> JsonValue;
    /// Reads and checks a command in its binary form.
    ///
    /// # Errors
    /// The command's fault.
    fn read_command(&self, type_name: &str, bytes: &[u8]) -> Result<Command, CommandFault>;
    /// Reads and checks a command in JSON.
    ///
    /// # Errors
    /// The command's fault, and its field.
    fn read_json(&self, type_name: &str, json: &[u8]) -> Result<Command, CommandFault>;
    /// Folds one stored event into a state.
    ///
    /// # Errors
    /// When this build does not know the event's type, a field of it, or an enum value in it; the state is unchanged.
    fn evolve(&self, state: &mut AnyState, type_name: &str, payload: &[u8]) -> Result<(), SetError>;
    /// Decides a command, and moves the state on by the decision, in place: copying the state of a hot aggregate for every
    /// command would cost more than deciding it. After a panic the state must be thrown away.
    fn decide(&self, state: &mut AnyState, command: &Command, context: &Context) -> ErasedDecision;
    /// The descriptors of its messages, with their options.
    fn descriptors(&self) -> &'static daybook_proto::DescriptorPool;
    /// A command, by the protobuf JSON mapping.
    ///
    /// # Errors
    /// When this build does not know it.
    fn command_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError>;
    /// An event, by the protobuf JSON mapping.
    ///
    /// # Errors
    /// When this build does not know it.
    fn event_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError>;
    /// A refusal's members, by the protobuf JSON mapping.
    ///
    /// # Errors
    /// When this build does not know it.
    fn refusal_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError>;
}

impl dyn Aggregate {
    /// The face of a decider.
    pub fn of<D: Decider>() -> std::sync::Arc<dyn Aggregate> {
        std::sync::Arc::new(Face::<D>(PhantomData))
    }
}

struct Face<D>(PhantomData<fn() -> D>);

impl<D: Decider> Face<D> {
    fn state(state: &AnyState) -> &D::State {
        state.0.downcast_ref().expect("a state is read only by the aggregate that made it")
    }

    /// The one place where a command gets its canonical form, whichever way it came in.
    fn checked(mut command: D::Command) -> Result<Command, CommandFault> {
        let mut violations = command.tidy();
        violations.extend(command.violations());
        if !violations.is_empty() {
            return Err(CommandFault::Invalid(violations));
        }
        Ok(Command {
            type_name: command.type_name(),
            bytes: command.encode_to_vec(),
            stream: StreamId::new(D::Command::AGGREGATE, &command.key()),
            value: Box::new(command),
        })
    }
}

/// Decodes an event, and refuses what this build does not know of it.
pub(crate) fn known_event<E: MessageSet>(type_name: &str, payload: &[u8]) -> Result<E, SetError> {
    let event = E::decode(type_name, payload)?;
    if event.has_unknown_enum() {
        return Err(SetError::UnknownField(format!("value of an enum in {type_name}")));
    }
    Ok(event)
}

impl<D: Decider> Aggregate for Face<D> {
    fn service(&self) -> &'static str {
        D::Command::SERVICE
    }

    fn name(&self) -> &'static str {
        D::Command::AGGREGATE
    }

    fn command_types(&self) -> &'static [&'static str] {
        D::Command::TYPES
    }

    fn event_types(&self) -> &'static [&'static str] {
        D::Event::TYPES
    }

    fn refusal_types(&self) -> &'static [&'static str] {
        D::Refusal::TYPES
    }

    fn state_type(&self) -> &'static str {
        D::State::TYPE
    }

    fn fingerprint(&self) -> Digest {
        fingerprint::<D::State>(D::FOLD_VERSION)
    }

    fn new_state(&self) -> AnyState {
        AnyState(Box::new(D::State::default()))
    }

    fn decode_state(&self, bytes: &[u8]) -> Result<AnyState, SetError> {
        decode_strict::<D::State>(bytes).map(|s| AnyState(Box::new(s)))
    }

    fn encode_state(&self, state: &AnyState) -> Vec<u8> {
        Self::state(state).encode_to_vec()
    }

    fn state_json(&self, state: &AnyState) -> JsonValue {
        daybook_proto::json_of(Self::state(state))
    }

    fn read_command(&self, type_name: &str, bytes: &[u8]) -> Result<Command, CommandFault> {
        Self::checked(D::Command::decode(type_name, bytes).map_err(CommandFault::Unreadable)?)
    }

    fn read_json(&self, type_name: &str, json: &[u8]) -> Result<Command, CommandFault> {
        use daybook_proto::CommandSet;
        Self::checked(<D::Command as CommandSet>::from_json(type_name, json).map_err(CommandFault::Invalid)?)
    }

    fn evolve(&self, state: &mut AnyState, type_name: &str, payload: &[u8]) -> Result<(), SetError> {
        let event = known_event::<D::Event>(type_name, payload)?;
        D::evolve(state.0.downcast_mut().expect("a state is read only by the aggregate that made it"), &event);
        Ok(())
    }

    fn decide(&self, state: &mut AnyState, command: &Command, context: &Context) -> ErasedDecision {
        let typed: &D::Command = command.value.downcast_ref().expect("a command is decided by the aggregate that read it");
        let state: &mut D::State = state.0.downcast_mut().expect("a state is read only by the aggregate that made it");
        let decision = D::decide(state, typed, context);
        for event in &decision.events {
            D::evolve(state, event);
        }
        ErasedDecision {
            events: decision.events.iter().map(|e| ErasedEvent { type_name: e.type_name(), payload: e.encode_to_vec() }).collect(),
            refusal: decision.refusal.map(|r| ErasedRefusal {
                code: r.code(),
                title: r.title(),
                type_name: r.type_name(),
                payload: r.encode_to_vec(),
            }),
        }
    }

    fn descriptors(&self) -> &'static daybook_proto::DescriptorPool {
        D::State::pool()
    }

    fn command_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError> {
        D::Command::decode(type_name, payload).map(|c| c.to_json())
    }

    fn event_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError> {
        D::Event::decode(type_name, payload).map(|e| e.to_json())
    }

    fn refusal_json(&self, type_name: &str, payload: &[u8]) -> Result<JsonValue, SetError> {
        D::Refusal::decode(type_name, payload).map(|r| r.to_json())
    }
}

/// SHA-256 over the descriptors of a message and all that it holds, and a version.
pub(crate) fn fingerprint<M: Named>(version: u32) -> Digest {
    let root = M::pool().get_message_by_name(M::TYPE).expect("generated from these descriptors");
    let mut seen = BTreeSet::new();
    let mut waiting = vec![root];
    let mut bytes = version.to_be_bytes().to_vec();
    while let Some(message) = waiting.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        bytes.extend(message.full_name().as_bytes());
        bytes.extend(message.descriptor_proto().encode_to_vec());
        for field in message.fields() {
            match field.kind() {
                prost_reflect::Kind::Message(m) => waiting.push(m),
                prost_reflect::Kind::Enum(e) => bytes.extend(e.enum_descriptor_proto().encode_to_vec()),
                _ => {}
            }
        }
    }
    digest::sha256(&bytes)
}
