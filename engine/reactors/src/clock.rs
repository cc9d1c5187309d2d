//! The clock of a log partition, as whoever follows it has it: the machine's, and never behind what the log has said. A machine whose clock is
//! behind, or was set back, still knows that a moment is over which its log has recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use daybook_kernel::Instant;

/// The time of a machine. A test can set it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The time of a log partition.
pub(crate) struct LogClock {
    machine: Clock,
    /// The time of the newest page or event that was seen of the log, in microseconds.
    recorded: AtomicI64,
}

impl LogClock {
    pub(crate) fn new(machine: Clock) -> Self {
        Self { machine, recorded: AtomicI64::new(i64::MIN) }
    }

    pub(crate) fn now(&self) -> Instant {
        (self.machine)().max(Instant::from_micros(self.recorded.load(Ordering::Relaxed)))
    }

    /// An event of this time was recorded.
    pub(crate) fn heard(&self, recorded_at: Instant) {
        self.recorded.fetch_max(recorded_at.micros(), Ordering::Relaxed);
    }

    /// The log's last page is of this time. One that was restored may be at an earlier one than was heard.
    pub(crate) fn stands_at(&self, recorded_at: Instant) {
        self.recorded.store(recorded_at.micros(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_s_clock_that_is_behind_its_log_stands_still_and_one_that_is_ahead_counts() {
        let machine = Arc::new(AtomicI64::new(100));
        let reads = machine.clone();
        let clock = LogClock::new(Arc::new(move || Instant::from_micros(reads.load(Ordering::Relaxed))));
        let now = || clock.now().micros();
        assert_eq!(now(), 100);
        clock.heard(Instant::from_micros(500));
        clock.heard(Instant::from_micros(400));
        assert_eq!(now(), 500);
        machine.store(600, Ordering::Relaxed);
        assert_eq!(now(), 600);
        machine.store(10, Ordering::Relaxed);
        assert_eq!(now(), 500, "nothing that was recorded is still to come");
        clock.stands_at(Instant::from_micros(200));
        assert_eq!(now(), 200, "a restored log");
    }
}
