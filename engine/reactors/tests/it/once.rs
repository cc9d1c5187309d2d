//! Each reaction takes effect once, from any process and however often.

use std::sync::Arc;

use daybook_follow::{Event, FollowError};
use daybook_log::Log;
use daybook_postgres::Role;
use daybook_proto::v1::Caller;
use daybook_testkit::eventually;

use crate::support::*;

const OPENED: &str = "shop.inventory.v1.ReorderProposalOpened";
const CLOSED: &str = "shop.inventory.v1.ReorderProposalClosed";

#[tokio::test(flavor = "multi_thread")]
async fn a_fall_of_the_stock_opens_a_proposal_and_its_return_closes_it_and_the_chain_can_be_walked() {
    let (install, lanes, process) = Install::running(reordering()).await;
    install.reorder_below("A-1", 5, "c-1").await;
    let opened = install.has_events(&reorder("A-1"), 1).await.remove(0);
    assert_eq!(opened.type_name, OPENED);
    // The stock's own events: the point, and the fall below it.
    let crossed = install.events(&stock("A-1")).await.remove(1);
    let (cause, effect) = (metadata(&crossed), metadata(&opened));
    let place = format!("inventory/{}:{}@{}", install.partition(&stock("A-1")), crossed.offset, crossed.epoch);
    assert_eq!((effect.correlation_id.as_str(), effect.causation_id), (cause.correlation_id.as_str(), place));
    assert_eq!((effect.correlation_id.as_str(), effect.caller), ("c-1", Some(Caller::process("reactor/reorder"))));

    install.receive("A-1", 9).await;
    let closed = install.has_events(&reorder("A-1"), 2).await.remove(1);
    assert_eq!(closed.type_name, CLOSED);
    install.settled("reorder").await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_a_death_and_not_marked_is_sent_again_and_is_a_repeat() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    for n in 1..=20 {
        install.receive(&format!("A-{n}"), n).await;
    }
    for n in 1..=20 {
        install.has_events(&reorder(&format!("A-{n}")), 1).await;
    }
    install.settled("picky").await;
    process.stop().await;
    let results = "SELECT count(*) FROM inventory.command";
    let before = install.count(results).await;
    // As it is left by a process that was killed between Kafka's acknowledgement and the mark.
    install.forget_marks().await;
    let process = install.process(vec![picky::<1>()]).await;
    install.settled("picky").await;
    for n in 1..=20 {
        install.has_events(&reorder(&format!("A-{n}")), 1).await;
    }
    assert_eq!(install.count(results).await, before, "each is a repeat");
    assert_eq!(install.count("SELECT count(*) FROM inventory.rejected").await, 0);
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_builds_one_reacts_and_the_other_stands_by_until_it_is_gone() {
    let install = Install::new(&[picky::<1>()]).await;
    let lanes = install.lanes().await;
    let first = install.process_of(vec![picky::<1>()], "-first").await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    let second = install.process_of(vec![picky::<1>()], "-second").await;
    let all = PARTITIONS as usize;
    // A process that comes later takes over; the other finds that out at its next mark, and stands by.
    for n in 2..=6 {
        install.receive(&format!("A-{n}"), 1).await;
        install.receive(&format!("B-{n}"), 1).await;
        install.has_events(&reorder(&format!("A-{n}")), 1).await;
        install.has_events(&reorder(&format!("B-{n}")), 1).await;
    }
    eventually("one to stand by", || async { (first.works() == 0 && second.works() == all).then_some(()) }).await;
    let terms = (install.mark("picky", &stock("A-1")).await.2, install.mark("picky", &stock("B-1")).await.2);
    for n in 7..=20 {
        install.receive(&format!("A-{n}"), 1).await;
        install.has_events(&reorder(&format!("A-{n}")), 1).await;
    }
    let after = (install.mark("picky", &stock("A-1")).await.2, install.mark("picky", &stock("B-1")).await.2);
    assert_eq!(terms, after, "nobody takes it from the other");
    second.stop().await;
    install.receive("A-21", 1).await;
    install.has_events(&reorder("A-21"), 1).await;
    eventually("the first to work again", || async { (first.works() > 0).then_some(()) }).await;
    install.settled("picky").await;
    assert_eq!(install.count("SELECT count(*) FROM inventory.rejected").await, 0);
    first.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_has_changed_between_two_sends_leaves_the_first_result_and_a_note() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    install.forget_marks().await;
    let process = install.process(vec![picky::<2>()]).await;
    let rejected = "SELECT count(*) FROM inventory.rejected WHERE reason LIKE 'PROCESS reactor/picky sent another %'";
    eventually("a note", || async { (install.count(rejected).await == 1).then_some(()) }).await;
    // It goes on.
    install.receive("A-2", 1).await;
    install.has_events(&reorder("A-2"), 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactor_that_is_new_begins_at_the_end_of_the_log_unless_it_says_otherwise() {
    let install = Install::new(&[]).await;
    let lanes = install.lanes().await;
    install.reorder_below("A-1", 5, "").await;
    install.has_events(&stock("A-1"), 2).await;
    let both = [reordering(), picky::<1>()];
    let made = daybook_reactors::prepare(&install.database.databases(), &both).await.expect("the database answers");
    assert_eq!(made.iter().map(|p| (p.rule, p.made)).collect::<Vec<_>>(), [("reorder", true), ("picky", true)]);
    let again = daybook_reactors::prepare(&install.database.databases(), &both).await.expect("the database answers");
    assert!(again.iter().all(|p| !p.made), "{again:?}");
    assert_eq!(install.mark("picky", &stock("A-1")).await.0, 0);
    assert_eq!(install.mark("reorder", &stock("A-1")).await.0, 2);
    let process = install.process(vec![reordering()]).await;
    install.reorder_below("A-2", 5, "").await;
    install.has_events(&reorder("A-2"), 1).await;
    install.settled("reorder").await;
    assert_eq!(install.events(&reorder("A-1")).await.len(), 0, "what was before does not count");
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactor_that_migrate_has_not_heard_of_does_not_start() {
    let install = Install::new(&[]).await;
    let (databases, bus) = (install.database.databases(), install.bus.clone());
    let config = daybook_reactors::ReactorsConfig::new(databases, bus, shop(), vec![reordering()], Vec::new());
    let why = daybook_reactors::Reactors::new(config).await.err().expect("no checkpoint").to_string();
    assert!(why.contains("reorder") && why.contains("daybook migrate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_replaced_writes_nothing_goes_on_under_no_term_of_another_and_gives_nothing_up() {
    let install = Install::new(&[picky::<1>()]).await;
    let lanes = install.lanes().await;
    install.receive("A-1", 1).await;
    let event = install.has_events(&stock("A-1"), 1).await.remove(0);
    let log = Log::open(&install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
    let partition = log.partition(install.partition(&stock("A-1"))).expect("one");
    let reactors = install.reactors(vec![picky::<1>()]).await;
    let kind = reactors.followers().roster.borrow().0[0].clone();
    let (mut old, mut new) = (kind.open(partition.clone()), kind.open(partition.clone()));
    old.take_over().await.expect("the database answers");
    new.take_over().await.expect("the database answers");
    assert_eq!((old.term(), new.term()), (1, 2));

    let pool = kind.home(&partition).pool;
    let client = pool.get().await.expect("the database answers");
    let events = [Arc::new(Event::stored(event).expect("in order"))];
    old.prepare(&client, &events).await.expect("it can be reacted to");
    // Its mark is due when Kafka has acknowledged, and a moment has passed.
    eventually("the message to arrive", || async { (install.messages_to(&reorder("A-1")).await >= 1).then_some(()) }).await;
    assert!(matches!(old.tend().await, Err(FollowError::Moved(_))), "it writes nothing");
    assert!(matches!(old.resume().await, Err(FollowError::Moved(_))), "and does not go on under the other's term");
    old.give_up().await.expect("the database answers");
    let standing = new.standing().await.expect("the database answers");
    assert_eq!((standing.next, standing.term, standing.given_up), (0, 2, false));

    new.prepare(&client, &events).await.expect("it can be reacted to");
    install.has_events(&reorder("A-1"), 1).await;
    new.tend().await.expect("it is its own");
    new.give_up().await.expect("the database answers");
    let standing = old.standing().await.expect("the database answers");
    assert_eq!((standing.next, standing.term, standing.given_up), (1, 3, true));
    lanes.stop().await;
}
