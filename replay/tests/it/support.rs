//! A small log, written as a lane writes it, and the ways to damage it.

use std::collections::BTreeMap;

use daybook_bus::BusConfig;
use daybook_kernel::{AnyState, Context, Digest, Instant, Registry, Secret, digest, ids};
use daybook_log::{
    AppendOutcome, LedgerEntry, LedgerRow, Log, NewEvent, Page, PageHead, PartitionLog, Snapshot, StoredEvent, Writer, WriterSessions,
};
use daybook_postgres::Role;
use daybook_proto::v1::command_result::Outcome as Came;
use daybook_proto::v1::{Accepted, Caller, CommandResult, EventRef, Metadata, Refused, Request};
use daybook_replay::{PartitionReport, VerifyOptions, verify};
use daybook_testkit::TestDatabase;
use prost::Message as _;
use serde_json::{Value, json};
use tokio_postgres::Client;

const NOW: i64 = 1_800_000_000_000_000;

/// The log of `inventory`, one partition:
///
/// | page | commands | offsets |
/// |---|---|---|
/// | 2 | A: receive 10; B: receive 5 | 0, 1 |
/// | 3 | A: reserve 2; A: reserve 100, refused; A: receive 1 | 2, 3 |
/// | 4 | B: receive 1 | 4 |
/// | 5 | A: receive 2; B: receive 2 | 5, 6 |
/// | 6 | B: reserve 100, refused | |
/// | 7 | A: receive 3 | 7 |
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) registry: Registry,
    pub(crate) partition: PartitionLog,
    writer: Writer,
    head: PageHead,
    streams: BTreeMap<String, (AnyState, i64)>,
    keys: u32,
}

pub(crate) fn receive(sku: &str, quantity: u32) -> (&'static str, Value) {
    ("receive-stock", json!({ "sku": sku, "warehouse": "w", "quantity": quantity }))
}

fn reserve(sku: &str, order: &str, quantity: u32) -> (&'static str, Value) {
    ("reserve-stock", json!({ "sku": sku, "warehouse": "w", "orderId": order, "quantity": quantity }))
}

impl Fixture {
    /// A log with nothing but its page 0 and an opening page.
    pub(crate) async fn empty() -> Self {
        Self::of(1).await
    }

    /// The same, as the first of so many partitions; whatever is committed goes there.
    pub(crate) async fn of(partitions: u32) -> Self {
        let database = TestDatabase::migrated(&["inventory"], partitions).await;
        let log = Log::open(&database.databases(), "inventory", Role::Writer).await.expect("just migrated");
        let partition = log.partition(0).expect("it has one");
        let writer = Writer::new(partition.clone(), &WriterSessions::new(1)).await.expect("the database answers");
        let head = writer.open(Instant::from_micros(NOW)).await.expect("nobody else writes").head;
        let registry = Registry::new(shop_domain::aggregates()).expect("the shop's list is sound");
        Self { database, registry, partition, writer, head, streams: BTreeMap::new(), keys: 0 }
    }

    pub(crate) async fn new() -> Self {
        let mut f = Self::empty().await;
        f.commit(&[receive("A", 10), receive("B", 5)]).await;
        f.commit(&[reserve("A", "o-1", 2), reserve("A", "o-2", 100), receive("A", 1)]).await;
        f.commit(&[receive("B", 1)]).await;
        f.commit(&[receive("A", 2), receive("B", 2)]).await;
        f.commit(&[reserve("B", "o-3", 100)]).await;
        f.commit(&[receive("A", 3)]).await;
        assert_eq!((f.head.page, f.head.next_offset()), (7, 8));
        f
    }

