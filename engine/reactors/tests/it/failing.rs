//! An event that a reactor can't react to parks its stream, and nothing else.

use std::sync::atomic::Ordering;

use daybook_follow::Ask;
use daybook_testkit::eventually;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_panics_parks_the_stream_until_it_is_tried_again() {
    let guard = panics_at(13).await;
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 13).await;
    install.receive("A-1", 14).await;
    install.receive("A-2", 1).await;
    install.has_events(&reorder("A-2"), 1).await;
    let found = install.has_parked().await;
    let [one] = found.as_slice() else { panic!("one stream: {found:?}") };
    assert_eq!((one.reactor, one.stream.as_str(), one.version), ("picky", "stock/A-1@w-1", 1));
    assert!(one.reason.contains("as it was told"), "{}", one.reason);
    install.settled("picky").await;
    assert_eq!(install.events(&reorder("A-1")).await.len(), 0, "later events of the stream wait");

    // In vain, then not.
    assert!(install.ask("stock/A-1@w-1", Ask::Retry).await);
    eventually("it to be tried", || async {
        let all = install.parked().await;
        all.first().is_some_and(|one| one.asked.is_none()).then_some(())
    })
    .await;
    PANICS_AT.store(0, Ordering::Relaxed);
    drop(guard);
    assert!(install.ask("stock/A-1@w-1", Ask::Retry).await);
    // One for each delivery, the one that waited behind it too.
    install.has_events(&reorder("A-1"), 2).await;
    install.flows().await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_do_without_an_event() {
    let guard = panics_at(17).await;
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 17).await;
    install.receive("A-1", 3).await;
    install.has_parked().await;
    assert!(!install.ask("stock/A-9@w-1", Ask::Skip).await, "it is not parked");
    assert!(install.ask("stock/A-1@w-1", Ask::Skip).await);
    let opened = install.has_events(&reorder("A-1"), 1).await;
    assert_eq!(metadata(&opened[0]).causation_id.split_once('@').expect("with its epoch").1, "1");
    install.flows().await;
    PANICS_AT.store(0, Ordering::Relaxed);
    drop(guard);
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_this_build_does_not_know_waits_for_a_process_that_does() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    lanes.stop().await;
    // As a newer build writes it: here the type's name is changed under the reactor, and put back.
    let partition = install.partition(&stock("A-1"));
    let rename = |to: &str| {
        format!(
            "SET session_replication_role = replica; UPDATE inventory.event_{partition} SET type = '{to}' WHERE stream_id = '{}'; \
             UPDATE inventory.reactor SET next_offset = 0, settled = 0",
            stock("A-1")
        )
    };
    install.database.owner().await.batch_execute(&rename("shop.inventory.v1.StockTeleported")).await.expect("the owner may");
    let process = install.process(vec![picky::<1>()]).await;
    let found = install.has_parked().await;
    assert!(found[0].reason.contains("StockTeleported"), "{found:?}");
    process.stop().await;
    install.database.owner().await.batch_execute(&rename("shop.inventory.v1.StockReceived")).await.expect("the owner may");
    let (lanes, process) = (install.lanes().await, install.process(vec![picky::<1>()]).await);
    install.flows().await;
    install.has_events(&reorder("A-1"), 1).await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_flows_again_only_when_what_it_has_sent_has_come_to_an_end() {
    let guard = panics_at(19).await;
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 19).await;
    let is_parked = async || !install.parked().await.is_empty();
    eventually("the stream to be parked", || async { is_parked().await.then_some(()) }).await;
    PANICS_AT.store(0, Ordering::Relaxed);
    drop(guard);
    // Nobody decides: sent messages may be lost before anybody does.
    lanes.stop().await;
    assert!(install.ask("stock/A-1@w-1", Ask::Retry).await);
    eventually("it to be sent twice", || async { (install.messages_to(&reorder("A-1")).await >= 2).then_some(()) }).await;
    assert!(is_parked().await, "it has no result");
    let lanes = install.lanes().await;
    eventually("the stream to flow", || async { (!is_parked().await).then_some(()) }).await;
    install.has_events(&reorder("A-1"), 1).await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_alone_says_parks_nothing() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    // Somebody else writes where the next event will stand.
    install.forge(&stock("A-1"), "shop.inventory.v1.StockTeleported").await;
    install.receive("A-1", 2).await;
    install.receive("A-1", 3).await;
    install.has_events(&reorder("A-1"), 3).await;
    install.settled("picky").await;
    assert_eq!(install.parked().await, []);
    process.stop().await;
    lanes.stop().await;
}
