//! The log against a real Postgres: one binary, a database a test.

mod append;
mod bulk;
mod plans;
mod protection;
mod reading;
mod support;
mod takeover;
