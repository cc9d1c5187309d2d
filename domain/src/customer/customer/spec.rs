use daybook_kernel::spec::{SPEC_TIME, given, given_nothing, in_turn};
use daybook_kernel::{Instant, StreamId, Version};
use daybook_proto::MessageSet as _;
use proptest::prelude::*;
use shop_proto::samples::customer as ann;
use shop_proto::samples::customer::{add_address, address_added, change_email, customer_id, record_claimed, record_taken, register};

use super::*;

const HOME: &str = "ann@example.org";
const WORK: &str = "ann@example.com";

/// A claim of an address by its number.
fn claim(email: &str, n: i64) -> EmailClaim {
    ann::claim_of(&email::key(email, &daybook_kernel::spec::context(SPEC_TIME)), n)
}

fn registered() -> CustomerEvent {
    ann::registered(HOME, claim(HOME, 1))
}

fn active() -> Vec<CustomerEvent> {
    vec![registered(), ann::confirmed(HOME, claim(HOME, 1), None)]
}

/// Ann has one address, and wants another one.
fn moving() -> Vec<CustomerEvent> {
    [active(), vec![ann::change_asked(WORK, claim(WORK, 2), None)]].concat()
}

fn closed() -> Vec<CustomerEvent> {
    [active(), vec![ann::closed(vec![claim(HOME, 1)])]].concat()
}

fn rejected() -> Vec<CustomerEvent> {
    vec![registered(), ann::rejected(claim(HOME, 1))]
}

fn unknown() -> CustomerUnknown {
    CustomerUnknown { customer_id: customer_id() }
}

#[test]
fn a_registration_is_complete_when_its_address_is_claimed() {
    given_nothing::<Customer>().when(register(HOME)).then([registered()]);
    given_nothing::<Customer>().when(register(HOME)).then_state(|s| assert_eq!(s.status(), CustomerStatus::Pending));
    given::<Customer>([registered()]).when(record_claimed(claim(HOME, 1))).then([ann::confirmed(HOME, claim(HOME, 1), None)]);
    given::<Customer>(active()).when(ann::change()).then_state(|s| assert_eq!(s.status(), CustomerStatus::Active));
    given::<Customer>(active()).when(record_claimed(claim(HOME, 1))).then_nothing();
}

#[test]
fn a_registration_whose_address_is_anothers_is_rejected_and_leaves_nothing() {
    given::<Customer>([registered()]).when(record_taken(claim(HOME, 1))).then([ann::rejected(claim(HOME, 1))]);
    given::<Customer>([registered()]).when(record_taken(claim(HOME, 1))).then_state(|s| {
        let left = CustomerState { customer_id: customer_id(), claims: 1, ..Default::default() };
        assert_eq!(s, &CustomerState { status: CustomerStatus::Rejected.into(), ..left });
    });
    given::<Customer>(rejected()).when(record_taken(claim(HOME, 1))).then_nothing();
    given::<Customer>(rejected()).when(register(WORK)).then([ann::registered(WORK, claim(WORK, 2))]);
}

#[test]
fn an_id_is_registered_once() {
    let exists = || CustomerExists { customer_id: customer_id() };
    for history in [vec![registered()], active()] {
        given::<Customer>(history.clone()).when(register(HOME)).then_nothing();
        given::<Customer>(history.clone()).when(register(WORK)).then_refused(exists());
        let other = RegisterCustomer { name: "Bob".into(), ..register(HOME) };
        given::<Customer>(history.clone()).when(other).then_refused(exists());
        let other = RegisterCustomer { phone: String::new(), ..register(HOME) };
        given::<Customer>(history).when(other).then_refused(exists());
    }
}

#[test]
fn an_address_stays_until_the_new_one_is_claimed() {
    given::<Customer>(active()).when(change_email(WORK)).then([ann::change_asked(WORK, claim(WORK, 2), None)]);
    given::<Customer>(moving()).when(ann::change()).then_state(|s| assert_eq!(s.email.as_ref().expect("one").email, HOME));
    let confirmed = || ann::confirmed(WORK, claim(WORK, 2), Some(claim(HOME, 1)));
    given::<Customer>(moving()).when(record_claimed(claim(WORK, 2))).then([confirmed()]);
    given::<Customer>([moving(), vec![confirmed()]].concat()).when(ann::change()).then_state(|s| {
        assert_eq!((s.email.as_ref().expect("one").email.as_str(), &s.asked), (WORK, &None));
    });
    given::<Customer>(moving()).when(record_taken(claim(WORK, 2))).then([ann::change_rejected(claim(WORK, 2))]);
    let stayed = [moving(), vec![ann::change_rejected(claim(WORK, 2))]].concat();
    given::<Customer>(stayed).when(ann::change()).then_state(|s| {
        assert_eq!((s.email.as_ref().expect("one").email.as_str(), &s.asked, s.status()), (HOME, &None, CustomerStatus::Active));
    });
}

