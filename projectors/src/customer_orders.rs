//! `customer-orders`: the orders of one customer, newest first. A list: one part an order.

use daybook_kernel::{EventAt, Instant, Part, Projection, ReadModel, StreamId};
use shop_proto::order::v1::OrderEvent;
use shop_proto::read::v1::{CustomerOrder, CustomerOrderView, CustomerOrders};

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<CustomerOrders>("customer-orders", None).with::<Orders>()
}

struct Orders;

impl Projection for Orders {
    type Event = OrderEvent;
    type View = CustomerOrderView;
    type Model = CustomerOrders;

    fn fold(view: &mut CustomerOrderView, event: &OrderEvent, at: &EventAt<'_>) {
        use OrderEvent as E;
        let Some(status) = event.leads_to() else { return };
        let order = view.order.get_or_insert_default();
        match event {
            E::OrderOpened(e) => {
                view.customer_id.clone_from(&e.customer_id);
                *order = CustomerOrder {
                    order_id: e.order_id.clone(),
                    pieces: e.lines.iter().fold(0, |sum, line| line.quantity.saturating_add(sum)),
                    ordered_at: e.ordered_at.or_else(|| Some(at.recorded_at.to_proto())),
                    ..Default::default()
                };
            }
            E::OrderPlaced(e) => order.total.clone_from(&e.total),
            E::OrderRejecting(e) => {
                order.reason.clone_from(&e.reason);
                // Only where prices have changed is it another one.
                if e.now.is_some() || e.expected.is_some() {
                    order.total.clone_from(&e.now);
                } else if e.total.is_some() {
                    order.total.clone_from(&e.total);
                }
            }
            E::OrderCancelling(e) => order.reason.clone_from(&e.reason),
            _ => {}
        }
        order.set_status(status);
    }

    fn render(view: &CustomerOrderView, _: &StreamId) -> Vec<Part<CustomerOrders>> {
        let Some(order) = view.order.as_ref().filter(|_| !view.customer_id.is_empty()) else { return Vec::new() };
        let ordered_at = order.ordered_at.as_ref().map(Instant::from_proto).unwrap_or_default();
        let part = format!("{}-{}", newest_first(ordered_at), order.order_id);
        vec![Part { key: view.customer_id.clone(), part, message: CustomerOrders { items: vec![order.clone()] } }]
    }
}

/// A sort key by which a later moment stands before an earlier one, also one before 1970: 16 hexadecimal digits.
fn newest_first(at: Instant) -> String {
    let rising = at.micros().cast_unsigned() ^ (1 << 63);
    format!("{:016x}", !rising)
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::Version;
    use proptest::prelude::*;
    use shop_proto::order::v1::{OrderOpened, OrderStatus};
    use shop_proto::samples::order::{cancelled, cancelling, opened, opening_refused, placed, prices_changed, rejected};
    use shop_proto::samples::{at, money, order, with};

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let other = |event: OrderEvent| with(&event, "order_id", "o-2");
        vec![
            Sample::of("o-1", [opened(), placed(), cancelling(), cancelled()]),
            Sample::of("o-2", [opened(), prices_changed(4000), rejected("prices-changed", true)].map(other)),
        ]
    }

    fn shown(events: &[OrderEvent]) -> Option<(String, String, CustomerOrder)> {
        let stream = StreamId::new("order", "o-1");
        let mut view = CustomerOrderView::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            Orders::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        let mut parts = Orders::render(&view, &stream);
        assert!(parts.len() < 2);
        parts.pop().map(|part| (part.key, part.part, part.message.items[0].clone()))
    }

    #[test]
    fn an_order_is_its_customers_and_shows_where_it_stands() {
        let (key, part, order) = shown(&[opened()]).expect("it is listed");
        assert_eq!((key.as_str(), part.ends_with("-o-1")), ("c-1", true));
        assert_eq!((order.status(), order.pieces, order.total.clone()), (OrderStatus::Opened, 2, None));
        let (.., order) = shown(&[opened(), placed()]).expect("it is listed");
        assert_eq!((order.status(), order.total), (OrderStatus::Placed, Some(money("EUR", 3998))));
        let (.., order) = shown(&[opened(), placed(), cancelling(), cancelled()]).expect("it is listed");
        assert_eq!((order.status(), order.reason.as_str(), order.total.is_some()), (OrderStatus::Cancelled, "cancelled", true));
        let (.., order) = shown(&[opened(), prices_changed(4000), rejected("prices-changed", true)]).expect("it is listed");
        assert_eq!(
            (order.status(), order.reason.as_str(), order.total),
            (OrderStatus::Rejected, "prices-changed", Some(money("EUR", 4000)))
        );
    }

    #[test]
    fn an_order_stands_where_it_was_ordered_and_stays_there() {
        let place = |events: &[OrderEvent]| shown(events).expect("it is listed").1;
        let loaded = |seconds| OrderEvent::from(OrderOpened { ordered_at: Some(at(seconds)), ..(&order::open()).into() });
        assert_eq!(place(&[opened()]), place(&[opened(), placed(), cancelling(), cancelled()]));
        assert!(place(&[loaded(2)]) < place(&[loaded(1)]));
        assert!(place(&[loaded(0)]) < place(&[opened()]), "opened in 1970, ordered in 2026");
    }

    #[test]
    fn another_carts_wish_for_its_id_lists_nothing() {
        assert_eq!(shown(&[opening_refused("k-2")]), None);
        assert_eq!(shown(&[opened(), opening_refused("k-2")]), shown(&[opened()]));
    }

    proptest! {
        #[test]
        fn a_later_moment_sorts_before_an_earlier_one(a: i64, b: i64) {
            let key = |micros| newest_first(Instant::from_micros(micros));
            prop_assert_eq!(key(a).cmp(&key(b)), b.cmp(&a));
            prop_assert_eq!(key(a).len(), 16);
        }
    }
}
