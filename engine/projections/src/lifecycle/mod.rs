//! The life of a generation: made and filled beside the live one, [promoted](crate::promotion), kept for the way back, retired.
//!
//! A process that fills a generation, or clears one away that was not finished, holds the read model's advisory lock, on the session that
//! does it. A generation in state `building` whose lock nobody holds is what a rebuild that was killed left behind: the next one clears
//! it away. A process that serves or retires one holds the rows of all of them until that is committed. The first one is made live, by
//! `daybook migrate` under the migrations' lock; there is no rebuild before it.

mod error;
mod list;
mod make;
mod parts;
mod pods;
mod retire;
pub(crate) mod sql;

pub use error::LifecycleError;
pub use list::{GenerationReport, GenerationState, KnownGeneration, SourceReport, describe, known_generations, live_generation};
pub(crate) use list::{locked_generations, next_number};
pub(crate) use make::clear_dead_unless_running;
pub use make::{Building, clear_dead};
pub use parts::each_part;
pub use pods::{PodsReport, PodsView, announce, pods_on};
pub use retire::retire;
