//! A service's log, and one partition of it, for reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_postgres::{Connector, Databases, Pool, Role};
use uuid::Uuid;

use crate::sql::PLANNER_SETTINGS;
use crate::{LogError, SchemaName, sql};

/// One service's log.
#[derive(Clone)]
pub struct Log {
    service: Arc<str>,
    schema: Arc<str>,
    log_id: Uuid,
    partitions: u32,
    databases: Databases,
    pools: Arc<BTreeMap<String, Pool>>,
}

/// One partition of a log.
#[derive(Clone)]
pub struct PartitionLog {
    pub(crate) service: Arc<str>,
    pub(crate) schema: Arc<str>,
    pub(crate) log_id: Uuid,
    pub(crate) partitions: u32,
    pub(crate) partition: u32,
    pub(crate) url: Arc<str>,
    pub(crate) home: Pool,
    pub(crate) pool: Pool,
}

/// Longest wait for a connection of the pool.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

fn pool(databases: &Databases, url: &str, role: Role) -> Result<Pool, LogError> {
    let settings = [PLANNER_SETTINGS, &[("lock_timeout", "5000"), ("idle_in_transaction_session_timeout", "30000")]].concat();
    Ok(databases.pool(&Connector::new(url, Some(role), &settings, "daybook reader")?, PATIENCE)?)
}

impl Log {
    /// Opens a service's log under a role. Its connections are those that the process shares.
    ///
    /// # Errors
    /// When the database can't be reached, or the service's schema is not there (`daybook migrate` makes it).
    pub async fn open(databases: &Databases, service: &str, role: Role) -> Result<Self, LogError> {
        let schema = SchemaName::new(service)?;
        let home_url = databases.service_url(service).to_owned();
        let home = pool(databases, &home_url, role)?;
        let row = home
            .get()
            .await?
            .query_one(&format!("SELECT log_id, partitions FROM {}.log WHERE service = $1", schema.as_str()), &[&service])
            .await;
        let row = row.map_err(|e| match e.as_db_error() {
            Some(db) if ["42P01", "3F000", "42501", "22023"].contains(&db.code().code()) => {
                LogError::Configuration(format!("there is no log of {service} here ({}): run `daybook migrate`", db.message()))
            }
            _ => LogError::Postgres(e),
        })?;
        let partitions = row.get::<_, i32>(1).cast_unsigned();
        let mut pools = BTreeMap::from([(home_url, home)]);
        for n in 0..partitions {
            let url = databases.partition_url(service, n);
            if !pools.contains_key(url) {
                pools.insert(url.to_owned(), pool(databases, url, role)?);
            }
        }
        Ok(Self {
            service: service.into(),
            schema: schema.as_str().into(),
            log_id: row.get(0),
            partitions,
            databases: databases.clone(),
            pools: Arc::new(pools),
        })
    }

    /// For example `catalog`.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// The log's identity, made at its birth.
    pub fn log_id(&self) -> Uuid {
        self.log_id
    }

    /// Number of partitions, 1 to 1024; fixed at the log's birth.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// One partition, 0 to `partitions` − 1.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn partition(&self, n: i32) -> Result<PartitionLog, LogError> {
        let partition = u32::try_from(n)
            .ok()
            .filter(|n| *n < self.partitions)
            .ok_or_else(|| LogError::Configuration(format!("{} has partitions 0 to {}, not {n}", self.service, self.partitions - 1)))?;
        let url = self.databases.partition_url(&self.service, partition);
        Ok(PartitionLog {
            service: self.service.clone(),
            schema: self.schema.clone(),
            log_id: self.log_id,
            partitions: self.partitions,
            partition,
            url: url.into(),
            home: self.pools[self.databases.service_url(&self.service)].clone(),
            pool: self.pools[url].clone(),
        })
    }
}

impl PartitionLog {
    /// Its number.
    pub fn number(&self) -> i32 {
        self.partition.cast_signed()
    }

    /// Number of its log's partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The service whose log it is of.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// `service/partition`, for messages to people.
    pub fn name(&self) -> String {
        format!("{}/{}", self.service, self.partition)
    }

    /// `previous` of its page 0.
    pub fn birth(&self) -> daybook_kernel::Digest {
        daybook_kernel::digest::birth(&self.service, self.log_id, self.number(), self.partitions.cast_signed())
    }

    /// The URL of its database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The schema of its tables; safe to stand in a statement.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        sql::at(statement, &self.schema, self.partition)
    }
}