#[test]
fn the_newest_wish_counts() {
    let third = "ann@example.net";
    given::<Customer>(moving()).when(change_email(third)).then([ann::change_asked(third, claim(third, 3), Some(claim(WORK, 2)))]);
    given::<Customer>(moving()).when(change_email(WORK)).then_nothing();
    given::<Customer>(moving()).when(change_email(HOME)).then([ann::change_withdrawn(claim(WORK, 2))]);
    given::<Customer>(active()).when(change_email(HOME)).then_nothing();
    // Before the registration is complete, too.
    let asked = ann::change_asked(WORK, claim(WORK, 2), Some(claim(HOME, 1)));
    given::<Customer>([registered()]).when(change_email(WORK)).then([asked.clone()]);
    given::<Customer>([registered(), asked.clone()]).when(record_taken(claim(WORK, 2))).then([ann::rejected(claim(WORK, 2))]);
    given::<Customer>([registered(), asked]).when(record_claimed(claim(WORK, 2))).then([ann::confirmed(WORK, claim(WORK, 2), None)]);
}

#[test]
fn another_spelling_of_an_address_needs_no_claim() {
    let (home, work) = (change_email("Ann@Example.org"), change_email("ANN@example.com"));
    for history in [vec![registered()], active()] {
        given::<Customer>(history).when(home.clone()).then([ann::changed(&home)]);
    }
    given::<Customer>([active(), vec![ann::changed(&home)]].concat()).when(home.clone()).then_nothing();
    given::<Customer>(moving()).when(work.clone()).then([ann::changed(&work)]);
    given::<Customer>(moving()).when(work).then_state(|s| {
        assert_eq!(s.email.as_ref().expect("one").email, HOME);
        assert_eq!(s.asked.as_ref().expect("one").email, "ANN@example.com");
    });
    given::<Customer>(moving()).when(home.clone()).then([ann::change_withdrawn(claim(WORK, 2)), ann::changed(&home)]);
}

#[test]
fn what_is_not_named_or_not_new_stays() {
    let named = ChangeContact { name: Some("Ann Elk".into()), phone: Some(String::new()), ..ann::change() };
    given::<Customer>(active()).when(named.clone()).then([ann::changed(&named)]);
    given::<Customer>(active()).when(ann::change()).then_nothing();
    let same = ChangeContact { name: Some("Ann Other".into()), phone: Some("+49 30 901820".into()), ..ann::change() };
    given::<Customer>(active()).when(same.clone()).then_nothing();
    let only = ChangeContact { name: Some("Ann Elk".into()), ..same };
    given::<Customer>(active()).when(only.clone()).then([ann::changed(&ChangeContact { phone: None, ..only })]);
}

#[test]
fn a_claim_that_nobody_waits_for_is_given_up_and_one_that_is_lost_is_done_with() {
    for history in [vec![], rejected(), closed(), active()] {
        given::<Customer>(history.clone()).when(record_claimed(claim(WORK, 7))).then([ann::late_given_up(claim(WORK, 7))]);
        given::<Customer>(history).when(record_taken(claim(WORK, 7))).then_nothing();
    }
    given::<Customer>(moving()).when(record_claimed(claim(WORK, 1))).then([ann::late_given_up(claim(WORK, 1))]);
    given::<Customer>(moving()).when(record_taken(claim(WORK, 1))).then_nothing();
    given::<Customer>(moving()).when(record_taken(claim(HOME, 2))).then_nothing();
    given::<Customer>(rejected()).when(record_claimed(claim(HOME, 1))).then([ann::late_given_up(claim(HOME, 1))]);
}

#[test]
fn addresses_have_ids_of_the_customers_own() {
    let added = || [active(), vec![address_added("home", "Street 1")]].concat();
    given::<Customer>(active()).when(add_address("home", "Street 1")).then([address_added("home", "Street 1")]);
    given::<Customer>(added()).when(add_address("home", "Street 1")).then_nothing();
    given::<Customer>(added()).when(add_address("home", "Street 2")).then_refused(AddressExists { address_id: "home".into() });
    given::<Customer>(added()).when(ann::change_address("home", "Street 2")).then([ann::address_changed("home", "Street 2")]);
    given::<Customer>(added()).when(ann::change_address("home", "Street 1")).then_nothing();
    given::<Customer>(added()).when(ann::change_address("work", "Street 2")).then_refused(UnknownAddress { address_id: "work".into() });
    given::<Customer>(added()).when(ann::drop_address("home")).then([ann::address_dropped("home")]);
    given::<Customer>(added()).when(ann::drop_address("work")).then_nothing();
    let dropped = [added(), vec![ann::address_dropped("home")]].concat();
    given::<Customer>(dropped).when(add_address("home", "Street 3")).then([address_added("home", "Street 3")]);
}

