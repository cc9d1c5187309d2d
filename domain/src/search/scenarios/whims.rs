//! Ways with a provider that forgets what it was asked, and refuses to cancel.

use super::*;

pub(super) const ALL: [Way; 4] = [
    the_provider_forgets_what_it_has_done,
    a_refused_cancellation_is_tried_again,
    the_provider_refuses_to_cancel,
    the_provider_refuses_to_cancel_what_was_overtaken,
];

/// The provider forgets a capture, and a refund, that it has done, or has not.
fn the_provider_forgets_what_it_has_done(search: &mut Search) -> Result<(), Found> {
    for has_done in [false, true] {
        let waiting: Waiting<'_> = &[("provider", "payment")];
        let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { whims: 2, ..CALM })?;
        for one in [Move::Dispatch(1), Move::Return("A-1")] {
            way.go(one)?;
            way.until(waiting, Says::Yes, |world| !world.asked.is_empty())?;
            if has_done {
                way.settle(waiting, Says::Yes)?;
            }
            way.go(Move::Forget(0))?;
            way.all()?;
            way.go(Move::Delivered(1))?;
            way.all()?;
        }
        way.ends()?;
    }
    Ok(())
}

/// Nobody tells that it has ended meanwhile.
pub(in crate::search) fn a_refused_cancellation_is_tried_again(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { whims: 1, ..CALM })?;
    way.go(Move::CancelOrder)?;
    way.refuses(Operation::Cancel)?;
    way.ends()
}

/// The provider refuses to cancel what an order gives up, or lets go: it is tried again, or has ended before that.
fn the_provider_refuses_to_cancel(search: &mut Search) -> Result<(), Found> {
    for (is_given_up, begun, over) in [(true, "voiding", "voided"), (false, "releasing", "released")] {
        for ends_before in [false, true] {
            let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { whims: 1, troubles: 1, notices: 20, ..CALM })?;
            if !is_given_up {
                way.go(Move::Dispatch(2))?;
                way.all()?;
                way.go(Move::Delivered(2))?;
            }
            way.go(Move::CancelOrder)?;
            way.refuses(Operation::Cancel)?;
            way.stands(PAYMENT, begun)?;
            way.fire("cancel-refused")?;
            if ends_before {
                way.tells(Move::Expire(1))?;
                way.stands(PAYMENT, over)?;
            }
            way.deliver(DEADLINES, "payment")?;
            way.ends()?;
        }
    }
    Ok(())
}

/// The customer names other means, and the provider refuses to cancel the first: that is tried again whatever becomes of the others.
fn the_provider_refuses_to_cancel_what_was_overtaken(search: &mut Search) -> Result<(), Found> {
    for then in ["requested", "authorised", "lost", "ending", "not paid"] {
        let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { whims: 1, troubles: 1, notices: 20, ..CALM });
        way.settle(&[], Says::Act)?;
        way.go(Move::ChangePayment)?;
        way.refuses(Operation::Cancel)?;
        way.settle(&[], Says::Act)?;
        if matches!(then, "ending" | "not paid") {
            way.fire("payment")?;
        }
        way.fire("cancel-refused")?;
        match then {
            "ending" | "not paid" => way.deliver(DEADLINES, "payment")?,
            "authorised" | "lost" => way.tells(Move::Act(2))?,
            _ => {}
        }
        if then == "lost" {
            way.tells(Move::Expire(2))?;
        }
        if then == "not paid" {
            way.settle(&[(DEADLINES, "*"), ("payment", "order")], Says::Yes)?;
        }
        way.stands(PAYMENT, then)?;
        way.deliver(DEADLINES, "payment")?;
        way.ends()?;
    }
    Ok(())
}
