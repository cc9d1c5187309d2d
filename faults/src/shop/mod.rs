//! All that the harness knows of the shop: its names, what clients ask it for and read, and its books, by which a run is judged. The rest of the
//! harness names nothing of the shop; `faults/tests/it/rooms.rs` holds that.

mod books;
mod clients;
mod keys;
mod market;
pub(crate) mod names;
pub(crate) mod outside;
mod reading;
pub mod rules;
pub(crate) mod shoppers;

pub use books::judge;
pub(crate) use clients::{Shop, creation, fall_and_return, held_for, spoilt};
pub use keys::Keys;
pub(crate) use market::Market;
pub(crate) use reading::Question;
