//! Bad input gets a clear error that names the field and the remedy.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Install, key, price, product};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named() {
    let (install, p) = Install::started().await;
    let send = |path: &str, body: Vec<u8>, with: Vec<(&'static str, String)>| {
        let mut request = install.client.post(format!("{}/v1/{path}", p.url)).header("Content-Type", "application/json").body(body);
        for (name, value) in with {
            request = request.header(name, value);
        }
        async move { Answer::of(request.send().await.expect("answers")).await }
    };
    let k = || vec![("Idempotency-Key", key())];
    let json = |v: Value| v.to_string().into_bytes();
    let field = |a: &Answer| a.body["errors"][0]["field"].as_str().unwrap_or_default().to_owned();

    let a = send("catalog/create-product", json(product("A-1")), vec![]).await.expect(400);
    assert_eq!(field(&a), "Idempotency-Key");
    let mut unknown = product("A-1");
    unknown["tittle"] = json!("x");
    assert_eq!(field(&send("catalog/create-product", json(unknown), k()).await.expect(400)), "tittle");
    assert_eq!(field(&send("catalog/create-product", json(product("A 1")), k()).await.expect(400)), "sku");
    assert_eq!(field(&send("catalog/reprice-product", json(price("A-1", -1)), k()).await.expect(400)), "price.minorUnits");
    let mut currency = price("A-1", 1);
    currency["price"]["currency"] = json!("XXX");
    assert_eq!(field(&send("catalog/reprice-product", json(currency), k()).await.expect(400)), "price.currency");
    send("catalog/reprice-product", json(price("A-1", 0)), k()).await.expect(409);
    for (path, body, at, part) in [
        ("inventory/receive-stock", r#"{"sku":"A-1","warehouse":"w","quantity":-2}"#, "quantity", "1 to 1000000000, is -2"),
        ("inventory/receive-stock", r#"{"sku":"A-1","warehouse":"w","quantity":4294967296}"#, "quantity", "is 4294967296"),
        ("inventory/receive-stock", r#"{"sku":"..","warehouse":"w","quantity":1}"#, "sku", "dots only"),
        ("inventory/receive-stock", r#"{"sku":"A-1","warehouse":".","quantity":1}"#, "warehouse", "dots only"),
        (
            "catalog/create-product",
            r#"{"sku":"A-1","title":"\u200b\u00a0","price":{"currency":"EUR","minorUnits":1}}"#,
            "title",
            "is required",
        ),
        ("catalog/categorize-product", r#"{"sku":"A-1","category":".."}"#, "category", "dots only"),
        ("catalog/revise-product", r#"{"sku":"A-1","setAttributes":{"a":"1","a":"2"}}"#, "setAttributes[\"a\"]", "given twice"),
        ("catalog/reprice-product", r#"{"sku":"A-1","sale":{"endsAt":"2026-11-29T24:00:00Z"}}"#, "sale.endsAt", "of the day after"),
        ("catalog/reprice-product", r#"{"sku":"A-1","price":{"minorUnits":"#, "price", "ends too early"),
    ] {
        let a = send(path, body.as_bytes().to_vec(), k()).await.expect(400);
        assert_eq!(field(&a), at, "{body}");
        assert!(a.body["errors"][0]["message"].as_str().is_some_and(|m| m.contains(part)), "{a:?}");
    }
    // All that is wrong is told at once.
    let a = send("catalog/reprice-product", br#"{"sku":7,"price":{"minorUnits":"x","unit":1},"sale":[]}"#.to_vec(), k()).await.expect(400);
    let fields: Vec<_> = a.body["errors"].as_array().into_iter().flatten().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!(fields, ["sku", "price.minorUnits", "price.unit", "sale"]);
    send("catalog/create-product", b"{".to_vec(), k()).await.expect(400);
    send("catalog/create-product", vec![0xff, 0xfe], k()).await.expect(400);

    let a = send("catalog/create-produkt", json(product("A-1")), k()).await.expect(404);
    assert_eq!(a.body["near"][0], "create-product");
    let a = send("catalogue/create-product", json(product("A-1")), k()).await.expect(404);
    assert_eq!(a.body["near"][0], "catalog");
    let get = install.client.get(format!("{}/v1/catalog/create-product", p.url)).send().await.expect("answers");
    assert_eq!(Answer::of(get).await.expect(405).header("content-type"), Some("application/problem+json"));
    let text = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", key())
        .body("x")
        .send()
        .await
        .expect("answers");
    Answer::of(text).await.expect(415);
    let mut if_match = k();
    if_match.push(("If-Match", "7".to_owned()));
    assert_eq!(field(&send("catalog/reprice-product", json(price("A-1", 1)), if_match).await.expect(400)), "If-Match");
    Answer::of(install.client.get(format!("{}/nowhere", p.url)).send().await.expect("answers")).await.expect(404);
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 0, "nothing of it reached the log");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_read_to_its_end_and_answered_413() {
    let (install, p) = Install::started().await;
    for size in [600 << 10, 5 << 20] {
        let mut body = product("A-1");
        body["description"] = json!("x".repeat(size));
        let request = install.client.post(format!("{}/v1/catalog/create-product", p.url)).header("Idempotency-Key", key()).json(&body);
        Answer::of(request.send().await.expect("the answer is seen, not a broken connection")).await.expect(413);
    }
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_in_is_408_and_its_place_is_free_again() {
    let install = Install::new().await;
    let config = daybook_command_handlers::HandlerConfig { max_in_flight: 2, ..Default::default() };
    let p = install.process_of(crate::support::shop(), config, &["catalog"]).await;
    let address = p.url.trim_start_matches("http://");
    let begun = std::time::Instant::now();
    let mut trickling = Vec::new();
    for coding in ["identity", "gzip"] {
        let (from, mut to) = TcpStream::connect(address).await.expect("it listens").into_split();
        let head = format!(
            "POST /v1/catalog/create-product HTTP/1.1\r\nHost: {address}\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n\
             Content-Encoding: {coding}\r\nContent-Length: 4096\r\n\r\n"
        );
        to.write_all(head.as_bytes()).await.expect("sent");
        // It never stands still for long.
        let trickle = tokio::spawn(async move {
            while to.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        trickling.push((from, trickle));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(429);
    for (mut from, trickle) in trickling {
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") && from.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {}
        let (answer, took) = (String::from_utf8_lossy(&answer), begun.elapsed());
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("repeat with the same key"), "{answer}");
        assert!((9..20).contains(&took.as_secs()), "{took:?}");
        trickle.abort();
    }
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_field_in_binary_is_refused_as_in_json() {
    let (install, p) = Install::started().await;
    let mut bytes = prost::Message::encode_to_vec(&shop_proto::catalog::v1::PublishProduct { sku: "A-1".into() });
    bytes.extend_from_slice(&[0xfa, 0x3f, 1, b'x']);
    let request = install
        .client
        .post(format!("{}/v1/catalog/publish-product", p.url))
        .header("Idempotency-Key", key())
        .header("Content-Type", "application/x-protobuf")
        .body(bytes);
    let answer = Answer::of(request.send().await.expect("answers")).await.expect(400);
    assert!(answer.body["errors"][0]["message"].as_str().is_some_and(|m| m.contains("1023")), "{answer:?}");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_commands_at_once_are_shed_before_kafka() {
    let install = Install::new().await;
    let config = daybook_command_handlers::HandlerConfig { max_in_flight: 0, ..Default::default() };
    let p = install.process_of(crate::support::shop(), config, &["catalog"]).await;
    let shed = install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(429);
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert!(install.topic(&install.bus.messages("catalog"), crate::support::partition_of("product/A-1")).await.is_empty());
    p.stop().await;
}
