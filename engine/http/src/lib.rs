//! Shared by both HTTP surfaces: problems, negotiation, bodies, health, metrics, serving, JSON Schemas.

mod accept;
mod content;
mod cors;
mod field;
mod front;
mod gate;
mod operations;
mod problem;
mod query;
mod schema;
mod serve;
mod wire;

pub use accept::{Choice, Offer};
pub use content::{Coding, Packed, content_type};
pub use cors::Cors;
pub use front::Front;
pub use gate::Gate;
pub use operations::{Probe, operations_routes, surface_routes};
pub use problem::Problem;
pub use query::{Pair, not_utf8, pairs, parameters, parameters_but, segment};
pub use schema::{Schemas, decimals};
pub use serve::Surface;
pub use wire::Client;
