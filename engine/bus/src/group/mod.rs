//! A member of a consumer group, on a thread of its own.
//!
//! The eager protocol, on purpose: before a rebalance every member gives back all it has, so that a partition is never
//! read by two at once for as long as the sessions hold. (When they don't, the database fences.)

mod inbox;
mod membership;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::oneshot;

pub use inbox::{Inbox, StartAt};
use membership::Membership;

use crate::buffer::Limits;
use crate::client::consumer_config;
use crate::config::BusConfig;
use crate::error::BusError;
use crate::pump;
use crate::signals::Signals;
use crate::watch::Watch;

/// Longest time of leaving before the thread gives up on politeness, and before the caller gives up on the thread.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Settings of a group member.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// Time for which a silent member keeps its partitions (10 s by default; brokers allow 6 s to 30 min).
    pub session_timeout: Duration,
    /// Messages that may wait in one inbox before its partition is paused (16,384 by default).
    pub max_messages_per_partition: usize,
    /// Bytes that may wait in one inbox before its partition is paused (8 MiB by default; one fetch may overshoot).
    pub max_bytes_per_partition: usize,
    /// Interval at which stored offsets are committed (500 ms by default).
    pub commit_interval: Duration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(10),
            max_messages_per_partition: 16_384,
            max_bytes_per_partition: 8 * 1024 * 1024,
            commit_interval: Duration::from_millis(500),
        }
    }
}

/// News for a group member. Every method runs on the consumer's thread, which also hands messages out and answers
/// rebalances: return at once (spawn a task), or every partition stands still. A panic ends the membership, and is told as a
/// fatal error.
pub trait GroupHandler: Send + 'static {
    /// These partitions are this process's now, each paused until its [`Inbox`] is started. With the eager protocol this
    /// is everything that it has; it may be nothing.
    fn assigned(&mut self, partitions: Vec<Inbox>);

    /// These partitions are not this process's any more. Their inboxes have ended; [`Inbox::store`] still counts
    /// until this returns, and nobody else gets them before that.
    fn revoked(&mut self, partitions: &[(Arc<str>, i32)]);

    /// As [`revoked`](Self::revoked), but too late: the session had expired, somebody else may have them already, and
    /// nothing more is committed.
    fn lost(&mut self, partitions: &[(Arc<str>, i32)]) {
        self.revoked(partitions);
    }

    /// The client reports an error; most it cures by itself. When `fatal`, the membership ends: join again. The same
    /// error is told once in five seconds.
    fn error(&mut self, message: &str, fatal: bool) {
        let _ = (message, fatal);
    }
}

/// A member of a consumer group. Dropping it leaves the group too, without waiting.
pub struct GroupConsumer {
    signals: Arc<Signals>,
    membership: Arc<Membership>,
    done: Option<oneshot::Receiver<()>>,
}

impl GroupConsumer {
    /// Joins `group` (its full name, from [`BusConfig::group`]) for `topics` (full names). Returns at once; partitions
    /// come through `handler`.
    ///
    /// # Errors
    /// [`BusError::Configuration`] when librdkafka refuses a property, [`BusError::Thread`].
    pub fn join(
        config: &BusConfig,
        group: &str,
        topics: Vec<String>,
        options: GroupOptions,
        handler: impl GroupHandler,
    ) -> Result<Self, BusError> {
        Self::join_watched(config, group, topics, options, handler, Watch::new(config)?)
    }

    fn join_watched(
        config: &BusConfig,
        group: &str,
        topics: Vec<String>,
        options: GroupOptions,
        handler: impl GroupHandler,
        watch: Watch,
    ) -> Result<Self, BusError> {
        let purpose = || format!("group {group}");
        let signals = Signals::new(&config.brokers);
        let limits = Limits { messages: options.max_messages_per_partition.max(1), bytes: options.max_bytes_per_partition.max(1) };
        let membership = Membership::new(group, limits, Arc::clone(&signals), Box::new(handler));
        let consumer: BaseConsumer<Membership> = client_config(config, group, &options)
            .create_with_context(membership)
            .map_err(|error| BusError::configuration(purpose(), error))?;
        let consumer = Arc::new(consumer);
        let membership = Arc::clone(consumer.context());
        membership.connect(&consumer);
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| BusError::configuration(purpose(), error))?;
        let (finished, done) = oneshot::channel();
        std::thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || {
                let membership = Arc::clone(consumer.context());
                membership.attend(|| pump::run(&consumer, &membership.signals, &*membership, watch));
                leave(&consumer, &membership);
                // Closes the client. Nobody else holds it any more, for every partition has been detached.
                drop(consumer);
                drop(finished);
            })
            .map_err(|error| BusError::Thread(error.to_string()))?;
        Ok(Self { signals, membership, done: Some(done) })
    }

    /// Whether the last rebalance has completed here, also when it gave this member nothing.
    pub fn is_joined(&self) -> bool {
        self.membership.is_joined() && !self.signals.is_stopped()
    }

    /// Leaves the group: inboxes end, stored offsets are committed, the partitions go to others at once. Waits for the
    /// thread, at most 10 s.
    pub async fn shutdown(mut self) {
        self.signals.stop();
        if let Some(done) = self.done.take()
            && tokio::time::timeout(SHUTDOWN_PATIENCE, done).await.is_err()
        {
            tracing::warn!("a Kafka consumer did not end in time; its thread is left behind");
        }
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Gives back all partitions in the usual way, so that offsets are committed and the handler hears of it.
fn leave(consumer: &BaseConsumer<Membership>, membership: &Membership) {
    // Also where the end came from within.
    membership.signals.stop();
    consumer.unsubscribe();
    let deadline = Instant::now() + LEAVE_PATIENCE;
    while membership.has_partitions() && Instant::now() < deadline {
        // Only the revocation matters. Messages that still come are read by the next owner.
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(20)) {
            tracing::debug!(%error, "while leaving");
        }
    }
    membership.end(true);
}

