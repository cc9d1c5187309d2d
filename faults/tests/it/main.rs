//! The judge, tried: it passes a good run, and names what is wrong with each broken one. Pure: no services.

mod broken_chain;
mod broken_kafka;
mod broken_log;
mod broken_orders;
mod broken_reads;
mod broken_reorder;
mod broken_restored;
mod broken_told;
mod good;
mod orders;
mod promises;
mod rooms;
mod support;
mod world;
