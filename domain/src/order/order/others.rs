//! An order tells the others what to do: the allocation, the payment, the shipments and the stocks, each by one reactor, in the order of
//! its events.

use daybook_kernel::{EventAt, Reactor, ServiceMessage};
use shop_proto::inventory::v1::*;
use shop_proto::order::v1::*;
use shop_proto::payment::v1::{PaymentCommand, RequestCapture, RequestPayment, RequestRefund, RequestRelease, RequestVoid};
use shop_proto::shipping::v1::{CancelShipment, CreateShipment, EndShipmentHold, HoldShipment, ShipmentCommand, ShipmentLine};

use super::leaving::SHORT_PICK;
use super::paying::ONLY_ATTEMPT;
use super::returning::given_back;

/// Has pieces kept that are paid for, and given back when the order is given up. That they are looked for is a lookup's.
pub struct ToAllocation;

impl Reactor for ToAllocation {
    const NAME: &'static str = "order-to-allocation";
    type Event = OrderEvent;

    fn react(event: &OrderEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        let order_id = event.order_id().to_owned();
        let gives_up = || ReleaseAllocation { order_id: order_id.clone(), attempt: ONLY_ATTEMPT };
        let command: AllocationCommand = match event {
            OrderEvent::OrderPaid(e) => ConfirmAllocation { order_id, attempt: e.attempt }.into(),
            OrderEvent::OrderRejecting(e) if e.undo_allocation => gives_up().into(),
            OrderEvent::OrderCancelling(e) if e.undo_allocation => gives_up().into(),
            _ => return Vec::new(),
        };
        vec![ServiceMessage::of(&command)]
    }
}

/// Asks for the money, takes it when pieces leave, gives it back when they do not stay, and lets go of what will not be taken.
pub struct ToPayment;

impl Reactor for ToPayment {
    const NAME: &'static str = "order-to-payment";
    const RULE_VERSION: u32 = 2;
    type Event = OrderEvent;

    fn react(event: &OrderEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        use OrderEvent as E;
        let order_id = event.order_id().to_owned();
        let void = || RequestVoid { order_id: order_id.clone(), number: ONLY_ATTEMPT };
        let command: PaymentCommand = match event {
            E::OrderAwaitingPayment(e) => RequestPayment {
                order_id,
                attempt: e.attempt,
                customer_id: e.customer_id.clone(),
                amount: e.amount.clone(),
                payment_token: e.payment_token.clone(),
                pay_until: e.pay_until,
            }
            .into(),
            E::OrderShipped(e) if e.capture > 0 => {
                RequestCapture { order_id, number: e.capture, amount: e.amount.clone(), retries: 0 }.into()
            }
            E::OrderCaptureRetried(e) => RequestCapture { order_id, number: e.capture, amount: e.amount.clone(), retries: e.failed }.into(),
            E::OrderCompleted(OrderCompleted { release_payment: true, .. }) | E::OrderRestReleased(_) => {
                RequestRelease { order_id, number: ONLY_ATTEMPT }.into()
            }
            E::OrderRejecting(e) if e.undo_payment => void().into(),
            E::OrderCancelling(e) if e.undo_payment => void().into(),
            other => match given_back(other) {
                (0, ..) => return Vec::new(),
                (number, amount, _) => {
                    let retries = if let E::OrderRefundRetried(e) = other { e.failed } else { 0 };
                    RequestRefund { order_id, number, amount: amount.cloned(), retries }.into()
                }
            },
        };
        vec![ServiceMessage::of(&command)]
    }
}

/// Has pieces packed and sent, left out, or held.
pub struct ToShipments;

impl Reactor for ToShipments {
    const NAME: &'static str = "order-to-shipments";
    const RULE_VERSION: u32 = 2;
    type Event = OrderEvent;

