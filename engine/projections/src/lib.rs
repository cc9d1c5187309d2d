//! The runner of projections: events go in, parts come out.
//!
//! [`Projectors`] keeps up the generations of read models; each is a follower of the log (`engine/follow`), with a [`Projector`] in each
//! partition. It folds a batch (`batch`), and one statement writes what changed together with the checkpoint (`store`). Generations are
//! made and retired in [`lifecycle`], filled in [`rebuild`], promoted in [`promotion`]. What a read model shows is its projections' matter.

mod batch;
mod config;
mod error;
mod generation;
mod held;
pub mod lifecycle;
mod parked;
mod prepare;
mod projector;
mod projectors;
pub mod promotion;
mod push;
pub mod rebuild;
mod rows;
mod sql;
mod store;
mod upkeep;

pub use config::{Limits, ProjectorsConfig, PushLimits};
pub use error::ProjectorError;
pub use generation::{Generation, fingerprint};
pub use parked::{ParkedStream, Unparked};
pub use prepare::{LiveGeneration, Prepared, prepare};
pub use projector::{Counts, Projector};
pub use projectors::Projectors;
pub use push::Push;
pub use store::ReadStore;
