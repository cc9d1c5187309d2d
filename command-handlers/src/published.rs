//! Where a partition of `<service>.events` stands, compared with its log; and what is done when Kafka has lost what it had
//! acknowledged: a topic that was deleted and made again, a broker whose disk is gone.

use std::sync::Arc;

use daybook_bus::headers as h;
use daybook_bus::{Inspector, Message, delete_before};
use daybook_log::PartitionLog;

use crate::HandlerError;

/// Where `<service>.events` stands, compared with the log.
///
/// # Errors
/// [`HandlerError::AheadOfLog`] when the topic holds what the log does not: the partition must not start.
pub(crate) async fn first_unpublished(inspector: &Inspector, topic: &str, partition: &PartitionLog) -> Result<i64, HandlerError> {
    let Some(tail) = inspector.last_message(topic, partition.number()).await? else {
        // An empty topic is filled again from the log's beginning.
        return Ok(0);
    };
    let ahead = |offset: i64, why: String| HandlerError::AheadOfLog { partition: partition.name(), offset, why };
    let Some(offset) = log_offset(&tail) else {
        return Err(ahead(-1, "the topic's last message is none of Daybook's".to_owned()));
    };
    match partition.read_events(offset, 1).await?.first() {
        Some(event) if event.offset == offset => {
            let digest = tail.headers.get_str(h::PAGE_DIGEST).ok().flatten().unwrap_or_default();
            if digest == hex::encode(&event.page_digest) {
                Ok(offset + 1)
            } else {
                Err(ahead(offset, "another page's digest stands there".to_owned()))
            }
        }
        _ => Err(ahead(offset, "the log ends before it".to_owned())),
    }
}

fn log_offset(message: &Message) -> Option<i64> {
    message.headers.get_parsed::<i64>(h::OFFSET).ok().flatten().filter(|offset| *offset >= 0)
}

/// Where Kafka put what was published.
#[derive(Debug, PartialEq, Eq)]
enum Placed {
    /// Right behind what was there; what comes next comes behind it.
    Behind(Option<i64>),
    /// Further on: somebody else has published as well. Where that was an older relay of this partition, and the topic was empty,
    /// its end stands there now without its beginning.
    Further,
    /// Where something had stood, which is gone.
    Before,
}

/// Where Kafka put messages that it was expected to put at `next`. Negative offsets: it did not say.
fn placed(next: Option<i64>, offsets: &[i64]) -> Placed {
    let mut known = offsets.iter().copied().filter(|offset| *offset >= 0);
    let Some(first) = known.next() else { return Placed::Behind(next) };
    match next {
        Some(next) if first < next => Placed::Before,
        Some(next) if first > next => Placed::Further,
        _ => Placed::Behind(Some(known.next_back().unwrap_or(first) + 1)),
    }
}

/// What Kafka is known to hold of one partition.
pub(crate) struct Published {
    pub(crate) inspector: Inspector,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: PartitionLog,
    /// Of the lane that publishes.
    pub(crate) epoch: i32,
    /// What comes next can have no lower offset *of Kafka's*: those before it were acknowledged, or seen. None: not looked yet.
    pub(crate) next: Option<i64>,
}

impl Published {
    /// Whether it is due to [look](Self::look): never looked, or Kafka was caught having lost something.
    pub(crate) fn is_unknown(&self) -> bool {
        self.next.is_none()
    }

    /// These offsets of Kafka's were acknowledged. One that was given before says that what it was given to is gone; one that is
    /// further on has the topic [looked](Self::look) at again.
    ///
    /// # Errors
    /// As [`refill`](Self::refill), which is then done: publish from the log's beginning.
    pub(crate) async fn acknowledged(&mut self, offsets: &[i64]) -> Result<Option<i64>, HandlerError> {
        match placed(self.next, offsets) {
            Placed::Behind(next) => self.next = next,
            Placed::Further => self.next = None,
            Placed::Before => {
                self.next = None;
                return self.refill().await;
            }
        }
        Ok(None)
    }

    /// Looks whether the topic still holds all that it did. Answers with the log offset to go on from, where that is another now.
    ///
    /// # Errors
    /// When Kafka or Postgres does not answer; [`HandlerError::AheadOfLog`].
    pub(crate) async fn look(&mut self) -> Result<Option<i64>, HandlerError> {
        let number = self.partition.number();
        let (_, high) = self.inspector.watermarks(&self.topic, number).await?;
        match self.next {
            // What was published since it was made again, if anything, did not begin at the log's beginning. The topic is kept
            // for ever: nobody but us takes its beginning away.
            None => {
                let first = self.inspector.first_message(&self.topic, number).await?;
                if first.as_ref().and_then(log_offset).is_some_and(|offset| offset > 0) {
                    return self.refill().await;
                }
            }
            Some(next) if high < next => {
                tracing::warn!(partition = %self.partition.name(), next, high, "Kafka has lost what it had acknowledged");
                let from = first_unpublished(&self.inspector, &self.topic, &self.partition).await?;
                self.next = Some(high);
                return Ok(Some(from));
            }
            _ => {}
        }
        self.next = Some(high);
        Ok(None)
    }

    /// Takes away what the topic holds, and has it published from the log's beginning: its order is the log's then, too.
    /// Not done by a lane that another one has superseded. The end is fixed before that is asked: whatever this one
    /// deletes late, its successor had seen, and deleted as well.
    async fn refill(&mut self) -> Result<Option<i64>, HandlerError> {
        let number = self.partition.number();
        let (_, high) = self.inspector.watermarks(&self.topic, number).await?;
        if self.partition.last_page().await?.epoch != self.epoch {
            return Err(HandlerError::NotTheWriter(self.partition.name()));
        }
        tracing::warn!(partition = %self.partition.name(), up_to = high, "the topic has lost what it held: it is filled again from the log");
        metrics::counter!("daybook_relay_refills_total", "service" => self.partition.service().to_string()).increment(1);
        delete_before(self.inspector.config(), &self.topic, number, high).await?;
        self.next = Some(high);
        Ok(Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_was_given_before_and_one_that_is_further_on_are_told_apart() {
        assert_eq!(placed(Some(7), &[7, 8, 9]), Placed::Behind(Some(10)));
        assert_eq!(placed(Some(7), &[7]), Placed::Behind(Some(8)));
        assert_eq!(placed(Some(7), &[-1, -1]), Placed::Behind(Some(7)));
        // The topic was made again.
        assert_eq!(placed(Some(7), &[0, 1]), Placed::Before);
        // A relay that a lane had left behind published before us into an empty topic.
        assert_eq!(placed(Some(0), &[1_501, 1_502]), Placed::Further);
        assert_eq!(placed(None, &[3, 4]), Placed::Behind(Some(5)));
    }
}
