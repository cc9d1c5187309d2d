//! Money that could not be moved: it is owed until staff has it tried again.

use daybook_kernel::spec::{given, given_nothing};
use shop_proto::common::v1::Money;
use shop_proto::samples::money;
use shop_proto::samples::order::{captured, completed, delivered, held, in_two_shipments, ordered, shipped};

use super::*;

fn id() -> String {
    "o-1".into()
}

fn eur(minor_units: i64) -> Option<Money> {
    Some(money("EUR", minor_units))
}

fn not_captured(number: u32) -> OrderEvent {
    OrderCaptureFailed { order_id: id(), number, amount: eur(1999), code: "busy".into() }.into()
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
fn back(number: u32, refund: u32, minor_units: i64) -> OrderEvent {
    let (lines, condition, amount) = (vec![held("A-1", &format!("w-{number}"), 1)], Condition::Resalable.into(), eur(minor_units));
    OrderReturned { order_id: id(), lines, condition, refund, amount, owed: vec![] }.into()
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
    given::<Order>(arrived([])).when(receive()).then([back(1, 1, 1999)]);
    let first = || arrived([back(1, 1, 1999)]);
    given::<Order>(first()).when(receive()).then([back(2, 0, 0), rest_released()]);
    let both = [first(), vec![back(2, 0, 0), rest_released()]].concat();
    // It may have been taken after all: the payment looks, and gives all of it back.
    let nothing = OrderCaptureRetried { order_id: id(), capture: 3, amount: eur(0), failed: 2 };
    given::<Order>(both.clone()).when(retry_capture(2)).then([nothing.clone().into()]);
    let looked = RecordCaptured { order_id: id(), number: 3, amount: eur(0) };
    let both = [both, vec![nothing.into()]].concat();
    given::<Order>(both.clone()).when(looked).then([captured(3, 0)]);
    given::<Order>([both, vec![captured(3, 0)]].concat()).when(retry_capture(3)).then_refused(not_retryable(3));
    // While it is tried again, what it takes is given back when it is taken.
    let owed = vec![OwedRefund { capture: 3, amount: eur(1999), number: 1 }];
    let back_meanwhile = match back(2, 0, 0) {
        OrderEvent::OrderReturned(e) => OrderEvent::from(OrderReturned { owed, ..e }),
        other => other,
    };
    let trying = [first(), vec![capture_again(3, 2)]].concat();
    given::<Order>(trying.clone()).when(receive()).then([back_meanwhile.clone()]);
    let taken = RecordCaptured { order_id: id(), number: 3, amount: eur(1999) };
    let due = OrderRefundDue { order_id: id(), refund: 2, amount: eur(1999), capture: 3, owed: 1 };
    given::<Order>([trying.clone(), vec![back_meanwhile.clone()]].concat()).when(taken).then([captured(3, 1999), due.into()]);
    // It fails once more, and nothing of it is owed.
    let no = RecordNotCaptured { order_id: id(), number: 3, amount: eur(1999), code: "busy".into() };
    given::<Order>([trying, vec![back_meanwhile]].concat()).when(no).then([not_captured(3), rest_released()]);
}

#[test]
fn a_refund_that_failed_is_owed_until_it_is_tried_again_and_done() {
    let retry = |number| RetryRefund { order_id: id(), number };
    let again = |refund, failed| OrderEvent::from(OrderRefundRetried { order_id: id(), refund, amount: eur(1999), failed });
    let failed = || arrived([back(1, 1, 1999), not_refunded(1)]);
    given::<Order>(failed()).when(retry(1)).then([again(2, 1)]);
    let tried = || [failed(), vec![again(2, 1)]].concat();
    let done = RecordRefunded { order_id: id(), number: 2, amount: eur(1999) };
    given::<Order>(tried()).when(done.clone()).then([OrderRefunded::from(&done).into()]);
    for history in [arrived([]), arrived([back(1, 1, 1999)]), tried()] {
        given::<Order>(history).when(retry(1)).then_refused(not_retryable(1));
    }
    given_nothing::<Order>().when(retry(1)).then_refused(UnknownOrder { order_id: id() });
}
