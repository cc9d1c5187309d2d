//! The search, and the proof that it can fail.

use daybook_kernel::access_of_command;
use daybook_proto::v1::Who;

use super::moves::Left;
use super::table::{Kind, Sender};
use super::*;

/// A customer, staff and a provider that may do everything, each once.
const ALL: Left = Left {
    cancel_order: 2,
    cancel_lines: 2,
    change_payment: 2,
    returns: 4,
    mishaps: 1,
    holds: 2,
    retries: 2,
    notices: 3,
    troubles: 0,
    whims: 0,
    by_hand: 0,
    crashes: 0,
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
    world.provider.forgets_keys = search.rules.provider_forgets;
    world.checked_out(quantities, &search.rules, &mut search.table)
}

/// Shelves and orders: from one warehouse, from two, with too little of one product.
const SHOPS: [([[u32; 2]; 2], [u32; 2]); 4] =
    [([[2, 0], [1, 0]], [2, 1]), ([[1, 1], [0, 1]], [2, 1]), ([[1, 1], [1, 1]], [1, 1]), ([[1, 0], [1, 1]], [2, 1])];

/// What people and the provider may do on a way.
fn left(seed: u64) -> Left {
    Left {
        // Most ways go on without being given up, or their ends would never be seen.
        cancel_order: u8::from(seed.is_multiple_of(4)),
        deadlines: seed.is_multiple_of(3),
        free_provider: seed.is_multiple_of(2),
        no_lookups: seed % 16 == 7,
        may_refuse: seed % 16 == 3,
        troubles: u8::from(seed % 8 >= 5),
        whims: u8::from(matches!(seed % 16, 3 | 10)) * 2,
        by_hand: u8::from(seed % 16 == 12),
        crashes: u8::try_from(seed % 3).unwrap_or_default(),
        ..ALL
    }
}

/// Ways through all shops, so many of each, so many moves each.
fn ways(search: &mut Search, seeds: std::ops::Range<u64>, length: usize) -> Result<(), Found> {
    for seed in seeds {
        for (n, (shelves, quantities)) in (0..).zip(SHOPS) {
            let mut world = start(search, shelves, quantities, left(seed), seed % 5 == 0);
            if seed % 4 == 1 {
                // From a confirmed order on: people's moves are not used up before.
                confirmed(search, &mut world);
                world.left.cancel_order = 1;
            }
            search.deeply(&world, &Late::Nothing, numbers(seed * 8 + n).take(length))?;
        }
    }
    Ok(())
}

/// Everything that may be late.
fn late() -> Vec<Late> {
    let mail = [
        ("order", "allocation"),
        ("order", "payment"),
        ("order", "shipment"),
        ("order", "stock"),
        ("order", "cart"),
        ("allocation", "order"),
        ("allocation", "stock"),
        ("stock", "allocation"),
        ("payment", "order"),
        ("shipment", "order"),
        ("cart", "order"),
        (world::DEADLINES, "order"),
        (world::DEADLINES, "allocation"),
        (world::DEADLINES, "payment"),
        (world::DEADLINES, "cart"),
        (world::DEADLINES, "stock"),
    ];
    let mail = mail.map(|(from, to)| Late::Mail(from, to));
    mail.into_iter().chain([Late::Reads, Late::Answers, Late::Notices]).collect()
}

