//! Settings of following a log; each field with its unit and why one would change it.

use std::time::Duration;

/// Limits of what is done and held at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Events of one batch of a follower (1,000 by default).
    pub batch_events: usize,
    /// Bytes of one batch, about (4 MiB by default).
    pub batch_bytes: usize,
    /// Events that a partition keeps for its followers (10,000 by default). A follower that falls further behind reads the log.
    pub ring_events: usize,
    /// Bytes of these, about (4 MiB by default).
    pub ring_bytes: usize,
    /// Time between a partition's looks where its log ends (1 s by default). When there is more, and nothing of it has come
    /// from Kafka since the look before, the log is read. A follower that stands by looks at the checkpoint as often.
    pub idle: Duration,
    /// Time that the checkpoint of another holder must have stood still, with more in the log, until a follower that stands by takes over
    /// (3 s by default).
    pub still: Duration,
    /// After a batch of several events that was not a full one a partition rests so many times as long as that took (4 by default): what
    /// arrives meanwhile goes together. On a busy machine fewer and larger batches leave more of it to everybody. After a single event it
    /// does not: nothing says that company comes, and the next one is to be seen at once.
    pub rest: u32,
    /// The longest rest as long as batches are short (20 ms by default). A longer one is at most twice the one before.
    pub ordinary_rest: Duration,
    /// The longest rest where batches take long again and again (250 ms by default), for the machine is busy, or Postgres is far or slow: few
    /// large batches then leave more to commands, and pages are that much older.
    pub longest_rest: Duration,
    /// The longest pause after an error; the first is 50 ms, each further one twice as long (5 s by default).
    pub longest_pause: Duration,
    /// A follower that computes for longer than this at once works alone (100 ms by default).
    pub slow: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_events: 1_000,
            batch_bytes: 4 << 20,
            ring_events: 10_000,
            ring_bytes: 4 << 20,
            idle: Duration::from_secs(1),
            still: Duration::from_secs(3),
            rest: 4,
            ordinary_rest: Duration::from_millis(20),
            longest_rest: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            slow: Duration::from_millis(100),
        }
    }
}
