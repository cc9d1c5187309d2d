//! What follows from events: reactors, effects, lookups, deadlines. The traits stand now, because the ids that they
//! derive are one-way doors; the shop's processes will be built on them.

use std::future::Future;

use daybook_proto::EventSet;
use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::{EventAt, Instant, StreamId};

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

/// A pure policy: what to ask of other streams when an event has happened. A process is an aggregate with a timeline,
/// driven by reactors; there is no other saga machinery.
pub trait Reactor: Send + Sync + 'static {
    /// Stable: it is part of the ids of what it sends.
    const NAME: &'static str;
    /// The events of one aggregate.
    type Event: EventSet;
    /// What to ask, in order.
    fn react(event: &Self::Event, at: &EventAt<'_>) -> Vec<ServiceMessage>;
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

/// The only thing that talks to the outside world: an event in, an idempotent call out, a command back. Never runs in
/// a replay. It has one outcome id ([`ids::effect_outcome_id`]) an event and target, which is looked up before anything is called.
pub trait Effect: Send + Sync + 'static {
    /// Stable: it is part of the id of its outcome.
    const NAME: &'static str;
    /// The events of one aggregate.
    type Event: EventSet;
    /// The stream that will learn the outcome, or none when this event asks for nothing.
    fn target(&self, event: &Self::Event, at: &EventAt<'_>) -> Option<StreamId>;
    /// Calls, with the outcome id as the idempotency key of the call. An error means: not known, to be asked about again.
    fn call(&self, event: &Self::Event, outcome: Uuid) -> impl Future<Output = Result<ServiceMessage, String>> + Send;
}

/// An effect that only reads our own read models, under the token of the event, and sends a command that carries what was read.
pub trait Lookup: Send + Sync + 'static {
    /// Stable: it is part of the id of its outcome.
    const NAME: &'static str;
    /// The events of one aggregate.
    type Event: EventSet;
    /// What to read: (read model, key) pairs.
    fn asks(event: &Self::Event, at: &EventAt<'_>) -> Vec<(&'static str, String)>;
    /// The command that carries what was read, in the order of `asks`; none where there is no such key.
    fn answer(event: &Self::Event, read: &[Option<Vec<u8>>]) -> ServiceMessage;
}

/// Something that is due at a time, kept by a projection of due times. Whoever owns the partition sends the command,
/// which names this `due_at`; the decider compares it with the one in its state, not with a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub due_at: Instant,
    /// What to send then.
    pub message: ServiceMessage,
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
