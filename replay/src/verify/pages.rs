//! The walk along one partition: the chain of pages, their events, their ledger rows, their requests.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use daybook_kernel::{Digest, Instant, StreamId, digest};
use daybook_log::{EventRow, LedgerEntry, LogError, PageHead, PartitionLog, RequestRow, Rows};
use daybook_proto::v1::Metadata;
use prost::Message as _;
use uuid::Uuid;

use super::ledger;
use crate::report::PartitionReport;

/// Pages read at once; their rows follow one by one.
const PAGES: i64 = 500;
/// Most rows without a page that are told of a kind.
const STRAYS: i64 = 100;

/// The fields of one event that the ledger is compared with.
pub(super) struct Noted {
    pub(super) offset: i64,
    pub(super) stream_id: String,
    pub(super) version: i64,
    pub(super) type_name: String,
    /// None: its metadata can't be read, which was told already.
    pub(super) command_id: Option<Uuid>,
}

/// The rows of a batch of pages, side by side.
struct PageRows {
    events: Rows<EventRow>,
    ledger: Rows<LedgerEntry>,
    requests: Rows<RequestRow>,
}

/// Where the walk stands: what the next page must continue.
struct Walk<'a> {
    log: &'a PartitionLog,
    report: &'a mut PartitionReport,
    page: i64,
    offset: i64,
    /// None behind a page that is missing: what it held nobody knows.
    previous: Option<Vec<u8>>,
    epoch: i32,
    recorded_at: Option<Instant>,
    versions: Versions,
    /// Ranges of pages whose requests are kept.
    attached: Vec<(i64, i64)>,
    /// Pages whose requests were detached: the first, the last, how many.
    detached: Option<(i64, i64, u64)>,
}

/// The version that each stream has got to.
#[derive(Default)]
pub(super) struct Versions {
    hasher: RandomState,
    versions: HashMap<u64, i64>,
}

impl Versions {
    pub(super) fn of(&self, stream_id: &str) -> i64 {
        self.versions.get(&self.hasher.hash_one(stream_id)).copied().unwrap_or(0)
    }

    /// Sets it, and gives the one before.
    fn put(&mut self, stream_id: &str, version: i64) -> i64 {
        self.versions.insert(self.hasher.hash_one(stream_id), version).unwrap_or(0)
    }
}

