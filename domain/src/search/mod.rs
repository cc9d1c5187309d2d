//! The search: the real deciders, reactors, lookups and deadlines of an order's way, with a free provider, customer and staff, through every
//! order of messages that fits into its bounds. They are pure, so a whole shop is a value.
//!
//! It holds, in every state that it finds: stock is never below zero and its promises are no more than lie on the shelf (I6); captured is at
//! most authorised, and refunded at most captured (I7). From every state an end is reached when nobody but the processes does anything more,
//! and then nothing is held, no authorisation is open, and the money that was taken is that of the pieces that the customer keeps.
//!
//! A process that dies does again what it had done since its checkpoint, under the same ids: the ledger answers. An effect that dies after its
//! call asks about it.
//!
//! What it finds is the table of the processes, `docs/processes.md`: for each state of an aggregate and each message, what follows.

mod cells;
mod moves;
mod past;
mod provider;
mod quiet;
mod scenarios;
mod speaking;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use moves::Move;
use shop_proto::order::v1::OrderStatus;
use speaking::Speech;
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
    /// Where streams stood, and what was about to arrive there, when everybody spoke to them, by aggregate.
    spoken_to: BTreeSet<(String, &'static str, BTreeSet<&'static str>)>,
    /// Whether it looks for what it has not seen yet beside its ways.
    looks: bool,
}

/// What a way leaves on its way for as long as anything else may happen: late messages.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Late {
    Nothing,
    /// Between two aggregates.
    Mail(&'static str, &'static str),
    Reads,
    /// What the provider answers.
    Answers,
    /// What the provider tells by itself.
    Notices,
}

impl Late {
    fn is(&self, one: &Move) -> bool {
        let of = |stream: &str, aggregate: &str| stream.split('/').next() == Some(aggregate);
        match (self, one) {
            (Self::Mail(from, to), Move::Deliver(sender, target)) => of(sender, from) && of(target, to),
            (Self::Reads, Move::Read(_)) | (Self::Answers, Move::Answer(_)) | (Self::Notices, Move::Notice(_) | Move::LoseNotice(_)) => {
                true
            }
            _ => false,
        }
    }
}

/// How a search ended that found something wrong.
#[derive(Debug)]
struct Found {
    what: String,
    /// The moves that lead there.
    way: Vec<Move>,
    /// And what is said then.
    speech: Option<Box<Speech>>,
}

impl Search {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            table: Table::default(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            ends: BTreeMap::new(),
            spoken_to: BTreeSet::new(),
            looks: true,
        }
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
            self.look(&world, &way)?;
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

    /// One way to its end, each move chosen by a number; what is late comes when nothing else does.
    fn deeply(&mut self, first: &World, late: &Late, numbers: impl Iterator<Item = usize>) -> Result<(), Found> {
        let (mut world, mut way) = (first.clone(), Vec::new());
        for number in numbers {
            let (all, people) = (world.moves(), world.moves_of_people());
            let mut moves: Vec<Move> = all.iter().filter(|one| !late.is(one)).cloned().collect();
            // Now and then somebody does something before all that is under way is done.
            if (moves.is_empty() || number % 9 == 0) && !people.is_empty() {
                moves = people;
            }
            if moves.is_empty() {
                moves = all;
            }
            let Some(one) = moves.get((number / 9) % moves.len().max(1)).cloned() else { break };
            (world, way) = self.go(&world, &one, &way)?;
            if self.is_new(&world) {
                if *late == Late::Nothing {
                    self.end_from(&world, &way)?;
                }
                self.look(&world, &way)?;
            }
        }
        Ok(())
    }

    /// Looks for what has not been seen yet: messages that meet a state for the first time, and states in which nobody has spoken. Each is
    /// followed to its end.
    fn look(&mut self, world: &World, way: &[Move]) -> Result<(), Found> {
        if !self.looks {
            return Ok(());
        }
        for one in world.moves() {
            let Some(letter) = world.brings(&one) else { continue };
            let aggregate = self.rules.aggregate(letter.type_name).name();
            if !self.table.has(aggregate, world.standing(&letter.target), &table::short(letter.type_name)) {
                let (after, way) = self.go(world, &one, way)?;
                self.end_from(&after, &way)?;
            }
        }
        for stream in world.audience() {
            let aggregate = stream.split('/').next().unwrap_or_default().to_owned();
            let place = (aggregate, world.standing(&stream), world.heads(&stream));
            if self.spoken_to.insert(place) {
                self.everybody_speaks(world, &stream, way)?;
            }
        }
        Ok(())
    }

    fn everybody_speaks(&mut self, world: &World, stream: &str, way: &[Move]) -> Result<(), Found> {
        let mut before = world.clone();
        let speeches = before.speeches(stream);
        for speech in speeches {
            let mut after = before.clone();
            after.hear(&speech, &self.rules, &mut self.table);
            let found = |found: Found| Found { speech: Some(Box::new(speech.clone())), ..found };
            self.end_from(&after, way).and_then(|()| self.look(&after, way)).map_err(found)?;
        }
        Ok(())
    }

    fn go(&mut self, world: &World, one: &Move, way: &[Move]) -> Result<(World, Vec<Move>), Found> {
        let mut after = world.clone();
        after.go(one, &self.rules, &mut self.table);
        let way = [way, std::slice::from_ref(one)].concat();
        match after.wrong() {
            Some(what) => Err(Found { what, way, speech: None }),
            None => Ok((after, way)),
        }
    }

    /// Without customer, staff and provider doing anything more by themselves, the processes come to an end.
    fn end_from(&mut self, world: &World, way: &[Move]) -> Result<(), Found> {
        let end = quiet::settled(world, &self.rules, &mut self.table).map_err(|what| Found { what, way: way.to_vec(), speech: None })?;
        *self.ends.entry(end.order().status()).or_default() += 1;
        Ok(())
    }
}

mod tests;

pub(crate) use tests::heard;
