//! Clients that write to `<service>.messages` in transactions of Kafka: an open one holds back all messages after it, from any sender; that
//! is told, and ends in the end.

use std::time::Duration;

use daybook_bus::Record;
use daybook_process::Readiness;
use daybook_testkit::{TransactionalClient, eventually};

use crate::deferred::{get, post_async, settled};
use crate::kafka::{CREATE, create};
use crate::support::{Answer, Install, Process, key, message_headers, partition_of};

/// Longer than any test takes: a transaction stays open until it is decided.
const LONG: Duration = Duration::from_secs(600);

/// A client's message that creates a product.
pub(crate) fn creates(install: &Install, sku: &str) -> Record {
    let stream = format!("product/{sku}");
    Record {
        topic: install.bus.messages("catalog").into(),
        partition: partition_of(&stream),
        key: stream.into(),
        headers: message_headers(CREATE, &format!("of-{sku}")),
        value: Some(create(sku).into()),
    }
}

/// So many products whose messages go to one partition, which is the first's.
fn neighbours(count: usize) -> Vec<String> {
    let at = partition_of("product/A-1");
    (1..).map(|n| format!("A-{n}")).filter(|sku| partition_of(&format!("product/{sku}")) == at).take(count).collect()
}

/// Posts a command that nobody waits for; its handle's location.
async fn deferred(install: &Install, p: &Process, sku: &str) -> String {
    let accepted = post_async(install, p, &key(), sku).await.expect(202);
    accepted.header("location").expect("a handle").to_owned()
}

async fn created(install: &Install) -> i64 {
    install.count("SELECT count(*) FROM catalog.event").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_behind_an_open_transaction_is_202_until_that_is_committed_and_takes_effect_once() {
    let (install, p) = Install::started().await;
    let skus = neighbours(2);
    let client = TransactionalClient::new(&install.bus, "shop-import", LONG).await;
    client.begin();
    client.send(creates(&install, &skus[0])).await;
    let location = deferred(&install, &p, &skus[1]).await;
    for _ in 0..20 {
        get(&install, &p, &location).await.expect(202);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(created(&install).await, 0, "nobody has seen what is not decided");
    client.commit().await.expect("committed");
    settled(&install, &p, &location).await.expect(200);
    assert_eq!(created(&install).await, 2, "the client's and ours, each once");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_messages_take_no_effect_and_those_behind_them_do() {
    let (install, p) = Install::started().await;
    let skus = neighbours(3);
    let client = TransactionalClient::new(&install.bus, "shop-import", LONG).await;
    client.begin();
    client.send(creates(&install, &skus[0])).await;
    let location = deferred(&install, &p, &skus[1]).await;
    client.abort().await;
    settled(&install, &p, &location).await.expect(200);
    assert_eq!(created(&install).await, 1, "ours alone");
    // An aborted one is the last thing in the topic: a handle of one that was decided says so, and a new one is decided.
    client.begin();
    client.send(creates(&install, &skus[0])).await;
    client.abort().await;
    get(&install, &p, &location).await.expect(200);
    let location = deferred(&install, &p, &skus[2]).await;
    settled(&install, &p, &location).await.expect(200);
    assert_eq!(created(&install).await, 2);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_open_across_a_restart_and_a_takeover_loses_and_doubles_nothing() {
    let (install, first) = Install::started().await;
    let skus = neighbours(5);
    let before = deferred(&install, &first, &skus[0]).await;
    settled(&install, &first, &before).await.expect(200);
    let client = TransactionalClient::new(&install.bus, "shop-import", LONG).await;
    client.begin();
    client.send(creates(&install, &skus[1])).await;
    let mut behind = vec![deferred(&install, &first, &skus[2]).await];
    first.stop().await;
    // The lane of another process begins while it is open, and one beside it takes over what is its share.
    let second = install.process().await;
    behind.push(deferred(&install, &second, &skus[3]).await);
    let third = install.process().await;
    behind.push(deferred(&install, &third, &skus[4]).await);
    for (p, location) in [&second, &third].into_iter().flat_map(|p| behind.iter().map(move |location| (p, location))) {
        get(&install, p, location).await.expect(202);
    }
    second.stop().await;
    client.commit().await.expect("committed");
    for location in &behind {
        settled(&install, &third, location).await.expect(200);
    }
    assert_eq!(created(&install).await, 5, "each once");
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_producer_s_messages_stay_unseen_and_its_successor_s_are_decided_once() {
    let (install, p) = Install::started().await;
    let skus = neighbours(3);
    let zombie = TransactionalClient::new(&install.bus, "shop-import", LONG).await;
    zombie.begin();
    zombie.send(creates(&install, &skus[0])).await;
    let location = deferred(&install, &p, &skus[1]).await;
    // Another under its id: the first one's open transaction is aborted, and it can't commit any more.
    let successor = TransactionalClient::new(&install.bus, "shop-import", LONG).await;
    zombie.commit().await.expect_err("it is fenced");
    settled(&install, &p, &location).await.expect(200);
    successor.begin();
    successor.send(creates(&install, &skus[2])).await;
    successor.commit().await.expect("committed");
    eventually("its message to be decided", || async { (created(&install).await == 2).then_some(()) }).await;
    p.stop().await;
}

/// The readiness of the process once it is told by this word.
async fn says(p: &Process, status: &str) -> Readiness {
    eventually(&format!("the process to be {status}"), || async {
        let said = p.handlers.probe().ask().await;
        (said.status() == status).then_some(said)
    })
    .await
}

/// A client that crashed: Kafka aborts for it in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_behind_a_transaction_that_is_left_open_is_named_and_goes_on_by_itself() {
    let (install, p) = Install::started().await;
    let skus = neighbours(2);
    // Kafka looks every ten seconds for those that are open for longer.
    let client = TransactionalClient::new(&install.bus, "shop-import", Duration::from_secs(15)).await;
    client.begin();
    client.send(creates(&install, &skus[0])).await;
    let location = deferred(&install, &p, &skus[1]).await;
    drop(client);
    let place = format!("catalog/{}", partition_of("product/A-1"));
    // Others may wait at the start, for Kafka's leaders.
    let said = eventually("this partition alone to be named", || async {
        let said = p.handlers.probe().ask().await;
        matches!(&said.degraded[..], [(named, _)] if *named == place).then_some(said)
    })
    .await;
    let why = &said.degraded[0].1;
    assert!(why.starts_with("waits since 20") && why.contains("open transaction of a Kafka client, at offset 0 of "), "{why}");
    assert!(said.is_ready(), "nobody is sent elsewhere: {said:?}");
    let told = Answer::of(install.client.get(format!("{}/readyz", p.url)).send().await.expect("answers")).await;
    assert_eq!(told.expect(200).body, serde_json::json!({ "status": "degraded" }), "clients are told no more");
    get(&install, &p, &location).await.expect(202);
    settled(&install, &p, &location).await.expect(200);
    says(&p, "ready").await;
    assert_eq!(created(&install).await, 1, "aborted messages stay unseen");
    p.stop().await;
}
