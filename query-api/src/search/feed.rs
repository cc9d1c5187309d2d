//! Keeping an index fresh: read from the database, then changed by what is pushed, and compared with the database again
//! where something was missed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daybook_search::{SearchIndex, SearchReader, SearchSchema, Tuning};
use tokio::sync::watch;
use tokio::time::Instant;

use super::positions::{PartitionPosition, Positions};
use super::waiting::{Next, Now, PendingChanges, SourceChanges};
use crate::observers::{Change, Follower};
use crate::source::{Position, SourceId};
use crate::store::Store;

/// The share of dead documents at which an index is made anew.
const DEAD: f64 = 0.25;
/// An index with fewer documents is never worth it.
const SMALL: usize = 10_000;
/// The number of changes that are applied before readers get their turn.
pub(super) const AT_ONCE: usize = 64;
/// Time after a loss before the database is read again.
const TOGETHER: Duration = Duration::from_millis(50);
/// The longest that it rests after a reading: who has a token waits for the next one.
const REST: Duration = Duration::from_secs(5);
/// Between attempts to read it.
const AGAIN: Duration = Duration::from_secs(1);

/// An index that others read while it is kept fresh.
pub(crate) struct Fresh {
    pub(super) reader: SearchReader,
    pub(super) index: RwLock<SearchIndex>,
    pub(super) positions: watch::Sender<Positions>,
    pub(super) waiting: PendingChanges,
}

impl Fresh {
    /// One that has read nothing yet; what is pushed from now on is kept until it has.
    pub(crate) fn new(reader: SearchReader) -> Arc<Self> {
        let positions = watch::channel(Positions::unread()).0;
        let index = RwLock::new(SearchIndex::new(Tuning::default()));
        Arc::new(Self { reader, index, positions, waiting: PendingChanges::default() })
    }

    /// The fields of the read model that are searched.
    pub(crate) fn schema(&self) -> &SearchSchema {
        self.reader.schema()
    }

    /// Where it stands, and how that changes.
    pub(crate) fn positions(&self) -> watch::Receiver<Positions> {
        self.positions.subscribe()
    }

    /// Reads, then follows; again whenever something was missed. Never returns.
    pub(crate) async fn keep(self: Arc<Self>, store: Store) {
        loop {
            let begun = Instant::now();
            match self.read(&store).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(model = self.reader.schema().model, %error, "what is searched can't be read yet");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            }
            let read = Instant::now();
            self.compact_if_dead().await;
            self.follow().await;
            // Losses come in company; one reading makes them all good. And where they don't end (Kafka is gone), the database
            // has as much rest as work.
            tokio::time::sleep_until((Instant::now() + TOGETHER).max(read + (read - begun).min(REST))).await;
        }
    }

    /// Applies what is pushed until something was missed.
    async fn follow(self: &Arc<Self>) {
        while let Next::SourceChanges(at, batch) = self.waiting.next().await {
            if !self.take(&at, &batch) {
                self.waiting.lose(&at, Position::new(batch.epoch, batch.to));
                break;
            }
            self.compact_if_dead().await;
            tokio::task::yield_now().await;
        }
        self.positions.send_modify(|p| p.lost = true);
    }

    /// Applies one batch; says whether the index still is what it should be.
    pub(super) fn take(&self, at: &SourceId, batch: &SourceChanges) -> bool {
        let key = (at.service.to_string(), at.partition);
        let known = {
            let positions = self.positions.borrow();
            if at.generation != positions.generation {
                // Of a generation that does not answer: no matter.
                return at.generation < positions.generation;
            }
            positions.places.get(&key).copied()
        };
        let Some(place) = known.filter(|place| batch.from <= place.next && batch.epoch >= place.epoch) else { return false };
        if batch.to < place.next {
            return true;
        }
        // What is as of an earlier place was there when the index was read.
        let changes: Vec<_> = batch.changes.iter().filter(|(_, now)| now.to >= place.next).collect();
        // In small bites: who searches is not kept waiting for a large batch.
        for changes in changes.chunks(AT_ONCE) {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            for ((key, part), now) in changes {
                self.apply(&mut index, key, part, now, place.next);
            }
        }
        if batch.to > place.next || batch.epoch > place.epoch {
            let place = PartitionPosition { next: place.next.max(batch.to), epoch: batch.epoch };
            self.positions.send_modify(|p| _ = p.places.insert(key, place));
        }
        true
    }

    /// What is as of a later place counts, whatever its own offset: an unparked stream's parts rest on events long past. As of
    /// the same place (pushed twice, or by who was paused), a part is not replaced by what rests on older events.
    fn apply(&self, index: &mut SearchIndex, key: &str, part: &str, now: &Now, next: i64) {
        let known = index.offset(key, self.reader.place(part));
        if now.to > next || known.is_none_or(|known| now.offset >= known) {
            self.reader.apply(index, key, part, now.bytes.as_deref(), now.offset);
        }
    }

    /// Another index answers from now on. The old one is given back once nobody waits for it.
    pub(super) fn replace(&self, index: SearchIndex) {
        let old = std::mem::replace(&mut *self.index.write().unwrap_or_else(PoisonError::into_inner), index);
        drop(old);
    }

    fn dead(&self) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.len() >= SMALL && index.dead() > DEAD
    }

    /// Makes the index anew without what is dead, beside the one that answers.
    async fn compact_if_dead(self: &Arc<Self>) {
        if !self.dead() {
            return;
        }
        let begun = Instant::now();
        let fresh = self.clone();
        let compacting = tokio::task::spawn_blocking(move || {
            let compacted = fresh.index.read().unwrap_or_else(PoisonError::into_inner).compacted();
            fresh.replace(compacted);
        });
        // Nothing is applied meanwhile: what is pushed waits.
        _ = compacting.await;
        tracing::info!(model = self.reader.schema().model, seconds = begun.elapsed().as_secs_f64(), "the index was compacted");
    }
}

impl Follower for Fresh {
    fn applied(&self, at: &SourceId, from: i64, to: i64, epoch: i32, changes: &[Change]) {
        self.waiting.push(at, from, to, epoch, changes);
    }

    fn lost(&self, at: &SourceId, before: Position) {
        self.waiting.lose(at, before);
    }
}