fn client_config(config: &BusConfig, group: &str, options: &GroupOptions) -> rdkafka::ClientConfig {
    let session = options.session_timeout.as_millis();
    // A member hears of a rebalance by its heartbeat: a second at most, so that partitions move quickly.
    let heartbeat = (session / 3).clamp(1, 1_000).to_string();
    let session = session.to_string();
    let interval = options.commit_interval.as_millis().max(1).to_string();
    consumer_config(
        config,
        group,
        &[
            // The newer protocol takes an overrun of max.poll.interval.ms for fatal, and has no eager assignment.
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "roundrobin,range"),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", &interval),
            ("session.timeout.ms", &session),
            ("heartbeat.interval.ms", &heartbeat),
            ("max.poll.interval.ms", "300000"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use rdkafka::mocking::MockCluster;

    use super::*;

    /// Starts its partitions, and passes fatal errors on.
    struct Starts(Sender<String>, tokio::runtime::Handle);

    impl GroupHandler for Starts {
        fn assigned(&mut self, partitions: Vec<Inbox>) {
            for mut inbox in partitions {
                self.1.spawn(async move {
                    inbox.start(StartAt::Committed).await.expect("starts");
                    while inbox.recv(10, usize::MAX).await.is_some() {}
                });
            }
        }

        fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}

        fn error(&mut self, message: &str, fatal: bool) {
            if fatal {
                let _ = self.0.send(message.to_owned());
            }
        }
    }

    /// Counts the partitions it lost.
    struct Loses(Sender<usize>);

    impl GroupHandler for Loses {
        fn assigned(&mut self, _: Vec<Inbox>) {}

        fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}

        fn lost(&mut self, partitions: &[(Arc<str>, i32)]) {
            let _ = self.0.send(partitions.len());
        }
    }

    /// As where no broker answers any more.
    #[test]
    fn what_nobody_takes_back_in_time_is_lost_all_the_same() {
        let (config, (told, lost)) = (BusConfig::new("127.0.0.1:1"), channel());
        let limits = Limits { messages: 1, bytes: 1 };
        let membership = Membership::new("members", limits, Signals::new(&config.brokers), Box::new(Loses(told)));
        let consumer: BaseConsumer<Membership> =
            client_config(&config, "members", &GroupOptions::default()).create_with_context(membership).expect("a consumer");
        let membership = Arc::clone(consumer.context());
        let inbox = membership.hold("pipe", 0);
        leave(&consumer, &membership);
        assert_eq!((lost.try_recv(), inbox.is_ended()), (Ok(1), true));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_member_that_stands_still_before_messages_is_told_so_for_good() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("pipe", 1, 1).expect("a topic");
        let bus = BusConfig::new(cluster.bootstrap_servers());
        let (told, fatal) = channel();
        let (topics, handler) = (vec!["pipe".to_owned()], Starts(told, tokio::runtime::Handle::current()));
        let watch = Watch::hasty(&bus, |_| true).expect("a watch");
        let member = GroupConsumer::join_watched(&bus, "members", topics, GroupOptions::default(), handler, watch).expect("joins");
        let heard = tokio::task::spawn_blocking(move || fatal.recv_timeout(Duration::from_secs(60))).await.expect("no panic");
        assert!(heard.is_ok_and(|said| said.starts_with("stood still at offset 0 of pipe/0")));
        while member.is_joined() {
            // Its thread has said why, and is about to leave.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        member.shutdown().await;
    }
}
