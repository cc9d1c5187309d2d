//! Audits of the log, and read models made of it again. Audits read, and change nothing, but for `reconcile --discard`.
//!
//! | to … | use |
//! |---|---|
//! | prove that nothing was lost, added or changed | [`verify()`] |
//! | see a stream's events and what they fold to | [`show()`] |
//! | fold a read model again beside the live one, compare, switch | [`rebuild()`], [`promote()`] |
//! | compare two generations of a read model | [`diff()`] |
//! | see what Kafka and read models have that a restored log has not | [`reconcile()`] |
//! | see a read model as it was | [`as_of()`] |

mod as_of;
mod diff;
mod error;
mod promote;
mod rebuild;
mod reconcile;
mod report;
mod show;
mod verify;
mod window;

pub use as_of::{AsOf, At, Position, Stopped, as_of};
pub use diff::{DiffOptions, DiffReport, DifferenceKind, FieldDifference, PartDifference, StreamName, compare as diff};
pub use error::ReplayError;
pub use promote::{PromoteOptions, Promoted, promote};
pub use rebuild::{RebuildOutcome, RebuildReport, RebuildRequest, Then, rebuild};
pub use reconcile::{FollowerAhead, ForeignEvent, PartitionState, ReconcileOptions, Reconciled, reconcile};
pub use report::{Finding, PartitionReport, Report};
pub use show::{ShowUntil, StreamEvent, StreamHistory, show};
pub use verify::{Phase, Progress, VerifyOptions, verify};
