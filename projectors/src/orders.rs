//! `orders`: an order as its customer sees it. What is kept of the stream is what is shown.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::common::v1::Money;
use shop_proto::order::v1::{OrderEvent, OrderStatus};
use shop_proto::read::v1::{OrderMoment, OrderPage, OrderPageLine};

const ORDER: &str = "order";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<OrderPage>("orders", Some(ORDER)).with::<Orders>()
}

struct Orders;

impl Projection for Orders {
    type Event = OrderEvent;
    type View = OrderPage;
    type Model = OrderPage;

    fn fold(page: &mut OrderPage, event: &OrderEvent, at: &EventAt<'_>) {
        use OrderEvent as E;
        let Some(status) = event.leads_to() else { return };
        match event {
            E::OrderOpened(e) => {
                let none = e.expected_total.as_ref().map(|total| Money { currency: total.currency.clone(), minor_units: 0 });
                let bare = |sku: &str, quantity| OrderPageLine { sku: sku.to_owned(), quantity, ..Default::default() };
                *page = OrderPage {
                    order_id: e.order_id.clone(),
                    customer_id: e.customer_id.clone(),
                    lines: e.lines.iter().map(|line| bare(&line.sku, line.quantity)).collect(),
                    expected_total: e.expected_total.clone(),
                    authorised: none.clone(),
                    captured: none.clone(),
                    refunded: none,
                    delivery: e.delivery.clone(),
                    ordered_at: e.ordered_at.or_else(|| Some(at.recorded_at.to_proto())),
                    ..Default::default()
                };
            }
            E::OrderPlaced(e) => {
                page.total.clone_from(&e.total);
                let line = |line: &shop_proto::order::v1::OrderLine| OrderPageLine {
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                    price: line.price.clone(),
                    total: line.total.clone(),
                    title: line.title.clone(),
                    ..Default::default()
                };
                page.lines = e.lines.iter().map(line).collect();
            }
            E::OrderRejecting(e) => {
                page.reason.clone_from(&e.reason);
                page.total.clone_from(&e.now);
                page.unavailable.clone_from(&e.unavailable);
            }
            E::OrderCancelling(e) => page.reason.clone_from(&e.reason),
            _ => {}
        }
        page.set_status(status);
        page.timeline.push(OrderMoment { at: Some(at.recorded_at.to_proto()), what: what(status).to_owned() });
    }

    fn render(page: &OrderPage, stream: &StreamId) -> Vec<Part<OrderPage>> {
        if page.order_id.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: ORDER.to_owned(), message: page.clone() }]
    }
}

