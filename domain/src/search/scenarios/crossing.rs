//! Ways on which messages cross each other, or come when all else is over.

use shop_proto::holds::STAFF;

use super::*;

pub(super) const ALL: [Way; 10] = [
    short_pick_crosses_two_cancellations,
    an_answer_of_the_allocation_crosses,
    an_answer_of_the_payment_crosses,
    other_means_cross_an_authorisation_that_is_lost,
    the_first_means_pay_when_the_time_of_others_is_over,
    a_return_crosses_the_release_of_the_rest,
    labels_and_ends_come_late,
    a_hold_and_its_end_come_late,
    what_is_asked_back_is_not_found,
    deadlines_come_late,
];

/// Two pieces are asked back one by one, while one of them is not found.
fn short_pick_crosses_two_cancellations(search: &mut Search) -> Result<(), Found> {
    for quantities in [[2, 0], [2, 1]] {
        let mut way = Script::confirmed(search, ONE_WAREHOUSE, quantities, CALM)?;
        way.stands(ORDER, "confirmed")?;
        way.go(Move::CancelLine("A-1"))?;
        way.go(Move::CancelLine("A-1"))?;
        way.go(Move::ShortPick(1))?;
        way.ends()?;
    }
    Ok(())
}

/// What the allocation has to say of a paid order comes when its customer has cancelled it, or its authorisation is lost.
fn an_answer_of_the_allocation_crosses(search: &mut Search) -> Result<(), Found> {
    let waiting: Waiting<'_> = &[("allocation", "order")];
    for is_lost in [false, true] {
        for has_timed_out in [false, true] {
            let left = Left { troubles: 1, notices: 20, ..CALM };
            let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], left);
            way.settle(waiting, Says::Yes)?;
            way.deliver("allocation", "order")?;
            let not_kept: Waiting<'_> = if has_timed_out { &[("allocation", "order"), ("order", "allocation")] } else { waiting };
            way.settle(not_kept, Says::Yes)?;
            way.stands(ORDER, "allocated")?;
            if has_timed_out {
                way.fire("confirmation")?;
                way.deliver(DEADLINES, "allocation")?;
            }
            if is_lost {
                way.tells(Move::Expire(1))?;
                way.deliver("payment", "order")?;
                way.stands(ORDER, "rejecting")?;
            } else {
                way.go(Move::CancelOrder)?;
                way.stands(ORDER, "cancelling")?;
            }
            way.deliver("allocation", "order")?;
            way.ends()?;
        }
    }
    Ok(())
}

/// What the payment has to say comes when the customer has cancelled, or the allocation has lost its pieces.
fn an_answer_of_the_payment_crosses(search: &mut Search) -> Result<(), Found> {
    let waiting: Waiting<'_> = &[("payment", "order")];
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], CALM);
    way.settle(waiting, Says::Yes)?;
    way.go(Move::CancelOrder)?;
    way.deliver("payment", "order")?;
    way.ends()?;
    for is_cancelled in [false, true] {
        let left = Left { troubles: 1, notices: 20, ..CALM };
        let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], left);
        way.until(&[], Says::Yes, |world| world.standing(ORDER) == "allocated")?;
        way.settle(&[("payment", "order"), ("order", "allocation")], Says::Yes)?;
        way.tells(Move::Expire(1))?;
        if is_cancelled {
            way.go(Move::CancelOrder)?;
        } else {
            way.fire("confirmation")?;
            way.deliver(DEADLINES, "allocation")?;
            way.deliver("allocation", "order")?;
            way.stands(ORDER, "rejecting")?;
        }
        way.deliver("payment", "order")?;
        way.ends()?;
    }
    Ok(())
}

/// The customer names other means just when the first have been authorised, and lost again.
fn other_means_cross_an_authorisation_that_is_lost(search: &mut Search) -> Result<(), Found> {
    let left = Left { troubles: 1, notices: 20, ..CALM };
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], left);
    way.settle(&[("payment", "order")], Says::Yes)?;
    way.stands(PAYMENT, "authorised")?;
    way.tells(Move::Expire(1))?;
    way.stands(PAYMENT, "lost")?;
    way.go(Move::ChangePayment)?;
    way.deliver("payment", "order")?;
    way.deliver("payment", "order")?;
    way.all()?;
    way.stands(ORDER, "confirmed")?;
    way.ends()
}

