//! Settings of projectors; each field with its unit and why one would change it.

use std::time::Duration;

use daybook_bus::{BusConfig, GroupOptions};
use daybook_follow::group_options;
use daybook_kernel::ReadModel;
use daybook_postgres::Databases;

/// Limits of what is done and held at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Events of one batch that Kafka brought, and so of one statement (1,000 by default).
    pub batch_events: usize,
    /// Events that a batch may grow to while the log is caught up with (10,000 by default): the first is as large as Kafka's,
    /// each next one up to twice as large. More: less work an event, for a stream's events of one batch are written once.
    pub catch_up_events: usize,
    /// Bytes of one batch, about (4 MiB by default).
    pub batch_bytes: usize,
    /// Encoded bytes of views that one partition keeps in memory (8 MiB by default); what is not there is read.
    pub held_bytes: usize,
    /// Time between a partition's looks where its log ends (1 s by default). When there is more, and nothing of it has come
    /// from Kafka since the look before, the log is read.
    pub idle: Duration,
    /// After a small batch of what Kafka brought, a partition rests so many times as long as that took (4 by default): what
    /// arrives meanwhile goes together. On a busy machine fewer and larger batches leave more of it to everybody; a change
    /// after a silence is folded at once.
    pub rest: u32,
    /// The longest rest as long as batches are short (20 ms by default).
    pub ordinary_rest: Duration,
    /// The longest rest where batches take long again and again (250 ms by default): pages are that much older, and commands have more of the
    /// machine.
    pub longest_rest: Duration,
    /// The longest pause after an error; the first is 50 ms, each further one twice as long (5 s by default).
    pub longest_pause: Duration,
    /// Limits of what is pushed, and of how far behind.
    pub push: PushLimits,
}

/// Limits of a partition that pushes what changed on `read.<projection>`.
#[derive(Clone, Debug)]
pub struct PushLimits {
    /// Batches that may wait for Kafka's acknowledgement (64 by default). Beyond it Kafka is taken to be away: what is
    /// on its way is given up, and pods read through.
    pub batches: usize,
    /// Bytes that may wait for it (8 MiB by default; one batch may be larger).
    pub bytes: usize,
    /// Bytes of the largest part that is pushed (1 MiB by default); of a larger one only that it changed.
    pub largest_part: usize,
    /// A partition that is more events than this behind its log's end (20,000 by default) pushes nothing: pods would
    /// only follow what they had better read once it is over.
    pub silent_beyond: i64,
    /// Up to how many events, not known to be pushed, are pushed again (10,000 by default); beyond it pods read through.
    pub again_up_to: i64,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self { batches: 64, bytes: 8 << 20, largest_part: 1 << 20, silent_beyond: 20_000, again_up_to: 10_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_events: 1_000,
            catch_up_events: 10_000,
            batch_bytes: 4 << 20,
            held_bytes: 8 << 20,
            idle: Duration::from_secs(1),
            rest: 4,
            ordinary_rest: Duration::from_millis(20),
            longest_rest: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            push: PushLimits::default(),
        }
    }
}

impl Limits {
    /// The limits under which the log is followed.
    pub(crate) fn following(&self) -> daybook_follow::Limits {
        daybook_follow::Limits {
            batch_events: self.batch_events,
            batch_bytes: self.batch_bytes,
            idle: self.idle,
            rest: self.rest,
            ordinary_rest: self.ordinary_rest,
            longest_rest: self.longest_rest,
            longest_pause: self.longest_pause,
            ..daybook_follow::Limits::default()
        }
    }
}

/// The read models that a process projects, and where.
#[derive(Clone)]
pub struct ProjectorsConfig {
    /// The logs, and the read models' database.
    pub databases: Databases,
    /// Kafka.
    pub bus: BusConfig,
    /// The read models to keep; `daybook projectors --projections` chooses some.
    pub models: Vec<ReadModel>,
    /// Limits of what is done and held at once.
    pub limits: Limits,
    /// Options of this member of the groups.
    pub group: GroupOptions,
}

impl ProjectorsConfig {
    /// With everything else as it is by default.
    pub fn new(databases: Databases, bus: BusConfig, models: Vec<ReadModel>) -> Self {
        Self { databases, bus, models, limits: Limits::default(), group: group_options() }
    }
}
