//! Pages without a domain.

use daybook_kernel::Instant;
use daybook_log::{AppendOutcome, LedgerRow, Log, NewEvent, Page, PageHead, PartitionLog, Writer, WriterSessions};
use daybook_postgres::Role;
use daybook_proto::v1::{CommandResult, Request};
use daybook_testkit::TestDatabase;
use prost::Message as _;
use uuid::Uuid;

pub(crate) const NOW: Instant = Instant::from_micros(1_800_000_000_000_000);

/// A log of one service, and a writer that has opened its partition 0.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) partition: PartitionLog,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::migrated(&["ledger"], 2).await;
        let log = Log::open(&database.databases(), "ledger", Role::Writer).await.expect("just migrated");
        Self { partition: log.partition(0).expect("it has two"), database }
    }

    /// A writer with connections of its own, as another process would have.
    pub(crate) async fn writer(&self) -> Writer {
        Writer::new(self.partition.clone(), &WriterSessions::new(1)).await.expect("the database answers")
    }

    pub(crate) async fn opened(&self) -> (Writer, PageHead) {
        let writer = self.writer().await;
        let head = writer.open(NOW).await.expect("nobody else writes").head;
        (writer, head)
    }
}

pub(crate) fn event(stream_id: &str, version: i64) -> NewEvent {
    NewEvent {
        stream_id: stream_id.into(),
        version,
        type_name: "t.Happened".into(),
        payload: format!("{stream_id} {version}").into(),
        metadata: vec![1],
    }
}

pub(crate) fn row(stream_id: &str, command: u128) -> LedgerRow {
    LedgerRow {
        stream_id: stream_id.into(),
        command_id: Uuid::from_u128(command),
        request: Request { r#type: "t.Do".into(), ..Default::default() }.encode_to_vec(),
        result: CommandResult { stream_id: stream_id.into(), ..Default::default() }.encode_to_vec(),
    }
}

pub(crate) fn page(after: &PageHead, writer: &Writer, events: Vec<NewEvent>, ledger: Vec<LedgerRow>) -> Page {
    Page::following(after, 0, writer.name(), NOW, after.message_offset + 1, events, ledger)
}

/// Appends, and goes on from there.
pub(crate) async fn append(writer: &Writer, head: &mut PageHead, events: Vec<NewEvent>, ledger: Vec<LedgerRow>) {
    let page = page(head, writer, events, ledger);
    assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
    *head = page.head().clone();
}
