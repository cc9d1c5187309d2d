//! The log, followed once a process, for everybody who follows it.
//!
//! A *follower* goes from its checkpoint through the log to Kafka's tail and along it: a generation of a projection, for
//! example. A process has one consumer for all `.events` topics, in one group; one task a log partition reads each event
//! once into a [`Ring`], where every follower of the partition has its place. What they work out of a batch is
//! written in one transaction a database.
//!
//! A follower that can't go with the others works in a task of its own until it is back: one that is behind, fails, is slow, or
//! finds its checkpoint locked. Nobody waits for it. A follower whose checkpoint another process has taken over *stands by*.
//!
//! | to … | use |
//! |---|---|
//! | follow a log | [`Follower`], and a [`Kind`] that makes one for each partition |
//! | start and stop following | [`Following`], [`Roster`] |
//! | tell followers of a page in the process that wrote it | [`Feed`] |
//! | read an event, wherever it came from | [`Event`] |

mod alone;
mod ask;
mod board;
mod commit;
mod config;
mod event;
mod feed;
mod follower;
mod group;
mod head;
mod partition;
mod pass;
mod ring;

pub use ask::Ask;
pub use board::{Board, FollowerKey};
pub use config::Limits;
pub use event::{Event, Trail, Unreadable};
pub use feed::Feed;
pub use follower::{FollowError, Follower, Home, Kind, Moved, Roster, Standing};
pub use group::{Followers, Following, Sources, group_options};
pub use ring::{Added, Ring};
