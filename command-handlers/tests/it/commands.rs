//! A client's view of a command that goes well, and of one that the domain refuses.

use serde_json::json;

use crate::support::{Answer, Install, key, price, product};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_with_its_events_version_and_token() {
    let (install, p) = Install::started().await;
    let created = install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    assert_eq!(created.body["service"], "catalog");
    assert_eq!(created.body["stream"], "product/A-1");
    assert_eq!(created.body["version"], 1);
    assert_eq!(created.body["events"], json!([{ "type": "shop.catalog.v1.ProductCreated", "offset": 0 }]));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let token = created.header("consistency-token").expect("a token");
    assert_eq!(created.body["token"], token);
    assert!(token.starts_with("catalog/") && token.ends_with(":0@1"), "{token}");
    assert_eq!(created.header("idempotent-replayed"), None);

    let repriced = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 1499)).await.expect(200);
    assert_eq!(repriced.body["version"], 2);
    let again = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 1499)).await.expect(200);
    assert_eq!((again.body["version"].clone(), again.body["events"].clone()), (json!(2), json!([])), "already done");
    assert_eq!(again.body["token"], repriced.body["token"]);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_409_with_the_numbers_that_explain_it() {
    let (install, p) = Install::started().await;
    let stock = |quantity: u32| json!({ "sku": "A-1", "warehouse": "w-1", "quantity": quantity });
    install.post(&p, "inventory/receive-stock", &key(), &stock(5)).await.expect(200);
    let mut reserve = stock(9);
    reserve["orderId"] = json!("o-1");
    let refused = install.post(&p, "inventory/reserve-stock", &key(), &reserve).await.expect(409);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.body["type"], "urn:daybook:refusal:insufficient-stock");
    assert_eq!((refused.body["available"].clone(), refused.body["requested"].clone()), (json!(5), json!(9)));
    assert!(refused.header("consistency-token").is_some());
    let exists = install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    assert_eq!(exists.body["version"], 1);
    let exists = install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(409);
    assert_eq!(exists.body["type"], "urn:daybook:refusal:product-exists");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_match_holds_or_is_412_and_that_is_a_result_too() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let reprice = |version: &'static str, k: String, amount: i64| {
        let request = install
            .client
            .post(format!("{}/v1/catalog/reprice-product", p.url))
            .header("Idempotency-Key", k)
            .header("If-Match", version)
            .json(&price("A-1", amount));
        async move { Answer::of(request.send().await.expect("answers")).await }
    };
    reprice("\"1\"", key(), 1).await.expect(200);
    let k = key();
    let failed = reprice("\"1\"", k.clone(), 2).await.expect(412);
    assert_eq!(failed.header("etag"), Some("\"2\""));
    // The stream could be brought to that version by others; the result stays what it was.
    let repeated = reprice("\"1\"", k, 2).await.expect(412);
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protobuf_and_json_are_one_command() {
    let (install, p) = Install::started().await;
    let command = shop_proto::catalog::v1::CreateProduct {
        sku: "A-1".into(),
        title: "A lamp".into(),
        brand: "Lux".into(),
        category: "lamps".into(),
        price: Some(shop_proto::common::v1::Money { currency: "EUR".into(), minor_units: 1999 }),
        attributes: [("colour".to_owned(), "red".to_owned()), ("height".to_owned(), "40 cm".to_owned())].into(),
        ..Default::default()
    };
    let k = key();
    let request = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("Content-Type", "application/x-protobuf")
        .body(prost::Message::encode_to_vec(&command));
    Answer::of(request.send().await.expect("answers")).await.expect(200);
    let json = install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    assert_eq!(json.header("idempotent-replayed"), Some("true"), "the same command, whichever form it came in");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_openapi_are_served_and_nothing_of_operations() {
    let (install, p) = Install::started().await;
    let get = async |path: &str| Answer::of(install.client.get(format!("{}/{path}", p.url)).send().await.expect("answers")).await;
    get("openapi.json").await.expect(200);
    assert_eq!(get("healthz").await.expect(200).body, json!({ "status": "alive" }));
    assert_eq!(get("readyz").await.expect(200).body, json!({ "status": "ready" }), "a status, and no more");
    get("metrics").await.expect(404);
    p.stop().await;
}
