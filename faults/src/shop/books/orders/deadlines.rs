//! What the scheduler has sent: not before its time by the log's clock, and each deadline under one id. The event that is the cause says the
//! time; each arms one deadline at the most.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use crate::judge::case::{Case, Written};
use crate::judge::decode::tokens;
use crate::judge::log::page_numbered;
use crate::judge::verdict::Findings;
use crate::shop::books::processes::of_one;
use crate::shop::rules::orders as rules;

/// The beginning of the scheduler's names.
const SCHEDULER: &str = "deadlines/";
/// The field in which an event says until when its stream waits.
const TIMES: [&str; 7] = ["expiresAt", "payUntil", "placeBy", "allocateBy", "confirmBy", "holdAt", "retryAt"];

/// `deadline-early`, `deadline-twice`.
pub(super) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let mut sent = BTreeMap::new();
    for at in &case.written {
        let Some(metadata) = of_one(at).filter(|metadata| metadata.process.starts_with(SCHEDULER)) else { continue };
        // One without a cause is `reaction-unasked`.
        let cause = tokens(std::slice::from_ref(&metadata.causation)).pop();
        let Some(armed) = cause.as_ref().and_then(|cause| case.once_at(cause)) else { continue };
        let holds = due_at(armed).is_some_and(|due| at.event.recorded_at >= due || is_of_a_clock_behind(case, armed, at, due));
        findings.check(rules::DEADLINE_EARLY, at.event.recorded_at, holds, || {
            (format!("{} was sent to {} before it was time", metadata.process, at.event.stream_id), vec![armed.line(), at.line()])
        });
        let ids: &mut BTreeSet<_> =
            sent.entry((metadata.process, metadata.causation, at.event.stream_id.as_str())).or_insert_with(BTreeSet::new);
        ids.insert(at.command);
        findings.check(rules::DEADLINE_TWICE, at.event.recorded_at, ids.len() == 1, || {
            (format!("{} has had a deadline of one event under {ids:?}", at.event.stream_id), vec![armed.line(), at.line()])
        });
    }
}

/// The time of the deadline that an event has armed, in microseconds; none: it arms none.
fn due_at(armed: &Written<'_>) -> Option<i64> {
    let time = TIMES.iter().find_map(|field| armed.json[*field].as_str())?;
    DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp_micros())
}

/// Whether the times in the log say nothing of when it was sent. A log whose clock was set back stands still: what was under way at that
/// moment is decided at a time before. And the log that has armed it may have been ahead of the one in which it was decided.
fn is_of_a_clock_behind(case: &Case<'_>, armed: &Written<'_>, at: &Written<'_>, due: i64) -> bool {
    let pages = |of: &Written<'_>| case.evidence.logs.get(of.service).and_then(|log| log.pages.get(&of.partition));
    let of_page = |number| pages(at).and_then(|pages| page_numbered(pages, number)).map(|page| page.recorded_at);
    let is_elsewhere = (armed.service, armed.partition) != (at.service, at.partition);
    let stood_still = |from: i64| {
        let pages = pages(armed).map(Vec::as_slice).unwrap_or_default();
        pages.windows(2).any(|two| two[0].recorded_at == two[1].recorded_at && two[0].recorded_at >= from)
    };
    of_page(at.event.page - 1) == Some(at.event.recorded_at) || is_elsewhere && stood_still(due)
}
