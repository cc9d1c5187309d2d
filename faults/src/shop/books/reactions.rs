//! Commands of reactors: each event that asks for a command has it in the ledger, once, and nothing else is there. Sources:
//! `docs/followers.md` ("Reactors"), `docs/digests.md` for the ids, and the contract of each command in `proto/shop`.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::folded::Folded;
use super::reorder::Reordering;
use super::stock::{CROSSED, REGAINED};
use crate::judge::case::{Case, Row, Written};
use crate::judge::decode::{self, CommandOutcome, LedgerResult, integer};
use crate::judge::digest::{self, EventPlace};
use crate::judge::rules;
use crate::judge::verdict::Findings;

/// The reactor that the shop has.
const REACTOR: &str = "reorder";
/// The caller of a reactor's commands: this, and its name.
const CALLERS: &str = "reactor/";
/// The streams that only it, and people who order goods, send to.
const TARGETS: &str = "reorder/";
const OPEN: &str = "shop.inventory.v1.OpenReorderProposal";
const CLOSE: &str = "shop.inventory.v1.CloseReorderProposal";

/// A command that an event asks for.
struct Reaction<'w> {
    at: &'w Written<'w>,
    /// Where the event stands, as the command's cause.
    cause: String,
    target: String,
    id: Uuid,
    /// Full protobuf name.
    kind: &'static str,
    /// As JSON, default values written out, and encoded; none where the event can't be read.
    command: Option<(Value, Vec<u8>)>,
}

/// All that reactors must have sent.
pub(super) struct Reactions<'w> {
    all: Vec<Reaction<'w>>,
    ids: HashSet<(&'w str, Uuid)>,
}

impl<'w> Reactions<'w> {
    /// Of every event since the reactor began.
    pub(super) fn of(case: &'w Case<'_>) -> Self {
        let all: Vec<Reaction<'w>> = case.written.iter().filter_map(|at| reaction(case, at, case.epoch_of(at)?)).collect();
        // What a restore has taken away has asked before: its commands stand in Kafka.
        let void: Vec<Reaction<'w>> = case.void.iter().filter_map(|(at, epoch)| reaction(case, at, *epoch)).collect();
        let ids = all.iter().chain(&void).map(|reaction| (reaction.at.service, reaction.id)).collect();
        Self { all, ids }
    }

    /// Whether an event has asked for the command of this row.
    pub(super) fn asked_for(&self, row: &Row<'_>) -> bool {
        row.id.is_some_and(|id| self.ids.contains(&(row.service, id)))
    }
}

/// Whether a row is of a stream that a reactor sends to.
pub(super) fn is_a_targets(row: &Row<'_>) -> bool {
    row.ledger.stream_id.starts_with(TARGETS)
}

/// The command that an event asks the reactor `reorder` for.
fn reaction<'w>(case: &'w Case<'_>, at: &'w Written<'w>, epoch: i32) -> Option<Reaction<'w>> {
    let key = at.event.stream_id.strip_prefix("stock/").filter(|_| at.service == "inventory")?;
    let (kind, fields): (_, &[&str]) = match at.kind() {
        CROSSED => (OPEN, &["sku", "warehouse", "reorderPoint", "available"]),
        REGAINED => (CLOSE, &["sku", "warehouse", "available"]),
        _ => return None,
    };
    let (partition, offset) = (at.partition, at.event.offset);
    let began = case.evidence.reacting_from.get(&partition).copied().unwrap_or_default();
    if offset < began {
        return None;
    }
    let target = format!("{TARGETS}{key}");
    let id = digest::reaction_id(&EventPlace { epoch, service: at.service, partition, offset }, REACTOR, kind, &target);
    let mut body: serde_json::Map<String, Value> =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), at.json.get(*field)?.clone()))).collect();
    body.insert("stockVersion".to_owned(), json!(at.event.version.to_string()));
    let (cause, command) = (format!("{}/{partition}:{offset}@{epoch}", at.service), decode::command(kind, &Value::Object(body)).ok());
    Some(Reaction { at, cause, target, id, kind, command })
}

/// Every rule of reactors.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, reactions: &Reactions<'_>, findings: &mut Findings) {
    for reaction in &reactions.all {
        if !case.evidence.under_way {
            came_to_an_end(case, reaction, findings);
        }
        if let Some((row, result)) = case.result(reaction.at.service, reaction.id) {
            is_what_was_asked(case, folded, reaction, row, result, findings);
        }
    }
    nothing_else_was_sent(case, reactions, findings);
}

