//! Kafka alone: a message produced (idempotent, acks=all) to a topic of one partition, and consumed again, by a process of the raw limits.

use std::time::Duration;

use anyhow::Context as _;

use crate::WARM_UP;
use crate::raw::Raw;
use crate::samples::{Measured, of_times};

/// So many clients that each have one message under way; records wait so long for company.
///
/// # Errors
/// When Kafka can't be reached.
pub(crate) fn there_and_back(brokers: &str, linger_ms: u32, clients: usize, length: Duration) -> anyhow::Result<Measured> {
    let mut raw = Raw::start(&["there-and-back", "--brokers", brokers, "--linger-ms", &linger_ms.to_string()], None)?;
    raw.ask(&format!("{clients} {}", WARM_UP.as_millis()))?;
    let answer = raw.ask(&format!("{clients} {}", length.as_millis()))?;
    let micros = |text: &str| anyhow::Ok(Duration::from_micros(text.parse()?));
    let times = answer.iter().map(|line| {
        let (at, took) = line.split_once(' ').context("a message has a moment and a time")?;
        Ok((micros(at)?, micros(took)?))
    });
    Ok(of_times(times.collect::<anyhow::Result<Vec<_>>>()?, length))
}
