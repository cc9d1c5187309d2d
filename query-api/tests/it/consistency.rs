//! A query that carries a token is answered from a state that has got there.

use std::sync::atomic::{AtomicUsize, Ordering};

use daybook_testkit::eventually;
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::json;

use crate::support::{Api, header, problem};

async fn ask(api: &Api, token: &str, wait: u32) -> Response {
    let request = api.get("/v1/product-pages/A-1").header("consistency-token", token).header("prefer", format!("wait={wait}"));
    request.send().await.expect("it answers")
}

#[tokio::test]
async fn a_token_that_is_reached_is_answered_at_once_and_the_answer_says_where_it_stands() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.move_to("catalog", 1, 18, 1).await;
    api.move_to("inventory", 2, 4, 1).await;
    for token in ["catalog/1:17@1", "catalog/1:17@1, inventory/2:3@1", "catalog/3:-1@1"] {
        let response = ask(&api, token, 0).await;
        assert_eq!(response.status(), 200, "{token}");
        assert_eq!(header(&response, "consistency-position"), "catalog/1:17@1, inventory/2:3@1");
    }
    // Without waiting it is looked at all the same, however old what is remembered.
    api.move_to("catalog", 1, 19, 1).await;
    assert_eq!(ask(&api, "catalog/1:18@1", 0).await.status(), 200);
}

#[tokio::test]
async fn a_token_waits_until_the_read_model_has_got_there() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.move_to("catalog", 1, 5, 1).await;
    // Many wait, for places and offsets of their own; none is answered before it is its turn.
    let answered = AtomicUsize::new(0);
    let waiting = join_all((0..40).map(|n| {
        let (api, answered) = (&api, &answered);
        async move {
            let status = ask(api, &format!("inventory/{}:0@1,catalog/1:{}@1", n % 4, 5 + n % 4), 30).await.status();
            answered.fetch_add(1, Ordering::SeqCst);
            status
        }
    }));
    let moving = async {
        eventually("all to wait", || async { (api.api.waits() == 80).then_some(()) }).await;
        for partition in 0..4 {
            api.move_to("inventory", partition, 1, 1).await;
        }
        eventually("half of it to be reached", || async { (api.api.waits() == 40).then_some(()) }).await;
        assert_eq!(answered.load(Ordering::SeqCst), 0);
        api.move_to("catalog", 1, 6, 1).await;
        eventually("the first to be answered", || async { (answered.load(Ordering::SeqCst) == 10).then_some(()) }).await;
        api.move_to("catalog", 1, 9, 1).await;
    };
    let (statuses, ()) = tokio::join!(waiting, moving);
    assert!(statuses.iter().all(|s| *s == 200), "{statuses:?}");
}

#[tokio::test]
async fn a_token_that_is_not_reached_in_time_says_where_it_stands() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.move_to("catalog", 1, 5, 1).await;
    let response = ask(&api, "catalog/1:5@1, inventory/0:-1@1, inventory/2:7@1", 0).await;
    assert_eq!(header(&response, "retry-after"), "1");
    let problem = problem(response, 503).await;
    assert_eq!(
        problem["positions"],
        json!([
            { "service": "catalog", "partition": 1, "epoch": 1, "wanted": 5, "at": 4 },
            { "service": "inventory", "partition": 2, "epoch": 1, "wanted": 7, "at": -1 },
        ])
    );
}

#[tokio::test]
async fn a_token_that_is_none_or_names_a_partition_that_does_not_exist_is_400() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    for bad in [
        "",
        "catalog",
        "catalog/1",
        "catalog/1:5",
        "catalog/1:5@0",
        "Catalog/1:5@1",
        "catalog/1:5@1; x",
        "catalog/4:5@1",
        "inventory/99:-1@1",
    ] {
        let problem = problem(ask(&api, bad, 0).await, 400).await;
        assert_eq!(problem["errors"][0]["field"], "Consistency-Token", "{bad}: {problem}");
    }
}

#[tokio::test]
async fn positions_that_a_read_model_does_not_read_are_checked_for_form_only() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    assert_eq!(ask(&api, "payment/99:1000@7", 0).await.status(), 200);
    problem(ask(&api, "payment/99:x@7", 0).await, 400).await;
}

#[tokio::test]
async fn a_token_of_another_epoch_is_409() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.move_to("catalog", 1, 5, 2).await;
    let old = problem(ask(&api, "catalog/1:3@1", 0).await, 409).await;
    assert_eq!((&old["epoch"], &old["token"]), (&json!(2), &json!("catalog/1:3@1")));
    problem(ask(&api, "catalog/1:3@3", 0).await, 409).await;
    assert_eq!(ask(&api, "catalog/1:3@2", 0).await.status(), 200);
    // An epoch that has begun, and that the projector has not seen yet, is waited for.
    let (status, ()) = tokio::join!(async { ask(&api, "catalog/1:3@3", 30).await.status() }, async {
        eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
        api.move_to("catalog", 1, 5, 3).await;
    });
    assert_eq!(status, 200);
    // One that is over before it was reached never will be.
    let (late, ()) = tokio::join!(ask(&api, "catalog/1:9@3", 30), async {
        eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
        api.move_to("catalog", 1, 20, 4).await;
    });
    problem(late, 409).await;
}

#[tokio::test]
async fn a_partition_that_a_read_model_comes_to_read_is_known_soon() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    problem(ask(&api, "catalog/4:2@1", 0).await, 400).await;
    let more = "INSERT INTO read.checkpoint SELECT projection, generation, 'catalog', 4, 3, 1 FROM read.generation WHERE projection = 'product-pages'";
    api.database.owner().await.batch_execute(more).await.expect("the owner may");
    eventually("it to be read", || async { (ask(&api, "catalog/4:2@1", 0).await.status() == 200).then_some(()) }).await;
}

#[tokio::test]
async fn the_wait_is_against_the_generation_that_answers() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.move_to("catalog", 1, 5, 1).await;
    assert_eq!(ask(&api, "catalog/1:4@1", 0).await.status(), 200);
    // Another generation is further, but is not the one that is served; then it is, and stands further back.
    let owner = api.database.owner().await;
    let further = "INSERT INTO read.generation SELECT projection, 2, fingerprint, 'building', 'product_pages_2' FROM read.generation WHERE projection = 'product-pages'; \
                   CREATE TABLE read.product_pages_2 (LIKE read.product_pages_1 INCLUDING ALL); GRANT SELECT ON read.product_pages_2 TO daybook_query; \
                   INSERT INTO read.product_pages_2 SELECT * FROM read.product_pages_1 WHERE part = 'details'; \
                   INSERT INTO read.checkpoint SELECT projection, 2, service, partition, 9, 1 FROM read.checkpoint WHERE projection = 'product-pages'";
    owner.batch_execute(further).await.expect("the owner may");
    problem(ask(&api, "catalog/1:5@1", 0).await, 503).await;
    let switch = "UPDATE read.generation SET state = 'retired' WHERE projection = 'product-pages' AND generation = 1; \
                  UPDATE read.generation SET state = 'live' WHERE projection = 'product-pages' AND generation = 2";
    owner.batch_execute(switch).await.expect("the owner may");
    let page = eventually("the new generation to answer", || async {
        let response = ask(&api, "catalog/1:8@1", 0).await;
        if response.status() == 200 { Some(response.json::<serde_json::Value>().await.expect("JSON")) } else { None }
    })
    .await;
    assert_eq!(page["stock"], json!([]), "it is the new one's parts that are served");
}
