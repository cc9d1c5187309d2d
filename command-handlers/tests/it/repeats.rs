//! A command takes effect once, however often and wherever it is sent.

use serde_json::json;

use crate::support::{Answer, Install, key, price, product};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_original_result_and_says_so() {
    let (install, p) = Install::started().await;
    let (create, refuse) = (key(), key());
    let first = install.post(&p, "catalog/create-product", &create, &product("A-1")).await.expect(200);
    let refused = install.post(&p, "catalog/create-product", &refuse, &product("A-1")).await.expect(409);
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 5)).await.expect(200);
    let again = install.post(&p, "catalog/create-product", &create, &product("A-1")).await.expect(200);
    assert_eq!((again.body, again.headers.get("idempotent-replayed").is_some()), (first.body, true));
    let again = install.post(&p, "catalog/create-product", &refuse, &product("A-1")).await.expect(409);
    assert_eq!((again.body, again.headers.get("idempotent-replayed").is_some()), (refused.body, true), "a refusal is a result too");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_command_body_or_if_match_under_a_key_is_422() {
    let (install, p) = Install::started().await;
    let k = key();
    install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    let mut other = product("A-1");
    other["title"] = json!("Another lamp");
    install.post(&p, "catalog/create-product", &k, &other).await.expect(422);
    install.post(&p, "catalog/reprice-product", &k, &price("A-1", 5)).await.expect(422);
    let with_if_match = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("If-Match", "\"0\"")
        .json(&product("A-1"));
    Answer::of(with_if_match.send().await.expect("answers")).await.expect(422);
    // The same key for another stream is another key.
    install.post(&p, "catalog/create-product", &k, &product("A-2")).await.expect(200);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_with_another_trace_is_the_same_command() {
    let (install, p) = Install::started().await;
    let k = key();
    install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    let traced = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("Correlation-Id", "another")
        .json(&product("A-1"));
    let again = Answer::of(traced.send().await.expect("answers")).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_in_flight_at_once_take_effect_once_and_all_hear_the_same() {
    let (install, p) = Install::started().await;
    let k = key();
    let all = futures_util::future::join_all((0..50).map(|_| install.post(&p, "inventory/receive-stock", &k, &STOCK))).await;
    let mut bodies: Vec<String> = all.into_iter().map(|a| a.expect(200).body.to_string()).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 1);
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 1);
    p.stop().await;
}

static STOCK: std::sync::LazyLock<serde_json::Value> =
    std::sync::LazyLock::new(|| json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 5 }));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_that_memory_has_forgotten_is_found_in_the_ledger() {
    let install = Install::new().await;
    // Nothing is remembered: the second time shows as a conflict on the insert, or is looked up.
    let config = daybook_command_handlers::HandlerConfig { recent_results: 1, streams_in_memory: 1, ..Default::default() };
    let p = install.process_of(crate::support::shop(), config, &["catalog", "inventory"]).await;
    let keys: Vec<String> = (0..40).map(|_| key()).collect();
    let stock = |i: usize| json!({ "sku": format!("A-{}", i % 4), "warehouse": "w-1", "quantity": 1 });
    for round in 0..3 {
        let all = futures_util::future::join_all(keys.iter().enumerate().map(|(i, k)| {
            let body = stock(i);
            let (install, p) = (&install, &p);
            async move { install.post(p, "inventory/receive-stock", k, &body).await }
        }))
        .await;
        for answer in all {
            let answer = answer.expect(200);
            assert_eq!(answer.header("idempotent-replayed").is_some(), round > 0, "{answer:?}");
        }
    }
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 40);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_on_the_insert_undoes_the_page_and_decides_it_again_without_the_repeat() {
    let install = Install::new().await;
    let p = install.process().await;
    let k = key();
    install.post(&p, "inventory/receive-stock", &k, &STOCK).await.expect(200);
    // Over a thousand new commands: ids are not looked up any more; then memory of results is pushed out by more.
    let config = daybook_command_handlers::HandlerConfig { recent_results: 2, ..Default::default() };
    p.stop().await;
    let p = install.process_of(crate::support::shop(), config, &["inventory"]).await;
    for chunk in 0..6 {
        let all = (0..200).map(|i| {
            let body = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 1 });
            let (install, p) = (&install, &p);
            async move { (i, install.post(p, "inventory/receive-stock", &format!("new-{chunk}-{i}"), &body).await.expect(200)) }
        });
        futures_util::future::join_all(all).await;
    }
    let writers = "SELECT count(DISTINCT writer) FROM inventory.page";
    let before = install.count(writers).await;
    let new = key();
    let (repeat, fresh) =
        tokio::join!(install.post(&p, "inventory/receive-stock", &k, &STOCK), install.post(&p, "inventory/receive-stock", &new, &STOCK));
    assert_eq!(repeat.expect(200).header("idempotent-replayed"), Some("true"));
    fresh.expect(200);
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 1 + 1200 + 1);
    assert_eq!(install.count(writers).await, before, "decided again by the same lane, without taking the partition over");
    p.stop().await;
}
