//! The query API over real HTTP, on real Postgres.

mod consistency;
mod operations;
mod pages;
mod search;
mod support;
