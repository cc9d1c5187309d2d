//! Any client may produce a service message: same headers, same result; what can't be read is rejected, and nothing stops.

use daybook_bus::headers;
use daybook_testkit::eventually;
use prost::Message as _;
use shop_proto::catalog::v1::{CreateProduct, PublishProduct};

use crate::support::{Install, key, message_headers, partition_of, product};

pub(crate) fn create(sku: &str) -> Vec<u8> {
    let price = Some(shop_proto::common::v1::Money { currency: "EUR".into(), minor_units: 1999 });
    let attributes = [("colour".to_owned(), "red".to_owned()), ("height".to_owned(), "40 cm".to_owned())].into();
    CreateProduct {
        sku: sku.into(),
        title: "A lamp".into(),
        brand: "Lux".into(),
        category: "lamps".into(),
        price,
        attributes,
        ..Default::default()
    }
    .encode_to_vec()
}

pub(crate) const CREATE: &str = "shop.catalog.v1.CreateProduct";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_on_kafka_and_one_on_http_share_a_key() {
    let (install, p) = Install::started().await;
    let k = key();
    install.produce("catalog", partition_of("product/A-1"), "product/A-1", message_headers(CREATE, &k), Some(create("A-1"))).await;
    let answer = install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), Some("true"));
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 1);
    // In quotes, with blanks around it, on either way in: it is the same key, and another one where the quotes hold a blank.
    let quoted = |k: &str| format!("\"{k}\"");
    for (on_kafka, over_http, same) in [
        (format!(" {k}\t"), quoted(&k), true),
        (quoted("a-\\\"1\\\" "), "a-\"1\" b".to_owned(), false),
        (quoted("b \\\"1\\\" c"), "b \"1\" c".to_owned(), true),
        (format!("  {}  ", quoted("ключ-2")), "ключ-2".to_owned(), true),
        (quoted(" d"), "d".to_owned(), false),
        ("E".to_owned(), quoted("e"), false),
        ("%66".to_owned(), "f".to_owned(), false),
    ] {
        let sku = format!("A-{}", key());
        let stream = format!("product/{sku}");
        install.produce("catalog", partition_of(&stream), &stream, message_headers(CREATE, &on_kafka), Some(create(&sku))).await;
        let answer = install.post(&p, "catalog/create-product", &over_http, &product(&sku)).await.expect(if same { 200 } else { 409 });
        assert_eq!(answer.header("idempotent-replayed").is_some(), same, "{on_kafka:?} and {over_http:?}");
    }
    p.stop().await;
}

