//! The runner of rules: an event of a log in, commands for other streams out, each once.
//!
//! A *reactor* sends at once; a *lookup* reads pages of read models first, and sends one command that carries what they say. Both are followers
//! ([`daybook_follow`]). A reactor reacts in the log's order, sends, and moves its checkpoint over what Kafka has acknowledged. What it
//! sends has ids that are worked out from the event, so sending it again is a repeat, which the ledger answers. A second mark, *settled*,
//! follows behind: all before it has come to an end. Where Kafka has lost messages, they are sent again from there. A lookup notes a
//! call with its checkpoint; a desk beside it does the calls, and a call's row goes when the ledger has its outcome. A deadline is a call that
//! waits for its time, and whose command is known from the start; an *effect* is a call to the outside, of which at most one is under way.
//!
//! | to … | use |
//! |---|---|
//! | give rules their checkpoints | [`prepare`] |
//! | run them among the followers of a process | [`Reactors`] |
//! | see and settle what is parked for them | [`ParkedReactions`] |
//! | see what is open for lookups and effects | [`OpenCalls`] |
//! | see deadlines, and hasten one | [`ArmedDeadlines`] |

mod answering;
mod breaker;
mod call;
mod clock;
mod common;
mod deadlines;
mod desk;
mod error;
mod hearing;
mod news;
mod open_calls;
mod pages;
mod parked;
mod queue;
mod reacting;
mod retrying;
mod runner;
mod sending;
mod settling;
mod store;

pub use clock::Clock;
pub use daybook_kernel::Rule;
pub use deadlines::{ArmedDeadline, ArmedDeadlines};
pub use error::ReactorError;
pub use open_calls::{OpenCall, OpenCalls};
pub use parked::{ParkedReaction, ParkedReactions};
pub use runner::{Prepared, Reactors, ReactorsConfig, prepare};
