//! Loops, and their results. Closed: every client does one thing after the other, as fast as it is answered. Open: things are due on a schedule,
//! whatever has become of those before, so that a stall counts for each that it holds up.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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

    /// The time that counts of a thing that was due, and that is done now. In an open loop only.
    fn time(&self, due: Instant, now: Instant) -> Duration {
        now.duration_since(due)
    }

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

impl Spread {
    /// The mean, the least and the most.
    pub(crate) fn of(values: &[f64]) -> Self {
        let (min, max) = values.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), value| (min.min(*value), max.max(*value)));
        Self { value: values.iter().sum::<f64>() / values.len() as f64, min, max }
    }
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

    /// Counts a time by the slice in which it began, and gives its client back.
    fn take<C: Client>(&mut self, done: (C, Instant, Instant, Result<(), String>), begun: Instant, length: Duration) -> C {
        let (client, at, now, result) = done;
        match result {
            Ok(()) => self.count(at.duration_since(begun), client.time(at, now), length),
            Err(error) => *self.errors.entry(error).or_default() += 1,
        }
        client
    }

    fn count(&mut self, at: Duration, took: Duration, length: Duration) {
        let slice = at.as_nanos() * SLICES as u128 / length.as_nanos().max(1);
        match usize::try_from(slice).ok().and_then(|slice| self.slices.get_mut(slice)) {
            Some(slice) => slice.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
            None => self.late += 1,
        }
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
                seen.count(now.duration_since(begun), now.duration_since(from), length);
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

/// Does the thing so many times a second for `length`, each time by a client that is free, or by one more. Times count from when it was due, unless
/// the client says otherwise.
/// Gives the clients back.
///
/// # Errors
/// When a client gets no answer at all.
pub(crate) async fn open_loop<C: Client>(mut make: impl FnMut() -> C, rate: f64, length: Duration) -> anyhow::Result<(Measured, Vec<C>)> {
    let begun = Instant::now();
    let mut due = schedule(begun, rate, length)?;
    let (mut free, mut tasks, mut seen) = (Vec::new(), JoinSet::new(), Seen::default());
    loop {
        tokio::select! {
            at = due.recv() => match at {
                Some(at) => {
                    let mut client = free.pop().unwrap_or_else(&mut make);
                    tasks.spawn(async move {
                        let result = client.once().await;
                        (client, at, Instant::now(), result)
                    });
                }
                None => break,
            },
            Some(done) = tasks.join_next() => free.push(seen.take(done.context("a client panicked")?, begun, length)),
        }
    }
    let rest = async {
        while let Some(done) = tasks.join_next().await {
            free.push(seen.take(done.context("a client panicked")?, begun, length));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(GRACE, rest).await.context("a client got no answer")??;
    Ok((measured(vec![seen], length, 1.0), free))
}

/// The times at which the thing is due. From a thread of its own: the runtime's clock goes by milliseconds.
fn schedule(begun: Instant, rate: f64, length: Duration) -> anyhow::Result<mpsc::UnboundedReceiver<Instant>> {
    let (sender, due) = mpsc::unbounded_channel();
    let pace = move || {
        for n in 0_u32.. {
            let after = Duration::from_secs_f64(f64::from(n) / rate);
            let at = begun + after;
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if after >= length || sender.send(at).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("schedule".to_owned()).spawn(pace)?;
    Ok(due)
}

/// Of times that somebody else took, each with its moment since the beginning.
pub(crate) fn of_times(times: impl IntoIterator<Item = (Duration, Duration)>, length: Duration) -> Measured {
    let mut seen = Seen::default();
    for (at, took) in times {
        seen.count(at, took, length);
    }
    measured(vec![seen], length, 1.0)
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

    /// Is busy for longer than the time between two that are due.
    struct Slow;

    impl Client for Slow {
        async fn once(&mut self) -> Result<(), String> {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_due_waits_for_nobody_and_its_time_counts_from_then() {
        let length = Duration::from_millis(200);
        let (measured, clients) = open_loop(|| Slow, 100.0, length).await.expect("it ends");
        assert_eq!((measured.done, measured.failed()), (20, 0));
        assert!(clients.len() > 1, "one alone would do it four times");
        assert!(measured.p50.value >= 50_000.0);
        // Something held up all of it: that counts for each.
        let begun = Instant::now();
        let mut due = schedule(begun, 1_000.0, Duration::from_millis(20)).expect("a thread");
        std::thread::sleep(Duration::from_millis(40));
        let mut times = Vec::new();
        while let Some(at) = due.recv().await {
            times.push(at);
        }
        assert_eq!(times.len(), 20);
        assert!(times.iter().all(|at| at.duration_since(begun) < Duration::from_millis(20)));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50.0, 99.0));
        assert_eq!((percentile(&[7], 99), percentile(&[], 99)), (7.0, 0.0));
    }
}
