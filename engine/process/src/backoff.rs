//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double from the first to the longest, until an attempt succeeds.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// The pause before the next attempt; the one after it is twice as long.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// An attempt succeeded: the next error is a first one again.
    pub fn succeeded(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(120));
        assert_eq!([backoff.pause(), backoff.pause(), backoff.pause(), backoff.pause()], [ms(50), ms(100), ms(120), ms(120)]);
        backoff.succeeded();
        assert_eq!(backoff.pause(), ms(50));
        assert_eq!(Backoff::new(ms(50), ms(10)).pause(), ms(10));
    }
}
