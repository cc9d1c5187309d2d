//! Pieces come back.

use daybook_kernel::spec::{given, given_nothing};
use shop_proto::samples::order::{captured, completed, delivered, held, in_two_shipments, ordered, shipped};
use shop_proto::samples::{at, money};

use super::*;

fn id() -> String {
    "o-1".into()
}

/// Both lamps have arrived, and are paid.
fn arrived(events: impl IntoIterator<Item = OrderEvent>) -> Vec<OrderEvent> {
    let way = [
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        captured(1, 1999),
        shipped(2, 2, 1999, OrderStatus::Shipped),
        captured(2, 1999),
        delivered(1, OrderStatus::Shipped),
        delivered(2, OrderStatus::Delivered),
        completed(),
    ];
    in_two_shipments().into_iter().chain(way).chain(events).collect()
}

fn lines(quantity: u32) -> Vec<OrderedLine> {
    vec![ordered("A-1", quantity)]
}

fn request(quantity: u32) -> RequestReturn {
    RequestReturn { order_id: id(), lines: lines(quantity), reason: "Too bright.".into() }
}

fn requested(quantity: u32) -> OrderEvent {
    let (customer_id, explanation) = ("c-1".into(), "Too bright.".into());
    OrderReturnRequested { order_id: id(), lines: lines(quantity), customer_id, explanation }.into()
}

fn receive(quantity: u32, warehouse: &str) -> ReceiveReturn {
    ReceiveReturn {
        order_id: id(),
        lines: lines(quantity),
        condition: Condition::Resalable.into(),
        warehouse: warehouse.into(),
        reason: String::new(),
    }
}

fn returned(lines: Vec<HeldLine>, refund: u32, minor_units: i64) -> OrderEvent {
    OrderReturned {
        order_id: id(),
        lines,
        condition: Condition::Resalable.into(),
        refund,
        amount: Some(money("EUR", minor_units)),
        ..Default::default()
    }
    .into()
}

#[test]
fn a_customer_may_send_back_what_has_arrived_for_thirty_days() {
    given::<Order>(arrived([])).when(request(2)).then([requested(2)]);
    let day = 24 * 60 * 60;
    given::<Order>(arrived([])).at(Instant::from_proto(&at(30 * day))).when(request(1)).then([requested(1)]);
    let too_late = NotReturnable { order_id: id(), why: "too-late".into(), status: OrderStatus::Completed.into() };
    given::<Order>(arrived([])).at(Instant::from_proto(&at(30 * day + 1))).when(request(1)).then_refused(too_late);
    let more = UnknownLine { sku: "A-1".into(), requested: 3, possible: 2 };
    given::<Order>(arrived([])).when(request(3)).then_refused(more);
    let again = UnknownLine { sku: "A-1".into(), requested: 2, possible: 1 };
    given::<Order>(arrived([requested(1)])).when(request(2)).then_refused(again);
}

#[test]
fn what_has_not_arrived_can_t_be_sent_back() {
    let not = |status: OrderStatus| NotReturnable { order_id: id(), why: "not-delivered".into(), status: status.into() };
    given::<Order>(in_two_shipments()).when(request(1)).then_refused(not(OrderStatus::Confirmed));
    given::<Order>(in_two_shipments()).when(receive(1, "")).then_refused(not(OrderStatus::Confirmed));
    given_nothing::<Order>().when(request(1)).then_refused(UnknownOrder { order_id: id() });
    given_nothing::<Order>().when(receive(1, "")).then_refused(UnknownOrder { order_id: id() });
}

#[test]
fn what_is_back_already_is_refused_as_such() {
    let not = |why: &str, status: OrderStatus| NotReturnable { order_id: id(), why: why.into(), status: status.into() };
    let both = returned(vec![held("A-1", "w-1", 1), held("A-1", "w-2", 1)], 1, 3998);
    let is_back = not("already-returned", OrderStatus::Completed);
    given::<Order>(arrived([both.clone()])).when(request(1)).then_refused(is_back.clone());
    given::<Order>(arrived([both])).when(receive(1, "")).then_refused(is_back);
    // One is back, and the other may arrive still.
    let way = [
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        captured(1, 1999),
        delivered(1, OrderStatus::PartlyShipped),
        returned(vec![held("A-1", "w-1", 1)], 1, 1999),
    ];
    let one: Vec<OrderEvent> = in_two_shipments().into_iter().chain(way).collect();
    given::<Order>(one).when(request(1)).then_refused(not("not-delivered", OrderStatus::PartlyShipped));
}

