//! Audits against real Postgres and Kafka: a small log of the shop's stock, and what is found when someone changes it.

mod kafka;
mod log;
mod show;
mod support;
