//! Calls of a partition to its consumer, and when.

use std::sync::Mutex;

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

use super::*;
use crate::client::{Quiet, lone_consumer};
use crate::config::BusConfig;
use crate::headers::Headers;

type Meanwhile = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A consumer of librdkafka's own mock cluster. Its calls are written down, and something may happen during a pause.
struct Client {
    consumer: BaseConsumer<Quiet>,
    calls: Mutex<Vec<String>>,
    meanwhile: Meanwhile,
    /// So many seeks are refused, as right after an assignment.
    refused: Mutex<usize>,
}

impl Client {
    /// It has been assigned the only partition of `pipe`.
    fn new() -> (Arc<Self>, BusConfig, MockCluster<'static, DefaultProducerContext>) {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let consumer = lone_consumer(&bus, "test", &[]).expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("pipe", 0, Offset::Offset(0)).expect("an offset");
        consumer.assign(&list).expect("assigned");
        let (calls, meanwhile, refused) = Default::default();
        (Arc::new(Self { consumer, calls, meanwhile, refused }), bus, cluster)
    }

    fn partition(self: &Arc<Self>) -> Arc<Partition> {
        let flow: Arc<dyn Flow> = Arc::clone(self) as _;
        let limits = Limits { messages: 2, bytes: 1_000_000 };
        Arc::new(Partition::new("pipe".into(), 0, 0, limits, Signals::new("nowhere"), Arc::downgrade(&flow)))
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().expect("not poisoned").push(call.into());
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("not poisoned"))
    }
}

impl Flow for Client {
    fn pause(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        self.note("pause");
        Flow::pause(&self.consumer, topic, partition)?;
        if let Some(happens) = self.meanwhile.lock().expect("not poisoned").take() {
            happens();
        }
        Ok(())
    }

    fn resume(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        self.note("resume");
        Flow::resume(&self.consumer, topic, partition)
    }

    fn seek(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        let mut refused = self.refused.lock().expect("not poisoned");
        if let Some(fewer) = refused.checked_sub(1) {
            *refused = fewer;
            return Err(rdkafka::error::KafkaError::Seek("it has not started yet".to_owned()));
        }
        self.note(format!("seek {offset}"));
        Flow::seek(&self.consumer, topic, partition, offset)
    }

    fn store(&self, topic: &str, partition: i32, next_offset: i64) -> KafkaResult<()> {
        self.note(format!("store {next_offset}"));
        Flow::store(&self.consumer, topic, partition, next_offset)
    }

    fn stable_end(&self, topic: &str, partition: i32) -> KafkaResult<StableEnd> {
        Flow::stable_end(&self.consumer, topic, partition)
    }
}

fn message(offset: i64) -> Message {
    let (key, value) = (None, Some(Bytes::from_static(b"x")));
    Message { topic: "pipe".into(), partition: 0, offset, timestamp_ms: None, key, value, headers: Headers::new() }
}

fn take_all(partition: &Partition) -> usize {
    match partition.take(100, usize::MAX, i64::MAX) {
        Taken::Messages(messages) => messages.len(),
        Taken::Nothing(_) | Taken::Ended => 0,
    }
}

/// librdkafka drops a resume of a partition not paused yet without a word, and it would stay paused for ever.
#[test]
fn a_pause_has_taken_effect_when_it_returns_so_that_no_resume_is_dropped() {
    let (client, bus, _cluster) = Client::new();
    let producer: BaseProducer = bus.client(&[], &[]).create().expect("a producer");
    for round in 0..200 {
        client.pause("pipe", 0).expect("pauses");
        client.resume("pipe", 0).expect("resumes");
        if round % 20 != 0 {
            continue;
        }
        producer.send(BaseRecord::<(), str>::to("pipe").partition(0).payload("x")).map_err(|(error, _)| error).expect("sent");
        producer.flush(Duration::from_secs(30)).expect("delivered");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !matches!(client.consumer.poll(Duration::from_millis(50)), Some(Ok(_))) {
            assert!(Instant::now() < deadline, "it stands still after {round} rounds");
        }
    }
}

