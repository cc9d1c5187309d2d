//! The work of a group member's thread: rebalances, errors, the handler.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use daybook_process::metrics;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::GroupHandler;
use super::inbox::Inbox;
use crate::buffer::Limits;
use crate::client;
use crate::partition::{Flow, Partition};
use crate::position::ConsumerPosition;
use crate::pump::{Directory, ends_well};
use crate::signals::Signals;

/// Longest time that the committed offsets are asked for at an assignment, before it goes on without.
const COMMITTED_PATIENCE: Duration = Duration::from_secs(30);

/// Time in which the same error is not reported again.
const QUIET_FOR: Duration = Duration::from_secs(5);

pub(super) struct Membership {
    group: String,
    limits: Limits,
    pub(super) signals: Arc<Signals>,
    joined: AtomicBool,
    partitions: Mutex<Vec<Arc<Partition>>>,
    handler: Mutex<Box<dyn GroupHandler>>,
    last_error: Mutex<Option<(String, Instant)>>,
    /// The way from partitions to the consumer that this is the context of.
    flow: OnceLock<Weak<dyn Flow>>,
}

impl Membership {
    pub(super) fn new(group: &str, limits: Limits, signals: Arc<Signals>, handler: Box<dyn GroupHandler>) -> Self {
        Self {
            group: group.to_owned(),
            limits,
            signals,
            joined: AtomicBool::new(false),
            partitions: Mutex::default(),
            handler: Mutex::new(handler),
            last_error: Mutex::default(),
            flow: OnceLock::new(),
        }
    }

