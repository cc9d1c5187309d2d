//! Shipments: cancelled, left, arrived, lost, and their money.

use daybook_kernel::spec::{SPEC_TIME, given, given_nothing};
use daybook_kernel::{EventAt, Instant, Reactor as _, ServiceMessage, StreamId, Version};
use shop_proto::samples::order::{
    allocated, awaiting, cancel, captured, completed, confirmed, delivered, held as held_there, in_two_shipments, ordered, paid,
    record_confirmed, shipped, undoing,
};
use shop_proto::samples::{at, money};
use shop_proto::shipping::v1::{HoldShipment, ShipmentCommand};

use super::*;

fn id() -> String {
    "o-1".into()
}

fn one() -> Vec<OrderedLine> {
    vec![ordered("A-1", 1)]
}

fn after(events: impl IntoIterator<Item = OrderEvent>) -> Vec<OrderEvent> {
    in_two_shipments().into_iter().chain(events).collect()
}

/// The same order, of a provider that takes one capture only.
fn once(events: impl IntoIterator<Item = OrderEvent>) -> Vec<OrderEvent> {
    let one_capture = |event| match event {
        OrderEvent::OrderPaid(e) => OrderPaid { captures_once: true, ..e }.into(),
        other => other,
    };
    after(events).into_iter().map(one_capture).collect()
}

/// More was authorised than taken.
fn completed_with_a_rest() -> OrderEvent {
    OrderCompleted { order_id: id(), cart_id: "k-1".into(), release_payment: true }.into()
}

fn dispatched(number: u32) -> RecordDispatched {
    RecordDispatched { order_id: id(), number, lines: one() }
}

fn record_delivered(number: u32) -> RecordDelivered {
    RecordDelivered { order_id: id(), number }
}

fn cancel_lines(quantity: u32) -> CancelLines {
    CancelLines { order_id: id(), lines: vec![ordered("A-1", quantity)], reason: "Too many.".into() }
}

fn asked_back(number: u32, ask: u32, explanation: &str) -> OrderEvent {
    let (customer_id, explanation) = ("c-1".into(), explanation.into());
    OrderLinesCancelling { order_id: id(), number, ask, lines: one(), customer_id, explanation }.into()
}

fn lines_cancelled(number: u32, ask: u32, reason: &str, refund: u32, minor_units: i64, status: OrderStatus) -> OrderEvent {
    OrderLinesCancelled {
        order_id: id(),
        number,
        warehouse: format!("w-{number}"),
        lines: one(),
        reason: reason.into(),
        refund,
        amount: Some(money("EUR", minor_units)),
        ask,
        status: status.into(),
        ..Default::default()
    }
    .into()
}

/// So much of the capture is owed.
fn capture_failed(told: &RecordNotCaptured, owed: i64) -> OrderEvent {
    OrderCaptureFailed { owed: Some(money("EUR", owed)), ..told.into() }.into()
}

fn answered(number: u32, ask: u32) -> RecordShipmentCancelled {
    RecordShipmentCancelled { order_id: id(), number, ask, lines: one() }
}

#[test]
fn the_money_of_pieces_is_taken_when_they_leave_to_the_cent() {
    given::<Order>(after([])).when(dispatched(1)).then([shipped(1, 1, 1999, OrderStatus::PartlyShipped)]);
    let first = shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    given::<Order>(after([first.clone()])).when(dispatched(2)).then([shipped(2, 2, 1999, OrderStatus::Shipped)]);
    given::<Order>(after([first.clone()])).when(dispatched(1)).then_nothing();
    given::<Order>(after([first])).when(dispatched(3)).then_nothing();
    given_nothing::<Order>().when(dispatched(1)).then_nothing();
}