#[test]
fn a_customer_has_fifty_addresses_at_most() {
    let many = |n: usize| [active(), (0..n).map(|n| address_added(&format!("a-{n}"), "Street 1")).collect()].concat();
    given::<Customer>(many(49)).when(add_address("more", "Street 1")).then([address_added("more", "Street 1")]);
    given::<Customer>(many(50)).when(add_address("more", "Street 1")).then_refused(AddressLimit { limit: 50 });
    given::<Customer>(many(50)).when(add_address("a-0", "Street 1")).then_nothing();
}

#[test]
fn a_closed_account_gives_up_its_addresses_and_keeps_no_data() {
    given::<Customer>(active()).when(ann::close()).then([ann::closed(vec![claim(HOME, 1)])]);
    given::<Customer>(moving()).when(ann::close()).then([ann::closed(vec![claim(HOME, 1), claim(WORK, 2)])]);
    given::<Customer>([registered()]).when(ann::close()).then([ann::closed(vec![claim(HOME, 1)])]);
    given::<Customer>(moving()).when(ann::close()).then_state(|s| {
        let left = CustomerState { customer_id: customer_id(), claims: 2, ..Default::default() };
        assert_eq!(s, &CustomerState { status: CustomerStatus::Closed.into(), ..left });
    });
    given::<Customer>(closed()).when(ann::close()).then_nothing();
}

#[test]
fn only_who_has_an_account_changes_it() {
    let commands = || -> [CustomerCommand; 4] {
        [
            change_email(WORK).into(),
            add_address("home", "Street 1").into(),
            ann::change_address("home", "Street 1").into(),
            ann::drop_address("home").into(),
        ]
    };
    for command in commands() {
        given_nothing::<Customer>().when(command.clone()).then_refused(unknown());
        given::<Customer>(rejected()).when(command.clone()).then_refused(unknown());
        given::<Customer>(closed()).when(command).then_refused(AccountIsClosed { customer_id: customer_id() });
    }
    given_nothing::<Customer>().when(ann::close()).then_refused(unknown());
    given::<Customer>(rejected()).when(ann::close()).then_refused(unknown());
    given::<Customer>(closed()).when(register(HOME)).then_refused(AccountIsClosed { customer_id: customer_id() });
}

#[test]
fn an_address_has_one_at_sign_with_something_on_both_sides() {
    use daybook_proto::CommandSet as _;
    let said = |email: &str| {
        let mut command = CustomerCommand::from(register(email));
        let mut said = command.tidy();
        said.extend(command.violations());
        said.into_iter().map(|v| v.field).collect::<Vec<_>>()
    };
    let long = |local: usize, domain: usize| format!("{}@{}", "a".repeat(local), "b".repeat(domain));
    for good in ["a@b", " Ann.O'Neil+shop@mail.example.org ", "jos\u{e9}@b\u{fc}cher.example", &long(64, 189)] {
        assert_eq!(said(good), Vec::<String>::new(), "{good:?}");
    }
    let bad =
        ["", "ann", "@example.org", "ann@", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b,c@d", "a@b;", "a\u{0}@b", "\"a b\"@c", "a@[::1]"];
    for bad in bad.into_iter().chain([long(65, 1).as_str(), &long(64, 190)]) {
        assert!(said(bad).contains(&"email".to_owned()), "{bad:?}");
    }
}

