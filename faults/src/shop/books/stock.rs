//! The books of stock: on hand, reserved, and who has reserved what. Source: the head of `proto/shop/inventory/v1/stock.proto`.

use std::collections::BTreeMap;

use crate::judge::case::{Case, Written};
use crate::judge::decode::integer;
use crate::judge::verdict::Findings;
use crate::shop::rules;

/// The event of a stock that has fallen below its reorder point.
pub(super) const CROSSED: &str = "ReorderPointCrossed";
/// The event of one that is back at it.
pub(super) const REGAINED: &str = "ReorderPointRegained";

/// The state of one stream of stock. Signed, so that a fall below zero shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelf {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    pub(super) reorder_point: i64,
    /// A piece has moved: a product's page has a line.
    pub(super) has_line: bool,
    /// Something has happened that `stock-levels` shows.
    pub(super) has_level: bool,
}

impl Shelf {
    pub(super) fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Fewer are available than the reorder point says.
    fn is_below(&self) -> bool {
        // Where the books are wrong, that is another finding.
        self.available().max(0) < self.reorder_point
    }

    /// After one more event.
    pub(super) fn after(&self, at: &Written<'_>) -> Self {
        let mut next = self.clone();
        let quantity = integer(&at.json["quantity"]).unwrap_or_default();
        match at.kind() {
            "StockReceived" => next.on_hand += quantity,
            "StockAdjusted" => next.on_hand += integer(&at.json["delta"]).unwrap_or_default(),
            "StockReserved" => next.reserved += quantity,
            "StockCommitted" => (next.on_hand, next.reserved) = (next.on_hand - quantity, next.reserved - quantity),
            "StockReleased" | "ReservationExpired" => next.reserved -= quantity,
            "ReorderPointSet" => next.reorder_point = integer(&at.json["reorderPoint"]).unwrap_or_default(),
            // Events about the reorder point move nothing.
            CROSSED | REGAINED => {}
            _ => return next,
        }
        next.has_level = true;
        next.has_line |= !at.kind().starts_with("ReorderPoint");
        next
    }
}

/// Every rule of the books, at every prefix of every stream.
pub(super) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for ((service, stream), places) in &case.streams {
        if !stream.starts_with("stock/") {
            continue;
        }
        let (mut shelf, mut open) = (Shelf::default(), Open::new());
        let mut crossings = Crossings { two_builds: case.evidence.two_builds, due: None };
        for at in places.iter().map(|n| &case.written[*n]) {
            let after = shelf.after(at);
            let before = std::mem::replace(&mut shelf, after);
            let place = format!("{service} {stream} version {}", at.event.version);
            let moment = at.event.recorded_at;
            findings.check(rules::STOCK_BELOW_ZERO, moment, shelf.on_hand >= 0 && shelf.reserved >= 0, || {
                (format!("{place}: {} on hand, {} reserved", shelf.on_hand, shelf.reserved), vec![at.line()])
            });
            findings.check(rules::RESERVED_ABOVE_HAND, moment, shelf.reserved <= shelf.on_hand, || {
                (format!("{place}: {} reserved of {} on hand", shelf.reserved, shelf.on_hand), vec![at.line()])
            });
            reservations_balance(at, &mut open, &place, findings);
            crossings.look(at, &before, &shelf, findings);
        }
        crossings.end(findings);
    }
}

/// The event that a stock owes about its reorder point.
struct Crossings<'w> {
    /// An older build of a rolling upgrade says nothing of a return.
    two_builds: bool,
    /// Which event has to follow, behind this one, and how the stock stands.
    due: Option<(&'static str, &'w Written<'w>, Shelf)>,
}

impl<'w> Crossings<'w> {
    /// `crossing-untold`: the event behind one that makes a stock fall below its reorder point, or come back to it, says so, and no
    /// other event does.
    fn look(&mut self, at: &'w Written<'w>, before: &Shelf, shelf: &Shelf, findings: &mut Findings) {
        if ![CROSSED, REGAINED].contains(&at.kind()) {
            self.end(findings);
            self.due = match (before.is_below(), shelf.is_below()) {
                (false, true) => Some((CROSSED, at, shelf.clone())),
                (true, false) => Some((REGAINED, at, shelf.clone())),
                _ => None,
            };
            return;
        }
        let told = |field: &str| integer(&at.json[field]).unwrap_or_default();
        let due = self.due.take();
        let holds = due.as_ref().is_some_and(|(kind, cause, shelf)| {
            let same = ["sku", "warehouse"].iter().all(|field| cause.json[field] == at.json[field]) && cause.command == at.command;
            *kind == at.kind() && same && (told("reorderPoint"), told("available")) == (shelf.reorder_point, shelf.available())
        });
        findings.check(rules::CROSSING_UNTOLD, at.event.recorded_at, holds, || {
            let what = format!("{} version {}: {} is not what happened", at.event.stream_id, at.event.version, at.kind());
            (what, due.iter().map(|(_, cause, _)| cause.line()).chain([at.line()]).collect())
        });
    }

    /// Finds an event that was owed until here, and did not come.
    fn end(&mut self, findings: &mut Findings) {
        let Some((kind, cause, _)) = self.due.take() else { return };
        if self.two_builds && kind == REGAINED {
            return;
        }
        findings.check(rules::CROSSING_UNTOLD, cause.event.recorded_at, false, || {
            let what = format!("{} version {} is not followed by {kind}", cause.event.stream_id, cause.event.version);
            (what, vec![cause.line()])
        });
    }
}

/// A stream's pieces that orders hold.
pub(super) type Open<'w> = BTreeMap<&'w str, i64>;

/// Books an event. Of one that reserves, or takes away or gives back what was reserved: what its order held before.
fn book<'w>(open: &mut Open<'w>, at: &'w Written<'_>) -> Option<Option<i64>> {
    let order = at.json["orderId"].as_str().unwrap_or_default();
    match at.kind() {
        "StockReserved" => Some(open.insert(order, integer(&at.json["quantity"]).unwrap_or_default())),
        "StockCommitted" | "StockReleased" | "ReservationExpired" => Some(open.remove(order)),
        _ => None,
    }
}

/// A stream's pieces that orders hold after these of its events.
pub(super) fn open_reservations<'w>(events: impl Iterator<Item = &'w Written<'w>>) -> Open<'w> {
    let mut open = Open::new();
    for at in events {
        book(&mut open, at);
    }
    open
}

/// `reservation-unbalanced`: an order's pieces are reserved once at a time, and leave or come back all together.
fn reservations_balance<'w>(at: &'w Written<'_>, open: &mut Open<'w>, place: &str, findings: &mut Findings) {
    let Some(had) = book(open, at) else { return };
    let (order, quantity) = (at.json["orderId"].as_str().unwrap_or_default(), integer(&at.json["quantity"]).unwrap_or_default());
    let holds = if at.kind() == "StockReserved" { had.is_none() } else { had == Some(quantity) };
    findings.check(rules::RESERVATION_UNBALANCED, at.event.recorded_at, holds, || {
        (format!("{place}: order {order} had reserved {had:?}, and now {quantity} are {}", at.kind()), vec![at.line()])
    });
}
