//! A command takes effect once: the ledger beside the events. Source: the protocol's "Repeats".

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Row};
use super::decode::{CommandOutcome, LedgerResult};
use super::log::page_numbered;
use super::rules;
use super::verdict::Findings;

/// Every rule of effects, whoever asked.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for row in &case.rows {
        // Where a command has several results, its effects are held against the first.
        let is_first = row.id.and_then(|id| case.results(row.service, id).next()).is_some_and(|first| std::ptr::eq(first, row));
        if is_first {
            results_are_single(case, row, findings);
        }
        if let Some(result) = &row.result {
            if is_first {
                effects_are_single(case, row, result, findings);
            }
            refusals_have_no_effect(case, row, result, findings);
            results_have_their_events(case, row, result, findings);
        }
    }
    events_have_commands(case, findings);
    tokens_are_right(case, findings);
}

/// `two-results`: the ledger's key is (partition, stream, command); the id alone must be enough.
fn results_are_single(case: &Case<'_>, row: &Row<'_>, findings: &mut Findings) {
    let Some(id) = row.id else { return };
    let rows = case.results(row.service, id);
    findings.check(rules::TWO_RESULTS, row.recorded_at, rows.len() == 1, || {
        (format!("command {id} has {} results in {}", rows.len(), row.service), rows.map(Row::line).collect())
    });
}

/// `effect-twice`: the events that name the command are those that its result names, in one page.
fn effects_are_single(case: &Case<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    let Some(id) = row.id else { return };
    let named: BTreeSet<i64> = result.events.iter().map(|(_, offset)| *offset).collect();
    let further = case.effects(row.service, id).filter(|at| {
        let elsewhere = at.partition != row.partition || at.event.page != row.ledger.page;
        elsewhere || !named.contains(&at.event.offset)
    });
    let further: Vec<String> = further.map(|at| at.line()).collect();
    findings.check(rules::EFFECT_TWICE, row.recorded_at, further.is_empty(), || {
        let what = format!("command {id} of {} led to {} events that its result does not name", row.service, further.len());
        (what, std::iter::once(row.line()).chain(further).collect())
    });
}

/// `refusal-with-effect`: neither a refusal nor a 412 changes anything.
fn refusals_have_no_effect(case: &Case<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    if result.outcome == CommandOutcome::Accepted {
        return;
    }
    let telling = |kind: &str| matches!(result.outcome, CommandOutcome::Refused { .. }) && case.domain.telling.contains(&kind);
    let told = result.events.iter().all(|(kind, _)| telling(kind.rsplit('.').next().unwrap_or_default()));
    let written = row.id.into_iter().flat_map(|id| case.effects(row.service, id));
    let effects: Vec<String> = written.filter(|at| !telling(at.kind())).map(|at| at.line()).collect();
    findings.check(rules::REFUSAL_WITH_EFFECT, row.recorded_at, told && effects.is_empty(), || {
        let what = format!("{} was refused, and has events", row.ledger.command_id);
        (what, std::iter::once(row.line()).chain(effects).collect())
    });
}

/// `lost-event`: each event that a result names stands where it says, as it says.
fn results_have_their_events(case: &Case<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) {
    let before = result.version - result.version.min(u64::try_from(result.events.len()).unwrap_or_default());
    for (n, (kind, offset)) in (1..).zip(&result.events) {
        let at = case.event_at(row.service, row.partition, *offset);
        let holds = at.is_some_and(|at| {
            let version = u64::try_from(at.event.version) == Ok(before + n);
            version && at.event.r#type == *kind && at.event.stream_id == row.ledger.stream_id && at.command == row.id
        });
        findings.check(rules::LOST_EVENT, row.recorded_at, holds, || {
            let place = format!("{}/{}:{offset}", row.service, row.partition);
            let stands = at.map_or_else(|| format!("nothing stands at {place}"), |at| at.line());
            (format!("{kind} of {} version {} does not stand at {place}", row.ledger.stream_id, before + n), vec![row.line(), stands])
        });
    }
}

/// `event-without-command`: nothing is written without a result beside it.
fn events_have_commands(case: &Case<'_>, findings: &mut Findings) {
    for at in &case.written {
        let holds = at.command.is_some_and(|id| case.results(at.service, id).len() > 0);
        findings.check(rules::EVENT_WITHOUT_COMMAND, at.event.recorded_at, holds, || {
            (format!("{} {} is of a command without a result", at.event.stream_id, at.kind()), vec![at.line()])
        });
    }
}

/// `wrong-token`: a result rests on all that was written before it, by earlier pages and in its own, and on its own events.
fn tokens_are_right(case: &Case<'_>, findings: &mut Findings) {
    let mut written: BTreeMap<(&str, i32, i64), i64> = BTreeMap::new();
    for row in &case.rows {
        let Some(result) = &row.result else { continue };
        let log = &case.evidence.logs[row.service];
        let page = log.pages.get(&row.partition).and_then(|pages| page_numbered(pages, row.ledger.page));
        let Some(page) = page else { continue };
        let so_far = written.entry((row.service, row.partition, page.page)).or_default();
        *so_far += i64::try_from(result.events.len()).unwrap_or_default();
        let right = format!("{}/{}:{}@{}", row.service, row.partition, page.first_offset + *so_far - 1, page.epoch);
        findings.check(rules::WRONG_TOKEN, row.recorded_at, result.token() == right, || {
            (format!("the result rests on {right}, and says {}", result.token()), vec![row.line(), format!("{page:?}")])
        });
    }
}