#[test]
fn what_is_read_empty_while_it_is_being_paused_is_resumed_and_what_ends_meanwhile_is_not_marked() {
    let (client, _, _cluster) = Client::new();
    let partition = client.partition();
    let reader = Arc::clone(&partition);
    *client.meanwhile.lock().expect("not poisoned") = Some(Box::new(move || assert_eq!(take_all(&reader), 2)));
    partition.push(message(0));
    partition.push(message(1));
    assert_eq!((client.calls(), partition.buffer.lock().paused), (vec!["pause".to_owned(), "resume".to_owned()], false));

    let ended = Arc::clone(&partition);
    *client.meanwhile.lock().expect("not poisoned") = Some(Box::new(move || ended.end()));
    partition.push(message(2));
    partition.push(message(3));
    assert_eq!((client.calls(), partition.buffer.lock().paused), (vec!["pause".to_owned()], false));
}

#[test]
fn only_what_messages_are_wanted_from_and_can_come_counts_as_flowing() {
    let (client, _, _cluster) = Client::new();
    let partition = client.partition();
    let flows = || partition.flowing().map(|place| place.next);
    assert_eq!(flows(), None, "not started");
    partition.start(None).expect("starts");
    assert_eq!(flows(), Some(0));
    partition.push(message(6));
    assert_eq!(flows(), Some(7));
    partition.push(message(7));
    assert_eq!((flows(), partition.buffer.lock().paused), (None, true), "it is full");
    assert_eq!(take_all(&partition), 2);
    assert_eq!(flows(), Some(8));
    partition.end();
    assert_eq!(flows(), None, "ended");
}

#[test]
fn a_partition_that_ended_or_was_given_back_reaches_librdkafka_no_more() {
    let (client, _, _cluster) = Client::new();
    let partition = client.partition();
    partition.push(message(0));
    partition.end();
    assert!(partition.buffer.lock().below_half(Limits { messages: 1, bytes: 1 }), "it holds nothing");
    // Until it is given back the work done may still be stored, and nothing else.
    partition.store(7);
    assert!(matches!(partition.start(None), Err(BusError::Revoked { .. })));
    assert!(matches!(partition.stable_end(), Err(BusError::Revoked { .. })));
    assert_eq!(client.calls(), ["store 7"]);
    partition.abandon();
    partition.detach();
    partition.store(8);
    assert_eq!(client.calls(), [""; 0]);
    let detached = client.partition();
    detached.detach();
    assert!(matches!(detached.start(None), Err(BusError::Revoked { .. })));
    detached.abandon();
    assert_eq!(client.calls(), [""; 0]);
}

#[test]
fn one_that_nobody_reads_any_more_stays_paused_and_holds_nothing() {
    let (client, _, _cluster) = Client::new();
    let partition = client.partition();
    partition.start(None).expect("starts");
    partition.push(message(0));
    client.calls();
    partition.abandon();
    assert_eq!((client.calls(), take_all(&partition)), (vec!["pause".to_owned()], 0));
}

#[test]
fn a_start_elsewhere_stands_still_first_until_the_thread_has_handed_out_what_came_before() {
    let (client, _, _cluster) = Client::new();
    let partition = client.partition();
    // librdkafka refuses to seek where it has not started yet.
    *client.refused.lock().expect("not poisoned") = 3;
    partition.start(Some(4)).expect("starts");
    assert_eq!(client.calls(), ["seek 4", "resume"]);
    partition.push(message(4));
    partition.push(message(5));
    assert!(partition.buffer.lock().paused);
    client.calls();
    let (again, (started, done)) = (Arc::clone(&partition), std::sync::mpsc::channel());
    let starting = std::thread::spawn(move || started.send(again.start(Some(1))));
    // The thread hands out the messages from before the pause; only then has it been round.
    assert!(done.recv_timeout(Duration::from_millis(100)).is_err(), "the thread has not been round");
    partition.push(message(6));
    partition.signals.laps.fetch_add(1, Ordering::SeqCst);
    done.recv_timeout(Duration::from_secs(30)).expect("it goes on").expect("starts");
    starting.join().expect("no panic").expect("it is waited for");
    assert_eq!(client.calls(), ["pause", "seek 1", "resume"]);
    assert!(!partition.buffer.lock().paused, "who marks it as paused never pauses it again");
    assert_eq!((take_all(&partition), partition.flowing().map(|place| place.next)), (0, Some(1)), "nothing of before");
}
