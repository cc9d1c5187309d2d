//! `orders`: an order as its customer sees it. What is kept of the stream is what is shown.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::common::v1::Money;
use shop_proto::holds;
use shop_proto::order::v1::{OrderCompleted, OrderEvent, OrderLine, OrderOpened, OrderStatus, OrderedLine, OwedCapture};
use shop_proto::read::v1::{OrderMoment, OrderPage, OrderPageFailure, OrderPageLine};

mod shipments;

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
        if page.order_id.is_empty() && !matches!(event, E::OrderOpened(_)) {
            return;
        }
        let status = event.leads_to();
        match event {
            E::OrderOpened(e) => open(page, e, at),
            E::OrderPlaced(e) => {
                page.total.clone_from(&e.total);
                page.lines = e.lines.iter().map(priced).collect();
            }
            E::OrderAwaitingPayment(e) => (page.pay_until, page.action_url) = (e.pay_until, String::new()),
            E::OrderActionRequired(e) => page.action_url.clone_from(&e.url),
            E::OrderPaymentDeclined(_) => page.action_url.clear(),
            E::OrderPaid(e) => {
                page.authorised.clone_from(&e.authorised);
                (page.pay_until, page.action_url) = (None, String::new());
            }
            E::OrderRejecting(e) => {
                page.reason.clone_from(&e.reason);
                if e.now.is_some() || e.expected.is_some() {
                    page.total.clone_from(&e.now);
                } else if e.total.is_some() {
                    page.total.clone_from(&e.total);
                }
                page.payment_limits = e.payment_limits;
                page.unavailable.clone_from(&e.unavailable);
                page.lacking.clone_from(&e.lacking);
                (page.pay_until, page.action_url) = (None, String::new());
            }
            E::OrderCancelling(e) => {
                page.reason.clone_from(&e.reason);
                (page.pay_until, page.action_url) = (None, String::new());
            }
            E::OrderCaptured(e) => captured(page, &e.amount),
            E::OrderRefunded(e) => add(&mut page.refunded, &e.amount),
            E::OrderCaptureFailed(e) => {
                // Events of earlier builds do not say what is owed.
                let owed = e.owed.as_ref().or(e.amount.as_ref());
                failed(page, "capture", e.number, &e.amount, &e.code, owed);
            }
            E::OrderRefundFailed(e) => failed(page, "refund", e.number, &e.amount, &e.code, e.amount.as_ref()),
            E::OrderCaptureRetried(e) => tried_again(page, "capture", e.failed),
            E::OrderRefundRetried(e) => tried_again(page, "refund", e.failed),
            // What was authorised is given up, and no more leaves.
            E::OrderCancelled(_) | E::OrderRejected(_) => {
                nothing(&mut page.authorised);
                page.lines.iter_mut().for_each(|line| line.cancelled = line.quantity.saturating_sub(line.shipped));
            }
            E::OrderAuthorisationLost(_) => page.authorised.clone_from(&page.captured),
            E::OrderCompleted(OrderCompleted { release_payment: true, .. }) | E::OrderRestReleased(_) => {
                page.authorised.clone_from(&page.captured)
            }
            E::OrderHeld(_) | E::OrderHoldEnded(_) => {
                holds::apply(&mut page.holds, event);
                page.held = !page.holds.is_empty();
            }
            _ => shipments::fold(page, event),
        }
        owed_no_more(page, event.no_longer_owed());
        if let Some(status) = status {
            page.set_status(status);
        }
        if let Some(what) = part_of(event).or(status.map(what)) {
            page.timeline.push(OrderMoment { at: Some(at.recorded_at.to_proto()), what: what.to_owned() });
        }
    }

    fn render(page: &OrderPage, stream: &StreamId) -> Vec<Part<OrderPage>> {
        if page.order_id.is_empty() {
            return Vec::new();
        }
        vec![Part { key: stream.key().to_owned(), part: ORDER.to_owned(), message: page.clone() }]
    }
}

fn open(page: &mut OrderPage, e: &OrderOpened, at: &EventAt<'_>) {
    let none = e.expected_total.as_ref().map(|total| Money { currency: total.currency.clone(), minor_units: 0 });
    let bare = |line: &OrderedLine| OrderPageLine { sku: line.sku.clone(), quantity: line.quantity, ..Default::default() };
    *page = OrderPage {
        order_id: e.order_id.clone(),
        customer_id: e.customer_id.clone(),
        lines: e.lines.iter().map(bare).collect(),
        expected_total: e.expected_total.clone(),
        authorised: none.clone(),
        captured: none.clone(),
        refunded: none,
        delivery: e.delivery.clone(),
        ordered_at: e.ordered_at.or_else(|| Some(at.recorded_at.to_proto())),
        ..Default::default()
    };
}

