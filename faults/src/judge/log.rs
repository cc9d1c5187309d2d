//! The log alone: density, and the chain. Sources: the protocol's "A page" and "Streams, messages, partitions", and `docs/digests.md`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::case::{Case, Row};
use super::digest;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Event, Ledger, Log, Page};

/// One partition of one log.
struct Lane<'a> {
    service: &'a str,
    partition: i32,
    log: &'a Log,
    pages: &'a [Page],
    events: &'a [Event],
    rows: &'a [Ledger],
}

impl Lane<'_> {
    fn place(&self, page: &Page) -> String {
        format!("{}/{} page {}", self.service, self.partition, page.page)
    }

    /// The events of a page's range; none where they are not all there, which the rules of density tell.
    fn events_of(&self, page: &Page) -> Option<Vec<&Event>> {
        let end = page.first_offset + i64::from(page.count);
        let from = self.events.partition_point(|e| e.offset < page.first_offset);
        let events: Vec<&Event> = self.events[from..].iter().take_while(|e| e.offset < end).collect();
        (i64::try_from(events.len()) == Ok(end - page.first_offset)).then_some(events)
    }
}

/// The page of this number, of pages in order.
pub(crate) fn page_numbered(pages: &[Page], number: i64) -> Option<&Page> {
    pages.binary_search_by_key(&number, |p| p.page).ok().map(|at| &pages[at])
}

/// The time of the page of this number; where that is missing, of the one after it, or of the last.
pub(crate) fn time_of(pages: &[Page], number: i64) -> i64 {
    let at = pages.partition_point(|p| p.page < number);
    pages.get(at).or(pages.last()).map_or(0, |p| p.recorded_at)
}

/// Every rule of the log alone.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for (service, log) in &case.evidence.logs {
        for partition in 0..log.partitions {
            let lane = Lane {
                service,
                partition,
                log,
                pages: log.pages.get(&partition).map(Vec::as_slice).unwrap_or_default(),
                events: log.events.get(&partition).map(Vec::as_slice).unwrap_or_default(),
                rows: log.commands.get(&partition).map(Vec::as_slice).unwrap_or_default(),
            };
            pages_are_dense(&lane, findings);
            pages_tile(&lane, findings);
            offsets_are_dense(&lane, findings);
            events_are_in_their_page(&lane, findings);
            ordinals_are_dense(&lane, findings);
            time_goes_on(&lane, findings);
            event_digests_hold(&lane, findings);
            links_hold(&lane, findings);
            page_digests_hold(&lane, findings);
        }
    }
    partitions_are_right(case, findings);
    versions_are_dense(case, findings);
}

/// `page-gap`: (partition, page) is the fence, N+1 never stands without N; page 0 is written by `migrate`.
fn pages_are_dense(lane: &Lane<'_>, findings: &mut Findings) {
    if lane.pages.is_empty() {
        findings.check(rules::PAGE_GAP, 0, false, || (format!("{}/{} has no page 0", lane.service, lane.partition), Vec::new()));
    }
    // A gap begins where the page before it stands.
    let mut before = 0;
    for (n, page) in (0..).zip(lane.pages) {
        findings.check(rules::PAGE_GAP, before, page.page == n, || {
            (format!("{} stands where page {n} should", lane.place(page)), vec![format!("{page:?}")])
        });
        before = page.recorded_at;
    }
}

/// `page-tiling`: each page goes on where the one before ended.
fn pages_tile(lane: &Lane<'_>, findings: &mut Findings) {
    let mut next = 0;
    for page in lane.pages {
        findings.check(rules::PAGE_TILING, page.recorded_at, page.first_offset == next && page.count >= 0, || {
            (format!("{} does not begin at offset {next}", lane.place(page)), vec![format!("{page:?}")])
        });
        next = page.first_offset + i64::from(page.count);
    }
    let (end, last) = (lane.events.last().map_or(0, |e| e.offset + 1), lane.pages.last().map_or(0, |p| p.recorded_at));
    findings.check(rules::PAGE_TILING, last, end == next, || {
        let what = format!("{}/{}: pages end at offset {next}, events at {end}", lane.service, lane.partition);
        (what, vec![format!("{:?}", lane.pages.last()), format!("{:?}", lane.events.last())])
    });
}

/// `offset-gap`: one gap is told once, where it is.
fn offsets_are_dense(lane: &Lane<'_>, findings: &mut Findings) {
    let (mut next, mut before) = (0, 0);
    for event in lane.events {
        findings.check(rules::OFFSET_GAP, before, event.offset == next, || {
            let what = format!("{}/{}: offset {} stands where {next} should", lane.service, lane.partition, event.offset);
            (what, vec![format!("{event:?}")])
        });
        (next, before) = (event.offset + 1, event.recorded_at);
    }
}

/// `event-outside-page`: an event's page and time are those of the page that has its offset.
fn events_are_in_their_page(lane: &Lane<'_>, findings: &mut Findings) {
    for event in lane.events {
        let at = lane.pages.partition_point(|p| p.first_offset + i64::from(p.count) <= event.offset);
        let page = lane.pages.get(at).filter(|p| p.first_offset <= event.offset);
        let holds = page.is_some_and(|p| p.page == event.page && p.recorded_at == event.recorded_at);
        findings.check(rules::EVENT_OUTSIDE_PAGE, event.recorded_at, holds, || {
            let what = format!("{}/{}:{} is not of the page that has its offset", lane.service, lane.partition, event.offset);
            (what, vec![format!("{event:?}"), format!("{page:?}")])
        });
    }
}

