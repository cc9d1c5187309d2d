//! Postgres alone: pages through the real statement, one after the other on one connection, in a database of
//! their own on the same server.

use daybook_kernel::StreamId;
use daybook_log::{AppendOutcome, LedgerRow, Log, MigrateOptions, NewEvent, Page, PageHead, Writer, WriterSessions, migrate};
use daybook_postgres::{Databases, Role, migrate_install};
use uuid::Uuid;

use crate::database::OwnDatabase;
use crate::samples::Client;

const SERVICE: &str = "bench";
/// As many as the whole way has.
const STREAMS: usize = 10_000;
/// Sizes of the rows that receiving stock writes, in bytes: its event, and what goes with it.
pub(crate) const PAYLOAD: usize = 45;
const METADATA: usize = 88;
const REQUEST: usize = 85;
const RESULT: usize = 150;

/// A log in a database of its own.
pub(crate) struct OwnLog(OwnDatabase);

impl OwnLog {
    /// Makes it, on the server that `url` names.
    ///
    /// # Errors
    /// When the server can't be reached, or the user may not create databases.
    pub(crate) async fn new(url: &str) -> anyhow::Result<Self> {
        let database = OwnDatabase::new(url).await?;
        let options = MigrateOptions { services: vec![SERVICE.to_owned()], partitions: 1 };
        let databases = Databases::one(&database.url);
        migrate_install(&databases).await?;
        migrate(&databases, &options).await?;
        Ok(Self(database))
    }

    /// A writer of pages of so many commands, each with an event of so many bytes.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub(crate) async fn pages(&self, commands: usize, payload: usize) -> anyhow::Result<Pages> {
        let log = Log::open(&Databases::one(&self.0.url), SERVICE, Role::Writer).await?;
        let writer = Writer::new(log.partition(0)?, &WriterSessions::new(1)).await?;
        let head = writer.open(Writer::now()).await?.head;
        // Versions go on where the pages before ended: each run has streams of its own.
        let run = format!("{:08x}", head.page);
        let streams = (0..STREAMS).map(|n| StreamId::parse(&format!("stock/{run}-{n}@w-1"))).collect::<Result<_, _>>()?;
        Ok(Pages { writer, head, commands, payload, streams, written: 0 })
    }

    /// Drops it.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        self.0.drop().await
    }
}

/// Appends a page at a time.
pub(crate) struct Pages {
    writer: Writer,
    head: PageHead,
    commands: usize,
    payload: usize,
    streams: Vec<StreamId>,
    written: usize,
}

impl Pages {
    fn next(&mut self) -> Page {
        let (mut events, mut ledger) = (Vec::with_capacity(self.commands), Vec::with_capacity(self.commands));
        for _ in 0..self.commands {
            let stream = self.streams[self.written % STREAMS].as_str().to_owned();
            let version = (self.written / STREAMS) as i64 + 1;
            self.written += 1;
            events.push(NewEvent {
                stream_id: stream.clone(),
                version,
                type_name: "shop.inventory.v1.StockReceived".to_owned(),
                payload: vec![7; self.payload],
                metadata: vec![7; METADATA],
            });
            ledger.push(LedgerRow {
                stream_id: stream,
                command_id: Uuid::new_v4(),
                request: vec![7; REQUEST + self.payload],
                result: vec![7; RESULT],
            });
        }
        let message_offset = self.head.message_offset + self.commands as i64;
        Page::following(&self.head, 0, self.writer.name(), Writer::now(), message_offset, events, ledger)
    }
}

impl Client for Pages {
    async fn once(&mut self) -> Result<(), String> {
        let page = self.next();
        match self.writer.append(&page).await {
            AppendOutcome::Appended => {
                self.head = page.head().clone();
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    }
}
