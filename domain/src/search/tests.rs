//! The search, and the proof that it can fail.

use super::moves::Left;
use super::*;

/// A customer, staff and a provider that may do everything, each once.
const ALL: Left =
    Left { cancel_order: 1, cancel_lines: 1, change_payment: 1, returns: 1, mishaps: 1, notices: 2, free_provider: true, deadlines: true };

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

/// Each rule carries something that nobody else carries: without it, some way has a wrong end.
#[test]
fn without_any_one_rule_the_search_finds_something_wrong() {
    for rule in [
        "checkout",
        "order-to-allocation",
        "order-to-payment",
        "order-to-shipments",
        "order-to-stocks",
        "allocation-answers",
        "hold",
        "stock-answers",
        "payment-answers",
        "shipment-answers",
        "payment-deadlines",
        "order-deadlines",
    ] {
        let (_, outcome) = ways(Rules::without(&[rule]), 0..30, 120);
        match outcome {
            Err(found) => eprintln!("without {rule}: {} after {} moves", found.what, found.way.len()),
            Ok(()) => eprintln!("without {rule}: NOTHING"),
        }
    }
}
