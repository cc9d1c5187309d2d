//! Reactors, lookups, effects and deadlines between real lanes, over a real Postgres and a real Kafka: one binary.

mod deadlines;
mod effects;
mod failing;
mod holders;
mod lookups;
mod losses;
mod once;
mod support;
