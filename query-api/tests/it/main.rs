//! The query API over real HTTP, on real Postgres.

mod consistency;
mod events;
mod filled_pages;
mod generations;
mod lists;
mod lists_held;
mod operations;
mod pages;
mod parked;
mod push;
mod rules;
mod search;
mod search_filters;
mod search_reading;
mod support;
