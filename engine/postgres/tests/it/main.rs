//! A Postgres of the tests' own.

mod reaching;
mod tls;
