//! The runner of reactors: an event of a log in, commands for other streams out, each once.
//!
//! A reactor is a follower ([`daybook_follow`]). It reacts in the log's order, sends, and moves its checkpoint over what Kafka has
//! acknowledged. What it sends has ids that are worked out from the event, so sending it again is a repeat, which the ledger answers.
//! A second mark, *settled*, follows behind: all before it has come to an end. Where Kafka has lost messages, they are sent
//! again from there.
//!
//! | to … | use |
//! |---|---|
//! | give reactors their checkpoints | [`prepare`] |
//! | run them among the followers of a process | [`Reactors`] |
//! | see and settle what is parked for them | [`ParkedReactions`] |

mod error;
mod parked;
mod queue;
mod reacting;
mod retrying;
mod runner;
mod settling;
mod store;

pub use error::ReactorError;
pub use parked::{ParkedReaction, ParkedReactions};
pub use runner::{Prepared, Reactors, ReactorsConfig, prepare};
