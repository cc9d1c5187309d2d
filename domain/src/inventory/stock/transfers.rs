//! Pieces that go from one warehouse to another. Under way they are nowhere: each stream knows its own half.

use daybook_kernel::Decision;
use shop_proto::inventory::v1::*;

use super::{Stock, added, and_reorder_point, available};

/// The most transfers that a stock knows, so that one that is told twice counts once. Staff repeats at once, not a thousand transfers later.
pub(super) const MOST_KNOWN: usize = 1_000;

pub(super) fn start(state: &StockState, c: &StartTransfer) -> Decision<Stock> {
    if let Some(decision) = told_before(state, &c.transfer_id, (&c.to, c.quantity, false)) {
        return decision;
    }
    let available = available(state);
    if c.to == c.warehouse {
        return Decision::refuse(TransferToItself { warehouse: c.to.clone() });
    }
    if c.quantity > available {
        return Decision::refuse(InsufficientStock { requested: c.quantity, available });
    }
    and_reorder_point(state, TransferStarted::from(c))
}

pub(super) fn finish(state: &StockState, c: &FinishTransfer) -> Decision<Stock> {
    if let Some(decision) = told_before(state, &c.transfer_id, (&c.from, c.quantity, true)) {
        return decision;
    }
    if c.from == c.warehouse {
        return Decision::refuse(TransferToItself { warehouse: c.from.clone() });
    }
    added(state, c.quantity, TransferFinished::from(c))
}

/// The other warehouse of a transfer, its pieces, and whether they came here.
type Content<'c> = (&'c String, u32, bool);

/// Where a transfer of this id is known: already done, or another one.
fn told_before(state: &StockState, id: &str, content: Content<'_>) -> Option<Decision<Stock>> {
    let known = state.transfers.get(id)?;
    if (&known.other, known.quantity, known.arrived) == content {
        return Some(Decision::nothing());
    }
    Some(Decision::refuse(TransferExists { transfer_id: id.to_owned(), requested: content.1, quantity: known.quantity }))
}

/// A transfer has left or come; the oldest is forgotten where there are too many.
pub(super) fn known(state: &mut StockState, id: &str, (other, quantity, arrived): Content<'_>) {
    state.transferred = state.transferred.saturating_add(1);
    state.transfers.insert(id.to_owned(), Transfer { other: other.clone(), quantity, arrived, number: state.transferred });
    if state.transfers.len() > MOST_KNOWN
        && let Some(first) = state.transfers.iter().min_by_key(|(_, transfer)| transfer.number).map(|(id, _)| id.clone())
    {
        state.transfers.remove(&first);
    }
}