    fn react(event: &OrderEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        use OrderEvent as E;
        let (order_id, order_version) = (event.order_id().to_owned(), at.version.0.cast_signed());
        let lines = |lines: &[OrderedLine]| -> Vec<ShipmentLine> {
            lines.iter().map(|line| ShipmentLine { sku: line.sku.clone(), quantity: line.quantity }).collect()
        };
        let hold = |number: u32, reason: String| -> ShipmentCommand {
            HoldShipment { order_id: order_id.clone(), number, reason, order_version }.into()
        };
        let commands: Vec<ShipmentCommand> = match event {
            E::OrderConfirmed(e) => {
                let create = |shipment: &PlannedShipment| {
                    CreateShipment {
                        order_id: order_id.clone(),
                        number: shipment.number,
                        customer_id: e.customer_id.clone(),
                        warehouse: shipment.warehouse.clone(),
                        lines: lines(&shipment.lines),
                        delivery: e.delivery.clone(),
                        shipping_address: e.shipping_address.clone(),
                    }
                    .into()
                };
                e.shipments.iter().map(create).collect()
            }
            E::OrderLinesCancelling(e) => {
                let (order_id, lines) = (order_id.clone(), lines(&e.lines));
                vec![CancelShipment { order_id, number: e.number, ask: e.ask, lines }.into()]
            }
            // Why in a word: what staff says of a person stays with the order.
            E::OrderHeld(e) => e.numbers.iter().map(|number| hold(*number, e.reason.clone())).collect(),
            // Another reason holds them still: they say it from now on.
            E::OrderHoldEnded(OrderHoldEnded { numbers, left, .. }) if !left.is_empty() => {
                numbers.iter().map(|number| hold(*number, left.join(","))).collect()
            }
            E::OrderHoldEnded(e) => {
                let end = |number: &u32| EndShipmentHold { order_id: order_id.clone(), number: *number, order_version }.into();
                e.numbers.iter().map(end).collect()
            }
            _ => Vec::new(),
        };
        commands.iter().map(ServiceMessage::of).collect()
    }
}

/// Tells stocks that pieces have left, will not leave, were not found, or have come back: the shelf and the books agree while the goods still stand there.
pub struct ToStocks;

impl Reactor for ToStocks {
    const NAME: &'static str = "order-to-stocks";
    const RULE_VERSION: u32 = 2;
    // Pieces that come back are counted, whoever says so.
    const OUTLASTS_ITS_EVENT: bool = false;
    type Event = OrderEvent;

    fn react(event: &OrderEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        use OrderEvent as E;
        let (order_id, process) = (event.order_id().to_owned(), at.stream.as_str().to_owned());
        let receive = |sku: &str, warehouse: &str, quantity: u32| -> StockCommand {
            let (sku, warehouse, reference) = (sku.to_owned(), warehouse.to_owned(), format!("return of order {order_id}"));
            ReceiveStock { sku, warehouse, quantity, reference, ..Default::default() }.into()
        };
        let commands: Vec<StockCommand> = match event {
            E::OrderShipped(e) => {
                let commit = |line: &OrderedLine| {
                    let (sku, warehouse, quantity) = (line.sku.clone(), e.warehouse.clone(), Some(line.quantity));
                    CommitStock { sku, warehouse, order_id: order_id.clone(), process: process.clone(), quantity, attempt: e.number }.into()
                };
                e.lines.iter().map(commit).collect()
            }
            // What nobody has found is not there: it must not be promised to anybody else.
            E::OrderLinesCancelled(e) if e.reason == SHORT_PICK => {
                let write_off = |line: &OrderedLine| {
                    let (sku, warehouse, quantity) = (line.sku.clone(), e.warehouse.clone(), Some(line.quantity));
                    let (order_id, process, reason) = (order_id.clone(), process.clone(), e.reason.clone());
                    WriteOffStock { sku, warehouse, order_id, reason, quantity, process, attempt: e.number }.into()
                };
                e.lines.iter().map(write_off).collect()
            }
            E::OrderLinesCancelled(e) => {
                let release = |line: &OrderedLine| {
                    let (sku, warehouse, quantity) = (line.sku.clone(), e.warehouse.clone(), Some(line.quantity));
                    let (order_id, process, reason) = (order_id.clone(), process.clone(), e.reason.clone());
                    ReleaseStock { sku, warehouse, order_id, reason, quantity, process, attempt: e.number }.into()
                };
                e.lines.iter().map(release).collect()
            }
            E::OrderReturnedToSender(e) => e.lines.iter().map(|line| receive(&line.sku, &e.warehouse, line.quantity)).collect(),
            E::OrderReturned(e) if e.condition() == Condition::Resalable => {
                e.lines.iter().map(|line| receive(&line.sku, &line.warehouse, line.quantity)).collect()
            }
            _ => Vec::new(),
        };
        commands.iter().map(ServiceMessage::of).collect()
    }
}
