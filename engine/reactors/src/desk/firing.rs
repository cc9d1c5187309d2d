//! Deadlines whose time has come, sent in its order.

use std::time::Duration;

use daybook_bus::Record;
use daybook_kernel::ServiceMessage;

use super::{Came, Shared, guarded};
use crate::ReactorError;
use crate::call::{At, Call};

/// A deadline that fires later than so long after its time is counted as late.
const LATE: Duration = Duration::from_secs(1);

impl Shared {
    /// Sends the commands of deadlines, in this order. Each has been sent before, or has not.
    pub(super) async fn fire(&self, batch: Vec<(Call, bool)>) -> Vec<(At, Came)> {
        let places = batch.iter().map(|(call, _)| call.at());
        match guarded(self.try_to_fire(&batch)).await {
            Ok(came) => places.zip(came).collect(),
            Err(why) => places.map(|at| (at, Came::Failed(why.clone()))).collect(),
        }
    }

    async fn try_to_fire(&self, batch: &[(Call, bool)]) -> Result<Vec<Came>, ReactorError> {
        let places: Vec<At> = batch.iter().map(|(call, _)| call.at()).collect();
        let Some(standing) = self.store.still_stand(&places, self.term).await? else {
            return Ok(batch.iter().map(|_| Came::Over).collect());
        };
        // Not all of these were disarmed: those that the ledger has, whoever sent them.
        let ended = self.ended(&batch.iter().map(|(call, _)| call).collect::<Vec<_>>()).await?;
        let (caller, now) = (self.caller(), self.now());
        let mut sent: Vec<Option<&ServiceMessage>> = Vec::new();
        let (mut records, mut fired, mut late): (Vec<Record>, _, _) = (Vec::new(), 0, 0);
        for (call, was_sent) in batch {
            let outcome = call.outcome.as_ref().filter(|_| standing.contains(&call.outcome_id) && !ended.contains(&call.outcome_id));
            if let Some(outcome) = outcome {
                records.push(self.common.record(&self.log, &call.event, &caller, call.outcome_id, outcome.clone())?.1);
                if !was_sent {
                    let by = now.micros().saturating_sub(call.due_at.micros());
                    fired += 1;
                    late += u64::from(u128::try_from(by).is_ok_and(|by| by > LATE.as_micros()));
                }
            }
            sent.push(outcome);
        }
        let delivered = if records.is_empty() {
            Ok(())
        } else {
            daybook_failpoint::reach("fire.before");
            // Good news that Kafka brings comes first, and deadlines come in their order.
            self.common.sender.by_kafka_alone(records).await.map(|_| daybook_failpoint::reach("fire.sent"))
        };
        if delivered.is_ok() {
            self.meters.fired.increment(fired);
            self.meters.late.increment(late);
        }
        let came = |outcome: Option<&ServiceMessage>| match (outcome, &delivered) {
            (None, _) => Came::Ended,
            (Some(outcome), Ok(())) => Came::Sent(outcome.clone()),
            (Some(outcome), Err(error)) => Came::Kept(outcome.clone(), error.to_string()),
        };
        Ok(sent.into_iter().map(came).collect())
    }
}
