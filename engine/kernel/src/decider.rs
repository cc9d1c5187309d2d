//! The decider: a pure aggregate.

use daybook_proto::{CommandSet, EventSet, Named, RefusalSet};
use prost::Message;

use crate::Context;

/// A pure aggregate. No clock, no randomness, no I/O: time and ids come in with the context, so that a command can
/// be decided again later, by other code, and compared.
pub trait Decider: Send + Sync + 'static {
    /// Generated from the service's `.proto` files.
    type Command: CommandSet;
    /// Generated from the service's `.proto` files.
    type Event: EventSet;
    /// A protobuf message, for snapshots and for `replay show`.
    type State: Message + Default + Clone + PartialEq + std::fmt::Debug + Named;
    /// Generated from the service's `.proto` files. Where they have none: [`std::convert::Infallible`].
    type Refusal: RefusalSet;

    /// Raise it when `evolve` makes something else of old events: snapshots of another version are ignored.
    const FOLD_VERSION: u32 = 1;

    /// A command's consequences in a state.
    fn decide(state: &Self::State, command: &Self::Command, context: &Context) -> Decision<Self>;

    /// The state after an event. Total: cannot fail, must not panic.
    fn evolve(state: &mut Self::State, event: &Self::Event);
}

/// The outcome of deciding. "Already done" is no events and no refusal.
pub struct Decision<D: Decider + ?Sized> {
    /// Facts, in order; with a refusal, the facts that a process must learn of.
    pub events: Vec<D::Event>,
    /// The domain says no.
    pub refusal: Option<D::Refusal>,
}

impl<D: Decider + ?Sized> Decision<D> {
    /// Already done: nothing follows.
    pub fn nothing() -> Self {
        Self { events: Vec::new(), refusal: None }
    }

    /// One event follows.
    pub fn event(event: impl Into<D::Event>) -> Self {
        Self { events: vec![event.into()], refusal: None }
    }

    /// Several events follow.
    pub fn events(events: impl IntoIterator<Item = D::Event>) -> Self {
        Self { events: events.into_iter().collect(), refusal: None }
    }

    /// The domain says no.
    pub fn refuse(refusal: impl Into<D::Refusal>) -> Self {
        Self { events: Vec::new(), refusal: Some(refusal.into()) }
    }

    /// The domain says no, and that is a fact that a process must learn of.
    pub fn refuse_with(refusal: impl Into<D::Refusal>, events: impl IntoIterator<Item = D::Event>) -> Self {
        Self { events: events.into_iter().collect(), refusal: Some(refusal.into()) }
    }
}

/// The state that events fold to.
pub fn fold<'a, D: Decider>(events: impl IntoIterator<Item = &'a D::Event>) -> D::State {
    let mut state = D::State::default();
    for event in events {
        D::evolve(&mut state, event);
    }
    state
}
