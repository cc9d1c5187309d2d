//! Ways of money that is lost, taken back, given back, or owed.

use super::*;

pub(super) const ALL: [Way; 6] = [
    an_authorisation_is_lost_while_pieces_leave,
    money_is_given_back_while_pieces_are_under_way,
    money_is_taken_back_before_all_has_left,
    staff_tries_again_what_was_refused,
    what_was_refused_is_done_after_all,
    what_was_lost_turns_up_when_all_is_over,
];

/// One of two shipments has left when the authorisation is lost: its capture may have been asked for, and pieces may come back.
fn an_authorisation_is_lost_while_pieces_leave(search: &mut Search) -> Result<(), Found> {
    for has_captured in [false, true] {
        for completes in [false, true] {
            let left = Left { troubles: 1, notices: 20, ..CALM };
            let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], left)?;
            way.stands(ORDER, "confirmed")?;
            way.go(Move::Dispatch(1))?;
            if has_captured {
                way.all()?;
            } else {
                way.settle(&[("provider", "payment")], Says::Yes)?;
            }
            if way.world.provider.to_expire().is_empty() {
                continue;
            }
            way.tells(Move::Expire(1))?;
            way.stands(PAYMENT, "lost")?;
            if completes {
                // The order hears last of it.
                way.go(Move::CancelOrder)?;
                way.go(Move::Delivered(1))?;
                way.settle(&[("payment", "order")], Says::Yes)?;
                way.deliver("payment", "order")?;
                way.all()?;
            } else {
                way.deliver("payment", "order")?;
                way.go(Move::Lost(1))?;
                way.all()?;
            }
            way.ends()?;
        }
    }
    Ok(())
}

/// Two shipments are under way: one is lost, and the provider gives its money back, or does not; the bank takes some back.
fn money_is_given_back_while_pieces_are_under_way(search: &mut Search) -> Result<(), Found> {
    for may_refuse in [false, true] {
        for leaves in [false, true] {
            let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { may_refuse, troubles: 1, notices: 20, ..CALM })?;
            way.go(Move::Dispatch(1))?;
            if leaves {
                way.go(Move::Dispatch(2))?;
            }
            way.all()?;
            way.go(Move::Lost(1))?;
            way.settle(&[], if may_refuse { Says::No } else { Says::Yes })?;
            way.ends()?;
        }
    }
    // The last one is lost, or comes back when all is over.
    for is_lost in [false, true] {
        let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { may_refuse: true, ..CALM })?;
        way.go(Move::Dispatch(1))?;
        way.all()?;
        way.go(if is_lost { Move::Lost(1) } else { Move::Delivered(1) })?;
        way.settle(&[], Says::No)?;
        if !is_lost {
            way.go(Move::Return("A-1"))?;
            way.settle(&[], Says::No)?;
        }
        way.ends()?;
    }
    for at_the_end in [false, true] {
        let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { troubles: 1, notices: 20, ..CALM })?;
        way.go(Move::Dispatch(1))?;
        way.settle(&[("payment", "order")], Says::Yes)?;
        if at_the_end {
            way.all()?;
            way.go(Move::Dispatch(2))?;
            way.go(Move::Delivered(1))?;
            way.go(Move::Delivered(2))?;
            // The second capture is asked for, and not done yet.
            way.until(&[], Says::Yes, |world| world.standing(ORDER) == "delivered")?;
            way.stands(ORDER, "delivered")?;
        } else {
            way.deliver("payment", "order")?;
            way.stands(ORDER, "partly shipped")?;
        }
        way.tells(Move::ChargeBack(1))?;
        way.deliver("payment", "order")?;
        way.ends()?;
    }
    Ok(())
}

/// One of two shipments has left, and the bank takes its money back.
pub(in crate::search) fn money_is_taken_back_before_all_has_left(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { troubles: 1, notices: 20, ..CALM })?;
    way.go(Move::Dispatch(1))?;
    way.all()?;
    way.tells(Move::ChargeBack(1))?;
    way.all()?;
    way.ends()
}

