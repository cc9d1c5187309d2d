//! An order is given up: it ends when all that was begun elsewhere is undone.

use daybook_kernel::spec::given;
use shop_proto::samples::order::{allocated, awaiting, cancel, cancelled, opened, placed, record, rejected, undoing};

use super::*;

fn id() -> String {
    "o-1".into()
}

fn released() -> RecordAllocationReleased {
    RecordAllocationReleased { order_id: id(), attempt: 1 }
}

fn voided() -> RecordVoided {
    RecordVoided { order_id: id(), number: 1 }
}

fn undone(what: &str, reopened: bool) -> OrderEvent {
    OrderUndone { order_id: id(), what: what.into(), reopened }.into()
}

fn waiting() -> Vec<OrderEvent> {
    vec![opened(), placed(), allocated(), awaiting(1, "tok_ok")]
}

#[test]
fn an_order_that_waits_for_money_is_cancelled_when_pieces_and_money_are_given_up() {
    given::<Order>(waiting()).when(cancel()).then([undoing(true, true)]);
    let cancelling = || [waiting(), vec![undoing(true, true)]].concat();
    given::<Order>(cancelling()).when(released()).then([undone("allocation", false)]);
    given::<Order>(cancelling()).when(voided()).then([undone("payment", false)]);
    let one = [cancelling(), vec![undone("allocation", false)]].concat();
    given::<Order>(one.clone()).when(released()).then_nothing();
    given::<Order>(one.clone()).when(cancel()).then_nothing();
    given::<Order>(one).when(voided()).then([cancelled()]);
    given::<Order>([cancelling(), vec![undone("payment", false)]].concat()).when(released()).then([cancelled()]);
    given::<Order>(vec![opened(), placed(), undoing(true, false)]).when(released()).then([cancelled()]);
}

#[test]
fn a_rejected_order_waits_for_its_cart_too_and_tells_whether_it_has_its_lines_back() {
    let (order_id, cart_id, reason) = (id(), "k-1".into(), "not-paid".into());
    let rejecting = OrderRejecting { order_id, cart_id, reason, undo_allocation: true, undo_payment: true, ..Default::default() };
    let before = || [waiting(), vec![rejecting.clone().into()]].concat();
    given::<Order>(before()).when(record("k-1", true)).then([undone("cart", true)]);
    let two = [before(), vec![undone("cart", true), undone("payment", false)]].concat();
    given::<Order>(two).when(released()).then([rejected("not-paid", true)]);
    let last = [before(), vec![undone("payment", false), undone("allocation", false)]].concat();
    given::<Order>(last).when(record("k-1", false)).then([rejected("not-paid", false)]);
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    for history in [vec![], vec![opened()], waiting(), [waiting(), vec![undoing(true, true), cancelled()]].concat()] {
        given::<Order>(history.clone()).when(released()).then_nothing();
        given::<Order>(history).when(voided()).then_nothing();
    }
    let cancelling = || [waiting(), vec![undoing(true, true)]].concat();
    given::<Order>(cancelling()).when(RecordAllocationReleased { attempt: 2, ..released() }).then_nothing();
    given::<Order>(cancelling()).when(RecordVoided { number: 2, ..voided() }).then_nothing();
    given::<Order>(cancelling()).when(record("k-1", true)).then_nothing();
}
