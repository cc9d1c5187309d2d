//! Customers and addresses together: whatever the order in which their messages arrive, and however often, all ends right.

use std::collections::BTreeMap;

use daybook_kernel::spec::{SPEC_TIME, context};
use daybook_kernel::{StreamId, Version};
use daybook_proto::MessageSet;
use proptest::prelude::*;
use shop_proto::samples::customer as ann;

use super::*;
use crate::customer::{Email, EmailAnswers};

/// All streams of the service, and the messages between them that have not arrived yet.
#[derive(Default)]
struct World {
    customers: BTreeMap<String, (CustomerState, u64)>,
    emails: BTreeMap<String, (EmailState, u64)>,
    under_way: Vec<ServiceMessage>,
}

/// Decides a command in its stream; returns what follows from its events.
fn decided<D: Decider, R: Reactor<Event = D::Event>>(
    streams: &mut BTreeMap<String, (D::State, u64)>,
    command: &D::Command,
) -> Vec<ServiceMessage> {
    use daybook_proto::CommandSet as _;
    let stream = StreamId::new(D::Command::AGGREGATE, &command.key());
    let (state, version) = streams.entry(stream.key().to_owned()).or_default();
    let mut sent = Vec::new();
    for event in D::decide(state, command, &context(SPEC_TIME)).events {
        D::evolve(state, &event);
        *version += 1;
        sent.extend(R::react(&event, &EventAt { stream: &stream, version: Version(*version), recorded_at: SPEC_TIME }));
    }
    sent
}

impl World {
    fn ask(&mut self, command: impl Into<CustomerCommand>) {
        self.under_way.extend(decided::<Customer, EmailClaims>(&mut self.customers, &command.into()));
        self.each_address_that_stands_is_its_customers();
    }

    /// One of the messages arrives; where it is `doubled`, it will arrive again.
    fn deliver(&mut self, index: usize, doubled: bool) {
        let message = if doubled { self.under_way[index].clone() } else { self.under_way.remove(index) };
        let sent = match message.target.aggregate() {
            "email" => {
                let command = EmailCommand::decode(message.type_name, &message.bytes).expect("as it was sent");
                decided::<Email, EmailAnswers>(&mut self.emails, &command)
            }
            _ => {
                let command = CustomerCommand::decode(message.type_name, &message.bytes).expect("as it was sent");
                decided::<Customer, EmailClaims>(&mut self.customers, &command)
            }
        };
        self.under_way.extend(sent);
        self.each_address_that_stands_is_its_customers();
    }

    /// At every moment: what a customer is told is theirs is nobody else's.
    fn each_address_that_stands_is_its_customers(&self) {
        for (id, (customer, _)) in &self.customers {
            let Some(email) = &customer.email else { continue };
            let (held, _) = &self.emails[&email.email_key];
            assert_eq!((held.customer_id.as_str(), held.claim), (id.as_str(), email.claim), "{customer:?}");
        }
    }

    /// When no message is under way: nobody waits, and no address is held by somebody who does not have it.
    fn all_is_quiet(&self) {
        assert_eq!(self.under_way, []);
        for (id, (customer, _)) in &self.customers {
            assert!(customer.asked.is_none() && customer.status() != CustomerStatus::Pending, "{id} waits: {customer:?}");
        }
        for (key, (email, _)) in self.emails.iter().filter(|(_, (email, _))| !email.customer_id.is_empty()) {
            let (holder, _) = &self.customers[&email.customer_id];
            assert!(is_claim(holder.email.as_ref(), key, email.claim), "{key} is lost to {holder:?}");
        }
    }

    /// The rest arrives, each message picked by the next number; the newest first where they have run out.
    fn settle(&mut self, mut picks: impl Iterator<Item = prop::sample::Index>) {
        let mut steps = 0;
        while !self.under_way.is_empty() {
            let index = picks.next().map_or(self.under_way.len() - 1, |pick| pick.index(self.under_way.len()));
            self.deliver(index, false);
            steps += 1;
            assert!(steps < 10_000, "messages without end");
        }
    }

    fn email(&self, customer: &str) -> Option<&str> {
        self.customers.get(customer)?.0.email.as_ref().map(|e| e.email.as_str())
    }

    fn status(&self, customer: &str) -> CustomerStatus {
        self.customers.get(customer).map_or(CustomerStatus::Unspecified, |(customer, _)| customer.status())
    }
}

const HOME: &str = "ann@example.org";
const WORK: &str = "ann@example.com";

fn register(customer: &str, email: &str) -> RegisterCustomer {
    RegisterCustomer { customer_id: customer.to_owned(), ..ann::register(email) }
}