    /// Must be called before the consumer subscribes.
    pub(super) fn connect(&self, consumer: &Arc<BaseConsumer<Self>>) {
        let consumer = Arc::downgrade(consumer);
        self.flow.get_or_init(|| consumer);
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::SeqCst)
    }

    pub(super) fn has_partitions(&self) -> bool {
        !self.partitions().is_empty()
    }

    fn partitions(&self) -> MutexGuard<'_, Vec<Arc<Partition>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the handler. If it panics, the membership ends, and it is told so: its partitions would stand still in silence otherwise.
    fn tell(&self, what: impl FnOnce(&mut dyn GroupHandler)) {
        let mut handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        if catch_unwind(AssertUnwindSafe(|| what(&mut **handler))).is_err() {
            tracing::error!(group = self.group, "the group's handler panicked; leaving the group");
            self.signals.stop();
            // If it panics at that too, nobody is left to be told.
            let _ = catch_unwind(AssertUnwindSafe(|| handler.error("the group's handler panicked", true)));
        }
    }

    /// Runs the consumer's loop, to its end. If that is a panic, the handler is told, and the partitions are given back as ever.
    pub(super) fn attend(&self, run: impl FnOnce()) {
        if !ends_well(&self.group, run) {
            self.report("the consumer's thread panicked", true);
        }
    }

    fn report(&self, message: &str, fatal: bool) {
        {
            let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            let again = last.as_ref().is_some_and(|(text, since)| text == message && since.elapsed() < QUIET_FOR);
            if again && !fatal {
                return;
            }
            *last = Some((message.to_owned(), Instant::now()));
        }
        tracing::warn!(group = self.group, fatal, "Kafka consumer: {message}");
        self.tell(|handler| handler.error(message, fatal));
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, given: &TopicPartitionList) {
        let names: Vec<(String, i32)> = given.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        let committed = self.committed(consumer, &names);
        let mut list = TopicPartitionList::with_capacity(names.len());
        let mut partitions = Vec::with_capacity(names.len());
        let mut inboxes = Vec::with_capacity(names.len());
        for ((topic, number), committed) in names.iter().zip(committed) {
            // Never a logical offset: its look-up is forgotten when the partition is paused meanwhile. If 0 is out of
            // range, auto.offset.reset makes it the earliest.
            let at = committed.unwrap_or(0);
            if let Err(error) = list.add_partition_offset(topic, *number, Offset::Offset(at)) {
                tracing::error!(group = self.group, topic, number, %error, "could not assign");
                continue;
            }
            let partition = Arc::new(Partition::new(
                Arc::from(topic.as_str()),
                *number,
                at,
                self.limits,
                Arc::clone(&self.signals),
                self.flow.get().map_or_else(|| Weak::<BaseConsumer<Self>>::new() as _, Weak::clone),
            ));
            inboxes.push(Inbox::new(Arc::clone(&partition), committed));
            partitions.push(partition);
        }
        if let Err(error) = Self::assign_paused(consumer, &list) {
            self.report(&format!("could not take an assignment: {error}"), false);
        }
        tracing::info!(group = self.group, partitions = names.len(), "assigned");
        *self.partitions() = partitions;
        self.tell(|handler| handler.assigned(inboxes));
        self.joined.store(true, Ordering::SeqCst);
    }

    fn assign_paused(consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        consumer.assign(list)?;
        // After the assignment, for librdkafka knows nothing of the partitions before; still before the next poll, so no
        // message gets out.
        Consumer::pause(consumer, list)
    }

    /// The group's committed offsets, in order. Patient: without them everything would be read from the earliest on.
    fn committed(&self, consumer: &BaseConsumer<Self>, names: &[(String, i32)]) -> Vec<Option<i64>> {
        let deadline = Instant::now() + COMMITTED_PATIENCE;
        while !names.is_empty() {
            match ask_committed(consumer, names) {
                Ok(offsets) => return offsets,
                Err(error) => {
                    tracing::warn!(group = self.group, %error, "committed offsets cannot be read");
                    if Instant::now() >= deadline || self.signals.is_stopped() || consumer.assignment_lost() {
                        break;
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        vec![None; names.len()]
    }

    /// Has a partition, without any consumer's having been asked.
    #[cfg(test)]
    pub(super) fn hold(&self, topic: &str, partition: i32) -> Inbox {
        let flow: Weak<dyn Flow> = Weak::<BaseConsumer<Self>>::new();
        let held = Arc::new(Partition::new(topic.into(), partition, 0, self.limits, Arc::clone(&self.signals), flow));
        self.partitions().push(Arc::clone(&held));
        Inbox::new(held, None)
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>) {
        let lost = consumer.assignment_lost();
        self.end(lost);
        // The answer to the coordinator comes last: only now may somebody else have them. Commits the stored offsets.
        if let Err(error) = consumer.unassign() {
            tracing::warn!(group = self.group, %error, "could not give partitions back");
        }
    }

    /// Ends the inboxes, then tells the handler.
    pub(super) fn end(&self, lost: bool) {
        self.joined.store(false, Ordering::SeqCst);
        let partitions = std::mem::take(&mut *self.partitions());
        if partitions.is_empty() {
            return;
        }
        for partition in &partitions {
            partition.end();
        }
        let names: Vec<(Arc<str>, i32)> = partitions.iter().map(|partition| (Arc::clone(&partition.topic), partition.partition)).collect();
        tracing::info!(group = self.group, partitions = names.len(), lost, "revoked");
        self.tell(|handler| {
            if lost {
                handler.lost(&names);
            } else {
                handler.revoked(&names);
            }
        });
        for partition in &partitions {
            partition.detach();
        }
    }
}

fn ask_committed(consumer: &BaseConsumer<Membership>, names: &[(String, i32)]) -> KafkaResult<Vec<Option<i64>>> {
    let mut list = TopicPartitionList::with_capacity(names.len());
    for (topic, partition) in names {
        list.add_partition(topic, *partition);
    }
    let answer = consumer.committed_offsets(list, Duration::from_secs(5))?;
    names
        .iter()
        .map(|(topic, partition)| match answer.find_partition(topic, *partition) {
            Some(element) => {
                element.error()?;
                Ok(match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                })
            }
            None => Ok(None),
        })
        .collect()
}

impl Directory for Membership {
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.partitions().iter().find(|held| held.partition == partition && *held.topic == *topic).cloned()
    }

    fn at_end(&self, _: i32) {}

    fn flowing(&self) -> Vec<ConsumerPosition> {
        self.partitions().iter().filter_map(|held| held.flowing()).collect()
    }

    fn waits(&self) -> bool {
        !self.is_joined()
    }

    fn waits_in_vain(&self) {
        self.report("waited for partitions in vain, although brokers answer", true);
    }

    fn stands_still(&self, at: &ConsumerPosition) {
        let ConsumerPosition { topic, partition, next } = at;
        self.report(&format!("stood still at offset {next} of {topic}/{partition}, although there was more to read"), true);
    }

    fn error(&self, error: KafkaError) -> ControlFlow<()> {
        // Errors that are not fatal have been told by the context, with their reasons.
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                self.report(&code.to_string(), true);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            // Comes again, as the poll's result.
            tracing::error!(group = self.group, reason, "Kafka consumer: fatal");
        } else {
            self.report(&format!("{error}: {reason}"), false);
        }
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, given: &mut TopicPartitionList) {
        metrics::KAFKA_REBALANCES.with([&self.group]).increment(1);
        // Every rebalance must be answered, or the client never closes; one that leaves takes nothing any more.
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !self.signals.is_stopped() {
            self.assign(consumer, given);
        } else {
            self.revoke(consumer);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            // Nothing to commit is not news; a rebalance under way is tried again by its end.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::warn!(group = self.group, %error, "offsets were not committed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::client::consumer_config;
    use crate::config::BusConfig;

    struct Hears(Sender<(String, bool)>);

    impl GroupHandler for Hears {
        fn assigned(&mut self, _: Vec<Inbox>) {}

        fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}

        fn error(&mut self, message: &str, fatal: bool) {
            let _ = self.0.send((message.to_owned(), fatal));
        }
    }

    #[test]
    fn a_thread_that_panics_is_told_as_a_fatal_error() {
        let (sender, heard) = channel();
        let limits = Limits { messages: 1, bytes: 1 };
        let membership = Membership::new("members", limits, Signals::new("nowhere"), Box::new(Hears(sender)));
        membership.attend(|| ());
        assert!(heard.try_recv().is_err());
        membership.attend(|| panic!("a bug in the loop"));
        assert_eq!(heard.try_recv(), Ok(("the consumer's thread panicked".to_owned(), true)));
    }

    /// Tells whether it is given something.
    struct Takes(Sender<usize>);

    impl GroupHandler for Takes {
        fn assigned(&mut self, partitions: Vec<Inbox>) {
            let _ = self.0.send(partitions.len());
        }

        fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}
    }

    #[test]
    fn who_leaves_takes_nothing_any_more() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let config = consumer_config(&BusConfig::new(cluster.bootstrap_servers()), "members", &[]);
        let (sender, taken) = channel();
        let membership = Membership::new("members", Limits { messages: 1, bytes: 1 }, Signals::new("nowhere"), Box::new(Takes(sender)));
        let consumer: BaseConsumer<Membership> = config.create_with_context(membership).expect("a consumer");
        let mut given = TopicPartitionList::new();
        given.add_partition("pipe", 0);
        let membership = Arc::clone(consumer.context());
        let assign = |given: &mut TopicPartitionList| {
            membership.rebalance(&consumer, RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, given);
        };
        assign(&mut given);
        assert_eq!(taken.try_recv(), Ok(1));
        membership.end(false);
        membership.signals.stop();
        assign(&mut given);
        assert!(taken.try_recv().is_err());
    }

    #[test]
    fn a_fatal_error_ends_the_loop_and_another_does_not() {
        let (sender, heard) = channel();
        let membership = Membership::new("members", Limits { messages: 1, bytes: 1 }, Signals::new("nowhere"), Box::new(Hears(sender)));
        let passing = KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown);
        assert!(Directory::error(&membership, passing).is_continue() && heard.try_recv().is_err());
        let fatal = KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId);
        assert!(Directory::error(&membership, fatal).is_break() && heard.try_recv().is_ok_and(|(_, fatal)| fatal));
    }

    /// Tells whether its partition had ended, and whether it could still store, when it was revoked.
    struct Looks(Arc<Partition>, Sender<(bool, bool)>);

    impl GroupHandler for Looks {
        fn assigned(&mut self, _: Vec<Inbox>) {}

        fn revoked(&mut self, _: &[(Arc<str>, i32)]) {
            let state = self.0.buffer.lock();
            let _ = self.1.send((state.ended, !state.detached));
        }
    }

    #[test]
    fn what_is_revoked_has_ended_when_the_handler_is_told_and_reaches_librdkafka_no_more_afterwards() {
        let (limits, signals) = (Limits { messages: 1, bytes: 1 }, Signals::new("nowhere"));
        let flow: Weak<dyn Flow> = Weak::<BaseConsumer<Membership>>::new();
        let partition = Arc::new(Partition::new("pipe".into(), 0, 0, limits, Arc::clone(&signals), flow));
        let (sender, seen) = channel();
        let membership = Membership::new("members", limits, signals, Box::new(Looks(Arc::clone(&partition), sender)));
        membership.partitions().push(Arc::clone(&partition));
        membership.end(false);
        assert_eq!(seen.try_recv(), Ok((true, true)));
        assert!(partition.buffer.lock().detached, "a late store would reach the next assignment of the same partition");
        assert!(!membership.has_partitions());
    }

    #[test]
    fn an_error_is_told_once_in_a_while_and_a_fatal_one_always() {
        let (sender, heard) = channel();
        let membership = Membership::new("members", Limits { messages: 1, bytes: 1 }, Signals::new("nowhere"), Box::new(Hears(sender)));
        for (message, fatal) in [("one", false), ("one", false), ("two", false), ("two", true), ("two", true)] {
            membership.report(message, fatal);
        }
        let told: Vec<(String, bool)> = heard.try_iter().collect();
        assert_eq!(told, [("one", false), ("two", false), ("two", true), ("two", true)].map(|(m, fatal)| (m.to_owned(), fatal)));
    }

    #[test]
    fn who_has_not_been_told_what_it_gets_waits_and_who_was_given_nothing_does_not() {
        let (sender, _heard) = channel();
        let membership = Membership::new("members", Limits { messages: 1, bytes: 1 }, Signals::new("nowhere"), Box::new(Hears(sender)));
        assert!(membership.waits());
        membership.joined.store(true, Ordering::SeqCst);
        assert!(!membership.waits());
        membership.end(false);
        assert!(membership.waits());
    }
}
