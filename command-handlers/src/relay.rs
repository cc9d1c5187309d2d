//! The relay: publishes one partition's events, in order, from a cursor. Not a queue: events that it can't find among the last
//! pages it reads from the log, so nothing is lost when Kafka is away, and memory does not grow.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use daybook_bus::headers as h;
use daybook_bus::{Headers, Record};
use daybook_log::{Page, PartitionLog, StoredEvent};
use daybook_process::metrics;
use daybook_proto::v1::Metadata;
use futures_util::FutureExt as _;
use prost::Message as _;
use tokio::sync::watch;
use uuid::Uuid;

use crate::HandlerError;
use crate::error::backoff;
use crate::producers::Producers;
use crate::published::Published;

/// Pages kept for the relay; further back it reads the log.
const RECENT_PAGES: usize = 64;
/// Events read from the log at once.
const READ_EVENTS: i64 = 500;

/// Time between a relay's looks whether Kafka still holds what it was given, busy or not.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The lane's end of a relay. Dropping it lets the relay publish what is committed, and end.
pub(crate) struct Relay {
    recent: Arc<Mutex<VecDeque<Arc<Page>>>>,
    head: watch::Sender<i64>,
}

struct Publisher {
    service: Arc<str>,
    partition: PartitionLog,
    producers: Producers,
    recent: Arc<Mutex<VecDeque<Arc<Page>>>>,
    published: Published,
    /// The first offset that Kafka has not acknowledged.
    cursor: i64,
}

impl Relay {
    /// Starts publishing from `cursor`; `head` is the log's next offset.
    pub(crate) fn start(published: Published, producers: Producers, cursor: i64, head: i64) -> Self {
        let recent = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, receiver) = watch::channel(head);
        let partition = published.partition.clone();
        let publisher = Publisher { service: partition.service().clone(), partition, producers, recent: recent.clone(), published, cursor };
        tokio::spawn(publisher.run(receiver));
        Self { recent, head: sender }
    }

    /// A page was committed.
    pub(crate) fn committed(&self, page: Arc<Page>) {
        let next = page.head().next_offset();
        if page.head().count > 0 {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.len() == RECENT_PAGES {
                recent.pop_front();
            }
            recent.push_back(page);
        }
        self.head.send_replace(next);
    }
}

