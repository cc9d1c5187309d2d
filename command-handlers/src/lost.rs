//! Events that logs have lost: after a restore, commands that followed from them still stand on Kafka.

use std::collections::{HashMap, HashSet};

use daybook_kernel::{ConsistencyToken, Registry, Rule};
use daybook_log::{Log, LogError};
use daybook_proto::v1::{Request, Who};

/// The events that logs have lost, by their places. A log that was restored to an older state begins another epoch, by an operator's word and
/// while no process of Daybook runs (docs/restore.md): so this is read once, when a process begins.
#[derive(Debug, Default)]
pub(crate) struct LostEvents {
    /// Of each service and partition that has such epochs, from the first on: where the epoch after it begins.
    next_begins: HashMap<(String, i32), Vec<i64>>,
    /// Reactors whose commands do not outlast their events, as callers.
    ending: HashSet<String>,
}

impl LostEvents {
    /// Of these logs.
    ///
    /// # Errors
    /// When a database does not answer.
    pub(crate) async fn of(logs: &[Log], registry: &Registry) -> Result<Self, LogError> {
        let ending = registry.rules().filter_map(|rule| match rule {
            Rule::Reactor(reactor) if !reactor.outlasts_its_event() => Some(format!("reactor/{}", reactor.name())),
            _ => None,
        });
        let mut lost = Self { ending: ending.collect(), ..Self::default() };
        for log in logs {
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                let (last, mut begins) = (partition.last_page().await?.epoch, Vec::new());
                for epoch in 1..last {
                    begins.extend(partition.first_offset_after_epoch(epoch).await?);
                }
                if !begins.is_empty() {
                    lost.next_begins.insert((log.service().to_string(), n), begins);
                }
            }
        }
        Ok(lost)
    }

    /// Whether a reactor has sent this because of an event that its log has lost, and it does not outlast that. What caused the event is decided
    /// again, and reacted to again: without this, pieces would come back twice.
    pub(crate) fn have_caused(&self, request: &Request) -> bool {
        if self.next_begins.is_empty() {
            return false;
        }
        let ends = request.caller.as_ref().is_some_and(|caller| caller.kind() == Who::Process && self.ending.contains(&caller.id));
        ends && request.causation_id.parse().is_ok_and(|cause| self.hold(&cause))
    }

    fn hold(&self, event: &ConsistencyToken) -> bool {
        let Some(begins) = self.next_begins.get(&(event.service.clone(), event.partition)) else { return false };
        let of_its_epoch = usize::try_from(event.epoch - 1).ok().and_then(|n| begins.get(n));
        of_its_epoch.is_some_and(|next| event.offset >= *next)
    }
}

#[cfg(test)]
mod tests {
    use daybook_proto::v1::Caller;

    use super::*;

    #[test]
    fn what_does_not_outlast_a_lost_event_is_known_by_its_sender_and_its_cause_and_nothing_else_is() {
        // Two restores: the second epoch began at 100, and the third, which goes further back, at 40.
        let lost = LostEvents {
            next_begins: HashMap::from([(("order".to_owned(), 1), vec![40, 40])]),
            ending: HashSet::from(["reactor/order-to-stocks".to_owned()]),
        };
        let request = |caller: Caller, cause: &str| Request { caller: Some(caller), causation_id: cause.to_owned(), ..Default::default() };
        let reaction = |cause: &str| lost.have_caused(&request(Caller::process("reactor/order-to-stocks"), cause));
        for gone in ["order/1:40@1", "order/1:99@1", "order/1:40@2", "order/1:250@2"] {
            assert!(reaction(gone), "{gone}");
        }
        for stands in ["order/1:39@1", "order/1:39@2", "order/1:40@3", "order/0:500@1", "stock/1:500@1", "", "nonsense"] {
            assert!(!reaction(stands), "{stands}");
        }
        for other in [
            Caller::process("reactor/order-to-payment"),
            Caller::process("effect/payment-provider"),
            Caller::process("deadlines/order"),
            Caller::anonymous(),
        ] {
            assert!(!lost.have_caused(&request(other.clone(), "order/1:99@1")), "{other:?}");
        }
    }
}
