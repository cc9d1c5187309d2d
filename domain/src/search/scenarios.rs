//! Ways that chance finds too seldom, written down.

mod by_hand;
mod crossing;
mod dying;
mod money;
mod whims;

use shop_proto::payment::v1::Operation;

use super::moves::Left;
use super::provider::Says;
use super::world::DEADLINES;
use super::*;
pub(super) use dying::{a_follower_dies, an_effect_dies};
pub(super) use money::money_is_taken_back_before_all_has_left;
pub(super) use whims::a_refused_cancellation_is_tried_again;

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

    /// The same when its order is the customer's.
    fn confirmed(search: &'s mut Search, shelves: [[u32; 2]; 2], quantities: [u32; 2], left: Left) -> Result<Self, Found> {
        let mut way = Self::new(search, shelves, quantities, left);
        way.all()?;
        Ok(way)
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
    by_hand: 0,
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

/// A way, from its beginning to its end.
type Way = fn(&mut Search) -> Result<(), Found>;

/// Each of them, to its end.
pub(super) fn all(search: &mut Search) -> Result<(), Found> {
    let rooms: [&[Way]; 5] = [&crossing::ALL, &money::ALL, &by_hand::ALL, &whims::ALL, &dying::ALL];
    rooms.into_iter().flatten().try_for_each(|way| way(search))
}
