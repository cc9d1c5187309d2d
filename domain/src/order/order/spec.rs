//! Sentences about orders.

mod leaving;
mod owed;
mod paying;
mod returning;
mod undoing;

use daybook_kernel::spec::{given, given_nothing};
use daybook_proto::RefusalSet as _;
use shop_proto::samples::order::{
    cancel, cancelled, cancelling, from_minor_units, lamp, line, open, opened, opening_refused, ordered, payment_not_taken, place, placed,
    placed_with, prices_changed, record, rejected, unavailable, undoing,
};
use shop_proto::samples::{at, money};

use super::*;

/// The lamp at another price.
fn lamp_at(minor_units: i64) -> ProductRead {
    ProductRead { price: Some(money("EUR", minor_units)), ..lamp() }
}

/// One that costs nothing.
fn gift(sku: &str) -> ProductRead {
    ProductRead { sku: sku.into(), max_per_order: 0, ..lamp_at(0) }
}

fn opened_with(lines: Vec<OrderedLine>, expected: i64) -> OrderEvent {
    OrderOpened { lines, expected_total: Some(money("EUR", expected)), place_by: Some(at(30)), ..(&open()).into() }.into()
}

#[test]
fn an_order_is_opened_with_all_that_the_cart_says() {
    given_nothing::<Order>().when(open()).then([opened()]);
    given_nothing::<Order>().when(open()).then_state(|s| {
        assert_eq!((s.status(), s.cart_id.as_str(), s.customer_id.as_str()), (OrderStatus::Opened, "k-1", "c-1"));
        assert_eq!((s.lines.len(), s.lines[0].quantity, &s.lines[0].price, &s.total), (1, 2, &None, &None));
    });
}

#[test]
fn lines_of_one_product_become_one_in_the_order_in_which_they_came() {
    let lines = vec![ordered("A-1", 2), ordered("B-2", 1), ordered("A-1", 999_999)];
    let one = opened_with(vec![ordered("A-1", 1_000_001), ordered("B-2", 1)], 3998);
    given_nothing::<Order>().when(OpenOrder { lines, ..open() }).then([one]);
}

#[test]
fn the_same_cart_opens_an_order_once_whatever_became_of_it() {
    for history in [
        vec![opened()],
        vec![opened(), placed()],
        vec![opened(), prices_changed(1)],
        vec![opened(), prices_changed(1), rejected("prices-changed", true)],
        vec![opened(), cancelling(), cancelled()],
    ] {
        given::<Order>(history).when(open()).then_nothing();
    }
}

#[test]
fn another_cart_is_refused_and_learns_of_it_by_an_event_that_changes_nothing() {
    let other = || OpenOrder { cart_id: "k-2".into(), customer_id: "c-2".into(), ..open() };
    for history in [vec![opened()], vec![opened(), placed()], vec![opened(), cancelling(), cancelled()]] {
        let exists = OrderExists { order_id: "o-1".into() };
        given::<Order>(history.clone()).when(other()).then_refused_with(exists, [opening_refused("k-2")]);
        let refused = daybook_kernel::fold::<Order>(&[history.clone(), vec![opening_refused("k-2")]].concat());
        assert_eq!(refused, daybook_kernel::fold::<Order>(&history));
    }
}

#[test]
fn an_order_is_placed_when_it_costs_what_the_shopper_was_shown() {
    given::<Order>([opened()]).when(place([lamp()])).then([placed()]);
    given::<Order>([opened()]).when(place([gift("B-2"), lamp()])).then([placed()]);
    let two = opened_with(vec![ordered("A-1", 10), ordered("B-2", 3)], 19_990);
    let lines = vec![line(&lamp(), 10), line(&gift("B-2"), 3)];
    given::<Order>([two]).when(place([gift("B-2"), lamp()])).then([placed_with(lines, 19_990)]);
}

#[test]
fn an_order_that_costs_nothing_is_placed_too() {
    let free = opened_with(vec![ordered("B-2", 3)], 0);
    given::<Order>([free]).when(place([gift("B-2")])).then([placed_with(vec![line(&gift("B-2"), 3)], 0)]);
}

#[test]
fn the_money_of_a_placed_order_is_kept() {
    given::<Order>([opened()]).when(place([lamp()])).then_state(|s| {
        assert_eq!((s.status(), &s.total), (OrderStatus::Placed, &Some(money("EUR", 3998))));
        assert_eq!(s.lines, [line(&lamp(), 2)]);
    });
}

#[test]
fn an_order_whose_prices_have_changed_is_rejected_with_both_totals() {
    for (now, price) in [(4000, 2000), (3996, 1998), (0, 0)] {
        given::<Order>([opened()]).when(place([lamp_at(price)])).then([prices_changed(now)]);
    }
}

#[test]
fn a_total_that_can_t_be_counted_is_not_what_the_shopper_was_shown() {
    let beyond = || {
        let expected = Some(money("EUR", 3998));
        let (order_id, cart_id, reason) = ("o-1".into(), "k-1".into(), "prices-changed".into());
        OrderEvent::from(OrderRejecting { order_id, cart_id, reason, expected, ..Default::default() })
    };
    given::<Order>([opened()]).when(place([lamp_at(i64::MAX)])).then([beyond()]);
    let two = opened_with(vec![ordered("A-1", 1), ordered("B-2", 1)], 3998);
    let huge = ProductRead { sku: "B-2".into(), ..lamp_at(i64::MAX) };
    given::<Order>([two]).when(place([lamp(), huge])).then([beyond()]);
}