fn priced(line: &OrderLine) -> OrderPageLine {
    OrderPageLine {
        sku: line.sku.clone(),
        quantity: line.quantity,
        price: line.price.clone(),
        total: line.total.clone(),
        title: line.title.clone(),
        ..Default::default()
    }
}

fn nothing(sum: &mut Option<Money>) {
    if let Some(sum) = sum {
        sum.minor_units = 0;
    }
}

fn failed(page: &mut OrderPage, what: &str, number: u32, amount: &Option<Money>, code: &str, owed: Option<&Money>) {
    let (what, code) = (what.to_owned(), code.to_owned());
    page.failures.push(OrderPageFailure { what, number, amount: amount.clone(), code, owed: owed.cloned() });
}

/// Pieces do not stay: it is not paid for them. What has failed stays, and may be tried again: it may have been taken after all.
fn owed_no_more(page: &mut OrderPage, captures: &[OwedCapture]) {
    for less in captures {
        let is_it = |failure: &&mut OrderPageFailure| failure.what == "capture" && failure.number == less.capture;
        if let (Some(OrderPageFailure { owed: Some(owed), .. }), Some(amount)) = (page.failures.iter_mut().find(is_it), &less.amount) {
            owed.minor_units = owed.minor_units.saturating_sub(amount.minor_units).max(0);
        }
    }
}

fn tried_again(page: &mut OrderPage, what: &str, number: u32) {
    page.failures.retain(|failure| (failure.what.as_str(), failure.number) != (what, number));
}

/// What a try finds behind the end of an authorisation was taken by it.
fn captured(page: &mut OrderPage, amount: &Option<Money>) {
    add(&mut page.captured, amount);
    if let (Some(authorised), Some(captured)) = (&mut page.authorised, &page.captured) {
        authorised.minor_units = authorised.minor_units.max(captured.minor_units);
    }
}

fn add(sum: &mut Option<Money>, amount: &Option<Money>) {
    if let (Some(sum), Some(amount)) = (sum, amount) {
        sum.minor_units = sum.minor_units.saturating_add(amount.minor_units);
    }
}