/// Ways on which something comes later than all else.
fn late_ways(search: &mut Search, seeds: std::ops::Range<u64>, length: usize) -> Result<(), Found> {
    for (place, late) in (0..).zip(late()) {
        for seed in seeds.clone() {
            for (n, (shelves, quantities)) in (0..).zip(SHOPS) {
                let mut left = left(seed);
                (left.deadlines, left.no_lookups, left.cancel_order) = (true, false, u8::from(seed % 2 == 0));
                let mut world = start(search, shelves, quantities, left, seed % 5 == 0);
                if seed % 4 == 1 {
                    confirmed(search, &mut world);
                    world.left.cancel_order = 1;
                }
                search.deeply(&world, &late, numbers(1_000 + place * 64 + seed * 8 + n).take(length))?;
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_written_down_ends_well() {
    none(scenarios::all(&mut Search::new(Rules::without(&[]))));
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
        panic!("{}, after {:#?} {:?}", found.what, found.way, found.speech);
    }
}

/// How many ways there are; more with `SEARCH_WAYS=400`.
fn wanted() -> Option<u64> {
    std::env::var("SEARCH_WAYS").ok().and_then(|ways| ways.parse().ok())
}

#[test]
fn every_order_comes_to_an_end_at_which_goods_and_money_are_where_they_belong() {
    let mut search = Search::new(Rules::without(&[]));
    // Before anybody has ordered anything.
    let nothing = World::new(SHOPS[0].0, left(0));
    none(search.look(&nothing, &[]));
    none(ways(&mut search, 0..wanted().unwrap_or(WAYS), 120));
    none(late_ways(&mut search, 0..wanted().unwrap_or(LATE_WAYS), 120));
    eprintln!("{} worlds, {} cells, ends {:?}", search.seen.len(), search.table.len(), search.ends);
    for end in [OrderStatus::Completed, OrderStatus::Cancelled, OrderStatus::Rejected] {
        assert!(search.ends.contains_key(&end), "{end:?} was never reached");
    }
    let by_search = search.table.clone();
    let written_down = scenarios::all(&mut search);
    let coverage = cells::coverage(&by_search, &search.table);
    eprintln!("{}", coverage.told);
    none(written_down);
    assert!(coverage.wrong.is_empty(), "{:#?}", coverage.wrong);
    if wanted().is_none() {
        is_written(&by_search, &search.table, &coverage.told);
    }
}

/// The documents say what was found. `DAYBOOK_WRITE_PROCESSES=1` writes them.
fn is_written(by_search: &table::Table, all: &table::Table, told: &str) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (processes, architecture) = (root.join("docs/processes.md"), root.join("ARCHITECTURE.md"));
    let section = |(name, _): &(&str, &[&str])| {
        let aggregates = crate::aggregates();
        let commands = aggregates.iter().find(|a| a.name() == *name).map(|a| a.command_types()).unwrap_or_default();
        let (from, written) = (all.from(commands, people), all.written(name));
        format!("\n## {name}\n{from}\n{written}{}", cells::written(name, by_search, all))
    };
    let sections: String = cells::STATES.iter().map(section).collect();
    let table = format!("{TABLE_BEGINS}\n{told}{sections}");
    let old = std::fs::read_to_string(&architecture).expect("it stands there");
    let (before, rest) = old.split_once(DIAGRAM_BEGINS).expect("the diagram's beginning");
    let (_, after) = rest.split_once(DIAGRAM_ENDS).expect("the diagram's end");
    let diagram = format!("{before}{DIAGRAM_BEGINS}{}{DIAGRAM_ENDS}{after}", all.diagram(target_of));
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

/// The aggregate that decides a command, by its full name.
fn target_of(command: &str) -> String {
    let all = crate::aggregates();
    all.iter().find(|a| a.command_types().contains(&command)).map(|a| a.name().to_owned()).unwrap_or_default()
}

/// Who may send a command beside the shop's processes, as its file says.
fn people(command: &str) -> String {
    let access = access_of_command(shop_proto::descriptors(), command).expect("each says who may send it");
    let name = |who| match who {
        Who::Public => Some("anybody"),
        Who::Guest => Some("guests"),
        Who::Customer => Some("customers"),
        Who::Staff => Some("staff"),
        Who::Machine => Some("machines"),
        Who::Webhook => Some("a webhook"),
        Who::Process | Who::Unspecified => None,
    };
    access.who().filter_map(name).collect::<Vec<_>>().join(", ")
}

const WAYS: u64 = 40;
const LATE_WAYS: u64 = 4;
const DIAGRAM_BEGINS: &str = "<!-- the search writes this diagram -->\n```\n";
const DIAGRAM_ENDS: &str = "```\n<!-- here it ends -->\n";
const TABLE_BEGINS: &str = "# The processes, state by state

Written by the search (`cargo test -p shop-domain every_order_comes`; CI holds that it is so): the real deciders, reactors, lookups and
deadlines, with a free provider, carrier, customer and staff. For each message: the rules that send it, with the aggregate whose events they
hear, and who else may. For each state and message: the events that may follow, the states that they lead to, what is sent and asked then,
with the rule that does it, and the deadlines that are armed and disarmed. The search goes on from every state that it finds to an end at
which nothing is held, no authorisation is open, and the money that was taken is that of the pieces that the customer keeps. Forget any one
message, and it fails (`where_a_row_is_forgotten_the_search_finds_something_wrong`).

Messages come late, deadlines cross what disarms them, notices are lost, authorisations end by themselves, banks take money back, and somebody
moves money at the provider by hand. The provider refuses to take, to
give back and to cancel, does late what it had refused, and forgets what it was asked. Processes die: before
a checkpoint, so that they do again what they have done, under the same ids, and the ledger answers; and after a call to the provider, which
is then asked about it by its key. Without ledger or keys it fails, too (`where_the_ledger_or_the_provider_forgets_what_was_done_…`).

Each cell is met by the search, or by a way that is written down (`domain/src/search/scenarios/`), or it is listed with the reason why it
can't be met. Whoever may speak at any time does so in each state, and beside each message that is about to arrive there. A cell that is
neither met nor listed, and one that is listed and met, is a failure.
";

#[test]
fn nothing_near_the_beginning_is_missed() {
    let mut search = Search::new(Rules::without(&[]));
    for once in [false, true] {
        let world = start(&mut search, [[1, 0], [0, 1]], [1, 1], ALL, once);
        none(search.widely(&world, 400));
    }
}

/// What was decided on a way: type, bytes and target.
type Heard = Vec<(&'static str, Vec<u8>, String)>;

/// What an order that goes its way says to a stream, in order.
pub(crate) fn heard<C: daybook_proto::CommandSet>(stream: &str) -> Vec<C> {
    static ALL_OF_IT: std::sync::OnceLock<Heard> = std::sync::OnceLock::new();
    let to_it = ALL_OF_IT.get_or_init(all_of_a_way).iter().filter(|(.., target)| target == stream);
    to_it.map(|(type_name, bytes, _)| C::decode(type_name, bytes).expect("one of its commands")).collect()
}

fn all_of_a_way() -> Heard {
    let mut search = Search::new(Rules::without(&[]));
    let left = Left { free_provider: false, deadlines: false, crashes: 0, ..ALL };
    let mut world = World::new(SHOPS[1].0, left);
    world.past.0.heard = Some(Vec::new());
    let mut world = world.checked_out(SHOPS[1].1, &search.rules, &mut search.table);
    confirmed(&mut search, &mut world);
    for one in [Move::Hold, Move::EndHold("staff".to_owned()), Move::CancelLine("B-1")] {
        world.go(&one, &search.rules, &mut search.table);
    }
    let world = quiet::settled(&world, &search.rules, &mut search.table).expect("it comes to its end");
    world.past.0.heard.unwrap_or_default()
}

/// An order that nobody disturbs is completed.
fn undisturbed(search: &mut Search) -> Result<(), Found> {
    let left =
        Left { cancel_order: 0, cancel_lines: 0, change_payment: 0, returns: 0, mishaps: 0, holds: 0, retries: 0, notices: 0, ..ALL };
    let world = start(search, SHOPS[0].0, SHOPS[0].1, Left { free_provider: false, deadlines: false, ..left }, false);
    let mut world = world;
    while let Some(one) = world.moves().into_iter().chain(world.moves_of_people()).next() {
        world.go(&one, &search.rules, &mut search.table);
    }
    let status = world.order().status();
    let what = format!("an order that nobody disturbs is {status:?}");
    if status == OrderStatus::Completed { Ok(()) } else { Err(Found { what, way: Vec::new(), speech: None }) }
}

/// All that the search's ways and those that are written down have said.
fn said() -> table::Table {
    let mut search = without("");
    none(ways(&mut search, 0..MUTANT_WAYS, 120));
    none(scenarios::all(&mut search));
    search.table
}

/// What begins something elsewhere that costs money or goods, by short names in order.
const BEGINS: [&str; 7] =
    ["ConfirmAllocation", "CreateShipment", "RequestCapture", "RequestPayment", "RequestRefund", "RequestRelease", "RequestVoid"];

/// Who speaks beside an aggregate's one reactor, and why that does no harm.
const BESIDE: [(&str, &str); 7] = [
    ("place", "a lookup reads before it speaks, and an order is placed once"),
    ("allocate", "a lookup reads before it speaks, and an allocation that was given back before takes nothing"),
    ("payment-provider", "an effect's answer names what was asked, and nothing else is answered by it"),
    ("order-deadlines", "a deadline names its step and its time: one that comes late changes nothing"),
    ("payment-deadlines", "the same"),
    ("carts", "the same"),
    ("reservations", "the same"),
];

/// Whether this is, or may be, one of them.
fn begins(command: &str) -> bool {
    let name = table::short(command);
    name.starts_with("Request") || BEGINS.contains(&name.as_str())
}

/// What is wrong with who sends what: rule 1 and rule 4.
fn speaks_out_of_turn(table: &table::Table) -> Vec<String> {
    let (mut wrong, mut reactors, mut beside) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (command, sender) in table.senders() {
        let Sender { from, kind, rule } = sender;
        if begins(command) && (from != "order" || *kind != Kind::Reactor) {
            wrong.push(format!("{command} is sent by {rule} of {from}"));
        }
        if *kind != Kind::Reactor {
            beside.insert(*rule);
            continue;
        }
        let pair = (from.clone(), target_of(command));
        let first = *reactors.entry(pair.clone()).or_insert(*rule);
        if first != *rule {
            wrong.push(format!("{first} and {rule} both speak for {} to {}", pair.0, pair.1));
        }
    }
    let listed: BTreeSet<&str> = BESIDE.iter().map(|(rule, _)| *rule).collect();
    wrong.extend(beside.symmetric_difference(&listed).map(|rule| format!("{rule} speaks beside a reactor, or is listed and does not")));
    wrong
}

#[test]
fn only_the_orders_events_begin_anything_and_one_reactor_speaks_for_an_aggregate_to_another() {
    let table = said();
    let begun: BTreeSet<&str> = table.senders().map(|(command, _)| command).filter(|command| begins(command)).collect();
    assert_eq!(begun.iter().copied().map(table::short).collect::<BTreeSet<_>>(), BEGINS.map(str::to_owned).into());
    for command in begun {
        assert_eq!(people(command), "", "{command} is for processes alone");
    }
    assert_eq!(speaks_out_of_turn(&table), Vec::<String>::new());
}

/// Messages without which all still ends well, and why that is so.
const NEEDLESS: [(&str, &str); 2] = [
    ("RecordActionRequired", "only tells the customer where to go"),
    ("RecordLabelled", "only tells the customer how to follow the parcel"),
];

/// A search of the ways alone, for a shop in which nobody sends this.
fn without(command: &str) -> Search {
    Search { looks: false, ..Search::new(Rules::without(&[command])) }
}

/// Every row carries something: where its message is forgotten, some way has a wrong end.
#[test]
fn where_a_row_is_forgotten_the_search_finds_something_wrong() {
    let mut search = without("");
    none(ways(&mut search, 0..MUTANT_WAYS, 120));
    none(undisturbed(&mut search));
    let mut wrong = Vec::new();
    let by_deadlines = BY_DEADLINES.map(str::to_owned);
    for command in search.table.sent().into_iter().chain(by_deadlines) {
        let mut search = without(&command);
        let near = undisturbed(&mut search)
            .and_then(|()| scenarios::money_is_taken_back_before_all_has_left(&mut search))
            .and_then(|()| scenarios::a_refused_cancellation_is_tried_again(&mut search));
        let found = near.and_then(|()| ways(&mut search, 0..MUTANT_WAYS, 120));
        let is_needless = NEEDLESS.iter().any(|(needless, _)| *needless == command);
        if found.is_ok() != is_needless {
            wrong.push(format!("without {command}: {:?}", found.err().map(|found| found.what)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a process that has died does again would be done twice.
#[test]
fn where_the_ledger_or_the_provider_forgets_what_was_done_the_search_finds_something_wrong() {
    let search = |rules| Search { looks: false, ..Search::new(rules) };
    let no_ledger = || search(Rules { has_ledger: false, ..Rules::without(&[]) });
    let no_keys = || search(Rules { provider_forgets: true, ..Rules::without(&[]) });
    assert!(scenarios::a_follower_dies(&mut no_ledger()).is_err(), "a ledger that knows nothing is missed");
    assert!(scenarios::an_effect_dies(&mut no_keys()).is_err(), "a provider that knows no key is missed");
    // It is that alone.
    none(scenarios::a_follower_dies(&mut no_keys()));
    none(scenarios::an_effect_dies(&mut no_ledger()));
}

/// What deadlines send to an order and its payment. Stocks answer here, and an allocation gives back all: theirs are for a world that is worse.
const BY_DEADLINES: [&str; 3] = ["TimeOutStep", "TimeOutPayment", "RetryCancel"];

/// Ways that a forgotten row is looked for in.
const MUTANT_WAYS: u64 = 24;
