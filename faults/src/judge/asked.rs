//! What was asked, beside what came of it: nothing that nobody asked, and what the command asked for. Sources: the contract of each command in
//! `proto/shop`, and `docs/digests.md` for what a repeat is compared with.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::case::{Case, Deed, Row, Written};
use super::decode::{self, LedgerResult, Outcome, integer};
use super::digest;
use super::folded::Folded;
use super::product::REVISED;
use super::reactions::{self, Reactions};
use super::rules;
use super::stock::{CROSSED, REGAINED};
use super::verdict::Findings;
use crate::history::{Command, Told};

/// Every rule of what was asked.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, reactions: &Reactions<'_>, findings: &mut Findings) {
    for deed in &case.deeds {
        if let Some((row, result)) = case.result(deed.service, deed.id) {
            let digest_known = result_is_of_what_was_asked(deed, row, result, findings);
            if digest_known {
                effects_are_what_was_asked(case, folded, deed, row, result, findings);
            }
        }
    }
    rows_were_asked(case, reactions, findings);
    sums_are_right(case, findings);
}

/// `nobody-asked`: under another id the same command would take effect a second time. Every client writes down what it is about to
/// ask; what is not meant to take effect is not among it. What reactors send is asked for by events, and has rules of its own.
fn rows_were_asked(case: &Case<'_>, reactions: &Reactions<'_>, findings: &mut Findings) {
    let asked: HashSet<(&str, Uuid)> = case.deeds.iter().map(|deed| (deed.service, deed.id)).collect();
    for row in &case.rows {
        let holds = row.id.is_some_and(|id| asked.contains(&(row.service, id)));
        if !holds && (reactions.asked_for(row) || reactions::is_a_targets(row)) {
            continue;
        }
        findings.check(rules::NOBODY_ASKED, row.recorded_at, holds, || {
            (format!("nobody asked for {} of {}", row.ledger.command_id, row.ledger.stream_id), vec![row.line()])
        });
    }
}

/// The commands that may have led to the result: those that were answered 422 or found invalid may not.
fn candidates<'a>(deed: &Deed<'a>) -> impl Iterator<Item = &'a Command> {
    let taken = deed.entries.iter().filter(|(entry, _)| !matches!(entry.told, Told::Invalid { .. } | Told::Shed { .. } | Told::Aborted));
    taken.map(|(_, command)| *command)
}

/// A command, decoded.
pub(super) struct Read {
    /// Full protobuf name.
    kind: &'static str,
    /// Default values written out.
    pub(super) json: Value,
    bytes: Vec<u8>,
    pub(super) if_match: Option<u64>,
}

impl Read {
    /// The type's name without its package.
    pub(super) fn name(&self) -> &'static str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }
}

/// A command's type, its JSON and its encoding; none where it can't be one.
pub(super) fn read(command: &Command) -> Option<Read> {
    let kind = decode::command_type(&command.service, &command.name)?;
    let (json, bytes) = decode::command(kind, &command.body).ok()?;
    Some(Read { kind, json, bytes, if_match: command.if_match })
}

/// Whether a result's digest is that of a command.
pub(super) fn is_digest_of(result: &LedgerResult, asked: &Read) -> bool {
    let if_match = asked.if_match.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
    digest::command(asked.kind, &asked.bytes, if_match) == result.command_digest
}

/// Of several under one key, the one that a result is of.
pub(super) fn command_of(deed: &Deed<'_>, result: &LedgerResult) -> Option<Read> {
    candidates(deed).filter_map(read).find(|asked| is_digest_of(result, asked))
}

/// A map has no order in JSON: with more than one entry, the judge can't know the bytes.
pub(super) fn has_order(json: &Value) -> bool {
    let map = |name: &str| json.get(name).and_then(Value::as_object).is_none_or(|map| map.len() < 2);
    map("attributes") && map("setAttributes")
}

/// `other-command`: the result's command digest is that of one that was asked. Says whether it is, as far as can be known.
fn result_is_of_what_was_asked(deed: &Deed<'_>, row: &Row<'_>, result: &LedgerResult, findings: &mut Findings) -> bool {
    let asked: Vec<_> = candidates(deed).filter_map(read).collect();
    if asked.is_empty() || asked.iter().any(|asked| !has_order(&asked.json)) {
        return true;
    }
    let holds = asked.iter().any(|asked| is_digest_of(result, asked));
    findings.check(rules::OTHER_COMMAND, deed.moment(), holds, || {
        let what = format!("the result of {} is of a command that nobody asked, or that was answered 422", deed.id);
        (what, std::iter::once(row.line()).chain(deed.lines()).collect())
    })
}

