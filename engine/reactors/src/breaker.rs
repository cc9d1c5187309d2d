//! A circuit breaker. Of the libraries, `recloser` does not say in which state it is nor when to come again, and `failsafe` rests since 2024;
//! both let everybody through when they try whether a destination is back, where one call is enough.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_process::metrics::Gauge;
use tokio::time::Instant;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Whoever comes while one tries comes again after so long.
const WHILE_TRYING: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls go through; so many have failed in a row.
    Closed(u32),
    /// One call tries whether the destination is back.
    Tries { pause: Duration },
    /// None go through until then.
    Open { until: Instant, pause: Duration },
}

/// The breaker of a destination.
pub(crate) struct Breaker {
    state: Mutex<State>,
    gauge: Gauge,
}

impl Breaker {
    /// Closed. The gauge is 0 while it is, 1 while one call tries, 2 while it is open.
    pub(crate) fn new(gauge: Gauge) -> Self {
        gauge.set(0.0);
        Self { state: Mutex::new(State::Closed(0)), gauge }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: &mut State, to: State) {
        *state = to;
        self.gauge.set(match to {
            State::Closed(_) => 0.0,
            State::Tries { .. } => 1.0,
            State::Open { .. } => 2.0,
        });
    }

    /// Whether calls are not let through, but for one that tries.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed(_))
    }

    /// Lets a call through, or says when to come again.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Duration> {
        let mut state = self.lock();
        match *state {
            State::Closed(_) => Ok(Pass { breaker: self.clone(), tries: None }),
            State::Tries { .. } => Err(WHILE_TRYING),
            State::Open { until, pause } => match until.checked_duration_since(now).filter(|left| !left.is_zero()) {
                Some(left) => Err(left),
                None => {
                    self.set(&mut state, State::Tries { pause });
                    Ok(Pass { breaker: self.clone(), tries: Some(now) })
                }
            },
        }
    }
}

/// A call that was let through. One that says nothing of how it went, tells nothing of the destination.
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    /// It alone tries whether the destination is back, since then.
    tries: Option<Instant>,
}

impl Pass {
    /// The destination has answered.
    pub(crate) fn succeeded(mut self) {
        self.tries = None;
        let mut state = self.breaker.lock();
        self.breaker.set(&mut state, State::Closed(0));
    }

    /// It has not.
    pub(crate) fn failed(mut self, now: Instant) {
        let tried = self.tries.take().is_some();
        let mut state = self.breaker.lock();
        let to = match *state {
            State::Closed(failures) if failures + 1 < FAILURES => State::Closed(failures + 1),
            State::Closed(_) => State::Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE },
            State::Tries { pause } if tried => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                State::Open { until: now + pause, pause }
            }
            // One from before it opened.
            state => state,
        };
        self.breaker.set(&mut state, to);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(since) = self.tries {
            let mut state = self.breaker.lock();
            if let State::Tries { pause } = *state {
                self.breaker.set(&mut state, State::Open { until: since, pause });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Arc<Breaker>, Instant) {
        (Arc::new(Breaker::new(Gauge::noop())), Instant::now())
    }

    fn fail(breaker: &Arc<Breaker>, times: u32, now: Instant) {
        (0..times).for_each(|_| breaker.admit(now).expect("it lets through").failed(now));
    }

    #[test]
    fn failures_in_a_row_open_it_and_with_a_success_between_them_they_do_not() {
        let (breaker, now) = breaker();
        for _ in 0..3 {
            fail(&breaker, FAILURES - 1, now);
            breaker.admit(now).expect("it lets through").succeeded();
        }
        fail(&breaker, FAILURES, now);
        assert_eq!(breaker.admit(now).err(), Some(FIRST_PAUSE));
    }

    #[test]
    fn after_a_pause_one_call_tries_and_its_answer_counts() {
        let (breaker, now) = breaker();
        fail(&breaker, FAILURES, now);
        let now = now + FIRST_PAUSE;
        let tries = breaker.admit(now).expect("one");
        assert_eq!(breaker.admit(now).err(), Some(WHILE_TRYING), "and no other");
        tries.failed(now);
        assert_eq!(breaker.admit(now).err(), Some(FIRST_PAUSE * 2));
        let now = now + FIRST_PAUSE * 2;
        breaker.admit(now).expect("one").succeeded();
        fail(&breaker, FAILURES - 1, now);
        assert!(breaker.admit(now).is_ok(), "it counts from the beginning again");
    }

    #[test]
    fn one_that_tries_and_is_given_up_leaves_its_place_to_another() {
        let (breaker, now) = breaker();
        let early = breaker.admit(now).expect("it lets through");
        fail(&breaker, FAILURES, now);
        let now = now + FIRST_PAUSE;
        drop(breaker.admit(now));
        let tries = breaker.admit(now).expect("another");
        early.failed(now);
        assert_eq!(breaker.admit(now).err(), Some(WHILE_TRYING), "what was begun before it opened changes nothing");
        tries.succeeded();
        assert!(breaker.admit(now).is_ok());
    }
}
