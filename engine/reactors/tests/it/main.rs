//! Reactors, lookups and deadlines between real lanes, over a real Postgres and a real Kafka: one binary.

mod deadlines;
mod failing;
mod holders;
mod lookups;
mod losses;
mod once;
mod support;
