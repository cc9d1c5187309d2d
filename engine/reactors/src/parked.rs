//! Streams that wait behind an event which a rule could not react to, as an operator sees them.

use daybook_follow::Ask;
use daybook_kernel::Instant;
use daybook_log::Log;
use daybook_postgres::{Databases, Role};

use crate::store::{Store, pools};
use crate::{ReactorError, Rule};

/// A stream that is parked for a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedReaction {
    /// The reactor or lookup.
    pub reactor: &'static str,
    /// The service whose log it follows.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The stream.
    pub stream: String,
    /// Of the event that it waits behind.
    pub version: i64,
    /// Of the event that it waits behind.
    pub offset: i64,
    /// For people.
    pub reason: String,
    /// Since when.
    pub since: Instant,
    /// The operator's request, if there is one.
    pub asked: Option<Ask>,
}

/// The streams that are parked for some rules.
pub struct ParkedReactions(Vec<(&'static str, String, i32, Store)>);

impl ParkedReactions {
    /// Those of these rules.
    ///
    /// # Errors
    /// When a database can't be reached, or was not migrated.
    pub async fn open(databases: &Databases, rules: &[Rule]) -> Result<Self, ReactorError> {
        let mut stores = Vec::new();
        for rule in rules {
            let log = Log::open(databases, rule.service(), Role::Writer).await?;
            let pools = pools(databases, [&log], Some(Role::Writer))?;
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                let store = Store::new(rule.name(), &partition, pools[partition.url()].clone());
                stores.push((rule.name(), rule.service().to_owned(), n, store));
            }
        }
        Ok(Self(stores))
    }

    /// All of them.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn list(&self) -> Result<Vec<ParkedReaction>, ReactorError> {
        let mut parked = Vec::new();
        for (reactor, service, partition, store) in &self.0 {
            parked.extend(store.parked().await?.into_iter().map(|row| ParkedReaction {
                reactor,
                service: service.clone(),
                partition: *partition,
                stream: row.stream.as_str().to_owned(),
                version: row.version,
                offset: row.offset,
                reason: row.reason,
                since: row.parked_at,
                asked: row.asked,
            }));
        }
        Ok(parked)
    }

    /// Asks the process that has a parked stream's partition for something. False: it is not parked.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn ask(&self, stream: &str, what: Ask) -> Result<bool, ReactorError> {
        for (.., store) in &self.0 {
            if store.ask(stream, what).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
