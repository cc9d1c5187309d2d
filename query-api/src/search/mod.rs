//! Serving searches: an index ([`daybook_search`]) that is read from a read model's parts and kept fresh by what is pushed.
//!
//! A request goes `http` → `params` (what is asked?) → `positions` (has the index got to the token?) → the index → `http`.
//! `feed` keeps the index fresh: from the database (`reading`) and by what is pushed (`waiting`).

mod feed;
mod http;
mod openapi;
mod params;
mod positions;
mod reading;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use feed::Fresh;
pub(crate) use http::{ROUTES, Search, routes};
pub(crate) use openapi::describe;
