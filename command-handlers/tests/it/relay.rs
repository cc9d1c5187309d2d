//! The relay: publishes missing events, refuses to run ahead of a log that was restored.

use daybook_bus::{ProducerOptions, Record, SharedProducer, headers};
use daybook_testkit::eventually;

use crate::support::{Install, key, partition_of, price, product};

async fn offsets(install: &Install, partition: i32) -> Vec<i64> {
    let events = install.topic(&install.bus.events("catalog"), partition).await;
    events.iter().map(|m| m.headers.get_parsed::<i64>(headers::OFFSET).expect("a number").expect("there")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_topic_that_was_wiped_is_filled_again_from_the_log() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    for amount in 1..20 {
        install.post(&p, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    let at = partition_of("product/A-1");
    eventually("all of it to be published", || async { (offsets(&install, at).await == (0..20).collect::<Vec<_>>()).then_some(()) }).await;
    p.stop().await;
    daybook_testkit::recreate_topic(&install.bus, &install.bus.events("catalog"), 3).await;
    let p = install.process().await;
    eventually("all of it again", || async { (offsets(&install, at).await == (0..20).collect::<Vec<_>>()).then_some(()) }).await;
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_topic_that_is_wiped_under_a_relay_is_filled_again_from_the_log() {
    let (install, p) = Install::started().await;
    let (topic, at) = (install.bus.events("catalog"), partition_of("product/A-1"));
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    for amount in 1..6 {
        install.post(&p, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    let holds = |n: i64| {
        let install = &install;
        eventually(
            "the whole log to be there",
            move || async move { (offsets(install, at).await == (0..n).collect::<Vec<_>>()).then_some(()) },
        )
    };
    holds(6).await;
    // The next events that it is given do not begin at the beginning: that is how it is told.
    daybook_testkit::recreate_topic(&install.bus, &topic, 3).await;
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 6)).await.expect(200);
    holds(7).await;
    // Nor must it wait until something happens.
    daybook_testkit::recreate_topic(&install.bus, &topic, 3).await;
    holds(7).await;
    p.stop().await;
    crate::invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_topic_that_lacks_its_beginning_is_filled_again_by_the_next_lane() {
    let (install, p) = Install::started().await;
    let (topic, at) = (install.bus.events("catalog"), partition_of("product/A-1"));
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 7)).await.expect(200);
    eventually("both to be published", || async { (offsets(&install, at).await == [0, 1]).then_some(()) }).await;
    p.stop().await;
    // As it is left by a process that published once more after the topic was wiped, and died before it saw that.
    let last = install.topic(&topic, at).await.pop().expect("there are two");
    daybook_testkit::recreate_topic(&install.bus, &topic, 3).await;
    let producer = SharedProducer::new(&install.bus, ProducerOptions::default()).expect("it starts");
    let record = Record { topic: last.topic, partition: at, key: last.key.expect("a stream"), headers: last.headers, value: last.value };
    producer.send(vec![record]).await.expect("it takes it");
    let p = install.process().await;
    eventually("both, in order", || async { (offsets(&install, at).await == [0, 1]).then_some(()) }).await;
    p.stop().await;
    crate::invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_topic_is_ahead_of_a_restored_log_does_not_start() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 7)).await.expect(200);
    let at = partition_of("product/A-1");
    eventually("both to be published", || async { (offsets(&install, at).await.len() == 2).then_some(()) }).await;
    p.stop().await;
    install.restore_to_before(at, 1).await;
    let count = format!("SELECT count(*) FROM catalog.page_{at}");
    let before = install.count(&count).await;
    let p = install.process().await;
    let request = install
        .client
        .post(format!("{}/v1/catalog/reprice-product", p.url))
        .header("Idempotency-Key", key())
        .header("Prefer", "wait=3")
        .json(&price("A-1", 9));
    assert_eq!(request.send().await.expect("answers").status(), 202, "taken, and decided by nobody");
    assert_eq!(install.count(&count).await, before, "not even an opening page");
    // The other partitions start.
    let other = (1..100).map(|i| format!("B-{i}")).find(|sku| partition_of(&format!("product/{sku}")) != at).expect("there is one");
    install.post(&p, "catalog/create-product", &key(), &product(&other)).await.expect(200);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_delivery_stops_publishing_and_it_goes_on_from_the_log() {
    let (install, p) = Install::started().await;
    let (topic, at) = (install.bus.events("catalog"), partition_of("product/A-1"));
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    eventually("the first event", || async { (offsets(&install, at).await == [0]).then_some(()) }).await;
    // The broker refuses every event from here on; commands are decided all the same, for the log is the truth.
    daybook_testkit::alter_topic(&install.bus, &topic, "max.message.bytes", "10").await;
    for amount in 1..=30 {
        install.post(&p, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    assert!(offsets(&install, at).await.len() < 31, "the broker refused some");
    daybook_testkit::alter_topic(&install.bus, &topic, "max.message.bytes", "4194304").await;
    // In the log's order, without a gap; a repeat would be no fault.
    eventually("the rest, in order", || async {
        let mut seen = offsets(&install, at).await;
        assert!(seen.windows(2).all(|w| w[1] <= w[0] + 1), "{seen:?}");
        seen.dedup();
        (seen.last() == Some(&30)).then_some(())
    })
    .await;
    p.stop().await;
    crate::invariants::hold(&install).await;
}
