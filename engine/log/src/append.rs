//! Appending: one writer's connection, its opening pages, and what to do when the answer is lost.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use daybook_kernel::{Digest, Instant};
use tokio_postgres::Statement;
use uuid::Uuid;

use crate::page::{Page, PageHead};
use crate::read::{batch_state, last_page};
use crate::session::terminate;
use crate::{AppendOutcome, BatchState, LogError, PartitionLog, Session, WriterSessions, sql};

/// Longest wait for the advisory lock: it is a courtesy that saves collisions, and a paused process keeps its own.
const COURTESY: Duration = Duration::from_secs(2);
/// First part of the advisory lock's key, "dayb".
const LOCK_CLASS: i32 = 0x6461_7962;

/// The writer of one log partition: its connection, its statements, its name.
pub struct Writer {
    partition: PartitionLog,
    name: String,
    session: Arc<Session>,
    /// Opening pages alone may wait for a lock, so they have a connection of their own.
    opening: Arc<Session>,
    append: Statement,
    append_opening: Statement,
    read: Statement,
}

/// The outcome of opening a partition.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The opening page: mine, and the last.
    pub head: PageHead,
    /// The page before it: when it is my own last one, what I hold in memory is still good.
    pub before: PageHead,
}

/// The settled outcome of an append whose outcome was unknown. Either way the head is an opening page of mine or my page itself.
#[derive(Clone, Debug)]
pub enum Settled {
    /// The page stands.
    Committed,
    /// It does not and never will: my opening page stands in its place.
    NeverWritten(PageHead),
    /// Another writer's page stands there.
    Superseded,
}

