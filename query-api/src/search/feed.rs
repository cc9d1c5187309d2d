//! Keeping an index fresh: read once from the database, then changed by what is pushed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::{mpsc, watch};

use super::index::SearchIndex;
use super::positions::{Place, Positions};
use super::schema::{SearchReader, SearchSchema};
use super::scoring::Tuning;
use crate::follow::{Change, Content, Follower, Source};
use crate::store::Store;
use crate::{QueryError, sql};

/// How dead an index may be before it is made anew.
const DEAD: f64 = 0.25;
/// An index with fewer documents is never worth it.
const SMALL: usize = 10_000;
/// How many changes are applied before readers get their turn.
const AT_ONCE: usize = 64;
/// How soon after a loss everything is read again.
const TOGETHER: Duration = Duration::from_millis(50);
/// Between attempts to read everything.
const AGAIN: Duration = Duration::from_secs(1);

/// What was pushed.
#[derive(Debug)]
pub(super) enum Pushed {
    Applied { at: Source, from: i64, to: i64, epoch: i32, changes: Vec<Change> },
    Lost { at: Source },
}

/// An index that others read while it is kept fresh.
pub(crate) struct Fresh {
    pub(super) reader: SearchReader,
    pub(super) index: RwLock<SearchIndex>,
    positions: watch::Sender<Positions>,
    pushed: mpsc::UnboundedSender<Pushed>,
}

/// The end of a [`Fresh`] that what is pushed comes out of: for [`Fresh::keep`].
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Pushed>);

impl Fresh {
    /// One that has read nothing yet, and where what is pushed from now on is kept until it has.
    pub(crate) fn new(reader: SearchReader) -> (Arc<Self>, Inbox) {
        let (pushed, inbox) = mpsc::unbounded_channel();
        let positions = watch::channel(Positions::unread()).0;
        let index = RwLock::new(SearchIndex::new(Tuning::default()));
        (Arc::new(Self { reader, index, positions, pushed }), Inbox(inbox))
    }

    /// What of the read model is searched.
    pub(crate) fn schema(&self) -> &SearchSchema {
        &self.reader.schema
    }

    /// Where it stands, and how that changes.
    pub(crate) fn positions(&self) -> watch::Receiver<Positions> {
        self.positions.subscribe()
    }

    /// Stands there, as if it had been read.
    #[cfg(test)]
    pub(super) fn stand(&self, at: Positions) {
        self.positions.send_replace(at);
    }

