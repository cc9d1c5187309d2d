//! Notices, and what goes wrong with them.

use serde_json::json;

use crate::support::{Simulator, Taker, body, is_signed, options};

async fn confirmed(provider: &Simulator, token: &str) -> String {
    let id = provider.create(&format!("o {token}")).await;
    provider.confirm(&id, token).await;
    id
}

#[tokio::test]
async fn a_notice_is_signed_and_sent_until_it_is_taken_as_the_same_one() {
    let taker = Taker::refusing(3).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    let id = confirmed(&provider, "tok_ok").await;
    let came = taker.until("both are taken", |all| all.iter().filter(|came| came.2).count() == 2).await;
    assert!(came.iter().all(is_signed));
    assert_eq!(came.len(), 5, "three were refused");
    let mut kinds = taker.kinds();
    kinds.sort();
    assert_eq!(kinds, ["payment.authorised", "payment.created"]);
    assert!(came.iter().all(|came| body(came)["data"]["id"] == *id));
    let mut ids: Vec<_> = came.iter().map(|came| body(came)["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
    provider.stop().await;
}

#[tokio::test]
async fn a_token_has_its_notice_doubled_or_forged_first() {
    let taker = Taker::refusing(0).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    let twice = confirmed(&provider, "tok_webhook_twice").await;
    let forged = confirmed(&provider, "tok_webhook_forged").await;
    let of = |all: &[crate::support::Came], id: &str| -> Vec<bool> {
        let of = all.iter().filter(|came| body(came)["type"] == "payment.authorised" && body(came)["data"]["id"] == *id);
        of.map(|came| came.2).collect()
    };
    taker.until("both", |all| of(all, &twice) == [true, true] && of(all, &forged) == [false, true]).await;
    provider.stop().await;
}

#[tokio::test]
async fn a_token_has_its_notice_late_and_its_answer_at_once() {
    let taker = Taker::refusing(0).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    let late = provider.create("o-late").await;
    assert_eq!(provider.confirm(&late, "tok_webhook_late").await.expect("an answer").1["status"], "authorised");
    // What is confirmed after it is told before it.
    let next = confirmed(&provider, "tok_ok").await;
    let authorised = |all: &[crate::support::Came]| -> Vec<String> {
        let of = all.iter().map(body).filter(|notice| notice["type"] == "payment.authorised");
        of.map(|notice| notice["data"]["id"].as_str().expect("an id").to_owned()).collect()
    };
    let came = taker.until("both", |all| authorised(all).len() == 2).await;
    assert_eq!(authorised(&came), [next, late]);
    provider.stop().await;
}

#[tokio::test]
async fn of_a_token_only_the_notice_tells_what_came_of_it() {
    let taker = Taker::refusing(2).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    let id = provider.create("o-1").await;
    let asked = async || provider.get(&format!("/v1/operations/confirm%20{id}")).await.expect("an answer").0;
    let (confirm, before) = tokio::join!(provider.confirm(&id, "tok_webhook_only"), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        asked().await
    });
    assert_eq!((confirm, before), (None, 503));
    taker.until("it is taken", |_| taker.kinds().contains(&"payment.authorised".to_owned())).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(asked().await, 200);
    provider.stop().await;
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_after_a_start() {
    let state = std::env::temp_dir().join(format!("notices-{}.jsonl", std::process::id()));
    let _ = std::fs::remove_file(&state);
    let nobody = Taker::refusing(usize::MAX).await;
    let provider = Simulator::payments(options(Some(nobody.to()), Some(state.clone()))).await;
    confirmed(&provider, "tok_ok").await;
    provider.stop().await;
    let taker = Taker::refusing(0).await;
    let again = Simulator::payments(options(Some(taker.to()), Some(state.clone()))).await;
    taker.until("both", |all| all.len() == 2).await;
    again.stop().await;
    let last = Simulator::payments(options(Some(taker.to()), Some(state.clone()))).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(taker.all().len(), 2, "taken is taken");
    last.stop().await;
    std::fs::remove_file(state).expect("it is ours");
}

#[tokio::test]
async fn notices_go_wrong_on_request() {
    let taker = Taker::refusing(0).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    provider.faults(json!({ "noNotices": true })).await;
    provider.create("o-1").await;
    provider.faults(json!({ "noticesLateMs": 400 })).await;
    provider.create("o-2").await;
    provider.faults(json!({ "noticesTwice": true, "noticesForged": 1.0 })).await;
    provider.create("o-3").await;
    let came = taker.until("o-2", |all| all.iter().any(|came| body(came)["data"]["order"] == "o-2")).await;
    let orders: Vec<_> = came.iter().map(|came| (body(came)["data"]["order"].as_str().expect("an order").to_owned(), came.2)).collect();
    assert_eq!(orders, [("o-3".into(), false), ("o-3".into(), true), ("o-3".into(), true), ("o-2".into(), true)]);
    provider.stop().await;
}
