//! Reactions that Kafka loses are sent again; what a restore takes away is gone back to.

use daybook_log::{Log, Writer, WriterSessions};
use daybook_postgres::Role;
use daybook_testkit::{eventually, recreate_topic};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn reactions_that_a_wiped_topic_has_lost_are_sent_again() {
    let install = Install::new(&[picky::<1>()]).await;
    let lanes = install.lanes().await;
    install.receive("A-1", 1).await;
    install.has_events(&stock("A-1"), 1).await;
    // Nobody decides: the reactor's messages stay on the topic.
    lanes.stop().await;
    let process = install.process(vec![picky::<1>()]).await;
    eventually("Kafka to have the reaction", || async { (install.mark("picky", &stock("A-1")).await.0 == 1).then_some(()) }).await;
    assert_eq!(install.mark("picky", &stock("A-1")).await.1, 0, "it has no result");
    recreate_topic(&install.bus, &install.bus.messages(SERVICE), PARTITIONS.cast_signed()).await;
    let lanes = install.lanes().await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_of_a_process_that_died_are_looked_after_by_the_next_one() {
    let install = Install::new(&[picky::<1>()]).await;
    let lanes = install.lanes().await;
    for n in 1..=5 {
        install.receive(&format!("A-{n}"), n).await;
        install.has_events(&stock(&format!("A-{n}")), 1).await;
    }
    lanes.stop().await;
    let process = install.process(vec![picky::<1>()]).await;
    let ends = async || {
        let log = install.log(SERVICE).await;
        let mut all = Vec::new();
        for n in 0..PARTITIONS.cast_signed() {
            all.push(log.partition(n).expect("one").last_page().await.expect("it answers").next_offset());
        }
        all
    };
    let marked = "SELECT count(*) FROM inventory.reactor WHERE next_offset = ANY ($1)";
    let ends = ends().await;
    eventually("all to be sent", || async {
        let owner = install.database.owner().await;
        (owner.query_one(marked, &[&ends]).await.ok()?.get::<_, i64>(0) == i64::from(PARTITIONS)).then_some(())
    })
    .await;
    process.stop().await;
    recreate_topic(&install.bus, &install.bus.messages(SERVICE), PARTITIONS.cast_signed()).await;
    let (lanes, process) = (install.lanes().await, install.process(vec![picky::<1>()]).await);
    for n in 1..=5 {
        install.has_events(&reorder(&format!("A-{n}")), 1).await;
    }
    install.settled("picky").await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_restored_to_an_older_state_is_gone_back_in() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    // A checkpoint that the restored log does not reach: of a partition whose database was restored alone.
    install.database.owner().await.batch_execute("UPDATE inventory.reactor SET next_offset = 900").await.expect("the owner may");
    let process = install.process(vec![picky::<1>()]).await;
    install.receive("A-2", 2).await;
    install.has_events(&reorder("A-2"), 1).await;
    install.settled("picky").await;
    install.has_events(&reorder("A-1"), 1).await;
    process.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_that_has_grown_again_is_gone_back_in_to_the_epoch_that_began() {
    let (install, lanes, process) = Install::running(picky::<1>()).await;
    install.receive("A-1", 1).await;
    install.has_events(&reorder("A-1"), 1).await;
    install.settled("picky").await;
    process.stop().await;
    lanes.stop().await;
    // Of the stock's partition all pages are lost; the reactor's marks are not, and another epoch begins.
    let n = install.partition(&stock("A-1"));
    let tables = ["command", "request", "event", "page"].map(|table| format!("DELETE FROM inventory.{table}_{n} WHERE page > 0;"));
    let sql = format!("SET session_replication_role = replica; {}", tables.concat());
    install.database.owner().await.batch_execute(&sql).await.expect("the owner may, with the triggers off");
    let results = format!("SELECT count(*) FROM inventory.command WHERE stream_id = '{}'", reorder("A-1"));
    let before = install.count(&results).await;
    let log = Log::open(&install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
    let writer = Writer::new(log.partition(n).expect("one"), &WriterSessions::new(1)).await.expect("the database answers");
    let opened = writer.begin_epoch(Writer::now(), 2, "restored").await.expect("nobody else writes");
    assert_eq!((opened.head.epoch, opened.head.next_offset()), (2, 0));
    writer.release().await;
    // Events that the lanes decide again stand where the reactor believes to have been.
    recreate_topic(&install.bus, &install.bus.events(SERVICE), PARTITIONS.cast_signed()).await;
    let lanes = install.lanes().await;
    install.receive("A-1", 2).await;
    eventually("the log to grow beyond the mark", || async { (install.events(&stock("A-1")).await.len() >= 2).then_some(()) }).await;
    let process = install.process(vec![picky::<1>()]).await;
    install.settled("picky").await;
    assert!(install.count(&results).await >= before + 2, "one for each event of the epoch that began");
    process.stop().await;
    lanes.stop().await;
}
