//! Going over to another generation, and what processes say of themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use daybook_bus::{BusConfig, PartitionReader, StartAt};
use daybook_proto::v1::{QueryPod, part_change::Content};
use daybook_testkit::eventually;
use prost::Message as _;
use serde_json::Value;
use shop_proto::read::v1::ProductPage;

use crate::support::{Api, Prepared, Push};

const URL: &str = "/v1/product-pages/A-1";

/// What stands on `query.pods` now, by key; none: a tombstone.
async fn pods(bus: &BusConfig) -> HashMap<String, Option<QueryPod>> {
    let mut reader = PartitionReader::open(bus, &bus.query_pods(), 0, StartAt::Earliest).await.expect("it is there");
    let end = reader.stable_end().await.expect("Kafka answers");
    let mut all = HashMap::new();
    while let Some(messages) = reader.recv_before(end, 1_000, usize::MAX).await {
        for message in messages {
            let key = String::from_utf8(message.key.expect("a key").to_vec()).expect("text");
            all.insert(key, message.value.map(|v| QueryPod::decode(v).expect("a pod")));
        }
    }
    all
}

async fn page(api: &Api) -> (u32, String) {
    let response = api.get(URL).send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    let page: Value = response.json().await.expect("JSON");
    let text = |name: &str| page[name].as_str().expect("text").to_owned();
    (text("title").parse().expect("a number"), text("description"))
}

/// Writes the page's title to a generation, moves its checkpoint and pushes both.
async fn commit(api: &Api, owner: &tokio_postgres::Client, generation: i32, title: i64) {
    let bytes = write(owner, generation, title).await;
    let mut push = Push::new("catalog", 1, title - 1, title);
    push.marker.generation = generation;
    api.push(push.with("A-1", "details", Content::Bytes(bytes))).await;
}

/// The same, and pushes nothing. The part's bytes.
async fn write(owner: &tokio_postgres::Client, generation: i32, title: i64) -> Vec<u8> {
    let page = ProductPage { sku: "A-1".into(), title: title.to_string(), description: format!("of {generation}"), ..Default::default() };
    let bytes = page.encode_to_vec();
    let sql = format!(
        "WITH p AS (INSERT INTO read.product_pages_{generation} (key, part, bytes, service, stream_id, partition, \"offset\") \
         VALUES ('A-1', 'details', $1, 'catalog', 'product/A-1', 1, $2) ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes) \
         UPDATE read.checkpoint SET next_offset = $2 WHERE projection = 'product-pages' AND generation = {generation} AND service = 'catalog' AND partition = 1"
    );
    owner.execute(&sql, &[&bytes, &title]).await.expect("the owner may");
    bytes
}

/// Makes the next generation, in which the page has this title, and waits until it answers.
async fn go_over(api: &Api, owner: &tokio_postgres::Client, generation: i32, title: i64) {
    let before = generation - 1;
    let of_it = format!(
        "INSERT INTO read.generation SELECT projection, {generation}, fingerprint, 'ready', 'product_pages_{generation}' FROM read.generation \
             WHERE projection = 'product-pages' AND generation = {before}; \
         CREATE TABLE read.product_pages_{generation} (LIKE read.product_pages_{before} INCLUDING ALL); \
         GRANT SELECT ON read.product_pages_{generation} TO daybook_query; \
         INSERT INTO read.checkpoint SELECT projection, {generation}, service, partition, next_offset, epoch FROM read.checkpoint \
             WHERE projection = 'product-pages' AND generation = {before}"
    );
    owner.batch_execute(&of_it).await.expect("the owner may");
    write(owner, generation, title).await;
    let switch = format!(
        "UPDATE read.generation SET state = 'kept' WHERE projection = 'product-pages' AND generation = {before}; \
         UPDATE read.generation SET state = 'live' WHERE projection = 'product-pages' AND generation = {generation}"
    );
    owner.batch_execute(&switch).await.expect("the owner may");
    let wanted = (u32::try_from(title).expect("small"), format!("of {generation}"));
    eventually(&format!("{wanted:?}"), || async { (page(api).await == wanted).then_some(()) }).await;
}

