//! Ways that chance finds too seldom, written down.

use shop_proto::holds::STAFF;
use shop_proto::payment::v1::Operation;

use super::moves::Left;
use super::provider::Says;
use super::*;

/// A way that is written down.
struct Script<'s> {
    search: &'s mut Search,
    world: World,
    way: Vec<Move>,
}

/// A sender and a target, by their aggregates: what is between them stays on its way.
type Waiting<'w> = &'w [(&'w str, &'w str)];

fn of(stream: &str, aggregate: &str) -> bool {
    stream.split('/').next() == Some(aggregate)
}

impl<'s> Script<'s> {
    /// A shop with these shelves, and a cart with so many pieces that is checked out.
    fn new(search: &'s mut Search, shelves: [[u32; 2]; 2], quantities: [u32; 2], left: Left) -> Self {
        let mut world = World::new(shelves, left);
        world.provider.forgets_keys = search.rules.provider_forgets;
        let world = world.checked_out(quantities, &search.rules, &mut search.table);
        Self { search, world, way: Vec::new() }
    }

    /// A shop in which somebody has begun to fill the cart.
    fn filling(search: &'s mut Search, shelves: [[u32; 2]; 2], left: Left) -> Self {
        let mut world = World::new(shelves, left);
        world.fill(1, &search.rules, &mut search.table);
        Self { search, world, way: Vec::new() }
    }

    fn checks_out(&mut self, quantities: [u32; 2]) -> Result<(), Found> {
        let rest = [quantities[0] - 1, quantities[1]];
        self.world.check_out_with(super::world::CART, rest, [1, 0], &self.search.rules, &mut self.search.table);
        self.search.look(&self.world, &self.way)
    }

    fn go(&mut self, one: Move) -> Result<(), Found> {
        (self.world, self.way) = self.search.go(&self.world, &one, &self.way)?;
        self.search.look(&self.world, &self.way)
    }

    /// The provider tells what has happened there.
    fn tells(&mut self, one: Move) -> Result<(), Found> {
        self.go(one)?;
        self.go(Move::Notice(self.world.notices.len() - 1))
    }

    /// Whatever is armed fires, and is on its way.
    fn fire_all(&mut self) -> Result<(), Found> {
        loop {
            let next = self.world.armed().next().cloned();
            let Some(armed) = next else { return Ok(()) };
            self.go(Move::Fire(Box::new(armed)))?;
        }
    }

    /// Everything arrives and is done, but what waits, until there is nothing more; the provider says this of what it is asked.
    fn settle(&mut self, waiting: Waiting<'_>, says: Says) -> Result<(), Found> {
        self.until(waiting, says, |_| false)
    }

    /// The same until this is so.
    fn until(&mut self, waiting: Waiting<'_>, says: Says, is_so: impl Fn(&World) -> bool) -> Result<(), Found> {
        while !is_so(&self.world) {
            let waits = |one: &Move| match one {
                Move::Deliver(from, to) => waiting.iter().any(|(sender, target)| of(from, sender) && (*target == "*" || of(to, target))),
                Move::Answer(_) => waiting.contains(&("provider", "payment")),
                Move::Perform(_, of_it) => *of_it != says,
                Move::NotBegun(_) | Move::LoseNotice(_) | Move::Notice(_) | Move::Die(_) | Move::Forget(_) => true,
                _ => false,
            };
            // Of what can only be done one way, the provider does it.
            let all = self.world.moves();
            let yes = |one: &&Move| matches!(one, Move::Perform(_, Says::Yes)) && says != Says::Yes;
            let next = all.iter().find(|one| !waits(one)).or_else(|| all.iter().find(yes));
            let Some(one) = next.cloned() else { break };
            self.go(one)?;
        }
        Ok(())
    }

    fn all(&mut self) -> Result<(), Found> {
        self.settle(&[], Says::Yes)
    }

    /// The next message between these, and all that are before it.
    fn deliver(&mut self, sender: &str, target: &str) -> Result<(), Found> {
        let way = self.world.waiting().find(|(from, to)| of(from, sender) && of(to, target)).cloned();
        match way {
            Some((from, to)) => self.go(Move::Deliver(from, to)),
            None => Err(self.found(format!("nothing is on its way from {sender} to {target}"))),
        }
    }

    fn found(&self, what: String) -> Found {
        Found { what, way: self.way.clone(), speech: None }
    }

    fn stands(&self, stream: &str, standing: &str) -> Result<(), Found> {
        let is = self.world.standing(stream);
        if is == standing { Ok(()) } else { Err(self.found(format!("{stream} is {is:?} and not {standing:?}"))) }
    }

    /// Everything arrives until the provider is asked for this, which it refuses; and that arrives.
    fn refuses(&mut self, operation: Operation) -> Result<(), Found> {
        let place = |world: &World| world.asked.iter().position(|asked| asked.event().operation() == operation && asked.outcome.is_none());
        self.until(&[], Says::Yes, |world| place(world).is_some())?;
        let Some(n) = place(&self.world) else { return Err(self.found(format!("nobody asks for {operation:?}"))) };
        self.go(Move::Perform(n, Says::No))?;
        self.go(Move::Answer(n))
    }

