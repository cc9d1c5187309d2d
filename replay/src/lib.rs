//! Audits of the log: they read, and change nothing.
//!
//! | to … | use |
//! |---|---|
//! | prove that nothing was lost, added or changed | [`verify()`] |
//! | see a stream's events and what they fold to | [`show()`] |

mod error;
mod report;
mod show;
mod verify;

pub use error::ReplayError;
pub use report::{Finding, PartitionReport, Report};
pub use show::{Shown, ShownEvent, show};
pub use verify::{Phase, Progress, VerifyOptions, verify};