impl Publisher {
    async fn run(mut self, mut head: watch::Receiver<i64>) {
        let lag = metrics::RELAY_LAG.with([&self.service, &self.partition.number().to_string()]);
        let (mut backoff, mut looked) = (backoff(), Instant::now());
        loop {
            let target = *head.borrow_and_update();
            lag.set((target - self.cursor).max(0) as f64);
            let mut look = self.published.is_unknown() || looked.elapsed() >= LOOK_AGAIN;
            if !look && self.cursor >= target {
                match tokio::time::timeout(LOOK_AGAIN.saturating_sub(looked.elapsed()), head.changed()).await {
                    Ok(Err(_)) => return,
                    Ok(Ok(())) => continue,
                    Err(_) => look = true,
                }
            }
            // A panic is a bug; without this, nothing of the partition would be published before its lane begins again.
            let published = AssertUnwindSafe(self.step(look)).catch_unwind().await;
            match published.unwrap_or_else(|panic| Err(HandlerError::panicked(panic.as_ref()))) {
                Ok(()) => {
                    backoff.succeeded();
                    if look {
                        looked = Instant::now();
                    }
                }
                Err(error) => {
                    tracing::warn!(partition = %self.partition.name(), offset = self.cursor, %error, "publishing stopped; it goes on from the log");
                    metrics::RELAY_FAILURES.with([&self.service]).increment(1);
                    // The lane is gone: its successor publishes what is missing.
                    if head.has_changed().is_err() {
                        return;
                    }
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn step(&mut self, look: bool) -> Result<(), HandlerError> {
        if !look {
            return self.publish().await;
        }
        if let Some(from) = self.published.look().await? {
            self.cursor = from;
        }
        Ok(())
    }

    /// Publishes a batch from the cursor, and moves it by what Kafka acknowledged.
    async fn publish(&mut self) -> Result<(), HandlerError> {
        let records = match self.recent_records() {
            Some(records) => records,
            None => {
                let events = self.partition.read_events(self.cursor, READ_EVENTS).await?;
                events.iter().map(|e| self.record(e)).collect()
            }
        };
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        daybook_failpoint::reach("publish.before");
        match self.producers.in_order(records.len()).send(records).await {
            Ok(offsets) => {
                daybook_failpoint::reach("publish.after");
                self.cursor += count;
                metrics::RELAY_PUBLISHED.with([&self.service]).increment(count.unsigned_abs());
                if let Some(from) = self.published.acknowledged(&offsets).await? {
                    self.cursor = from;
                }
                Ok(())
            }
            Err(error) => {
                self.cursor += i64::try_from(error.acknowledged).unwrap_or_default();
                Err(error.into())
            }
        }
    }

    /// Everything from the cursor on, when the recent pages reach back to it.
    fn recent_records(&self) -> Option<Vec<Record>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.front().is_some_and(|p| p.head().next_offset() <= self.cursor) {
            recent.pop_front();
        }
        if recent.front()?.head().first_offset > self.cursor {
            return None;
        }
        let records: Vec<Record> =
            recent.iter().flat_map(|p| p.stored_events()).filter(|e| e.offset >= self.cursor).map(|e| self.record(&e)).collect();
        (!records.is_empty()).then_some(records)
    }

    /// An event as clients in any language read it: CloudEvents' Kafka binary form, and its place in the log.
    fn record(&self, e: &StoredEvent) -> Record {
        let metadata = Metadata::decode(e.metadata.as_slice()).unwrap_or_default();
        let place = format!("{}/{}:{}@{}", self.service, self.partition.number(), e.offset, e.epoch);
        let mut headers = Headers::with_capacity(14);
        headers.push(h::CE_ID, place);
        headers.push(h::CE_TYPE, e.type_name.clone());
        headers.push(h::CE_SOURCE, format!("/daybook/{}", self.service));
        headers.push(h::CE_TIME, e.recorded_at.to_string());
        headers.push(h::CE_SPECVERSION, "1.0");
        headers.push(h::CONTENT_TYPE, "application/protobuf");
        headers.push_display(h::EPOCH, e.epoch);
        headers.push_display(h::OFFSET, e.offset);
        headers.push_display(h::VERSION, e.version);
        headers.push(h::COMMAND_ID, Uuid::from_slice(&metadata.command_id).map(|id| id.to_string()).unwrap_or_default());
        headers.push(h::CORRELATION_ID, metadata.correlation_id);
        if !metadata.traceparent.is_empty() {
            headers.push(h::TRACEPARENT, metadata.traceparent);
        }
        headers.push(h::PAGE_DIGEST, hex::encode(&e.page_digest));
        Record {
            topic: self.published.topic.clone(),
            partition: self.partition.number(),
            key: Bytes::copy_from_slice(e.stream_id.as_bytes()),
            headers,
            value: Some(Bytes::from(e.payload.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::Instant;
    use daybook_log::{NewEvent, PageHead};

    use super::*;

    #[test]
    fn no_more_pages_are_kept_than_a_relay_may_lag_in_memory() {
        let (head, receiver) = watch::channel(0);
        let relay = Relay { recent: Arc::default(), head };
        let at = Instant::from_micros(1);
        let mut after = PageHead {
            page: 0,
            epoch: 1,
            first_offset: 0,
            count: 0,
            message_offset: -1,
            writer: "w".into(),
            previous: vec![],
            digest: vec![0; 32],
            recorded_at: at,
        };
        for version in 1..=100 {
            let event = NewEvent { stream_id: "a/1".into(), version, type_name: "t".into(), payload: vec![], metadata: vec![] };
            let page = Page::following(&after, 0, "w", at, -1, vec![event], vec![]);
            after = page.head().clone();
            relay.committed(Arc::new(page));
            // One without events is nothing to publish.
            let refusals = Page::following(&after, 0, "w", at, -1, vec![], vec![]);
            after = refusals.head().clone();
            relay.committed(Arc::new(refusals));
        }
        let recent = relay.recent.lock().expect("no panic");
        assert_eq!((recent.len(), recent.back().expect("the newest").head().first_offset), (RECENT_PAGES, 99));
        assert_eq!(*receiver.borrow(), 100);
    }
}
