//! What others tell by themselves: whoever is known by a signature is answered 2xx, and each notice is a command once.

use std::sync::Arc;

use axum::http::HeaderMap;
use daybook_bus::headers;
use daybook_command_handlers::{HandlerConfig, Notice, Webhook, WebhookRefusal};
use daybook_kernel::{Instant, ServiceMessage};
use daybook_proto::v1::Caller;
use daybook_testkit::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shop_proto::inventory::v1::{ReceiveStock, ReserveStock, StockCommand};

use crate::support::{Answer, Install, PARTITIONS, Process, key, partition_of, shop};

/// Goods that somebody tells us of: "signed" by a header, `{"id","quantity"}`, with `"reserve":true` a command that is refused.
fn deliveries() -> Webhook {
    let read = |headers: &HeaderMap, body: &[u8], _: Instant| {
        if headers.get("Seal").is_none_or(|seal| seal != "ours") {
            return Err(WebhookRefusal::Forged("the seal is not good".to_owned()));
        }
        let told: Value = serde_json::from_slice(body).map_err(|e| WebhookRefusal::Unaddressed(e.to_string()))?;
        let quantity = told["quantity"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        let (sku, warehouse) = (told["sku"].as_str().unwrap_or("A-1").to_owned(), "w-1".to_owned());
        let command: StockCommand = match told["reserve"] == true {
            true => ReserveStock { sku, warehouse, quantity, order_id: "o-1".into(), ..ReserveStock::default() }.into(),
            false => ReceiveStock { sku, warehouse, quantity, ..ReceiveStock::default() }.into(),
        };
        Ok(Notice { key: told["id"].as_str().unwrap_or_default().to_owned(), command: ServiceMessage::of(&command) })
    };
    Webhook { name: "deliveries", service: "inventory", read: Arc::new(read) }
}

async fn started() -> (Install, Process) {
    let install = Install::new().await;
    let config = HandlerConfig { webhooks: vec![deliveries()], ..HandlerConfig::default() };
    let process = install.process_of(shop(), config, &["catalog", "inventory"]).await;
    (install, process)
}

async fn tell(install: &Install, process: &Process, seal: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = install.client.post(format!("{}/v1/webhooks/deliveries", process.url)).header("Seal", seal).body(body);
    Answer::of(request.send().await.expect("an answer")).await
}

fn notice(more: Value) -> String {
    let mut body = json!({ "id": key(), "quantity": 5 });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_a_command_of_its_webhook_once_however_often_it_comes() {
    let (install, p) = started().await;
    let body = notice(json!({}));
    for _ in 0..3 {
        let taken = tell(&install, &p, "ours", body.clone()).await.expect(200);
        assert_eq!(taken.body, json!({ "status": "taken" }), "and nothing of ours");
    }
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 1);
    let messages = install.topic(&install.bus.messages("inventory"), partition_of("stock/A-1@w-1")).await;
    let callers: Vec<_> = messages
        .iter()
        .map(|message| message.headers.get_str(headers::CALLER).expect("text").and_then(Caller::of_header).map(|caller| caller.name()))
        .collect();
    assert_eq!(callers, vec![Some("WEBHOOK deliveries".to_owned()); 3]);
    // A client's command under the same key is another.
    let id = serde_json::from_str::<Value>(&body).expect("JSON")["id"].as_str().expect("a key").to_owned();
    let goods = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 5 });
    assert_eq!(install.post(&p, "inventory/receive-stock", &id, &goods).await.expect(200).header("idempotent-replayed"), None);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_known_is_answered_2xx_whatever_comes_of_it() {
    let (install, p) = started().await;
    // Refused by the domain: a result, and kept.
    let refused = notice(json!({ "reserve": true }));
    tell(&install, &p, "ours", refused.clone()).await.expect(200);
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 1);
    // The same id says something else.
    tell(&install, &p, "ours", refused.replace("true", "false")).await.expect(202);
    // About nothing of ours.
    let long = "k".repeat(256);
    for body in about_nothing(&long) {
        assert_eq!(tell(&install, &p, "ours", body).await.expect(202).body, json!({ "status": "passed over" }));
    }
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 1);
    p.stop().await;
}

/// Notices that are no commands.
fn about_nothing(long: &str) -> [String; 5] {
    [String::new(), "{".to_owned(), notice(json!({ "quantity": 0 })), notice(json!({ "sku": "no id" })), notice(json!({ "id": long }))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_nothing_is_kept_with_what_was_rejected_and_why() {
    let (install, p) = started().await;
    let told = about_nothing(&"k".repeat(256));
    for body in &told {
        tell(&install, &p, "ours", body.clone()).await.expect(202);
    }
    let count = "SELECT count(*) FROM inventory.rejected WHERE reason LIKE 'a notice of the webhook deliveries: _%'";
    eventually("each to have a row", || async { (install.count(count).await == 5).then_some(()) }).await;
    let kept = eventually("each to be kept", || async {
        Some(install.topic(&install.bus.rejected("inventory"), 0).await).filter(|kept| kept.len() == told.len())
    })
    .await;
    for (message, body) in kept.iter().zip(&told) {
        assert_eq!(message.value.as_deref(), Some(body.as_bytes()), "as it came");
        let reason = message.headers.get_str(headers::REJECTED_REASON).expect("text").expect("a reason");
        assert!(reason.starts_with("a notice of the webhook deliveries: "), "{reason}");
    }
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_signature_nothing_is_kept() {
    let (install, p) = started().await;
    let forged = tell(&install, &p, "theirs", notice(json!({}))).await.expect(401);
    assert_eq!(forged.header("content-type"), Some("application/problem+json"));
    assert_eq!(install.count("SELECT count(*) FROM inventory.page WHERE count > 0").await, 0);
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 0);
    // Nor is anything of one that is about nothing: no lane has heard of either.
    tell(&install, &p, "theirs", "{").await.expect(401);
    tell(&install, &p, "theirs", vec![b' '; (64 << 10) + 1]).await.expect(413);
    for partition in 0..i32::try_from(PARTITIONS).expect("few") {
        assert!(install.topic(&install.bus.messages("inventory"), partition).await.is_empty());
    }
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_has_http_s_rules_and_one_that_is_not_set_is_not_there() {
    let (install, p) = started().await;
    let url = format!("{}/v1/webhooks/deliveries", p.url);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = Answer::of(install.client.request(method, &url).send().await.expect("an answer")).await.expect(405);
        assert_eq!(answer.header("allow"), Some("OPTIONS, POST"));
    }
    assert_eq!(tell(&install, &p, "ours", vec![b' '; 64 << 10]).await.status, 202);
    assert_eq!(tell(&install, &p, "ours", vec![b' '; (64 << 10) + 1]).await.expect(413).body["limit"], 64 << 10);
    let other = install.client.post(format!("{}/v1/webhooks/other", p.url)).header("Idempotency-Key", key()).json(&json!({}));
    assert_eq!(other.send().await.expect("an answer").status(), StatusCode::NOT_FOUND);
    let document = Answer::of(install.client.get(format!("{}/openapi.json", p.url)).send().await.expect("an answer")).await;
    assert!(document.body["paths"]["/v1/webhooks/deliveries"]["post"].is_object());
    assert!(document.body["paths"]["/v1/webhooks/other"].is_null());
    p.stop().await;
}
