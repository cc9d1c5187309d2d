//! What a list reads.

use std::collections::HashMap;

use bytes::Bytes;
use daybook_kernel::ConsistencyToken;
use tokio_postgres::Row;

use crate::store::{Live, Store};
use crate::{QueryError, sql};

/// Parts of a list.
pub(crate) struct Listed {
    /// In byte order of their ids.
    pub(crate) parts: Vec<(String, Bytes)>,
    /// How far each partition of the read model had been folded.
    pub(crate) positions: Vec<ConsistencyToken>,
}

/// What items are filled with.
pub(crate) struct Filling {
    /// The parts of each key, one after the other.
    pub(crate) by_key: HashMap<String, Vec<u8>>,
    /// How far each partition of that read model had been folded.
    pub(crate) positions: Vec<ConsistencyToken>,
}

/// The position that a row tells; none where it is a part.
fn position(row: &Row) -> Option<ConsistencyToken> {
    let service: Option<String> = row.get(0);
    Some(ConsistencyToken { service: service?, partition: row.get(1), offset: row.get::<_, i64>(2) - 1, epoch: row.get(3) })
}

impl Store {
    /// Up to `limit` parts of a key, behind the part `after`.
    pub(crate) async fn list(
        &self,
        projection: &str,
        live: &Live,
        key: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed, QueryError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached(&sql::at(sql::READ_LIST, &live.parts)).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&projection, &live.generation, &key, &after.unwrap_or_default(), &limit]).await?;
        let mut listed = Listed { parts: Vec::with_capacity(rows.len()), positions: Vec::new() };
        for row in &rows {
            match position(row) {
                Some(position) => listed.positions.push(position),
                None => listed.parts.push((row.get(4), Bytes::copy_from_slice(row.get(5)))),
            }
        }
        Ok(listed)
    }

    /// The parts of these keys whose ids begin with `parts`.
    pub(crate) async fn fill(&self, projection: &str, live: &Live, keys: &[String], parts: &str) -> Result<Filling, QueryError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached(&sql::at(sql::READ_FILL, &live.parts)).await?;
        let rows = client.query(&statement, &[&projection, &live.generation, &keys, &parts]).await?;
        let mut filling = Filling { by_key: HashMap::new(), positions: Vec::new() };
        for row in &rows {
            match position(row) {
                Some(position) => filling.positions.push(position),
                None => filling.by_key.entry(row.get(4)).or_default().extend_from_slice(row.get(6)),
            }
        }
        Ok(filling)
    }
}
