//! The fate of a reactor's commands: each comes to an end, and what Kafka has lost is sent again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use crate::ReactorError;
use crate::queue::{Queue, Reaction};
use crate::reacting::{READ_AT_ONCE, Reacting};

/// Time that a reaction may be without a result before somebody looks whether Kafka has lost it.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(2);
/// Open reactions that are looked up at once.
const LOOK_UP: usize = 1_000;

impl Reacting {
    /// Looks which of the open reactions have come to an end. Where Kafka has lost one, goes back to the first that is open.
    pub(crate) async fn settle(&mut self) -> Result<(), ReactorError> {
        while let Some((from, to)) = self.queue.forgotten() {
            let events = self.stored_events(from, READ_AT_ONCE.min(to - from)).await?;
            let Some(last) = events.last().map(|event| event.offset + 1) else { break };
            let mut told = Vec::new();
            for event in events.iter().filter(|event| !self.is_parked(event)) {
                told.extend(self.react(event).unwrap_or_default().messages.into_iter().map(|(reaction, _)| reaction));
            }
            // Reactions sent before now lie before the topics' present ends.
            let passed = self.passed(&told.iter().collect::<Vec<_>>()).await?;
            for reaction in &mut told {
                reaction.message_offset = passed[&(reaction.service, reaction.partition)].1 - 1;
            }
            self.queue.remember(last, told);
        }
        let open = self.queue.oldest(LOOK_UP);
        if open.is_empty() {
            return Ok(());
        }
        // The lanes' progress is read before it is asked what they have decided: in the other order, what is decided meanwhile would look
        // lost.
        let old: Vec<&Reaction> = open.iter().filter(|reaction| reaction.since.elapsed() >= LOST_AFTER).collect();
        let passed = self.passed(&old).await?;
        let ended = self.ended(&open).await?;
        self.queue.ended(&ended);
        let lost = old.iter().find(|reaction| {
            let (passed, end) = passed[&(reaction.service, reaction.partition)];
            !ended.contains(&reaction.command_id) && (passed > reaction.message_offset || end <= reaction.message_offset)
        });
        if let Some(lost) = lost {
            let (reactor, command, from) = (self.full_name(), lost.command_id.to_string(), self.queue.settled());
            tracing::warn!(reactor, command, from, "Kafka has lost a reaction that it had acknowledged; they are sent again");
            self.meters.sent_again.increment(1);
            self.next = from;
            self.queue = Queue::at(from, from);
        }
        Ok(())
    }

    /// Those of these reactions that have come to an end: one question for each partition that they went to.
    pub(crate) async fn ended<'a>(&self, reactions: impl IntoIterator<Item = &'a Reaction>) -> Result<HashSet<Uuid>, ReactorError> {
        let mut by_target: BTreeMap<(&'static str, i32), Vec<(&str, Uuid)>> = BTreeMap::new();
        for reaction in reactions {
            let commands = by_target.entry((reaction.service, reaction.partition)).or_default();
            commands.push((reaction.target.as_str(), reaction.command_id));
        }
        let mut ended = HashSet::new();
        for ((service, partition), commands) in by_target {
            ended.extend(self.common.targets[service].log.partition(partition)?.ended(&commands).await?);
        }
        Ok(ended)
    }

    /// The progress of the lanes of these reactions' targets, and the ends of their topics.
    async fn passed(&self, reactions: &[&Reaction]) -> Result<HashMap<(&'static str, i32), (i64, i64)>, ReactorError> {
        let mut passed = HashMap::new();
        for reaction in reactions {
            let at = (reaction.service, reaction.partition);
            if let Entry::Vacant(free) = passed.entry(at) {
                let target = &self.common.targets[reaction.service];
                let committed = self.common.inspector.committed(&target.lanes, &target.topic, reaction.partition).await?;
                let end = self.common.inspector.written(&target.topic, reaction.partition).await?.end;
                free.insert((committed.unwrap_or(0), end));
            }
        }
        Ok(passed)
    }
}