    /// Decides commands and appends their page.
    pub(crate) async fn commit(&mut self, commands: &[(&str, Value)]) {
        let now = Instant::from_micros(self.head.recorded_at.micros() + 1_000);
        let (mut events, mut ledger) = (Vec::new(), Vec::new());
        for (name, body) in commands {
            let type_name = self.registry.command_type("inventory", name).expect("a command");
            let aggregate = self.registry.of_command(type_name).expect("decided by someone").clone();
            let command = aggregate.read_json(type_name, body.to_string().as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
            self.keys += 1;
            let stream_id = command.stream.as_str().to_owned();
            let command_id = ids::command_id("inventory", "anonymous", &stream_id, &self.keys.to_string());
            let (state, version) = self.streams.entry(stream_id.clone()).or_insert_with(|| (aggregate.new_state(), 0));
            let decided = aggregate.decide(state, &command, &Context::new(now, command_id, &Secret::new([1; 32])));
            let first = self.head.next_offset() + events.len() as i64;
            let metadata =
                Metadata { command_id: command_id.as_bytes().to_vec(), correlation_id: command_id.to_string(), ..Default::default() };
            let references =
                (first..).zip(&decided.events).map(|(offset, e)| EventRef { r#type: e.type_name.to_owned(), offset }).collect();
            for event in &decided.events {
                *version += 1;
                events.push(NewEvent {
                    stream_id: stream_id.clone(),
                    version: *version,
                    type_name: event.type_name.to_owned(),
                    payload: event.payload.clone(),
                    metadata: metadata.encode_to_vec(),
                });
            }
            let outcome = decided.refusal.map_or(Came::Accepted(Accepted {}), |r| {
                Came::Refused(Refused { code: r.code.into(), title: r.title.into(), r#type: r.type_name.into(), refusal: r.payload })
            });
            let request = Request {
                r#type: type_name.into(),
                command: command.bytes.clone(),
                caller: Some(Caller::anonymous()),
                ..Default::default()
            };
            let result = CommandResult {
                service: "inventory".into(),
                stream_id: stream_id.clone(),
                version: version.cast_unsigned(),
                events: references,
                partition: 0,
                offset: first + decided.events.len() as i64 - 1,
                epoch: self.head.epoch.cast_unsigned(),
                command_digest: digest::command(type_name, &command.bytes, None).to_vec(),
                outcome: Some(outcome),
            };
            ledger.push(LedgerRow { stream_id, command_id, request: request.encode_to_vec(), result: result.encode_to_vec() });
        }
        let page = Page::following(&self.head, 0, self.writer.name(), now, self.head.message_offset + 1, events, ledger);
        assert_eq!(self.writer.append(&page).await, AppendOutcome::Appended);
        self.head = page.head().clone();
    }

    /// As the owner, with the triggers off: as whoever has the database's superuser could.
    pub(crate) async fn forger(&self) -> Client {
        let owner = self.database.owner().await;
        let settings = "SET session_replication_role = replica; SET search_path = inventory; SET synchronous_commit = off";
        owner.batch_execute(settings).await.expect("the owner may");
        owner
    }

    /// Damages it by such a connection.
    pub(crate) async fn damage(&self, sql: &str) {
        self.forger().await.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    pub(crate) async fn verify(&self) -> PartitionReport {
        self.verify_with(None).await
    }

    pub(crate) async fn verify_with(&self, bus: Option<&BusConfig>) -> PartitionReport {
        let options = VerifyOptions { service: Some("inventory".into()), partition: None, kafka: bus.is_some() };
        let mut steps = Vec::new();
        let report = verify(&self.database.databases(), bus.cloned(), &self.registry, &options, &mut |p| steps.push(p))
            .await
            .expect("it can be read");
        assert!(steps.iter().all(|p| p.service == "inventory" && p.partition == 0));
        report.partitions.into_iter().next().expect("one partition")
    }

    /// Damages it, and gives what is found, a line each.
    pub(crate) async fn found_after(&self, sql: &str) -> Vec<String> {
        self.damage(sql).await;
        self.verify().await.findings.iter().map(ToString::to_string).collect()
    }

    /// As [`Fixture::found_after`], for a change of one table that is then undone: a database is dear.
    pub(crate) async fn found_while(&self, table: &str, change: &str) -> Vec<String> {
        self.damage(&format!("CREATE TABLE kept AS TABLE {table}")).await;
        let found = self.found_after(&format!("UPDATE {table} SET {change}")).await;
        self.damage(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept")).await;
        found
    }

    /// A snapshot of a stream as it stands at a version, under this build's fingerprint.
    pub(crate) async fn snapshot(&self, stream_id: &str, version: usize) {
        let aggregate = self.registry.aggregate("inventory", "stock").expect("the shop has it");
        let events = self.partition.read_stream(stream_id).await.expect("readable");
        let mut state = aggregate.new_state();
        for e in &events[..version] {
            aggregate.evolve(&mut state, &e.type_name, &e.payload).expect("known");
        }
        let snapshot = Snapshot {
            stream_id: stream_id.into(),
            version: version as i64,
            event_digest: events[version - 1].digest.clone(),
            fingerprint: aggregate.fingerprint(),
            state: aggregate.encode_state(&state),
            recorded_at: Instant::from_micros(NOW),
        };
        self.partition.insert_snapshot(&snapshot).await.expect("insertable");
    }

    pub(crate) async fn page(&self, number: i64) -> (PageHead, Vec<StoredEvent>, Vec<LedgerEntry>) {
        let page = self.partition.read_pages(number, 1).await.expect("readable").remove(0);
        let events = self.partition.read_events(page.first_offset, page.count.into()).await.expect("readable");
        (page, events, self.partition.read_ledger(number, number).await.expect("readable"))
    }
}

/// The digest that a forger works out for a page.
pub(crate) fn digest_of(page: &PageHead, events: &[StoredEvent], ledger: &[LedgerEntry]) -> Digest {
    digest_over(page, &events.iter().map(|e| e.digest.clone()).collect::<Vec<_>>(), ledger)
}

/// The same, with the digests of its events.
pub(crate) fn digest_over(page: &PageHead, events: &[Vec<u8>], ledger: &[LedgerEntry]) -> Digest {
    let fields = digest::PageFields {
        previous: &page.previous,
        partition: 0,
        page: page.page,
        epoch: page.epoch,
        first_offset: page.first_offset,
        count: page.count,
        message_offset: page.message_offset,
        writer: &page.writer,
        recorded_at: page.recorded_at,
    };
    let rows = ledger.iter().map(|r| digest::LedgerFields {
        stream_id: &r.stream_id,
        command_id: r.command_id,
        request_digest: &r.request_digest,
        result: &r.result,
    });
    digest::page(&fields, events.iter().map(Vec::as_slice), rows)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether one finding is of this place and speaks of this; the others are told when not.
#[track_caller]
pub(crate) fn assert_found(findings: &[String], place: &str, what: &str) {
    let found = findings.iter().any(|f| f.starts_with(&format!("{place}: ")) && f.contains(what));
    assert!(found, "no finding at {place} with {what:?} among\n{}", findings.join("\n"));
}