#[test]
fn of_a_provider_that_takes_one_capture_the_first_takes_all_that_is_not_cancelled() {
    given::<Order>(once([])).when(dispatched(1)).then([shipped(1, 1, 3998, OrderStatus::PartlyShipped)]);
    let first = shipped(1, 1, 3998, OrderStatus::PartlyShipped);
    given::<Order>(once([first.clone()])).when(dispatched(2)).then([shipped(2, 0, 0, OrderStatus::Shipped)]);
    // And what is cancelled after that is given back.
    let asked = once([first, captured(1, 3998), asked_back(2, 1, "Too many.")]);
    given::<Order>(asked).when(answered(2, 1)).then([lines_cancelled(2, 1, "cancelled", 1, 1999, OrderStatus::Shipped)]);
    let one_cancelled = [asked_back(2, 1, ""), lines_cancelled(2, 1, "cancelled", 0, 0, OrderStatus::Confirmed)];
    given::<Order>(once(one_cancelled)).when(dispatched(1)).then([shipped(1, 1, 1999, OrderStatus::Shipped)]);
}

#[test]
fn an_order_is_completed_when_all_has_arrived_and_its_money_was_taken() {
    let left = || vec![shipped(1, 1, 1999, OrderStatus::PartlyShipped), shipped(2, 2, 1999, OrderStatus::Shipped)];
    let arrived = || [left(), vec![delivered(1, OrderStatus::Shipped), delivered(2, OrderStatus::Delivered)]].concat();
    given::<Order>(after(left())).when(record_delivered(1)).then([delivered(1, OrderStatus::Shipped)]);
    let taken = |number| RecordCaptured { order_id: id(), number, amount: Some(money("EUR", 1999)) };
    given::<Order>(after(arrived())).when(taken(1)).then([captured(1, 1999)]);
    given::<Order>(after([arrived(), vec![captured(1, 1999)]].concat())).when(taken(2)).then([captured(2, 1999), completed()]);
    given::<Order>(after([arrived(), vec![captured(1, 1999)]].concat())).when(taken(1)).then_nothing();
    let cannot = RecordNotCaptured { order_id: id(), number: 2, amount: Some(money("EUR", 1999)), code: "expired".into() };
    let failed = capture_failed(&cannot, 1999);
    given::<Order>(after([arrived(), vec![captured(1, 1999)]].concat())).when(cannot).then([failed, completed()]);
    let first_taken = [left(), vec![captured(1, 1999), captured(2, 1999), delivered(2, OrderStatus::Shipped)]].concat();
    given::<Order>(after(first_taken)).when(record_delivered(1)).then([delivered(1, OrderStatus::Delivered), completed()]);
}

#[test]
fn what_has_arrived_has_left_before_be_it_that_nobody_had_said_so() {
    let both = [shipped(1, 1, 1999, OrderStatus::PartlyShipped), delivered(1, OrderStatus::PartlyShipped)];
    given::<Order>(after([])).when(record_delivered(1)).then(both.clone());
    given::<Order>(after(both.clone())).when(dispatched(1)).then_nothing();
    given::<Order>(after(both)).when(record_delivered(1)).then_nothing();
    given_nothing::<Order>().when(record_delivered(1)).then_nothing();
}

#[test]
fn the_money_of_pieces_that_are_lost_is_given_back() {
    let lost = |number| RecordLost { order_id: id(), number };
    let first = || [shipped(1, 1, 1999, OrderStatus::PartlyShipped), captured(1, 1999)];
    let event = OrderLost {
        order_id: id(),
        number: 1,
        lines: one(),
        refund: 1,
        amount: Some(money("EUR", 1999)),
        status: OrderStatus::PartlyShipped.into(),
        ..Default::default()
    };
    given::<Order>(after(first())).when(lost(1)).then([event.clone().into()]);
    given::<Order>(after(first().into_iter().chain([event.into()]))).when(lost(1)).then_nothing();
    given::<Order>(after(first().into_iter().chain([delivered(1, OrderStatus::PartlyShipped)]))).when(lost(1)).then_nothing();
}

