//! A follower that can't go with the others: it works in a task of its own, from the log, until it is back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use daybook_kernel::panic_text;
use daybook_process::{Backoff, Shutdown, metrics};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::board::{Board, FollowerKey};
use crate::config::Limits;
use crate::follower::{FollowError, Follower, Home};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Between two attempts at a write that found its checkpoint locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// Time that a slow follower works alone before it may come back, and time between its looks for more meanwhile.
const SLOW_FOR: Duration = Duration::from_secs(10);
const SLOW_LOOK: Duration = Duration::from_millis(50);

/// A holder that stands still and owes something has so many times longer. One that says meanwhile that it works on it does not stand still.
const OWES_FOR: u32 = 10;

/// A follower and its place.
pub(crate) struct Member {
    pub(crate) place: FollowerKey,
    pub(crate) home: Home,
    pub(crate) follower: Box<dyn Follower>,
    /// Its place at the last look, if it had come to the end of what the ring has.
    pub(crate) waited_at: Option<i64>,
}

/// Why a follower works alone.
#[derive(Debug)]
pub(crate) enum Why {
    /// Its partition has just come to this process.
    Begins,
    /// The ring does not reach back to it, or Kafka lacks something.
    IsBehind,
    /// It has something to do beside events.
    Tends,
    /// It takes long for a batch.
    IsSlow,
    /// It went wrong with the others.
    Failed(FollowError),
}

/// Settings and board that members of a partition share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) board: Arc<Board>,
}

/// The start of a partition's ring.
#[derive(Clone, Default)]
pub(crate) struct RingStart(Arc<AtomicI64>);

impl RingStart {
    pub(crate) fn set(&self, start: Option<i64>) {
        self.0.store(start.unwrap_or(0), Ordering::Release);
    }

    fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Answers with what the future does; a panic is an error.
pub(crate) async fn guarded<T>(future: impl Future<Output = Result<T, FollowError>>) -> Result<T, FollowError> {
    AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|panic| Err(FollowError::Panicked(panic_text(panic.as_ref()))))
}

/// Works until the follower can go with the others, or is not wanted any more. None: there is nothing to follow for.
pub(crate) async fn run(mut member: Member, why: Why, shared: Arc<Shared>, start: RingStart, stop: Shutdown) -> Option<Member> {
    let (place, limits) = (member.place.clone(), &shared.limits);
    let mut backoff = Backoff::new(FIRST_PAUSE, limits.longest_pause);
    let mut reached = member.follower.next();
    let stay_until = Instant::now() + if matches!(why, Why::IsSlow) { SLOW_FOR } else { Duration::ZERO };
    // Until it has taken over, it holds nothing that it could go on with.
    let mut begins = matches!(why, Why::Begins);
    let mut outcome = match why {
        Why::Begins => guarded(member.follower.take_over()).await,
        Why::IsBehind | Why::Tends | Why::IsSlow => Ok(()),
        Why::Failed(error) => Err(error),
    };
    loop {
        if outcome.is_ok() {
            begins = false;
            outcome = guarded(catch_up(&mut *member.follower, &shared, &place, &start, stay_until, &stop)).await;
        }
        if stop.is_requested() {
            return Some(member);
        }
        let Err(error) = outcome else {
            member.waited_at = None;
            return Some(member);
        };
        outcome = match error {
            FollowError::Gone(_) => return None,
            FollowError::Busy(_) => Ok(()),
            FollowError::Locked(_) => {
                pause(LOCKED_PAUSE, &stop).await;
                guarded(member.follower.again()).await
            }
            FollowError::Moved(_) => guarded(stand_by(&mut *member.follower, &shared, &place, &stop)).await,
            FollowError::Carefully(why) => {
                tracing::info!(follower = member.follower.name(), why, "a batch is folded again, event by event");
                guarded(member.follower.resume()).await
            }
            FollowError::Failed(_) | FollowError::Panicked(_) => {
                let (follower, at) = (member.follower.name(), member.follower.next());
                tracing::error!(follower, %error, "a follower stands still; trying again");
                metrics::FOLLOWER_RESTARTS.with([place.0, &place.2]).increment(1);
                shared.board.stands_still(&place, error.to_string());
                if at > reached {
                    // It gets on: this error is a first one again.
                    reached = at;
                    backoff.succeeded();
                }
                pause(backoff.pause(), &stop).await;
                if begins { guarded(member.follower.take_over()).await } else { guarded(member.follower.resume()).await }
            }
        };
    }
}

