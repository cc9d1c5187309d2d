//! Laws of pieces and their money: for all answers, in any order, once an order is confirmed.

use daybook_kernel::spec::in_turn;
use proptest::prelude::*;
use shop_proto::common::v1::Money;
use shop_proto::samples::money as amount_of;
use shop_proto::samples::order::{held, lamp, open, ordered, place, record_confirmed};

use super::super::pieces::costs;
use super::*;

const A: &str = "A-1";
const B: &str = "B-1";

/// Up to a confirmed order of five pieces in two warehouses, at prices that divide badly.
fn confirmed(captures_once: bool) -> Vec<OrderCommand> {
    let id = || "o-1".to_owned();
    let product = |sku: &str, price| ProductRead { sku: sku.into(), price: Some(amount_of("EUR", price)), max_per_order: 0, ..lamp() };
    let total = || Some(amount_of("EUR", 3 * 333 + 2 * 101));
    let opened = OpenOrder { lines: vec![ordered(A, 3), ordered(B, 2)], expected_total: total(), ..open() };
    let holds = [held(A, "w-1", 2), held(A, "w-2", 1), held(B, "w-2", 2)];
    vec![
        opened.into(),
        place([product(A, 333), product(B, 101)]).into(),
        RecordAllocated { order_id: id(), attempt: 1, holds: holds.to_vec() }.into(),
        RecordPaid { order_id: id(), attempt: 1, authorised: total(), captures_once, capture_before: None }.into(),
        record_confirmed(holds).into(),
    ]
}

fn any_answer() -> impl Strategy<Value = OrderCommand> {
    let id = || "o-1".to_owned();
    let number = || 1..4_u32;
    let lines = || {
        prop::collection::vec((prop_oneof![Just(A), Just(B)], 1..4_u32), 1..3)
            .prop_map(|lines| lines.into_iter().map(|(sku, quantity)| ordered(sku, quantity)).collect::<Vec<_>>())
    };
    prop_oneof![
        (number(), lines()).prop_map(move |(number, lines)| RecordDispatched { order_id: id(), number, lines }.into()),
        number().prop_map(move |number| RecordDelivered { order_id: id(), number }.into()),
        number().prop_map(move |number| RecordLost { order_id: id(), number }.into()),
        number().prop_map(move |number| RecordReturnedToSender { order_id: id(), number }.into()),
        (number(), lines()).prop_map(move |(number, lines)| RecordShortPick { order_id: id(), number, lines }.into()),
        (number(), 1..4_u32)
            .prop_map(move |(number, ask)| RecordShipmentCancelled { order_id: id(), number, ask, ..Default::default() }.into()),
        (number(), 1..4_u32).prop_map(move |(number, ask)| RecordCancelTooLate { order_id: id(), number, ask }.into()),
        lines().prop_map(move |lines| CancelLines { order_id: id(), lines, reason: String::new() }.into()),
        lines().prop_map(move |lines| RequestReturn { order_id: id(), lines, reason: String::new() }.into()),
        lines().prop_map(move |lines| RefuseReturn { order_id: id(), lines, reason: String::new() }.into()),
        (lines(), 1..3_i32)
            .prop_map(move |(lines, condition)| ReceiveReturn { order_id: id(), lines, condition, ..Default::default() }.into()),
        number().prop_map(move |number| RecordCaptured { order_id: id(), number, amount: Some(amount_of("EUR", 1)) }.into()),
        number().prop_map(move |number| RecordRefunded { order_id: id(), number, amount: Some(amount_of("EUR", 1)) }.into()),
        Just(CancelOrder { order_id: id(), reason: String::new() }.into()),
    ]
}

/// What an event asks to be taken, and given back.
fn asked(event: &OrderEvent) -> (i64, i64) {
    use OrderEvent as E;
    let of = |number: u32, amount: &Option<Money>| {
        let units = amount.as_ref().map_or(0, |amount| amount.minor_units);
        assert_eq!(number > 0, units > 0, "what is asked for has a number, and nothing else has");
        units
    };
    match event {
        E::OrderShipped(e) => (of(e.capture, &e.amount), 0),
        E::OrderLinesCancelled(e) => (0, of(e.refund, &e.amount)),
        E::OrderLost(e) => (0, of(e.refund, &e.amount)),
        E::OrderReturnedToSender(e) => (0, of(e.refund, &e.amount)),
        E::OrderReturned(e) => (0, of(e.refund, &e.amount)),
        E::OrderRefundDue(e) => (0, of(e.refund, &e.amount)),
        _ => (0, 0),
    }
}

proptest! {
    /// The money that was asked for is that of the pieces, to the cent, whatever the order of events; no piece is lost or made.
    #[test]
    fn money_follows_the_pieces(once in any::<bool>(), answers in prop::collection::vec(any_answer(), 0..40)) {
        use PieceFate as F;
        let commands = [confirmed(once), answers].concat();
        let (mut taken, mut given_back) = (0_i64, 0_i64);
        in_turn::<Order>(&commands, |step| {
            let after = step.after;
            for event in &step.decision.events {
                let (takes, gives_back) = asked(event);
                (taken, given_back) = (taken + takes, given_back + gives_back);
            }
            for (line, pieces) in after.lines.iter().zip(&after.pieces) {
                assert_eq!(pieces.runs.iter().map(|run| run.count).sum::<u32>(), line.quantity);
                assert!(pieces.runs.iter().all(|run| run.count > 0));
            }
            let has_left = |run: &PieceRun| !matches!(run.fate(), F::Unspecified | F::Cancelling | F::Cancelled);
            let is_given_back = super::super::pieces::is_given_back;
            // What is not taken yet is given back when it is.
            let owed: i64 = after.owed.iter().flat_map(|due| &due.amount).map(|amount| amount.minor_units).sum();
            assert!(after.owed.iter().all(|due| after.captures_open.contains(&due.capture)));
            if once && after.captures > 0 {
                let kept = costs(after, |run| !is_given_back(run) && run.fate() != F::Cancelled);
                assert_eq!(taken - given_back - owed, kept);
            } else {
                assert_eq!(taken, costs(after, has_left));
                assert_eq!(given_back + owed, costs(after, is_given_back));
            }
            let total = after.total.as_ref().map_or(0, |total| total.minor_units);
            assert!(taken <= total && given_back <= taken);
            if once {
                assert!(after.captures <= 1);
            }
            // Facts are never refused.
            let is_fact = !matches!(
                step.command,
                OrderCommand::CancelOrder(_) | OrderCommand::CancelLines(_) | OrderCommand::RequestReturn(_) | OrderCommand::RefuseReturn(_)
                    | OrderCommand::ReceiveReturn(_)
            );
            assert!(!is_fact || step.decision.refusal.is_none());
            if after.status() == OrderStatus::Completed && step.before.status() != OrderStatus::Completed {
                assert_eq!(pieces_open(after), 0);
                assert!(after.captures_open.is_empty() && after.refunds_open.is_empty());
            }
        });
    }
}

fn pieces_open(state: &OrderState) -> u64 {
    super::super::pieces::count(state, |run| matches!(run.fate(), PieceFate::Unspecified | PieceFate::Cancelling | PieceFate::Shipped))
}