#[test]
fn a_product_that_is_not_shown_or_not_sold_in_the_currency_is_unavailable() {
    let gone = || unavailable([("A-1", 2, 0)]);
    given::<Order>([opened()]).when(place([])).then([gone()]);
    given::<Order>([opened()]).when(place([ProductRead { found: false, ..lamp() }])).then([gone()]);
    given::<Order>([opened()]).when(place([ProductRead { price: None, ..lamp() }])).then([gone()]);
    given::<Order>([opened()]).when(place([ProductRead { price: Some(money("USD", 1999)), ..lamp() }])).then([gone()]);
}

#[test]
fn more_pieces_than_one_order_may_have_are_unavailable_and_the_limit_is_told() {
    let limited = |max_per_order| place([ProductRead { max_per_order, ..lamp() }]);
    given::<Order>([opened()]).when(limited(1)).then([unavailable([("A-1", 2, 1)])]);
    given::<Order>([opened()]).when(limited(2)).then([placed()]);
    given::<Order>([opened()]).when(limited(0)).then([placed()]);
}

#[test]
fn an_order_whose_total_no_provider_takes_is_rejected_before_it_is_placed_and_tells_what_is_taken() {
    let with = |limits| PlaceOrder { payment_limits: Some(limits), ..place([lamp()]) };
    let least = from_minor_units;
    for takes in [least(1), least(3998), PaymentLimits { maximum: 0, ..least(1) }, PaymentLimits { step: 2, ..least(1) }] {
        given::<Order>([opened()]).when(with(takes)).then([placed()]);
    }
    let takes_not =
        [least(3999), PaymentLimits::default(), PaymentLimits { maximum: 3997, ..least(1) }, PaymentLimits { step: 10, ..least(1) }];
    for limits in takes_not {
        given::<Order>([opened()]).when(with(limits)).then([payment_not_taken(limits)]);
    }
    // Another price is told first: the shopper decides anew.
    let other = PlaceOrder { products: vec![lamp_at(2000)], ..with(least(9999)) };
    given::<Order>([opened()]).when(other).then([prices_changed(4000)]);
    // What costs nothing needs no provider.
    let free = opened_with(vec![ordered("B-2", 3)], 0);
    let nothing_taken = PlaceOrder { payment_limits: Some(PaymentLimits::default()), ..place([gift("B-2")]) };
    given::<Order>([free]).when(nothing_taken).then([placed_with(vec![line(&gift("B-2"), 3)], 0)]);
}

#[test]
fn all_lines_that_can_t_be_had_are_named_whatever_the_others_cost() {
    let three = opened_with(vec![ordered("A-1", 20), ordered("B-2", 1), ordered("C-3", 1)], 7);
    given::<Order>([three]).when(place([lamp(), gift("C-3")])).then([unavailable([("A-1", 20, 10), ("B-2", 1, 0)])]);
}

#[test]
fn prices_that_arrive_again_or_too_late_or_too_early_change_nothing() {
    for history in [
        vec![],
        vec![opened(), placed()],
        vec![opened(), prices_changed(1)],
        vec![opened(), prices_changed(1), rejected("prices-changed", true)],
        vec![opened(), cancelling(), cancelled()],
    ] {
        given::<Order>(history).when(place([lamp_at(1)])).then_nothing();
    }
}

#[test]
fn an_order_is_rejected_when_its_cart_has_answered_whatever_the_answer() {
    let rejecting = || given::<Order>([opened(), prices_changed(4000)]);
    rejecting().when(record("k-1", true)).then([rejected("prices-changed", true)]);
    rejecting().when(record("k-1", false)).then([rejected("prices-changed", false)]);
    given::<Order>([opened(), unavailable([("A-1", 2, 0)])]).when(record("k-1", true)).then([rejected("unavailable", true)]);
}

#[test]
fn an_answer_of_another_cart_or_at_another_time_changes_nothing_and_is_never_refused() {
    given::<Order>([opened(), prices_changed(4000)]).when(record("k-2", true)).then_nothing();
    for history in [
        vec![],
        vec![opened()],
        vec![opened(), placed()],
        vec![opened(), prices_changed(1), rejected("prices-changed", true)],
        vec![opened(), cancelling(), cancelled()],
    ] {
        given::<Order>(history).when(record("k-1", true)).then_nothing();
    }
}

#[test]
fn an_order_is_cancelled_before_and_after_it_is_placed_and_once() {
    given::<Order>([opened()]).when(cancel()).then([cancelling(), cancelled()]);
    given::<Order>([opened(), placed()]).when(cancel()).then([undoing(true, false)]);
    given::<Order>([opened(), cancelling(), cancelled()]).when(cancel()).then_nothing();
    given::<Order>([opened(), cancelling()]).when(cancel()).then_nothing();
    given::<Order>([opened(), placed()]).when(cancel()).then_state(|s| {
        assert_eq!((s.status(), s.reason.as_str(), s.awaits_allocation), (OrderStatus::Cancelling, "cancelled", true));
    });
}

#[test]
fn what_is_rejected_or_not_there_can_not_be_cancelled() {
    given_nothing::<Order>().when(cancel()).then_refused(UnknownOrder { order_id: "o-1".into() });
    let refusal = |status: OrderStatus| NotCancellable { order_id: "o-1".into(), status: status.into() };
    given::<Order>([opened(), prices_changed(1)]).when(cancel()).then_refused(refusal(OrderStatus::Rejecting));
    let over = [opened(), prices_changed(1), rejected("prices-changed", true)];
    given::<Order>(over).when(cancel()).then_refused(refusal(OrderStatus::Rejected));
}

#[test]
fn refusals_have_the_codes_that_the_contract_names() {
    let code = |refusal: OrderRefusal| refusal.code();
    assert_eq!(code(NotCancellable::default().into()), "not-cancellable");
    assert_eq!(code(OrderExists::default().into()), "order-exists");
    assert_eq!(code(UnknownOrder::default().into()), "unknown-order");
}
