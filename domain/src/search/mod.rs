//! The search: the real deciders, reactors, lookups and deadlines of an order's way, with a free provider, customer and staff, through every
//! order of messages that fits into its bounds. They are pure, so a whole shop is a value.
//!
//! It holds, in every state that it finds: stock is never below zero and its promises are no more than lie on the shelf (I6); captured is at
//! most authorised, and refunded at most captured (I7). From every state an end is reached when nobody but the processes does anything more,
//! and then nothing is held, no authorisation is open, and the money that was taken is that of the pieces that the customer keeps.
//!
//! What it finds is the table of the processes, `docs/processes.md`: for each state of an aggregate and each message, what follows.

mod moves;
mod provider;
mod quiet;
mod table;
mod world;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use moves::Move;
use shop_proto::order::v1::OrderStatus;
use table::Table;
use world::{Rules, World};

/// A search: how far it goes, and what it found.
struct Search {
    rules: Rules,
    table: Table,
    /// Hashes of worlds that were seen.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Ends that were reached, by where the order stood then.
    ends: BTreeMap<OrderStatus, usize>,
}

/// How a search ended that found something wrong.
#[derive(Debug)]
struct Found {
    what: String,
    /// The moves that lead there.
    way: Vec<Move>,
}

impl Search {
    fn new(rules: Rules) -> Self {
        Self { rules, table: Table::default(), seen: HashSet::new(), hasher: RandomState::new(), ends: BTreeMap::new() }
    }

    fn is_new(&mut self, world: &World) -> bool {
        self.seen.insert(self.hasher.hash_one(world))
    }

    /// All worlds that so many moves lead to, the nearest first, at most so many worlds.
    fn widely(&mut self, first: &World, most: usize) -> Result<(), Found> {
        let mut next: VecDeque<(World, Vec<Move>)> = VecDeque::from([(first.clone(), Vec::new())]);
        let mut count = 0;
        while let Some((world, way)) = next.pop_front() {
            self.end_from(&world, &way)?;
            for one in [world.moves(), world.moves_of_people()].concat() {
                let (after, way) = self.go(&world, &one, &way)?;
                if count < most && self.is_new(&after) {
                    count += 1;
                    next.push_back((after, way));
                }
            }
        }
        Ok(())
    }

    /// One way to its end, each move chosen by a number.
    fn deeply(&mut self, first: &World, numbers: impl Iterator<Item = usize>) -> Result<(), Found> {
        let (mut world, mut way) = (first.clone(), Vec::new());
        for number in numbers {
            let (mut moves, people) = (world.moves(), world.moves_of_people());
            // Now and then somebody does something before all that is under way is done.
            if moves.is_empty() || number % 9 == 0 {
                moves = if people.is_empty() { moves } else { people };
            }
            let Some(one) = moves.get((number / 9) % moves.len().max(1)).cloned() else { break };
            (world, way) = self.go(&world, &one, &way)?;
            if self.is_new(&world) {
                self.end_from(&world, &way)?;
            }
        }
        Ok(())
    }

    fn go(&mut self, world: &World, one: &Move, way: &[Move]) -> Result<(World, Vec<Move>), Found> {
        let mut after = world.clone();
        after.go(one, &self.rules, &mut self.table);
        let way = [way, std::slice::from_ref(one)].concat();
        match after.wrong() {
            Some(what) => Err(Found { what, way }),
            None => Ok((after, way)),
        }
    }

    /// Without customer, staff and provider doing anything more by themselves, the processes come to an end.
    fn end_from(&mut self, world: &World, way: &[Move]) -> Result<(), Found> {
        let end = quiet::settled(world, &self.rules, &mut self.table).map_err(|what| Found { what, way: way.to_vec() })?;
        *self.ends.entry(end.order().status()).or_default() += 1;
        Ok(())
    }
}

mod tests;
