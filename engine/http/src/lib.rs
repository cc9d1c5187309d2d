//! What both HTTP surfaces share: problems, health, metrics, serving.

mod operations;
mod problem;
mod serve;

pub use operations::{Operations, Readiness, operations};
pub use problem::Problem;
pub use serve::{Listening, Shutdown, bind, shutdown};
