//! What serving searches does, told by examples and laws.

mod feed;
mod fuzz;
