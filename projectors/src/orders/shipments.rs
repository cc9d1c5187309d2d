//! What becomes of an order's shipments, and of the pieces in them.

use shop_proto::order::v1::{HeldLine, OrderEvent, OrderedLine, PlannedShipment};
use shop_proto::read::v1::{OrderPage, OrderPageLine, OrderPageShipment, OrderPageShipmentStatus as Status};

pub(super) fn fold(page: &mut OrderPage, event: &OrderEvent) {
    use OrderEvent as E;
    match event {
        E::OrderConfirmed(e) => page.shipments = e.shipments.iter().map(planned).collect(),
        E::OrderLabelled(e) => {
            if let Some(shipment) = shipment(page, e.number) {
                shipment.carrier.clone_from(&e.carrier);
                shipment.tracking.clone_from(&e.tracking);
            }
            stands(page, e.number, Status::Labelled);
        }
        E::OrderShipped(e) => {
            stands(page, e.number, Status::Dispatched);
            count(page, &e.lines, |line| &mut line.shipped);
        }
        E::OrderDelivered(e) => stands(page, e.number, Status::Delivered),
        E::OrderLost(e) => {
            stands(page, e.number, Status::Lost);
            count(page, &e.lines, |line| &mut line.lost);
        }
        // It was lost, and is not any more.
        E::OrderFound(e) => {
            uncount(page, &e.lines, |line| &mut line.lost);
            if let Some(shipment) = shipment(page, e.number) {
                shipment.set_status(Status::Delivered);
            }
        }
        E::OrderReturnedToSender(e) => {
            if shipment(page, e.number).is_some_and(|shipment| shipment.status() == Status::Lost) {
                uncount(page, &e.lines, |line| &mut line.lost);
            }
            stands(page, e.number, Status::Returned);
            count(page, &e.lines, |line| &mut line.returned);
        }
        E::OrderLinesCancelled(e) => {
            count(page, &e.lines, |line| &mut line.cancelled);
            leave_out(page, e.number, &e.lines);
        }
        E::OrderReturned(e) => {
            let ordered = |line: &HeldLine| OrderedLine { sku: line.sku.clone(), quantity: line.quantity };
            let lines: Vec<OrderedLine> = e.lines.iter().map(ordered).collect();
            count(page, &lines, |line| &mut line.returned);
        }
        _ => {}
    }
}

fn planned(shipment: &PlannedShipment) -> OrderPageShipment {
    OrderPageShipment {
        number: shipment.number,
        warehouse: shipment.warehouse.clone(),
        status: Status::Open.into(),
        lines: shipment.lines.clone(),
        ..Default::default()
    }
}

fn shipment(page: &mut OrderPage, number: u32) -> Option<&mut OrderPageShipment> {
    page.shipments.iter_mut().find(|shipment| shipment.number == number)
}

/// A shipment goes one way only: its label may come after it has left.
fn stands(page: &mut OrderPage, number: u32, status: Status) {
    if let Some(shipment) = shipment(page, number).filter(|shipment| shipment.status < status.into()) {
        shipment.set_status(status);
    }
}

fn count(page: &mut OrderPage, lines: &[OrderedLine], of: impl Fn(&mut OrderPageLine) -> &mut u32) {
    for line in lines {
        if let Some(shown) = page.lines.iter_mut().find(|shown| shown.sku == line.sku) {
            let sum = of(shown);
            *sum = sum.saturating_add(line.quantity);
        }
    }
}

fn uncount(page: &mut OrderPage, lines: &[OrderedLine], of: impl Fn(&mut OrderPageLine) -> &mut u32) {
    for line in lines {
        if let Some(shown) = page.lines.iter_mut().find(|shown| shown.sku == line.sku) {
            let sum = of(shown);
            *sum = sum.saturating_sub(line.quantity);
        }
    }
}

fn leave_out(page: &mut OrderPage, number: u32, lines: &[OrderedLine]) {
    let Some(shipment) = shipment(page, number) else { return };
    for line in lines {
        if let Some(packed) = shipment.lines.iter_mut().find(|packed| packed.sku == line.sku) {
            packed.quantity = packed.quantity.saturating_sub(line.quantity);
        }
    }
    shipment.lines.retain(|packed| packed.quantity > 0);
    if shipment.lines.is_empty() {
        shipment.set_status(Status::Cancelled);
    }
}