fn change(customer: &str, email: &str) -> ChangeContact {
    ChangeContact { customer_id: customer.to_owned(), ..ann::change_email(email) }
}

fn close(customer: &str) -> CloseAccount {
    CloseAccount { customer_id: customer.to_owned(), ..ann::close() }
}

#[test]
fn two_register_one_address_and_one_has_it() {
    let mut world = World::default();
    world.ask(register("c-1", HOME));
    world.ask(register("c-2", "ANN@example.org"));
    // The second one's claim is there first.
    world.deliver(1, false);
    world.settle(std::iter::empty());
    world.all_is_quiet();
    assert_eq!((world.email("c-1"), world.email("c-2")), (None, Some("ANN@example.org")));
    assert_eq!((world.status("c-1"), world.status("c-2")), (CustomerStatus::Rejected, CustomerStatus::Active));
    // With another address the id is good.
    world.ask(register("c-1", WORK));
    world.settle(std::iter::empty());
    world.all_is_quiet();
    assert_eq!(world.email("c-1"), Some(WORK));
}

#[test]
fn an_account_closed_while_its_address_is_claimed_leaves_it_free_in_either_order() {
    for claim_first in [true, false] {
        let mut world = World::default();
        world.ask(register("c-1", HOME));
        world.ask(close("c-1"));
        assert_eq!(world.under_way.len(), 2, "the claim, and its end");
        world.deliver(usize::from(!claim_first), false);
        world.settle(std::iter::empty());
        world.all_is_quiet();
        world.ask(register("c-2", HOME));
        world.settle(std::iter::empty());
        assert_eq!((world.status("c-1"), world.email("c-2")), (CustomerStatus::Closed, Some(HOME)));
    }
}

#[test]
fn a_change_there_and_back_keeps_the_address_whichever_message_is_late() {
    for late in 0..3 {
        let mut world = World::default();
        world.ask(register("c-1", HOME));
        world.settle(std::iter::empty());
        world.ask(change("c-1", WORK));
        world.deliver(0, false);
        world.deliver(0, false);
        assert_eq!(world.email("c-1"), Some(WORK));
        // The end of the old one is under way when it is wanted again.
        world.ask(change("c-1", HOME));
        world.ask(change("c-1", HOME));
        assert_eq!(world.under_way.len(), 2);
        world.deliver(late % 2, late == 2);
        world.settle(std::iter::empty());
        world.all_is_quiet();
        assert_eq!(world.email("c-1"), Some(HOME));
    }
}

#[test]
fn an_address_that_is_anothers_leaves_the_old_one() {
    let mut world = World::default();
    for (customer, email) in [("c-1", HOME), ("c-2", WORK)] {
        world.ask(register(customer, email));
    }
    world.settle(std::iter::empty());
    world.ask(change("c-1", WORK));
    world.settle(std::iter::empty());
    world.all_is_quiet();
    assert_eq!((world.email("c-1"), world.email("c-2")), (Some(HOME), Some(WORK)));
}

#[derive(Clone, Debug)]
enum Move {
    Ask(Box<CustomerCommand>),
    Deliver(prop::sample::Index, bool),
}

fn any_move() -> impl Strategy<Value = Move> {
    let customer = || prop::sample::select(vec!["c-1", "c-2", "c-3"]);
    let email = || prop::sample::select(vec![HOME, WORK, "Ann@Example.ORG"]);
    prop_oneof![
        2 => (customer(), email()).prop_map(|(c, e)| Move::Ask(Box::new(register(c, e).into()))),
        3 => (customer(), email()).prop_map(|(c, e)| Move::Ask(Box::new(change(c, e).into()))),
        1 => customer().prop_map(|c| Move::Ask(Box::new(close(c).into()))),
        6 => (any::<prop::sample::Index>(), prop::bool::weighted(0.2)).prop_map(|(at, doubled)| Move::Deliver(at, doubled)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    /// Three customers, two addresses. Messages arrive late, doubled and in any order, while more is asked.
    #[test]
    fn whatever_arrives_when_all_ends_right(
        moves in prop::collection::vec(any_move(), 1..60),
        rest in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut world = World::default();
        for one in moves {
            match one {
                Move::Ask(command) => world.ask(*command),
                Move::Deliver(..) if world.under_way.is_empty() => {}
                Move::Deliver(at, doubled) => world.deliver(at.index(world.under_way.len()), doubled),
            }
        }
        world.settle(rest.into_iter());
        world.all_is_quiet();
    }
}
