//! Of a shipment, the first of order `o-1`: lamps and chairs that leave `w-1`.

use super::{cart::address, warehouse};
use crate::shipping::v1::*;

fn id() -> String {
    "o-1".to_owned()
}

/// So many pieces of a product.
pub fn piece(sku: &str, quantity: u32) -> ShipmentLine {
    ShipmentLine { sku: sku.to_owned(), quantity }
}

fn pieces(lines: &[(&str, u32)]) -> Vec<ShipmentLine> {
    lines.iter().map(|(sku, quantity)| piece(sku, *quantity)).collect()
}

/// The order is confirmed.
pub fn create(lines: &[(&str, u32)]) -> CreateShipment {
    CreateShipment {
        order_id: id(),
        number: 1,
        customer_id: "c-1".into(),
        warehouse: warehouse(),
        lines: pieces(lines),
        delivery: "standard".into(),
        shipping_address: Some(address()),
    }
}

/// The event of [`create`].
pub fn created(lines: &[(&str, u32)]) -> ShipmentEvent {
    ShipmentCreated::from(&create(lines)).into()
}

/// The carrier takes it, under this number.
pub fn label(tracking: &str) -> RecordLabel {
    RecordLabel {
        order_id: id(),
        number: 1,
        carrier: "parcel".into(),
        tracking: tracking.to_owned(),
        label_url: "https://carrier.example/label".into(),
        code: String::new(),
    }
}

/// The event of [`label`].
pub fn labelled(tracking: &str) -> ShipmentEvent {
    ShipmentLabelled::from(&label(tracking)).into()
}

/// The carrier does not take it.
pub fn no_label(code: &str) -> RecordLabel {
    RecordLabel { order_id: id(), number: 1, code: code.to_owned(), ..Default::default() }
}

/// The event of [`no_label`].
pub fn label_refused(code: &str) -> ShipmentEvent {
    LabelRefused::from(&no_label(code)).into()
}

/// The order wants pieces not to leave; none: all of them.
pub fn cancel(ask: u32, lines: &[(&str, u32)]) -> CancelShipment {
    CancelShipment { order_id: id(), number: 1, ask, lines: pieces(lines) }
}

/// The event of [`cancel`] of a shipment that is not there yet.
pub fn cancel_recorded(ask: u32, lines: &[(&str, u32)]) -> ShipmentEvent {
    CancelRecorded::from(&cancel(ask, lines)).into()
}

/// These pieces will not leave; whether they were the last.
pub fn cancelled(ask: u32, lines: &[(&str, u32)], whole: bool) -> ShipmentEvent {
    ShipmentCancelled { whole, ..(&cancel(ask, lines)).into() }.into()
}

/// The pieces of an ask have left.
pub fn too_late(ask: u32) -> ShipmentEvent {
    CancelTooLate { order_id: id(), number: 1, ask }.into()
}

/// The order holds it, at this version of its stream.
pub fn hold(order_version: i64) -> HoldShipment {
    HoldShipment { order_id: id(), number: 1, reason: "disputed".into(), order_version }
}

/// The event of [`hold`].
pub fn held(order_version: i64) -> ShipmentEvent {
    ShipmentHeld::from(&hold(order_version)).into()
}

/// The order holds it no more.
pub fn end_hold(order_version: i64) -> EndShipmentHold {
    EndShipmentHold { order_id: id(), number: 1, order_version }
}

/// The event of [`end_hold`].
pub fn hold_ended(order_version: i64) -> ShipmentEvent {
    ShipmentHoldEnded::from(&end_hold(order_version)).into()
}

/// It leaves.
pub fn dispatch() -> DispatchShipment {
    DispatchShipment { order_id: id(), number: 1 }
}

/// The event of [`dispatch`].
pub fn dispatched(lines: &[(&str, u32)]) -> ShipmentEvent {
    ShipmentDispatched { order_id: id(), number: 1, warehouse: warehouse(), lines: pieces(lines) }.into()
}

/// Pieces were not found.
pub fn pick_short(lines: &[(&str, u32)]) -> ReportShortPick {
    ReportShortPick { order_id: id(), number: 1, lines: pieces(lines) }
}

/// The event of [`pick_short`]; whether they were the last.
pub fn picked_short(lines: &[(&str, u32)], whole: bool) -> ShipmentEvent {
    ShortPicked { whole, ..(&pick_short(lines)).into() }.into()
}

/// It has arrived.
pub fn deliver() -> RecordDelivered {
    RecordDelivered { order_id: id(), number: 1 }
}

/// The event of [`deliver`].
pub fn delivered() -> ShipmentEvent {
    ShipmentDelivered::from(&deliver()).into()
}

/// It is lost.
pub fn lose() -> RecordLost {
    RecordLost { order_id: id(), number: 1 }
}

/// The event of [`lose`].
pub fn lost() -> ShipmentEvent {
    ShipmentLost::from(&lose()).into()
}

/// Nobody took it.
pub fn bring_back() -> RecordReturnedToSender {
    RecordReturnedToSender { order_id: id(), number: 1 }
}

/// The event of [`bring_back`].
pub fn returned() -> ShipmentEvent {
    ShipmentReturned::from(&bring_back()).into()
}

/// The carrier tells something by itself.
pub fn notice(notice_id: &str, status: ShipmentStatus) -> RecordCarrierNotice {
    RecordCarrierNotice { order_id: id(), number: 1, notice_id: notice_id.to_owned(), status: status.into(), kind: "scanned".into() }
}

/// The event of [`notice`] where it changes nothing.
pub fn notice_kept(notice_id: &str, status: ShipmentStatus) -> ShipmentEvent {
    CarrierNoticeKept::from(&notice(notice_id, status)).into()
}

/// Staff has told what is kept.
pub fn told_kept(status: ShipmentStatus) -> ShipmentEvent {
    CarrierNoticeKept { order_id: id(), number: 1, status: status.into(), ..Default::default() }.into()
}