#[tokio::test]
async fn nobody_is_shown_what_is_older_when_another_generation_takes_over() {
    let api = Api::new().await;
    let owner = api.database.owner().await;
    commit(&api, &owner, 1, 1).await;
    eventually("the first", || async { (api.get(URL).send().await.expect("it answers").status() == 200).then_some(()) }).await;
    let second = "INSERT INTO read.generation SELECT projection, 2, fingerprint, 'ready', 'product_pages_2' FROM read.generation WHERE projection = 'product-pages'; \
                  CREATE TABLE read.product_pages_2 (LIKE read.product_pages_1 INCLUDING ALL); GRANT SELECT ON read.product_pages_2 TO daybook_query; \
                  INSERT INTO read.checkpoint SELECT projection, 2, service, partition, 0, 1 FROM read.checkpoint WHERE projection = 'product-pages'";
    owner.batch_execute(second).await.expect("the owner may");
    commit(&api, &owner, 2, 1).await;
    let over = AtomicBool::new(false);
    let reading = async {
        let mut last = 0;
        while !over.load(Ordering::SeqCst) {
            let (title, _) = page(&api).await;
            assert!(title >= last, "{title} after {last}");
            last = title;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let writing = async {
        for title in 2..=20 {
            commit(&api, &owner, 1, title).await;
        }
        eventually("the twentieth", || async { (page(&api).await.0 == 20).then_some(()) }).await;
        // It is far behind when it becomes the live one: the one before goes on answering, and goes on.
        let switch = "UPDATE read.generation SET state = 'kept' WHERE projection = 'product-pages' AND generation = 1; \
                      UPDATE read.generation SET state = 'live' WHERE projection = 'product-pages' AND generation = 2";
        owner.batch_execute(switch).await.expect("the owner may");
        for title in 21..=60 {
            commit(&api, &owner, 1, title).await;
            commit(&api, &owner, 2, title - 19).await;
        }
        assert_eq!(page(&api).await.1, "of 1");
        for title in 42..=60 {
            commit(&api, &owner, 2, title).await;
        }
        eventually("the second to answer", || async { (page(&api).await == (60, "of 2".to_owned())).then_some(()) }).await;
        commit(&api, &owner, 2, 61).await;
        eventually("it to go on", || async { (page(&api).await.0 == 61).then_some(()) }).await;
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(reading, writing);
    let said = eventually("it to say so", || async {
        let pods = pods(&api.bus).await;
        let said: Vec<i32> = pods.values().flatten().filter_map(|p| p.generations.get("product-pages").copied()).collect();
        (said == [2]).then_some(said)
    });
    said.await;
}

#[tokio::test]
async fn while_pushes_are_not_followed_no_generation_answers_from_memory_and_one_that_takes_over_later_does_at_once() {
    let api = Api::new().await;
    let owner = api.database.owner().await;
    commit(&api, &owner, 1, 1).await;
    eventually("the first", || async { (api.get(URL).send().await.expect("it answers").status() == 200).then_some(()) }).await;
    let topic = api.bus.read("product-pages");
    daybook_testkit::delete_topic(&api.bus, &topic).await;
    let told = || async { (!api.api.readiness().await.is_ready()).then_some(()) };
    eventually("it to say that pushes are not followed", told).await;
    write(&owner, 1, 2).await;
    assert_eq!(page(&api).await, (2, "of 1".to_owned()));
    go_over(&api, &owner, 2, 3).await;
    write(&owner, 2, 4).await;
    assert_eq!(page(&api).await, (4, "of 2".to_owned()), "it is not followed either");

    daybook_testkit::make_topic(&api.bus, &topic, 4).await;
    eventually("pushes to be followed", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    go_over(&api, &owner, 3, 5).await;
    assert!(api.api.readiness().await.is_whole(), "it answers from memory from the first");
}

#[tokio::test]
async fn a_generation_that_is_not_live_does_not_answer_however_far_it_is() {
    let api = Api::new().await;
    let owner = api.database.owner().await;
    commit(&api, &owner, 1, 1).await;
    eventually("the first", || async { (api.get(URL).send().await.expect("it answers").status() == 200).then_some(()) }).await;
    let second = "INSERT INTO read.generation SELECT projection, 2, fingerprint, 'ready', 'product_pages_2' FROM read.generation WHERE projection = 'product-pages'; \
                  CREATE TABLE read.product_pages_2 (LIKE read.product_pages_1 INCLUDING ALL); GRANT SELECT ON read.product_pages_2 TO daybook_query; \
                  INSERT INTO read.checkpoint SELECT projection, 2, service, partition, next_offset, 1 FROM read.checkpoint WHERE projection = 'product-pages'";
    owner.batch_execute(second).await.expect("the owner may");
    commit(&api, &owner, 2, 1).await;
    for _ in 0..30 {
        // Looks which one is live.
        api.api.readiness().await;
        assert_eq!(page(&api).await, (1, "of 1".to_owned()));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_starts_has_in_memory_what_those_before_were_asked_for() {
    let mut first = Api::new().await;
    first.put_page("A-1").await;
    for key in ["A-1", "A-1", "A-2"] {
        first.get(&format!("/v1/product-pages/{key}")).send().await.expect("it answers");
    }
    // It says so right after it has started, not before.
    eventually("it to say that it is there", || async { (pods(&first.bus).await.values().flatten().count() == 1).then_some(()) }).await;
    first.stop();
    first.api.stopped().await;
    let left = pods(&first.bus).await;
    assert!(left.iter().all(|(key, pod)| key.ends_with("/hot") == pod.is_some()), "a process that stops says so: {left:?}");

    let second = Api::begin(Prepared { database: first.database, bus: first.bus }, |_| {}).await;
    eventually("it to be ready", || async { second.api.readiness().await.is_whole().then_some(()) }).await;
    assert_eq!(second.api.loads(), 2);
    assert_eq!(second.get(URL).send().await.expect("it answers").status(), 200);
    assert_eq!(second.api.loads(), 2, "it was there");
}
