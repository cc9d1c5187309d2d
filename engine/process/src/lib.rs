//! Parts that every process of Daybook has: an end in order, readiness, back-off, and the metrics of all of them.

mod backoff;
pub mod metrics;
mod readiness;
mod shutdown;

pub use backoff::Backoff;
pub use readiness::Readiness;
pub use shutdown::{Shutdown, shutdown};