#[test]
fn money_that_is_not_taken_yet_is_given_back_when_it_is_and_never_when_it_can_t_be() {
    let euros = |units| Some(money("EUR", units));
    let owed = vec![OwedRefund { capture: 1, amount: euros(1999), number: 1 }];
    let status = OrderStatus::PartlyShipped.into();
    let lost = OrderLost { order_id: id(), number: 1, lines: one(), amount: euros(0), owed, status, ..Default::default() };
    let left = || after([shipped(1, 1, 1999, OrderStatus::PartlyShipped)]);
    given::<Order>(left()).when(RecordLost { order_id: id(), number: 1 }).then([lost.clone().into()]);
    let owing = || [left(), vec![lost.clone().into()]].concat();
    let due = OrderRefundDue { order_id: id(), refund: 1, amount: euros(1999), capture: 1, owed: 1 };
    let taken = RecordCaptured { order_id: id(), number: 1, amount: euros(1999) };
    given::<Order>(owing()).when(taken).then([captured(1, 1999), due.into()]);
    let cannot = RecordNotCaptured { order_id: id(), number: 1, amount: euros(1999), code: "expired".into() };
    given::<Order>(owing()).when(cannot.clone()).then([capture_failed(&cannot, 0)]);
    // Nor is it given back where it is known before that it could not be taken: it would be another shipment's. It is owed no more.
    let failed = [left(), vec![capture_failed(&cannot, 1999)]].concat();
    let unpaid = OrderLost { owed: vec![], no_longer_owed: vec![OwedCapture { capture: 1, amount: euros(1999) }], ..lost };
    given::<Order>(failed).when(RecordLost { order_id: id(), number: 1 }).then([unpaid.into()]);
}

#[test]
fn a_parcel_that_nobody_took_comes_back_with_its_money() {
    let back = RecordReturnedToSender { order_id: id(), number: 1 };
    let event = OrderReturnedToSender {
        order_id: id(),
        number: 1,
        warehouse: "w-1".into(),
        lines: one(),
        refund: 1,
        amount: Some(money("EUR", 1999)),
        status: OrderStatus::PartlyShipped.into(),
        ..Default::default()
    };
    given::<Order>(after([shipped(1, 1, 1999, OrderStatus::PartlyShipped), captured(1, 1999)])).when(back).then([event.into()]);
}

#[test]
fn pieces_that_have_not_left_may_be_cancelled_once_their_shipment_agrees() {
    given::<Order>(after([])).when(cancel_lines(1)).then([asked_back(1, 1, "Too many.")]);
    given::<Order>(after([])).when(cancel_lines(2)).then([asked_back(1, 1, "Too many."), asked_back(2, 1, "Too many.")]);
    let asked = || after([asked_back(1, 1, "")]);
    given::<Order>(asked()).when(cancel_lines(1)).then([asked_back(2, 1, "Too many.")]);
    let more = UnknownLine { sku: "A-1".into(), requested: 2, possible: 1 };
    given::<Order>(asked()).when(cancel_lines(2)).then_refused(more);
    given::<Order>(asked()).when(answered(1, 1)).then([lines_cancelled(1, 1, "cancelled", 0, 0, OrderStatus::Confirmed)]);
    given::<Order>(asked()).when(answered(1, 2)).then_nothing();
    let done = after([asked_back(1, 1, ""), lines_cancelled(1, 1, "cancelled", 0, 0, OrderStatus::Confirmed)]);
    given::<Order>(done).when(answered(1, 1)).then_nothing();
}

#[test]
fn lines_that_can_t_be_cancelled_are_refused_with_where_the_order_stands() {
    given_nothing::<Order>().when(cancel_lines(1)).then_refused(UnknownOrder { order_id: id() });
    let left = [shipped(1, 1, 1999, OrderStatus::PartlyShipped), shipped(2, 2, 1999, OrderStatus::Shipped)];
    for (history, status) in [(vec![opened()], OrderStatus::Opened), (after(left), OrderStatus::Shipped)] {
        let refusal = NotCancellable { order_id: id(), status: status.into() };
        given::<Order>(history).when(cancel_lines(1)).then_refused(refusal);
    }
    let other = CancelLines { lines: vec![ordered("B-2", 1)], ..cancel_lines(1) };
    given::<Order>(after([])).when(other).then_refused(UnknownLine { sku: "B-2".into(), requested: 1, possible: 0 });
}

