use std::collections::BTreeMap;

use daybook_kernel::spec::{SPEC_TIME, context, in_turn};
use daybook_kernel::{EventAt, Reactor as _, ServiceMessage, StreamId, Version};
use daybook_proto::MessageSet as _;
use proptest::prelude::*;
use shop_proto::samples::cart::{EXPIRY, add, change, check_out, close, expire, line, merge, remove, reopen, take};

use super::*;

/// Pieces by SKU.
type Pieces = BTreeMap<String, u32>;

fn count(pieces: &mut Pieces, lines: &[CartLine]) {
    for line in lines {
        *pieces.entry(line.sku.clone()).or_default() += line.quantity;
    }
}

fn pieces(lines: &[CartLine]) -> Pieces {
    let mut all = Pieces::new();
    count(&mut all, lines);
    all
}

/// Carts that are asked, and the messages that go from one to another.
#[derive(Default)]
struct World {
    carts: BTreeMap<String, (CartState, u64)>,
    on_their_way: Vec<CartCommand>,
    delivered: Vec<CartCommand>,
    put_in: Pieces,
    gone: Pieces,
}

impl World {
    fn ask(&mut self, command: &CartCommand) {
        let stream = StreamId::new("cart", command.cart_id());
        let (state, version) = self.carts.entry(command.cart_id().to_owned()).or_default();
        let context = context(SPEC_TIME);
        for event in Cart::decide(state, command, &context).events {
            match &event {
                CartEvent::ItemAdded(e) => count(&mut self.put_in, &[line(&e.sku, e.quantity)]),
                CartEvent::ItemRemoved(e) => {
                    let lines = &state.contents.as_ref().expect("it has a line").lines;
                    count(&mut self.gone, lines.iter().filter(|line| line.sku == e.sku).cloned().collect::<Vec<_>>().as_slice());
                }
                CartEvent::CartExpired(e) => count(&mut self.gone, &e.lines),
                CartEvent::CartClosed(_) => {
                    let order = state.contents.as_ref().and_then(|contents| contents.order.as_ref()).expect("it is checked out");
                    count(&mut self.gone, &order.lines);
                }
                _ => {}
            }
            Cart::evolve(state, &event);
            *version += 1;
            let at = EventAt { stream: &stream, version: Version(*version), recorded_at: SPEC_TIME };
            self.on_their_way.extend(Merging::react(&event, &at).iter().map(command_of));
        }
    }

    /// Delivers one of the messages, or one of those that were delivered, once more.
    fn deliver(&mut self, which: prop::sample::Index, again: bool) {
        if again && !self.delivered.is_empty() {
            let command = self.delivered[which.index(self.delivered.len())].clone();
            self.ask(&command);
        } else if !self.on_their_way.is_empty() {
            let command = self.on_their_way.swap_remove(which.index(self.on_their_way.len()));
            self.ask(&command);
            self.delivered.push(command);
        }
    }

    /// All that lies in carts and orders.
    fn there(&self) -> Pieces {
        let mut all = Pieces::new();
        for contents in self.carts.values().filter_map(|(state, _)| state.contents.as_ref()) {
            count(&mut all, &contents.lines);
            if let Some(order) = &contents.order {
                count(&mut all, &order.lines);
            }
        }
        all
    }
}

fn command_of(message: &ServiceMessage) -> CartCommand {
    CartCommand::decode(message.type_name, &message.bytes).expect("as it was encoded")
}

#[derive(Clone, Debug)]
enum Move {
    Ask(Box<CartCommand>),
    Deliver(prop::sample::Index, bool),
}

fn some_cart() -> impl Strategy<Value = String> {
    "k-[1-4]"
}

