//! Service `catalog`: what the shop sells, and what it costs.

mod product;

pub use product::Product;