#[test]
fn an_order_of_which_all_is_cancelled_is_cancelled_and_undone() {
    given::<Order>(after([])).when(cancel()).then([asked_back(1, 1, &cancel().reason), asked_back(2, 1, &cancel().reason)]);
    let both = [asked_back(1, 1, ""), asked_back(2, 1, ""), lines_cancelled(1, 1, "cancelled", 0, 0, OrderStatus::Confirmed)];
    let nobody = match undoing(false, true) {
        OrderEvent::OrderCancelling(e) => OrderCancelling { explanation: String::new(), ..e },
        other => panic!("{other:?}"),
    };
    let last = lines_cancelled(2, 1, "cancelled", 0, 0, OrderStatus::Confirmed);
    given::<Order>(after(both)).when(answered(2, 1)).then([last, nobody.into()]);
    given::<Order>(after([asked_back(1, 1, ""), asked_back(2, 1, "")])).when(cancel()).then_nothing();
}

#[test]
fn cancelling_an_order_leaves_what_has_left() {
    let first = shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    given::<Order>(after([first.clone()])).when(cancel()).then([asked_back(2, 1, &cancel().reason)]);
    let all = [first, shipped(2, 2, 1999, OrderStatus::Shipped)];
    given::<Order>(after(all)).when(cancel()).then_refused(NotCancellable { order_id: id(), status: OrderStatus::Shipped.into() });
}

#[test]
fn pieces_that_were_cancelled_too_late_are_on_their_way() {
    let late = |number, ask| RecordCancelTooLate { order_id: id(), number, ask };
    let event = |number, ask| OrderEvent::from(OrderCancelTooLate { order_id: id(), number, ask });
    // It may be that not all was there: what is there is asked back again.
    given::<Order>(after([asked_back(1, 1, "")])).when(late(1, 1)).then([event(1, 1), asked_back(1, 2, "")]);
    given::<Order>(after([asked_back(1, 1, "")])).when(late(1, 2)).then_nothing();
    let back = after([asked_back(1, 1, ""), event(1, 1), asked_back(1, 2, "")]);
    given::<Order>(back).when(dispatched(1)).then([shipped(1, 1, 1999, OrderStatus::PartlyShipped)]);
    // Told in the other order: the same, and once.
    let left = || after([asked_back(1, 1, ""), shipped(1, 1, 1999, OrderStatus::PartlyShipped)]);
    given::<Order>(left()).when(late(1, 1)).then([event(1, 1)]);
    given::<Order>([left(), vec![event(1, 1)]].concat()).when(late(1, 1)).then_nothing();
    // Of pieces that were not found nobody hears that they are on their way.
    let not_found = lines_cancelled(1, 0, "short-pick", 0, 0, OrderStatus::Confirmed);
    given::<Order>(after([asked_back(1, 1, ""), not_found])).when(late(1, 1)).then_nothing();
}

#[test]
fn pieces_that_were_cancelled_too_late_have_the_end_of_their_shipment_be_it_told_before() {
    let asked = || after([asked_back(1, 1, "")]);
    let empty = |event: OrderEvent| match event {
        OrderEvent::OrderShipped(e) => OrderShipped { lines: vec![], capture: 0, amount: Some(money("EUR", 0)), ..e }.into(),
        OrderEvent::OrderDelivered(e) => OrderDelivered { lines: vec![], ..e }.into(),
        other => other,
    };
    let told = [shipped(1, 0, 0, OrderStatus::Confirmed), delivered(1, OrderStatus::Confirmed)].map(empty);
    given::<Order>(asked()).when(record_delivered(1)).then(told.clone());
    let late = RecordCancelTooLate { order_id: id(), number: 1, ask: 1 };
    let after_all = [
        OrderCancelTooLate { order_id: id(), number: 1, ask: 1 }.into(),
        shipped(1, 1, 1999, OrderStatus::PartlyShipped),
        delivered(1, OrderStatus::PartlyShipped),
    ];
    given::<Order>([asked(), told.to_vec()].concat()).when(late).then(after_all);
}

#[test]
fn pieces_that_were_not_found_are_cancelled_and_the_rest_goes_on() {
    let short = RecordShortPick { order_id: id(), number: 1, lines: one() };
    given::<Order>(after([])).when(short.clone()).then([lines_cancelled(1, 0, "short-pick", 0, 0, OrderStatus::Confirmed)]);
    let left = after([shipped(1, 1, 1999, OrderStatus::PartlyShipped)]);
    given::<Order>(left).when(short).then_nothing();
}

