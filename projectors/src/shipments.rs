//! `shipments`: a shipment, for those who pack and send it. What is kept of the stream is what is shown.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::read::v1::ShipmentPage;
use shop_proto::shipping::v1::{ShipmentEvent, ShipmentLine, ShipmentStatus};

const SHIPMENT: &str = "shipment";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<ShipmentPage>("shipments", Some(SHIPMENT)).with::<Shipments>()
}

struct Shipments;

impl Projection for Shipments {
    type Event = ShipmentEvent;
    type View = ShipmentPage;
    type Model = ShipmentPage;

    fn fold(page: &mut ShipmentPage, event: &ShipmentEvent, at: &EventAt<'_>) {
        use ShipmentEvent as E;
        match event {
            E::ShipmentCreated(e) => {
                *page = ShipmentPage {
                    order_id: e.order_id.clone(),
                    number: e.number,
                    warehouse: e.warehouse.clone(),
                    status: ShipmentStatus::Created.into(),
                    lines: e.lines.clone(),
                    delivery: e.delivery.clone(),
                    created_at: Some(at.recorded_at.to_proto()),
                    ..Default::default()
                };
            }
            E::ShipmentLabelled(e) => {
                page.carrier.clone_from(&e.carrier);
                page.tracking.clone_from(&e.tracking);
                page.label_url.clone_from(&e.label_url);
                page.label_refused.clear();
                if page.status() == ShipmentStatus::Created {
                    page.set_status(ShipmentStatus::Labelled);
                }
            }
            E::LabelRefused(e) => page.label_refused.clone_from(&e.code),
            E::ShipmentCancelled(e) => leave_out(page, &e.lines, e.whole),
            E::ShortPicked(e) => leave_out(page, &e.lines, e.whole),
            E::ShipmentHeld(e) => (page.held, page.hold_reason) = (true, e.reason.clone()),
            E::ShipmentHoldEnded(_) => (page.held, page.hold_reason) = (false, String::new()),
            E::ShipmentDispatched(_) => {
                page.set_status(ShipmentStatus::Dispatched);
                page.dispatched_at = Some(at.recorded_at.to_proto());
            }
            E::ShipmentDelivered(_) => page.set_status(ShipmentStatus::Delivered),
            E::ShipmentLost(_) => page.set_status(ShipmentStatus::Lost),
            E::ShipmentReturned(_) => page.set_status(ShipmentStatus::Returned),
            E::CancelTooLate(_) | E::CarrierNoticeKept(_) | E::CancelRecorded(_) => {}
        }
    }

    /// One that was cancelled before it was created has no page.
    fn render(page: &ShipmentPage, stream: &StreamId) -> Vec<Part<ShipmentPage>> {
        if page.order_id.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: SHIPMENT.to_owned(), message: page.clone() }]
    }
}

fn leave_out(page: &mut ShipmentPage, lines: &[ShipmentLine], whole: bool) {
    for line in lines {
        if let Some(packed) = page.lines.iter_mut().find(|packed| packed.sku == line.sku) {
            packed.quantity = packed.quantity.saturating_sub(line.quantity);
        }
    }
    page.lines.retain(|packed| packed.quantity > 0);
    if whole {
        page.set_status(ShipmentStatus::Cancelled);
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::samples::with;
    use shop_proto::shipping::v1::*;

    use super::*;
    use crate::merging::Sample;

    fn id() -> String {
        "o-1".into()
    }

    fn line(quantity: u32) -> Vec<ShipmentLine> {
        vec![ShipmentLine { sku: "A-1".into(), quantity }]
    }

    fn created() -> ShipmentEvent {
        let (customer_id, warehouse, delivery) = ("c-1".into(), "w-1".into(), "standard".into());
        let lines = line(2);
        ShipmentCreated { order_id: id(), number: 1, customer_id, warehouse, lines, delivery, shipping_address: None }.into()
    }

    fn labelled() -> ShipmentEvent {
        let (carrier, tracking, label_url) = ("parcel".into(), "P-1".into(), "https://carrier.example/P-1".into());
        ShipmentLabelled { order_id: id(), number: 1, carrier, tracking, label_url }.into()
    }

    fn dispatched() -> ShipmentEvent {
        ShipmentDispatched { order_id: id(), number: 1, warehouse: "w-1".into(), lines: line(2) }.into()
    }

    fn held() -> ShipmentEvent {
        ShipmentHeld { order_id: id(), number: 1, reason: "disputed".into(), order_version: 7 }.into()
    }

    fn refused() -> ShipmentEvent {
        LabelRefused { order_id: id(), number: 1, code: "too-heavy".into() }.into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![
            Sample::of("o-1@1", [created(), labelled(), refused(), held(), dispatched()]),
            Sample::of("o-2@1", [with(&created(), "order_id", "o-2")]),
        ]
    }

    fn page(events: &[ShipmentEvent]) -> Option<ShipmentPage> {
        let stream = StreamId::new("shipment", "o-1@1");
        let mut view = ShipmentPage::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            Shipments::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        let part = Shipments::render(&view, &stream).pop()?;
        assert_eq!(part.key, "o-1@1");
        Some(part.message)
    }

    #[test]
    fn a_shipment_shows_where_it_stands() {
        let standing = |events: &[ShipmentEvent]| page(events).expect("it is shown").status();
        assert_eq!(standing(&[created()]), ShipmentStatus::Created);
        assert_eq!(standing(&[created(), labelled()]), ShipmentStatus::Labelled);
        assert_eq!(standing(&[created(), dispatched(), labelled()]), ShipmentStatus::Dispatched);
        let delivered = ShipmentDelivered { order_id: id(), number: 1, notice_id: String::new() };
        assert_eq!(standing(&[created(), dispatched(), delivered.into()]), ShipmentStatus::Delivered);
        assert_eq!(page(&[created(), dispatched()]).and_then(|page| page.dispatched_at).map(|at| at.seconds), Some(2));
    }

    #[test]
    fn pieces_that_will_not_leave_are_not_in_it_any_more() {
        let cancelled =
            |quantity, whole| ShipmentEvent::from(ShipmentCancelled { order_id: id(), number: 1, ask: 1, lines: line(quantity), whole });
        let some = page(&[created(), cancelled(1, false)]).expect("it is shown");
        assert_eq!((some.lines[0].quantity, some.status()), (1, ShipmentStatus::Created));
        let none = page(&[created(), cancelled(2, true)]).expect("it is shown");
        assert_eq!((none.lines.len(), none.status()), (0, ShipmentStatus::Cancelled));
        let before = ShipmentCancelled { order_id: id(), number: 1, ask: 1, lines: vec![], whole: true };
        assert_eq!(page(&[before.into()]), None);
    }

    #[test]
    fn a_hold_is_shown_while_it_lasts_and_a_refused_label_until_there_is_one() {
        let shown = page(&[created(), held(), refused()]).expect("it is shown");
        assert_eq!((shown.held, shown.hold_reason.as_str(), shown.label_refused.as_str()), (true, "disputed", "too-heavy"));
        let ended = ShipmentHoldEnded { order_id: id(), number: 1, order_version: 8 };
        let shown = page(&[created(), held(), refused(), ended.into(), labelled()]).expect("it is shown");
        assert_eq!((shown.held, shown.hold_reason.as_str(), shown.label_refused.as_str()), (false, "", ""));
    }
}
