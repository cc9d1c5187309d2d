//! The pools of a process: one for each way to a database, whoever goes it.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Connector, DatabaseError, Pool};

/// The connections of a pool, where nobody says otherwise.
const CONNECTIONS: usize = 8;

/// Pools, each with the connector that its connections are made by. There are a handful, so they are looked through.
#[derive(Clone)]
pub(crate) struct Pools {
    connections: usize,
    made: Arc<Mutex<Vec<(Connector, Pool)>>>,
}

impl Default for Pools {
    fn default() -> Self {
        Self::of(CONNECTIONS)
    }
}

impl Debug for Pools {
    /// Without the connectors: they hold passwords.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").field("connections", &self.connections).finish_non_exhaustive()
    }
}

impl Pools {
    /// Of at most so many connections each.
    pub(crate) fn of(connections: usize) -> Self {
        Self { connections: connections.max(1), made: Arc::default() }
    }

    /// The pool of those who connect as this one does.
    pub(crate) fn pool(&self, connector: &Connector, patience: Duration) -> Result<Pool, DatabaseError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = made.iter().find(|(other, _)| other.connects_as(connector)) {
            return Ok(pool.with_patience(patience));
        }
        let pool = connector.pool(self.connections, patience)?;
        made.push((connector.clone(), pool.clone()));
        Ok(pool)
    }
}