async fn pause(pause: Duration, stop: &Shutdown) {
    tokio::select! {
        () = stop.requested() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Reads the log to its end, and goes on until the ring reaches back to it.
async fn catch_up(
    follower: &mut dyn Follower,
    shared: &Shared,
    place: &FollowerKey,
    start: &RingStart,
    stay_until: Instant,
    stop: &Shutdown,
) -> Result<(), FollowError> {
    let mut tended = None;
    loop {
        let mut behind = follower.is_behind().await?;
        if tended.is_none_or(|at: Instant| at.elapsed() >= shared.limits.idle) {
            follower.tend().await?;
            tended = Some(Instant::now());
        }
        while behind && !stop.is_requested() && tended.is_some_and(|at| at.elapsed() < shared.limits.idle) {
            let before = follower.next();
            follower.step().await?;
            behind = follower.next() > before;
            shared.board.works(place);
        }
        if stop.is_requested() {
            return Ok(());
        }
        if behind {
            continue;
        }
        shared.board.works(place);
        if Instant::now() < stay_until {
            pause(SLOW_LOOK, stop).await;
        } else if follower.next() >= start.get() {
            return Ok(());
        } else {
            // Events that Kafka has were in the log before; so this look finds them.
            let from = start.get();
            if !follower.is_behind().await? && follower.next() < from {
                let end = follower.next();
                let why = format!("Kafka has events from offset {from} on, but the log ends at {end}: it was restored to an older state");
                return Err(FollowError::Failed(why.into()));
            }
        }
    }
}

/// Waits while another holder works, and takes over when it has given up, or has stood still with more to do. Returns at once where nobody has taken
/// over: an operator's tool has moved the checkpoint on.
async fn stand_by(follower: &mut dyn Follower, shared: &Shared, place: &FollowerKey, stop: &Shutdown) -> Result<(), FollowError> {
    let mut seen = follower.standing().await?;
    if seen.term == follower.term() {
        tracing::warn!(follower = follower.name(), "starting again from the stored checkpoint");
        return follower.resume().await;
    }
    tracing::info!(follower = follower.name(), "another process has it; standing by");
    metrics::FOLLOWER_STOOD_BY.with([place.0, &place.2]).increment(1);
    shared.board.stands_by(place);
    let mut since = Instant::now();
    loop {
        if seen.given_up {
            tracing::info!(follower = follower.name(), "the other process has given it up; taking over");
            follower.take_over().await?;
            shared.board.works(place);
            return Ok(());
        }
        pause(shared.limits.idle, stop).await;
        if stop.is_requested() {
            return Ok(());
        }
        let now = match follower.standing().await {
            Err(error @ FollowError::Gone(_)) => return Err(error),
            // While nobody can see the checkpoint, it does not stand still.
            Err(_) => None,
            Ok(now) => Some(now),
        };
        if now != Some(seen) {
            (seen, since) = (now.unwrap_or(seen), Instant::now());
        } else if (since.elapsed() >= shared.limits.still && follower.log_end().await.is_ok_and(|end| end > seen.next))
            || (seen.owes && since.elapsed() >= shared.limits.still * OWES_FOR)
        {
            tracing::warn!(follower = follower.name(), "the other process stands still; taking over");
            follower.take_over().await?;
            shared.board.works(place);
            return Ok(());
        }
    }
}
