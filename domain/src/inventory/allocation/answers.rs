//! Between an allocation and its stocks: asks one way, answers the other; and what it answers its order.

use daybook_kernel::{EventAt, Reactor, ServiceMessage};
use shop_proto::inventory::v1::*;
use shop_proto::order::v1::{
    HeldLine, LackingLine, OrderCommand, RecordAllocated, RecordAllocationConfirmed, RecordAllocationLost, RecordAllocationReleased,
    RecordNotAllocated,
};

use super::key;

/// A stock as it is known, now that it has answered.
pub(super) fn answered(state: &mut AllocationState, e: &StockAnswerRecorded) {
    let plans = state.attempt_open;
    let Some(stock) = state.stocks.get_mut(&key(&e.sku, &e.warehouse)) else { return };
    // A plan that is under way does without it: that is no loss.
    let lost = if plans { HoldStatus::Unspecified } else { HoldStatus::Lost };
    match e.answer() {
        StockAnswer::Held => {
            stock.quantity = e.quantity;
            stock.available = stock.available.saturating_sub(e.quantity);
            stock.set_status(HoldStatus::Held);
        }
        StockAnswer::Refused => {
            stock.available = e.available;
            stock.set_status(lost);
        }
        StockAnswer::HeldOtherwise if !plans => stock.set_status(HoldStatus::Lost),
        StockAnswer::HeldOtherwise => {
            // No plan wants nothing: it is given back.
            (stock.available, stock.quantity) = (e.available, 0);
            stock.set_status(HoldStatus::Held);
        }
        StockAnswer::Confirmed => stock.set_status(HoldStatus::Confirmed),
        StockAnswer::Lost => stock.set_status(lost),
        StockAnswer::Released if stock.status() == HoldStatus::Asked => {
            stock.available = 0;
            stock.set_status(lost);
        }
        StockAnswer::Released => {
            stock.available = stock.available.saturating_add(e.quantity);
            stock.set_status(HoldStatus::Unspecified);
        }
        StockAnswer::Expired => {
            stock.available = stock.available.saturating_add(stock.quantity);
            stock.set_status(lost);
        }
        StockAnswer::Fewer => {
            stock.quantity = stock.quantity.saturating_sub(e.quantity);
            if stock.quantity == 0 {
                stock.set_status(HoldStatus::Unspecified);
            }
        }
        StockAnswer::Unspecified => {}
    }
}

/// The stream id of an order's allocation, as stocks know who asks.
fn process(order_id: &str) -> String {
    format!("allocation/{order_id}")
}

/// Asks stocks for what an allocation asks.
pub struct Holding;

impl Reactor for Holding {
    const NAME: &'static str = "hold";
    type Event = AllocationEvent;

    fn react(event: &AllocationEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        use AllocationEvent as E;
        let (order_id, process) = (event.order_id().to_owned(), process(event.order_id()));
        let command: Option<StockCommand> = match event {
            E::HoldAsked(HoldAsked { ask, hold: Some(Hold { sku, warehouse, quantity }), hold_until, .. }) => Some(
                ReserveStock {
                    sku: sku.clone(),
                    warehouse: warehouse.clone(),
                    order_id,
                    quantity: *quantity,
                    expires_in_seconds: None,
                    expires_at: *hold_until,
                    process,
                    attempt: *ask,
                }
                .into(),
            ),
            E::HoldConfirmAsked(HoldConfirmAsked { ask, hold: Some(Hold { sku, warehouse, .. }), .. }) => {
                Some(ConfirmReservation { sku: sku.clone(), warehouse: warehouse.clone(), order_id, process, attempt: *ask }.into())
            }
            E::HoldReleaseAsked(HoldReleaseAsked { ask, hold: Some(Hold { sku, warehouse, .. }), .. }) => Some(
                ReleaseStock { sku: sku.clone(), warehouse: warehouse.clone(), order_id, process, attempt: *ask, ..Default::default() }
                    .into(),
            ),
            _ => None,
        };
        command.iter().map(ServiceMessage::of).collect()
    }
}

/// Tells an allocation what stocks answer, and what becomes of that which they hold for it.
pub struct Answering;

impl Reactor for Answering {
    const NAME: &'static str = "stock-answers";
    type Event = StockEvent;

    fn react(event: &StockEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        answer(event).map(|answer| ServiceMessage::of(&AllocationCommand::from(answer))).into_iter().collect()
    }
}

