//! Serves read models over HTTP: a key's parts, concatenated, as JSON or as they are stored.
//!
//! A request goes `page` → `negotiate` (what the client wants) → `consistency` (has the read model got to its token?) →
//! `memory`, or `flight` (one query, however many ask) → `render`. What is held in memory is refreshed by push: `feed` →
//! `staging` (whole batches only) → `memory`; `watch` and `trust` see to it that nobody is shown what is old when pushes
//! don't come. A `list` is shown a page at a time: that, too, is a `view` that memory holds. It knows read models by their
//! name and descriptor only: no log, no domain.

mod api;
mod cache;
mod config;
mod consistency;
#[cfg(test)]
mod convergence;
mod entry;
mod error;
mod events;
mod feed;
mod flight;
mod follow;
#[cfg(test)]
mod fuzz;
mod generations;
mod hidden;
mod hot;
mod list;
mod memory;
mod meters;
mod negotiate;
mod openapi;
mod page;
mod past;
mod pods;
mod position;
#[cfg(test)]
mod prepared;
mod render;
mod search;
mod source;
mod sql;
mod staging;
mod store;
mod subscriptions;
mod trust;
mod view;
mod waits;
mod watch;

pub use api::QueryApi;
pub use config::{Fill, QueryConfig, QueryModel};
pub use error::QueryError;
pub use past::{Moment, Past, PastError, Was};
