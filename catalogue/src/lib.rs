//! Catalogue files: whatever of JSON and CSV a merchant has is read row by row, and a mapping says which column is which
//! field of a product. `docs/loading.md` describes both for people.
//!
//! Nothing here sends anything: `daybook load catalogue` and the measurements of the search read their files by it.

mod bytes;
mod catalogue;
mod decimal;
#[cfg(test)]
mod fuzz;
mod json;
mod map;
mod product;
#[cfg(test)]
mod real;
mod row;
mod rows;
mod split;
mod table;

pub use bytes::MAX_ROW;
pub use catalogue::{Catalogue, Columns, Entry};
pub use map::{Mapping, MappingError};
pub use product::{Product, Said, What};

/// Why a file can't be loaded at all. The text names what it is and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FileError(pub(crate) String);
