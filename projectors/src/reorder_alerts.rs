//! `reorder-alerts`: what has to be ordered for one warehouse. A list: one part an open proposal.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::inventory::v1::ReorderEvent;
use shop_proto::read::v1::{ReorderAlert, ReorderAlerts};

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<ReorderAlerts>("reorder-alerts", None).with::<Alerts>()
}

struct Alerts;

impl Projection for Alerts {
    type Event = ReorderEvent;
    type View = ReorderAlert;
    type Model = ReorderAlerts;

    fn fold(alert: &mut ReorderAlert, event: &ReorderEvent, at: &EventAt<'_>) {
        match event {
            ReorderEvent::ReorderProposalOpened(e) => {
                *alert = ReorderAlert {
                    sku: e.sku.clone(),
                    warehouse: e.warehouse.clone(),
                    reorder_point: e.reorder_point,
                    available: e.available,
                    opened_at: Some(at.recorded_at.to_proto()),
                    ..Default::default()
                }
            }
            ReorderEvent::ReorderProposalRaised(e) => {
                alert.ordered = e.quantity;
                alert.reference.clone_from(&e.reference);
            }
            ReorderEvent::ReorderProposalClosed(_) => *alert = ReorderAlert::default(),
        }
    }

    fn render(alert: &ReorderAlert, _: &StreamId) -> Vec<Part<ReorderAlerts>> {
        if alert.sku.is_empty() {
            return Vec::new();
        }
        vec![Part { key: alert.warehouse.clone(), part: alert.sku.clone(), message: ReorderAlerts { items: vec![alert.clone()] } }]
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::samples::reorder::{closed, opened, raised};
    use shop_proto::samples::with;

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        vec![Sample::of("A-1@w-1", [opened(2), raised(50)]), Sample::of("A-2@w-1", [with(&opened(2), "sku", "A-2")])]
    }

    fn shown(events: &[ReorderEvent]) -> Vec<(String, String, ReorderAlert)> {
        let stream = StreamId::new("reorder", "A-1@w-1");
        let mut view = ReorderAlert::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(1_000_000) };
            Alerts::fold(&mut view, event, &at);
        }
        Alerts::render(&view, &stream).into_iter().map(|part| (part.key, part.part, part.message.items[0].clone())).collect()
    }

    #[test]
    fn an_alert_is_shown_until_enough_is_there_again() {
        let alerts = shown(&[opened(2)]);
        let [(key, part, alert)] = alerts.as_slice() else { panic!("one alert") };
        assert_eq!((key.as_str(), part.as_str(), alert.available, alert.ordered), ("w-1", "A-1", 3, 0));
        assert_eq!(alert.opened_at.as_ref().map(|at| at.seconds), Some(1));
        let alerts = shown(&[opened(2), raised(50)]);
        assert_eq!((alerts[0].2.ordered, alerts[0].2.reference.as_str()), (50, "PO-7"));
        assert_eq!(shown(&[opened(2), raised(50), closed(9)]), []);
        assert_eq!(shown(&[opened(2), raised(50), closed(9), opened(2)])[0].2.ordered, 0, "a new proposal");
    }
}
