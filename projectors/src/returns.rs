//! `returns`: the pieces of an order that are sent back. What is kept of the stream is what is shown.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::order::v1::{HeldLine, OrderEvent, OrderRefundDue, OrderedLine, OwedRefund};
use shop_proto::read::v1::{ReturnItem, ReturnPage, ReturnRefund};

const RETURNS: &str = "returns";
/// The refund waits until its money is taken.
const OWED: &str = "owed";
const ASKED: &str = "asked";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<ReturnPage>("returns", Some(RETURNS)).with::<Returns>()
}

struct Returns;

impl Projection for Returns {
    type Event = OrderEvent;
    type View = ReturnPage;
    type Model = ReturnPage;

    fn fold(page: &mut ReturnPage, event: &OrderEvent, at: &EventAt<'_>) {
        use OrderEvent as E;
        let at = Some(at.recorded_at.to_proto());
        let status = |refund: u32, owed: &[OwedRefund]| match (refund, owed) {
            (0, []) => String::new(),
            (0, _) => OWED.to_owned(),
            _ => ASKED.to_owned(),
        };
        match event {
            E::OrderOpened(e) => {
                (page.order_id, page.customer_id) = (e.order_id.clone(), e.customer_id.clone());
            }
            E::OrderReturnRequested(e) => e.lines.iter().for_each(|line| expect(page, line)),
            E::OrderReturnRefused(e) => {
                let lines = e.lines.iter().map(|line| arrived(page, &line.sku, "", line.quantity)).collect();
                page.items.push(ReturnItem { at, what: "refused".into(), lines, ..Default::default() });
            }
            E::OrderReturned(e) => {
                let lines = e.lines.iter().map(|line| arrived(page, &line.sku, &line.warehouse, line.quantity)).collect();
                let (what, refund_status) = ("returned".into(), status(e.refund, &e.owed));
                let (condition, refund, amount, owed) = (e.condition, e.refund, e.amount.clone(), e.owed.clone());
                page.items.push(ReturnItem { at, what, lines, condition, refund, amount, refund_status, owed, more: Vec::new() });
            }
            E::OrderReturnedToSender(e) => {
                let held = |line: &OrderedLine| held(&line.sku, &e.warehouse, line.quantity);
                let (lines, what) = (e.lines.iter().map(held).collect(), "returned-to-sender".into());
                let (refund, amount, owed, refund_status) = (e.refund, e.amount.clone(), e.owed.clone(), status(e.refund, &e.owed));
                page.items.push(ReturnItem { at, what, lines, refund, amount, refund_status, owed, ..Default::default() });
            }
            E::OrderRefundDue(e) => due(page, e),
            E::OrderCaptureFailed(e) => not_taken(page, e.number),
            E::OrderRefunded(e) => settled(page, e.number, e.number, "refunded"),
            E::OrderRefundFailed(e) => settled(page, e.number, e.number, "failed"),
            E::OrderRefundRetried(e) => settled(page, e.failed, e.refund, ASKED),
            _ => {}
        }
    }

    /// An order of which nothing was ever sent back has no page.
    fn render(page: &ReturnPage, stream: &StreamId) -> Vec<Part<ReturnPage>> {
        if page.expected.is_empty() && page.items.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: RETURNS.to_owned(), message: page.clone() }]
    }
}

fn held(sku: &str, warehouse: &str, quantity: u32) -> HeldLine {
    HeldLine { sku: sku.to_owned(), warehouse: warehouse.to_owned(), quantity }
}

fn expect(page: &mut ReturnPage, line: &OrderedLine) {
    match page.expected.iter_mut().find(|known| known.sku == line.sku) {
        Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
        None => page.expected.push(line.clone()),
    }
}

/// They are expected no more; more may come than were.
fn arrived(page: &mut ReturnPage, sku: &str, warehouse: &str, quantity: u32) -> HeldLine {
    if let Some(known) = page.expected.iter_mut().find(|known| known.sku == sku) {
        known.quantity = known.quantity.saturating_sub(quantity);
    }
    page.expected.retain(|known| known.quantity > 0);
    held(sku, warehouse, quantity)
}

