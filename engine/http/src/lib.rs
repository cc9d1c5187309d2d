//! What both HTTP surfaces share: problems, health, metrics, serving, JSON Schemas.

mod front;
mod operations;
mod problem;
mod schema;
mod serve;

pub use front::Front;
pub use operations::{Operations, Readiness, operations};
pub use problem::Problem;
pub use schema::{Schemas, decimals};
pub use serve::{Listening, Shutdown, bind, shutdown};
