//! Money that could not be moved: it is owed until staff has it tried again.

use daybook_kernel::spec::{given, given_nothing};
use shop_proto::common::v1::Money;
use shop_proto::samples::money;
use shop_proto::samples::order::{captured, completed, confirmed, delivered, held, in_two_shipments, ordered, shipped};

use super::*;

fn id() -> String {
    "o-1".into()
}

fn eur(minor_units: i64) -> Option<Money> {
    Some(money("EUR", minor_units))
}

/// The customer owes all of it.
fn not_captured(number: u32) -> OrderEvent {
    capture_failed(number, 1999)
}

/// Of the amount the customer owes so much.
fn capture_failed(number: u32, owed: i64) -> OrderEvent {
    OrderCaptureFailed { order_id: id(), number, amount: eur(1999), code: "busy".into(), owed: eur(owed) }.into()
}

fn not_refunded(number: u32) -> OrderEvent {
    OrderRefundFailed { order_id: id(), number, amount: eur(1999), code: "closed".into() }.into()
}

/// Both lamps have arrived; of one the money could not be taken.
fn arrived(events: impl IntoIterator<Item = OrderEvent>) -> Vec<OrderEvent> {
    let way = [
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        captured(1, 1999),
        shipped(2, 2, 1999, OrderStatus::Shipped),
        not_captured(2),
        delivered(1, OrderStatus::Shipped),
        delivered(2, OrderStatus::Delivered),
        completed(),
    ];
    in_two_shipments().into_iter().chain(way).chain(events).collect()
}

fn retry_capture(number: u32) -> RetryCapture {
    RetryCapture { order_id: id(), number }
}

fn capture_again(capture: u32, failed: u32) -> OrderEvent {
    OrderCaptureRetried { order_id: id(), capture, amount: eur(1999), failed }.into()
}

fn not_retryable(number: u32) -> NotRetryable {
    NotRetryable { order_id: id(), number, why: "nothing-failed".into() }
}

fn rest_released() -> OrderEvent {
    OrderRestReleased { order_id: id() }.into()
}

/// One lamp comes back to where it had left from.
fn back(number: u32, refund: u32, minor_units: i64) -> OrderReturned {
    let (lines, condition, amount) = (vec![held("A-1", &format!("w-{number}"), 1)], Condition::Resalable.into(), eur(minor_units));
    OrderReturned { order_id: id(), lines, condition, refund, amount, ..Default::default() }
}

fn receive() -> ReceiveReturn {
    let (lines, condition) = (vec![ordered("A-1", 1)], Condition::Resalable.into());
    ReceiveReturn { order_id: id(), lines, condition, ..Default::default() }
}

#[test]
fn a_capture_that_failed_is_owed_until_it_is_tried_again_and_done() {
    given::<Order>(arrived([])).when(retry_capture(2)).then([capture_again(3, 2)]);
    let tried = || arrived([capture_again(3, 2)]);
    given::<Order>(tried()).when(retry_capture(2)).then_refused(not_retryable(2));
    let taken = RecordCaptured { order_id: id(), number: 3, amount: eur(1999) };
    given::<Order>(tried()).when(taken).then([captured(3, 1999)]);
    let no = RecordNotCaptured { order_id: id(), number: 3, amount: eur(1999), code: "busy".into() };
    given::<Order>(tried()).when(no).then([not_captured(3)]);
    let again = [tried(), vec![not_captured(3)]].concat();
    given::<Order>(again).when(retry_capture(3)).then([capture_again(4, 3)]);
    for number in [1, 3] {
        given::<Order>(arrived([])).when(retry_capture(number)).then_refused(not_retryable(number));
    }
    // It may have been done after all: whoever has lost the authorisation finds it out.
    let lost = OrderAuthorisationLost { order_id: id(), attempt: 1 }.into();
    given::<Order>(arrived([lost])).when(retry_capture(2)).then([capture_again(3, 2)]);
    given_nothing::<Order>().when(retry_capture(2)).then_refused(UnknownOrder { order_id: id() });
}