/// The code of what happens to a part of an order: it stands where it stood, or that says less.
fn part_of(event: &OrderEvent) -> Option<&'static str> {
    use OrderEvent as E;
    match event {
        E::OrderPaymentDeclined(_) => Some("payment-declined"),
        E::OrderPaid(_) => Some("paid"),
        E::OrderCaptured(e) if e.amount.as_ref().is_some_and(|amount| amount.minor_units > 0) => Some("captured"),
        E::OrderCaptured(_) => Some("nothing-captured"),
        E::OrderCaptureFailed(_) => Some("capture-failed"),
        E::OrderCaptureRetried(_) => Some("capture-retried"),
        E::OrderRefundRetried(_) => Some("refund-retried"),
        E::OrderRefunded(_) => Some("refunded"),
        E::OrderRefundFailed(_) => Some("refund-failed"),
        E::OrderLinesCancelling(_) => Some("lines-cancelling"),
        E::OrderLinesCancelled(_) => Some("lines-cancelled"),
        E::OrderCancelTooLate(_) => Some("cancel-too-late"),
        E::OrderReturnRequested(_) => Some("return-requested"),
        E::OrderReturnRefused(_) => Some("return-refused"),
        E::OrderReturned(_) => Some("returned"),
        E::OrderLost(_) => Some("lost"),
        E::OrderFound(_) => Some("found"),
        E::OrderReturnedToSender(_) => Some("returned-to-sender"),
        E::OrderAuthorisationLost(_) => Some("authorisation-lost"),
        E::OrderDisputed(e) if e.amount.as_ref().is_some_and(|amount| amount.minor_units > 0) => Some("disputed"),
        E::OrderDisputed(_) => Some("dispute-settled"),
        E::OrderHeld(_) => Some("held"),
        E::OrderHoldEnded(_) => Some("hold-ended"),
        _ => None,
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
    use shop_proto::order::v1::*;
    use shop_proto::read::v1::{OrderPageShipment, OrderPageShipmentStatus};
    use shop_proto::samples::order::{
        allocated, awaiting, cancelled, cancelling, captured, completed, confirmed, delivered, from_minor_units, held, lamp, line, opened,
        opening_refused, ordered, paid, payment_not_taken, placed, placed_with, prices_changed, rejected, shipped, unavailable,
    };
    use shop_proto::samples::{at, money, order, with};

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let other = |event: OrderEvent| with(&event, "order_id", "o-2");
        vec![
            Sample::of("o-1", [opened(), placed(), cancelling(), cancelled()]),
            Sample::of("o-2", [opened(), unavailable([("A-1", 2, 1)]), rejected("unavailable", true)].map(other)),
            Sample::of("o-3", whole_way().into_iter().map(|event| with(&event, "order_id", "o-3"))),
            Sample::of("o-4", [opened(), placed(), allocated(), awaiting(1, "tok"), action()].map(|event| with(&event, "order_id", "o-4"))),
            Sample::of("o-5", [opened(), placed(), out_of_stock()].map(|event| with(&event, "order_id", "o-5"))),
            Sample::of("o-6", [opened(), payment_not_taken(from_minor_units(5000))].map(|event| with(&event, "order_id", "o-6"))),
            Sample::of("o-7", [opened(), placed(), not_captured(1)].map(|event| with(&event, "order_id", "o-7"))),
        ]
    }

    fn id() -> String {
        "o-1".into()
    }

    fn not_captured(number: u32) -> OrderEvent {
        let amount = || Some(money("EUR", 1999));
        OrderCaptureFailed { order_id: id(), number, amount: amount(), code: "busy".into(), owed: amount() }.into()
    }

    fn action() -> OrderEvent {
        OrderActionRequired { order_id: id(), attempt: 1, url: "https://bank.example/1".into() }.into()
    }

    fn out_of_stock() -> OrderEvent {
        let lacking = vec![LackingLine { sku: "A-1".into(), requested: 2, available: 1 }];
        let (order_id, cart_id, reason) = (id(), "k-1".into(), "out-of-stock".into());
        OrderRejecting { order_id, cart_id, reason, lacking, ..Default::default() }.into()
    }

    /// Three lamps, each in a shipment of its own: one arrives and comes back, one is lost, one does not leave.
    fn whole_way() -> Vec<OrderEvent> {
        use OrderStatus as S;
        let one = || vec![ordered("A-1", 1)];
        let (eur, back) = (|| Some(money("EUR", 1999)), || vec![held("A-1", "w-1", 1)]);
        let (customer_id, explanation) = ("c-1".to_owned(), "Too bright.".to_owned());
        vec![
            OrderOpened { lines: vec![ordered("A-1", 3)], ..(&order::open()).into() }.into(),
            placed_with(vec![line(&lamp(), 3)], 5997),
            allocated(),
            awaiting(1, "tok_no"),
            OrderPaymentDeclined { order_id: id(), attempt: 1, code: "expired".into() }.into(),
            awaiting(2, "tok_ok"),
            paid(),
            confirmed([("w-1", one()), ("w-2", one()), ("w-3", one())]),
            OrderLabelled { order_id: id(), number: 1, carrier: "parcel".into(), tracking: "P-1".into() }.into(),
            shipped(1, 1, 1999, S::PartlyShipped),
            captured(1, 1999),
            shipped(2, 2, 1999, S::PartlyShipped),
            captured(2, 1999),
            OrderLinesCancelled { order_id: id(), number: 3, lines: one(), status: S::Shipped.into(), ..Default::default() }.into(),
            delivered(1, S::Shipped),
            OrderLost {
                order_id: id(),
                number: 2,
                lines: one(),
                refund: 1,
                amount: eur(),
                status: S::Delivered.into(),
                ..Default::default()
            }
            .into(),
            OrderRefunded { order_id: id(), number: 1, amount: eur() }.into(),
            completed(),
            OrderReturnRequested { order_id: id(), lines: one(), customer_id, explanation }.into(),
            OrderReturned { order_id: id(), lines: back(), condition: 1, refund: 2, amount: eur(), ..Default::default() }.into(),
            OrderHeld {
                order_id: id(),
                numbers: vec![],
                reason: "staff".into(),
                explanation: "A dispute.".into(),
                customer_id: "c-1".into(),
            }
            .into(),
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
        let not_taken = page_of(&[opened(), payment_not_taken(from_minor_units(5000))]);
        assert_eq!((not_taken.reason.as_str(), &not_taken.total), ("payment-not-taken", &Some(money("EUR", 3998))));
        assert_eq!(not_taken.payment_limits, Some(from_minor_units(5000)));
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
    fn a_customer_who_has_to_pay_sees_until_when_and_where_and_no_more_when_that_is_over() {
        let page_of = |events: &[OrderEvent]| page(events).expect("it is there");
        let waiting = [opened(), placed(), allocated(), awaiting(1, "tok")];
        let shown = page_of(&waiting);
        assert_eq!((shown.status(), shown.pay_until), (OrderStatus::AwaitingPayment, Some(at(900))));
        let acting = page_of(&[&waiting[..], &[action()]].concat());
        assert_eq!((acting.status(), acting.action_url.as_str()), (OrderStatus::ActionRequired, "https://bank.example/1"));
        for end in [paid(), cancelling(), out_of_stock(), awaiting(2, "tok_other")] {
            let shown = page_of(&[&waiting[..], &[action(), end.clone()]].concat());
            assert_eq!((shown.action_url.as_str(), shown.pay_until.is_some()), ("", matches!(end, OrderEvent::OrderAwaitingPayment(_))));
        }
        let paid = page_of(&[&waiting[..], &[paid()]].concat());
        assert_eq!((paid.status(), paid.authorised), (OrderStatus::Allocated, Some(money("EUR", 3998))));
        let out = page_of(&[opened(), placed(), out_of_stock()]);
        assert_eq!((out.reason.as_str(), out.lacking[0].available, out.total), ("out-of-stock", 1, Some(money("EUR", 3998))));
    }

    #[test]
    fn pieces_and_shipments_show_what_became_of_them_and_money_what_was_taken_and_given_back() {
        use OrderPageShipmentStatus as S;
        let page = page(&whole_way()).expect("it is there");
        let shipment = |s: &OrderPageShipment| (s.number, s.status(), s.lines.len());
        let shipments: Vec<_> = page.shipments.iter().map(shipment).collect();
        assert_eq!(shipments, [(1, S::Delivered, 1), (2, S::Lost, 1), (3, S::Cancelled, 0)]);
        assert_eq!((page.shipments[0].carrier.as_str(), page.shipments[0].tracking.as_str()), ("parcel", "P-1"));
        let line = &page.lines[0];
        assert_eq!((line.quantity, line.shipped, line.returned, line.cancelled, line.lost), (3, 2, 1, 1, 1));
        assert_eq!((&page.captured, &page.refunded), (&Some(money("EUR", 3998)), &Some(money("EUR", 1999))));
        assert_eq!((page.status(), page.held, page.holds.concat().as_str()), (OrderStatus::Completed, true, "staff"));
        let told: Vec<&str> = page.timeline.iter().map(|moment| moment.what.as_str()).collect();
        for what in ["payment-declined", "paid", "confirmed", "captured", "lines-cancelled", "lost", "refunded", "completed", "returned"] {
            assert!(told.contains(&what), "{what} {told:?}");
        }
    }

    #[test]
    fn what_was_lost_and_found_is_lost_no_more() {
        let found = OrderFound { order_id: id(), number: 2, lines: vec![ordered("A-1", 1)], delivered_at: Some(at(0)) };
        let page = page(&[whole_way(), vec![found.into()]].concat()).expect("it is there");
        assert_eq!((page.shipments[1].status(), page.lines[0].lost), (OrderPageShipmentStatus::Delivered, 0));
        assert_eq!(page.timeline.last().map(|moment| moment.what.as_str()), Some("found"));
    }

    #[test]
    fn what_was_authorised_for_an_order_that_is_over_is_nothing() {
        let page = page(&[opened(), placed(), allocated(), awaiting(1, "tok"), paid(), cancelling(), cancelled()]).expect("it is there");
        assert_eq!(page.authorised, Some(money("EUR", 0)));
    }

    #[test]
    fn what_could_not_be_moved_is_shown_until_it_is_tried_again() {
        let no = OrderRefundFailed { order_id: id(), number: 1, amount: Some(money("EUR", 5)), code: "closed".into() };
        let failed = [opened(), placed(), not_captured(1), no.into()];
        let shown = |more: &[OrderEvent]| {
            let page = page(&[&failed[..], more].concat()).expect("it is there");
            page.failures.iter().map(|failure| (failure.what.clone(), failure.number)).collect::<Vec<_>>()
        };
        let of = |what: &str, number| (what.to_owned(), number);
        assert_eq!(shown(&[]), [of("capture", 1), of("refund", 1)]);
        let capture = OrderCaptureRetried { order_id: id(), capture: 2, amount: None, failed: 1 };
        let refund = OrderRefundRetried { order_id: id(), refund: 2, amount: None, failed: 1 };
        assert_eq!(shown(&[capture.clone().into()]), [of("refund", 1)]);
        assert_eq!(shown(&[capture.into(), refund.into(), not_captured(2)]), [of("capture", 2)]);
    }

    #[test]
    fn what_has_come_back_is_owed_no_more_and_may_be_tried_again_still() {
        let eur = |minor_units| Some(money("EUR", minor_units));
        let failure = |number, owed| OrderCaptureFailed { order_id: id(), number, amount: eur(3998), code: "busy".into(), owed: eur(owed) };
        let no = OrderRefundFailed { order_id: id(), number: 2, amount: eur(5), code: "closed".into() };
        let of_second = vec![OwedCapture { capture: 2, amount: eur(1999) }];
        let back = OrderReturned { order_id: id(), no_longer_owed: of_second.clone(), ..Default::default() };
        let lost = OrderLost { order_id: id(), no_longer_owed: of_second.clone(), ..Default::default() };
        let sent_back = OrderReturnedToSender { order_id: id(), no_longer_owed: of_second.clone(), ..Default::default() };
        let left_out = OrderLinesCancelled { order_id: id(), no_longer_owed: of_second, ..Default::default() };
        let owed = |more: &[OrderEvent]| {
            let failed = [opened(), placed(), failure(1, 1999).into(), failure(2, 3998).into(), no.clone().into()];
            let page = page(&[&failed[..], more].concat()).expect("it is there");
            page.failures.iter().map(|failure| failure.owed.as_ref().map_or(-1, |owed| owed.minor_units)).collect::<Vec<_>>()
        };
        assert_eq!(owed(&[]), [1999, 3998, 5]);
        for once in [OrderEvent::from(back), lost.into(), sent_back.into(), left_out.into()] {
            assert_eq!(owed(std::slice::from_ref(&once)), [1999, 1999, 5], "{once:?}");
            assert_eq!(owed(&[once.clone(), once]), [1999, 0, 5]);
        }
        let earlier = OrderCaptureFailed { owed: None, ..failure(3, 0) };
        assert_eq!(owed(&[earlier.into()]), [1999, 3998, 5, 3998], "an earlier build's event does not say it");
    }

    #[test]
    fn a_try_that_had_nothing_to_take_is_told_as_that() {
        let told = |taken| {
            let page = page(&[opened(), placed(), captured(1, taken)]).expect("it is there");
            page.timeline.last().map(|moment| moment.what.clone()).unwrap_or_default()
        };
        assert_eq!((told(1999).as_str(), told(0).as_str()), ("captured", "nothing-captured"));
    }

    #[test]
    fn no_piece_of_an_order_that_is_over_before_any_has_left_will_leave() {
        let pieces = |events: &[OrderEvent]| {
            let line = page(events).expect("it is there").lines.remove(0);
            (line.quantity, line.shipped, line.cancelled)
        };
        assert_eq!(pieces(&[opened(), placed(), cancelling()]), (2, 0, 0), "it is not over yet");
        assert_eq!(pieces(&[opened(), placed(), cancelling(), cancelled()]), (2, 0, 2));
        assert_eq!(pieces(&[opened(), unavailable([("A-1", 2, 1)]), rejected("unavailable", true)]), (2, 0, 2));
        let one_by_one = OrderLinesCancelled { order_id: id(), number: 1, lines: vec![ordered("A-1", 2)], ..Default::default() };
        assert_eq!(pieces(&[opened(), placed(), one_by_one.into(), cancelled()]), (2, 0, 2), "they are counted once");
    }

    #[test]
    fn what_a_try_finds_behind_the_end_of_an_authorisation_was_authorised() {
        let lost = OrderAuthorisationLost { order_id: id(), attempt: 1 };
        let no_more = [OrderRestReleased { order_id: id() }.into(), OrderEvent::from(lost)];
        for end in no_more {
            let way = [opened(), placed(), allocated(), awaiting(1, "tok"), paid(), not_captured(1), end];
            let money_of = |events: &[OrderEvent]| {
                let page = page(events).expect("it is there");
                [page.authorised, page.captured].map(|amount| amount.map_or(0, |amount| amount.minor_units))
            };
            assert_eq!(money_of(&way), [0, 0]);
            assert_eq!(money_of(&[&way[..], &[captured(2, 1999)]].concat()), [1999, 1999]);
        }
    }

    #[test]
    fn a_label_that_comes_after_its_shipment_has_left_is_kept_and_the_shipment_stays_where_it_is() {
        let way = [opened(), placed(), confirmed([("w-1", vec![ordered("A-1", 2)])]), shipped(1, 1, 3998, OrderStatus::Shipped)];
        let label = OrderLabelled { order_id: id(), number: 1, carrier: "parcel".into(), tracking: "P-1".into() };
        let page = page(&[&way[..], &[label.into()]].concat()).expect("it is there");
        assert_eq!((page.shipments[0].status(), page.shipments[0].tracking.as_str()), (OrderPageShipmentStatus::Dispatched, "P-1"));
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
