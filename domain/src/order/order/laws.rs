//! Laws of orders: for all commands, in any order.

use daybook_kernel::spec::in_turn;
use daybook_proto::MessageSet as _;
use proptest::prelude::*;
use shop_proto::samples::money as amount_of;
use shop_proto::samples::order::{cancel, lamp, open, ordered, place, record};

use super::*;

mod pieces;

/// Amounts that are likely, and the largest.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..30_i64, 1 => Just(i64::MAX), 1 => 0..=i64::MAX]
}

fn any_command() -> impl Strategy<Value = OrderCommand> {
    let cart = || "k-[12]";
    let lines = || prop::collection::vec(("[AB]-1", prop_oneof![1..9_u32, Just(999_999)]), 1..4);
    let product = || {
        ("[AB]-1", any::<bool>(), prop::option::of(("EUR|USD", amount())), 0..9_u32).prop_map(|(sku, found, price, max_per_order)| {
            ProductRead { sku, found, price: price.map(|(currency, units)| amount_of(&currency, units)), max_per_order, ..lamp() }
        })
    };
    prop_oneof![
        2 => (cart(), lines(), amount()).prop_map(|(cart_id, lines, expected)| {
            let lines = lines.iter().map(|(sku, quantity)| ordered(sku, *quantity)).collect();
            OpenOrder { cart_id, lines, expected_total: Some(amount_of("EUR", expected)), ..open() }.into()
        }),
        2 => prop::collection::vec(product(), 0..4).prop_map(|products| place(products).into()),
        // Free things, so that orders are placed, too.
        2 => Just(place(["A-1", "B-1"].map(|sku| ProductRead {
            sku: sku.into(),
            price: Some(amount_of("EUR", 0)),
            max_per_order: 0,
            ..lamp()
        })).into()),
        2 => (cart(), any::<bool>()).prop_map(|(cart, reopened)| record(&cart, reopened).into()),
        1 => Just(cancel().into()),
    ]
}

/// Where an order may stand after where it stood.
fn may_follow(before: OrderStatus, after: OrderStatus) -> bool {
    use OrderStatus as S;
    before == after
        || matches!(
            (before, after),
            (S::Unspecified, S::Opened)
                | (S::Opened, S::Placed | S::Rejecting | S::Cancelled)
                | (S::Placed, S::AwaitingPayment | S::Allocated | S::Rejecting | S::Cancelling)
                | (S::AwaitingPayment, S::ActionRequired | S::Allocated | S::Rejecting | S::Cancelling)
                | (S::ActionRequired, S::AwaitingPayment | S::Allocated | S::Rejecting | S::Cancelling)
                | (S::Allocated, S::Confirmed | S::Rejecting | S::Cancelling)
                | (S::Confirmed, S::PartlyShipped | S::Shipped | S::Delivered | S::Completed | S::Cancelling)
                | (S::PartlyShipped, S::Shipped | S::Delivered | S::Completed)
                | (S::Shipped, S::Delivered | S::Completed)
                | (S::Delivered, S::Completed)
                | (S::Cancelling, S::Cancelled)
                | (S::Rejecting, S::Rejected)
        )
}

proptest! {
    /// An order goes its way and never back; its money adds up to what the shopper was shown, to the cent; nothing panics.
    #[test]
    fn an_order_goes_one_way_and_its_money_adds_up(commands in prop::collection::vec(any_command(), 1..30)) {
        in_turn::<Order>(&commands, |step| {
            let (before, after) = (step.before.status(), step.after.status());
            assert!(may_follow(before, after), "{before:?} {after:?}");
            if after != before {
                assert!(step.decision.refusal.is_none());
            }
            if let Some(total) = &step.after.total {
                let lines: i128 = step.after.lines.iter().flat_map(|line| &line.total).map(|total| i128::from(total.minor_units)).sum();
                assert_eq!(lines, i128::from(total.minor_units));
                assert_eq!(step.after.expected_total.as_ref(), Some(total));
                // By piece, backwards: the same.
                let pieces = step.after.lines.iter().filter(|line| line.quantity < 1_000).flat_map(|line| {
                    let total = line.total.as_ref().map_or(0, |total| total.minor_units);
                    (1..=line.quantity).rev().map(move |n| i128::from(money::piece(total, line.quantity, n)))
                });
                let small = step.after.lines.iter().filter(|line| line.quantity < 1_000).flat_map(|line| &line.total);
                assert_eq!(pieces.sum::<i128>(), small.map(|total| i128::from(total.minor_units)).sum::<i128>());
            }
            // A record is never refused, in no state.
            if matches!(step.command, OrderCommand::RecordCartReopened(_) | OrderCommand::PlaceOrder(_)) {
                assert!(step.decision.refusal.is_none());
            }
        });
    }
}

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..30_usize,
        commands in prop::collection::vec(crate::any::any_command::<OrderCommand>(<OrderEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<OrderCommand>("order/o-1").into_iter().take(begun);
        in_turn::<Order>(&begun.chain(commands).collect::<Vec<_>>(), |step| {
            let (before, after) = (step.before.status(), step.after.status());
            assert!(may_follow(before, after), "{before:?} {after:?}");
            let is_a_fact = step.command.type_name().rsplit('.').next().is_some_and(|name| name.starts_with("Record"));
            assert!(!is_a_fact || step.decision.refusal.is_none(), "{:?}", step.command);
        });
    }
}
