//! An allocation between real stocks: messages arrive in any order, again, and late.

use std::collections::{BTreeMap, BTreeSet};

use daybook_kernel::spec::{SPEC_TIME, context, in_turn};
use daybook_kernel::{Context, EventAt, Instant, Reactor, ServiceMessage, StreamId, Version};
use daybook_proto::{CommandSet as _, MessageSet as _};
use proptest::prelude::*;

use super::*;
use crate::inventory::Stock;

const ORDER: &str = "o-1";
/// Pieces of a lamp and a chair, by warehouse.
type Shelves = [(u32, u32); 3];

/// A move of the outside, or a message on its way that arrives.
#[derive(Clone, Debug)]
enum Move {
    Allocate {
        lamps: u32,
        chairs: u32,
    },
    /// No warehouse sends to where the order wants its pieces.
    AllocateNowhere,
    Confirm,
    Release,
    /// The time of the last AllocateOrder is over, or of the last ConfirmAllocation.
    TimeOut {
        confirm: bool,
    },
    /// The same, of one that is still on its way.
    TimeOutFirst {
        confirm: bool,
    },
    /// Another order takes pieces.
    Take {
        sku: &'static str,
        warehouse: usize,
        quantity: u32,
    },
    /// Another order gives back what it took.
    GiveBack {
        nth: usize,
    },
    /// The time of a reservation of ours has come.
    Expire {
        nth: usize,
    },
    /// One arrives; it may stay on its way, as one that is sent again does.
    Deliver {
        nth: usize,
        again: bool,
    },
}

/// A message on its way, and its id: a repeat is answered by the ledger.
type Sent = (usize, ServiceMessage);

#[derive(Default)]
struct World {
    allocation: AllocationState,
    stocks: BTreeMap<String, StockState>,
    on_their_way: Vec<Sent>,
    decided: BTreeSet<usize>,
    sent: usize,
    /// Attempts of AllocateOrder, ConfirmAllocation and ReleaseAllocation.
    asked: [u32; 3],
    /// Those that came behind the end of their time.
    too_late: BTreeSet<(usize, u32)>,
    told: Vec<AllocationEvent>,
    seconds: i64,
}

impl World {
    fn new(shelves: &Shelves) -> Self {
        let mut world = Self::default();
        for (n, (lamps, chairs)) in shelves.iter().enumerate() {
            for (sku, pieces) in [("lamp", *lamps), ("chair", *chairs)] {
                world.stocks.insert(format!("{sku}@w-{n}"), StockState { on_hand: pieces, ..Default::default() });
            }
        }
        world
    }

    fn context(&self) -> Context {
        context(Instant::from_micros(SPEC_TIME.micros() + self.seconds * 1_000_000))
    }

    fn send(&mut self, messages: Vec<ServiceMessage>) {
        for message in messages {
            self.sent += 1;
            self.on_their_way.push((self.sent, message));
        }
    }

    fn follow<R: Reactor>(&mut self, stream: &StreamId, event: &R::Event) {
        let at = EventAt { stream, version: Version(1), recorded_at: SPEC_TIME };
        self.send(R::react(event, &at));
    }

    fn ask(&mut self, command: impl Into<AllocationCommand>) {
        let decision = Allocation::decide(&self.allocation, &command.into(), &self.context());
        assert!(decision.refusal.is_none(), "an allocation refuses nothing");
        let stream = StreamId::new("allocation", ORDER);
        for event in decision.events {
            Allocation::evolve(&mut self.allocation, &event);
            self.follow::<Holding>(&stream, &event);
            self.told.push(event);
        }
    }

    fn ask_stock(&mut self, command: &StockCommand) {
        let key = command.key();
        let state = self.stocks.get_mut(&key).expect("it stands");
        let context = context(Instant::from_micros(SPEC_TIME.micros() + self.seconds * 1_000_000));
        let decision = Stock::decide(state, command, &context);
        for event in &decision.events {
            Stock::evolve(state, event);
        }
        let stream = StreamId::new("stock", &key);
        for event in decision.events {
            self.follow::<Answering>(&stream, &event);
        }
    }