/// The code of a moment: where the order stands from then on.
fn what(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Unspecified => "",
        OrderStatus::Opened => "opened",
        OrderStatus::Placed => "placed",
        OrderStatus::Allocated => "allocated",
        OrderStatus::AwaitingPayment => "awaiting-payment",
        OrderStatus::ActionRequired => "action-required",
        OrderStatus::Confirmed => "confirmed",
        OrderStatus::PartlyShipped => "partly-shipped",
        OrderStatus::Shipped => "shipped",
        OrderStatus::Delivered => "delivered",
        OrderStatus::Completed => "completed",
        OrderStatus::Cancelling => "cancelling",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Rejecting => "rejecting",
        OrderStatus::Rejected => "rejected",
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use prost::Message as _;
    use shop_proto::order::v1::OrderOpened;
    use shop_proto::samples::order::{cancelled, cancelling, opened, opening_refused, placed, prices_changed, rejected, unavailable};
    use shop_proto::samples::{at, money, order, with};

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let other = |event: OrderEvent| with(&event, "order_id", "o-2");
        vec![
            Sample::of("o-1", [opened(), placed(), cancelling(), cancelled()]),
            Sample::of("o-2", [opened(), unavailable([("A-1", 2, 1)]), rejected("unavailable", true)].map(other)),
        ]
    }

    fn page(events: &[OrderEvent]) -> Option<OrderPage> {
        let stream = StreamId::new("order", "o-1");
        let mut view = OrderPage::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            Orders::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        let mut parts = Orders::render(&view, &stream);
        assert!(parts.len() < 2);
        let part = parts.pop()?;
        assert_eq!((part.key.as_str(), part.part.as_str(), &part.message), ("o-1", "order", &view), "it is kept once");
        Some(part.message)
    }

    fn timeline(page: &OrderPage) -> Vec<(i64, &str)> {
        page.timeline.iter().map(|moment| (moment.at.as_ref().map_or(0, |at| at.seconds), moment.what.as_str())).collect()
    }

    #[test]
    fn an_opened_order_shows_its_lines_and_no_money_yet() {
        let page = page(&[opened()]).expect("it is there");
        assert_eq!((page.order_id.as_str(), page.customer_id.as_str(), page.status()), ("o-1", "c-1", OrderStatus::Opened));
        assert_eq!(page.lines, [OrderPageLine { sku: "A-1".into(), quantity: 2, ..Default::default() }]);
        assert_eq!((page.total, page.expected_total), (None, Some(money("EUR", 3998))));
        assert_eq!([page.authorised, page.captured, page.refunded], [(); 3].map(|()| Some(money("EUR", 0))));
        assert_eq!((page.reason.as_str(), page.delivery.as_str(), page.ordered_at.map(|at| at.seconds)), ("", "standard", Some(1)));
    }

    #[test]
    fn a_placed_order_shows_what_it_costs_line_by_line() {
        let page = page(&[opened(), placed()]).expect("it is there");
        let line = &page.lines[0];
        assert_eq!((line.quantity, line.title.as_str(), line.shipped, line.returned), (2, "Lamp", 0, 0));
        assert_eq!((&line.price, &line.total), (&Some(money("EUR", 1999)), &Some(money("EUR", 3998))));
        assert_eq!((page.status(), &page.total), (OrderStatus::Placed, &Some(money("EUR", 3998))));
        assert_eq!(timeline(&page), [(1, "opened"), (2, "placed")]);
    }

    #[test]
    fn a_rejected_order_says_why_with_the_numbers() {
        let page_of = |events: &[OrderEvent]| page(events).expect("it is there");
        let changed = page_of(&[opened(), prices_changed(4000), rejected("prices-changed", true)]);
        assert_eq!((changed.status(), changed.reason.as_str()), (OrderStatus::Rejected, "prices-changed"));
        assert_eq!((&changed.total, &changed.expected_total), (&Some(money("EUR", 4000)), &Some(money("EUR", 3998))));
        assert_eq!(timeline(&changed), [(1, "opened"), (2, "rejecting"), (3, "rejected")]);
        let gone = page_of(&[opened(), unavailable([("A-1", 2, 1)])]);
        assert_eq!((gone.status(), gone.reason.as_str(), gone.total), (OrderStatus::Rejecting, "unavailable", None));
        assert_eq!(gone.unavailable.iter().map(|line| (line.requested, line.limit)).collect::<Vec<_>>(), [(2, 1)]);
    }

    #[test]
    fn a_cancelled_order_keeps_its_money_and_says_so() {
        let page = page(&[opened(), placed(), cancelling(), cancelled()]).expect("it is there");
        assert_eq!((page.status(), page.reason.as_str(), page.total.is_some()), (OrderStatus::Cancelled, "cancelled", true));
        assert_eq!(timeline(&page), [(1, "opened"), (2, "placed"), (3, "cancelling"), (4, "cancelled")]);
    }

    #[test]
    fn an_order_that_was_loaded_shows_when_it_was_ordered_and_the_timeline_when_it_was_written() {
        let loaded = OrderOpened { ordered_at: Some(at(0)), ..(&order::open()).into() };
        let page = page(&[loaded.into()]).expect("it is there");
        assert_eq!((page.ordered_at, timeline(&page)), (Some(at(0)), vec![(1, "opened")]));
    }

    #[test]
    fn another_carts_wish_for_its_id_shows_nothing_and_nothing_personal_is_shown() {
        assert_eq!(page(&[opening_refused("k-2")]), None);
        assert_eq!(page(&[opened(), opening_refused("k-2")]), page(&[opened()]));
        let shown =
            String::from_utf8_lossy(&page(&[opened(), placed(), cancelling(), cancelled()]).expect("there").encode_to_vec()).into_owned();
        for personal in ["someone@example.org", "Some One", "Long Street", "tok_ok", "attic"] {
            assert!(!shown.contains(personal), "{personal}");
        }
    }
}