#[test]
fn pieces_that_have_come_back_lie_where_they_had_left_from_or_where_it_is_said() {
    given::<Order>(arrived([requested(1)])).when(receive(1, "")).then([returned(vec![held("A-1", "w-1", 1)], 1, 1999)]);
    let both = vec![held("A-1", "w-1", 1), held("A-1", "w-2", 1)];
    given::<Order>(arrived([])).when(receive(2, "")).then([returned(both, 1, 3998)]);
    given::<Order>(arrived([])).when(receive(1, "w-9")).then([returned(vec![held("A-1", "w-9", 1)], 1, 1999)]);
    let one = returned(vec![held("A-1", "w-1", 1)], 1, 1999);
    given::<Order>(arrived([one.clone()])).when(receive(1, "")).then([returned(vec![held("A-1", "w-2", 1)], 2, 1999)]);
    let more = UnknownLine { sku: "A-1".into(), requested: 2, possible: 1 };
    given::<Order>(arrived([one])).when(receive(2, "")).then_refused(more);
}

#[test]
fn a_return_that_is_not_taken_leaves_the_pieces_with_the_customer() {
    let refuse = |quantity| RefuseReturn { order_id: id(), lines: lines(quantity), reason: "Broken by you.".into() };
    let (customer_id, explanation) = ("c-1".into(), "Broken by you.".into());
    let refused = OrderReturnRefused { order_id: id(), lines: lines(1), customer_id, explanation };
    given::<Order>(arrived([requested(1)])).when(refuse(1)).then([refused.clone().into()]);
    let none = UnknownLine { sku: "A-1".into(), requested: 1, possible: 0 };
    given::<Order>(arrived([requested(1), refused.into()])).when(refuse(1)).then_refused(none);
    given_nothing::<Order>().when(refuse(1)).then_refused(UnknownOrder { order_id: id() });
}

/// Both lamps were paid; the first was lost, and its money given back, and has arrived after all.
fn found(events: impl IntoIterator<Item = OrderEvent>) -> Vec<OrderEvent> {
    let (lines, amount) = (lines(1), Some(money("EUR", 1999)));
    let lost = OrderLost { order_id: id(), number: 1, lines: lines.clone(), refund: 1, amount, ..Default::default() };
    let way = [
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        captured(1, 1999),
        shipped(2, 2, 1999, OrderStatus::Shipped),
        captured(2, 1999),
        OrderLost { status: OrderStatus::Shipped.into(), ..lost }.into(),
        delivered(2, OrderStatus::Delivered),
        OrderFound { order_id: id(), number: 1, lines, delivered_at: Some(at(60)) }.into(),
    ];
    in_two_shipments().into_iter().chain(way).chain(events).collect()
}

#[test]
fn what_was_lost_and_found_comes_back_before_all_else_and_is_not_paid_back_once_more() {
    let first = || returned(vec![held("A-1", "w-1", 1)], 0, 0);
    given::<Order>(found([])).when(receive(1, "")).then([first()]);
    let second = returned(vec![held("A-1", "w-2", 1)], 2, 1999);
    given::<Order>(found([first()])).when(receive(1, "")).then([second]);
    let both = returned(vec![held("A-1", "w-1", 1), held("A-1", "w-2", 1)], 2, 1999);
    given::<Order>(found([])).when(receive(2, "")).then([both]);
    // Whichever the customer has said would come: it is no more expected.
    given::<Order>(found([requested(1)])).when(receive(1, "")).then([first()]);
    let two = || found([requested(2), first()]);
    given::<Order>(two()).when(RefuseReturn { order_id: id(), lines: lines(2), reason: String::new() }).then_refused(UnknownLine {
        sku: "A-1".into(),
        requested: 2,
        possible: 1,
    });
    // One was announced before the other was found: of the two that the customer has, one is kept, and that one is paid for.
    let mut announced = found([]);
    announced.insert(announced.len() - 1, requested(1));
    given::<Order>(announced.clone()).when(receive(1, "")).then([first()]);
    announced.push(first());
    let none = UnknownLine { sku: "A-1".into(), requested: 1, possible: 0 };
    given::<Order>(announced).when(RefuseReturn { order_id: id(), lines: lines(1), reason: String::new() }).then_refused(none);
}