/// The money of pieces was taken only now, and is given back. It may be that of pieces that were lost, or did not leave.
fn due(page: &mut ReturnPage, e: &OrderRefundDue) {
    let is_it = |owed: &OwedRefund| owed.number == e.owed;
    let Some(item) = page.items.iter_mut().find(|item| item.owed.iter().any(is_it)) else { return };
    if let Some(n) = item.owed.iter().position(is_it) {
        item.owed.remove(n);
    }
    if item.refund == 0 {
        (item.refund, item.amount, item.refund_status) = (e.refund, e.amount.clone(), ASKED.to_owned());
    } else {
        item.more.push(ReturnRefund { refund: e.refund, amount: e.amount.clone(), status: ASKED.to_owned() });
    }
}

/// What could not be taken is not given back.
fn not_taken(page: &mut ReturnPage, capture: u32) {
    for item in &mut page.items {
        item.owed.retain(|owed| owed.capture != capture);
        if item.owed.is_empty() && item.refund_status == OWED {
            "not-taken".clone_into(&mut item.refund_status);
        }
    }
}

/// What has become of a refund, and the number that it has from then on.
fn settled(page: &mut ReturnPage, refund: u32, number: u32, status: &str) {
    for item in &mut page.items {
        if item.refund == refund {
            (item.refund, item.refund_status) = (number, status.to_owned());
        }
        for more in item.more.iter_mut().filter(|more| more.refund == refund) {
            (more.refund, more.status) = (number, status.to_owned());
        }
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::order::v1::*;
    use shop_proto::samples::order::{opened, ordered, placed};
    use shop_proto::samples::{money, with};

    use super::*;
    use crate::merging::Sample;

    fn id() -> String {
        "o-1".into()
    }

    fn requested(quantity: u32) -> OrderEvent {
        let (customer_id, explanation) = ("c-1".into(), "Too bright.".into());
        OrderReturnRequested { order_id: id(), lines: vec![ordered("A-1", quantity)], customer_id, explanation }.into()
    }

    fn returned(quantity: u32, refund: u32) -> OrderEvent {
        let lines = vec![held("A-1", "w-1", quantity)];
        let amount = Some(money("EUR", 1999));
        OrderReturned { order_id: id(), lines, condition: Condition::Damaged.into(), refund, amount, ..Default::default() }.into()
    }

    fn refunded(number: u32) -> OrderEvent {
        OrderRefunded { order_id: id(), number, amount: Some(money("EUR", 1999)) }.into()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let other = |event: OrderEvent| with(&event, "order_id", "o-2");
        vec![
            Sample::of("o-1", [opened(), placed(), requested(2), returned(1, 1), refunded(1)]),
            Sample::of("o-2", [opened(), requested(1)].map(other)),
        ]
    }

    fn page(events: &[OrderEvent]) -> Option<ReturnPage> {
        let stream = StreamId::new("order", "o-1");
        let mut view = ReturnPage::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(1_000_000 * n);
            Returns::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        Returns::render(&view, &stream).pop().map(|part| part.message)
    }

    #[test]
    fn an_order_of_which_nothing_is_sent_back_has_no_page() {
        assert_eq!(page(&[opened(), placed()]), None);
    }

    #[test]
    fn pieces_are_expected_until_they_come_or_are_refused() {
        let expected =
            |events: &[OrderEvent]| page(events).expect("it is shown").expected.iter().map(|line| line.quantity).collect::<Vec<_>>();
        assert_eq!(expected(&[opened(), requested(1), requested(1)]), [2]);
        assert_eq!(expected(&[opened(), requested(2), returned(1, 1)]), [1]);
        assert_eq!(expected(&[opened(), requested(1), returned(2, 1)]), [0_u32; 0]);
        let (customer_id, explanation, lines) = ("c-1".into(), "No.".into(), vec![ordered("A-1", 2)]);
        let refused = OrderReturnRefused { order_id: id(), lines, customer_id, explanation };
        let page = page(&[opened(), requested(2), refused.into()]).expect("it is shown");
        assert_eq!((page.expected.len(), page.items[0].what.as_str(), page.items[0].lines[0].quantity), (0, "refused", 2));
        assert_eq!((page.order_id.as_str(), page.customer_id.as_str()), ("o-1", "c-1"));
    }

    #[test]
    fn the_money_of_what_came_back_is_shown_with_what_became_of_it() {
        let status = |events: &[OrderEvent]| page(events).expect("it is shown").items[0].refund_status.clone();
        assert_eq!(status(&[opened(), returned(1, 0)]), "");
        assert_eq!(status(&[opened(), returned(1, 1), refunded(2)]), "asked");
        assert_eq!(status(&[opened(), returned(1, 1), refunded(1)]), "refunded");
        let failed = OrderRefundFailed { order_id: id(), number: 1, amount: None, code: "closed".into() };
        assert_eq!(status(&[opened(), returned(1, 1), failed.into()]), "failed");
        let (warehouse, lines) = ("w-1".into(), vec![ordered("A-1", 1)]);
        let back = OrderReturnedToSender { order_id: id(), number: 1, warehouse, lines, refund: 1, ..Default::default() };
        let page = page(&[opened(), back.into(), refunded(1)]).expect("it is shown");
        assert_eq!((page.items[0].what.as_str(), page.items[0].refund_status.as_str()), ("returned-to-sender", "refunded"));
    }

    #[test]
    fn money_that_was_not_taken_yet_is_owed_until_it_is_and_then_given_back() {
        let owed = |capture, minor_units| OwedRefund { capture, amount: Some(money("EUR", minor_units)), number: capture };
        let back = |refund, owed: Vec<OwedRefund>| -> OrderEvent {
            let (lines, amount) = (vec![held("A-1", "w-1", 1)], Some(money("EUR", if refund > 0 { 5 } else { 0 })));
            OrderReturned { order_id: id(), lines, condition: 1, refund, amount, owed, ..Default::default() }.into()
        };
        let due = |refund, capture, minor_units| -> OrderEvent {
            OrderRefundDue { order_id: id(), refund, amount: Some(money("EUR", minor_units)), capture, owed: capture }.into()
        };
        let item = |events: &[OrderEvent]| page(&[&[opened()], events].concat()).expect("it is shown").items.remove(0);
        let told = |events: &[OrderEvent]| {
            let item = item(events);
            (item.refund, item.refund_status, item.owed.len())
        };
        assert_eq!(told(&[back(0, vec![owed(1, 9)])]), (0, "owed".to_owned(), 1));
        assert_eq!(told(&[back(0, vec![owed(1, 9)]), due(1, 1, 9)]), (1, "asked".to_owned(), 0));
        assert_eq!(told(&[back(0, vec![owed(1, 9)]), due(1, 1, 9), refunded(1)]), (1, "refunded".to_owned(), 0));
        let failed = |number| OrderCaptureFailed { order_id: id(), number, ..Default::default() };
        assert_eq!(told(&[back(0, vec![owed(1, 9)]), failed(2).into()]), (0, "owed".to_owned(), 1));
        assert_eq!(told(&[back(0, vec![owed(1, 9)]), failed(1).into()]), (0, "not-taken".to_owned(), 0));
        // That of a lost piece costs as much, is taken with the same capture, and is no return's.
        let of_a_loss = OrderRefundDue { order_id: id(), refund: 1, amount: Some(money("EUR", 9)), capture: 1, owed: 7 };
        assert_eq!(told(&[back(0, vec![owed(1, 9)]), of_a_loss.into()]), (0, "owed".to_owned(), 1));
        // Pieces of two shipments, one of which was taken before.
        let two = item(&[back(1, vec![owed(2, 9)]), due(2, 2, 9), refunded(1)]);
        assert_eq!((two.refund_status.as_str(), two.more[0].refund, two.more[0].status.as_str()), ("refunded", 2, "asked"));
    }

    #[test]
    fn a_refund_that_is_tried_again_has_another_number() {
        let failed = |number| OrderEvent::from(OrderRefundFailed { order_id: id(), number, amount: None, code: "closed".into() });
        let again = OrderRefundRetried { order_id: id(), refund: 2, amount: Some(money("EUR", 1999)), failed: 1 };
        let tried = [opened(), returned(1, 1), failed(1), again.into()];
        let item = |events: &[OrderEvent]| page(events).expect("it is shown").items.remove(0);
        let shown = item(&tried);
        assert_eq!((shown.refund, shown.refund_status.as_str()), (2, "asked"));
        assert_eq!(item(&[&tried[..], &[refunded(2)]].concat()).refund_status, "refunded");
    }
}
