//! The search, and the proof that it can fail.

use super::moves::Left;
use super::*;

/// A customer, staff and a provider that may do everything, each once.
const ALL: Left = Left {
    cancel_order: 2,
    cancel_lines: 2,
    change_payment: 2,
    returns: 4,
    mishaps: 1,
    holds: 2,
    notices: 3,
    free_provider: true,
    may_refuse: false,
    deadlines: true,
    no_lookups: false,
};

/// Numbers that look like chance and are the same each time.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        (state ^= state << 13, state ^= state >> 7, state ^= state << 17);
        usize::try_from(state >> 33).ok()
    })
}

fn start(search: &mut Search, shelves: [[u32; 2]; 2], quantities: [u32; 2], left: Left, once: bool) -> World {
    let mut world = World::new(shelves, left);
    world.provider.captures_once = once;
    world.checked_out(quantities, &search.rules, &mut search.table)
}

/// Shelves and orders: from one warehouse, from two, with too little of one product.
const SHOPS: [([[u32; 2]; 2], [u32; 2]); 4] =
    [([[2, 0], [1, 0]], [2, 1]), ([[1, 1], [0, 1]], [2, 1]), ([[1, 1], [1, 1]], [1, 1]), ([[1, 0], [1, 1]], [2, 1])];

/// Ways through all shops, so many of each, so many moves each.
fn ways(rules: Rules, seeds: std::ops::Range<u64>, length: usize) -> (Search, Result<(), Found>) {
    let mut search = Search::new(rules);
    for seed in seeds {
        for (n, (shelves, quantities)) in (0..).zip(SHOPS) {
            let mut left = ALL;
            // Most ways go on without being given up, or their ends would never be seen.
            left.cancel_order = u8::from(seed % 4 == 0);
            left.deadlines = seed % 3 == 0;
            left.free_provider = seed % 2 == 0;
            left.no_lookups = seed % 16 == 7;
            left.may_refuse = seed % 16 == 3;
            let world = start(&mut search, shelves, quantities, left, seed % 5 == 0);
            if let Err(found) = search.deeply(&world, numbers(seed * 8 + n).take(length)) {
                return (search, Err(found));
            }
        }
    }
    (search, Ok(()))
}

fn none(outcome: Result<(), Found>) {
    if let Err(found) = outcome {
        panic!("{}, after {:#?}", found.what, found.way);
    }
}

#[test]
fn every_order_comes_to_an_end_at_which_goods_and_money_are_where_they_belong() {
    let (search, outcome) = ways(Rules::without(&[]), 0..std::env::var("SEARCH_WAYS").ok().and_then(|n| n.parse().ok()).unwrap_or(40), 120);
    none(outcome);
    eprintln!("{} worlds, {} cells, ends {:?}", search.seen.len(), search.table.len(), search.ends);
}

#[test]
fn nothing_near_the_beginning_is_missed() {
    let mut search = Search::new(Rules::without(&[]));
    for once in [false, true] {
        let world = start(&mut search, [[1, 0], [0, 1]], [1, 1], ALL, once);
        none(search.widely(&world, 400));
    }
}

/// Every row carries something: where its message is forgotten, some way has a wrong end.
#[test]
fn where_a_row_is_forgotten_the_search_finds_something_wrong() {
    let (search, outcome) = ways(Rules::without(&[]), 0..24, 120);
    none(outcome);
    for command in search.table.sent() {
        let (_, outcome) = ways(Rules::without(&[&command]), 0..24, 120);
        match outcome {
            Err(found) => eprintln!("without {command}: {} after {} moves", found.what, found.way.len()),
            Ok(()) => eprintln!("without {command}: NOTHING"),
        }
    }
    for aggregate in crate::aggregates().iter().filter(|a| ["order", "allocation", "payment", "shipment"].contains(&a.name())) {
        for (command, states) in search.table.not_met(&**aggregate) {
            eprintln!("{} {command}: {states:?}", aggregate.name());
        }
    }
}
