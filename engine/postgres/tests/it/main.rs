//! A Postgres of the tests' own.

mod migrating;
mod reaching;
mod sharing;
mod tls;