    /// The time of a deadline has come, and its message is on its way.
    fn fire(&mut self, name: &str) -> Result<(), Found> {
        let armed = self.world.armed().find(|armed| armed.name == name).cloned();
        match armed {
            Some(armed) => self.go(Move::Fire(Box::new(armed))),
            None => Err(self.found(format!("{name} is not armed"))),
        }
    }

    /// Each piece lies on a shelf again.
    fn all_are_back(&self) -> Result<(), Found> {
        let (pieces, there) = (self.world.pieces, self.world.on_shelves());
        if there == pieces { Ok(()) } else { Err(self.found(format!("of {pieces} pieces {there} are back"))) }
    }

    /// It comes to its end.
    fn ends(self) -> Result<(), Found> {
        self.search.end_from(&self.world, &self.way)
    }
}

/// What is on its way when a customer or staff does something else.
const CALM: Left = Left {
    cancel_order: 2,
    cancel_lines: 4,
    change_payment: 2,
    returns: 4,
    mishaps: 2,
    holds: 2,
    retries: 2,
    notices: 0,
    troubles: 0,
    whims: 0,
    crashes: 0,
    free_provider: true,
    may_refuse: false,
    deadlines: true,
    no_lookups: false,
};
const ORDER: &str = "order/o-1";
const PAYMENT: &str = "payment/o-1";

const ONE_WAREHOUSE: [[u32; 2]; 2] = [[2, 0], [1, 0]];
const TWO_WAREHOUSES: [[u32; 2]; 2] = [[1, 1], [0, 1]];

/// Each of them, to its end.
pub(super) fn all(search: &mut Search) -> Result<(), Found> {
    short_pick_crosses_two_cancellations(search)?;
    an_answer_of_the_allocation_crosses(search)?;
    an_answer_of_the_payment_crosses(search)?;
    other_means_cross_an_authorisation_that_is_lost(search)?;
    an_authorisation_is_lost_while_pieces_leave(search)?;
    money_is_given_back_while_pieces_are_under_way(search)?;
    a_return_crosses_the_release_of_the_rest(search)?;
    labels_and_ends_come_late(search)?;
    a_hold_and_its_end_come_late(search)?;
    what_is_asked_back_is_not_found(search)?;
    money_is_taken_back_before_all_has_left(search)?;
    staff_tries_again_what_was_refused(search)?;
    what_was_refused_is_done_after_all(search)?;
    the_provider_forgets_what_it_has_done(search)?;
    a_refused_cancellation_is_tried_again(search)?;
    the_provider_refuses_to_cancel(search)?;
    the_provider_refuses_to_cancel_what_was_overtaken(search)?;
    what_was_lost_turns_up_when_all_is_over(search)?;
    a_follower_dies(search)?;
    an_effect_dies(search)?;
    deadlines_come_late(search)
}

/// Two pieces are asked back one by one, while one of them is not found.
fn short_pick_crosses_two_cancellations(search: &mut Search) -> Result<(), Found> {
    for quantities in [[2, 0], [2, 1]] {
        let mut way = Script::new(search, ONE_WAREHOUSE, quantities, CALM);
        way.all()?;
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
                way.deliver(super::world::DEADLINES, "allocation")?;
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
            way.deliver(super::world::DEADLINES, "allocation")?;
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

/// One of two shipments has left when the authorisation is lost: its capture may have been asked for, and pieces may come back.
fn an_authorisation_is_lost_while_pieces_leave(search: &mut Search) -> Result<(), Found> {
    for has_captured in [false, true] {
        for completes in [false, true] {
            let left = Left { troubles: 1, notices: 20, ..CALM };
            let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], left);
            way.all()?;
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
            let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { may_refuse, troubles: 1, notices: 20, ..CALM });
            way.all()?;
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
        let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { may_refuse: true, ..CALM });
        way.all()?;
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
        let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { troubles: 1, notices: 20, ..CALM });
        way.all()?;
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

/// Pieces come back just when the order has been completed, and the rest of its authorisation is on its way to be let go.
fn a_return_crosses_the_release_of_the_rest(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], CALM);
    way.all()?;
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
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], CALM);
    way.all()?;
    way.go(Move::CancelOrder)?;
    way.all()?;
    way.stands(ORDER, "cancelled")?;
    way.go(Move::Label(1))?;
    way.all()?;
    way.ends()?;
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], CALM);
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.stands(ORDER, "completed")?;
    way.go(Move::Label(1))?;
    way.ends()?;
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], CALM);
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.stands(ORDER, "delivered")?;
    way.go(Move::Label(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.ends()
}

/// The one piece of an order is asked back and not found: the order is cancelled when the shipment says that there is nothing to leave out.
fn what_is_asked_back_is_not_found(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, ONE_WAREHOUSE, [1, 0], CALM);
    way.all()?;
    way.go(Move::CancelLine("A-1"))?;
    way.go(Move::ShortPick(1))?;
    way.settle(&[("order", "shipment")], Says::Yes)?;
    way.stands(ORDER, "cancelled")?;
    way.ends()
}

