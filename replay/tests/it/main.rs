//! Audits and rebuilds against a real Postgres and a real Kafka.

mod comparing;
mod findings;
mod kafka;
mod lifecycle;
mod log;
mod promoting;
mod rebuilding;
mod shop;
mod show;
mod support;
mod was;
