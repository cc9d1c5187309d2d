//! The closed loop, and its results: every client does one thing after the other, as fast as it is answered.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A measurement is cut into so many slices; the worst and the best of them are its spread.
const SLICES: usize = 5;
/// Longest wait for a last answer once the time is over.
const GRACE: Duration = Duration::from_secs(40);
/// A client that failed pauses, so that an error does not become a busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// One client of a closed loop.
pub(crate) trait Client: Send + 'static {
    /// Does the thing once.
    ///
    /// # Errors
    /// A few words that many errors share: they are counted by them.
    fn once(&mut self) -> impl Future<Output = Result<(), String>> + Send;

    /// Work between two times; no part of the measurement.
    fn rest(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A number, and the least and the most that it was in a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) value: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The results of a closed loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) per_second: Spread,
    /// Microseconds.
    pub(crate) p50: Spread,
    /// Microseconds.
    pub(crate) p99: Spread,
    /// Number of times that it was done, with those that ended after the time was over.
    pub(crate) done: u64,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Measured {
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The times of one client: a list of microseconds a slice.
#[derive(Default)]
struct Seen {
    slices: [Vec<u32>; SLICES],
    late: u64,
    errors: BTreeMap<String, u64>,
}

impl Seen {
    fn done(&self) -> u64 {
        self.slices.iter().map(|s| s.len() as u64).sum::<u64>() + self.late
    }
}

/// Lets the clients loop for `length`, and gives them back. `weight` is the number of things that each time counts for.
///
/// # Errors
/// When a client gets no answer at all.
pub(crate) async fn closed_loop<C: Client>(clients: Vec<C>, length: Duration, weight: f64) -> anyhow::Result<(Measured, Vec<C>)> {
    let begun = Instant::now();
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(keep_on(client, begun, length))).collect();
    let (mut all, mut clients) = (Vec::new(), Vec::new());
    for task in tasks {
        let left = (length + GRACE).saturating_sub(begun.elapsed());
        let (seen, client) = tokio::time::timeout(left, task).await.context("a client got no answer")?.context("a client panicked")?;
        all.push(seen);
        clients.push(client);
    }
    Ok((measured(all, length, weight), clients))
}

async fn keep_on<C: Client>(mut client: C, begun: Instant, length: Duration) -> (Seen, C) {
    let mut seen = Seen::default();
    let mut from = Instant::now();
    while from.duration_since(begun) < length {
        let result = client.once().await;
        let now = Instant::now();
        match result {
            Ok(()) => {
                let slice = now.duration_since(begun).as_nanos() * SLICES as u128 / length.as_nanos().max(1);
                match usize::try_from(slice).ok().and_then(|slice| seen.slices.get_mut(slice)) {
                    Some(slice) => slice.push(u32::try_from(now.duration_since(from).as_micros()).unwrap_or(u32::MAX)),
                    None => seen.late += 1,
                }
                client.rest().await;
                from = Instant::now();
            }
            Err(error) => {
                *seen.errors.entry(error).or_default() += 1;
                tokio::time::sleep(AFTER_ERROR).await;
                from = Instant::now();
            }
        }
    }
    (seen, client)
}

fn measured(all: Vec<Seen>, length: Duration, weight: f64) -> Measured {
    let mut measured = Measured { done: all.iter().map(Seen::done).sum(), ..Measured::default() };
    let mut slices: [Vec<u32>; SLICES] = Default::default();
    for seen in all {
        for (slice, one) in slices.iter_mut().zip(seen.slices) {
            slice.extend(one);
        }
        for (error, count) in seen.errors {
            *measured.errors.entry(error).or_default() += count;
        }
    }
    for slice in &mut slices {
        slice.sort_unstable();
    }
    let mut whole = slices.concat();
    whole.sort_unstable();
    let seconds = length.as_secs_f64();
    let spread = |of: &dyn Fn(&[u32], f64) -> f64| {
        let each = slices.iter().map(|slice| of(slice, seconds / SLICES as f64));
        Spread { value: of(&whole, seconds), min: each.clone().fold(f64::INFINITY, f64::min), max: each.fold(0.0, f64::max) }
    };
    measured.per_second = spread(&|slice, seconds| slice.len() as f64 * weight / seconds);
    measured.p50 = spread(&|slice, _| percentile(slice, 50));
    measured.p99 = spread(&|slice, _| percentile(slice, 99));
    measured
}

/// Of sorted microseconds; 0 when there are none.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |us| f64::from(*us))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alternating(u32);

    impl Client for Alternating {
        async fn once(&mut self) -> Result<(), String> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0 += 1;
            if self.0.is_multiple_of(4) { Err("every fourth".to_owned()) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn what_succeeds_and_what_fails_are_counted_apart() {
        let clients = vec![Alternating(0), Alternating(0)];
        let (measured, clients) = closed_loop(clients, Duration::from_millis(300), 10.0).await.expect("it ends");
        let times: u32 = clients.iter().map(|c| c.0).sum();
        assert_eq!(measured.done + measured.failed(), u64::from(times));
        assert_eq!(measured.errors.keys().collect::<Vec<_>>(), ["every fourth"]);
        let rate = measured.per_second;
        assert!(rate.min <= rate.value && rate.value <= rate.max, "{rate:?}");
        assert!(measured.p50.value >= 1_000.0, "a millisecond was slept");
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50.0, 99.0));
        assert_eq!((percentile(&[7], 99), percentile(&[], 99)), (7.0, 0.0));
    }
}