/// One of two shipments has left, and the bank takes its money back.
pub(super) fn money_is_taken_back_before_all_has_left(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { troubles: 1, notices: 20, ..CALM });
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.all()?;
    way.tells(Move::ChargeBack(1))?;
    way.all()?;
    way.ends()
}

/// The provider refuses to take money, or to give it back, and does it not even when it is asked again, before it does.
fn staff_tries_again_what_was_refused(search: &mut Search) -> Result<(), Found> {
    for shelves in [ONE_WAREHOUSE, TWO_WAREHOUSES] {
        let mut way = Script::new(search, shelves, [2, 1], Left { may_refuse: true, ..CALM });
        way.all()?;
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
    let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { may_refuse: true, ..CALM });
    way.all()?;
    way.go(Move::Dispatch(2))?;
    way.settle(&[], Says::No)?;
    way.go(Move::Delivered(2))?;
    way.go(Move::CancelOrder)?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.go(Move::Return("B-1"))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.stands(PAYMENT, "releasing")?;
    way.go(Move::RetryCapture(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.ends()?;
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { may_refuse: true, ..CALM });
    way.all()?;
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
                let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], left);
                way.all()?;
                way.go(Move::Dispatch(2))?;
                way.settle(&[], Says::No)?;
                way.go(Move::Delivered(2))?;
                way.go(Move::CancelOrder)?;
                way.all()?;
                way.stands(ORDER, "completed")?;
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

/// The provider forgets a capture, and a refund, that it has done, or has not.
fn the_provider_forgets_what_it_has_done(search: &mut Search) -> Result<(), Found> {
    for has_done in [false, true] {
        let waiting: Waiting<'_> = &[("provider", "payment")];
        let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { whims: 2, ..CALM });
        way.all()?;
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
pub(super) fn a_refused_cancellation_is_tried_again(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { whims: 1, ..CALM });
    way.all()?;
    way.go(Move::CancelOrder)?;
    way.refuses(Operation::Cancel)?;
    way.ends()
}

/// The provider refuses to cancel what an order gives up, or lets go: it is tried again, or has ended before that.
fn the_provider_refuses_to_cancel(search: &mut Search) -> Result<(), Found> {
    for (is_given_up, begun, over) in [(true, "voiding", "voided"), (false, "releasing", "released")] {
        for ends_before in [false, true] {
            let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { whims: 1, troubles: 1, notices: 20, ..CALM });
            way.all()?;
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
            way.deliver(super::world::DEADLINES, "payment")?;
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
            "ending" | "not paid" => way.deliver(super::world::DEADLINES, "payment")?,
            "authorised" | "lost" => way.tells(Move::Act(2))?,
            _ => {}
        }
        if then == "lost" {
            way.tells(Move::Expire(2))?;
        }
        if then == "not paid" {
            way.settle(&[(super::world::DEADLINES, "*"), ("payment", "order")], Says::Yes)?;
        }
        way.stands(PAYMENT, then)?;
        way.deliver(super::world::DEADLINES, "payment")?;
        way.ends()?;
    }
    Ok(())
}

/// A lost parcel arrives, or comes back, when its money was given back, or was never taken.
fn what_was_lost_turns_up_when_all_is_over(search: &mut Search) -> Result<(), Found> {
    for found in [Move::Delivered(1), Move::ToSender(1)] {
        for refuses in [false, true] {
            let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { may_refuse: refuses, mishaps: 3, ..CALM });
            way.all()?;
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

/// The followers of the orders' log die when a piece that came back is on the shelf again.
pub(super) fn a_follower_dies(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { crashes: 1, ..CALM });
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.all()?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.all()?;
    way.go(Move::Crash("order"))?;
    way.ends()
}

/// The effect dies when the provider has taken the money, or has given it back, and nobody has heard of it.
pub(super) fn an_effect_dies(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::new(search, TWO_WAREHOUSES, [2, 1], Left { crashes: 1, ..CALM });
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.go(Move::Die(0))?;
    way.all()?;
    way.ends()?;
    let mut way = Script::new(search, ONE_WAREHOUSE, [2, 1], Left { crashes: 1, ..CALM });
    way.all()?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.go(Move::Die(0))?;
    way.all()?;
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
        let mut way = Script::new(search, ONE_WAREHOUSE, [1, 0], CALM);
        way.all()?;
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

/// Whatever is armed fires as soon as it can, and its message comes when all else has happened.
fn deadlines_come_late(search: &mut Search) -> Result<(), Found> {
    let late: Waiting<'_> = &[(super::world::DEADLINES, "*")];
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