impl Writer {
    /// Makes a writer; it may append once [`Writer::open`] has returned.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn new(partition: PartitionLog, sessions: &WriterSessions) -> Result<Self, LogError> {
        let (session, opening) = sessions.of(partition.url(), partition.partition).await?;
        let sql = partition.sql(sql::APPEND_PAGE);
        let append = session.client().prepare(&sql).await?;
        let append_opening = opening.client().prepare(&sql).await?;
        let read = session.client().prepare(&partition.sql(sql::READ_STREAMS)).await?;
        Ok(Self { partition, name: Uuid::new_v4().to_string(), session, opening, append, append_opening, read })
    }

    /// The name that its pages carry: new for every writer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The partition it writes.
    pub fn partition(&self) -> &PartitionLog {
        &self.partition
    }

    /// The connection that its pages go by.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether one of its connections has ended.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed() || self.opening.is_closed()
    }

    /// A stable hash of the partition's name: two partitions that share it only wait for each other.
    fn lock_key(&self) -> i32 {
        daybook_kernel::murmur2(format!("{}{}", self.partition.log_id, self.partition.name()).as_bytes()).cast_signed()
    }

    /// The advisory lock, waited for a moment and then done without. Held until [`Writer::release`], or the connection's end.
    async fn courtesy(&self) -> Result<(), LogError> {
        if daybook_failpoint::is_on(daybook_failpoint::NO_ADVISORY_LOCK) {
            return Ok(());
        }
        let key = self.lock_key();
        let until = tokio::time::Instant::now() + COURTESY;
        loop {
            let got: bool = self.opening.client().query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK_CLASS, &key]).await?.get(0);
            if got || tokio::time::Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes the partition over: inserts an opening page after the last page. Once it stands no older writer can commit.
    ///
    /// # Errors
    /// When Postgres does not answer, or others keep taking it over too.
    pub async fn open(&self, now: Instant) -> Result<Opened, LogError> {
        self.open_with(|before| Page::opening(before, self.partition.number(), &self.name, now)).await
    }

    /// As [`open`](Self::open), by a page that begins an epoch: earlier reports of events behind it are void.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn begin_epoch(&self, now: Instant, epoch: i32, reason: &str) -> Result<Opened, LogError> {
        self.open_with(|before| Page::beginning_epoch(before, self.partition.number(), &self.name, now, epoch, reason)).await
    }

    async fn open_with(&self, page_after: impl Fn(&PageHead) -> Page + Send) -> Result<Opened, LogError> {
        self.courtesy().await?;
        for _ in 0..20 {
            let before = last_page(self.opening.client(), &self.partition).await?;
            self.opening
                .client()
                .execute(
                    &format!("SELECT {}.extend_requests($1, $2)", self.partition.schema),
                    &[&self.partition.number(), &(before.page + 1)],
                )
                .await?;
            let page = page_after(&before);
            match self.send(&page, &self.opening, &self.append_opening).await {
                AppendOutcome::Appended => return Ok(Opened { head: page.head, before }),
                // Someone wrote meanwhile: read again, try again.
                AppendOutcome::NotTheWriter | AppendOutcome::PredecessorMissing | AppendOutcome::Locked => {}
                AppendOutcome::Repeated => return Err(LogError::Damaged("an opening page has no commands to repeat".to_owned())),
                AppendOutcome::Failed(why) | AppendOutcome::Unknown(why) => return Err(LogError::Pool(why)),
            }
        }
        Err(LogError::Superseded(self.partition.name()))
    }

    /// Appends a page. Pages that are sent before the answer to an earlier one go behind it on the same connection.
    pub async fn append(&self, page: &Page) -> AppendOutcome {
        self.send(page, &self.session, &self.append).await
    }

    async fn send(&self, page: &Page, session: &Session, statement: &Statement) -> AppendOutcome {
        let head = &page.head;
        let offsets: Vec<i64> = (head.first_offset..head.next_offset()).collect();
        let e = &page.events;
        let stream_ids: Vec<&str> = e.iter().map(|e| e.stream_id.as_str()).collect();
        let versions: Vec<i64> = e.iter().map(|e| e.version).collect();
        let types: Vec<&str> = e.iter().map(|e| e.type_name.as_str()).collect();
        let payloads: Vec<&[u8]> = e.iter().map(|e| e.payload.as_slice()).collect();
        let metadata: Vec<&[u8]> = e.iter().map(|e| e.metadata.as_slice()).collect();
        let digests: Vec<&[u8]> = page.event_digests.iter().map(|d| d.as_slice()).collect();
        let of: Vec<&str> = page.ledger.iter().map(|c| c.stream_id.as_str()).collect();
        let command_ids: Vec<Uuid> = page.ledger.iter().map(|c| c.command_id).collect();
        let request_digests: Vec<&[u8]> = page.request_digests.iter().map(|d| d.as_slice()).collect();
        let results: Vec<&[u8]> = page.ledger.iter().map(|c| c.result.as_slice()).collect();
        let recorded_at = head.recorded_at.to_utc();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 22] = [
            &head.page,
            &head.epoch,
            &head.first_offset,
            &head.count,
            &head.message_offset,
            &head.writer,
            &head.previous,
            &head.digest,
            &recorded_at,
            &page.reason,
            &offsets,
            &stream_ids,
            &versions,
            &types,
            &payloads,
            &metadata,
            &digests,
            &of,
            &command_ids,
            &request_digests,
            &results,
            &page.requests,
        ];
        AppendOutcome::of(session.client().execute(statement, &values).await)
    }

    /// Finds out, by a write, the unknown outcome of an append: an opening page in its place. It
    /// stands: the other never will. It collides: the page that stands there names its writer.
    ///
    /// # Errors
    /// When Postgres does not answer; ask again.
    pub async fn settle(&self, page: &Page, after: &PageHead, now: Instant) -> Result<Settled, LogError> {
        let opening = Page::opening(after, self.partition.number(), &self.name, now);
        for _ in 0..20 {
            match self.send(&opening, &self.opening, &self.append_opening).await {
                AppendOutcome::Appended => return Ok(Settled::NeverWritten(opening.head)),
                AppendOutcome::NotTheWriter | AppendOutcome::PredecessorMissing => {
                    let stands = self.partition.read_pages(page.head.page, 1).await?;
                    return Ok(match stands.first() {
                        Some(p) if p.writer == self.name && p.digest == page.head.digest => Settled::Committed,
                        _ => Settled::Superseded,
                    });
                }
                // The lost append's own transaction may still hold the place: its session is ended, then asked again.
                AppendOutcome::Locked => {
                    terminate(self.partition.url(), self.session.backend()).await?;
                }
                AppendOutcome::Repeated => return Err(LogError::Damaged("an opening page has no commands to repeat".to_owned())),
                AppendOutcome::Failed(why) | AppendOutcome::Unknown(why) => return Err(LogError::Pool(why)),
            }
        }
        Err(LogError::Pool(format!("{}: the session of a lost append could not be ended", self.partition.name())))
    }

    /// The state that a batch needs, read on the writer's own connection: it sees every page appended before.
    ///
    /// # Errors
    /// When Postgres does not answer, or the log is damaged.
    pub async fn read_batch(&self, streams: &[(&str, Digest)], commands: &[(&str, Uuid)]) -> Result<BatchState, LogError> {
        let (ids, fingerprints): (Vec<&str>, Vec<&[u8]>) = streams.iter().map(|(id, f)| (*id, f.as_slice())).unzip();
        let (of, command_ids): (Vec<&str>, Vec<Uuid>) = commands.iter().copied().unzip();
        let rows = self.session.client().query(&self.read, &[&ids, &fingerprints, &of, &command_ids]).await?;
        batch_state(&rows)
    }

    /// Makes sure that the request ranges reach beyond this page.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn extend_requests(&self, page: i64) -> Result<(), LogError> {
        let sql = format!("SELECT {}.extend_requests($1, $2)", self.partition.schema);
        self.opening.client().execute(&sql, &[&self.partition.number(), &page]).await?;
        Ok(())
    }

    /// Gives the advisory lock back, so that the next writer need not wait for it.
    pub async fn release(&self) {
        let _ = self.opening.client().execute("SELECT pg_advisory_unlock($1, $2)", &[&LOCK_CLASS, &self.lock_key()]).await;
    }

    /// The wall clock, as an [`Instant`]: the only place where the engine takes time.
    pub fn now() -> Instant {
        let now = Instant::from(Utc::now());
        Instant::from_micros(now.micros().saturating_add(daybook_failpoint::clock_offset_micros()))
    }
}