    fn deliver(&mut self, nth: usize, again: bool) {
        if self.on_their_way.is_empty() {
            return;
        }
        let nth = nth % self.on_their_way.len();
        let (id, message) = if again { self.on_their_way[nth].clone() } else { self.on_their_way.remove(nth) };
        if !self.decided.insert(id) {
            return;
        }
        match message.target.aggregate() {
            "stock" => self.ask_stock(&StockCommand::decode(message.type_name, &message.bytes).expect("one of its commands")),
            _ => self.ask(AllocationCommand::decode(message.type_name, &message.bytes).expect("one of its commands")),
        }
    }

    /// The SKU and the warehouse of a stock.
    fn at(key: &str) -> (String, String) {
        let (sku, warehouse) = key.split_once('@').expect("a key");
        (sku.to_owned(), warehouse.to_owned())
    }

    fn time_out(&mut self, confirm: bool) {
        let attempt = self.asked[usize::from(confirm)];
        if attempt > 0 {
            self.ask(TimeOutAllocation { order_id: ORDER.to_owned(), attempt, confirm });
        }
    }

    fn go(&mut self, one: &Move) {
        self.seconds += 1;
        match one {
            Move::Allocate { lamps, chairs } => {
                self.asked[0] += 1;
                let mut candidates = Vec::new();
                for (key, stock) in &self.stocks {
                    let (sku, warehouse) = Self::at(key);
                    let available = stock.on_hand - stock.reserved;
                    let priority = 1 + u32::from(warehouse == "w-0");
                    candidates.push(Candidate { sku, warehouse, priority, available });
                }
                let line = |sku: &str, quantity: u32| AllocatedLine { sku: sku.to_owned(), quantity };
                // The lamps in two lines, of which the second may be empty.
                let lines = [line("lamp", 1), line("chair", *chairs), line("lamp", lamps - 1)];
                let lines = lines.into_iter().filter(|line| line.quantity > 0).collect();
                let hold_until = Some(Instant::from_micros(self.context().now().micros() + 30_000_000).to_proto());
                let order_id = ORDER.to_owned();
                self.ask(AllocateOrder { order_id, attempt: self.asked[0], lines, candidates, undeliverable: false, hold_until });
            }
            Move::AllocateNowhere => {
                self.asked[0] += 1;
                let lines = vec![AllocatedLine { sku: "lamp".to_owned(), quantity: 1 }];
                let order_id = ORDER.to_owned();
                self.ask(AllocateOrder { order_id, attempt: self.asked[0], lines, undeliverable: true, ..Default::default() });
            }
            Move::TimeOut { confirm } => self.time_out(*confirm),
            Move::TimeOutFirst { confirm } => {
                let command = usize::from(*confirm);
                self.asked[command] += 1;
                let (order_id, attempt) = (ORDER.to_owned(), self.asked[command]);
                self.too_late.insert((command, attempt));
                self.time_out(*confirm);
                let lines = vec![AllocatedLine { sku: "lamp".to_owned(), quantity: 1 }];
                let late: AllocationCommand = match confirm {
                    true => ConfirmAllocation { order_id, attempt }.into(),
                    false => AllocateOrder { order_id, attempt, lines, ..Default::default() }.into(),
                };
                self.send(vec![ServiceMessage::of(&late)]);
            }
            Move::Confirm => {
                self.asked[1] += 1;
                self.ask(ConfirmAllocation { order_id: ORDER.to_owned(), attempt: self.asked[1] });
            }
            Move::Release => {
                self.asked[2] += 1;
                self.ask(ReleaseAllocation { order_id: ORDER.to_owned(), attempt: self.asked[2] });
            }
            Move::Take { sku, warehouse, quantity } => {
                let (sku, warehouse) = ((*sku).to_owned(), format!("w-{warehouse}"));
                let order_id = format!("other-{}", self.seconds);
                let take = ReserveStock { sku, warehouse, order_id, quantity: *quantity, ..Default::default() };
                self.ask_stock(&take.into());
            }
            Move::GiveBack { nth } => {
                let taken = |(key, stock): (&String, &StockState)| {
                    let others = stock.reservations.keys().filter(|order| *order != ORDER).cloned();
                    others.map(|order_id| (key.clone(), order_id)).collect::<Vec<_>>()
                };
                let open: Vec<_> = self.stocks.iter().flat_map(taken).collect();
                if let Some((key, order_id)) = open.get(nth % open.len().max(1)) {
                    let ((sku, warehouse), order_id) = (Self::at(key), order_id.clone());
                    self.ask_stock(&ReleaseStock { sku, warehouse, order_id, ..Default::default() }.into());
                }
            }
            Move::Expire { nth } => {
                let ours = |(key, stock): (&String, &StockState)| Some((key.clone(), stock.reservations.get(ORDER)?.expires_at?));
                let open: Vec<_> = self.stocks.iter().filter_map(ours).collect();
                if let Some((key, due_at)) = open.get(nth % open.len().max(1)) {
                    let ((sku, warehouse), order_id) = (Self::at(key), ORDER.to_owned());
                    self.ask_stock(&ExpireReservation { sku, warehouse, order_id, due_at: Some(*due_at) }.into());
                }
            }
            Move::Deliver { nth, again } => self.deliver(*nth, *again),
        }
    }