/// One of two shipments has arrived, and the provider has refused to take its money; the other was cancelled.
fn sent_and_not_paid(search: &mut Search, left: Left) -> Result<Script<'_>, Found> {
    let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], left)?;
    way.go(Move::Dispatch(2))?;
    way.settle(&[], Says::No)?;
    way.go(Move::Delivered(2))?;
    way.go(Move::CancelOrder)?;
    way.all()?;
    way.stands(ORDER, "completed")?;
    Ok(way)
}

/// The provider refuses to take money, or to give it back, and does it not even when it is asked again, before it does.
fn staff_tries_again_what_was_refused(search: &mut Search) -> Result<(), Found> {
    for shelves in [ONE_WAREHOUSE, TWO_WAREHOUSES] {
        let mut way = Script::confirmed(search, shelves, [2, 1], Left { may_refuse: true, ..CALM })?;
        way.go(Move::Dispatch(1))?;
        way.settle(&[], Says::No)?;
        way.go(Move::Delivered(1))?;
        way.go(Move::CancelOrder)?;
        way.all()?;
        way.stands(ORDER, "completed")?;
        way.go(Move::RetryCapture(1))?;
        way.settle(&[], Says::No)?;
        // A piece comes back that was never paid for.
        way.go(Move::Return("A-1"))?;
        way.all()?;
        way.go(Move::RetryCapture(2))?;
        way.all()?;
        way.ends()?;
    }
    // All that was sent is back, and the rest is being let go.
    let mut way = sent_and_not_paid(search, Left { may_refuse: true, ..CALM })?;
    way.go(Move::Return("A-1"))?;
    way.go(Move::Return("B-1"))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.stands(PAYMENT, "releasing")?;
    way.go(Move::RetryCapture(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.ends()?;
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { may_refuse: true, ..CALM })?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.settle(&[], Says::No)?;
    way.go(Move::RetryRefund(1))?;
    way.settle(&[], Says::No)?;
    way.go(Move::RetryRefund(2))?;
    way.all()?;
    way.ends()
}

/// The provider takes money that it had refused to take, when some or all of the pieces have come back; the rest may be lost by then, or let go.
fn what_was_refused_is_done_after_all(search: &mut Search) -> Result<(), Found> {
    for back in [&["A-1"][..], &["A-1", "B-1"]] {
        for is_lost in [false, true] {
            for is_told in [false, true] {
                let left = Left { may_refuse: true, whims: 1, troubles: 1, notices: if is_told { 20 } else { 0 }, ..CALM };
                let mut way = sent_and_not_paid(search, left)?;
                let (attempt, amount) = way.world.provider.to_do_late().first().copied().expect("it was refused");
                way.go(Move::DoLate(attempt, amount))?;
                if is_told {
                    way.go(Move::Notice(way.world.notices.len() - 1))?;
                }
                for sku in back {
                    way.go(Move::Return(sku))?;
                    way.all()?;
                }
                if is_lost && !way.world.provider.to_expire().is_empty() {
                    way.go(Move::Expire(attempt))?;
                    way.go(Move::Tell(attempt))?;
                    way.all()?;
                }
                way.ends()?;
            }
        }
    }
    Ok(())
}

/// A lost parcel arrives, or comes back, when its money was given back, or was never taken.
fn what_was_lost_turns_up_when_all_is_over(search: &mut Search) -> Result<(), Found> {
    for found in [Move::Delivered(1), Move::ToSender(1)] {
        for refuses in [false, true] {
            let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { may_refuse: refuses, mishaps: 3, ..CALM })?;
            way.go(Move::Dispatch(1))?;
            way.go(Move::Dispatch(2))?;
            way.settle(&[], if refuses { Says::No } else { Says::Yes })?;
            way.go(Move::Lost(1))?;
            way.go(Move::Delivered(2))?;
            way.all()?;
            way.stands(ORDER, "completed")?;
            way.go(found.clone())?;
            way.all()?;
            way.stands(ORDER, "completed")?;
            if found == Move::Delivered(1) {
                // The customer has all of it, and sends all of it back.
                for sku in ["A-1", "A-1", "B-1"] {
                    way.go(Move::Return(sku))?;
                    way.all()?;
                }
                way.all_are_back()?;
            }
            way.ends()?;
        }
    }
    Ok(())
}
