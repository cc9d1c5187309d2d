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

    /// These offsets of Kafka's were acknowledged. One that was given before says that what it was given to is gone.
    ///
    /// # Errors
    /// As [`refill`](Self::refill), which is then done: publish from the log's beginning.
    pub(crate) async fn acknowledged(&mut self, offsets: &[i64]) -> Result<Option<i64>, HandlerError> {
        // Negative: the broker did not say.
        let mut known = offsets.iter().copied().filter(|offset| *offset >= 0);
        let (first, last) = (known.next(), known.next_back());
        let went_back = first.zip(self.next).is_some_and(|(first, next)| first < next);
        if went_back {
            self.next = None;
            return self.refill().await;
        }
        if let Some(last) = last.or(first) {
            self.next = Some(last + 1);
        }
        Ok(None)
    }

    /// Looks whether the topic still holds all that it did. Answers with the log offset to go on from, where that is another now.
    ///
    /// # Errors
    /// When Kafka or Postgres does not answer; [`HandlerError::AheadOfLog`].
    pub(crate) async fn look(&mut self) -> Result<Option<i64>, HandlerError> {
        let number = self.partition.number();
        let (low, high) = self.inspector.watermarks(&self.topic, number).await?;
        match self.next {
            // What was published since it was made again, if anything, did not begin at the log's beginning. (A topic whose
            // low watermark is higher had its beginning deleted by somebody who wanted that.)
            None if low == 0 => {
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
