//! Parts that all rules of a process share, and the messages and calls that they make.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use daybook_bus::{Inspector, Record};
use daybook_follow::Event;
use daybook_kernel::ids::EventPlace;
use daybook_kernel::{
    Deadline, ErasedDeadlines, ErasedEffect, ErasedLookup, EventAt, ReactError, Registry, Secret, ServiceMessage, Version,
};
use daybook_log::{Log, PartitionLog};
use daybook_messages::Addressed;
use daybook_process::metrics::{self, Gauge};
use daybook_proto::v1::{Caller, Request};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::ReactorError;
use crate::breaker::Breaker;
use crate::call::{AT_ONCE, Call, Disarmed, Notes, Work, due, none_yet};
use crate::clock::Clock;
use crate::news::GoodNews;
use crate::pages::Reader;
use crate::queue::Reaction;
use crate::sending::Sender;

/// The target of a service's commands.
pub(crate) struct Target {
    pub(crate) topic: Arc<str>,
    /// The consumer group of its lanes.
    pub(crate) lanes: String,
    pub(crate) log: Log,
}

/// Parts that all rules of a process share.
pub(crate) struct Common {
    pub(crate) sender: Sender,
    pub(crate) inspector: Inspector,
    pub(crate) secret: Secret,
    pub(crate) targets: HashMap<&'static str, Target>,
    pub(crate) registry: Registry,
    /// Of pages, for lookups.
    pub(crate) reader: Reader,
    /// The machine's time.
    pub(crate) clock: Clock,
    pub(crate) news: GoodNews,
    /// Of effects, by name.
    pub(crate) destinations: HashMap<&'static str, Destination>,
}

/// Somebody outside whom effects call.
pub(crate) struct Destination {
    pub(crate) breaker: Arc<Breaker>,
    /// For calls at once.
    pub(crate) places: Semaphore,
    /// Calls that are under way.
    pub(crate) under_way: Gauge,
}

impl Destination {
    pub(crate) fn new(name: &str, calls_at_once: usize) -> Self {
        let breaker = Arc::new(Breaker::new(metrics::DESTINATION_BREAKER.with([name])));
        Self { breaker, places: Semaphore::new(calls_at_once.max(1)), under_way: metrics::DESTINATION_CALLS.with([name]) }
    }
}

impl Common {
    pub(crate) fn target(&self, service: &str) -> Result<&Target, ReactorError> {
        let unknown = || ReactorError::Configuration(format!("a rule sends to {service}, which is no service of this build"));
        self.targets.get(service).ok_or_else(unknown)
    }

    /// The name of a command's type, as this build has it.
    pub(crate) fn command_type(&self, type_name: &str) -> Result<&'static str, ReactorError> {
        let unknown = || ReactorError::Configuration(format!("a kept outcome is a {type_name}, which this build does not know"));
        let aggregate = self.registry.of_command(type_name).ok_or_else(unknown)?;
        aggregate.command_types().iter().copied().find(|known| *known == type_name).ok_or_else(unknown)
    }

    /// A command that follows from an event, as a message of `caller`.
    pub(crate) fn record(
        &self,
        log: &PartitionLog,
        event: &Event,
        caller: &str,
        command_id: Uuid,
        message: ServiceMessage,
    ) -> Result<(Reaction, Record), ReactorError> {
        let ServiceMessage { service, type_name, bytes, target } = message;
        let to = self.target(service)?;
        let (correlation_id, traceparent) = event.trail.read();
        let request = Request {
            r#type: type_name.to_owned(),
            command: bytes,
            caller: Some(Caller::process(caller.to_owned())),
            correlation_id,
            causation_id: format!("{}/{}:{}@{}", log.service(), log.number(), event.offset, event.epoch),
            traceparent,
            ..Default::default()
        };
        let addressed = Addressed {
            service: service.to_owned(),
            stream: target.clone(),
            command_id,
            key: String::new(),
            request,
            reply_to: None,
            source: "reactors",
        };
        let record = addressed.record(to.topic.clone(), to.log.partitions(), &self.secret);
        let (offset, partition, since) = (event.offset, record.partition, Instant::now());
        Ok((Reaction { offset, service, partition, target, command_id, message_offset: -1, since }, record))
    }

    /// The call that an event asks a lookup for.
    pub(crate) fn call(&self, lookup: &dyn ErasedLookup, log: &PartitionLog, event: &Arc<Event>) -> Result<Option<Call>, ReactError> {
        let (at, place) = places(log, event);
        let asked = lookup.asks(&event.type_name, &event.payload, &event.decoded, &at, &place)?;
        Ok(asked.map(|(outcome_id, asks)| Call {
            event: event.clone(),
            service: asks.service,
            target: asks.target,
            outcome_id,
            due_at: AT_ONCE,
            work: Work::Read(asks.pages),
            outcome: None,
        }))
    }

    /// The call that an event asks an effect for.
    pub(crate) fn outward(&self, effect: &dyn ErasedEffect, log: &PartitionLog, event: &Arc<Event>) -> Result<Option<Call>, ReactError> {
        let (at, place) = places(log, event);
        let asked = effect.asks(&event.type_name, &event.payload, &event.decoded, &at, &place)?;
        Ok(asked.map(|(outcome_id, asks)| Call {
            event: event.clone(),
            service: asks.service,
            target: asks.target,
            outcome_id,
            due_at: AT_ONCE,
            work: Work::Speak(asks.not_after, none_yet()),
            outcome: None,
        }))
    }

    /// A destination of effects.
    pub(crate) fn destination(&self, name: &str) -> Result<&Destination, ReactorError> {
        let unknown = || ReactorError::Configuration(format!("{name} is no destination of an effect that runs here"));
        self.destinations.get(name).ok_or_else(unknown)
    }

    /// The deadlines that an event arms, and those that it disarms.
    pub(crate) fn deadlines(&self, rule: &dyn ErasedDeadlines, log: &PartitionLog, event: &Arc<Event>) -> Result<Notes, ReactError> {
        let (at, place) = places(log, event);
        let disarmed = |deadline| Disarmed { source: event.stream.clone(), deadline, before: event.offset };
        let disarmed = rule.disarms(&event.type_name, &event.payload, &event.decoded)?.into_iter().map(disarmed).collect();
        let mut calls = Vec::new();
        for (outcome_id, Deadline { name, due_at, message }) in rule.arms(&event.type_name, &event.payload, &event.decoded, &at, &place)? {
            self.target(message.service).map_err(|why| ReactError::Panicked(why.to_string()))?;
            calls.push(Call {
                event: event.clone(),
                service: message.service,
                target: message.target.clone(),
                outcome_id,
                due_at: due(due_at),
                work: Work::Wait(name.to_owned()),
                outcome: Some(message),
            });
        }
        Ok(Notes { calls, disarmed })
    }
}

/// The place of an event, as a rule sees it, and as ids are worked out from it.
pub(crate) fn places<'a>(log: &PartitionLog, event: &'a Event) -> (EventAt<'a>, EventPlace) {
    let at = EventAt { stream: &event.stream, version: Version(event.version.cast_unsigned()), recorded_at: event.recorded_at };
    let place = EventPlace { epoch: event.epoch, service: log.service().to_string(), partition: log.number(), offset: event.offset };
    (at, place)
}
