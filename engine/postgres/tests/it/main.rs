//! A Postgres of the tests' own.

mod tls;