#[test]
fn one_of_two_pieces_that_were_asked_back_is_not_found_and_the_other_is_left_out() {
    let asks = |ask| OrderLinesCancelling { order_id: id(), number: 1, ask, lines: one(), customer_id: "c-1".into(), ..Default::default() };
    let two = vec![
        OrderOpened { lines: vec![ordered("A-1", 2)], place_by: Some(at(30)), ..(&open()).into() }.into(),
        placed(),
        allocated(),
        awaiting(1, "tok_ok"),
        paid(),
        confirmed([("w-1", vec![ordered("A-1", 2)])]),
        asks(1).into(),
        asks(2).into(),
    ];
    let short = RecordShortPick { order_id: id(), number: 1, lines: one() };
    let not_found = lines_cancelled(1, 0, "short-pick", 0, 0, OrderStatus::Confirmed);
    given::<Order>(two.clone()).when(short).then([not_found.clone()]);
    // The first ask is answered, though its piece was counted as not found: it is the second's that was left out.
    let history = [two, vec![not_found]].concat();
    given::<Order>(history.clone()).when(answered(1, 3)).then_nothing();
    let left_out = lines_cancelled(1, 1, "cancelled", 0, 0, OrderStatus::Confirmed);
    let cancelling = match undoing(false, true) {
        OrderEvent::OrderCancelling(e) => OrderCancelling { explanation: String::new(), ..e }.into(),
        other => other,
    };
    given::<Order>(history).when(answered(1, 1)).then([left_out, cancelling]);
}

#[test]
fn a_label_is_told_once() {
    let label = RecordLabelled { order_id: id(), number: 1, carrier: "parcel".into(), tracking: "P-1".into() };
    let event = || OrderEvent::from(OrderLabelled::from(&label));
    given::<Order>(after([])).when(label.clone()).then([event()]);
    given::<Order>(after([event()])).when(label.clone()).then_nothing();
    given_nothing::<Order>().when(label).then_nothing();
}

#[test]
fn an_order_is_held_and_goes_on_with_the_shipments_that_are_open() {
    let hold = HoldOrder { order_id: id(), reason: "A dispute.".into() };
    let held = |numbers: Vec<u32>| -> OrderEvent {
        OrderHeld { order_id: id(), numbers, reason: "staff".into(), explanation: "A dispute.".into(), customer_id: "c-1".into() }.into()
    };
    given::<Order>(after([])).when(hold.clone()).then([held(vec![1, 2])]);
    let left = shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    given::<Order>(after([left.clone()])).when(hold.clone()).then([held(vec![2])]);
    given::<Order>(after([held(vec![1, 2])])).when(hold.clone()).then_nothing();
    let end = EndOrderHold { order_id: id(), ..Default::default() };
    given::<Order>(after([held(vec![1, 2])])).when(end.clone()).then([hold_ended("staff", vec![1, 2], &[])]);
    given::<Order>(after([])).when(end.clone()).then_nothing();
    given_nothing::<Order>().when(hold.clone()).then_refused(UnknownOrder { order_id: id() });
    given_nothing::<Order>().when(end).then_refused(UnknownOrder { order_id: id() });
    let all = after([left, shipped(2, 2, 1999, OrderStatus::Shipped)]);
    for (history, status) in [(vec![opened()], OrderStatus::Opened), (all, OrderStatus::Shipped)] {
        given::<Order>(history).when(hold.clone()).then_refused(NotHoldable { order_id: id(), status: status.into() });
    }
}

fn hold_ended(reason: &str, numbers: Vec<u32>, left: &[&str]) -> OrderEvent {
    let left = left.iter().map(|held| (*held).to_owned()).collect();
    OrderHoldEnded { order_id: id(), numbers, reason: reason.into(), left }.into()
}

/// The words are of a person, and the order's events say of whom.
#[test]
fn what_staff_says_of_a_hold_stays_with_the_order() {
    let stream = StreamId::new("order", "o-1");
    let at_it = EventAt { stream: &stream, version: Version(9), recorded_at: SPEC_TIME };
    let explanation = "They have not paid twice before.".to_owned();
    let held = OrderHeld { order_id: id(), numbers: vec![2], reason: "staff".into(), explanation, customer_id: "c-1".into() };
    let hold = HoldShipment { order_id: id(), number: 2, reason: "staff".into(), order_version: 9 };
    assert_eq!(ToShipments::react(&held.into(), &at_it), [ServiceMessage::of(&ShipmentCommand::from(hold))]);
}