/// The customer names other means while the first are being confirmed. The time to pay is over before the others are asked for, so that they
/// are not; and then the first turn out to be authorised, which nobody waits for any more.
fn the_first_means_pay_when_the_time_of_others_is_over(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], CALM);
    way.until(&[], Says::Yes, |world| world.asked.iter().any(|asked| asked.event().operation() == Operation::Confirm))?;
    way.go(Move::Perform(0, Says::Yes))?;
    way.go(Move::ChangePayment)?;
    way.fire("payment")?;
    way.deliver(DEADLINES, "payment")?;
    way.deliver("order", "payment")?;
    way.go(Move::Answer(0))?;
    way.deliver("payment", "order")?;
    way.stands(ORDER, "rejecting")?;
    way.deliver("payment", "order")?;
    way.stands(ORDER, "rejecting")?;
    way.ends()
}

/// Pieces come back just when the order has been completed, and the rest of its authorisation is on its way to be let go.
fn a_return_crosses_the_release_of_the_rest(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], CALM)?;
    way.go(Move::Dispatch(2))?;
    way.all()?;
    way.go(Move::CancelOrder)?;
    way.all()?;
    way.go(Move::Delivered(2))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.stands(ORDER, "completed")?;
    way.stands(PAYMENT, "releasing")?;
    way.go(Move::Return("A-1"))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.ends()
}

/// The carrier's label comes when all is over.
fn labels_and_ends_come_late(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], CALM)?;
    way.go(Move::CancelOrder)?;
    way.all()?;
    way.stands(ORDER, "cancelled")?;
    way.go(Move::Label(1))?;
    way.all()?;
    way.ends()?;
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], CALM)?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.stands(ORDER, "completed")?;
    way.go(Move::Label(1))?;
    way.ends()?;
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], CALM)?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.stands(ORDER, "delivered")?;
    way.go(Move::Label(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.ends()
}

/// Staff holds a shipment and lets it go again, and it leaves, or is not found, before it hears of either.
fn a_hold_and_its_end_come_late(search: &mut Search) -> Result<(), Found> {
    let ends: [&[Move]; 5] = [
        &[Move::Dispatch(1)],
        &[Move::Dispatch(1), Move::Delivered(1)],
        &[Move::Dispatch(1), Move::Lost(1)],
        &[Move::Dispatch(1), Move::ToSender(1)],
        &[Move::ShortPick(1)],
    ];
    for end in ends {
        let mut way = Script::confirmed(search, ONE_WAREHOUSE, [1, 0], CALM)?;
        way.go(Move::Hold)?;
        way.go(Move::EndHold(STAFF.to_owned()))?;
        for one in end {
            way.go(one.clone())?;
        }
        way.deliver("order", "shipment")?;
        way.deliver("order", "shipment")?;
        way.ends()?;
    }
    Ok(())
}

/// The one piece of an order is asked back and not found: the order is cancelled when the shipment says that there is nothing to leave out.
fn what_is_asked_back_is_not_found(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [1, 0], CALM)?;
    way.go(Move::CancelLine("A-1"))?;
    way.go(Move::ShortPick(1))?;
    way.settle(&[("order", "shipment")], Says::Yes)?;
    way.stands(ORDER, "cancelled")?;
    way.ends()
}

/// Whatever is armed fires as soon as it can, and its message comes when all else has happened.
fn deadlines_come_late(search: &mut Search) -> Result<(), Found> {
    let late: Waiting<'_> = &[(DEADLINES, "*")];
    let lives: [&[Move]; 4] = [
        // One line is cancelled, the rest is sent and arrives.
        &[Move::CancelLine("A-1"), Move::Dispatch(1), Move::Delivered(1), Move::Dispatch(2), Move::Delivered(2), Move::Return("B-1")],
        &[Move::Expire(1), Move::CancelOrder],
        &[Move::ChangePayment, Move::CancelOrder],
        &[Move::ChangePayment],
    ];
    for (n, life) in (0..).zip(lives) {
        let mut left = Left { troubles: 1, notices: 20, ..CALM };
        left.free_provider = true;
        let mut way = Script::filling(search, TWO_WAREHOUSES, left);
        way.fire_all()?;
        way.checks_out([2, 1])?;
        way.fire_all()?;
        // In the last lives the customer has something to do first, and does it not.
        let says = if n >= 2 { Says::Act } else { Says::Yes };
        for one in [None].into_iter().chain(life.iter().map(Some)) {
            match one {
                Some(Move::Expire(attempt)) => way.tells(Move::Expire(*attempt))?,
                Some(one) => way.go(one.clone())?,
                None => {}
            }
            loop {
                let before = way.way.len();
                way.until(late, says, |world| world.armed().next().is_some())?;
                way.fire_all()?;
                if way.way.len() == before {
                    break;
                }
            }
        }
        way.ends()?;
    }
    Ok(())
}
