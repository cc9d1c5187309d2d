//! Which Postgres holds which log partition.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::pools::Pools;
use crate::{Connector, DatabaseError, Pool};

/// The databases of one service's log.
#[derive(Clone, Debug, Default)]
pub struct ServiceDatabases {
    /// Instead of the default.
    pub url: Option<String>,
    /// Ranges of partitions that live elsewhere.
    pub partitions: Vec<(RangeInclusive<u32>, String)>,
}

/// The map from service and log partition to connection string, and the connections of the process to them: clones share these.
#[derive(Clone, Debug)]
pub struct Databases {
    default: String,
    services: BTreeMap<String, ServiceDatabases>,
    read: Option<String>,
    pools: Pools,
}

impl Databases {
    /// Everything in one database: `postgres://user:password@host:port/name`. Pools have 8 connections at the most.
    pub fn one(url: impl Into<String>) -> Self {
        Self { default: url.into(), services: BTreeMap::new(), read: None, pools: Pools::default() }
    }

    /// At most so many connections (1 at least) in each pool. Pools that were made before keep their number, and are shared no more.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.pools = Pools::of(connections);
        self
    }

    /// A service's own databases.
    pub fn with_service(mut self, service: &str, databases: ServiceDatabases) -> Self {
        self.services.insert(service.to_owned(), databases);
        self
    }

    /// The read models' own database.
    pub fn with_read(mut self, url: impl Into<String>) -> Self {
        self.read = Some(url.into());
        self
    }

    /// URL of the database with schema `daybook`.
    pub fn default_url(&self) -> &str {
        &self.default
    }

    /// URL of the read models' database.
    pub fn read_url(&self) -> &str {
        self.read.as_deref().unwrap_or(&self.default)
    }

    /// A service's home: its `log` row, parked and rejected messages.
    pub fn service_url(&self, service: &str) -> &str {
        self.services.get(service).and_then(|s| s.url.as_deref()).unwrap_or(&self.default)
    }

    /// The pool of all that connect as this one does: to the same database, under the same role, with the same settings. It is made when it is
    /// first asked for. A caller that gets no connection within `patience` hears of it; a connection must be left as it was found.
    ///
    /// # Errors
    /// [`DatabaseError::Pool`] when the pool can't be made.
    pub fn pool(&self, connector: &Connector, patience: Duration) -> Result<Pool, DatabaseError> {
        self.pools.pool(connector, patience)
    }

    /// URL of a log partition's database.
    pub fn partition_url(&self, service: &str, partition: u32) -> &str {
        let own = self.services.get(service).and_then(|s| s.partitions.iter().find(|(range, _)| range.contains(&partition)));
        own.map_or_else(|| self.service_url(service), |(_, url)| url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_goes_to_its_own_database_then_its_services_then_the_default() {
        let databases = Databases::one("postgres://d").with_service(
            "catalog",
            ServiceDatabases { url: Some("postgres://c".into()), partitions: vec![(8..=15, "postgres://p".into())] },
        );
        assert_eq!(databases.partition_url("catalog", 3), "postgres://c");
        assert_eq!(databases.partition_url("catalog", 8), "postgres://p");
        assert_eq!(databases.partition_url("inventory", 8), "postgres://d");
        assert_eq!(databases.read_url(), "postgres://d");
    }
}
