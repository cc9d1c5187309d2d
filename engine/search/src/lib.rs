//! Searching: an index in memory of a read model's parts, changed in place as they change.
//!
//! A request goes [`SearchIndex::page`] → `plan` (which terms stand for its words) → `run` (`scoring`, `facets`, the page);
//! [`token`] takes the plan to the next page. `analysis` makes terms of texts; [`SearchReader`] reads parts by a
//! [`SearchSchema`], which gives the meaning of a read model's fields: nothing here knows a shop. [`Compared`] finds the keys that moved
//! since. Pure and synchronous: serving, waiting and the database are the query API's.

mod analysis;
mod columns;
mod compare;
mod facets;
mod fold;
mod identifiers;
mod index;
mod language;
mod markup;
mod names;
mod plan;
mod postings;
mod properties;
mod run;
mod schema;
mod scoring;
mod segment;
mod stock;
mod suggest;
#[cfg(test)]
mod tests;
pub mod token;
mod units;
mod values;
mod vocabulary;

pub use analysis::Analysis;
pub use compare::{Compared, Parts};
pub use facets::{FacetLevel, FacetValue, Facets, FacetsAsked, Filter, PriceRange};
pub use index::{SearchIndex, SearchItem};
pub use plan::Plan;
pub use run::{Cursor, SearchAnswer, SearchHit, SearchRequest, SearchSort};
pub use schema::{SchemaError, SearchReader, SearchSchema};
pub use scoring::Tuning;
pub use suggest::Suggestion;
