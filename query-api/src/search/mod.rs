//! Searching a read model: an index in memory, built from its parts and kept fresh by what is pushed.

mod analysis;
mod columns;
mod facets;
mod index;
mod plan;
mod run;
mod schema;
mod scoring;
mod vocabulary;

pub use analysis::Analysis;
pub use facets::{FacetValue, Facets, FacetsAsked, Filter, PriceRange};
pub use index::{SearchIndex, SearchItem};
pub use run::{SearchAnswer, SearchHit, SearchRequest, SearchSort};
pub use schema::{SearchReader, SearchSchema};
pub use scoring::Tuning;
