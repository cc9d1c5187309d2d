//! The way from carts to an order and back, with messages that arrive in any order, doubled, late, or not at all: the books are the same.
//! The carts here are as far as an order knows them.

use std::collections::BTreeMap;

use daybook_kernel::spec::context;
use daybook_kernel::{EventAt, Instant, Lookup, Reactor, StreamId, Version};
use daybook_proto::MessageSet as _;
use proptest::prelude::*;
use shop_proto::cart::v1::CartCommand;
use shop_proto::samples::money;
use shop_proto::samples::order::{cancel, lamp, open, place, record};

use super::*;

/// A cart that was checked out under the order's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cart {
    CheckedOut,
    Reopened,
    Closed,
}

#[derive(Clone, Debug)]
enum Mail {
    ToOrder(Box<OrderCommand>),
    ToCart(Box<CartCommand>),
}

impl Mail {
    fn to_order(command: impl Into<OrderCommand>) -> Self {
        Self::ToOrder(Box::new(command.into()))
    }
}

struct World {
    order: OrderState,
    events: Vec<OrderEvent>,
    carts: BTreeMap<String, Cart>,
    /// What the lookup reads.
    products: Vec<ProductRead>,
    /// Whatever was ever sent, and whether it has arrived.
    mail: Vec<(Mail, bool)>,
}

impl World {
    /// Carts that are checked out, each on its own, under one order id.
    fn of(carts: &[&str], products: Vec<ProductRead>) -> Self {
        let checkout = |cart: &&str| (Mail::to_order(OpenOrder { cart_id: (*cart).to_owned(), ..open() }), false);
        let carts_out = carts.iter().map(|cart| ((*cart).to_owned(), Cart::CheckedOut)).collect();
        let (order, events) = (OrderState::default(), Vec::new());
        Self { order, events, carts: carts_out, products, mail: carts.iter().map(checkout).collect() }
    }

    fn deliver(&mut self, n: usize) {
        let (mail, has_arrived) = self.mail[n].clone();
        self.mail[n].1 = true;
        match mail {
            Mail::ToOrder(command) => self.decide(&command),
            // The ledger of the cart's service takes a command once.
            Mail::ToCart(command) if !has_arrived => self.tell_cart(&command),
            Mail::ToCart(_) => {}
        }
    }

    fn decide(&mut self, command: &OrderCommand) {
        let stream = StreamId::new("order", "o-1");
        for event in Order::decide(&self.order, command, &context(Instant::default())).events {
            Order::evolve(&mut self.order, &event);
            self.events.push(event.clone());
            let version = Version(u64::try_from(self.events.len()).expect("few"));
            let at = EventAt { stream: &stream, version, recorded_at: Instant::default() };
            if Place::asks(&event, &at).is_some() {
                self.mail.push((Mail::to_order(place(self.products.clone())), false));
            }
            // Whoever is asked to give back does so.
            if !ToAllocation::react(&event, &at).is_empty() {
                self.mail.push((Mail::to_order(RecordAllocationReleased { order_id: "o-1".into(), attempt: 1 }), false));
            }
            for message in ToCart::react(&event, &at) {
                let command = CartCommand::decode(message.type_name, &message.bytes).expect("a command of carts");
                self.mail.push((Mail::ToCart(Box::new(command)), false));
            }
        }
    }

    fn tell_cart(&mut self, command: &CartCommand) {
        if let CartCommand::ReopenCart(c) = command {
            let cart = self.carts.get_mut(&c.cart_id).expect("one of ours");
            let reopened = *cart == Cart::CheckedOut;
            if reopened {
                *cart = Cart::Reopened;
            }
            self.mail.push((Mail::to_order(record(&c.cart_id, reopened)), false));
        }
        if let CartCommand::CloseCart(c) = command {
            let cart = self.carts.get_mut(&c.cart_id).expect("one of ours");
            assert_eq!(*cart, Cart::CheckedOut, "a cart is closed or reopened, never both");
            *cart = Cart::Closed;
        }
    }

    /// Delivers what has not arrived, until nothing more is sent.
    fn settle(&mut self) {
        while let Some(n) = self.mail.iter().position(|(_, has_arrived)| !has_arrived) {
            self.deliver(n);
        }
    }

    /// The books of the order and of each cart; a cart that came second is that, whichever it is.
    fn books(&self) -> (OrderState, Vec<Cart>) {
        let mut others: Vec<Cart> = self.carts.iter().filter(|(id, _)| **id != self.order.cart_id).map(|(_, cart)| *cart).collect();
        others.insert(0, self.carts.get(&self.order.cart_id).copied().unwrap_or(Cart::CheckedOut));
        (OrderState { cart_id: String::new(), ..self.order.clone() }, others)
    }