/// What was lost was never paid where its capture failed: nothing more of what is owed for others is struck off when it comes back.
#[test]
fn what_was_lost_unpaid_and_found_is_owed_no_less_when_it_comes_back() {
    let one_shipment = |event| match event {
        OrderEvent::OrderPaid(e) => OrderPaid { captures_once: true, ..e }.into(),
        other => other,
    };
    let amount = || Some(money("EUR", 3998));
    let failed = OrderCaptureFailed { order_id: id(), number: 1, amount: amount(), code: "busy".into(), owed: amount() };
    let no_longer_owed = vec![OwedCapture { capture: 1, amount: Some(money("EUR", 1999)) }];
    let lost =
        OrderLost { order_id: id(), number: 1, lines: lines(1), amount: Some(money("EUR", 0)), no_longer_owed, ..Default::default() };
    let way = [
        shipped(1, 1, 3998, OrderStatus::PartlyShipped),
        failed.into(),
        shipped(2, 0, 0, OrderStatus::Shipped),
        OrderLost { status: OrderStatus::Shipped.into(), ..lost }.into(),
        delivered(2, OrderStatus::Delivered),
        OrderFound { order_id: id(), number: 1, lines: lines(1), delivered_at: Some(at(60)) }.into(),
        returned(vec![held("A-1", "w-1", 1)], 0, 0),
    ];
    let history: Vec<OrderEvent> = in_two_shipments().into_iter().map(one_shipment).chain(way).collect();
    let again = OrderCaptureRetried { order_id: id(), capture: 2, amount: Some(money("EUR", 1999)), failed: 1 };
    given::<Order>(history).when(RetryCapture { order_id: id(), number: 1 }).then([again.into()]);
}

/// One capture takes the money of a piece that is lost and of one that comes back, which cost the same.
#[test]
fn money_that_is_owed_until_it_is_taken_is_due_by_its_number() {
    let one_capture = |event| match event {
        OrderEvent::OrderPaid(e) => OrderPaid { captures_once: true, ..e }.into(),
        other => other,
    };
    let owed = |number| vec![OwedRefund { capture: 1, amount: Some(money("EUR", 1999)), number }];
    let lost = OrderLost { order_id: id(), number: 1, lines: lines(1), amount: Some(money("EUR", 0)), owed: owed(1), ..Default::default() };
    let way = [
        shipped(1, 1, 3998, OrderStatus::PartlyShipped),
        shipped(2, 0, 0, OrderStatus::Shipped),
        OrderLost { status: OrderStatus::Shipped.into(), ..lost }.into(),
        delivered(2, OrderStatus::Delivered),
    ];
    let arrived: Vec<OrderEvent> = in_two_shipments().into_iter().map(one_capture).chain(way).collect();
    let back = match returned(vec![held("A-1", "w-2", 1)], 0, 0) {
        OrderEvent::OrderReturned(e) => OrderEvent::from(OrderReturned { owed: owed(2), ..e }),
        other => other,
    };
    given::<Order>(arrived.clone()).when(receive(1, "")).then([back.clone()]);
    let taken = RecordCaptured { order_id: id(), number: 1, amount: Some(money("EUR", 3998)) };
    let due = |refund, owed| OrderRefundDue { order_id: id(), refund, amount: Some(money("EUR", 1999)), capture: 1, owed };
    given::<Order>([arrived, vec![back]].concat()).when(taken).then([captured(1, 3998), due(1, 1).into(), due(2, 2).into()]);
}

#[test]
fn a_refund_is_told_once_whether_it_succeeds_or_not() {
    let back = || arrived([returned(vec![held("A-1", "w-1", 1)], 1, 1999)]);
    let given_back = RecordRefunded { order_id: id(), number: 1, amount: Some(money("EUR", 1999)) };
    let event = OrderEvent::from(OrderRefunded::from(&given_back));
    given::<Order>(back()).when(given_back.clone()).then([event.clone()]);
    given::<Order>([back(), vec![event]].concat()).when(given_back.clone()).then_nothing();
    given::<Order>(back()).when(RecordRefunded { number: 2, ..given_back }).then_nothing();
    let cannot = RecordNotRefunded { order_id: id(), number: 1, amount: Some(money("EUR", 1999)), code: "closed".into() };
    let failed = OrderEvent::from(OrderRefundFailed::from(&cannot));
    given::<Order>(back()).when(cannot.clone()).then([failed.clone()]);
    given::<Order>([back(), vec![failed]].concat()).when(cannot).then_nothing();
}
