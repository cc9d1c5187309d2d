//! Answers without events: a refusal, or that there was nothing to do, is right by the state before it. Source: the contract of each command in
//! `proto/shop`.

use std::cell::LazyCell;

use serde_json::{Map, Value, json};

use super::TELLING;
use super::folded::Folded;
use super::product::Product;
use super::reorder::Reordering;
use super::stock::{Kept, Shelf};
use crate::judge::asked::{Read, command_of};
use crate::judge::case::{Case, Row, Written};
use crate::judge::decode::{CommandOutcome, LedgerResult, integer};
use crate::judge::rules;
use crate::judge::verdict::Findings;

/// `unfounded-answer`, of every command without effect.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    for deed in &case.deeds {
        let Some((row, result)) = case.result(deed.service, deed.id) else { continue };
        let Some(asked) = command_of(deed, result) else { continue };
        let before = result.version_before();
        if result.events.iter().all(|(kind, _)| tells_only(kind))
            && let Some(holds) = is_founded(case, folded, &asked, row, result, before)
        {
            findings.check(rules::UNFOUNDED_ANSWER, row.recorded_at, holds, || {
                let what = format!("{:?} of {} is not what version {before} of {} says", result.outcome, deed.id, deed.stream);
                (what, deed.lines().into_iter().chain([row.line(), asked.json.to_string()]).collect())
            });
        }
    }
}

/// Whether an event only tells a process of what did not happen.
fn tells_only(kind: &str) -> bool {
    let name = kind.rsplit('.').next().unwrap_or_default();
    name == "ReservationStands" || TELLING.contains(&name)
}

/// Whether a refusal, or that there was nothing to do, is right by the state before it; none where the judge does not know.
fn is_founded(case: &Case<'_>, folded: &Folded<'_>, asked: &Read, row: &Row<'_>, result: &LedgerResult, before: u64) -> Option<bool> {
    let at = usize::try_from(before).ok()?;
    let stream = row.ledger.stream_id.as_str();
    match stream.split_once('/')? {
        ("product", sku) => {
            let nothing = Product::default();
            let product = folded.products.get(sku).map_or(Some(&nothing), |story| story.states.get(at))?;
            product_answer(product, asked, &result.outcome, before)
        }
        ("stock", key) => {
            let nothing = Shelf::default();
            let shelf = folded.shelves.get(key).map_or(Some(&nothing), |shelves| shelves.story.states.get(at))?;
            let events = case.streams.get(&(row.service, stream)).into_iter().flatten().take(at).map(|n| &case.written[*n]);
            stock_answer(shelf, events, asked, &result.outcome)
        }
        ("reorder", key) => {
            let nothing = Reordering::default();
            let state = folded.reorderings.get(key).map_or(Some(&nothing), |story| story.states.get(at))?;
            reorder_answer(state, asked, &result.outcome)
        }
        _ => None,
    }
}

fn reorder_answer(state: &Reordering, asked: &Read, outcome: &CommandOutcome) -> Option<bool> {
    let wanted = (integer(&asked.json["quantity"]).unwrap_or_default(), asked.json["reference"].as_str().unwrap_or_default());
    match (asked.name(), outcome) {
        ("RaiseReorderProposal", CommandOutcome::Refused { code }) if code == "no-reorder-proposal" => Some(state.alert.is_none()),
        ("RaiseReorderProposal", CommandOutcome::Refused { code }) if code == "reorder-proposal-raised-before" => {
            Some(state.ordered().is_some_and(|ordered| ordered.0 > 0 && ordered != wanted))
        }
        ("RaiseReorderProposal", CommandOutcome::Accepted) => Some(state.ordered() == Some(wanted)),
        _ => None,
    }
}