/// Staff ends its own hold, and none that is for money in doubt but by its name.
#[test]
fn each_reason_holds_for_itself_and_the_order_goes_on_when_none_is_left() {
    let end = |reason: &str| EndOrderHold { order_id: id(), reason: reason.into() };
    let ends = TimeOutStep { order_id: id(), step: "authorisation".into(), due_at: Some(at(6 * 24 * 60 * 60)) };
    let disputed = || OrderEvent::from(OrderDisputed { order_id: id(), amount: Some(money("EUR", 500)) });
    let dispute = |minor_units| RecordDisputed { order_id: id(), minor_units };
    let staff = || held_for("staff", vec![1, 2]);
    given::<Order>(after([staff()])).when(ends).then([held_for("authorisation-ends", vec![1, 2])]);
    given::<Order>(after([staff()])).when(dispute(500)).then([disputed(), held_for("disputed", vec![1, 2])]);
    let both = || after([staff(), disputed(), held_for("disputed", vec![1, 2])]);
    given::<Order>(both()).when(end("")).then([hold_ended("staff", vec![1, 2], &["disputed"])]);
    given::<Order>(both()).when(end("disputed")).then([hold_ended("disputed", vec![1, 2], &["staff"])]);
    given::<Order>(both()).when(end("authorisation-lost")).then_nothing();
    let settled = OrderDisputed { order_id: id(), amount: Some(money("EUR", 0)) }.into();
    given::<Order>(both()).when(dispute(0)).then([settled, hold_ended("disputed", vec![1, 2], &["staff"])]);
    let money_only = [both(), vec![hold_ended("staff", vec![1, 2], &["disputed"])]].concat();
    given::<Order>(money_only.clone()).when(end("")).then_nothing();
    let again = HoldOrder { order_id: id(), reason: "Once more.".into() };
    let held = OrderHeld {
        order_id: id(),
        numbers: vec![1, 2],
        reason: "staff".into(),
        explanation: "Once more.".into(),
        customer_id: "c-1".into(),
    };
    given::<Order>(money_only).when(again).then([held.into()]);
}

/// An earlier build told staff's own words as the reason, and had one hold only.
#[test]
fn holds_that_an_earlier_build_has_told_are_staffs() {
    let told = || held_for("By hand.", vec![1, 2]);
    given::<Order>(after([told()])).when(EndOrderHold { order_id: id(), ..Default::default() }).then([hold_ended(
        "staff",
        vec![1, 2],
        &[],
    )]);
    let over = after([told(), held_for("disputed", vec![1, 2]), hold_ended("", vec![1, 2], &[])]);
    given::<Order>(over).when(HoldOrder { order_id: id(), reason: String::new() }).then([held_for("staff", vec![1, 2])]);
}

#[test]
fn what_has_not_left_when_the_authorisation_is_about_to_end_is_held() {
    let ends = |seconds| TimeOutStep { order_id: id(), step: "authorisation".into(), due_at: Some(at(seconds)) };
    let day = 24 * 60 * 60;
    let held = |numbers: Vec<u32>| held_for("authorisation-ends", numbers);
    given::<Order>(after([])).when(ends(6 * day)).then([held(vec![1, 2])]);
    given::<Order>(after([])).when(ends(6 * day - 1)).then_nothing();
    given::<Order>(after([held(vec![1, 2])])).when(ends(6 * day)).then_nothing();
    let left = shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    given::<Order>(after([left.clone()])).when(ends(6 * day)).then([held(vec![2])]);
    given::<Order>(after([left, shipped(2, 2, 1999, OrderStatus::Shipped)])).when(ends(6 * day)).then_nothing();
    // All was taken with the first.
    given::<Order>(once([shipped(1, 1, 3998, OrderStatus::PartlyShipped)])).when(ends(6 * day)).then_nothing();
}