/// Names that differ in blanks and in how they are composed are one, so the two messages are one command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_one_name_on_kafka_and_over_http_in_json_and_in_protobuf() {
    let (install, p) = Install::started().await;
    let k = key();
    let mut spaced = CreateProduct::decode(create("A-1").as_slice()).expect("encoded");
    spaced.brand = "\u{a0}Lux\u{200b} ".into();
    spaced.title = " Lampe\u{301}\n".into();
    spaced.attributes = [(" colour ".to_owned(), "red\t".to_owned())].into();
    let sent = spaced.encode_to_vec();
    install.produce("catalog", partition_of("product/A-1"), "product/A-1", message_headers(CREATE, &k), Some(sent.clone())).await;
    let mut body = product("A-1");
    (body["title"], body["brand"], body["attributes"]) = ("Lamp\u{e9}".into(), "Lux".into(), serde_json::json!({ "colour": "red" }));
    let answer = install.post(&p, "catalog/create-product", &k, &body).await.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), Some("true"), "what Kafka brought had the same names");
    let binary = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("Content-Type", "application/x-protobuf")
        .body(sent);
    let again = crate::support::Answer::of(binary.send().await.expect("answers")).await.expect(200);
    assert_eq!(again.body, answer.body);
    let at = partition_of("product/A-1");
    let message = eventually("the event", || async { install.topic(&install.bus.events("catalog"), at).await.into_iter().next() }).await;
    let event = shop_proto::catalog::v1::ProductCreated::decode(message.value.as_deref().expect("a value")).expect("protobuf");
    assert_eq!((event.title.as_str(), event.brand.as_str(), event.attributes["colour"].as_str()), ("Lamp\u{e9}", "Lux", "red"));
    // Two names that are one: nobody knows which was meant, so nothing is done.
    body["attributes"] = serde_json::json!({ "colour": "red", "colour\u{a0}": "blue" });
    let refused = install.post(&p, "catalog/create-product", &key(), &body).await.expect(400);
    assert_eq!(refused.body["errors"][0]["field"], "attributes[\"colour\"]");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_is_rejected_with_the_reason_and_the_rest_flows() {
    let (install, p) = Install::started().await;
    let at = partition_of("product/A-1");
    let other = (at + 1) % 3;
    let good = || message_headers(CREATE, "k");
    install.produce("catalog", at, "product/A-1", good(), None).await;
    install.produce("catalog", at, "product/A-1", good(), Some(vec![0xff, 0xff])).await;
    install.produce("catalog", at, "product/A-1", good(), Some(vec![])).await;
    install.produce("catalog", at, "product/A-2", good(), Some(create("A-1"))).await;
    install.produce("catalog", other, "product/A-1", good(), Some(create("A-1"))).await;
    install.produce("catalog", at, "product/A-1", message_headers("shop.inventory.v1.ReceiveStock", "k"), Some(vec![])).await;
    install.produce("catalog", at, "product/A-1", message_headers("no.such.Type", "k"), Some(vec![])).await;
    install.produce("catalog", at, "product/A-1", message_headers(CREATE, ""), Some(create("A-1"))).await;
    install
        .produce("catalog", at, "product/A-1", daybook_bus::Headers::new().with(headers::CE_TYPE, vec![0xff_u8]), Some(create("A-1")))
        .await;
    install.produce("catalog", at, "product/A-1", good().with(headers::MAC, "00"), Some(create("A-1"))).await;
    // Behind all of them stands a good one.
    let answer = install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    assert_eq!(answer.body["version"], 1);
    // At least once: a lane that begins again may reject a message again. The table has each once.
    eventually("every rejection", || async {
        let mut all = install.topic(&install.bus.rejected("catalog"), at).await;
        all.extend(install.topic(&install.bus.rejected("catalog"), other).await);
        let reasons = all.iter().filter(|m| m.headers.get_str(headers::REJECTED_REASON).ok().flatten().is_some_and(|r| !r.is_empty()));
        let places: std::collections::BTreeSet<_> =
            reasons.map(|m| m.headers.get_str(headers::REJECTED_FROM).ok().flatten().map(str::to_owned)).collect();
        (places.len() == 10).then_some(())
    })
    .await;
    assert_eq!(install.count("SELECT count(*) FROM catalog.rejected").await, 10);
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 1);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_may_occupy_anothers_command_id() {
    let (install, p) = Install::started().await;
    let k = key();
    let id = daybook_kernel::ids::command_id("catalog", "anonymous", "product/A-1", &k).to_string();
    // Without a MAC the engine's own headers mean nothing: the id is worked out from the key that was given.
    let forged = message_headers("shop.catalog.v1.PublishProduct", "mine").with(headers::COMMAND_ID, id).with(headers::CALLER, "somebody");
    install
        .produce("catalog", partition_of("product/A-1"), "product/A-1", forged, Some(PublishProduct { sku: "A-1".into() }.encode_to_vec()))
        .await;
    let answer = install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), None);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_on_kafka_says_what_it_is_and_where_it_stands() {
    let (install, p) = Install::started().await;
    let request = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", key())
        .header("Correlation-Id", "c-1")
        .header("Daybook-Actor", "alice")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .json(&product("A-1"));
    let answer = crate::support::Answer::of(request.send().await.expect("answers")).await.expect(200);
    let at = partition_of("product/A-1");
    let message = eventually("the event", || async { install.topic(&install.bus.events("catalog"), at).await.into_iter().next() }).await;
    let header = |name: &str| message.headers.get_str(name).expect("UTF-8").map(str::to_owned).unwrap_or_default();
    assert_eq!(message.key.as_deref(), Some("product/A-1".as_bytes()));
    assert_eq!(header("ce_type"), "shop.catalog.v1.ProductCreated");
    assert_eq!(header("ce_id"), answer.body["token"].as_str().expect("a token"));
    assert_eq!(
        (header("ce_specversion"), header("ce_source"), header("content-type")),
        ("1.0".into(), "/daybook/catalog".into(), "application/protobuf".into())
    );
    assert_eq!((header("daybook-offset"), header("daybook-version"), header("daybook-epoch")), ("0".into(), "1".into(), "1".into()));
    assert_eq!(header("daybook-command-id"), answer.body["commandId"].as_str().expect("an id"));
    assert_eq!((header("daybook-correlation-id"), header("traceparent").len()), ("c-1".into(), 55));
    let event = shop_proto::catalog::v1::ProductCreated::decode(message.value.as_deref().expect("a value")).expect("protobuf");
    assert_eq!(event.title, "A lamp");
    p.stop().await;
}
