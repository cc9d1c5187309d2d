//! Positions of an index, and waits for it to get further.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_http::Problem;
use daybook_kernel::ConsistencyToken;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::answer::consistency::{self, other_epoch};
use crate::source::{Position, SourceId};

/// The position of an index in one log partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionPosition {
    /// Everything before it is in the index.
    pub(crate) next: i64,
    /// Of the log.
    pub(crate) epoch: i32,
}

/// The positions of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) generation: i32,
    /// By service and log partition.
    pub(crate) places: BTreeMap<(String, i32), PartitionPosition>,
    /// Something was missed, or nothing was ever read: tokens wait until it has been read again.
    pub(crate) lost: bool,
}

/// The relation of a token to positions.
enum Verdict {
    Reached,
    Behind,
    Never(Problem),
}

impl Positions {
    /// Before anything was read.
    pub(crate) fn unread() -> Self {
        Self { lost: true, ..Self::default() }
    }

    /// Where a source stands; none: there is no such source, or it is another generation's.
    pub(crate) fn position(&self, at: &SourceId) -> Option<Position> {
        let place = self.places.get(&(at.service.to_string(), at.partition)).filter(|_| at.generation == self.generation)?;
        Some(Position::new(place.epoch, place.next))
    }

    fn judge(&self, token: &ConsistencyToken) -> Verdict {
        if self.lost {
            return Verdict::Behind;
        }
        match self.places.get(&(token.service.clone(), token.partition)) {
            None => Verdict::Never(Problem::invalid(
                consistency::TOKEN_NAME,
                format!("{token}: {} has no partition {}", token.service, token.partition),
            )),
            Some(at) if at.epoch > token.epoch => Verdict::Never(other_epoch(token, at.epoch)),
            Some(at) if at.epoch == token.epoch && at.next > token.offset => Verdict::Reached,
            Some(_) => Verdict::Behind,
        }
    }

    /// As `Consistency-Position` tells them.
    pub(crate) fn tokens(&self) -> Vec<ConsistencyToken> {
        let token = |((service, partition), at): (&(String, i32), &PartitionPosition)| ConsistencyToken {
            service: service.clone(),
            partition: *partition,
            offset: at.next - 1,
            epoch: at.epoch,
        };
        self.places.iter().map(token).collect()
    }
}

/// Waits until an index has got to every token.
///
/// # Errors
/// 400: no such partition. 409: another epoch. 503: not reached in time; it says where everything stands.
pub(crate) async fn reach(
    mut positions: watch::Receiver<Positions>,
    model: &str,
    tokens: &[ConsistencyToken],
    wait: Duration,
) -> Result<(), Problem> {
    let mut never = None;
    let reached = positions.wait_for(|at| {
        tokens.iter().all(|token| match at.judge(token) {
            Verdict::Reached => true,
            Verdict::Behind => false,
            Verdict::Never(problem) => {
                never = Some(problem);
                true
            }
        })
    });
    let reached = tokio::time::timeout(wait, reached).await.is_ok_and(|r| r.is_ok());
    match never {
        Some(problem) => Err(problem),
        None if reached => Ok(()),
        None => Err(not_reached(model, tokens, &positions.borrow())),
    }
}

fn not_reached(model: &str, tokens: &[ConsistencyToken], at: &Positions) -> Problem {
    let behind: Vec<&ConsistencyToken> = tokens.iter().filter(|t| matches!(at.judge(t), Verdict::Behind)).collect();
    let place = |t: &ConsistencyToken| at.places.get(&(t.service.clone(), t.partition));
    // The epoch of a log only grows: a token beyond it is of a log that is not this one, or will be soon.
    if let Some((token, place)) = behind.iter().find_map(|t| place(t).filter(|p| p.epoch < t.epoch).map(|p| (t, p))) {
        return other_epoch(token, place.epoch);
    }
    let positions: Vec<Value> = behind
        .iter()
        .map(|t| {
            let at = place(t).map(|p| p.next - 1);
            json!({ "service": t.service, "partition": t.partition, "epoch": t.epoch, "wanted": t.offset, "at": at })
        })
        .collect();
    let waiting: Vec<String> = behind.iter().map(|t| t.to_string()).collect();
    Problem::unavailable(format!("searching {model} has not got to {} yet: ask again", waiting.join(", ")), 1)
        .kind("urn:daybook:not-reached")
        .with("positions", positions)
}
