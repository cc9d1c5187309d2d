//! The kernel of Daybook: deciders, projections, reactors, lookups, effects, deadlines, ids, tokens, digests, and the given/when/then spec.
//! Pure and synchronous: no tokio, no I/O, no clock, no randomness. A bank could be built on it.

mod access;
mod aggregate;
mod context;
mod deadline;
mod decider;
pub mod digest;
mod effect;
mod fields;
pub mod ids;
mod lookup;
mod mac;
mod murmur2;
mod panic;
mod projection;
mod reactor;
mod registry;
mod rows;
mod rule;
pub mod spec;
mod stream;
mod time;
mod token;
#[cfg(test)]
mod told;
mod wait;

pub use access::{AccessError, access_of_command, access_of_read_model};
pub use aggregate::{Aggregate, AnyState, Command, CommandFault, ErasedDecision, ErasedEvent, ErasedRefusal};
pub use context::Context;
pub use deadline::{Deadline, Deadlines, ErasedDeadlines};
pub use decider::{Decider, Decision, fold};
pub use digest::Digest;
pub use effect::{Attempt, Calling, Effect, ErasedEffect, Outward, Unknown};
pub use fields::FieldError;
pub use lookup::{Asks, ErasedLookup, Lookup, LookupError, PageError, PageKey, Pages};
pub use mac::{Mac, Secret};
pub use murmur2::murmur2;
pub use panic::panic_text;
pub use projection::{
    DecodedOnce, ErasedFold, EventAt, Fill, FinishError, Finished, Finisher, FoldError, Part, Projection, ReadModel, RenderedPart,
    ViewState,
};
pub use reactor::{Begins, ErasedReactor, ReactError, Reactor, ServiceMessage, react};
pub use registry::{Registry, RegistryError, kebab};
pub use rows::{SqlColumn, SqlRows, SqlType, SqlValue, SqlView};
pub use rule::{Consequence, Rule};
pub use stream::{Offset, StreamId, StreamIdError, Version};
pub use time::Instant;
pub use token::{ConsistencyToken, TokenError};
pub use wait::{Wait, Waits};
