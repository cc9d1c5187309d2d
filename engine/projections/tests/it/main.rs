//! The runner against real Postgres and Kafka.

mod following;
mod generations;
mod kafka;
mod models;
mod parking;
mod pod;
mod prepare;
mod process;
mod push;
mod rows;
mod store;
mod support;
mod unparking;
