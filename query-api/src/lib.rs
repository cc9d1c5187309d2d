//! Serves read models over HTTP: a key's parts, concatenated, as JSON or as they are stored.
//!
//! The rooms, each of which uses those above it alone:
//!
//! | room | what is in it |
//! |---|---|
//! | `source` | the log partitions that a generation reads, their positions, the waits for them |
//! | `observers` | followers and subscribers of a read model, its counts |
//! | `model` | a read model that is served: message, keys, items |
//! | `entry` | parts, views of them, entries, the forms in which they are served |
//! | `store` | the read models' database |
//! | `memory` | entries that are held, how pushes change them, how loads fill them, when they are to be believed |
//! | `freshness` | generations, pushes, looks into the database, other processes |
//! | `answer` | tokens, negotiation, lists, live queries, the past |
//! | `search` | searching: an index that follows a read model |
//! | `page` | one key, and which answer a request gets |
//! | `api` | all of it, wired |
//!
//! A request goes `page` → `negotiate` (what the client wants) → `consistency` (has the read model got to its token?) →
//! `memory`, or a load (one query, however many ask) → a representation. What is held in memory is refreshed by push: `feed` →
//! `staging` (whole batches only) → `memory`; `watch` and `trust` see to it that nobody is shown what is old when pushes
//! don't come. A `list` is shown a page at a time: that, too, is a `view` that memory holds. It knows read models by their
//! name and descriptor only: no log, no domain.

mod answer;
mod api;
mod config;
#[cfg(test)]
mod convergence;
mod entry;
mod error;
mod freshness;
#[cfg(test)]
mod fuzz;
mod memory;
mod model;
mod observers;
mod openapi;
mod page;
mod past;
#[cfg(test)]
mod prepared;
mod search;
mod source;
mod store;

pub use api::QueryApi;
pub use config::QueryConfig;
pub use error::QueryError;
pub use model::{Fill, QueryModel};
pub use past::{Moment, Past, PastError, Was};