    /// All that is on its way arrives, in an order of its own.
    fn quiet(&mut self, order: &[usize]) {
        let mut order = order.iter().cycle();
        let mut delivered = 0;
        while !self.on_their_way.is_empty() {
            self.deliver(*order.next().expect("it never ends"), false);
            delivered += 1;
            assert!(delivered < 5_000, "it never comes to rest");
        }
        assert!(!self.waits(), "{:?}", self.allocation);
    }

    fn waits(&self) -> bool {
        let state = &self.allocation;
        let pending = [HoldStatus::Asked, HoldStatus::Confirming, HoldStatus::Releasing];
        state.attempt_open || state.confirm_open || state.release_open || state.stocks.values().any(|s| pending.contains(&s.status()))
    }

    /// Pieces that stocks hold for the order.
    fn held(&self) -> BTreeMap<String, u32> {
        self.stocks.iter().filter_map(|(key, stock)| Some((key.clone(), stock.reservations.get(ORDER)?.quantity))).collect()
    }

    /// The answers to each ask, as they were told.
    fn answers(&self, command: usize, attempt: u32) -> Vec<&AllocationEvent> {
        use AllocationEvent as E;
        let names = [ALLOCATE, CONFIRM, RELEASE];
        let answers = |event: &&AllocationEvent| match event {
            E::Allocated(e) => command == 0 && e.attempt == attempt,
            E::NotAllocated(e) => command == 0 && e.attempt == attempt,
            E::AllocationConfirmed(e) => command == 1 && e.attempt == attempt,
            E::AllocationLost(e) => command == 1 && e.attempt == attempt,
            E::AllocationReleased(e) => command == 2 && e.attempt == attempt,
            E::AllocationSuperseded(e) => e.command == names[command] && e.attempt == attempt,
            _ => false,
        };
        self.told.iter().filter(answers).collect()
    }

    fn each_ask_has_one_answer(&self) {
        for (command, attempts) in self.asked.iter().enumerate() {
            for attempt in 1..=*attempts {
                let answers = self.answers(command, attempt);
                // The end of its time is an answer of its own; what then comes is superseded.
                let is_own = |event: &&&AllocationEvent| match event {
                    AllocationEvent::NotAllocated(e) => !e.timed_out,
                    AllocationEvent::AllocationLost(e) => !e.timed_out,
                    _ => true,
                };
                let own = answers.iter().filter(is_own).count();
                match self.too_late.contains(&(command, attempt)) {
                    true => assert!(own == 1 && answers.len() <= 2, "{command} {attempt}: {:#?}", self.told),
                    false => assert_eq!(answers.len(), 1, "{command} {attempt}: {:#?}", self.told),
                }
            }
        }
    }
}

fn any_move(releases: bool) -> impl Strategy<Value = Move> {
    let sku = || prop_oneof![Just("lamp"), Just("chair")];
    prop_oneof![
        2 => (1..6_u32, 0..4_u32).prop_map(|(lamps, chairs)| Move::Allocate { lamps, chairs }),
        1 => Just(Move::AllocateNowhere),
        2 => Just(Move::Confirm),
        u32::from(releases) => Just(Move::Release),
        1 => any::<bool>().prop_map(|confirm| Move::TimeOut { confirm }),
        1 => any::<bool>().prop_map(|confirm| Move::TimeOutFirst { confirm }),
        1 => (sku(), 0..3_usize, 1..4_u32).prop_map(|(sku, warehouse, quantity)| Move::Take { sku, warehouse, quantity }),
        1 => (0..6_usize).prop_map(|nth| Move::GiveBack { nth }),
        1 => (0..6_usize).prop_map(|nth| Move::Expire { nth }),
        12 => (0..9_usize, any::<bool>()).prop_map(|(nth, again)| Move::Deliver { nth, again }),
    ]
}