/// `ordinal-gap`: what a page decided is in order, and nothing stands without its page.
fn ordinals_are_dense(lane: &Lane<'_>, findings: &mut Findings) {
    let mut next: BTreeMap<i64, i32> = BTreeMap::new();
    for row in lane.rows {
        let wanted = next.entry(row.page).or_default();
        let page = page_numbered(lane.pages, row.page);
        findings.check(rules::ORDINAL_GAP, time_of(lane.pages, row.page), page.is_some() && row.ordinal == *wanted, || {
            let place = format!("{}/{} page {}", lane.service, lane.partition, row.page);
            (format!("{place}: ordinal {} stands where {wanted} should, or without its page", row.ordinal), vec![format!("{row:?}")])
        });
        *wanted = row.ordinal + 1;
    }
}

/// `time-went-back`: context time is never before the previous page's, and an epoch never ends twice.
fn time_goes_on(lane: &Lane<'_>, findings: &mut Findings) {
    for pair in lane.pages.windows(2) {
        let [before, page] = pair else { continue };
        let holds = page.recorded_at >= before.recorded_at && page.epoch >= before.epoch;
        findings.check(rules::TIME_WENT_BACK, page.recorded_at, holds, || {
            (
                format!("{}: its time or epoch is before the previous page's", lane.place(page)),
                vec![format!("{before:?}"), format!("{page:?}")],
            )
        });
    }
}

/// `event-digest`, by `docs/digests.md`.
fn event_digests_hold(lane: &Lane<'_>, findings: &mut Findings) {
    for event in lane.events {
        let digest = digest::event(lane.partition, event);
        findings.check(rules::EVENT_DIGEST, event.recorded_at, digest == event.digest, || {
            let place = format!("{}/{}:{}", lane.service, lane.partition, event.offset);
            (format!("{place}: its fields give digest {}", hex::encode(digest)), vec![format!("{event:?}")])
        });
    }
}

/// `broken-link`: `previous` is the digest of the page before, and of page 0 the birth's.
fn links_hold(lane: &Lane<'_>, findings: &mut Findings) {
    let log_id = lane.log.log_id.parse().unwrap_or(Uuid::nil());
    let mut previous = digest::birth(lane.service, log_id, lane.partition, lane.log.partitions);
    for page in lane.pages {
        findings.check(rules::BROKEN_LINK, page.recorded_at, page.previous == previous, || {
            (format!("{} names another previous than {}", lane.place(page), hex::encode(&previous)), vec![format!("{page:?}")])
        });
        previous.clone_from(&page.digest);
    }
}

/// `page-digest`, over the digests of its events as they stand: an event that was changed is told by its own rule.
fn page_digests_hold(lane: &Lane<'_>, findings: &mut Findings) {
    let mut rows: BTreeMap<i64, Vec<&Ledger>> = BTreeMap::new();
    for row in lane.rows {
        rows.entry(row.page).or_default().push(row);
    }
    for page in lane.pages {
        let Some(events) = lane.events_of(page) else { continue };
        let digest = digest::page(lane.partition, page, &events, rows.get(&page.page).map(Vec::as_slice).unwrap_or_default());
        findings.check(rules::PAGE_DIGEST, page.recorded_at, digest.as_ref() == Ok(&page.digest), || {
            let gives = digest.map_or_else(|e| e.to_string(), hex::encode);
            (format!("{}: its fields, events and results give digest {gives}", lane.place(page)), vec![format!("{page:?}")])
        });
    }
}

/// `wrong-partition`: of events and of ledger rows.
fn partitions_are_right(case: &Case<'_>, findings: &mut Findings) {
    for at in &case.written {
        let right = case.partition(at.service, &at.event.stream_id);
        findings.check(rules::WRONG_PARTITION, at.event.recorded_at, right == Some(at.partition), || {
            (format!("an event of {} stands in {}/{}, not in {right:?}", at.event.stream_id, at.service, at.partition), vec![at.line()])
        });
    }
    for row in &case.rows {
        let Row { service, partition, ledger, .. } = row;
        let right = case.partition(service, &ledger.stream_id);
        findings.check(rules::WRONG_PARTITION, row.recorded_at, right == Some(*partition), || {
            (format!("a result of {} stands in {service}/{partition}, not in {right:?}", ledger.stream_id), vec![row.line()])
        });
    }
}

/// `version-gap`: a stream's versions, in the order of offsets.
fn versions_are_dense(case: &Case<'_>, findings: &mut Findings) {
    for ((service, stream), places) in &case.streams {
        let mut next = 1;
        for at in places.iter().map(|n| &case.written[*n]) {
            findings.check(rules::VERSION_GAP, at.event.recorded_at, at.event.version == next, || {
                (format!("{service} {stream}: version {} stands where {next} should", at.event.version), vec![at.line()])
            });
            next = at.event.version + 1;
        }
    }
}
