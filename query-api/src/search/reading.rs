//! Reading what is searched from the database: as a whole, or only what has moved since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use daybook_search::{Compared, Parts, SearchIndex, Tuning};
use futures_util::TryStreamExt as _;
use tokio::time::Instant;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::feed::{AT_ONCE, Fresh};
use super::positions::{PartitionPosition, Positions};
use crate::QueryError;
use crate::store::{Store, sql};

/// Rows between two turns of the others.
const TURN: usize = 256;
/// Keys that are looked up at once.
const LOOKED_UP: usize = 500;

/// The part of the index that a reading has changed.
enum Read {
    Whole { parts: u64 },
    Moved { keys: usize },
}

impl Fresh {
    /// Reads the live generation's parts and checkpoints in one snapshot. The first time, and where another generation is live
    /// or a log began another epoch, everything, into an index beside the one that answers; else what has moved, into that one.
    ///
    /// # Errors
    /// When the database does not answer, holds no generation, or shows an older state than was read before.
    pub(super) async fn read(&self, store: &Store) -> Result<(), QueryError> {
        let begun = Instant::now();
        let schema = self.reader.schema();
        let lost = self.waiting.losses();
        let mut client = store.connection().await?;
        let options = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = options.start().await?;
        transaction.execute(sql::READ_WHOLE, &[]).await?;
        let live = transaction.query_opt(sql::READ_LIVE_PARTS, &[&schema.model]).await?;
        let live =
            live.ok_or_else(|| QueryError::Configuration(format!("{} has no live generation: run `daybook migrate`", schema.model)))?;
        let (generation, parts): (i32, &str) = (live.get(0), live.get(1));
        let mut places = BTreeMap::new();
        for row in transaction.query(sql::READ_FOLDED, &[&schema.model, &generation]).await? {
            places.insert((row.get(0), row.get(1)), PartitionPosition { next: row.get(2), epoch: row.get(3) });
        }
        let now = Positions { generation, places, lost: false };
        let known = self.positions.borrow().clone();
        let read = if now.continues(&known) {
            if now.is_behind(&known) {
                return Err(QueryError::Behind(schema.model.clone()));
            }
            self.read_moved(&transaction, parts).await?
        } else {
            self.read_whole(&transaction, parts).await?
        };
        self.waiting.read(&lost, &now);
        self.positions.send_replace(now);
        let seconds = begun.elapsed().as_secs_f64();
        match read {
            Read::Whole { parts } => tracing::info!(model = schema.model, generation, parts, seconds, "what is searched was read"),
            Read::Moved { keys } => tracing::info!(model = schema.model, generation, keys, seconds, "what has moved of it was read"),
        }
        Ok(())
    }

    async fn read_whole(&self, transaction: &Transaction<'_>, parts: &str) -> Result<Read, QueryError> {
        let mut index = SearchIndex::new(Tuning::default());
        let none: [&str; 0] = [];
        let mut rows = std::pin::pin!(transaction.query_raw(&sql::at(sql::READ_ALL_PARTS, parts), none).await?);
        let mut read = 0_u64;
        while let Some(row) = rows.try_next().await? {
            self.reader.apply(&mut index, row.get(0), row.get(1), Some(row.get(2)), row.get(3));
            read += 1;
            if read.is_multiple_of(TURN as u64) {
                tokio::task::yield_now().await;
            }
        }
        index.shrink();
        self.replace(index);
        Ok(Read::Whole { parts: read })
    }

    /// Compares what there is, without its content, and reads the content of what is otherwise.
    async fn read_moved(&self, transaction: &Transaction<'_>, parts: &str) -> Result<Read, QueryError> {
        let keys = self.moved(transaction, parts).await?;
        let products = self.index.read().unwrap_or_else(PoisonError::into_inner).len();
        if keys.len() > products / 2 {
            return self.read_whole(transaction, parts).await;
        }
        transaction.execute(sql::READ_BY_KEY, &[]).await?;
        let statement = transaction.prepare(&sql::at(sql::READ_PARTS_OF_KEYS, parts)).await?;
        for keys in keys.chunks(LOOKED_UP) {
            let mut all: BTreeMap<&str, Parts> = keys.iter().map(|key| (key.as_str(), Parts::new())).collect();
            for row in transaction.query(&statement, &[&keys]).await? {
                let Some(parts) = all.get_mut(row.get::<_, &str>(0)) else { continue };
                parts.insert(row.get(1), (row.get(2), row.get(3)));
            }
            let all: Vec<_> = all.into_iter().collect();
            for some in all.chunks(AT_ONCE) {
                let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
                for (key, parts) in some {
                    index.settle(&self.reader, key, parts);
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(Read::Moved { keys: keys.len() })
    }

    async fn moved(&self, transaction: &Transaction<'_>, parts: &str) -> Result<Vec<String>, QueryError> {
        let none: [&str; 0] = [];
        let rows = transaction.query_raw(&sql::at(sql::READ_PART_OFFSETS, parts), none).await?;
        let mut rows = std::pin::pin!(rows.try_chunks(TURN));
        let mut compared = Compared::default();
        while let Some(some) = rows.try_next().await.map_err(|e| e.1)? {
            self.compare(&mut compared, &some);
            tokio::task::yield_now().await;
        }
        Ok(compared.done(&self.index.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn compare(&self, compared: &mut Compared, rows: &[Row]) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            compared.part(&self.reader, &index, row.get(0), row.get(1), row.get(2));
        }
    }
}

impl Positions {
    /// Whether what was read at `known` can be brought here by what has moved: the same generation of the same logs.
    fn continues(&self, known: &Self) -> bool {
        let logs = |at: &Self| at.places.iter().map(|(log, place)| (log.clone(), place.epoch)).collect::<BTreeSet<_>>();
        self.generation == known.generation && !known.places.is_empty() && logs(self) == logs(known)
    }

    /// Whether any log is further in what is known.
    fn is_behind(&self, known: &Self) -> bool {
        self.places.iter().any(|(log, place)| known.places.get(log).is_some_and(|known| known.next > place.next))
    }
}
