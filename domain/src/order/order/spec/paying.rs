//! From a placed order to one that is the customer's.

use daybook_kernel::spec::{given, given_nothing};
use shop_proto::samples::order::{
    allocated, awaiting, confirmed, held, in_two_shipments, opened, ordered, paid, placed, placed_with, record_allocated, record_confirmed,
    record_paid,
};
use shop_proto::samples::{at, money};

use super::*;

fn waiting() -> Vec<OrderEvent> {
    vec![opened(), placed(), allocated(), awaiting(1, "tok_ok")]
}

fn rejecting(reason: &str, undo_allocation: bool, undo_payment: bool) -> OrderRejecting {
    let (order_id, cart_id, reason) = ("o-1".into(), "k-1".into(), reason.into());
    OrderRejecting { order_id, cart_id, reason, undo_allocation, undo_payment, ..Default::default() }
}

fn not_paid(attempt: u32, reason: &str) -> RecordNotPaid {
    RecordNotPaid { order_id: "o-1".into(), attempt, reason: reason.into(), code: "card-expired".into() }
}

fn declined(attempt: u32) -> OrderEvent {
    OrderPaymentDeclined { order_id: "o-1".into(), attempt, code: "card-expired".into() }.into()
}

fn change(token: &str) -> ChangePayment {
    ChangePayment { order_id: "o-1".into(), payment: Some(PaymentMeans { token: token.into() }) }
}

fn action(attempt: u32) -> RecordActionRequired {
    RecordActionRequired { order_id: "o-1".into(), attempt, url: "https://bank.example/1".into() }
}

#[test]
fn an_order_whose_products_nobody_knows_in_time_is_rejected() {
    let time_out = |seconds, step: &str| TimeOutStep { order_id: "o-1".into(), step: step.into(), due_at: Some(at(seconds)) };
    given::<Order>([opened()]).when(time_out(30, "place")).then([rejecting("timeout", false, false).into()]);
    given::<Order>([opened()]).when(time_out(31, "place")).then_nothing();
    given::<Order>([opened()]).when(time_out(30, "other")).then_nothing();
    given::<Order>([opened(), placed()]).when(time_out(30, "place")).then_nothing();
    given_nothing::<Order>().when(time_out(30, "place")).then_nothing();
}

#[test]
fn an_order_whose_pieces_are_held_waits_for_its_money() {
    given::<Order>([opened(), placed()]).when(record_allocated()).then([allocated(), awaiting(1, "tok_ok")]);
    given::<Order>([opened(), placed()]).when(record_allocated()).then_state(|s| {
        assert_eq!((s.status(), s.payment_attempt, s.pay_until), (OrderStatus::AwaitingPayment, 1, Some(at(900))));
    });
}

#[test]
fn an_order_that_costs_nothing_is_paid_without_a_provider() {
    let free = vec![OrderLine { total: Some(money("EUR", 0)), price: Some(money("EUR", 0)), ..line(&lamp(), 2) }];
    let open = OrderOpened { expected_total: Some(money("EUR", 0)), place_by: Some(at(30)), ..(&open()).into() };
    let paid = OrderPaid { authorised: Some(money("EUR", 0)), capture_before: None, ..Default::default() };
    let paid = OrderPaid { order_id: "o-1".into(), attempt: 1, confirm_by: Some(at(60)), ..paid };
    given::<Order>([open.into(), placed_with(free, 0)]).when(record_allocated()).then([allocated(), paid.into()]);
}

#[test]
fn an_order_whose_pieces_can_t_be_had_is_rejected_and_there_is_nothing_to_give_back() {
    let cannot = RecordNotAllocated { order_id: "o-1".into(), attempt: 1, ..Default::default() };
    let lacking = vec![LackingLine { sku: "A-1".into(), requested: 2, available: 1 }];
    let short = RecordNotAllocated { lines: lacking.clone(), ..cannot.clone() };
    let out = OrderRejecting { lacking, ..rejecting("out-of-stock", false, false) };
    given::<Order>([opened(), placed()]).when(short.clone()).then([out.into()]);
    given::<Order>([opened(), placed()]).when(cannot.clone()).then([rejecting("out-of-stock", false, false).into()]);
    let nowhere = RecordNotAllocated { undeliverable: true, ..cannot.clone() };
    given::<Order>([opened(), placed()]).when(nowhere).then([rejecting("undeliverable", false, false).into()]);
    let late = RecordNotAllocated { timed_out: true, ..cannot.clone() };
    given::<Order>([opened(), placed()]).when(late).then([rejecting("timeout", false, false).into()]);
    given::<Order>([opened(), placed()]).when(RecordNotAllocated { attempt: 2, ..cannot }).then_nothing();
    given::<Order>(waiting()).when(short).then_nothing();
}

#[test]
fn an_order_that_is_paid_asks_for_its_pieces_to_be_kept() {
    given::<Order>(waiting()).when(record_paid()).then([paid()]);
    given::<Order>([waiting(), vec![paid()]].concat()).when(record_paid()).then_nothing();
    given::<Order>(waiting()).when(RecordPaid { attempt: 2, ..record_paid() }).then_nothing();
    let more = RecordPaid { authorised: Some(money("EUR", 4000)), ..record_paid() };
    given::<Order>(waiting()).when(more).then_state(|s| assert!(s.paid));
}

