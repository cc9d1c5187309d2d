//! One attempt at a call.

use std::collections::{BTreeMap, HashSet};

use daybook_kernel::{ServiceMessage, Unknown};
use uuid::Uuid;

use super::speaking::Spoken;
use super::{Came, Shared, guarded};
use crate::answering::answer;
use crate::call::{Call, Work};
use crate::pages::Place;
use crate::store::Kept;
use crate::{ReactorError, Rule};

impl Shared {
    /// One attempt. `repeats`: it may have been done before.
    pub(super) async fn perform(&self, call: &Call, repeats: bool) -> Came {
        guarded(self.attempt(call, repeats)).await.unwrap_or_else(Came::Failed)
    }

    /// The ids of the outcomes that the ledger has: one question for each partition that they go to.
    pub(super) async fn ended(&self, calls: &[&Call]) -> Result<HashSet<Uuid>, ReactorError> {
        let mut by_partition: BTreeMap<(&'static str, i32), Vec<(&str, Uuid)>> = BTreeMap::new();
        for call in calls {
            let partition = call.target.partition(self.common.target(call.service)?.log.partitions());
            by_partition.entry((call.service, partition)).or_default().push((call.target.as_str(), call.outcome_id));
        }
        let mut ended = HashSet::new();
        for ((service, partition), asked) in by_partition {
            ended.extend(self.common.target(service)?.log.partition(partition)?.ended(&asked).await?);
        }
        Ok(ended)
    }

    async fn attempt(&self, call: &Call, repeats: bool) -> Result<Came, ReactorError> {
        // What the outside has been asked for may never be asked for again.
        if (repeats || matches!(self.rule, Rule::Effect(_))) && !self.ended(&[call]).await?.is_empty() {
            // A lane of this process may have decided what Kafka does not have, and a log that is restored is told by Kafka alone.
            let Some(kept) = &call.outcome else { return Ok(Came::Ended) };
            let came = self.send(call, kept.clone()).await?;
            return Ok(if matches!(came, Came::Sent(_)) { Came::Ended } else { came });
        }
        let outcome = match &call.outcome {
            Some(kept) => kept.clone(),
            None => {
                let found = match self.find(call).await? {
                    Spoken::Outcome(found) => found,
                    Spoken::Kept(type_name, bytes) => {
                        let (service, target) = (call.service, call.target.clone());
                        ServiceMessage { service, type_name: self.common.command_type(&type_name)?, bytes, target }
                    }
                    Spoken::Waits(pause) => return Ok(Came::Waits(pause)),
                    Spoken::Unknown(Unknown::Unanswered(why)) => return Ok(Came::Failed(why)),
                    Spoken::Unknown(Unknown::Unusable(why)) => return Ok(Came::Unusable(why)),
                    Spoken::Gone => return Ok(Came::Ended),
                    Spoken::Over => return Ok(Came::Over),
                };
                daybook_failpoint::reach("call.answered");
                match self.store.keep_outcome(call.at(), &found, self.term).await? {
                    Kept::Stands(type_name, bytes) => ServiceMessage { type_name: self.common.command_type(&type_name)?, bytes, ..found },
                    Kept::Gone => return Ok(Came::Ended),
                    Kept::Over => return Ok(Came::Over),
                }
            }
        };
        daybook_failpoint::reach("call.kept");
        self.send(call, outcome).await
    }

    async fn send(&self, call: &Call, outcome: ServiceMessage) -> Result<Came, ReactorError> {
        let (_, record) = self.common.record(&self.log, &call.event, &self.caller(), call.outcome_id, outcome.clone())?;
        Ok(match self.common.sender.send(vec![record]).await {
            Ok(_) => {
                daybook_failpoint::reach("call.sent");
                Came::Sent(outcome)
            }
            Err(error) => Came::Kept(outcome, error.to_string()),
        })
    }

    /// The caller of its commands, as the log has it.
    pub(super) fn caller(&self) -> String {
        format!("{}/{}", self.rule.kind(), self.rule.name())
    }

    /// Finds an outcome.
    async fn find(&self, call: &Call) -> Result<Spoken, ReactorError> {
        let event = &call.event;
        match (&self.rule, &call.work) {
            (Rule::Lookup(lookup), Work::Read(first)) => {
                let (service, partition) = (self.log.service(), self.log.number());
                let place = Place { service, partition, offset: event.offset, epoch: event.epoch };
                daybook_failpoint::reach("call.before");
                let answered = answer(&**lookup, call, first, &self.common.reader, place, self.now()).await;
                Ok(answered.map_or_else(|why| Spoken::Unknown(Unknown::unanswered(why.to_string())), Spoken::Outcome))
            }
            (Rule::Effect(effect), Work::Speak(not_after, mine)) => self.speak(&**effect, call, *not_after, mine).await,
            _ => Ok(Spoken::Unknown(Unknown::unanswered("it is no call of this rule"))),
        }
    }
}
