//! What every process of Daybook has: an end in order, readiness, back-off.

mod backoff;
mod readiness;
mod shutdown;

pub use backoff::Backoff;
pub use readiness::Readiness;
pub use shutdown::{Shutdown, shutdown};