#[test]
fn addresses_are_claimed_and_given_up_by_messages() {
    let stream = StreamId::new("customer", "c-1");
    let sent = |event: CustomerEvent| {
        let at = EventAt { stream: &stream, version: Version(7), recorded_at: Instant::default() };
        EmailClaims::react(&event, &at)
    };
    let ask = |of: EmailClaim| {
        let command = ClaimEmail { email_key: of.email_key, customer_id: customer_id(), claim: of.claim };
        ServiceMessage::of(&EmailCommand::from(command))
    };
    let release = |of: EmailClaim| {
        let command = ReleaseEmail { email_key: of.email_key, customer_id: customer_id(), claim: of.claim };
        ServiceMessage::of(&EmailCommand::from(command))
    };
    let (home, work) = (|| claim(HOME, 1), || claim(WORK, 2));
    assert_eq!(sent(registered()), [ask(home())]);
    assert_eq!(sent(registered())[0].target.as_str(), format!("email/{}", home().email_key));
    assert_eq!(sent(ann::confirmed(HOME, home(), None)), []);
    assert_eq!(sent(ann::confirmed(WORK, work(), Some(home()))), [release(home())]);
    assert_eq!(sent(ann::change_asked(WORK, work(), None)), [ask(work())]);
    assert_eq!(sent(ann::change_asked(HOME, claim(HOME, 3), Some(work()))), [release(work()), ask(claim(HOME, 3))]);
    assert_eq!(sent(ann::change_withdrawn(work())), [release(work())]);
    assert_eq!(sent(ann::late_given_up(work())), [release(work())]);
    assert_eq!(sent(ann::closed(vec![home(), work()])), [release(home()), release(work())]);
    for quiet in [ann::rejected(home()), ann::change_rejected(work()), ann::changed(&ann::change())] {
        assert_eq!(sent(quiet), []);
    }
    for quiet in [address_added("a", "s"), ann::address_changed("a", "s"), ann::address_dropped("a")] {
        assert_eq!(sent(quiet), []);
    }
    assert!(CustomerEvent::TYPES.len() == 12, "all that happens to a customer is tried here");
}

fn any_command() -> impl Strategy<Value = CustomerCommand> {
    let email = || prop::sample::select(vec![HOME, WORK, "ann@example.net", "Ann@Example.org"]);
    let id = || "a-[1-3]";
    let of = move || (email(), 1..5_i64).prop_map(|(email, n)| claim(email, n));
    prop_oneof![
        3 => email().prop_map(|e| register(e).into()),
        4 => email().prop_map(|e| change_email(e).into()),
        1 => "[A-C]".prop_map(|name| ChangeContact { name: Some(name), ..ann::change() }.into()),
        4 => of().prop_map(|of| record_claimed(of).into()),
        2 => of().prop_map(|of| record_taken(of).into()),
        1 => Just(ann::close().into()),
        2 => (id(), "s[1-2]").prop_map(|(id, s)| add_address(&id, &s).into()),
        1 => (id(), "s[1-2]").prop_map(|(id, s)| ann::change_address(&id, &s).into()),
        1 => id().prop_map(|id| ann::drop_address(&id).into()),
    ]
}

proptest! {
    /// For all commands in any order: a claim that was made is under way, held, refused or given up.
    #[test]
    fn every_claim_is_accounted_for(commands in prop::collection::vec(any_command(), 1..60)) {
        use std::collections::BTreeSet;
        let key = |of: &EmailClaim| (of.claim, of.email_key.clone());
        let (mut made, mut over) = (BTreeSet::new(), BTreeSet::new());
        in_turn::<Customer>(&commands, |step| {
            use CustomerEvent as E;
            for event in &step.decision.events {
                match event {
                    E::CustomerRegistered(e) => assert!(made.insert(key(e.asked.as_ref().expect("a claim")))),
                    E::EmailChangeAsked(e) => {
                        assert!(made.insert(key(e.asked.as_ref().expect("a claim"))));
                        over.extend(e.given_up.iter().map(key));
                    }
                    E::EmailConfirmed(e) => over.extend(e.given_up.iter().map(key)),
                    E::EmailChangeWithdrawn(e) => over.extend(e.given_up.iter().map(key)),
                    E::RegistrationRejected(e) => over.extend(e.refused.iter().map(key)),
                    E::EmailChangeRejected(e) => over.extend(e.refused.iter().map(key)),
                    E::AccountClosed(e) => over.extend(e.given_up.iter().map(key)),
                    E::LateEmailGivenUp(e) => {
                        let late = key(e.given_up.as_ref().expect("a claim"));
                        assert!(!made.contains(&late) || over.contains(&late), "{late:?} is wanted");
                    }
                    _ => {}
                }
            }
            let open: BTreeSet<_> = [&step.after.email, &step.after.asked].into_iter().flatten().map(|e| key(&claim_of(e))).collect();
            assert_eq!(made.difference(&over).cloned().collect::<BTreeSet<_>>(), open);
            let s = step.after;
            assert_eq!(s.status() == CustomerStatus::Active, s.email.is_some());
            assert_eq!(s.status() == CustomerStatus::Pending, s.email.is_none() && s.asked.is_some());
            if matches!(step.command, CustomerCommand::RecordEmailClaimed(_) | CustomerCommand::RecordEmailTaken(_)) {
                assert_eq!(step.decision.refusal, None);
            }
        });
    }
}