fn product_answer(product: &Product, asked: &Read, outcome: &CommandOutcome, version: u64) -> Option<bool> {
    match (asked.name(), outcome) {
        (_, CommandOutcome::Refused { code }) if code == "product-unknown" => Some(version == 0),
        ("CreateProduct", CommandOutcome::Refused { code }) if code == "product-exists" => Some(version > 0),
        ("CreateProduct", CommandOutcome::Accepted) => Some(false),
        ("ReviseProduct", CommandOutcome::Accepted) => {
            let nothing = |changed: &Value| changed.as_object().is_some_and(Map::is_empty) || changed.as_array().is_some_and(Vec::is_empty);
            Some(product.changes(asked.json.as_object()?).values().all(nothing))
        }
        ("CategorizeProduct", CommandOutcome::Accepted) => Some(product.page.get("category") == asked.json.get("category")),
        ("RepriceProduct", CommandOutcome::Accepted) => {
            let mut price = Map::from_iter([("list".to_owned(), asked.json["price"].clone())]);
            price.extend(asked.json.get("sale").map(|sale| ("sale".to_owned(), sale.clone())));
            let currency = asked.json["price"]["currency"].as_str()?;
            Some(product.page.get("prices")?.get(currency) == Some(&Value::Object(price)))
        }
        _ => None,
    }
}

fn stock_answer<'w>(shelf: &Shelf, events: impl Iterator<Item = &'w Written<'w>>, asked: &Read, outcome: &CommandOutcome) -> Option<bool> {
    let number = |field: &str| integer(&asked.json[field]).unwrap_or_default();
    let text = |field: &str| asked.json[field].as_str().unwrap_or_default();
    let kept = LazyCell::new(|| Kept::after(events));
    let reserved = || kept.reserved(text("orderId"));
    let transfer = |other: &str, arrived| (text(other), number("quantity"), arrived);
    match (asked.name(), outcome) {
        (_, CommandOutcome::Refused { code }) => match code.as_str() {
            "insufficient-stock" => Some(shelf.available() < number("quantity")),
            "adjustment-below-zero" if asked.name() == "AdjustStock" => Some(shelf.available() + number("delta") < 0),
            "unknown-reservation" => Some(reserved().is_none()),
            "reservation-exists" => Some(reserved().is_some_and(|quantity| quantity != number("quantity"))),
            "more-than-reserved" => Some(reserved().is_some_and(|quantity| quantity < number("quantity"))),
            "place-closed" => Some(reserved().is_none() && kept.is_closed(text("orderId"), number("attempt"))),
            "transfer-to-itself" => Some([text("to"), text("from")].contains(&text("warehouse"))),
            "transfer-exists" => Some(kept.transfer(text("transferId")).is_some_and(|known| {
                known != if asked.name() == "StartTransfer" { transfer("to", false) } else { transfer("from", true) }
            })),
            _ => None,
        },
        ("ReceiveStock", CommandOutcome::Accepted) => Some(false),
        ("AdjustStock", CommandOutcome::Accepted) => Some(asked.json["delta"] == json!(0)),
        ("SetReorderPoint", CommandOutcome::Accepted) => Some(shelf.reorder_point == number("reorderPoint")),
        ("ReserveStock", CommandOutcome::Accepted) => Some(reserved() == Some(number("quantity"))),
        ("ExtendReservation", CommandOutcome::Accepted) => Some(reserved().is_some()),
        ("ConfirmReservation", CommandOutcome::Accepted) => Some(kept.is_confirmed(text("orderId"))),
        // A process gave up what it did not hold: its place is closed.
        ("ReleaseStock", CommandOutcome::Accepted) => Some(reserved().is_none() && !text("process").is_empty()),
        ("CommitStock", CommandOutcome::Accepted) => Some(false),
        ("StartTransfer", CommandOutcome::Accepted) => Some(kept.transfer(text("transferId")) == Some(transfer("to", false))),
        ("FinishTransfer", CommandOutcome::Accepted) => Some(kept.transfer(text("transferId")) == Some(transfer("from", true))),
        _ => None,
    }
}
