//! Commands that processes send each other on an order's way: each has an event as its cause, and an id that is derived from that event's
//! place. What the commands lead to is judged by the books of orders. Sources: the protocol's "Reactors, effects, lookups, deadlines",
//! `docs/digests.md` for the ids.

use uuid::Uuid;

use crate::judge::case::{Case, Row, Written};
use crate::judge::decode::{self, CommandOutcome, Metadata, tokens};
use crate::judge::digest::{self, EventPlace};
use crate::judge::rules;
use crate::judge::verdict::Findings;

/// The beginnings of streams that processes speak to, clients beside them or not.
const SPOKEN_TO: [&str; 8] = ["cart/", "wishlist/", "email/", "customer/", "order/", "allocation/", "payment/", "shipment/"];
/// Those of stocks: both speak to them in every run.
const STOCK: &str = "stock/";
/// A rule sends at most so many commands of one type to one stream for an event.
const AT_MOST: u32 = 64;
/// Callers whose command's id is that of an outcome: it has the rule's name behind this.
const OUTCOMES: [&str; 2] = ["lookup/", "effect/"];
const REACTIONS: &str = "reactor/";
/// A reactor with rules of its own: `reactions`.
const JUDGED_ELSEWHERE: &str = "reactor/reorder";

/// Whether a ledger row is of a command that a process has sent, or somebody outside. One without events does not say who has: of streams
/// that processes speak to it may be theirs. In a run without orders the scheduler alone speaks to stocks, and is never refused.
pub(super) fn is_one(case: &Case<'_>, row: &Row<'_>) -> bool {
    let stream = row.ledger.stream_id.as_str();
    let is_spoken_to = SPOKEN_TO.iter().any(|start| stream.starts_with(start)) || stream.starts_with(STOCK);
    let Some(result) = row.result.as_ref().filter(|_| is_spoken_to) else { return false };
    if stream.starts_with(STOCK) && !case.evidence.orders && result.outcome != CommandOutcome::Accepted {
        return false;
    }
    let mut events = result.events.iter().filter_map(|(_, offset)| case.event_at(row.service, row.partition, *offset));
    events.all(|at| is_of_one(at) || metadata(at).is_some_and(|metadata| metadata.is_notice))
}

fn metadata(at: &Written<'_>) -> Option<Metadata> {
    decode::metadata(&at.event.metadata).ok()
}

/// The metadata of an event that one of these processes has asked for.
pub(super) fn of_one(at: &Written<'_>) -> Option<Metadata> {
    metadata(at).filter(|metadata| !metadata.process.is_empty() && metadata.process != JUDGED_ELSEWHERE)
}

/// Whether one of these processes has asked for an event.
pub(super) fn is_of_one(at: &Written<'_>) -> bool {
    of_one(at).is_some()
}

/// `reaction-unasked`: what a process sent has an event as its cause, and the id that this gives it. A deadline's name stands nowhere: of
/// what the scheduler sends only the cause is looked at.
pub(super) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for at in &case.written {
        let Some(metadata) = of_one(at) else { continue };
        let cause = tokens(std::slice::from_ref(&metadata.causation)).pop();
        let stands = cause.as_ref().filter(|cause| case.once_at(cause).is_some());
        let place = stands.map(|cause| EventPlace {
            epoch: cause.epoch,
            service: &cause.service,
            partition: cause.partition,
            offset: cause.offset,
        });
        let holds = place.is_some_and(|place| at.command.is_some_and(|id| is_derived(at, &metadata.process, &place, id)));
        findings.check(rules::REACTION_UNASKED, at.event.recorded_at, holds, || {
            (format!("{} has written {}, and no event asks for that", metadata.process, at.event.stream_id), vec![at.line()])
        });
    }
}

fn is_derived(at: &Written<'_>, process: &str, place: &EventPlace<'_>, id: Uuid) -> bool {
    let target = at.event.stream_id.as_str();
    if let Some(reactor) = process.strip_prefix(REACTIONS) {
        // The command's type stands nowhere: it is one of the service's. Almost always it is the first of its type.
        let kinds = decode::messages_of(at.service);
        return (0..AT_MOST).any(|n| kinds.iter().any(|kind| digest::nth_reaction_id(place, reactor, kind, target, n) == id));
    }
    let outcome = OUTCOMES.iter().find_map(|start| process.strip_prefix(start));
    outcome.is_none_or(|rule| digest::outcome_id(place, rule, target) == id)
}