/// Nobody takes money for a piece that is back, and the rest of the authorisation is let go when nothing of it is owed.
#[test]
fn what_comes_back_is_owed_no_more_and_the_rest_is_let_go_then() {
    // The first that comes back was paid.
    given::<Order>(arrived([])).when(receive()).then([back(1, 1, 1999).into()]);
    let first = || arrived([back(1, 1, 1999).into()]);
    let no_longer_owed = vec![OwedCapture { capture: 2, amount: eur(1999) }];
    let unpaid = [OrderReturned { no_longer_owed, ..back(2, 0, 0) }.into(), rest_released()];
    given::<Order>(first()).when(receive()).then(unpaid.clone());
    let both = [first(), unpaid.to_vec()].concat();
    // It may have been taken after all: the payment looks, and gives all of it back.
    let nothing = OrderCaptureRetried { order_id: id(), capture: 3, amount: eur(0), failed: 2 };
    given::<Order>(both.clone()).when(retry_capture(2)).then([nothing.clone().into()]);
    let looked = RecordCaptured { order_id: id(), number: 3, amount: eur(0) };
    let both = [both, vec![nothing.into()]].concat();
    given::<Order>(both.clone()).when(looked).then([captured(3, 0)]);
    given::<Order>([both, vec![captured(3, 0)]].concat()).when(retry_capture(3)).then_refused(not_retryable(3));
    // While it is tried again, what it takes is given back when it is taken.
    let owed = vec![OwedRefund { capture: 3, amount: eur(1999), number: 1 }];
    let back_meanwhile = OrderEvent::from(OrderReturned { owed, ..back(2, 0, 0) });
    let trying = [first(), vec![capture_again(3, 2)]].concat();
    given::<Order>(trying.clone()).when(receive()).then([back_meanwhile.clone()]);
    let taken = RecordCaptured { order_id: id(), number: 3, amount: eur(1999) };
    let due = OrderRefundDue { order_id: id(), refund: 2, amount: eur(1999), capture: 3, owed: 1 };
    given::<Order>([trying.clone(), vec![back_meanwhile.clone()]].concat()).when(taken).then([captured(3, 1999), due.into()]);
    // It fails once more, and nothing of it is owed.
    let no = RecordNotCaptured { order_id: id(), number: 3, amount: eur(1999), code: "busy".into() };
    given::<Order>([trying, vec![back_meanwhile]].concat()).when(no).then([capture_failed(3, 0), rest_released()]);
}

/// Of two lamps in one shipment one was asked back: the shipment left without it, which is told before the answer is.
#[test]
fn pieces_that_a_shipment_left_without_lower_no_debt_of_it() {
    let lines = vec![ordered("A-1", 1)];
    let (customer_id, explanation) = ("c-1".into(), "Found it in the attic.".into());
    let way = [
        confirmed([("w-1", vec![ordered("A-1", 2)])]),
        OrderLinesCancelling { order_id: id(), number: 1, ask: 1, lines: lines.clone(), customer_id, explanation }.into(),
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        not_captured(1),
    ];
    let history: Vec<OrderEvent> = in_two_shipments().into_iter().take(5).chain(way).collect();
    let cancelled = OrderLinesCancelled {
        order_id: id(),
        number: 1,
        warehouse: "w-1".into(),
        lines: lines.clone(),
        reason: "cancelled".into(),
        amount: eur(0),
        ask: 1,
        status: OrderStatus::Shipped.into(),
        ..Default::default()
    };
    let answer = RecordShipmentCancelled { order_id: id(), number: 1, ask: 1, lines };
    given::<Order>(history.clone()).when(answer).then([cancelled.clone().into()]);
    given::<Order>([history, vec![cancelled.into()]].concat()).when(retry_capture(1)).then([capture_again(2, 1)]);
}

/// Events of earlier builds do not say what of a capture is owed.
#[test]
fn of_a_capture_that_failed_all_is_owed_where_its_event_does_not_say_how_much() {
    let way = [
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        OrderCaptureFailed { order_id: id(), number: 1, amount: eur(1999), code: "busy".into(), owed: None }.into(),
    ];
    let history: Vec<OrderEvent> = in_two_shipments().into_iter().chain(way).collect();
    given::<Order>(history).when(retry_capture(1)).then([capture_again(2, 1)]);
}

#[test]
fn a_refund_that_failed_is_owed_until_it_is_tried_again_and_done() {
    let retry = |number| RetryRefund { order_id: id(), number };
    let again = |refund, failed| OrderEvent::from(OrderRefundRetried { order_id: id(), refund, amount: eur(1999), failed });
    let failed = || arrived([back(1, 1, 1999).into(), not_refunded(1)]);
    given::<Order>(failed()).when(retry(1)).then([again(2, 1)]);
    let tried = || [failed(), vec![again(2, 1)]].concat();
    let done = RecordRefunded { order_id: id(), number: 2, amount: eur(1999) };
    given::<Order>(tried()).when(done.clone()).then([OrderRefunded::from(&done).into()]);
    for history in [arrived([]), arrived([back(1, 1, 1999).into()]), tried()] {
        given::<Order>(history).when(retry(1)).then_refused(not_retryable(1));
    }
    given_nothing::<Order>().when(retry(1)).then_refused(UnknownOrder { order_id: id() });
}