#[test]
fn less_than_the_order_costs_or_in_another_currency_is_not_paid() {
    for authorised in [money("EUR", 3997), money("USD", 3998)] {
        let little = RecordPaid { authorised: Some(authorised), ..record_paid() };
        given::<Order>(waiting()).when(little).then([rejecting("not-paid", true, true).into()]);
    }
}

#[test]
fn declined_means_leave_the_order_waiting_for_others_in_the_same_time() {
    given::<Order>(waiting()).when(not_paid(1, "declined")).then([declined(1)]);
    let after = || [waiting(), vec![declined(1)]].concat();
    given::<Order>(after()).when(change("tok_other")).then([awaiting(2, "tok_other")]);
    given::<Order>(after()).when(change("tok_ok")).then([awaiting(2, "tok_ok")]);
    given::<Order>(after()).at(Instant::from_proto(&at(600))).when(change("tok_other")).then([awaiting(2, "tok_other")]);
    given::<Order>([after(), vec![awaiting(2, "tok_other")]].concat()).when(not_paid(1, "superseded")).then_nothing();
}

#[test]
fn the_customer_may_pay_by_other_means_while_the_first_are_still_asked() {
    given::<Order>(waiting()).when(change("tok_other")).then([awaiting(2, "tok_other")]);
    given::<Order>(waiting()).when(change("tok_ok")).then_nothing();
    let unknown = UnknownOrder { order_id: "o-1".into() };
    given_nothing::<Order>().when(change("tok_ok")).then_refused(unknown);
    for (history, status) in [
        (vec![opened()], OrderStatus::Opened),
        (in_two_shipments(), OrderStatus::Confirmed),
        ([waiting(), vec![paid()]].concat(), OrderStatus::Allocated),
    ] {
        let refusal = NotAwaitingPayment { order_id: "o-1".into(), status: status.into() };
        given::<Order>(history).when(change("tok_other")).then_refused(refusal);
    }
}

#[test]
fn a_payment_that_has_ended_rejects_the_order_and_undoes_everything() {
    for reason in ["timeout", "void", "superseded"] {
        given::<Order>(waiting()).when(not_paid(1, reason)).then([rejecting("not-paid", true, true).into()]);
    }
    given::<Order>(waiting()).when(not_paid(2, "timeout")).then_nothing();
    given::<Order>([waiting(), vec![paid()]].concat()).when(not_paid(1, "timeout")).then_nothing();
}

#[test]
fn a_customer_who_has_to_do_something_is_told_where_once() {
    let event = || OrderEvent::from(OrderActionRequired { order_id: "o-1".into(), attempt: 1, url: "https://bank.example/1".into() });
    given::<Order>(waiting()).when(action(1)).then([event()]);
    let asked = || [waiting(), vec![event()]].concat();
    given::<Order>(asked()).when(action(1)).then_nothing();
    given::<Order>(waiting()).when(action(2)).then_nothing();
    given::<Order>(asked()).when(record_paid()).then([paid()]);
    given::<Order>(asked()).when(not_paid(1, "declined")).then([declined(1)]);
    given::<Order>([waiting(), vec![declined(1)]].concat()).when(action(1)).then_nothing();
}

#[test]
fn an_order_is_confirmed_with_a_shipment_for_each_warehouse() {
    let before = || [waiting(), vec![paid()]].concat();
    let two = [held("A-1", "w-2", 1), held("A-1", "w-1", 1)];
    let one = || vec![ordered("A-1", 1)];
    given::<Order>(before()).when(record_confirmed(two)).then([confirmed([("w-1", one()), ("w-2", one())])]);
    let all = vec![ordered("A-1", 2)];
    given::<Order>(before()).when(record_confirmed([held("A-1", "w-1", 2)])).then([confirmed([("w-1", all)])]);
    given::<Order>(waiting()).when(record_confirmed([held("A-1", "w-1", 2)])).then_nothing();
    // Somebody has given a piece away that was held for it.
    given::<Order>(before()).when(record_confirmed([held("A-1", "w-1", 1)])).then([rejecting("stock-lost", true, true).into()]);
    given::<Order>(in_two_shipments()).when(record_confirmed([held("A-1", "w-1", 2)])).then_nothing();
}

#[test]
fn an_order_whose_pieces_were_lost_after_it_was_paid_is_rejected_and_its_money_given_up() {
    let lost = |attempt, timed_out| RecordAllocationLost { order_id: "o-1".into(), attempt, timed_out };
    let before = || [waiting(), vec![paid()]].concat();
    given::<Order>(before()).when(lost(1, false)).then([rejecting("stock-lost", true, true).into()]);
    given::<Order>(before()).when(lost(1, true)).then([rejecting("timeout", true, true).into()]);
    given::<Order>(before()).when(lost(2, false)).then_nothing();
    given::<Order>(waiting()).when(lost(1, false)).then_nothing();
    given::<Order>(in_two_shipments()).when(lost(1, false)).then_nothing();
}