/// `effect-not-asked`: one of the commands explains every event of the result.
fn effects_are_what_was_asked(
    case: &Case<'_>,
    folded: &Folded<'_>,
    deed: &Deed<'_>,
    row: &Row<'_>,
    result: &LedgerResult,
    findings: &mut Findings,
) {
    let events: Vec<&Written<'_>> =
        result.events.iter().filter_map(|(_, offset)| case.event_at(deed.service, row.partition, *offset)).collect();
    let mut asked = candidates(deed).filter_map(read).peekable();
    if events.is_empty() || asked.peek().is_none() {
        return;
    }
    let holds = asked.any(|asked| events.iter().all(|at| explains(folded, &asked, at)));
    findings.check(rules::EFFECT_NOT_ASKED, deed.moment(), holds, || {
        let events = events.iter().map(|at| at.line());
        let seen = deed.lines().into_iter().chain(std::iter::once(row.line())).chain(events).collect();
        (format!("the events of {} are not what the command asked for", deed.id), seen)
    });
}

/// What each command may lead to, besides what a stock says of its reorder point, which any change of it may.
const EFFECTS: &[(&str, &[&str])] = &[
    ("CreateProduct", &["ProductCreated"]),
    ("ReviseProduct", &["ProductRevised"]),
    ("RepriceProduct", &["ProductRepriced"]),
    ("CategorizeProduct", &["ProductCategorized"]),
    ("AttachMedia", &["MediaAttached"]),
    ("DetachMedia", &["MediaDetached"]),
    ("PublishProduct", &["ProductPublished"]),
    ("RetireProduct", &["ProductRetired"]),
    ("ReceiveStock", &["StockReceived"]),
    ("AdjustStock", &["StockAdjusted"]),
    ("CountStock", &["StockAdjusted"]),
    ("ReserveStock", &["StockReserved", "ReservationRefused"]),
    ("ExtendReservation", &["ReservationExtended"]),
    ("CommitStock", &["StockCommitted", "CommitRefused"]),
    ("ReleaseStock", &["StockReleased"]),
    ("ExpireReservation", &["ReservationExpired"]),
    ("SetReorderPoint", &["ReorderPointSet"]),
    ("RaiseReorderProposal", &["ReorderProposalRaised"]),
];

/// Whether a command may lead to an event: its type, every field that both have, and of a revision all that it changes.
fn explains(folded: &Folded<'_>, asked: &Read, at: &Written<'_>) -> bool {
    if [CROSSED, REGAINED].contains(&at.kind()) {
        return true;
    }
    let name = asked.name();
    let may = EFFECTS.iter().any(|(command, events)| *command == name && events.contains(&at.kind()));
    let (Some(asked), Some(written)) = (asked.json.as_object(), at.json.as_object()) else { return false };
    may && changes_are_all_there(folded, name, asked, at)
        && written.iter().all(|(field, value)| {
            match (name, field.as_str(), asked.get(field)) {
                // A price is wrapped: the list price, and the sale beside it.
                ("RepriceProduct", "price", Some(price)) => value.get("list") == Some(price) && value.get("sale") == asked.get("sale"),
                // Held against the state before it.
                ("ReviseProduct", field, _) if REVISED.contains(&field) => true,
                // A reservation that is kept or given back names the process that had made it.
                (_, "process", _) if at.kind() != "StockReserved" => true,
                (_, _, Some(asked)) => asked == value,
                (_, _, None) => true,
            }
        })
}

/// Whether the event of a revision says what is asked for and was not so before it: neither less nor more.
fn changes_are_all_there(folded: &Folded<'_>, name: &str, asked: &Map<String, Value>, at: &Written<'_>) -> bool {
    let story = at.event.stream_id.strip_prefix("product/").and_then(|sku| folded.products.get(sku));
    let before = story.map(|story| &story.states[story.offsets.partition_point(|offset| *offset < at.event.offset)]);
    let Some(before) = before.filter(|_| name == "ReviseProduct") else { return true };
    let changes = before.changes(asked);
    REVISED.iter().all(|field| at.json.get(field) == changes.get(*field))
}

/// `sum-of-effects`: all pieces that a stream has received, against those of the accepted commands.
fn sums_are_right(case: &Case<'_>, findings: &mut Findings) {
    let mut sums: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    for at in case.written.iter().filter(|at| at.kind() == "StockReceived") {
        sums.entry((at.service, &at.event.stream_id)).or_default().1 += integer(&at.json["quantity"]).unwrap_or_default();
    }
    for deed in &case.deeds {
        if !candidates(deed).any(|command| command.name == "receive-stock") {
            continue;
        }
        let accepted = case.result(deed.service, deed.id).filter(|(_, result)| result.outcome == Outcome::Accepted);
        let asked = accepted.and_then(|(_, result)| command_of(deed, result));
        let quantity = asked.and_then(|asked| integer(&asked.json["quantity"])).unwrap_or_default();
        sums.entry((deed.service, deed.stream)).or_default().0 += quantity;
    }
    for ((service, stream), (asked, received)) in sums {
        // A sum has no moment: what else is wrong says more.
        findings.check(rules::SUM_OF_EFFECTS, i64::MAX, asked == received, || {
            let events = case.streams.get(&(service, stream)).into_iter().flatten().map(|n| case.written[*n].line());
            (format!("{service} {stream}: accepted commands brought {asked} pieces, {received} were received"), events.collect())
        });
    }
}
