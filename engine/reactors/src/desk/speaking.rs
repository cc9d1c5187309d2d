//! A call to the outside: at most one at a time is under way, and what may have been done is asked about before anything is done.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use daybook_kernel::{Attempt, ErasedEffect, Instant as Moment, ServiceMessage, Unknown, panic_text};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Shared;
use crate::ReactorError;
use crate::call::Call;
use crate::store::Stamped;

/// A call may be under way for so much longer than its limit: the time between the stamp and the call, and back.
const MARGIN: Duration = Duration::from_secs(5);
/// Destinations forget keys after so long, in microseconds: from then on nothing is begun under one.
const REMEMBERED: i64 = 24 * 3_600_000_000;

/// How a call to the outside ended.
pub(super) enum Spoken {
    /// Its outcome is known.
    Outcome(ServiceMessage),
    /// Another one has kept an outcome: type and bytes.
    Kept(String, Vec<u8>),
    /// It may not be begun yet: another one may be under way, or the destination is given a rest.
    Waits(Duration),
    /// The row has gone.
    Gone,
    /// What came of it is not known.
    Unknown(Unknown),
    /// Another process has the partition.
    Over,
}

impl Shared {
    /// Calls. `mine`: the number of the last call that this desk has begun for it.
    pub(super) async fn speak(
        &self,
        effect: &dyn ErasedEffect,
        call: &Call,
        not_after: Option<Moment>,
        mine: &AtomicI32,
    ) -> Result<Spoken, ReactorError> {
        if let Some(why) = effect.nobody() {
            return self.without_a_call(effect, call, not_after, why).await;
        }
        let destination = self.common.destination(effect.destination())?;
        let _place = tokio::select! {
            biased;
            // Whoever waits for a place when the desk is told to finish has not begun.
            () = self.finishing.requested() => return Ok(Spoken::Waits(MARGIN)),
            place = destination.places.acquire() => place,
        };
        let pass = match destination.breaker.admit(Instant::now()) {
            Ok(pass) => pass,
            Err(pause) => return Ok(Spoken::Waits(pause)),
        };
        let (begun, limit) = (Instant::now(), effect.time_limit());
        let number = match self.store.stamp_call(call.at(), self.term, limit + MARGIN, mine.load(Ordering::Relaxed)).await? {
            Stamped::Yes(number) => number,
            Stamped::Waits(pause) => return Ok(Spoken::Waits(pause)),
            Stamped::Kept(type_name, bytes) => return Ok(Spoken::Kept(type_name, bytes)),
            Stamped::Gone => return Ok(Spoken::Gone),
            Stamped::Over => return Ok(Spoken::Over),
        };
        mine.store(number, Ordering::Relaxed);
        if begun.elapsed() > MARGIN {
            return Ok(Spoken::Unknown(Unknown::unanswered("it was held up after it had been announced")));
        }
        let now = self.now();
        let is_forgotten = now.micros() >= call.event.recorded_at.micros().saturating_add(REMEMBERED);
        let attempt = match number {
            _ if not_after.is_some_and(|end| now >= end) => Attempt::AskOnly,
            // Nobody has used its key yet, so nobody can have forgotten it. But a log that was restored does not count what was called meanwhile.
            1 if !is_forgotten || !self.was_restored_since(call).await? => Attempt::First,
            _ if is_forgotten => Attempt::AskOnly,
            _ => Attempt::AskFirst,
        };
        self.meters.fired.increment(1);
        self.meters.late.increment(u64::from(number > 1));
        destination.under_way.increment(1.0);
        daybook_failpoint::reach("call.before");
        let outcome = under_limit(effect, call, attempt, limit).await;
        destination.under_way.decrement(1.0);
        Ok(match outcome {
            Ok(outcome) => {
                pass.succeeded();
                addressed(call, outcome)
            }
            Err(why) => {
                match why {
                    Unknown::Unanswered(_) => pass.failed(Instant::now()),
                    // It is there: one operation that can't be told must not hold up the others.
                    Unknown::Unusable(_) => pass.succeeded(),
                }
                Spoken::Unknown(why)
            }
        })
    }

    /// This process can call nobody. What is too late by now, and was never called for, was not begun. Only a row of the log's own time proves
    /// that: of one that was restored, calls may have been made that it does not count.
    async fn without_a_call(
        &self,
        effect: &dyn ErasedEffect,
        call: &Call,
        not_after: Option<Moment>,
        why: &str,
    ) -> Result<Spoken, ReactorError> {
        let waits = || Ok(Spoken::Unknown(Unknown::unanswered(why)));
        if not_after.is_none_or(|end| self.now() < end) {
            return waits();
        }
        let event = &call.event;
        if self.was_restored_since(call).await? || !self.store.was_never_called(call.at(), self.term).await? {
            return waits();
        }
        match effect.not_begun(&event.type_name, &event.payload, &event.decoded) {
            Ok(Some(outcome)) => Ok(addressed(call, outcome)),
            Ok(None) => waits(),
            Err(why) => Ok(Spoken::Unknown(Unknown::unanswered(why.to_string()))),
        }
    }

    /// Whether the log was restored to an older state after the event: calls may have been made that its rows do not count.
    async fn was_restored_since(&self, call: &Call) -> Result<bool, ReactorError> {
        Ok(self.log.first_offset_after_epoch(call.event.epoch).await?.is_some())
    }
}

/// An outcome, where it is for the stream that the call is for.
fn addressed(call: &Call, outcome: ServiceMessage) -> Spoken {
    match outcome.target == call.target && outcome.service == call.service {
        true => Spoken::Outcome(outcome),
        false => Spoken::Unknown(Unknown::Unusable(format!("its outcome is addressed to {}", outcome.target.as_str()))),
    }
}

async fn under_limit(effect: &dyn ErasedEffect, call: &Call, attempt: Attempt, limit: Duration) -> Result<ServiceMessage, Unknown> {
    let event = &call.event;
    let calling = async {
        let calling =
            effect.call(&event.type_name, &event.payload, &event.decoded, attempt).map_err(|why| Unknown::unanswered(why.to_string()))?;
        calling.await
    };
    match tokio::time::timeout(limit, AssertUnwindSafe(calling).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Unknown::Unanswered(format!("the effect panicked: {}", panic_text(panic.as_ref())))),
        Err(_) => Err(Unknown::Unanswered(format!("no answer in {} s", limit.as_secs_f64()))),
    }
}
