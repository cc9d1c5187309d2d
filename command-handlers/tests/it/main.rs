//! Command handlers over real HTTP, with a real Postgres and a real Kafka: one binary.

mod beside;
mod commands;
mod deferred;
mod errors;
mod invariants;
mod kafka;
mod parking;
mod relay;
mod repeats;
mod rules;
mod support;
mod takeover;
mod transactions;
mod webhooks;
