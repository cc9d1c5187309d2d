//! The read side of the whole binary: what was done is found, listed and searched, as it is and as it was; and it is rebuilt
//! and promoted while it is read.

use std::process::{Command, Stdio};
use std::time::Duration;

use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::{Install, Process};

/// A published product with stock; the tokens of both results.
async fn put(install: &Install, up: &Process, sku: &str, title: &str) -> String {
    let product = json!({ "sku": sku, "title": title, "category": "Home > Lamps", "price": { "currency": "EUR", "minorUnits": 100 } });
    let (status, created) = install.post(&up.commands, "catalog/create-product", sku, &product).await.expect("answers");
    assert_eq!(status, 200, "{created}");
    let stock = json!({ "sku": sku, "warehouse": "w-1", "quantity": 5 });
    let (status, received) = install.post(&up.commands, "inventory/receive-stock", sku, &stock).await.expect("answers");
    assert_eq!(status, 200, "{received}");
    format!("{}, {}", created["token"].as_str().expect("a token"), received["token"].as_str().expect("a token"))
}

async fn reprice(install: &Install, up: &Process, sku: &str, price: u64) -> String {
    let body = json!({ "sku": sku, "price": { "currency": "EUR", "minorUnits": price } });
    let (status, result) = install.post(&up.commands, "catalog/reprice-product", &format!("{sku}-{price}"), &body).await.expect("answers");
    assert_eq!(status, 200, "{result}");
    result["token"].as_str().expect("a token").to_owned()
}

async fn get(install: &Install, up: &Process, path: &str, token: &str) -> (u16, Value) {
    let request = install.client.get(format!("{}/v1/{path}", up.queries)).header("Prefer", "wait=30");
    let request = if token.is_empty() { request } else { request.header("Consistency-Token", token) };
    let response = request.send().await.expect("the query API answers");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_listed_searched_and_shown_as_it_is_and_as_it_was() {
    let install = Install::new().await;
    let up = install.start(&["up", "--commands-listen", "127.0.0.1:0", "--queries-listen", "127.0.0.1:0", "--as-of"]).await;
    let created = put(&install, &up, "L-1", "Reading lamp").await;
    let other = put(&install, &up, "L-2", "Desk lamp").await;
    let repriced = reprice(&install, &up, "L-1", 250).await;

    let (_, page) = get(&install, &up, "product-pages/L-1", &repriced).await;
    assert_eq!(page["price"]["minorUnits"], "250");
    // Tokens of several services.
    let (_, list) = get(&install, &up, "category-listings/Home", &format!("{created}, {other}, {repriced}")).await;
    let listed: Vec<(&str, &str, u64)> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|i| {
            (
                i["sku"].as_str().unwrap_or_default(),
                i["price"]["minorUnits"].as_str().unwrap_or_default(),
                i["stock"][0]["onHand"].as_u64().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(listed, [("L-2", "100", 5), ("L-1", "250", 5)], "{list}");
    let (status, found) = get(&install, &up, "products/search?q=reading%20lamp&facets=category", &format!("{created}, {repriced}")).await;
    assert_eq!((status, &found["items"][0]["sku"], &found["items"][0]["inStock"]), (200, &json!("L-1"), &json!(true)), "{found}");
    let (_, level) = get(&install, &up, "stock-levels/L-1@w-1", &created).await;
    assert_eq!(level["onHand"], 5);

    let first = created.split(',').next().expect("the product's");
    let (status, was) = get(&install, &up, &format!("product-pages/L-1?at={}", first.replace('@', "%40").replace('/', "%2F")), "").await;
    assert_eq!((status, &was["price"]["minorUnits"]), (200, &json!("100")), "{was}");
    let (status, _) = get(&install, &up, "product-pages/L-1?at=2001-01-01T00:00:00Z", "").await;
    assert_eq!(status, 404);
    let (status, problem) = get(&install, &up, "product-pages/L-1?at=yesterday", "").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("at")));
    let told = install.run(&["replay", "as-of", "product-pages", "L-1", "--token", first, "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["model"]["price"]["minorUnits"], "100", "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_is_rebuilt_promoted_and_switched_back_while_it_is_read() {
    let install = Install::new().await;
    let up = install.up().await;
    put(&install, &up, "L-1", "Reading lamp").await;
    let say = |args: &[&str]| {
        let output = install.run(args);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    };
    for (round, args) in [
        &["replay", "diff", "product-pages"][..],
        &["replay", "rebuild", "product-pages", "--promote"],
        &["replay", "promote", "product-pages", "--generation", "1"],
    ]
    .into_iter()
    .enumerate()
    {
        let (code, told) = say(args);
        assert_eq!(code, Some(0), "{args:?}: {told}");
        let price = 1_000 + u64::try_from(round).expect("small");
        let token = reprice(&install, &up, "L-1", price).await;
        let (status, page) = get(&install, &up, "product-pages/L-1", &token).await;
        assert_eq!((status, &page["price"]["minorUnits"]), (200, &json!(price.to_string())), "{args:?}");
    }
    // The diff's own was the second, and left nothing behind but its number.
    let states = "SELECT count(*) FROM read.generation WHERE projection = 'product-pages' \
                  AND (generation, state) IN ((1, 'live'), (2, 'retired'), (3, 'kept'))";
    assert_eq!(install.count(states).await, 3);
    assert_eq!(install.count("SELECT count(*) FROM pg_class WHERE relname ~ '^product_pages_2'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rebuild_leaves_nothing_behind() {
    let install = Install::new().await;
    let up = install.up().await;
    for n in 0..20 {
        put(&install, &up, &format!("L-{n}"), "Reading lamp").await;
    }
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'product_pages_2'";
    let mut rebuild = Command::new(env!("CARGO_BIN_EXE_daybook"))
        .args(["replay", "rebuild", "product-pages", "--rate", "1"])
        .env("DAYBOOK_DATABASE_URL", &install.database.url)
        .env("DAYBOOK_KAFKA", &install.bus.brokers)
        .env("DAYBOOK_KAFKA_PREFIX", &install.bus.prefix)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    eventually("the rebuild to have begun", || async { (install.count(tables).await == 1).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sent = Command::new("kill").args(["-INT", &rebuild.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let code = rebuild.wait().expect("it ends").code();
    assert_ne!(code, Some(0));
    assert_eq!(install.count(tables).await, 0, "ended with {code:?}");
    assert_eq!(install.count("SELECT count(*) FROM read.generation WHERE state = 'building'").await, 0);
}
