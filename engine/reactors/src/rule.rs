//! A rule: what follows from an event, whichever kind it is of.

use std::sync::Arc;

use daybook_kernel::{Begins, Digest, ErasedLookup, ErasedReactor};

/// A reactor or a lookup, as its follower carries it out. Both have their marks in one table, so no two share a name.
#[derive(Clone)]
pub enum Rule {
    /// Sends commands at once.
    Reactor(Arc<dyn ErasedReactor>),
    /// Reads pages first, and sends one command with what they say.
    Lookup(Arc<dyn ErasedLookup>),
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

impl Rule {
    /// Its name: stable, and its own.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.name(),
            Self::Lookup(rule) => rule.name(),
        }
    }

    /// The kind, for people and in the recorded caller of its commands.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reactor(_) => "reactor",
            Self::Lookup(_) => "lookup",
        }
    }

    /// The service whose log it follows.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.service(),
            Self::Lookup(rule) => rule.service(),
        }
    }

    /// The aggregate whose events it hears.
    pub(crate) fn aggregate(&self) -> &'static str {
        match self {
            Self::Reactor(rule) => rule.aggregate(),
            Self::Lookup(rule) => rule.aggregate(),
        }
    }

    pub(crate) fn begins(&self) -> Begins {
        match self {
            Self::Reactor(rule) => rule.begins(),
            Self::Lookup(rule) => rule.begins(),
        }
    }

    pub(crate) fn fingerprint(&self) -> Digest {
        match self {
            Self::Reactor(rule) => rule.fingerprint(),
            Self::Lookup(rule) => rule.fingerprint(),
        }
    }
}
