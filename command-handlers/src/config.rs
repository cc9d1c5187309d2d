//! Settings of the process; each field with its unit and why one would change it.

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::BusConfig;
use daybook_kernel::{Registry, Waits};
use daybook_log::Page;
use daybook_messages::LocalLanes;
use daybook_postgres::Databases;

use crate::Webhook;

/// The parts of command handlers.
#[derive(Clone)]
pub struct HandlerParts {
    /// Settings of the process.
    pub config: HandlerConfig,
    /// The databases of the logs.
    pub databases: Databases,
    /// Access to Kafka.
    pub bus: BusConfig,
    /// Every aggregate of this build.
    pub registry: Registry,
    /// Services whose lanes run here; the endpoint serves all.
    pub services: Vec<String>,
    /// Hears of each page, once it stands in the log.
    pub committed: OnCommit,
    /// Where senders of this process hand commands to its lanes.
    pub local: LocalLanes,
}

/// Hears of a page that a lane has committed: its service, its partition, and the page. It must not block.
pub type OnCommit = Arc<dyn Fn(&Arc<str>, i32, &Arc<Page>) + Send + Sync>;

/// Settings of the command handlers.
#[derive(Clone, Debug)]
pub struct HandlerConfig {
    /// Longest time that a member of the lanes' group may be silent before others take over. Brokers allow 6 s to 30 min by default.
    pub session_timeout: Duration,
    /// The most commands that may be under way at once through this endpoint; beyond it clients hear 429. Fewer may be while
    /// most answers take longer than a second.
    pub max_in_flight: usize,
    /// Time that a client waits when it does not say.
    pub default_wait: Duration,
    /// Longest that a client may wait.
    pub max_wait: Duration,
    /// Connections for pages, a database: lanes share them.
    pub writer_connections: usize,
    /// Aggregates that a lane keeps in memory.
    pub streams_in_memory: usize,
    /// Results that a lane remembers, so that an early repeat needs no query.
    pub recent_results: usize,
    /// A snapshot is taken each time that a stream has grown by so many events.
    pub snapshot_every: u64,
    /// Longest wait of a command for company on its way to Kafka when many are under way; none waits when few are.
    pub linger: Duration,
    /// The times that processes wait, where the install says others than the build.
    pub waits: Arc<Waits>,
    /// Webhooks of the endpoint.
    pub webhooks: Vec<Webhook>,
}

impl Default for HandlerConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(8),
            max_in_flight: 4_096,
            default_wait: Duration::from_secs(5),
            max_wait: Duration::from_secs(30),
            writer_connections: 4,
            streams_in_memory: 50_000,
            recent_results: 50_000,
            snapshot_every: 500,
            linger: Duration::from_millis(2),
            waits: Arc::default(),
            webhooks: Vec::new(),
        }
    }
}
