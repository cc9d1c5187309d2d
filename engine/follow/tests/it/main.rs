//! Followers over a real log, a real Kafka and a real database of checkpoints.

mod following;
mod support;