/// `reaction-missing`, `set-aside`: the command has a result, or was set aside for a reason, which no command that can be read is.
fn came_to_an_end(case: &Case<'_>, reaction: &Reaction<'_>, findings: &mut Findings) {
    let (at, id) = (reaction.at, reaction.id);
    let aside = || case.set_aside(at.service, id);
    let holds = case.results(at.service, id).len() > 0 || aside().any(|aside| !aside.reason.is_empty());
    findings.check(rules::REACTION_MISSING, at.event.recorded_at, holds, || {
        (format!("{} {} has led to no command {id} of {}", at.event.stream_id, at.kind(), reaction.target), vec![at.line()])
    });
    let wrong = aside().find(|aside| !case.is_for_a_newer_build(aside));
    findings.check(rules::SET_ASIDE, at.event.recorded_at, wrong.is_none(), || {
        (format!("{id}, which a reactor sent, was set aside"), wrong.iter().map(|w| format!("{w:?}")).chain([at.line()]).collect())
    });
}

/// `reaction-differs`: the command is what the event asks for, and came to what its stream said before it.
fn is_what_was_asked(
    case: &Case<'_>,
    folded: &Folded<'_>,
    reaction: &Reaction<'_>,
    row: &Row<'_>,
    result: &LedgerResult,
    findings: &mut Findings,
) {
    let Some((asked, bytes)) = &reaction.command else { return };
    let written: Vec<&Written<'_>> =
        result.events.iter().filter_map(|(_, offset)| case.event_at(row.service, row.partition, *offset)).collect();
    let before = usize::try_from(result.version).unwrap_or_default().saturating_sub(result.events.len());
    let nothing = Reordering::default();
    let stream = folded.reorderings.get(reaction.target.strip_prefix(TARGETS).unwrap_or_default());
    let state = stream.map_or(Some(&nothing), |story| story.states.get(before));
    let of_this = result.command_digest == digest::command(reaction.kind, bytes, -1) && row.ledger.stream_id == reaction.target;
    let holds = of_this
        && result.outcome == CommandOutcome::Accepted
        && state.is_some_and(|state| match (effect(reaction.kind, state, asked), written.as_slice()) {
            (None, []) => true,
            (Some(kind), [event]) => event.kind() == kind && event.json == *asked && is_its_event(reaction, event),
            _ => false,
        });
    findings.check(rules::REACTION_DIFFERS, row.recorded_at, holds, || {
        let what = format!("the reaction to {} is not what that asks for, or came to something else", reaction.cause);
        let seen = [reaction.at.line(), asked.to_string(), row.line(), format!("before it: {state:?}")];
        (what, seen.into_iter().chain(written.iter().map(|at| at.line())).collect())
    });
}

/// The event that a command leads to; none where a newer version of the stock was heard of, or there is nothing to do.
fn effect(kind: &str, state: &Reordering, asked: &Value) -> Option<&'static str> {
    let is_newer = integer(&asked["stockVersion"]).unwrap_or_default() > state.heard;
    match kind {
        OPEN => is_newer.then_some("ReorderProposalOpened"),
        _ => is_newer.then_some("ReorderProposalClosed"),
    }
}

/// Its metadata name the reactor, the event that it reacts to, and what that goes back to.
fn is_its_event(reaction: &Reaction<'_>, event: &Written<'_>) -> bool {
    let (Ok(own), Ok(cause)) = (decode::metadata(&event.event.metadata), decode::metadata(&reaction.at.event.metadata)) else {
        // Metadata that can't be read are a finding of their own.
        return true;
    };
    own.process == format!("{CALLERS}{REACTOR}") && own.causation == reaction.cause && own.correlation == cause.correlation
}

/// `reaction-unasked`: what a reactor sent, by its caller or by the stream that nobody else sends to, is what an event asks for.
fn nothing_else_was_sent(case: &Case<'_>, reactions: &Reactions<'_>, findings: &mut Findings) {
    let by_clients: HashSet<(&str, Uuid)> = case.deeds.iter().map(|deed| (deed.service, deed.id)).collect();
    for row in case.rows.iter().filter(|row| is_a_targets(row)) {
        let is_a_clients = row.id.is_some_and(|id| by_clients.contains(&(row.service, id)));
        if is_a_clients {
            continue;
        }
        findings.check(rules::REACTION_UNASKED, row.recorded_at, reactions.asked_for(row), || {
            (format!("no event asks for {} of {}", row.ledger.command_id, row.ledger.stream_id), vec![row.line()])
        });
    }
    for at in &case.written {
        let process = decode::metadata(&at.event.metadata).map(|metadata| metadata.process).unwrap_or_default();
        // Those of others are judged by where they come from: `processes`.
        if process.strip_prefix(CALLERS) != Some(REACTOR) {
            continue;
        }
        let holds = at.command.is_some_and(|id| reactions.ids.contains(&(at.service, id)));
        findings.check(rules::REACTION_UNASKED, at.event.recorded_at, holds, || {
            (format!("{process} has written {}, and no event asks for that", at.event.stream_id), vec![at.line()])
        });
    }
}
