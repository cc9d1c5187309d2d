//! The state that a command was decided on: its result's version, and its condition. A lane that decides on what it remembers of before another one took
//! over shows in nothing else. Sources: the protocol's "Append" and "Repeats".

use super::asked::{Read, command_of};
use super::case::{Case, Row};
use super::decode::{CommandOutcome, LedgerResult};
use super::rules;
use super::verdict::Findings;

/// Every rule of what commands were decided on.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for row in &case.rows {
        if let Some(result) = &row.result {
            version_is_the_streams(case, row, result, findings);
        }
    }
    for deed in &case.deeds {
        let Some((row, result)) = case.result(deed.service, deed.id) else { continue };
        if let Some(asked) = command_of(deed, result) {
            condition_was_so(&asked, row, result, findings);
        }
    }
}

/// `wrong-version`: as many events as the stream has up to the place that the result rests on.
fn version_is_the_streams(case: &Case<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    let stream = row.ledger.stream_id.as_str();
    let places = case.streams.get(&(row.service, stream)).map(Vec::as_slice).unwrap_or_default();
    let there = places.partition_point(|n| case.written[*n].event.offset <= result.offset);
    findings.check(rules::WRONG_VERSION, row.recorded_at, result.version == there as u64, || {
        (format!("{stream} has {there} events at offset {}, and the result says {}", result.offset, result.version), vec![row.line()])
    });
}

/// `wrong-condition`: 412 if and only if the stream was at another version than the command insists on.
fn condition_was_so(asked: &Read, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    let before = result.version_before();
    let failed = matches!(result.outcome, CommandOutcome::PreconditionFailed { .. });
    let fails = asked.if_match.is_some_and(|wanted| wanted != before);
    if asked.if_match.is_some() || failed {
        findings.check(rules::WRONG_CONDITION, row.recorded_at, failed == fails, || {
            let what = format!("on condition of version {:?}, at version {before}: {:?}", asked.if_match, result.outcome);
            (what, vec![row.line(), asked.json.to_string()])
        });
    }
}
