//! A rule: what follows from an event, whichever kind it is of.

use std::sync::Arc;

use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::{Begins, DecodedOnce, Digest, ErasedDeadlines, ErasedEffect, ErasedLookup, ErasedReactor, EventAt, ReactError, StreamId};

/// A rule of any kind, as its follower carries it out. All have their marks in one table, so no two share a name.
#[derive(Clone)]
pub enum Rule {
    /// Sends commands at once.
    Reactor(Arc<dyn ErasedReactor>),
    /// Reads pages first, and sends one command with what they say.
    Lookup(Arc<dyn ErasedLookup>),
    /// Calls the outside first, and sends one command with what came of it.
    Effect(Arc<dyn ErasedEffect>),
    /// Sends commands when their time has come.
    Deadlines(Arc<dyn ErasedDeadlines>),
}

/// A command that a rule sends because of an event, under the id that it has whenever it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// The command's id.
    pub command_id: Uuid,
    /// Full protobuf name. None where it depends on what is yet to be read, or answered.
    pub type_name: Option<&'static str>,
    /// The service that decides it.
    pub service: &'static str,
    /// The stream that it is for.
    pub target: StreamId,
}

impl From<Arc<dyn ErasedReactor>> for Rule {
    fn from(reactor: Arc<dyn ErasedReactor>) -> Self {
        Self::Reactor(reactor)
    }
}

impl From<Arc<dyn ErasedLookup>> for Rule {
    fn from(lookup: Arc<dyn ErasedLookup>) -> Self {
        Self::Lookup(lookup)
    }
}

impl From<Arc<dyn ErasedEffect>> for Rule {
    fn from(effect: Arc<dyn ErasedEffect>) -> Self {
        Self::Effect(effect)
    }
}

impl From<Arc<dyn ErasedDeadlines>> for Rule {
    fn from(deadlines: Arc<dyn ErasedDeadlines>) -> Self {
        Self::Deadlines(deadlines)
    }
}

impl Rule {
    /// Its name: stable, and its own.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.name(),
            Self::Lookup(rule) => rule.name(),
            Self::Effect(rule) => rule.name(),
            Self::Deadlines(rule) => rule.name(),
        }
    }

    /// The kind, for people and in the recorded caller of its commands.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reactor(_) => "reactor",
            Self::Lookup(_) => "lookup",
            Self::Effect(_) => "effect",
            Self::Deadlines(_) => "deadlines",
        }
    }

    /// The service whose log it follows.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.service(),
            Self::Lookup(rule) => rule.service(),
            Self::Effect(rule) => rule.service(),
            Self::Deadlines(rule) => rule.service(),
        }
    }

    /// The aggregate whose events it hears.
    pub fn aggregate(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.aggregate(),
            Self::Lookup(rule) => rule.aggregate(),
            Self::Effect(rule) => rule.aggregate(),
            Self::Deadlines(rule) => rule.aggregate(),
        }
    }

    /// Where it begins in an install that it is new to.
    pub fn begins(&self) -> Begins {
        match self {
            Self::Reactor(rule) => rule.begins(),
            Self::Lookup(rule) => rule.begins(),
            Self::Effect(rule) => rule.begins(),
            Self::Deadlines(rule) => rule.begins(),
        }
    }

    /// Of its name, the version of its rule and the events that it knows.
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Reactor(rule) => rule.fingerprint(),
            Self::Lookup(rule) => rule.fingerprint(),
            Self::Effect(rule) => rule.fingerprint(),
            Self::Deadlines(rule) => rule.fingerprint(),
        }
    }

    /// Whether events ask it for calls, which a desk does.
    pub fn has_desk(&self) -> bool {
        !matches!(self, Self::Reactor(_))
    }

    /// The id of the outcome of one of its calls: of the event's place, the call's target, and the deadline that it is.
    pub fn outcome_id(&self, place: &EventPlace, deadline: Option<&str>, target: &str) -> Uuid {
        match deadline {
            Some(deadline) => ids::deadline_id(place, self.name(), deadline, target),
            None => ids::effect_outcome_id(place, self.name(), target),
        }
    }

    /// The commands that it sends because of a stored event of its aggregate: at once, or when it has read or called. None of deadlines,
    /// which may be disarmed.
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    pub fn sends(
        &self,
        (type_name, payload): (&str, &[u8]),
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Vec<Consequence>, ReactError> {
        let later = |command_id, service, target| Consequence { command_id, type_name: None, service, target };
        Ok(match self {
            Self::Reactor(rule) => {
                let sent = rule.react(type_name, payload, decoded, at, place)?.into_iter();
                sent.map(|(id, m)| Consequence { type_name: Some(m.type_name), ..later(id, m.service, m.target) }).collect()
            }
            Self::Lookup(rule) => {
                let asked = rule.asks(type_name, payload, decoded, at, place)?;
                asked.map(|(id, asks)| later(id, asks.service, asks.target)).into_iter().collect()
            }
            Self::Effect(rule) => {
                let asked = rule.asks(type_name, payload, decoded, at, place)?;
                asked.map(|(id, asks)| later(id, asks.service, asks.target)).into_iter().collect()
            }
            Self::Deadlines(_) => Vec::new(),
        })
    }
}
