//! Errors of Kafka. These are infrastructure errors: the domain's refusals never come this way.

use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::headers::HeaderError;

/// An operation on Kafka failed; the message names the attempt and the remedy.
#[derive(Debug, Error)]
pub enum BusError {
    /// librdkafka refused the configuration, or could not start its threads.
    #[error("Kafka client for {purpose} cannot be made: {reason}; check the [kafka] properties")]
    Configuration {
        /// The client's purpose.
        purpose: String,
        /// librdkafka's words.
        reason: String,
    },
    /// No answer from the cluster in time, or an error that trying again may cure.
    #[error("Kafka at {brokers} did not answer ({action}): {reason}; check that it runs and that DAYBOOK_KAFKA names it")]
    Unreachable {
        /// The bootstrap addresses.
        brokers: String,
        /// The request.
        action: String,
        /// librdkafka's words.
        reason: String,
    },
    /// The cluster answered, and refused.
    #[error("Kafka refused: {action}: {reason}")]
    Refused {
        /// The request.
        action: String,
        /// The broker's words.
        reason: String,
    },
    /// A topic that every start needs is not there.
    #[error("topic {topic} does not exist; run `daybook migrate`")]
    MissingTopic {
        /// The full name, prefix included.
        topic: String,
    },
    /// A topic has another number of partitions than the log it belongs to. Keys would land elsewhere.
    #[error(
        "topic {topic} has {actual} partitions and needs {expected}, a number that is fixed at a log's birth: check the configured \
         number; if it is right, delete the topic once its messages are consumed, and `daybook migrate` makes it anew"
    )]
    PartitionCount {
        /// The full name, prefix included.
        topic: String,
        /// Partitions of the log.
        expected: i32,
        /// Partitions in the cluster.
        actual: i32,
    },
    /// A topic's settings could lose messages that the engine counts on.
    #[error(
        "topic {topic} has {settings}; set them with `kafka-configs --alter --entity-type topics --entity-name {topic} --add-config …`"
    )]
    TopicSettings {
        /// The full name, prefix included.
        topic: String,
        /// Each wrong setting: its name, its value, the required value.
        settings: String,
    },
    /// The partition was revoked, or its consumer has shut down: its present owner will go on.
    #[error("partition {topic}/{partition} is no longer assigned to this process")]
    Revoked {
        /// The full name, prefix included.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A client's transaction is open, so the partition's content from there on is not decided: ask again once it is.
    #[error(
        "a Kafka client's transaction is open on {topic}/{partition}, and holds back all from offset {offset} on, until that client \
         commits or aborts it, or Kafka does for it (transaction.timeout.ms); `kafka-transactions find-hanging` names it"
    )]
    Undecided {
        /// The full name, prefix included.
        topic: String,
        /// The partition.
        partition: i32,
        /// The end of reading for now.
        offset: i64,
    },
    /// A client read nothing although there was something to read, and was given up: open another.
    #[error("a reader of {topic}/{partition} stood still at offset {offset}, although there was more to read")]
    StoodStill {
        /// The full name, prefix included.
        topic: String,
        /// The partition.
        partition: i32,
        /// The next offset that it should have read.
        offset: i64,
    },
    /// A header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A thread could not be started, or ended in a panic.
    #[error("thread of the Kafka client: {0}")]
    Thread(String),
}

impl BusError {
    /// Whether trying again, unchanged, can succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Undecided { .. } | Self::StoodStill { .. })
    }

    pub(crate) fn configuration(purpose: impl Into<String>, error: KafkaError) -> Self {
        Self::Configuration { purpose: purpose.into(), reason: error.to_string() }
    }

    pub(crate) fn unreachable(brokers: &str, action: impl Into<String>, error: impl ToString) -> Self {
        Self::Unreachable { brokers: brokers.to_owned(), action: action.into(), reason: error.to_string() }
    }
}

/// A batch did not arrive as a whole. What [`acknowledged`](Self::acknowledged) counts has arrived, in order; of the
/// rest nothing is certain: each may have arrived or not.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("record {index_first_failed} of the batch was not delivered ({acknowledged} were): {message}")]
pub struct DeliveryError {
    /// Place in the batch of the first record that failed or was never enqueued.
    pub index_first_failed: usize,
    /// Number of leading records that are acknowledged.
    pub acknowledged: usize,
    /// The producer is of no more use: make a new one.
    pub fatal: bool,
    /// The local queue was full: sending less, or later, helps. Nothing after the first failed record was enqueued.
    pub queue_full: bool,
    /// librdkafka's words. No message content.
    pub message: String,
}
