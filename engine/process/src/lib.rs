//! What every process of Daybook has: an end in order, readiness, back-off, and the text of a panic.

mod backoff;
mod panic;
mod readiness;
mod shutdown;

pub use backoff::Backoff;
pub use panic::panic_text;
pub use readiness::Readiness;
pub use shutdown::{Shutdown, shutdown};
