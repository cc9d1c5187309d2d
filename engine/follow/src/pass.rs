//! One batch for each of several followers that have their checkpoints in one database: prepared, written in one transaction, committed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_log::LogError;
use daybook_process::metrics::Counter;
use deadpool_postgres::Client;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::alone::{Member, Why, guarded};
use crate::commit::{Committed, commit, each};
use crate::config::Limits;
use crate::event::Event;
use crate::follower::{FollowError, Follower, Home, Moved};

/// The followers that go, and the events of each.
pub(crate) struct Pass {
    home: Home,
    members: Vec<(Member, Vec<Arc<Event>>)>,
}

/// The outcome of a [`Pass`].
pub(crate) struct Passed {
    pub(crate) home: Home,
    /// The events of the largest batch.
    pub(crate) largest: usize,
    pub(crate) took: Duration,
    pub(crate) stay: Vec<Member>,
    /// Those that can't go with the others.
    pub(crate) leave: Vec<(Member, Why)>,
}

impl Pass {
    pub(crate) fn of(home: Home) -> Self {
        Self { home, members: Vec::new() }
    }

    /// `events`: the next ones of this follower, in order and without a gap.
    pub(crate) fn add(&mut self, member: Member, events: Vec<Arc<Event>>) {
        self.members.push((member, events));
    }

    /// `transactions` counts. It must not be cancelled: nobody would know what stands.
    pub(crate) async fn run(self, limits: &Limits, transactions: &Counter) -> Passed {
        let begun = Instant::now();
        let largest = self.members.iter().map(|(_, events)| events.len()).max().unwrap_or_default();
        let (mut members, batches): (Vec<Member>, Vec<_>) = self.members.into_iter().unzip();
        let reasons: Vec<Option<Why>> = match self.home.pool.get().await {
            Ok(client) => {
                let outcomes = write(&client, &mut members, &batches, transactions).await;
                let reason = |(outcome, longest)| match outcome {
                    Ok(()) => (longest > limits.slow).then_some(Why::IsSlow),
                    Err(error) => Some(Why::Failed(error)),
                };
                outcomes.into_iter().map(reason).collect()
            }
            Err(error) => {
                let text = LogError::from(error).to_string();
                members.iter().map(|_| Some(Why::Failed(FollowError::Failed(text.clone().into())))).collect()
            }
        };
        let (mut stay, mut leave) = (Vec::new(), Vec::new());
        for (member, reason) in members.into_iter().zip(reasons) {
            match reason {
                Some(why) => leave.push((member, why)),
                None => stay.push(member),
            }
        }
        Passed { home: self.home, largest, took: begun.elapsed(), stay, leave }
    }
}

/// The outcome of each, in their order, and the longest time that it has computed at once.
async fn write(
    client: &Client,
    members: &mut [Member],
    batches: &[Vec<Arc<Event>>],
    transactions: &Counter,
) -> Vec<(Result<(), FollowError>, Duration)> {
    let preparing = members.iter_mut().zip(batches).map(|(member, events)| timed(guarded(member.follower.prepare(client, events))));
    let mut outcomes: Vec<(Result<(), FollowError>, Duration)> = join_all(preparing).await;
    let prepared: Vec<usize> = (0..members.len()).filter(|n| outcomes[*n].0.is_ok()).collect();
    let (writing, silent): (Vec<usize>, Vec<usize>) = prepared.into_iter().partition(|n| members[*n].follower.has_statement());
    let mut answers: Vec<(usize, Result<Moved, FollowError>)> = silent.into_iter().map(|n| (n, Ok(Moved::Yes))).collect();
    if !writing.is_empty() {
        daybook_failpoint::reach("project.before-commit");
        transactions.increment(1);
        answers.extend(transaction(client, members, writing).await);
        daybook_failpoint::reach("project.after-commit");
    }
    for (n, answer) in answers {
        let follower = &mut members[n].follower;
        outcomes[n].0 = match answer {
            Ok(Moved::Yes) => guarded(follower.committed()).await,
            Ok(Moved::No) => Err(FollowError::Moved(follower.name())),
            Ok(Moved::Locked) => Err(FollowError::Locked(follower.name())),
            Err(error) => Err(error),
        };
    }
    outcomes
}

/// Executes what these have prepared, in one transaction. Where the statement of one of them fails, nothing stands, and the others write
/// each in a transaction of its own.
async fn transaction(client: &Client, members: &[Member], mut writing: Vec<usize>) -> Vec<(usize, Result<Moved, FollowError>)> {
    let of = |places: &[usize]| -> Vec<&dyn Follower> { places.iter().map(|n| &*members[*n].follower).collect() };
    match commit(client, &of(&writing)).await {
        Committed::Stands(answers) => writing.into_iter().zip(answers.into_iter().map(Ok)).collect(),
        Committed::Lost(error) => {
            let text = LogError::from(error).to_string();
            writing.into_iter().map(|n| (n, Err(FollowError::Failed(text.clone().into())))).collect()
        }
        Committed::Failed(at, error) => {
            // The others, whose statements may be good, are not to wait for the one that is not.
            let culprit = writing.remove(at);
            let others = each(client, &of(&writing)).await.into_iter().map(|answer| answer.map_err(failed));
            let mut answers: Vec<_> = writing.into_iter().zip(others).collect();
            answers.push((culprit, Err(failed(error))));
            answers
        }
    }
}

fn failed(error: tokio_postgres::Error) -> FollowError {
    FollowError::Failed(Box::new(LogError::from(error)))
}

/// The answer of a future, and the longest time that it has computed at once.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let mut future = pin!(future);
    let mut longest = Duration::ZERO;
    std::future::poll_fn(move |context| {
        let begun = Instant::now();
        let polled = future.as_mut().poll(context);
        longest = longest.max(begun.elapsed());
        polled.map(|done| (done, longest))
    })
    .await
}
