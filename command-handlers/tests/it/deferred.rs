//! Deferred results: a handle that any process answers.

use std::sync::Arc;

use daybook_bus::{GroupConsumer, GroupHandler, GroupOptions, Inbox, Inspector};
use daybook_command_handlers::HandlerConfig;
use daybook_kernel::Rule;
use daybook_testkit::eventually;
use serde_json::json;

use crate::support::{Answer, Install, Process, key, partition_of, product, shop};

pub(crate) async fn post_async(install: &Install, p: &Process, key: &str, sku: &str) -> Answer {
    let request = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", key)
        .header("Prefer", "respond-async")
        .json(&product(sku));
    Answer::of(request.send().await.expect("answers")).await
}

pub(crate) async fn get(install: &Install, p: &Process, location: &str) -> Answer {
    Answer::of(install.client.get(format!("{}{location}", p.url)).send().await.expect("answers")).await
}

pub(crate) async fn settled(install: &Install, p: &Process, location: &str) -> Answer {
    eventually("the command to be decided", || async {
        let answer = get(install, p, location).await;
        (answer.status != 202).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_is_answered_by_another_process_after_the_first_has_gone() {
    let (install, first) = Install::started().await;
    let k = key();
    let accepted = post_async(&install, &first, &k, "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    let second = install.process().await;
    first.stop().await;
    let answer = settled(&install, &second, &location).await.expect(200);
    assert_eq!(answer.body["stream"], "product/A-1");
    let posted = install.post(&second, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    assert_eq!(posted.body, answer.body, "the body that the POST would have had");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_refusal_has_the_status_that_the_post_would_have_had() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let accepted = post_async(&install, &p, &key(), "A-1").await.expect(202);
    let answer = settled(&install, &p, accepted.header("location").expect("a handle")).await.expect(409);
    assert_eq!(answer.body["type"], "urn:daybook:refusal:product-exists");
    p.stop().await;
}

/// Reactors send nothing here: none runs. What they would send is known all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_is_to_send_is_awaited_until_the_rule_has_passed_its_event() {
    let install = Install::new().await;
    let registry = shop().with_rules(shop_domain::reactors().into_iter().map(Rule::from));
    let p = install.process_of(registry, HandlerConfig::default(), &["catalog", "inventory"]).await;
    let received = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 1 });
    assert!(install.post(&p, "inventory/receive-stock", &key(), &received).await.expect(200).body.get("next").is_none());
    let (k, point) = (key(), json!({ "sku": "A-1", "warehouse": "w-1", "reorderPoint": 5 }));
    let answer = install.post(&p, "inventory/set-reorder-point", &k, &point).await.expect(200);
    let next = answer.body["next"].as_array().cloned().unwrap_or_default();
    assert_eq!(next.len(), 1, "{}", answer.body);
    assert_eq!((&next[0]["command"], &next[0]["stream"]), (&json!("shop.inventory.v1.OpenReorderProposal"), &json!("reorder/A-1@w-1")));
    assert_eq!(install.post(&p, "inventory/set-reorder-point", &k, &point).await.expect(200).body, answer.body, "a repeat, by the log");
    let location = next[0]["location"].as_str().expect("a path");
    get(&install, &p, location).await.expect(202);

    // A rule of another build has passed the event: it sent something else, or nothing.
    let crossed =
        answer.body["events"].as_array().expect("a list").iter().find(|event| event["type"] == "shop.inventory.v1.ReorderPointCrossed");
    let (offset, partition) = (crossed.expect("it is below")["offset"].as_i64().expect("a number"), partition_of("stock/A-1@w-1"));
    let mark = |settled: i64| {
        format!(
            "INSERT INTO inventory.reactor (name, partition, next_offset, settled, epoch) VALUES ('reorder', {partition}, {settled}, {settled}, 1)
             ON CONFLICT (name, partition) DO UPDATE SET next_offset = {settled}, settled = {settled}"
        )
    };
    let owner = install.database.owner().await;
    owner.batch_execute(&mark(offset)).await.expect("the owner may");
    get(&install, &p, location).await.expect(202);
    owner.batch_execute(&mark(offset + 1)).await.expect("the owner may");
    let gone = get(&install, &p, location).await.expect(410);
    assert!(gone.body["title"].as_str().is_some_and(|title| title.contains("has passed its event")), "{}", gone.body);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_waits_for_a_lane_and_its_handle_says_202_until_there_is_one() {
    let install = Install::new().await;
    // An endpoint without lanes: nobody decides.
    let endpoint = install.process_of(crate::support::shop(), Default::default(), &[]).await;
    let accepted = post_async(&install, &endpoint, &key(), "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    get(&install, &endpoint, &location).await.expect(202);
    let lanes = install.process().await;
    settled(&install, &endpoint, &location).await.expect(200);
    endpoint.stop().await;
    lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_handle_is_404() {
    let (install, p) = Install::started().await;
    for handle in ["x", "CgdjYXRhbG9n", "%F0%9F%92%A9"] {
        get(&install, &p, &format!("/v1/commands/{handle}")).await.expect(404);
    }
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_of_a_message_that_kafka_lost_is_410() {
    let install = Install::new().await;
    let endpoint = install.process_of(crate::support::shop(), Default::default(), &[]).await;
    let accepted = post_async(&install, &endpoint, &key(), "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    // As retention or a wiped broker does: the message goes before any lane has seen it. No lane will ever pass it.
    daybook_testkit::delete_records(&install.bus, &install.bus.messages("catalog"), partition_of("product/A-1")).await;
    let answer = settled(&install, &endpoint, &location).await.expect(410);
    assert!(answer.body["title"].as_str().is_some_and(|t| t.starts_with("Kafka has lost the message")), "{answer:?}");
    endpoint.stop().await;
}

/// Says that it has done all that it is given, and does nothing.
struct Skips;

impl GroupHandler for Skips {
    fn assigned(&mut self, partitions: Vec<Inbox>) {
        partitions.iter().for_each(|inbox| inbox.store(1));
    }

    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_of_a_message_that_was_passed_without_a_result_is_410() {
    let install = Install::new().await;
    let endpoint = install.process_of(crate::support::shop(), Default::default(), &[]).await;
    let accepted = post_async(&install, &endpoint, &key(), "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    get(&install, &endpoint, &location).await.expect(202);
    // As after a restore: the group is further than the log.
    let (group, topics) = (install.bus.group("catalog.lanes"), vec![install.bus.messages("catalog")]);
    let lanes = GroupConsumer::join(&install.bus, &group, topics, GroupOptions::default(), Skips).expect("joins");
    let answer = settled(&install, &endpoint, &location).await.expect(410);
    assert!(answer.body["title"].as_str().is_some_and(|t| t.starts_with("the lane has passed this command")), "{answer:?}");
    lanes.shutdown().await;
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_whose_message_is_the_next_one_says_202_and_what_is_decided_during_the_look_is_not_lost() {
    let (install, p) = Install::started().await;
    let (at, inspector) = (partition_of("product/A-1"), Inspector::new(&install.bus).expect("Kafka answers"));
    let (group, topic) = (install.bus.group("catalog.lanes"), install.bus.messages("catalog"));
    let committed = async || inspector.committed(&group, &topic, at).await.expect("Kafka answers");
    let owner = async || install.database.owner().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    eventually("its offset to be committed", || async { (committed().await == Some(1)).then_some(()) }).await;
    // The lane can't write, so that the next message stays the next one.
    let writing = owner().await;
    writing.batch_execute(&format!("BEGIN; LOCK TABLE catalog.page_{at} IN SHARE MODE")).await.expect("the owner may");
    let accepted = post_async(&install, &p, &key(), "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    get(&install, &p, &location).await.expect(202);
    // A look that has found nothing in the ledger is held up, and meanwhile the command is decided, and its offset committed.
    let looking = owner().await;
    looking.batch_execute("BEGIN; LOCK TABLE catalog.parked IN ACCESS EXCLUSIVE MODE").await.expect("the owner may");
    let look = async {
        let answer = get(&install, &p, &location).await;
        assert_eq!(answer.status, 202, "it was not there yet, and it is not lost: {answer:?}");
    };
    let meanwhile = async {
        let watching = owner().await;
        eventually("the look to be held up", || async {
            let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'catalog.parked'::regclass";
            (watching.query_one(waits, &[]).await.expect("readable").get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        writing.batch_execute("ROLLBACK").await.expect("it was held");
        eventually("its offset to be committed", || async { (committed().await == Some(2)).then_some(()) }).await;
        looking.batch_execute("ROLLBACK").await.expect("it was held");
    };
    tokio::join!(look, meanwhile);
    get(&install, &p, &location).await.expect(409);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_of_a_message_that_a_topic_made_again_does_not_have_is_410_also_where_the_next_one_would_get_its_offset() {
    let install = Install::new().await;
    let endpoint = install.process_of(crate::support::shop(), Default::default(), &[]).await;
    let accepted = post_async(&install, &endpoint, &key(), "A-1").await.expect(202);
    let location = accepted.header("location").expect("a handle").to_owned();
    get(&install, &endpoint, &location).await.expect(202);
    daybook_testkit::recreate_topic(&install.bus, &install.bus.messages("catalog"), 3).await;
    let gone = eventually("the endpoint to see the topic that was made again", || async {
        let answer = get(&install, &endpoint, &location).await;
        (answer.status == 410).then_some(answer)
    })
    .await;
    assert!(gone.body["title"].as_str().is_some_and(|t| t.contains("repeat the command with the same key")), "{gone:?}");
    endpoint.stop().await;
}
