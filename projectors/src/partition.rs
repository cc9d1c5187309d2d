//! The task that owns one assigned partition: the log first, then Kafka, and after any error again from the checkpoint.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{Inbox, Inspector, StartAt};
use daybook_kernel::ReadModel;
use daybook_log::Log;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::ProjectorError;
use crate::config::Limits;
use crate::generation::Generation;
use crate::projector::Projector;
use crate::projectors::{At, Board};
use crate::push::Push;
use crate::store::ReadStore;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How soon a pause notices that the partition was taken away.
const GLANCE: Duration = Duration::from_millis(100);

/// What every partition of a process shares.
pub(crate) struct Common {
    pub(crate) store: ReadStore,
    pub(crate) inspector: Inspector,
    pub(crate) limits: Limits,
    pub(crate) board: Board,
    pub(crate) push: Push,
}

/// What every partition of one generation shares.
pub(crate) struct Shared {
    pub(crate) model: Arc<ReadModel>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) common: Arc<Common>,
}

/// Why an attempt ended without an error.
struct Revoked;

/// What outlives an attempt.
struct Course {
    /// How far any of them has got.
    reached: i64,
    /// How long to wait after the next error.
    pause: Duration,
    /// The last attempt's.
    projector: Option<Projector>,
    /// Parked streams that are still to be tried once by themselves, in this process; none as long as nobody knows which there are.
    untried: Option<Vec<String>>,
}

/// Runs until the partition is revoked.
pub(crate) async fn run(shared: Arc<Shared>, log: Log, mut inbox: Inbox) {
    let place = (shared.model.name, shared.generation.number, log.service().to_string(), inbox.partition);
    shared.common.board.took(&place);
    let mut course = Course { reached: -1, pause: FIRST_PAUSE, projector: None, untried: None };
    loop {
        let outcome = AssertUnwindSafe(attempt(&shared, &log, &mut inbox, &mut course, &place)).catch_unwind().await;
        // The next attempt reads all else again.
        if let Some(mut projector) = course.projector.take() {
            course.untried = Some(projector.leave_untried());
        }
        let error = match outcome {
            Ok(Ok(Revoked)) => break,
            Ok(Err(error)) => error,
            Err(panic) => ProjectorError::Panicked(text(panic.as_ref())),
        };
        metrics::counter!("daybook_projector_restarts_total", "projection" => place.0, "service" => place.2.clone()).increment(1);
        if inbox.is_ended() {
            break;
        }
        if matches!(error, ProjectorError::Superseded(_)) {
            tracing::warn!(%error, "starting again from the stored checkpoint");
        } else {
            tracing::error!(projection = place.0, generation = place.1, service = place.2, partition = place.3, %error, "a partition stands still; trying again");
            shared.common.board.trouble(&place, Some(error.to_string()));
        }
        let until = Instant::now() + course.pause;
        while Instant::now() < until && !inbox.is_ended() {
            tokio::time::sleep(GLANCE.min(until - Instant::now())).await;
        }
        course.pause = (course.pause * 2).min(shared.common.limits.longest_pause);
    }
    shared.common.board.gave_up(&place);
}

/// From the stored checkpoint on: the log up to its end, then Kafka from the place that was its end at that time.
async fn attempt(shared: &Shared, log: &Log, inbox: &mut Inbox, course: &mut Course, place: &At) -> Result<Revoked, ProjectorError> {
    let (model, generation) = (shared.model.clone(), shared.generation.clone());
    let partition = log.partition(inbox.partition)?;
    let mut projector =
        Projector::open(model, generation, shared.common.store.clone(), partition, log.partitions(), shared.common.limits.clone()).await?;
    projector = projector.pushing(&shared.common.push).await?;
    match course.untried.take() {
        Some(untried) => projector.go_on_trying(untried),
        None => projector.try_parked_again(),
    }
    let projector = course.projector.insert(projector);
    let mut following = false;
    let mut look_at = Instant::now();
    let mut stood_at = projector.next();
    loop {
        if projector.next() > course.reached {
            // It gets on: the next error is a first one again.
            course.reached = projector.next();
            course.pause = FIRST_PAUSE;
            shared.common.board.trouble(place, None);
        }
        if inbox.is_ended() {
            return Ok(Revoked);
        }
        if Instant::now() >= look_at {
            let behind = projector.is_behind().await?;
            projector.tend().await?;
            if !behind {
                shared.common.board.trouble(place, None);
            } else if projector.next() == stood_at {
                // There is more, and nothing has come of it: Kafka is not waited for.
                projector.step().await?;
                stood_at = projector.next();
                continue;
            }
            stood_at = projector.next();
            look_at = Instant::now() + shared.common.limits.idle;
        }
        if !following {
            following = follow_from_here(shared, inbox, projector).await?;
            continue;
        }
        match tokio::time::timeout_at(look_at, inbox.recv(shared.common.limits.batch_events, shared.common.limits.batch_bytes)).await {
            Ok(Some(messages)) => {
                let (begun, limits) = (Instant::now(), &shared.common.limits);
                projector.follow(&messages).await?;
                if messages.len() < limits.batch_events {
                    tokio::time::sleep((begun.elapsed() * limits.rest).min(limits.longest_rest)).await;
                }
            }
            Ok(None) => return Ok(Revoked),
            Err(_) => {}
        }
    }
}

/// Begins to follow Kafka at its present stable end, once the log has been read up to there. False: Kafka did not answer.
async fn follow_from_here(shared: &Shared, inbox: &Inbox, projector: &mut Projector) -> Result<bool, ProjectorError> {
    let look = shared.common.inspector.readable(&inbox.topic, inbox.partition);
    tokio::pin!(look);
    let end = loop {
        tokio::select! {
            end = &mut look => break end,
            // A Kafka that does not answer must not hold up what the log has.
            () = tokio::time::sleep(shared.common.limits.idle) => projector.catch_up().await?,
        }
    };
    let started = match end {
        // What was published before this end was in the log before: nothing falls between the two. What a transaction holds back
        // comes again, and is dropped.
        Ok(readable) => {
            projector.catch_up().await?;
            inbox.start(StartAt::Offset(readable.stable_end.offset())).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &started
        && !inbox.is_ended()
    {
        tracing::warn!(projector = projector.name(), %error, "Kafka can't be followed yet; the log is read meanwhile");
        projector.catch_up().await?;
        tokio::time::sleep(GLANCE).await;
    }
    Ok(started.is_ok())
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    said.unwrap_or_else(|| "without a text".to_owned())
}
