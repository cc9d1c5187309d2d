//! Effects beside what was asked: a command's events say what the command asked for, and a stock's sum is that of its commands. Source: the
//! contract of each command in `proto/shop`.

use std::collections::{BTreeMap, HashSet};

use serde_json::Map;
use serde_json::Value;

use super::folded::Folded;
use super::processes;
use super::product::REVISED;
use super::stock::{CROSSED, REGAINED, partial};
use crate::judge::asked::{Read, candidates, command_of, is_of_what_was_asked, read};
use crate::judge::case::{Case, Deed, Row, Written};
use crate::judge::decode::{CommandOutcome, LedgerResult, integer};
use crate::judge::rules;
use crate::judge::verdict::Findings;
use crate::shop::rules::SUM_OF_EFFECTS;

/// Every rule of effects.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    let partial = partial(case);
    for deed in &case.deeds {
        let result = case.result(deed.service, deed.id).filter(|(_, result)| is_of_what_was_asked(deed, result));
        if let Some((row, result)) = result {
            effects_are_what_was_asked(case, (folded, &partial), deed, row, result, findings);
        }
    }
    sums_are_right(case, findings);
}

/// `effect-not-asked`: one of the commands explains every event of the result.
fn effects_are_what_was_asked(
    case: &Case<'_>,
    (folded, partial): (&Folded<'_>, &HashSet<(&str, i64)>),
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
    // Where it does not say how many, all are meant.
    let as_many = |asked: &Read, at: &Written<'_>| {
        integer(&asked.json["quantity"]).is_some() || !partial.contains(&(&*at.event.stream_id, at.event.version))
    };
    let holds = asked.any(|asked| events.iter().all(|at| explains(folded, &asked, at) && as_many(&asked, at)));
    findings.check(rules::EFFECT_NOT_ASKED, deed.moment(), holds, || {
        let events = events.iter().map(|at| at.line());
        let seen = deed.lines().into_iter().chain(std::iter::once(row.line())).chain(events).collect();
        (format!("the events of {} are not what the command asked for", deed.id), seen)
    });
}

/// Events that each command may lead to, besides what a stock says of its reorder point, which any change of it may.
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
    ("ReserveStock", &["StockReserved", "ReservationStands", "ReservationRefused", "StockPlaceClosed"]),
    ("ExtendReservation", &["ReservationExtended", "ReservationStands", "ExtendRefused"]),
    ("ConfirmReservation", &["ReservationConfirmed", "ConfirmRefused"]),
    ("CommitStock", &["StockCommitted", "CommitRefused"]),
    ("ReleaseStock", &["StockReleased", "ReleaseRefused", "StockPlaceClosed"]),
    ("WriteOffStock", &["StockWrittenOff", "WriteOffRefused"]),
    ("ExpireReservation", &["ReservationExpired"]),
    ("StartTransfer", &["TransferStarted"]),
    ("FinishTransfer", &["TransferFinished"]),
    ("SetReorderPoint", &["ReorderPointSet"]),
    ("RaiseReorderProposal", &["ReorderProposalRaised"]),
    ("OpenWarehouse", &["WarehouseOpened"]),
    ("CloseWarehouse", &["WarehouseClosed"]),
    ("AddItem", &["CartClaimed", "ItemAdded"]),
    ("ChangeQuantity", &["CartClaimed", "QuantityChanged"]),
    ("RemoveItem", &["CartClaimed", "ItemRemoved"]),
    ("MergeCart", &["CartClaimed", "CartMerged"]),
    ("Checkout", &["CartClaimed", "CartCheckedOut"]),
    ("CancelOrder", &["OrderCancelling", "OrderCancelled", "OrderLinesCancelling"]),
    ("CancelLines", &["OrderLinesCancelling"]),
    ("ChangePayment", &["OrderAwaitingPayment"]),
    ("RequestReturn", &["OrderReturnRequested"]),
    ("RefuseReturn", &["OrderReturnRefused"]),
    // What could not be taken is owed no more, so that nothing of the authorisation is needed any longer.
    ("ReceiveReturn", &["OrderReturned", "OrderRestReleased"]),
    ("HoldOrder", &["OrderHeld"]),
    ("EndOrderHold", &["OrderHoldEnded"]),
    ("RetryCapture", &["OrderCaptureRetried"]),
    ("RetryRefund", &["OrderRefundRetried"]),
    ("DispatchShipment", &["ShipmentDispatched"]),
    ("ReportShortPick", &["ShortPicked"]),
    // What comes after its end is kept.
    ("RecordDelivered", &["ShipmentDispatched", "ShipmentDelivered", "CarrierNoticeKept"]),
    ("RecordLost", &["ShipmentDispatched", "ShipmentLost", "CarrierNoticeKept"]),
    ("RecordReturnedToSender", &["ShipmentDispatched", "ShipmentReturned", "CarrierNoticeKept"]),
];

/// Services whose commands lead to what the state before them makes of it: only what the events are about has to be the same.
const BY_STATE: [&str; 2] = ["order", "shipping"];
/// That.
const ABOUT: [&str; 2] = ["orderId", "number"];

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
                (_, field, _) if BY_STATE.contains(&at.service) && !ABOUT.contains(&field) => true,
                // Sorted, each once.
                ("OpenWarehouse", "countries", _) => true,
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
    // What orders took back is judged by theirs.
    for at in case.written.iter().filter(|at| at.kind() == "StockReceived" && !processes::is_of_one(at)) {
        sums.entry((at.service, &at.event.stream_id)).or_default().1 += integer(&at.json["quantity"]).unwrap_or_default();
    }
    for deed in &case.deeds {
        if !candidates(deed).any(|command| command.name == "receive-stock") {
            continue;
        }
        let accepted = case.result(deed.service, deed.id).filter(|(_, result)| result.outcome == CommandOutcome::Accepted);
        let asked = accepted.and_then(|(_, result)| command_of(deed, result));
        let quantity = asked.and_then(|asked| integer(&asked.json["quantity"])).unwrap_or_default();
        sums.entry((deed.service, deed.stream)).or_default().0 += quantity;
    }
    for ((service, stream), (asked, received)) in sums {
        // A sum has no moment: what else is wrong says more.
        findings.check(SUM_OF_EFFECTS, i64::MAX, asked == received, || {
            let events = case.streams.get(&(service, stream)).into_iter().flatten().map(|n| case.written[*n].line());
            (format!("{service} {stream}: accepted commands brought {asked} pieces, {received} were received"), events.collect())
        });
    }
}
