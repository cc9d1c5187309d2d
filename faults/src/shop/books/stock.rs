//! The books of stock: on hand, reserved, and who has reserved what. Source: the head of `proto/shop/inventory/v1/stock.proto`.

use std::collections::{BTreeMap, HashSet};

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
            "StockCommitted" | "StockWrittenOff" => (next.on_hand, next.reserved) = (next.on_hand - quantity, next.reserved - quantity),
            "StockReleased" | "ReservationExpired" => next.reserved -= quantity,
            "TransferStarted" => next.on_hand -= quantity,
            "TransferFinished" => next.on_hand += quantity,
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
        let (mut shelf, mut kept) = (Shelf::default(), Kept::default());
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
            reservations_balance(at, &mut kept, &place, findings);
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

/// Orders and transfers, as a stream knows them.
#[derive(Default)]
pub(super) struct Kept<'w> {
    /// Pieces that orders hold, and whether they are promised without an end.
    orders: BTreeMap<&'w str, (i64, bool)>,
    /// Attempts up to which an order has given up its place.
    closed: BTreeMap<&'w str, i64>,
    /// The other warehouse of a transfer, its pieces, and whether they came here.
    transfers: BTreeMap<&'w str, (&'w str, i64, bool)>,
}

impl<'w> Kept<'w> {
    /// After these of a stream's events.
    pub(super) fn after(events: impl Iterator<Item = &'w Written<'w>>) -> Self {
        let mut kept = Self::default();
        for at in events {
            kept.book(at);
        }
        kept
    }

    /// Pieces that an order holds.
    pub(super) fn reserved(&self, order: &str) -> Option<i64> {
        self.orders.get(order).map(|(quantity, _)| *quantity)
    }

    /// Each order that holds pieces, and how many.
    pub(super) fn held(&self) -> impl Iterator<Item = (&'w str, i64)> {
        self.orders.iter().map(|(order, (quantity, _))| (*order, *quantity))
    }

    /// Whether an order's pieces are promised without an end.
    pub(super) fn is_confirmed(&self, order: &str) -> bool {
        self.orders.get(order).is_some_and(|(_, confirmed)| *confirmed)
    }

    /// Whether an order has given up its place, for this attempt.
    pub(super) fn is_closed(&self, order: &str, attempt: i64) -> bool {
        self.closed.get(order).is_some_and(|closed| attempt <= *closed)
    }

    /// The other warehouse of a transfer, its pieces, and whether they came here.
    pub(super) fn transfer(&self, id: &str) -> Option<(&'w str, i64, bool)> {
        self.transfers.get(id).copied()
    }

    /// Books an event. Whether it was right by what was known before it; none of an event that tells nothing of orders and transfers.
    fn book(&mut self, at: &'w Written<'_>) -> Option<bool> {
        let text = |field: &str| at.json[field].as_str().unwrap_or_default();
        let number = |field: &str| integer(&at.json[field]).unwrap_or_default();
        let (order, quantity) = (text("orderId"), number("quantity"));
        let had = self.orders.get(order).copied();
        Some(match at.kind() {
            "StockReserved" => self.orders.insert(order, (quantity, false)).is_none() && !self.is_closed(order, number("attempt")),
            "StockCommitted" | "StockReleased" | "StockWrittenOff" => {
                let (held, confirmed) = had.unwrap_or_default();
                match held - quantity {
                    1.. => self.orders.insert(order, (held - quantity, confirmed)),
                    _ => self.orders.remove(order),
                };
                (1..=held).contains(&quantity)
            }
            "ReservationExpired" => {
                self.orders.remove(order);
                had == Some((quantity, false))
            }
            "ReservationConfirmed" => {
                if let Some((_, confirmed)) = self.orders.get_mut(order) {
                    *confirmed = true;
                }
                had.is_some_and(|(held, _)| held == quantity)
            }
            "ReservationExtended" => had.is_some_and(|(_, confirmed)| !confirmed),
            "ReservationStands" => had.is_some_and(|(held, _)| held == quantity),
            "StockPlaceClosed" => {
                let closed = self.closed.entry(order).or_default();
                *closed = (*closed).max(number("attempt"));
                had.is_none()
            }
            "TransferStarted" => self.transfers.insert(text("transferId"), (text("to"), quantity, false)).is_none(),
            "TransferFinished" => self.transfers.insert(text("transferId"), (text("from"), quantity, true)).is_none(),
            _ => return None,
        })
    }
}

/// Events that took pieces of an order and left it others: their streams and versions.
pub(super) fn partial<'a>(case: &Case<'a>) -> HashSet<(&'a str, i64)> {
    let mut partial = HashSet::new();
    for ((_, stream), places) in case.streams.iter().filter(|((_, stream), _)| stream.starts_with("stock/")) {
        let mut kept = Kept::default();
        for at in places.iter().map(|n| &case.written[*n]) {
            kept.book(at);
            let takes = ["StockCommitted", "StockReleased", "StockWrittenOff"].contains(&at.kind());
            if takes && kept.reserved(at.json["orderId"].as_str().unwrap_or_default()).is_some() {
                partial.insert((*stream, at.event.version));
            }
        }
    }
    partial
}

/// `reservation-unbalanced`: an order's pieces are reserved once at a time, and no more leave or come back than it holds; what is confirmed
/// does not expire; an order that gave up its place gets nothing there; a transfer leaves once, or comes once.
fn reservations_balance<'w>(at: &'w Written<'_>, kept: &mut Kept<'w>, place: &str, findings: &mut Findings) {
    let (order, quantity) = (at.json["orderId"].as_str().unwrap_or_default(), integer(&at.json["quantity"]).unwrap_or_default());
    let had = kept.orders.get(order).copied();
    let Some(holds) = kept.book(at) else { return };
    findings.check(rules::RESERVATION_UNBALANCED, at.event.recorded_at, holds, || {
        (format!("{place}: order {order} had reserved {had:?}, and now {quantity} are {}", at.kind()), vec![at.line()])
    });
}
