//! Reactors between real lanes, over a real Postgres and a real Kafka: one binary.

mod failing;
mod holders;
mod losses;
mod once;
mod support;
