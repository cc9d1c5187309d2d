//! The ledger beside what was asked: nothing that nobody asked. Source: `docs/digests.md` for what a repeat is compared with.

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::case::{Case, Deed, Row};
use super::decode::{self, LedgerResult};
use super::digest;
use super::rules;
use super::verdict::Findings;
use crate::history::{Answer, Command};

/// Every rule of what was asked. `is_reactors`: of a row that a reactor has rules of its own for.
pub(crate) fn judge(case: &Case<'_>, is_reactors: &dyn Fn(&Row<'_>) -> bool, findings: &mut Findings) {
    for deed in &case.deeds {
        if let Some((row, result)) = case.result(deed.service, deed.id) {
            result_is_of_what_was_asked(deed, row, result, findings);
        }
    }
    rows_were_asked(case, is_reactors, findings);
}

/// `nobody-asked`: under another id the same command would take effect a second time. Every client writes down what it is about to
/// ask; what is not meant to take effect is not among it. What reactors send is asked for by events, and has rules of its own.
fn rows_were_asked(case: &Case<'_>, is_reactors: &dyn Fn(&Row<'_>) -> bool, findings: &mut Findings) {
    let asked: HashSet<(&str, Uuid)> = case.deeds.iter().map(|deed| (deed.service, deed.id)).collect();
    for row in &case.rows {
        let holds = row.id.is_some_and(|id| asked.contains(&(row.service, id)));
        if !holds && is_reactors(row) {
            continue;
        }
        findings.check(rules::NOBODY_ASKED, row.recorded_at, holds, || {
            (format!("nobody asked for {} of {}", row.ledger.command_id, row.ledger.stream_id), vec![row.line()])
        });
    }
}

/// The commands that may have led to the result: those that were answered 422 or found invalid may not.
pub(crate) fn candidates<'a>(deed: &Deed<'a>) -> impl Iterator<Item = &'a Command> {
    let taken =
        deed.entries.iter().filter(|(entry, _)| !matches!(entry.told, Answer::Invalid { .. } | Answer::Shed { .. } | Answer::Aborted));
    taken.map(|(_, command)| *command)
}

/// A command, decoded.
pub(crate) struct Read {
    /// Full protobuf name.
    kind: &'static str,
    /// Default values written out.
    pub(crate) json: Value,
    bytes: Vec<u8>,
    pub(crate) if_match: Option<u64>,
    has_order: bool,
}

impl Read {
    /// The type's name without its package.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }

    /// Whether the judge can know its bytes: a map has no order in JSON, so none of its maps may have more than one entry.
    pub(crate) fn has_order(&self) -> bool {
        self.has_order
    }
}

/// A command's type, its JSON and its encoding; none where it can't be one.
pub(crate) fn read(command: &Command) -> Option<Read> {
    let kind = decode::command_type(&command.service, &command.name)?;
    let (json, bytes) = decode::command(kind, &command.body).ok()?;
    let has_order = decode::maps(kind).iter().all(|map| json.get(map).and_then(Value::as_object).is_none_or(|map| map.len() < 2));
    Some(Read { kind, json, bytes, if_match: command.if_match, has_order })
}

/// Whether a result's digest is that of a command.
pub(crate) fn is_digest_of(result: &LedgerResult, asked: &Read) -> bool {
    let if_match = asked.if_match.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
    digest::command(asked.kind, &asked.bytes, if_match) == result.command_digest
}

/// Of several under one key, the one that a result is of.
pub(crate) fn command_of(deed: &Deed<'_>, result: &LedgerResult) -> Option<Read> {
    candidates(deed).filter_map(read).find(|asked| is_digest_of(result, asked))
}

/// Whether a result is of a command that was asked, as far as can be known.
pub(crate) fn is_of_what_was_asked(deed: &Deed<'_>, result: &LedgerResult) -> bool {
    let asked: Vec<Read> = candidates(deed).filter_map(read).collect();
    let is_known = !asked.is_empty() && asked.iter().all(Read::has_order);
    !is_known || asked.iter().any(|asked| is_digest_of(result, asked))
}

/// `other-command`: the result's command digest is that of one that was asked, where that can be known.
fn result_is_of_what_was_asked(deed: &Deed<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    let asked: Vec<Read> = candidates(deed).filter_map(read).collect();
    if asked.is_empty() || !asked.iter().all(Read::has_order) {
        return;
    }
    findings.check(rules::OTHER_COMMAND, deed.moment(), is_of_what_was_asked(deed, result), || {
        let what = format!("the result of {} is of a command that nobody asked, or that was answered 422", deed.id);
        (what, std::iter::once(row.line()).chain(deed.lines()).collect())
    });
}