fn any_shelves() -> impl Strategy<Value = Shelves> {
    prop::array::uniform3((0..6_u32, 0..4_u32))
}

proptest! {
    /// Whatever is asked, and however messages arrive: given up, nothing is held any more, and each ask has one answer.
    #[test]
    fn no_hold_is_left_after_the_release(
        shelves in any_shelves(),
        moves in prop::collection::vec(any_move(true), 1..60),
        order in prop::collection::vec(0..7_usize, 1..20),
    ) {
        let mut world = World::new(&shelves);
        moves.iter().for_each(|one| world.go(one));
        world.go(&Move::Release);
        world.quiet(&order);
        prop_assert_eq!(world.held(), BTreeMap::new());
        world.each_ask_has_one_answer();
    }

    /// Without a release, what is told to be held is held, and no more than that; what was told to be confirmed has no end.
    #[test]
    fn what_is_allocated_is_what_stocks_hold(
        shelves in any_shelves(),
        moves in prop::collection::vec(any_move(false).prop_filter("nothing runs out", |one| !matches!(one, Move::Expire { .. })), 1..60),
        order in prop::collection::vec(0..7_usize, 1..20),
    ) {
        let mut world = World::new(&shelves);
        moves.iter().for_each(|one| world.go(one));
        world.quiet(&order);
        world.each_ask_has_one_answer();
        let held: BTreeMap<String, u32> = match world.allocation.status() {
            AllocationStatus::Allocated | AllocationStatus::Confirmed => {
                let last = world.told.iter().rev().find_map(|event| match event {
                    AllocationEvent::Allocated(e) => Some(e.holds.clone()),
                    _ => None,
                });
                last.unwrap_or_default().into_iter().map(|hold| (key(&hold.sku, &hold.warehouse), hold.quantity)).collect()
            }
            _ => BTreeMap::new(),
        };
        prop_assert_eq!(world.held(), held.clone());
        for line in &world.allocation.lines {
            let sum: u32 = held.iter().filter(|(key, _)| key.starts_with(&format!("{}@", line.sku))).map(|(_, n)| n).sum();
            prop_assert!(held.is_empty() || sum == line.quantity);
        }
        if world.allocation.status() == AllocationStatus::Confirmed {
            prop_assert!(world.stocks.values().filter_map(|stock| stock.reservations.get(ORDER)).all(|r| r.expires_at.is_none()));
        }
    }

    /// Where nobody else takes anything, an order gets what there is in one attempt, or hears that there is too little.
    #[test]
    fn an_order_alone_gets_what_there_is(shelves in any_shelves(), lamps in 1..20_u32, chairs in 0..13_u32, order in prop::collection::vec(0..7_usize, 1..20)) {
        let mut world = World::new(&shelves);
        world.go(&Move::Allocate { lamps, chairs });
        world.quiet(&order);
        let enough = shelves.iter().map(|s| s.0).sum::<u32>() >= lamps && shelves.iter().map(|s| s.1).sum::<u32>() >= chairs;
        prop_assert_eq!(world.allocation.status() == AllocationStatus::Allocated, enough);
        prop_assert!(world.allocation.plans <= 1);
        let used: BTreeSet<String> = world.held().keys().map(|key| key.split_once('@').expect("a key").1.to_owned()).collect();
        let one_has_all = shelves.iter().any(|s| s.0 >= lamps && s.1 >= chairs);
        prop_assert_eq!(used.len() == 1, one_has_all && enough);
    }
}

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..12_usize,
        commands in prop::collection::vec(crate::any::any_command::<AllocationCommand>(<AllocationEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<AllocationCommand>("allocation/o-1").into_iter().take(begun);
        in_turn::<Allocation>(&begun.chain(commands).collect::<Vec<_>>(), |_| {});
    }
}
