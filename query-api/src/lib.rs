//! Serves read models over HTTP: a key's parts, concatenated, as JSON or as they are stored.
//!
//! A request goes `page` → `negotiate` (what the client wants) → `consistency` (has the read model got to its token?) →
//! `store` (one query) → `render`. It knows read models by their name and descriptor only: no log, no domain.

mod api;
mod config;
mod consistency;
mod error;
#[allow(dead_code, reason = "what is pushed does not arrive here yet")]
mod follow;
mod generations;
mod list;
mod negotiate;
mod openapi;
mod page;
mod positions;
mod render;
mod search;
mod sql;
mod store;

pub use api::QueryApi;
pub use config::{Fill, QueryConfig, QueryModel};
pub use error::QueryError;
pub use search::{
    Analysis, FacetValue, Facets, FacetsAsked, Filter, PriceRange, SearchAnswer, SearchHit, SearchIndex, SearchItem, SearchReader,
    SearchRequest, SearchSchema, SearchSort, Suggestion, Tuning,
};