    /// What holds at any moment: money and goods stand where the order says.
    fn check(&self) {
        let count = |is: fn(&OrderEvent) -> bool| self.events.iter().filter(|event| is(event)).count();
        assert!(count(|e| matches!(e, OrderEvent::OrderOpened(_))) <= 1);
        assert!(count(|e| matches!(e, OrderEvent::OrderPlaced(_) | OrderEvent::OrderRejecting(_))) <= 1);
        assert!(count(|e| matches!(e, OrderEvent::OrderRejected(_) | OrderEvent::OrderCancelled(_))) <= 1);
        let Some(cart) = self.carts.get(&self.order.cart_id) else { return };
        match self.order.status() {
            OrderStatus::Opened | OrderStatus::Placed => assert_eq!(*cart, Cart::CheckedOut),
            OrderStatus::Rejecting => assert_ne!(*cart, Cart::Closed),
            OrderStatus::Rejected => assert_eq!(*cart, Cart::Reopened),
            OrderStatus::Cancelled => assert_ne!(*cart, Cart::Reopened),
            OrderStatus::Cancelling => assert_eq!(*cart, Cart::CheckedOut),
            status => panic!("nobody has led the order to {status:?}"),
        }
    }
}

fn any_products() -> impl Strategy<Value = Vec<ProductRead>> {
    prop_oneof![
        Just(vec![lamp()]),
        Just(vec![ProductRead { price: Some(money("EUR", 2000)), ..lamp() }]),
        Just(vec![ProductRead { max_per_order: 1, ..lamp() }]),
        Just(vec![]),
    ]
}

/// Turns: a message that was sent arrives, be it again; or the customer cancels.
fn run(world: &mut World, turns: &[(prop::sample::Index, bool)]) {
    for (which, cancels) in turns {
        if *cancels {
            world.decide(&cancel().into());
        } else {
            world.deliver(which.index(world.mail.len()));
        }
        world.check();
    }
}

fn turns(cancels: bool) -> impl Strategy<Value = Vec<(prop::sample::Index, bool)>> {
    let cancels = if cancels { prop::bool::weighted(0.1).boxed() } else { Just(false).boxed() };
    prop::collection::vec((any::<prop::sample::Index>(), cancels), 0..40)
}

proptest! {
    #[test]
    fn in_any_order_and_doubled_the_books_are_the_same(turns in turns(false), products in any_products(), two in any::<bool>()) {
        let carts: &[&str] = if two { &["k-1", "k-2"] } else { &["k-1"] };
        let (mut world, mut in_order) = (World::of(carts, products.clone()), World::of(carts, products));
        run(&mut world, &turns);
        world.settle();
        in_order.settle();
        prop_assert_eq!(world.books(), in_order.books());
        prop_assert!(!two || world.books().1[1] == Cart::Reopened, "who came second has the lines back");
    }

    #[test]
    fn an_order_that_somebody_cancels_ends_and_its_cart_is_closed_or_has_its_lines_back(
        turns in turns(true),
        products in any_products(),
        two in any::<bool>(),
    ) {
        let mut world = World::of(if two { &["k-1", "k-2"] } else { &["k-1"] }, products.clone());
        run(&mut world, &turns);
        world.settle();
        world.check();
        let (status, cart) = (world.order.status(), world.books().1[0]);
        let ends = [
            (OrderStatus::Placed, Cart::CheckedOut),
            (OrderStatus::Rejected, Cart::Reopened),
            (OrderStatus::Cancelled, Cart::Closed),
        ];
        prop_assert!(ends.contains(&(status, cart)), "{status:?} {cart:?}");
        // All has arrived: nothing of it, told again, says anything new.
        for n in 0..world.mail.len() {
            let before = (world.order.clone(), world.carts.clone());
            world.deliver(n);
            prop_assert_eq!((&world.order, &world.carts), (&before.0, &before.1));
        }
    }

    /// Until a message has arrived, nothing that would follow from it has happened.
    #[test]
    fn what_never_arrives_leaves_the_books_as_they_are(turns in turns(true), products in any_products(), lost in 0..6_usize) {
        let mut world = World::of(&["k-1"], products);
        for (which, cancels) in &turns {
            let n = which.index(world.mail.len());
            if *cancels {
                world.decide(&cancel().into());
            } else if n != lost {
                world.deliver(n);
            }
            world.check();
        }
    }
}
