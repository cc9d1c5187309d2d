//! A page's ledger against its events and requests: what was answered is what was written.

use std::collections::HashSet;
use std::fmt::Display;

use daybook_kernel::digest;
use daybook_log::{LedgerEntry, PageHead};
use daybook_proto::v1::{CommandResult, Request, Requests};
use prost::Message as _;

use super::pages::{Noted, Versions};
use crate::report::PartitionReport;

/// One page's ledger, being compared.
struct Ledger<'a> {
    page: &'a PageHead,
    events: &'a [Noted],
    versions: &'a Versions,
    report: &'a mut PartitionReport,
}

/// Results and events: each result names the events that follow those of the result before it, and each event is named by
/// the result of the command that its metadata names. `versions` has moved on by this page's events already.
pub(super) fn check(page: &PageHead, events: &[Noted], ledger: &[LedgerEntry], versions: &Versions, report: &mut PartitionReport) {
    let ids: HashSet<_> = ledger.iter().map(|row| row.command_id).collect();
    for event in events {
        if let Some(id) = event.command_id.filter(|id| !ids.contains(id)) {
            let place = report.at(event.offset);
            report.find(place, "command of the event", format!("one in the ledger of page {}", page.page), id);
        }
    }
    let mut of = Ledger { page, events, versions, report };
    // The last offset that the results so far rest on.
    let mut rests_on = page.first_offset - 1;
    for (ordinal, row) in (0..).zip(ledger) {
        of.compare(row, "ordinal", ordinal, row.ordinal);
        match CommandResult::decode(row.result.as_slice()) {
            Ok(result) => rests_on = of.result(row, &result, rests_on),
            Err(error) => of.find(row, "result", "one that can be read", error),
        }
    }
    let last = page.next_offset() - 1;
    if rests_on < last {
        let place = report.at(rests_on + 1);
        report.find(place, "ledger", "a result that names the event", format!("none names those up to {}", report.at(last)));
    }
}

impl Ledger<'_> {
    fn find(&mut self, row: &LedgerEntry, what: &str, expected: impl Display, found: impl Display) {
        let place = self.report.at_page(self.page.page);
        self.report.find(place, &format!("{what} of command {} ({} of {})", row.ordinal, row.command_id, row.stream_id), expected, found);
    }

    fn compare<T: PartialEq + Display>(&mut self, row: &LedgerEntry, what: &str, expected: T, found: T) {
        if expected != found {
            self.find(row, what, expected, found);
        }
    }

    /// Gives the last offset that this result, and those before it, rest on.
    fn result(&mut self, row: &LedgerEntry, result: &CommandResult, before: i64) -> i64 {
        let (service, partition) = (self.report.service.clone(), self.report.partition);
        self.compare(row, "service in the result", service.as_str(), &result.service);
        self.compare(row, "stream in the result", row.stream_id.as_str(), &result.stream_id);
        self.compare(row, "partition in the result", partition, result.partition);
        self.compare(row, "epoch in the result", i64::from(self.page.epoch), i64::from(result.epoch));
        if let Some(first) = result.events.first() {
            self.compare(row, "first event in the result", before + 1, first.offset);
            for (offset, reference) in (first.offset..).zip(&result.events) {
                self.compare(row, "order of the events in the result", offset, reference.offset);
                self.reference(row, &reference.r#type, reference.offset);
            }
        }
        let rests_on = result.events.iter().map(|e| e.offset).fold(before, i64::max);
        self.compare(row, "offset in the result", rests_on, result.offset);
        if let Some(version) = self.version(row, result, before) {
            self.compare(row, "version in the result", version, i64::try_from(result.version).unwrap_or(i64::MAX));
        }
        rests_on
    }

    fn event(&self, offset: i64) -> Option<&Noted> {
        self.events.binary_search_by_key(&offset, |e| e.offset).ok().map(|i| &self.events[i])
    }

    fn reference(&mut self, row: &LedgerEntry, type_name: &str, offset: i64) {
        let Some(event) = self.event(offset) else {
            // One that is missing from the page was told as such.
            if !(self.page.first_offset..self.page.next_offset()).contains(&offset) {
                self.find(row, "event in the result", "one of this page", offset);
            }
            return;
        };
        // Metadata that can't be read were told as such.
        let is = format!("{} of {} by command {}", event.type_name, event.stream_id, event.command_id.unwrap_or(row.command_id));
        let said = format!("{type_name} of {} by command {}", row.stream_id, row.command_id);
        if is != said {
            self.find(row, &format!("event {offset} in the result"), is, said);
        }
    }

    /// The stream's version after the command; none when the event that would tell is missing.
    fn version(&self, row: &LedgerEntry, result: &CommandResult, before: i64) -> Option<i64> {
        if let Some(last) = result.events.last() {
            return self.event(last.offset).map(|e| e.version);
        }
        let of_stream = || self.events.iter().filter(|e| e.stream_id == row.stream_id);
        let earlier = of_stream().take_while(|e| e.offset <= before).last().map(|e| e.version);
        // Nothing of the stream stood in the page yet: what its next event there follows, or what it has been for long.
        let long = || of_stream().next().map_or_else(|| self.versions.of(&row.stream_id), |e| e.version - 1);
        Some(earlier.unwrap_or_else(long))
    }
}

/// The requests that a page keeps, against the digests that its ledger has of them, and the results against what was asked.
pub(super) fn check_requests(page: i64, bytes: &[u8], ledger: &[LedgerEntry], report: &mut PartitionReport) {
    let place = report.at_page(page);
    let requests = match Requests::decode(bytes) {
        Ok(requests) => requests.requests,
        Err(error) => return report.find(place, "requests", "those of the page's commands", format!("bytes that are none: {error}")),
    };
    if requests.len() != ledger.len() {
        report.find(place.clone(), "number of requests", ledger.len(), requests.len());
    }
    for (request, row) in requests.iter().zip(ledger) {
        let of = format!("of command {} ({} of {})", row.ordinal, row.command_id, row.stream_id);
        let found = digest::sha256(request);
        if found[..] != row.request_digest[..] {
            report.find(place.clone(), &format!("request {of}: its SHA-256"), hex::encode(&row.request_digest), hex::encode(found));
            continue;
        }
        let request = match Request::decode(request.as_slice()) {
            Ok(request) => request,
            Err(error) => {
                report.find(place.clone(), &format!("request {of}"), "one that can be read", error);
                continue;
            }
        };
        // One that can't be read was told as such.
        let Ok(result) = CommandResult::decode(row.result.as_slice()) else { continue };
        let asked = digest::command(&request.r#type, &request.command, request.if_match);
        if asked[..] != result.command_digest[..] {
            report.find(
                place.clone(),
                &format!("command digest in the result {of}"),
                hex::encode(asked),
                hex::encode(&result.command_digest),
            );
        }
    }
}
