//! The runner against real Postgres and Kafka.

mod kafka;
mod models;
mod parking;
mod prepare;
mod process;
mod store;
mod support;