fn any_command() -> impl Strategy<Value = CartCommand> {
    let (order, sku) = (|| "o-[1-4]", || "[A-C]");
    let lines = prop::collection::btree_map("[A-E]", 1..1000_u32, 1..4);
    let lines = lines.prop_map(|lines| lines.into_iter().map(|(sku, quantity)| line(&sku, quantity)).collect::<Vec<_>>());
    let through = prop::collection::vec(some_cart(), 0..3);
    prop_oneof![
        4 => (sku(), 1..5_u32).prop_map(|(sku, quantity)| AddItem { sku, ..add(quantity) }.into()),
        1 => (sku(), 900..1000_u32).prop_map(|(sku, quantity)| AddItem { sku, ..add(quantity) }.into()),
        2 => (sku(), 1..5_u32).prop_map(|(sku, quantity)| ChangeQuantity { sku, ..change(quantity) }.into()),
        2 => sku().prop_map(|sku| RemoveItem { sku, ..remove() }.into()),
        3 => order().prop_map(|order| check_out(&order).into()),
        2 => order().prop_map(|order| reopen(&order).into()),
        2 => order().prop_map(|order| close(&order).into()),
        2 => some_cart().prop_map(|into| merge(&into).into()),
        3 => (lines, 1..4_i64, through).prop_map(|(lines, handover, through)| TakeLines { handover, through, ..take(&lines) }.into()),
        1 => (0..30_i64).prop_map(|seconds| expire(EXPIRY + seconds).into()),
    ]
}

/// Of one of four carts. Few pieces at a time: no line comes to its limit.
fn any_move() -> impl Strategy<Value = Move> {
    let (order, sku) = (|| "o-[1-4]", || "[A-C]");
    let ask = prop_oneof![
        4 => (some_cart(), sku(), 1..5_u32).prop_map(|(cart_id, sku, quantity)| CartCommand::from(AddItem { cart_id, sku, quantity })),
        1 => (some_cart(), sku()).prop_map(|(cart_id, sku)| RemoveItem { cart_id, sku }.into()),
        4 => (some_cart(), some_cart()).prop_map(|(cart_id, into)| MergeCart { cart_id, into }.into()),
        2 => (some_cart(), order()).prop_map(|(cart_id, order)| Checkout { cart_id, ..check_out(&order) }.into()),
        2 => (some_cart(), order()).prop_map(|(cart_id, order_id)| ReopenCart { cart_id, order_id }.into()),
        1 => (some_cart(), order()).prop_map(|(cart_id, order_id)| CloseCart { cart_id, order_id }.into()),
        1 => some_cart().prop_map(|cart_id| ExpireCart { cart_id, ..expire(EXPIRY) }.into()),
    ];
    prop_oneof![
        3 => ask.prop_map(|command: CartCommand| Move::Ask(command.into())),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, again)| Move::Deliver(which, again)),
    ]
}

