//! The binary as an operator runs it: real processes that are paused, killed and started again.

mod failpoints;
mod faults;
mod loading;
mod ordering;
mod output;
mod outside;
mod paying;
mod people;
mod provider;
mod reading;
mod readme;
mod reporting;
mod restored;
mod sessions;
mod shipping;
mod shop;
mod support;
mod tokens;
mod tools;
mod whole_way;
