//! The limit of commands under way: as many as are answered in time, and no more than the settings say. A command beyond that is sent away
//! at once, with nothing half-done.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use daybook_http::Problem;
use daybook_process::metrics;

use super::Endpoint;

/// An answer that took longer is a late one: more was taken than can be done.
const IN_TIME: Duration = Duration::from_secs(1);
/// So many may always be under way, where the settings do not say less.
const LEAST: usize = 128;
/// Time that answers are counted before the limit moves, and the least number of them.
const WINDOW: Duration = Duration::from_millis(200);
const ENOUGH: u32 = 20;

/// The limit of commands under way now. It falls by a quarter while most answers are late, and rises by an eighth while they are not.
/// One partition that stands still for a moment, of several, does not move it: most answers are in time then.
pub(super) struct Limit {
    most: usize,
    now: AtomicUsize,
    began: Instant,
    /// When the window began, in milliseconds since `began`.
    window: AtomicU64,
    answers: AtomicU32,
    late: AtomicU32,
}

impl Limit {
    pub(super) fn new(most: usize, began: Instant) -> Self {
        let (window, answers, late) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
        Self { most, now: AtomicUsize::new(most), began, window, answers, late }
    }

    fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// An answer came, so long after its command.
    fn answered(&self, took: Duration, now: Instant) {
        if took > IN_TIME {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        let answers = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        let at = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let window = self.window.load(Ordering::Relaxed);
        let over = at.saturating_sub(window) >= u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX) && answers >= ENOUGH;
        // One of those who see its end begins the next.
        if !over || self.window.compare_exchange(window, at, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (answers, late) = (self.answers.swap(0, Ordering::Relaxed), self.late.swap(0, Ordering::Relaxed));
        let before = self.now();
        let limit = if late > answers / 2 { (before / 4 * 3).max(LEAST) } else { before + before / 8 + 1 };
        self.now.store(limit.min(self.most), Ordering::Relaxed);
        metrics::COMMANDS_LIMIT.get().set(self.now() as f64);
    }
}

/// One command under way; counted until it is answered.
pub(super) struct Admission<'a> {
    endpoint: &'a Endpoint,
    begun: Instant,
}

impl<'a> Admission<'a> {
    /// Sheds before anything is half-done: nothing was read, nothing was produced.
    ///
    /// # Errors
    /// 429 or 503, both with `Retry-After`.
    pub(super) fn of(endpoint: &'a Endpoint) -> Result<Self, Problem> {
        let admission = Self { endpoint, begun: Instant::now() };
        let under_way = endpoint.0.in_flight.fetch_add(1, Ordering::Relaxed);
        metrics::COMMANDS_IN_FLIGHT.get().increment(1.0);
        if under_way >= endpoint.0.limit.now() {
            metrics::COMMANDS_SHED.with(["429"]).increment(1);
            return Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many commands are under way: repeat with the same key").retry_after(1)
            );
        }
        if let Some(why) = endpoint.kafka_problem() {
            metrics::COMMANDS_SHED.with(["503"]).increment(1);
            return Err(Problem::unavailable(format!("commands can't be taken now ({why}): repeat with the same key"), 2));
        }
        Ok(admission)
    }

    /// Its body is there: how long that took says nothing of how busy we are.
    pub(super) fn begins(&mut self) {
        self.begun = Instant::now();
    }

    /// Its result came.
    pub(super) fn answered(&self) {
        let now = Instant::now();
        self.endpoint.0.limit.answered(now.saturating_duration_since(self.begun), now);
    }

    /// Its client waits no longer. Where that was soon, it says nothing of how busy we are.
    pub(super) fn deferred(&self) {
        if self.begun.elapsed() > IN_TIME {
            self.answered();
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.endpoint.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::COMMANDS_IN_FLIGHT.get().decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after so many seconds of 500 answers each that took so long.
    fn after(limit: &Limit, from: u64, seconds: u64, took: impl Fn(u64) -> Duration) -> usize {
        for n in 0..seconds * 500 {
            limit.answered(took(n), limit.began + Duration::from_secs(from) + Duration::from_millis(n * 2));
        }
        limit.now()
    }

    #[test]
    fn it_falls_while_answers_are_late_and_rises_again_when_they_are_not() {
        let limit = Limit::new(4_096, Instant::now());
        assert_eq!(after(&limit, 0, 5, |_| Duration::from_millis(50)), 4_096);
        assert_eq!(after(&limit, 5, 10, |_| Duration::from_secs(3)), LEAST);
        assert_eq!(after(&limit, 15, 10, |_| Duration::from_millis(50)), 4_096);
    }

    #[test]
    fn it_finds_what_can_be_done_in_time() {
        // As many a second as can be done: an answer takes as long as those before it do.
        let limit = Limit::new(4_096, Instant::now());
        let can = 800;
        let mut seen = Vec::new();
        for n in 0..200_u64 {
            let under_way = limit.now() as u64;
            for _ in 0..can / 5 {
                limit.answered(Duration::from_millis(under_way * 1_000 / can), limit.began + Duration::from_millis((n + 1) * 200));
            }
            seen.push(limit.now());
        }
        let settled = &seen[50..];
        assert!(settled.iter().all(|n| (400..1_100).contains(n)), "{settled:?}");
    }

    #[test]
    fn one_partition_of_several_that_stands_still_moves_nothing() {
        let limit = Limit::new(4_096, Instant::now());
        let took = |n| if n % 4 == 0 { Duration::from_secs(6) } else { Duration::from_millis(20) };
        assert_eq!(after(&limit, 0, 20, took), 4_096);
    }

    #[test]
    fn what_the_settings_say_is_never_exceeded() {
        for most in [0, 1, 50] {
            let limit = Limit::new(most, Instant::now());
            assert_eq!(after(&limit, 0, 5, |_| Duration::from_secs(3)), most);
            assert_eq!(after(&limit, 5, 5, |_| Duration::from_millis(3)), most);
        }
    }
}