/// Walks a partition up to the page that is the last now; gives the offset behind it.
pub(super) async fn walk(
    log: &PartitionLog,
    report: &mut PartitionReport,
    tell: &mut (dyn FnMut(i64, i64) + Send),
) -> Result<i64, LogError> {
    let head = match log.last_page().await {
        Ok(head) => head,
        Err(LogError::Damaged(why)) => {
            let place = report.at_page(0);
            report.find(place, "page", "the page that begins the log", why);
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    report.head_page = head.page;
    report.head_digest = hex::encode(&head.digest);
    let attached = log.audit_request_ranges().await?;
    let mut walk = Walk {
        log,
        report,
        page: 0,
        offset: 0,
        previous: Some(log.birth().to_vec()),
        epoch: 1,
        recorded_at: None,
        versions: Versions::default(),
        attached,
        detached: None,
    };
    // From the least number that there could be: rows before page 0 and offset 0 are found too.
    let (mut from_page, mut from_offset) = (i64::MIN, i64::MIN);
    loop {
        let mut pages = log.read_pages(from_page, PAGES).await?;
        pages.retain(|p| p.page <= head.page);
        let Some(last) = pages.last() else { break };
        let (to_page, to_offset) = (last.page, last.next_offset().max(from_offset));
        let mut batch = PageRows {
            events: log.audit_events(from_offset, to_offset).await?,
            ledger: log.audit_ledger(from_page, to_page).await?,
            requests: log.audit_requests(from_page, to_page).await?,
        };
        for page in &pages {
            walk.page(page, &mut batch).await?;
        }
        tell(to_page + 1, head.page + 1);
        if to_page >= head.page {
            break;
        }
        (from_page, from_offset) = (to_page + 1, to_offset);
    }
    walk.end(&head).await?;
    Ok(head.next_offset())
}

impl Walk<'_> {
    async fn page(&mut self, page: &PageHead, batch: &mut PageRows) -> Result<(), LogError> {
        self.report.pages += 1;
        self.chain(page);
        let (events, digests) = self.events(page, &mut batch.events).await?;
        let ledger = self.ledger(page, &mut batch.ledger).await?;
        ledger::check(page, &events, &ledger, &self.versions, self.report);
        self.requests(page, &ledger, &mut batch.requests).await?;
        let expected = page_digest(self.log.number(), page, &digests, &ledger);
        self.report.compare(|r| r.at_page(page.page), "digest of the page", hex::encode(expected), hex::encode(&page.digest));
        self.page = page.page + 1;
        self.offset = page.next_offset();
        self.previous = Some(page.digest.clone());
        self.epoch = self.epoch.max(page.epoch);
        self.recorded_at = self.recorded_at.max(Some(page.recorded_at));
        Ok(())
    }

    /// Compares a page with the page before it.
    fn chain(&mut self, page: &PageHead) {
        if page.page > self.page {
            let place = self.report.at_page(self.page);
            let missing = page.page - self.page;
            self.report.find(place, "page", "a page", format!("none: {missing} missing before page {}", page.page));
            self.previous = None;
        } else {
            self.report.compare(|r| r.at_page(page.page), "number of the page", self.page, page.page);
        }
        if let Some(previous) = &self.previous {
            self.report.compare(|r| r.at_page(page.page), "digest of the page before", hex::encode(previous), hex::encode(&page.previous));
            self.report.compare(|r| r.at_page(page.page), "first offset", self.offset, page.first_offset);
        }
        if page.count < 0 {
            let place = self.report.at_page(page.page);
            self.report.find(place, "number of events", "0 or more", page.count);
        }
        if page.epoch < self.epoch {
            let place = self.report.at_page(page.page);
            self.report.find(place, "epoch", format!("{} or later", self.epoch), page.epoch);
        }
        if let Some(before) = self.recorded_at.filter(|before| page.recorded_at < *before) {
            let place = self.report.at_page(page.page);
            self.report.find(place, "time", format!("{before} or later"), page.recorded_at);
        }
    }

    async fn events(&mut self, page: &PageHead, rows: &mut Rows<EventRow>) -> Result<(Vec<Noted>, Vec<Vec<u8>>), LogError> {
        let mut noted = Vec::with_capacity(usize::try_from(page.count).unwrap_or_default().min(10_000));
        let mut digests = Vec::with_capacity(noted.capacity());
        let mut offset = page.first_offset;
        while let Some(event) = rows.next_if(|e| e.offset < page.next_offset()).await? {
            if event.offset < page.first_offset {
                let place = self.report.at(event.offset);
                self.report.find(
                    place,
                    "event",
                    "none: no page covers this offset",
                    format!("{} of {}, which names page {}", event.type_name, event.stream_id, event.page),
                );
                continue;
            }
            self.missing(offset, event.offset);
            offset = event.offset + 1;
            self.report.events += 1;
            noted.push(self.event(page, &event));
            digests.push(event.digest);
        }
        self.missing(offset, page.next_offset());
        Ok((noted, digests))
    }

    /// Offsets from `from` to before `to` hold no event.
    fn missing(&mut self, from: i64, to: i64) {
        if from < to {
            let place = self.report.at(from);
            let found = if to - from == 1 { "none".to_owned() } else { format!("none up to {}", self.report.at(to - 1)) };
            self.report.find(place, "event", "an event", found);
        }
    }

    fn event(&mut self, page: &PageHead, e: &EventRow) -> Noted {
        let partition = self.log.number();
        let expected = digest::event(&digest::EventFields {
            partition,
            offset: e.offset,
            stream_id: &e.stream_id,
            version: e.version,
            type_name: &e.type_name,
            payload: &e.payload,
            metadata: &e.metadata,
            recorded_at: e.recorded_at,
        });
        if expected[..] != e.digest[..] {
            let place = self.report.at(e.offset);
            self.report.find(place, "digest of the event", hex::encode(expected), hex::encode(&e.digest));
        }
        self.report.compare(|r| r.at(e.offset), "page of the event", page.page, e.page);
        self.report.compare(|r| r.at(e.offset), "time of the event", page.recorded_at, e.recorded_at);
        let version = self.versions.put(&e.stream_id, e.version) + 1;
        if version != e.version {
            let place = self.report.at(e.offset);
            self.report.find(place, &format!("version of {}", e.stream_id), version, e.version);
        }
        match StreamId::parse(&e.stream_id) {
            Ok(stream) => {
                let belongs = stream.partition(self.log.partitions());
                self.report.compare(|r| r.at(e.offset), "partition of the stream", belongs, partition);
            }
            Err(error) => {
                let place = self.report.at(e.offset);
                self.report.find(place, "stream id", "<aggregate>/<id>", error);
            }
        }
        let command_id = Metadata::decode(e.metadata.as_slice()).ok().and_then(|m| Uuid::from_slice(&m.command_id).ok());
        if command_id.is_none() {
            let place = self.report.at(e.offset);
            self.report.find(place, "metadata", "a command id", "none that can be read");
        }
        Noted { offset: e.offset, stream_id: e.stream_id.clone(), version: e.version, type_name: e.type_name.clone(), command_id }
    }

    async fn ledger(&mut self, page: &PageHead, rows: &mut Rows<LedgerEntry>) -> Result<Vec<LedgerEntry>, LogError> {
        let mut ledger = Vec::new();
        while let Some(row) = rows.next_if(|row| row.page <= page.page).await? {
            if row.page < page.page {
                let place = self.report.at_page(row.page);
                self.report.find(
                    place,
                    "ledger row",
                    "none: there is no such page",
                    format!("command {} of {}", row.command_id, row.stream_id),
                );
                continue;
            }
            self.report.commands += 1;
            ledger.push(row);
        }
        Ok(ledger)
    }

    async fn requests(&mut self, page: &PageHead, ledger: &[LedgerEntry], rows: &mut Rows<RequestRow>) -> Result<(), LogError> {
        let mut kept = None;
        while let Some(row) = rows.next_if(|row| row.page <= page.page).await? {
            if row.page == page.page {
                kept = Some(row);
            } else {
                let place = self.report.at_page(row.page);
                self.report.find(place, "requests", "none: there is no such page", format!("{} bytes", row.requests.len()));
            }
        }
        match kept {
            Some(row) => ledger::check_requests(page.page, &row.requests, ledger, self.report),
            None if ledger.is_empty() => {}
            None if self.attached.iter().any(|(from, to)| (*from..*to).contains(&page.page)) => {
                let place = self.report.at_page(page.page);
                self.report.find(place, "requests", format!("those of {} commands", ledger.len()), "none, and their range is not detached");
            }
            None => {
                let (_, last, count) = self.detached.get_or_insert((page.page, page.page, 0));
                (*last, *count) = (page.page, *count + 1);
            }
        }
        Ok(())
    }

    /// Finds rows behind the last page that belong to none.
    async fn end(&mut self, head: &PageHead) -> Result<(), LogError> {
        for stray in self.log.audit_strays(head.page, head.next_offset(), STRAYS).await? {
            let place = if stray.kind == "event" { self.report.at(stray.place) } else { self.report.at_page(stray.place) };
            self.report.find(place, &stray.kind, "nothing behind the last page", format!("a row of no page; it names page {}", stray.page));
        }
        if let Some((first, last, count)) = self.detached {
            self.report.notes.push(format!("the requests of {count} pages, {first} to {last}, were detached: their digests are in the chain, their bytes are not here to check"));
        }
        Ok(())
    }
}

fn page_digest(partition: i32, page: &PageHead, events: &[Vec<u8>], ledger: &[LedgerEntry]) -> Digest {
    let fields = digest::PageFields {
        previous: &page.previous,
        partition,
        page: page.page,
        epoch: page.epoch,
        first_offset: page.first_offset,
        count: page.count,
        message_offset: page.message_offset,
        writer: &page.writer,
        recorded_at: page.recorded_at,
    };
    let rows = ledger.iter().map(|row| digest::LedgerFields {
        stream_id: &row.stream_id,
        command_id: row.command_id,
        request_digest: &row.request_digest,
        result: &row.result,
    });
    // The events' digests as they are kept: an event that was changed is told by itself, and does not blame its page.
    digest::page(&fields, events.iter().map(Vec::as_slice), rows)
}
