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
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
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
            let mut world = start(&mut search, shelves, quantities, left, seed % 5 == 0);
            if seed % 4 == 1 {
                // From a confirmed order on: people's moves are not used up before.
                confirmed(&mut search, &mut world);
                world.left.cancel_order = 1;
            }
            if let Err(found) = search.deeply(&world, numbers(seed * 8 + n).take(length)) {
                return (search, Err(found));
            }
        }
    }
    (search, Ok(()))
}

/// Leads an order to where it is the customer's.
fn confirmed(search: &mut Search, world: &mut World) {
    while world.order().status() != OrderStatus::Confirmed {
        let Some(one) = world.moves().into_iter().find(|one| !matches!(one, Move::LoseNotice(_))) else { break };
        world.go(&one, &search.rules, &mut search.table);
    }
}

fn none(outcome: Result<(), Found>) {
    if let Err(found) = outcome {
        panic!("{}, after {:#?}", found.what, found.way);
    }
}

/// How many ways there are; more with `SEARCH_WAYS=400`.
fn wanted() -> Option<u64> {
    std::env::var("SEARCH_WAYS").ok().and_then(|ways| ways.parse().ok())
}

#[test]
fn every_order_comes_to_an_end_at_which_goods_and_money_are_where_they_belong() {
    let (search, outcome) = ways(Rules::without(&[]), 0..wanted().unwrap_or(WAYS), 120);
    none(outcome);
    eprintln!("{} worlds, {} cells, ends {:?}", search.seen.len(), search.table.len(), search.ends);
    for end in [OrderStatus::Completed, OrderStatus::Cancelled, OrderStatus::Rejected] {
        assert!(search.ends.contains_key(&end), "{end:?} was never reached");
    }
    for (aggregate, state, message) in MET {
        assert!(search.table.has(aggregate, state, message), "{message} was never met in {state} of {aggregate}");
    }
    if wanted().is_none() {
        is_written(&search);
    }
}

/// Meetings that the ways must have among them, whatever else they have.
const MET: [(&str, &str, &str); 10] = [
    ("order", "opened", "CancelOrder"),
    ("order", "awaiting payment", "CancelOrder"),
    ("order", "confirmed", "CancelOrder"),
    ("order", "partly shipped", "CancelOrder"),
    ("order", "confirmed", "RecordShipmentCancelled"),
    ("order", "awaiting payment", "ChangePayment"),
    ("order", "rejecting", "RecordVoided"),
    ("order", "cancelling", "RecordAllocationReleased"),
    ("payment", "authorised", "RequestVoid"),
    ("shipment", "dispatched", "CancelShipment"),
];

/// The documents say what was found. `DAYBOOK_WRITE_PROCESSES=1` writes them.
fn is_written(search: &Search) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (processes, architecture) = (root.join("docs/processes.md"), root.join("ARCHITECTURE.md"));
    let wanted = ["order", "allocation", "payment", "shipment"];
    let aggregates: Vec<_> = wanted.iter().filter_map(|name| crate::aggregates().into_iter().find(|a| a.name() == *name)).collect();
    let table = format!("{TABLE_BEGINS}{}", search.table.written(&aggregates));
    let target = |command: &str| {
        let all = crate::aggregates();
        let decides = all.iter().find(|a| a.command_types().iter().any(|name| table::short(name) == command));
        decides.map(|a| a.name().to_owned()).unwrap_or_default()
    };
    let old = std::fs::read_to_string(&architecture).expect("it stands there");
    let (before, rest) = old.split_once(DIAGRAM_BEGINS).expect("the diagram's beginning");
    let (_, after) = rest.split_once(DIAGRAM_ENDS).expect("the diagram's end");
    let diagram = format!("{before}{DIAGRAM_BEGINS}{}{DIAGRAM_ENDS}{after}", search.table.diagram(target));
    if std::env::var_os("DAYBOOK_WRITE_PROCESSES").is_some() {
        std::fs::write(&processes, &table).expect("it can be written");
        std::fs::write(&architecture, &diagram).expect("it can be written");
    }
    let told = "run DAYBOOK_WRITE_PROCESSES=1 cargo test -p shop-domain every_order_comes, and look at the difference";
    assert!(std::fs::read_to_string(&processes).unwrap_or_default() == table, "docs/processes.md says something else: {told}");
    assert!(
        old == diagram || std::env::var_os("DAYBOOK_WRITE_PROCESSES").is_some(),
        "ARCHITECTURE.md's diagram says something else: {told}"
    );
}

const WAYS: u64 = 40;
const DIAGRAM_BEGINS: &str = "<!-- the search writes this diagram -->\n```\n";
const DIAGRAM_ENDS: &str = "```\n<!-- here it ends -->\n";
const TABLE_BEGINS: &str = "# The processes, state by state

Written by the search (`cargo test -p shop-domain every_order_comes`; CI holds that it is so): the real deciders, reactors, lookups and
deadlines, with a free provider, customer and staff. For each state and message: the events that may follow, the states that they lead to,
and what is sent, asked or armed then, with the rule that does it. The search goes on from every state that it finds to an end at which
nothing is held, no authorisation is open, and the money that was taken is that of the pieces that the customer keeps. Forget any one
message, and it fails (`where_a_row_is_forgotten_the_search_finds_something_wrong`).
";

#[test]
fn nothing_near_the_beginning_is_missed() {
    let mut search = Search::new(Rules::without(&[]));
    for once in [false, true] {
        let world = start(&mut search, [[1, 0], [0, 1]], [1, 1], ALL, once);
        none(search.widely(&world, 400));
    }
}

/// An order that nobody disturbs is completed.
fn undisturbed(search: &mut Search) -> Result<(), Found> {
    let left = Left { cancel_order: 0, cancel_lines: 0, change_payment: 0, returns: 0, mishaps: 0, holds: 0, notices: 0, ..ALL };
    let world = start(search, SHOPS[0].0, SHOPS[0].1, Left { free_provider: false, deadlines: false, ..left }, false);
    let mut world = world;
    while let Some(one) = world.moves().into_iter().chain(world.moves_of_people()).next() {
        world.go(&one, &search.rules, &mut search.table);
    }
    let status = world.order().status();
    let what = format!("an order that nobody disturbs is {status:?}");
    if status == OrderStatus::Completed { Ok(()) } else { Err(Found { what, way: Vec::new() }) }
}

/// Messages without which all still ends well, and why that is so.
const NEEDLESS: [(&str, &str); 4] = [
    ("RecordCancelTooLate", "pieces that were asked back in vain leave, and the dispatch tells so"),
    ("RecordActionRequired", "only tells the customer where to go"),
    ("CancelShipment", "pieces that nobody leaves out arrive, and may be sent back"),
    ("HoldShipment", "a shipment that nobody holds leaves"),
];

/// Every row carries something: where its message is forgotten, some way has a wrong end.
#[test]
fn where_a_row_is_forgotten_the_search_finds_something_wrong() {
    let (mut search, outcome) = ways(Rules::without(&[]), 0..MUTANT_WAYS, 120);
    none(outcome);
    none(undisturbed(&mut search));
    for command in search.table.sent() {
        let mut search = Search::new(Rules::without(&[&command]));
        let found = undisturbed(&mut search).and_then(|()| ways(Rules::without(&[&command]), 0..MUTANT_WAYS, 120).1);
        let is_needless = NEEDLESS.iter().any(|(needless, _)| *needless == command);
        assert_eq!(found.is_ok(), is_needless, "without {command}: {:?}", found.err().map(|found| found.what));
    }
}

/// Ways that a forgotten row is looked for in.
const MUTANT_WAYS: u64 = 24;