/// The answer that an event of a stock is to the allocation that reserved there, or asked.
fn answer(event: &StockEvent) -> Option<RecordStockAnswer> {
    use StockAnswer as A;
    use StockEvent as E;
    let unequal = |code: &str| if code == "reservation-exists" { A::HeldOtherwise } else { A::Refused };
    // Somebody else's ask may change what the allocation holds; its number says nothing to it.
    let or = |own: bool, answer: A, fact: A| if own { answer } else { fact };
    let (order, process, ask, answer, quantity, available) = match event {
        E::StockReserved(e) => (&e.order_id, &e.process, e.attempt, A::Held, e.quantity, 0),
        E::ReservationStands(e) => (&e.order_id, &e.asked_by, e.attempt, A::Held, e.quantity, 0),
        E::ReservationRefused(e) => (&e.order_id, &e.process, e.attempt, unequal(&e.code), 0, e.available),
        E::ReservationConfirmed(e) => (&e.order_id, &e.asked_by, e.attempt, A::Confirmed, e.quantity, 0),
        E::ConfirmRefused(e) => (&e.order_id, &e.process, e.attempt, A::Lost, 0, 0),
        // The answer to what gave the place up, and to what came behind it.
        E::StockPlaceClosed(e) => (&e.order_id, &e.process, e.attempt, A::Released, 0, 0),
        E::StockReleased(e) => {
            // Whoever had reserved: who asked is answered.
            let own = e.asked_by == self::process(&e.order_id);
            let process = if own { &e.asked_by } else { &e.process };
            (&e.order_id, process, if own { e.attempt } else { 0 }, or(own, A::Released, A::Fewer), e.quantity, 0)
        }
        E::StockCommitted(e) => (&e.order_id, &e.process, 0, A::Fewer, e.quantity, 0),
        E::StockWrittenOff(e) => (&e.order_id, &e.process, 0, A::Fewer, e.quantity, 0),
        E::ReservationExpired(e) => (&e.order_id, &e.process, e.attempt, A::Expired, e.quantity, 0),
        _ => return None,
    };
    (*process == self::process(order)).then(|| RecordStockAnswer {
        order_id: order.clone(),
        sku: event.sku().to_owned(),
        warehouse: event.warehouse().to_owned(),
        ask,
        answer: answer.into(),
        quantity,
        available,
    })
}

/// Tells an order what its allocation answers. What is superseded is not told: the order has asked for something newer.
pub struct AllocationAnswers;

impl Reactor for AllocationAnswers {
    const NAME: &'static str = "allocation-answers";
    type Event = AllocationEvent;

    fn react(event: &AllocationEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        told(event).iter().map(ServiceMessage::of).collect()
    }
}

fn told(event: &AllocationEvent) -> Option<OrderCommand> {
    use AllocationEvent as E;
    let order_id = event.order_id().to_owned();
    Some(match event {
        E::Allocated(e) => RecordAllocated { order_id, attempt: e.attempt, holds: held(&e.holds) }.into(),
        E::NotAllocated(NotAllocated { attempt, lines, undeliverable, timed_out, .. }) => RecordNotAllocated {
            order_id,
            attempt: *attempt,
            lines: lines.iter().map(lacking).collect(),
            undeliverable: *undeliverable,
            timed_out: *timed_out,
        }
        .into(),
        E::AllocationConfirmed(e) => RecordAllocationConfirmed { order_id, attempt: e.attempt, holds: held(&e.holds) }.into(),
        E::AllocationLost(e) => RecordAllocationLost { order_id, attempt: e.attempt, timed_out: e.timed_out }.into(),
        E::AllocationReleased(e) => RecordAllocationReleased { order_id, attempt: e.attempt }.into(),
        E::AllocationAsked(_)
        | E::HoldAsked(_)
        | E::HoldConfirmAsked(_)
        | E::HoldReleaseAsked(_)
        | E::StockAnswerRecorded(_)
        | E::AllocationConfirmAsked(_)
        | E::AllocationReleaseAsked(_)
        | E::AllocationSuperseded(_) => return None,
    })
}

fn held(holds: &[Hold]) -> Vec<HeldLine> {
    let held = |hold: &Hold| HeldLine { sku: hold.sku.clone(), warehouse: hold.warehouse.clone(), quantity: hold.quantity };
    holds.iter().map(held).collect()
}

fn lacking(line: &MissingLine) -> LackingLine {
    LackingLine { sku: line.sku.clone(), requested: line.requested, available: line.available }
}
