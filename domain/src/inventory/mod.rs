//! Service `inventory`: what lies where, and for whom.

mod stock;

pub use stock::Stock;
