//! The bus against a real Kafka. `./scripts/test` starts one; by hand, name it in DAYBOOK_TEST_KAFKA.

mod faults;
mod group;
mod group_rebalance;
mod inspector;
mod producer;
mod reader;
mod support;
mod tail;
mod topics;
mod transactions;
