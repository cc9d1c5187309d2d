//! The place of a partition of `<service>.events`, compared with its log; and the repair when Kafka has lost what it had acknowledged: a
//! topic that was deleted and made again, a broker whose disk is gone.

use std::sync::Arc;

use daybook_bus::headers as h;
use daybook_bus::{Inspector, Message, Written, delete_before};
use daybook_log::PartitionLog;
use daybook_process::metrics;

use crate::HandlerError;

/// The place of `<service>.events`, compared with the log.
///
/// # Errors
/// [`HandlerError::AheadOfLog`] when the topic holds what the log does not: the partition must not start. Nor may it while a
/// client's transaction hides what the topic holds ([`Undecided`](daybook_bus::BusError::Undecided)).
pub(crate) async fn first_unpublished(inspector: &Inspector, topic: &str, partition: &PartitionLog) -> Result<i64, HandlerError> {
    inspector.decided(topic, partition.number()).await?;
    let Some(tail) = inspector.last_message(topic, partition.number()).await? else {
        // An empty topic is filled again from the log's beginning.
        return Ok(0);
    };
    let ahead = |offset: i64, why: String| HandlerError::AheadOfLog { partition: partition.name(), offset, why };
    let Some(offset) = log_offset(&tail) else {
        return Err(ahead(-1, "the topic's last message is none of Daybook's".to_owned()));
    };
    // An operator has begun another epoch before it (`replay reconcile --discard`): from there on the topic's events are void, and
    // all before it were published before them.
    if let Ok(Some(epoch)) = tail.headers.get_parsed::<i32>(h::EPOCH)
        && let Some(first) = partition.first_offset_after_epoch(epoch).await?.filter(|first| *first <= offset)
    {
        return Ok(first);
    }
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

/// The place that Kafka gave to what was published.
#[derive(Debug, PartialEq, Eq)]
enum Placed {
    /// Right behind what was there; the next message comes behind it.
    Behind(Option<i64>),
    /// Further on: somebody else has published as well. Where that was an older relay of this partition, and the topic was empty,
    /// its end stands there now without its beginning.
    Further,
    /// At an offset where something had stood, which is gone.
    Before,
}

/// Compares the offsets that Kafka gave with `next`, where they were expected. Negative offsets: it did not say.
fn placed(next: Option<i64>, offsets: &[i64]) -> Placed {
    let mut known = offsets.iter().copied().filter(|offset| *offset >= 0);
    let Some(first) = known.next() else { return Placed::Behind(next) };
    match next {
        Some(next) if first < next => Placed::Before,
        Some(next) if first > next => Placed::Further,
        _ => Placed::Behind(Some(known.next_back().unwrap_or(first) + 1)),
    }
}

/// The part of a partition that Kafka is known to hold.
pub(crate) struct Published {
    pub(crate) inspector: Inspector,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: PartitionLog,
    /// The writer whose pages are published. Its opening page stands already: as long as the log's last page is of that name,
    /// nobody has taken the partition over.
    pub(crate) writer: String,
    /// The next message can have no lower offset *of Kafka's*: those before it were acknowledged, or seen. None: not looked yet.
    pub(crate) next: Option<i64>,
    /// The topic's beginning when it was looked at, an offset of Kafka's.
    pub(crate) low: i64,
}

impl Published {
    /// Whether it is due to [look](Self::look): never looked, or Kafka was caught having lost something.
    pub(crate) fn is_unknown(&self) -> bool {
        self.next.is_none()
    }

    /// These offsets of Kafka's were acknowledged. One that was given before says that its earlier message is gone; one that is further on
    /// has the topic [looked](Self::look) at again.
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
        // Not the readable end: messages acknowledged behind a client's open transaction are there.
        let Written { first: low, end } = self.inspector.written(&self.topic, number).await?;
        if (self.next, self.low) == (Some(end), low) {
            return Ok(None);
        }
        let lost = self.next.is_some_and(|next| end < next);
        if lost {
            tracing::warn!(partition = %self.partition.name(), next = self.next, end, "Kafka has lost what it had acknowledged");
        }
        // The topic is kept for ever: nobody but us takes its beginning away.
        let first = self.inspector.first_message(&self.topic, number).await?;
        let from = match first.as_ref().map(log_offset) {
            // All that it held is published again. If something may be hidden, nobody knows yet that it holds nothing.
            None => self.inspector.decided(&self.topic, number).await.map(|_| Some(0))?,
            // The events published since it was made again did not begin at the log's beginning.
            Some(Some(1..)) => return self.refill().await,
            Some(_) if lost => Some(first_unpublished(&self.inspector, &self.topic, &self.partition).await?),
            Some(_) => None,
        };
        (self.next, self.low) = (Some(end), low);
        Ok(from)
    }

    /// Takes away what the topic holds, and has it published from the log's beginning: its order is the log's then, too.
    /// Not done once another lane has taken over, which the writer of the log's last page tells. The end is fixed before that is
    /// asked: whatever this one deletes late, its successor, which looks after its opening page, had seen, and deleted as well. Where
    /// the topic was made again and filled between the two, its new beginning goes; the successor [sees](Self::look) that.
    async fn refill(&mut self) -> Result<Option<i64>, HandlerError> {
        let number = self.partition.number();
        let end = self.inspector.written(&self.topic, number).await?.end;
        if self.partition.last_page().await?.writer != self.writer {
            return Err(HandlerError::NotTheWriter(self.partition.name()));
        }
        tracing::warn!(partition = %self.partition.name(), up_to = end, "the topic has lost what it held: it is filled again from the log");
        metrics::RELAY_REFILLS.with([self.partition.service()]).increment(1);
        delete_before(self.inspector.config(), &self.topic, number, end).await?;
        (self.next, self.low) = (Some(end), end);
        Ok(Some(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use daybook_bus::{BusError, Headers, Producer, ProducerOptions, Record};
    use daybook_log::{AppendOutcome, Log, NewEvent, Page, Writer, WriterSessions};
    use daybook_postgres::Role;
    use daybook_testkit::{TestBus, TestDatabase, TransactionalClient, bus, eventually};

    use super::*;
    use crate::ensure_topics;

    /// A log of one partition with three events, its topic, which is empty, and their writer.
    struct Fixture {
        _database: TestDatabase,
        bus: TestBus,
        partition: PartitionLog,
        writer: Writer,
    }

    impl Fixture {
        async fn new() -> Self {
            let (database, bus) = (TestDatabase::migrated(&["catalog"], 1).await, bus());
            let log = Log::open(&database.databases(), "catalog", Role::Writer).await.expect("migrated");
            ensure_topics(&bus, std::slice::from_ref(&log)).await.expect("Kafka answers");
            // One that was made a moment ago may have no leader yet.
            let (inspector, topic) = (Inspector::new(&bus).expect("Kafka answers"), bus.events("catalog"));
            eventually("the topic to have a leader", || async { inspector.written(&topic, 0).await.ok() }).await;
            let partition = log.partition(0).expect("there is one");
            let writer = Writer::new(partition.clone(), &WriterSessions::new(1)).await.expect("connects");
            let head = writer.open(Writer::now()).await.expect("nobody else writes").head;
            let events = (1..=3).map(|version| NewEvent {
                stream_id: "product/A-1".into(),
                version,
                type_name: "a.Type".into(),
                payload: vec![],
                metadata: vec![],
            });
            let page = Page::following(&head, 0, writer.name(), Writer::now(), -1, events.collect(), vec![]);
            assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
            Self { _database: database, bus, partition, writer }
        }

        fn topic(&self) -> Arc<str> {
            self.bus.events("catalog").into()
        }

        /// Publishes so many events from an offset on, as a relay does.
        async fn publish(&self, from: i64, count: i64) {
            let events = self.partition.read_events(from, count).await.expect("readable");
            let place = |e: &daybook_log::StoredEvent| {
                Headers::new().with(h::OFFSET, e.offset.to_string()).with(h::PAGE_DIGEST, hex::encode(&e.page_digest))
            };
            self.produce(events.iter().map(place)).await;
        }

        async fn produce(&self, headers: impl Iterator<Item = Headers>) {
            let record = |headers| Record {
                topic: self.topic(),
                partition: 0,
                key: Bytes::from_static(b"product/A-1"),
                headers,
                value: Some(Bytes::new()),
            };
            let producer = Producer::new(&self.bus, ProducerOptions::default()).expect("it starts");
            producer.send(headers.map(record).collect()).await.expect("delivered");
        }

        async fn first_unpublished(&self) -> Result<i64, HandlerError> {
            let inspector = Inspector::new(&self.bus).expect("Kafka answers");
            first_unpublished(&inspector, &self.topic(), &self.partition).await
        }

        /// The part that `writer` knows to be there: all below `next`, an offset of Kafka's.
        fn published(&self, writer: &Writer, next: Option<i64>) -> Published {
            let inspector = Inspector::new(&self.bus).expect("Kafka answers");
            Published { inspector, topic: self.topic(), partition: self.partition.clone(), writer: writer.name().to_owned(), next, low: 0 }
        }

        async fn holds(&self) -> (i64, i64) {
            let Written { first, end } =
                Inspector::new(&self.bus).expect("Kafka answers").written(&self.topic(), 0).await.expect("it is there");
            (first, end)
        }
    }

    #[tokio::test]
    async fn a_topic_whose_end_is_not_of_the_page_that_the_log_has_there_is_ahead_of_it() {
        let f = Fixture::new().await;
        assert_eq!(f.first_unpublished().await.expect("empty"), 0);
        f.publish(0, 2).await;
        assert_eq!(f.first_unpublished().await.expect("the same"), 2);
        let other = |offset: i64| Headers::new().with(h::OFFSET, offset.to_string()).with(h::PAGE_DIGEST, "00".repeat(32));
        let no_digest = Headers::new().with(h::OFFSET, "1");
        let page = f.partition.read_events(0, 1).await.expect("readable").remove(0).page_digest;
        let no_offset = Headers::new().with(h::PAGE_DIGEST, hex::encode(&page));
        let cases = [
            (other(1), 1, "another page's digest"),
            (no_digest, 1, "another page's digest"),
            (other(3), 3, "ends before"),
            (no_offset, -1, "none"),
        ];
        for (headers, place, says) in cases {
            f.produce(std::iter::once(headers)).await;
            match f.first_unpublished().await {
                Err(HandlerError::AheadOfLog { offset, why, .. }) => assert!(offset == place && why.contains(says), "{offset}: {why}"),
                other => panic!("{says}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_empty_topic_is_published_from_the_logs_beginning() {
        let f = Fixture::new().await;
        for next in [None, Some(7)] {
            let mut published = f.published(&f.writer, next);
            assert_eq!(published.look().await.expect("it answers"), Some(0), "{next:?}");
            assert_eq!((published.look().await.expect("it answers"), published.next), (None, Some(0)), "once, and not again");
        }
    }

    #[tokio::test]
    async fn a_topic_that_has_its_beginning_is_gone_on_with() {
        let f = Fixture::new().await;
        f.publish(0, 2).await;
        for (next, from) in [(None, None), (Some(2), None), (Some(1), None), (Some(7), Some(2))] {
            let mut published = f.published(&f.writer, next);
            assert_eq!((published.look().await.expect("it answers"), published.next), (from, Some(2)), "{next:?}");
        }
        assert_eq!(f.holds().await, (0, 2));
    }

    #[tokio::test]
    async fn a_topic_that_lacks_its_beginning_is_emptied_first_by_nobody_but_the_last_writer() {
        let f = Fixture::new().await;
        let successor = Writer::new(f.partition.clone(), &WriterSessions::new(1)).await.expect("connects");
        f.publish(1, 2).await;
        // Its lane has a page there, and nobody has taken over.
        assert_eq!(f.published(&f.writer, None).look().await.expect("it answers"), Some(0));
        assert_eq!(f.holds().await, (2, 2));
        f.publish(1, 2).await;
        f.writer.release().await;
        successor.open(Writer::now()).await.expect("it takes over");
        for next in [None, Some(7)] {
            let refused = f.published(&f.writer, next).look().await;
            assert!(matches!(refused, Err(HandlerError::NotTheWriter(_))), "{refused:?}");
            assert_eq!(f.holds().await, (2, 4), "what its successor may have published stays");
        }
        // Its opening page is all that it has written, and enough.
        assert_eq!(f.published(&successor, Some(7)).look().await.expect("it answers"), Some(0));
        assert_eq!(f.holds().await, (4, 4));
    }

    /// As by an older relay that is late with it, or an operator's tool.
    #[tokio::test]
    async fn a_beginning_that_somebody_takes_away_is_published_again() {
        let f = Fixture::new().await;
        f.publish(0, 3).await;
        let mut published = f.published(&f.writer, None);
        assert_eq!((published.look().await.expect("it answers"), published.next), (None, Some(3)));
        delete_before(&f.bus, &f.topic(), 0, 2).await.expect("it deletes");
        assert_eq!(published.look().await.expect("it answers"), Some(0));
        assert_eq!(f.holds().await, (3, 3), "the order is the log's again when all is published from its beginning");
        f.publish(0, 3).await;
        assert_eq!(published.acknowledged(&[3, 4, 5]).await.expect("it answers"), None);
        assert_eq!(published.look().await.expect("it answers"), None, "once, and not again");
        assert!(!published.is_unknown());
        assert_eq!(published.acknowledged(&[9]).await.expect("it answers"), None);
        assert!(published.is_unknown(), "somebody else has published: it is due to look");
    }

    /// One that should not write there, and does: what was published behind its transaction can't be read, and is there.
    #[tokio::test]
    async fn what_a_transaction_hides_is_neither_lost_nor_published_again_nor_taken_for_the_tail() {
        let f = Fixture::new().await;
        f.publish(0, 2).await;
        let client = TransactionalClient::new(&f.bus, "stranger", Duration::from_secs(600)).await;
        let foreign = || Record { topic: f.topic(), partition: 0, key: Bytes::new(), headers: Headers::new(), value: None };
        client.begin();
        client.send(foreign()).await;
        f.publish(2, 1).await;
        let mut published = f.published(&f.writer, Some(4));
        assert_eq!((published.look().await.expect("it answers"), published.next), (None, Some(4)), "the fourth was acknowledged");
        let undecided = first_unpublished(&published.inspector, &f.topic(), &f.partition).await.expect_err("nobody knows what it holds");
        assert!(matches!(undecided, HandlerError::Bus(BusError::Undecided { offset: 2, .. })), "{undecided}");
        client.abort().await;
        assert_eq!(first_unpublished(&published.inspector, &f.topic(), &f.partition).await.expect("all is decided"), 3);
    }

    #[tokio::test]
    async fn a_topic_whose_beginning_is_hidden_is_not_taken_for_an_empty_one_and_is_emptied_to_its_true_end() {
        let f = Fixture::new().await;
        let client = TransactionalClient::new(&f.bus, "stranger", Duration::from_secs(600)).await;
        let foreign = || Record { topic: f.topic(), partition: 0, key: Bytes::new(), headers: Headers::new(), value: None };
        client.begin();
        client.send(foreign()).await;
        f.publish(0, 1).await;
        let mut published = f.published(&f.writer, None);
        let undecided = published.look().await.expect_err("nobody knows what it holds");
        assert!(matches!(undecided, HandlerError::Bus(BusError::Undecided { offset: 0, .. })), "{undecided}");
        client.abort().await;
        assert_eq!((published.look().await.expect("it answers"), published.next), (None, Some(3)));
        // Its beginning goes, and another transaction hides the end.
        f.publish(1, 1).await;
        delete_before(&f.bus, &f.topic(), 0, 3).await.expect("it deletes");
        client.begin();
        client.send(foreign()).await;
        f.publish(2, 1).await;
        assert_eq!(published.look().await.expect("it answers"), Some(0));
        assert_eq!(f.holds().await, (6, 6), "what the transaction hid went too: its order was not the log's");
        client.abort().await;
    }

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
