//! Settings of a process that serves read models; each field with its unit and why one would change it.

use std::time::Duration;

use daybook_bus::BusConfig;
use daybook_kernel::Secret;
use daybook_search::SearchSchema;
use prost_reflect::DescriptorPool;

use crate::model::QueryModel;
use crate::past::Past;

/// Settings of a process that serves read models.
#[derive(Clone)]
pub struct QueryConfig {
    /// The read models' database, or a replica of it: `postgres://user:password@host:port/name`.
    pub read_url: String,
    /// Connections to it (8 by default).
    pub connections: usize,
    /// The Kafka that changes are pushed to.
    pub bus: BusConfig,
    /// The read models that are served.
    pub models: Vec<QueryModel>,
    /// The read model that can be searched.
    pub search: Option<SearchSchema>,
    /// The descriptors of the models' messages.
    pub descriptors: DescriptorPool,
    /// The install's secret: page tokens are made under it.
    pub secret: Secret,
    /// The reader of the past for `?at=`; none (the default): it is refused.
    pub past: Option<Past>,
    /// Time that a query with a token waits when the client does not say (2 s by default).
    pub default_wait: Duration,
    /// Longest that a client may wait (30 s by default).
    pub max_wait: Duration,
    /// Time between two looks at checkpoints while a request waits that no push would wake (10 ms by default).
    pub look_every: Duration,
    /// Bytes of read models that are held in memory, pages of lists with them, all together (256 MiB by default).
    pub cache_bytes: u64,
    /// Time that pushes may be behind the database before nothing is answered from memory (1.5 s by default). With the second
    /// between two looks: the longest that anybody without a token is shown what is old when pushes are lost.
    pub push_patience: Duration,
    /// Time that a process may take, at its start and before it goes over to another generation, to load what is asked for
    /// most (10 s by default). It is not ready before.
    pub warm_up: Duration,
    /// Live queries that a process takes (20,000 by default): more are answered with 503.
    pub max_subscribers: usize,
    /// Time that a live query may be silent before a comment is sent, so that nobody between thinks it dead (15 s by default).
    pub heartbeat: Duration,
}

impl QueryConfig {
    /// With everything else as it is by default.
    pub fn new(read_url: impl Into<String>, bus: BusConfig, models: Vec<QueryModel>, descriptors: DescriptorPool, secret: Secret) -> Self {
        Self {
            read_url: read_url.into(),
            bus,
            connections: 8,
            models,
            search: None,
            descriptors,
            secret,
            past: None,
            default_wait: Duration::from_secs(2),
            max_wait: Duration::from_secs(30),
            look_every: Duration::from_millis(10),
            cache_bytes: 256 * 1024 * 1024,
            push_patience: Duration::from_millis(1_500),
            warm_up: Duration::from_secs(10),
            max_subscribers: 20_000,
            heartbeat: Duration::from_secs(15),
        }
    }
}