/// What its time has passed over, because all seemed to be taken.
#[test]
fn what_has_not_left_is_held_when_the_capture_of_all_fails_and_the_authorisation_is_about_to_end() {
    let failed = RecordNotCaptured { order_id: id(), number: 1, amount: Some(money("EUR", 3998)), code: "refused".into() };
    let not_taken = || capture_failed(&failed, 3998);
    let left = || once([shipped(1, 1, 3998, OrderStatus::PartlyShipped)]);
    let then = |seconds| Instant::from_proto(&at(seconds));
    let due = 6 * 24 * 60 * 60;
    given::<Order>(left()).at(then(due)).when(failed.clone()).then([not_taken(), held_for("authorisation-ends", vec![2])]);
    given::<Order>(left()).at(then(due - 1)).when(failed.clone()).then([not_taken()]);
}

fn held_for(reason: &str, numbers: Vec<u32>) -> OrderEvent {
    OrderHeld { order_id: id(), numbers, reason: reason.into(), explanation: String::new(), customer_id: "c-1".into() }.into()
}

#[test]
fn what_has_not_left_when_the_authorisation_is_lost_is_held() {
    let lost = RecordAuthorisationLost { order_id: id(), attempt: 1 };
    let told = || OrderEvent::from(OrderAuthorisationLost::from(&lost));
    given::<Order>(after([])).when(lost.clone()).then([told(), held_for("authorisation-lost", vec![1, 2])]);
    let left = || shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    given::<Order>(after([left()])).when(lost.clone()).then([told(), held_for("authorisation-lost", vec![2])]);
    given::<Order>(after([left(), shipped(2, 2, 1999, OrderStatus::Shipped)])).when(lost.clone()).then([told()]);
    given::<Order>(after([told()])).when(lost.clone()).then_nothing();
    given::<Order>(after([held_for("staff", vec![1, 2])])).when(lost.clone()).then([told(), held_for("authorisation-lost", vec![1, 2])]);
    // Another attempt's says nothing of this one's.
    given::<Order>(after([])).when(RecordAuthorisationLost { attempt: 2, ..lost.clone() }).then_nothing();
    given_nothing::<Order>().when(lost.clone()).then_nothing();
    // All was taken with the first, unless that could not be done.
    let once_left = || once([shipped(1, 1, 3998, OrderStatus::PartlyShipped)]);
    given::<Order>(once_left()).when(lost.clone()).then([told()]);
    let failed = RecordNotCaptured { order_id: id(), number: 1, amount: Some(money("EUR", 3998)), code: "not-authorised".into() };
    let not_taken = capture_failed(&failed, 3998);
    given::<Order>([once_left(), vec![told()]].concat()).when(failed).then([not_taken, held_for("authorisation-lost", vec![2])]);
}

#[test]
fn an_order_that_loses_its_authorisation_before_it_is_confirmed_is_rejected() {
    let lost = RecordAuthorisationLost { order_id: id(), attempt: 1 };
    let being_kept = || vec![opened(), placed(), allocated(), awaiting(1, "tok_ok"), paid()];
    let told = OrderEvent::from(OrderAuthorisationLost::from(&lost));
    let rejecting = OrderRejecting {
        order_id: id(),
        cart_id: "k-1".into(),
        reason: "not-paid".into(),
        undo_allocation: true,
        undo_payment: true,
        ..Default::default()
    };
    given::<Order>(being_kept()).when(lost.clone()).then([told, rejecting.into()]);
    given::<Order>([being_kept(), vec![undoing(true, true)]].concat()).when(lost).then_nothing();
}

