//! A shipment tells its order what becomes of it.

use daybook_kernel::{EventAt, Reactor, ServiceMessage};
use shop_proto::order::v1::{
    OrderCommand, OrderedLine, RecordCancelTooLate, RecordDelivered, RecordDispatched, RecordLabelled, RecordLost, RecordReturnedToSender,
    RecordShipmentCancelled, RecordShortPick,
};
use shop_proto::shipping::v1::{ShipmentEvent, ShipmentLine};

/// Tells an order what its shipments answer, and what becomes of them.
pub struct ShipmentAnswers;

impl Reactor for ShipmentAnswers {
    const NAME: &'static str = "shipment-answers";
    type Event = ShipmentEvent;

    fn react(event: &ShipmentEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        told(event).iter().map(ServiceMessage::of).collect()
    }
}

fn told(event: &ShipmentEvent) -> Option<OrderCommand> {
    use ShipmentEvent as E;
    let (order_id, number) = (event.order_id().to_owned(), event.number());
    Some(match event {
        E::ShipmentLabelled(e) => RecordLabelled { order_id, number, carrier: e.carrier.clone(), tracking: e.tracking.clone() }.into(),
        E::ShipmentDispatched(e) => RecordDispatched { order_id, number, lines: ordered(&e.lines) }.into(),
        E::ShipmentDelivered(_) => RecordDelivered { order_id, number }.into(),
        E::ShipmentLost(_) => RecordLost { order_id, number }.into(),
        E::ShipmentReturned(_) => RecordReturnedToSender { order_id, number }.into(),
        E::ShortPicked(e) => RecordShortPick { order_id, number, lines: ordered(&e.lines) }.into(),
        // The order has heard of the ask that cancelled it.
        E::ShipmentCancelled(e) if e.ask == 0 => return None,
        E::ShipmentCancelled(e) => RecordShipmentCancelled { order_id, number, ask: e.ask, lines: ordered(&e.lines) }.into(),
        E::CancelTooLate(e) => RecordCancelTooLate { order_id, number, ask: e.ask }.into(),
        E::ShipmentCreated(_)
        | E::LabelRefused(_)
        | E::CancelRecorded(_)
        | E::ShipmentHeld(_)
        | E::ShipmentHoldEnded(_)
        | E::CarrierNoticeKept(_) => return None,
    })
}

fn ordered(lines: &[ShipmentLine]) -> Vec<OrderedLine> {
    lines.iter().map(|line| OrderedLine { sku: line.sku.clone(), quantity: line.quantity }).collect()
}
