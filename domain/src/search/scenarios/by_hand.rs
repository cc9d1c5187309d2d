//! Ways on which somebody moves money at the provider, and the order had not asked for it: it hears of that wherever it stands.

use shop_proto::holds::DISPUTED;

use super::super::provider::BY_HAND;
use super::*;

pub(super) const ALL: [Way; 4] = [
    an_order_hears_of_a_payment_by_hand_wherever_it_stands,
    what_is_taken_by_hand_while_an_order_is_paid_counts_for_it,
    what_was_taken_by_hand_is_told_when_the_order_is_cancelled,
    a_payment_by_hand_holds_what_has_not_left,
];

const LEFT: Left = Left { notices: 20, by_hand: 1, ..CALM };
/// All that an order of these ways costs, and more.
const ALL_OF_IT: i64 = 1_000;

/// An order that stands so.
fn standing<'s>(search: &'s mut Search, state: &str) -> Result<Script<'s>, Found> {
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], LEFT);
    match state {
        "action required" => way.settle(&[], Says::Act)?,
        "cancelling" | "cancelled" => {
            way.settle(&[], Says::Act)?;
            way.go(Move::CancelOrder)?;
        }
        "rejecting" | "rejected" => {
            way.settle(&[], Says::Act)?;
            way.fire("payment")?;
        }
        _ => {}
    }
    way.until(&[], Says::Act, |world| world.standing(ORDER) == state)?;
    way.stands(ORDER, state)?;
    Ok(way)
}

/// There is a payment of the order at the provider that none of its attempts has made; some of it may have been given back. Told before the
/// order has asked for anything, it is kept, and judged when the order asks to be paid.
fn an_order_hears_of_a_payment_by_hand_wherever_it_stands(search: &mut Search) -> Result<(), Found> {
    let states = ["awaiting payment", "action required", "cancelling", "cancelled", "rejecting", "rejected"];
    for state in states {
        for given_back in [0, BY_HAND] {
            let mut way = standing(search, state)?;
            way.tells(Move::PayByHand(given_back))?;
            if state == "awaiting payment" {
                way.stands(PAYMENT, "-")?;
                way.deliver("order", "payment")?;
            }
            way.deliver("payment", "order")?;
            way.stands(ORDER, state)?;
            way.ends()?;
        }
    }
    Ok(())
}

/// Some or all of what an order has authorised is taken by hand: before it is the customer's, or then. A piece of it comes back.
fn what_is_taken_by_hand_while_an_order_is_paid_counts_for_it(search: &mut Search) -> Result<(), Found> {
    for state in ["allocated", "confirmed"] {
        for amount in [BY_HAND, ALL_OF_IT] {
            for comes_back in [false, true] {
                let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], LEFT);
                way.until(&[], Says::Yes, |world| world.standing(ORDER) == state)?;
                way.tells(Move::TakeByHand(1, amount))?;
                way.deliver("payment", "order")?;
                way.stands(ORDER, state)?;
                way.all()?;
                if comes_back {
                    way.go(Move::Dispatch(1))?;
                    way.go(Move::Delivered(1))?;
                    way.all()?;
                    way.go(Move::Return("A-1"))?;
                    way.all()?;
                }
                way.ends()?;
            }
        }
    }
    Ok(())
}

/// The money is taken by hand, and its notice comes when the order is cancelled: all of it is given back.
fn what_was_taken_by_hand_is_told_when_the_order_is_cancelled(search: &mut Search) -> Result<(), Found> {
    for amount in [BY_HAND, ALL_OF_IT] {
        let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], LEFT)?;
        way.go(Move::TakeByHand(1, amount))?;
        way.go(Move::CancelOrder)?;
        way.all()?;
        way.stands(ORDER, "cancelled")?;
        way.go(Move::Notice(0))?;
        way.all()?;
        way.ends()?;
    }
    Ok(())
}

/// Money of the order was given back that nobody here had given: shipments are held from the beginning, or from then on.
fn a_payment_by_hand_holds_what_has_not_left(search: &mut Search) -> Result<(), Found> {
    for state in ["awaiting payment", "allocated", "confirmed"] {
        let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], LEFT);
        way.until(&[], Says::Yes, |world| world.standing(ORDER) == state)?;
        way.tells(Move::PayByHand(BY_HAND))?;
        way.all()?;
        way.stands(ORDER, "confirmed")?;
        way.go(Move::EndHold(DISPUTED.to_owned()))?;
        way.go(Move::Dispatch(1))?;
        way.ends()?;
    }
    Ok(())
}