#[test]
fn what_has_not_left_when_money_is_taken_back_is_held_until_that_is_settled_or_staff_decides() {
    let dispute = |minor_units| RecordDisputed { order_id: id(), minor_units };
    let disputed = |minor_units| OrderEvent::from(OrderDisputed { order_id: id(), amount: Some(money("EUR", minor_units)) });
    let ended = |numbers| hold_ended("disputed", numbers, &[]);
    let left = || shipped(1, 1, 1999, OrderStatus::PartlyShipped);
    let held = || after([left(), disputed(500), held_for("disputed", vec![2])]);
    given::<Order>(after([left()])).when(dispute(500)).then([disputed(500), held_for("disputed", vec![2])]);
    given::<Order>(held()).when(dispute(500)).then_nothing();
    given::<Order>(held()).when(dispute(900)).then([disputed(900)]);
    given::<Order>(held()).when(dispute(0)).then([disputed(0), ended(vec![2])]);
    given::<Order>(held()).when(EndOrderHold { order_id: id(), reason: "disputed".into() }).then([ended(vec![2])]);
    // Staff has let it go, and more is taken back.
    given::<Order>([held(), vec![ended(vec![2])]].concat()).when(dispute(900)).then([disputed(900), held_for("disputed", vec![2])]);
    // What staff holds is not let go by that.
    let by_hand = after([left(), disputed(500), held_for("staff", vec![2])]);
    given::<Order>(by_hand).when(dispute(0)).then([disputed(0)]);
    let all = after([left(), shipped(2, 2, 1999, OrderStatus::Shipped)]);
    given::<Order>(all).when(dispute(500)).then([disputed(500)]);
    given_nothing::<Order>().when(dispute(500)).then_nothing();
}

#[test]
fn what_was_disputed_before_the_order_is_confirmed_is_held_from_the_beginning() {
    let mut before = in_two_shipments();
    let confirmed = before.pop().expect("it is confirmed");
    before.push(OrderDisputed { order_id: id(), amount: Some(money("EUR", 1)) }.into());
    let holds = [held_there("A-1", "w-1", 1), held_there("A-1", "w-2", 1)];
    given::<Order>(before).when(record_confirmed(holds)).then([confirmed, held_for("disputed", vec![1, 2])]);
}

#[test]
fn a_completed_order_lets_go_of_what_was_authorised_and_not_taken() {
    let left_out = |history: Vec<OrderEvent>| [history, vec![asked_back(2, 1, "Too many.")]].concat();
    let cancelled = RecordShipmentCancelled { order_id: id(), number: 2, ask: 1, lines: one() };
    let out = || lines_cancelled(2, 1, "cancelled", 0, 0, OrderStatus::Delivered);
    let arrived = |captures: i64| {
        vec![shipped(1, 1, captures, OrderStatus::PartlyShipped), captured(1, captures), delivered(1, OrderStatus::PartlyShipped)]
    };
    given::<Order>(left_out(after(arrived(1999)))).when(cancelled.clone()).then([out(), completed_with_a_rest()]);
    // What the provider has let go of by itself, or has lost, is not asked for.
    let lost = OrderAuthorisationLost { order_id: id(), attempt: 1 }.into();
    given::<Order>(left_out(after([arrived(1999), vec![lost]].concat()))).when(cancelled).then([out(), completed()]);
}

#[test]
fn what_was_lost_and_comes_back_is_restocked_once_and_its_money_stays_given_back() {
    let left = [shipped(1, 1, 1999, OrderStatus::PartlyShipped), captured(1, 1999)];
    let lost = OrderLost {
        order_id: id(),
        number: 1,
        lines: one(),
        refund: 1,
        amount: Some(money("EUR", 1999)),
        status: OrderStatus::PartlyShipped.into(),
        ..Default::default()
    };
    let gone = || after(left.iter().cloned().chain([lost.clone().into()]));
    let back = RecordReturnedToSender { order_id: id(), number: 1 };
    let returned = OrderReturnedToSender {
        order_id: id(),
        number: 1,
        warehouse: "w-1".into(),
        lines: one(),
        amount: Some(money("EUR", 0)),
        status: OrderStatus::PartlyShipped.into(),
        ..Default::default()
    };
    given::<Order>(gone()).when(back.clone()).then([returned.clone().into()]);
    given::<Order>([gone(), vec![returned.into()]].concat()).when(back).then_nothing();
    // Or it arrives: its money stays given back.
    let found = OrderEvent::from(OrderFound { order_id: id(), number: 1, lines: one(), delivered_at: Some(at(0)) });
    given::<Order>(gone()).when(record_delivered(1)).then([found.clone()]);
    given::<Order>([gone(), vec![found]].concat()).when(record_delivered(1)).then_nothing();
}
