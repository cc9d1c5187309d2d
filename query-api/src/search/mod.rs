//! Searching a read model: an index in memory, read from its parts and kept fresh by what is pushed.
//!
//! A request goes `http` → `params` (what is asked?) → `positions` (has the index got to the token?) → `plan` (which terms
//! stand for the words) → `run` (`scoring`, `facets`, the page) → `http`. `feed` keeps the index fresh: from the database
//! (`reading`, `compare`) and by what is pushed (`waiting`), both through `schema`, which says what a read model's fields
//! mean: nothing here knows a shop.

mod analysis;
mod columns;
mod compare;
mod facets;
mod feed;
mod http;
mod index;
mod openapi;
mod params;
mod plan;
mod positions;
mod reading;
mod run;
mod schema;
mod scoring;
mod suggest;
#[cfg(test)]
mod tests;
mod token;
mod vocabulary;
mod waiting;

pub use analysis::Analysis;
pub use facets::{FacetValue, Facets, FacetsAsked, Filter, PriceRange};
pub(crate) use feed::Fresh;
pub(crate) use http::{ROUTES, Search, routes};
pub use index::{SearchIndex, SearchItem};
pub(crate) use openapi::describe;
pub use run::{SearchAnswer, SearchHit, SearchRequest, SearchSort};
pub use schema::{SearchReader, SearchSchema};
pub use scoring::Tuning;
pub use suggest::Suggestion;