proptest! {
    /// For all commands in any order, a second apart.
    #[test]
    fn fold_and_encoding_agree_and_the_limits_hold(commands in prop::collection::vec(any_command(), 1..60)) {
        in_turn::<Cart>(&commands, |step| {
            let contents = step.after.contents.clone().unwrap_or_default();
            let mut skus: Vec<&str> = contents.lines.iter().map(|line| line.sku.as_str()).collect();
            skus.sort_unstable();
            skus.dedup();
            assert_eq!(skus.len(), contents.lines.len(), "one line a SKU");
            assert!(contents.lines.iter().all(|line| (1..=999).contains(&line.quantity)));
            assert!(contents.order.as_ref().is_none_or(|order| !order.lines.is_empty()));
            assert!(contents.into.is_empty() || contents.lines.is_empty(), "a merged cart has no lines");
            assert!(step.after.expires_at.is_none() || is_open(&contents), "only an open cart expires");
            assert!(step.after.expires_at.is_some() || !is_open(&contents) || contents.lines.is_empty(), "an open cart with lines expires");
            assert_eq!(step.after.content.is_empty(), contents.order.is_none());
        });
    }

    /// What is answered by nothing at all is done already: nothing else comes of it later.
    #[test]
    fn a_reopening_has_exactly_one_answer(commands in prop::collection::vec(any_command(), 1..60)) {
        in_turn::<Cart>(&commands, |step| {
            if let CartCommand::ReopenCart(_) = step.command {
                let is_answer = |e: &&CartEvent| matches!(e, CartEvent::CartReopened(_) | CartEvent::CartNotReopened(_));
                assert_eq!(step.decision.events.iter().filter(is_answer).count(), 1);
                assert!(step.decision.refusal.is_none());
            }
            if let CartCommand::TakeLines(_) | CartCommand::MergeCart(_) | CartCommand::Checkout(_) | CartCommand::CloseCart(_) = step.command
                && step.decision.refusal.is_none()
            {
                let again = Cart::decide(step.after, step.command, step.context);
                assert!(again.events.is_empty() && again.refusal.is_none(), "{:?} is done already", step.command);
            }
        });
    }

    /// Several guests' carts are merged into one. In whatever order they arrive, and however often, they make the same cart.
    #[test]
    fn the_order_in_which_carts_are_merged_makes_no_difference(
        carts in prop::collection::vec(prop::collection::vec(("[A-D]", 1..800_u32), 1..4), 1..8),
        arrivals in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let guests: Vec<CartCommand> = (0..).zip(&carts).map(|(n, lines)| {
            let lines: Vec<CartLine> = lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect();
            TakeLines { from: format!("cart/guest-{n}"), ..take(&lines) }.into()
        }).collect();
        let end = |commands: Vec<&CartCommand>| {
            let mut world = World::default();
            commands.into_iter().for_each(|command| world.ask(command));
            world.there()
        };
        let in_order = end(guests.iter().collect());
        prop_assert_eq!(&end(arrivals.iter().map(|at| &guests[at.index(guests.len())]).chain(guests.iter().rev()).collect()), &in_order);
        let mut sums = Pieces::new();
        carts.iter().flatten().for_each(|(sku, quantity)| count(&mut sums, &[line(sku, *quantity)]));
        prop_assert_eq!(in_order, sums.into_iter().map(|(sku, sum)| (sku, sum.min(999))).collect::<Pieces>());
    }

    /// Four carts are filled, merged into each other, checked out, reopened, closed; messages between them are overtaken and told twice.
    /// No piece is lost or made, and when nothing more is asked they come to rest.
    #[test]
    fn nothing_is_lost_between_carts_and_circles_end(moves in prop::collection::vec(any_move(), 1..80)) {
        let mut world = World::default();
        for one in &moves {
            match one {
                Move::Ask(command) => world.ask(command),
                Move::Deliver(which, again) => world.deliver(*which, *again),
            }
        }
        let mut deliveries = 0;
        while let Some(command) = world.on_their_way.pop() {
            world.ask(&command);
            deliveries += 1;
            prop_assert!(deliveries < 1_000, "lines go round for ever");
        }
        let mut balance = world.there();
        for (sku, quantity) in &world.gone {
            *balance.entry(sku.clone()).or_default() += quantity;
        }
        prop_assert_eq!(balance, world.put_in);
    }
}

/// The law above would find it: a cart in a circle of two that did not look through whom its lines have come would send them for ever.
#[test]
fn a_circle_of_merges_ends_with_the_lines_in_one_cart() {
    let mut world = World::default();
    let merge = |cart_id: &str, into: &str| MergeCart { cart_id: cart_id.into(), into: into.into() }.into();
    world.ask(&AddItem { cart_id: "k-1".into(), ..add(2) }.into());
    world.ask(&AddItem { cart_id: "k-2".into(), ..add(3) }.into());
    // At the same time, so that neither has heard of the other.
    world.ask(&merge("k-1", "k-2"));
    world.ask(&merge("k-2", "k-1"));
    while let Some(command) = world.on_their_way.pop() {
        world.ask(&command);
    }
    assert_eq!(world.there(), pieces(&[line("A-1", 5)]));
}

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..6_usize,
        commands in prop::collection::vec(crate::any::any_command::<CartCommand>(<CartEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<CartCommand>("cart/k-1").into_iter().take(begun);
        in_turn::<Cart>(&begun.chain(commands).collect::<Vec<_>>(), |_| {});
    }
}
