//! Reactors: commands for other streams that follow from an event.

use std::marker::PhantomData;
use std::sync::Arc;

use daybook_proto::{EventSet, MessageSet as _, SetError};
use prost::Message as _;
use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::panic::caught;
use crate::{DecodedOnce, Digest, EventAt, StreamId, digest};

/// A command for some stream, made by the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMessage {
    /// The service that decides it.
    pub service: &'static str,
    /// Full protobuf name.
    pub type_name: &'static str,
    /// The command, encoded.
    pub bytes: Vec<u8>,
    /// The stream that it is addressed to.
    pub target: StreamId,
}

impl ServiceMessage {
    /// Of a typed command.
    pub fn of<C: daybook_proto::CommandSet>(command: &C) -> Self {
        Self {
            service: C::SERVICE,
            type_name: command.type_name(),
            bytes: command.encode_to_vec(),
            target: StreamId::new(C::AGGREGATE, &command.key()),
        }
    }
}

/// A pure policy: the messages to other streams when an event has happened. A process is an aggregate with a timeline,
/// driven by reactors; there is no other saga machinery.
pub trait Reactor: Send + Sync + 'static {
    /// Stable: it is part of the ids of its messages.
    const NAME: &'static str;
    /// The beginning of a reactor that is new to an install. A rule that is added today does not act on years of history.
    const BEGINS: Begins = Begins::AtTheEnd;
    /// Raise it when the rule changes: processes of both builds then stand by for each other instead of sharing partitions.
    const RULE_VERSION: u32 = 1;
    /// Whether its commands are decided also where a restored log has lost their event: they stand on Kafka still. What caused the event is decided
    /// again, and reacted to again under other ids. A rule whose command would then do a thing twice says no; one that tells of what the outside
    /// has done meanwhile says yes, for that must not be forgotten.
    const OUTLASTS_ITS_EVENT: bool = true;
    /// The events of one aggregate.
    type Event: EventSet;
    /// The messages to send, in order. Total: must not panic; where it does, the event's stream is parked for this reactor.
    fn react(event: &Self::Event, at: &EventAt<'_>) -> Vec<ServiceMessage>;
}

/// The beginning of a reactor when `migrate` first hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// At the log's end: only events from now on count.
    AtTheEnd,
    /// At the log's beginning: all that has happened counts.
    AtTheBeginning,
}

/// Why a reactor could not react to an event, or a lookup could not tell what it asks for; the event's stream is parked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReactError {
    /// This build does not know the event.
    #[error(transparent)]
    Unknown(#[from] SetError),
    /// The rule panicked.
    #[error("the rule panicked: {0}")]
    Panicked(String),
}

/// A reactor behind one face.
pub trait ErasedReactor: Send + Sync {
    /// [`Reactor::NAME`].
    fn name(&self) -> &'static str;
    /// The service whose log it follows.
    fn service(&self) -> &'static str;
    /// The aggregate whose streams it reacts to.
    fn aggregate(&self) -> &'static str;
    /// [`Reactor::BEGINS`].
    fn begins(&self) -> Begins;
    /// [`Reactor::OUTLASTS_ITS_EVENT`].
    fn outlasts_its_event(&self) -> bool;
    /// Of its name, the version of its rule and the events that it knows.
    fn fingerprint(&self) -> Digest;
    /// The messages to send for a stored event of its aggregate, with the ids that they will have whenever this is done again.
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    fn react(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Vec<(Uuid, ServiceMessage)>, ReactError>;
}

impl dyn ErasedReactor {
    /// The face of a reactor.
    pub fn of<R: Reactor>() -> Arc<dyn ErasedReactor> {
        Arc::new(Face::<R>(PhantomData))
    }
}

/// What the face of every rule tells of it, whatever its kind.
macro_rules! identity {
    ($rule:ident) => {
        fn name(&self) -> &'static str {
            $rule::NAME
        }

        fn service(&self) -> &'static str {
            $rule::Event::SERVICE
        }

        fn aggregate(&self) -> &'static str {
            $rule::Event::AGGREGATE
        }

        fn begins(&self) -> Begins {
            $rule::BEGINS
        }

        fn fingerprint(&self) -> Digest {
            rule_fingerprint::<$rule::Event>($rule::NAME, $rule::RULE_VERSION)
        }
    };
}
pub(crate) use identity;

struct Face<R>(PhantomData<fn() -> R>);

impl<R: Reactor> ErasedReactor for Face<R> {
    identity!(R);

    fn outlasts_its_event(&self) -> bool {
        R::OUTLASTS_ITS_EVENT
    }

    fn react(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Vec<(Uuid, ServiceMessage)>, ReactError> {
        let event = decoded.of::<R::Event>(type_name, payload)?;
        caught(|| react::<R>(event, at, place)).map_err(ReactError::Panicked)
    }
}

/// Of a rule's name and version, and the events that it knows.
pub(crate) fn rule_fingerprint<E: EventSet>(name: &str, version: u32) -> Digest {
    let mut bytes = [&version.to_be_bytes()[..], name.as_bytes()].concat();
    for event in E::TYPES {
        let message = E::pool().get_message_by_name(event).expect("generated from these descriptors");
        bytes.extend(message.full_name().as_bytes());
        bytes.extend(message.descriptor_proto().encode_to_vec());
    }
    digest::sha256(&bytes)
}

/// The messages of a reactor for one event, with the ids that they will have whenever this is done again.
pub fn react<R: Reactor>(event: &R::Event, at: &EventAt<'_>, place: &EventPlace) -> Vec<(Uuid, ServiceMessage)> {
    let mut sent: Vec<(Uuid, ServiceMessage)> = Vec::new();
    for message in R::react(event, at) {
        let same = |m: &ServiceMessage| m.type_name == message.type_name && m.target == message.target;
        let n = u32::try_from(sent.iter().filter(|(_, m)| same(m)).count()).unwrap_or(u32::MAX);
        sent.push((ids::reaction_id(place, R::NAME, message.type_name, message.target.as_str(), n), message));
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_messages_of_one_type_to_one_stream_have_two_ids() {
        let place = EventPlace { epoch: 1, service: "s".into(), partition: 0, offset: 0 };
        let (a, b) = (ids::reaction_id(&place, "r", "t", "a/1", 0), ids::reaction_id(&place, "r", "t", "a/1", 1));
        assert_ne!(a, b);
    }
}
