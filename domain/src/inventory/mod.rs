//! Service `inventory`: what lies where, and for whom.

mod reorder;
mod stock;

pub use reorder::{Reorder, Reordering};
pub use stock::Stock;