    /// Reads everything, then follows; again whenever something was missed. Never returns.
    pub(crate) async fn keep(self: Arc<Self>, store: Store, mut inbox: Inbox) {
        loop {
            match self.load(&store).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(model = self.reader.schema.model, %error, "what is searched can't be read yet");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            }
            self.follow(&mut inbox).await;
            // Losses come in company; one reading makes them all good.
            tokio::time::sleep(TOGETHER).await;
        }
    }

    /// Applies what is pushed until something was missed.
    async fn follow(self: &Arc<Self>, inbox: &mut Inbox) {
        while let Some(pushed) = inbox.0.recv().await {
            if !self.take(pushed) {
                self.positions.send_modify(|p| p.lost = true);
                return;
            }
            if self.dead() {
                self.compact().await;
            }
            tokio::task::yield_now().await;
        }
        // Nobody pushes any more: the process ends.
        std::future::pending::<()>().await;
    }

    /// Applies one batch; says whether the index still is what it should be.
    pub(super) fn take(&self, pushed: Pushed) -> bool {
        let (at, from, to, epoch, changes) = match pushed {
            Pushed::Applied { at, from, to, epoch, changes } => (at, from, to, epoch, changes),
            // Of a generation that does not answer: no matter.
            Pushed::Lost { at } => return at.generation < self.positions.borrow().generation,
        };
        let key = (at.service.to_string(), at.partition);
        let known = {
            let positions = self.positions.borrow();
            if at.generation != positions.generation {
                return at.generation < positions.generation;
            }
            positions.places.get(&key).copied()
        };
        let Some(place) = known.filter(|place| from <= place.next && epoch >= place.epoch) else { return false };
        if to < place.next {
            return true;
        }
        // In small bites: who searches is not kept waiting for a large batch.
        for changes in changes.chunks(AT_ONCE) {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                if !self.apply(&mut index, change, to > place.next) {
                    return false;
                }
            }
        }
        if to > place.next || epoch > place.epoch {
            let place = Place { next: place.next.max(to), epoch };
            self.positions.send_modify(|p| _ = p.places.insert(key, place));
        }
        true
    }

    /// What is as of a later place counts, whatever its own offset: an unparked stream's parts rest on events long past. As of
    /// the same place (pushed twice, or by who was paused), a part is not replaced by what rests on older events.
    fn apply(&self, index: &mut SearchIndex, change: &Change, later: bool) -> bool {
        let known = index.offset(&change.key, self.reader.place(&change.part));
        if !later && known.is_some_and(|known| change.offset < known) {
            return true;
        }
        let bytes = match &change.content {
            Content::Bytes(bytes) => Some(bytes.as_ref()),
            Content::Removed => None,
            Content::TooLarge => return false,
        };
        self.reader.apply(index, &change.key, &change.part, bytes, change.offset);
        true
    }

    /// Another index answers from now on. The old one is given back once nobody waits for it.
    fn replace(&self, index: SearchIndex) {
        let old = std::mem::replace(&mut *self.index.write().unwrap_or_else(PoisonError::into_inner), index);
        drop(old);
    }

    fn dead(&self) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.len() >= SMALL && index.dead() > DEAD
    }

    /// Makes the index anew without what is dead, beside the one that answers.
    async fn compact(self: &Arc<Self>) {
        let begun = std::time::Instant::now();
        let fresh = self.clone();
        let compacting = tokio::task::spawn_blocking(move || {
            let compacted = fresh.index.read().unwrap_or_else(PoisonError::into_inner).compacted();
            fresh.replace(compacted);
        });
        // Nothing is applied meanwhile: what is pushed waits in the inbox.
        _ = compacting.await;
        tracing::info!(model = self.reader.schema.model, seconds = begun.elapsed().as_secs_f64(), "the index was compacted");
    }

    /// Reads the live generation's parts and checkpoints in one snapshot, into an index beside the one that answers.
    ///
    /// # Errors
    /// When the database does not answer, or holds no generation.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), QueryError> {
        let begun = std::time::Instant::now();
        let schema = &self.reader.schema;
        let mut client = store.connection().await?;
        let options = client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).read_only(true);
        let transaction = options.start().await?;
        transaction.execute(sql::READ_WHOLE, &[]).await?;
        let live = transaction.query_opt(sql::READ_LIVE_PARTS, &[&schema.model]).await?;
        let live =
            live.ok_or_else(|| QueryError::Configuration(format!("{} has no live generation: run `daybook migrate`", schema.model)))?;
        let generation: i32 = live.get(0);
        let mut places = BTreeMap::new();
        for row in transaction.query(sql::READ_FOLDED, &[&schema.model, &generation]).await? {
            places.insert((row.get(0), row.get(1)), Place { next: row.get(2), epoch: row.get(3) });
        }
        let mut index = SearchIndex::new(Tuning::default());
        let statement = sql::at(sql::READ_ALL_PARTS, live.get(1));
        let none: [&str; 0] = [];
        let mut rows = std::pin::pin!(transaction.query_raw(&statement, none).await?);
        let mut read = 0_u64;
        while let Some(row) = rows.try_next().await? {
            self.reader.apply(&mut index, row.get(0), row.get(1), Some(row.get(2)), row.get(3));
            read += 1;
            if read.is_multiple_of(256) {
                tokio::task::yield_now().await;
            }
        }
        index.shrink();
        let products = index.len();
        self.replace(index);
        self.positions.send_replace(Positions { generation, places, lost: false });
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(model = schema.model, generation, parts = read, products, seconds, "what is searched was read");
        Ok(())
    }
}

impl Follower for Fresh {
    fn applied(&self, at: &Source, from: i64, to: i64, epoch: i32, changes: &[Change]) {
        // It fails only when nobody keeps the index any more.
        _ = self.pushed.send(Pushed::Applied { at: at.clone(), from, to, epoch, changes: changes.to_vec() });
    }

    fn lost(&self, at: &Source) {
        _ = self.pushed.send(Pushed::Lost { at: at.clone() });
    }
}
