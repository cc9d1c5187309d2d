//! The projection runner, and the shop's read models.
//!
//! Events go in, parts come out: [`Projectors`] takes partitions of `<service>.events`, a [`Projector`] folds each (`event` →
//! `batch` → `store`), and one statement writes what changed together with the checkpoint. What a read model shows stands
//! in [`models`], a file each.

mod batch;
mod config;
mod error;
mod generation;
mod held;
pub mod lifecycle;
pub mod models;
mod parked;
mod prepare;
mod projector;
mod projectors;
mod push;
pub mod rebuild;
mod sql;
mod store;
mod upkeep;

pub use config::{Limits, ProjectorsConfig, PushLimits};
pub use error::ProjectorError;
pub use generation::{Generation, fingerprint};
pub use parked::{Ask, ParkedStream, Unparked};
pub use prepare::{Found, Prepared, prepare};
pub use projector::{Counts, Projector};
pub use projectors::Projectors;
pub use push::Push;
pub use store::ReadStore;
