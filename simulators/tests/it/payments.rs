//! Payments: keys, answers, books.

use serde_json::{Value, json};

use crate::support::{Simulator, Taker, options};

#[tokio::test]
async fn a_payment_goes_its_way_and_the_books_tell_it() {
    let provider = Simulator::payments(options(None, None)).await;
    let id = provider.create("o-1").await;
    let (status, confirmed) = provider.confirm(&id, "tok_ok").await.expect("an answer");
    assert_eq!((status, &confirmed["status"], &confirmed["authorised"]), (200, &json!("authorised"), &json!(1_000)));
    let at = |what: &str| format!("/v1/payments/{id}/{what}");
    provider.post(&at("capture"), "c-1", json!({ "amount": 600 })).await.expect("an answer");
    let (status, refused) = provider.post(&at("capture"), "c-2", json!({ "amount": 600 })).await.expect("an answer");
    assert_eq!((status, &refused["error"]["code"], &refused["object"]["captured"]), (402, &json!("amount-not-taken"), &json!(600)));
    provider.post(&at("refund"), "r-1", json!({ "amount": 100 })).await.expect("an answer");
    provider.post(&at("refund"), "r-1", json!({ "amount": 100 })).await.expect("an answer");
    provider.post(&at("cancel"), "x-1", Value::Null).await.expect("an answer");

    let (_, books) = provider.get("/books").await.expect("an answer");
    let payment = &books["payments"][0];
    for (what, amount) in [("authorised", 1_000), ("captured", 600), ("voided", 400), ("refunded", 100)] {
        assert_eq!(payment[what], amount, "{what}");
    }
    assert_eq!((&payment["order"], &payment["status"]), (&json!("o-1"), &json!("cancelled")));
    let keys: Vec<_> =
        payment["keys"].as_array().expect("keys").iter().map(|k| (k["key"].clone(), k["operation"].clone(), k["calls"].clone())).collect();
    assert!(keys.contains(&(json!("r-1"), json!("refund"), json!(2))), "{keys:?}");
    assert_eq!(keys.len(), 6);
    provider.stop().await;
}

#[tokio::test]
async fn a_key_remembers_its_answer_and_stands_for_one_request() {
    let provider = Simulator::payments(options(None, None)).await;
    let (id, other) = (provider.create("o-1").await, provider.create("o-2").await);
    assert_eq!(provider.create("o-1").await, id, "the same key");
    let declined = provider.confirm(&id, "tok_declined").await.expect("an answer");
    assert_eq!(
        (declined.0, &declined.1["error"]["code"], &declined.1["object"]["status"]),
        (402, &json!("card-declined"), &json!("declined"))
    );
    assert_eq!(provider.confirm(&id, "tok_declined").await.expect("an answer"), declined);
    let key = format!("confirm {id}");
    for (path, token) in [(&id, "tok_ok"), (&other, "tok_declined")] {
        let answer = provider.post(&format!("/v1/payments/{path}/confirm"), &key, json!({ "token": token })).await.expect("an answer");
        assert_eq!(answer.0, 422, "{answer:?}");
    }
    let (status, told) = provider.get(&format!("/v1/operations/{}", key.replace(' ', "%20"))).await.expect("an answer");
    assert_eq!((status, &told["status"], &told["operation"], &told["body"]), (200, &json!(402), &json!("confirm"), &declined.1));
    assert_eq!(provider.get("/v1/operations/never").await.expect("an answer").0, 404);
    assert_eq!(provider.post("/v1/payments/no/cancel", "x", Value::Null).await.expect("an answer").0, 404);
    assert_eq!(provider.get("/v1/operations/x").await.expect("an answer").0, 404, "what is wrong is not kept");
    provider.stop().await;
}

#[tokio::test]
async fn tokens_whose_answer_does_not_come_are_done_all_the_same() {
    let taker = Taker::refusing(0).await;
    let provider = Simulator::payments(options(Some(taker.to()), None)).await;
    for (token, answer) in [("tok_error_after_charge", Some(500)), ("tok_charged_then_timeout", None), ("tok_slow", None)] {
        let id = provider.create(token).await;
        assert_eq!(provider.confirm(&id, token).await.map(|(status, _)| status), answer, "{token}");
        let (_, told) = provider.get(&format!("/v1/operations/confirm%20{id}")).await.expect("an answer");
        assert_eq!((&told["status"], &told["body"]["authorised"]), (&json!(200), &json!(1_000)), "{token}");
        assert_eq!(provider.confirm(&id, token).await.expect("an answer").0, 200, "{token}");
    }
    provider.stop().await;
}

#[tokio::test]
async fn a_token_whose_captures_fail_is_authorised_and_nothing_can_be_taken_with_it() {
    let provider = Simulator::payments(options(None, None)).await;
    let id = provider.create("o-1").await;
    let (status, confirmed) = provider.confirm(&id, "tok_capture_fails").await.expect("an answer");
    assert_eq!((status, &confirmed["status"], &confirmed["authorised"]), (200, &json!("authorised"), &json!(1_000)));
    let capture = format!("/v1/payments/{id}/capture");
    for key in ["c-1", "c-2", "c-1"] {
        let (status, refused) = provider.post(&capture, key, json!({ "amount": 1_000 })).await.expect("an answer");
        assert_eq!((status, &refused["error"]["code"], &refused["object"]["captured"]), (402, &json!("capture-failed"), &json!(0)));
    }
    let (status, cancelled) = provider.post(&format!("/v1/payments/{id}/cancel"), "x-1", Value::Null).await.expect("an answer");
    assert_eq!((status, &cancelled["captured"], &cancelled["voided"]), (200, &json!(0), &json!(1_000)));
    provider.stop().await;
}

#[tokio::test]
async fn a_customer_acts_or_is_too_late() {
    let provider = Simulator::payments(options(None, None)).await;
    for (order, decline, end) in [("o-1", false, "authorised"), ("o-2", true, "declined")] {
        let id = provider.create(order).await;
        let (_, asked) = provider.confirm(&id, "tok_action").await.expect("an answer");
        assert_eq!(
            (&asked["status"], asked["actionUrl"].as_str()),
            (&json!("action_required"), Some(&*format!("{}/act/{id}", provider.url)))
        );
        let (_, acted) = provider.post(&format!("/act/{id}"), "", json!({ "decline": decline })).await.expect("an answer");
        assert_eq!(acted["status"], end);
    }
    let id = provider.create("o-3").await;
    provider.confirm(&id, "tok_action").await.expect("an answer");
    provider.post(&format!("/v1/payments/{id}/cancel"), "x", Value::Null).await.expect("an answer");
    assert_eq!(provider.post(&format!("/act/{id}"), "", json!({})).await.expect("an answer").0, 409);
    provider.stop().await;
}

#[tokio::test]
async fn faults_are_set_and_gone_again() {
    let provider = Simulator::payments(options(None, None)).await;
    let ask = async |n: usize| {
        let asked = json!({ "order": "o", "amount": 1, "currency": "EUR" });
        provider.post("/v1/payments", &format!("k-{n}"), asked).await.map(|(status, _)| status)
    };
    provider.faults(json!({ "down": true })).await;
    assert_eq!(ask(1).await, Some(503));
    provider.faults(json!({ "loseAnswers": 0.5, "seed": 3 })).await;
    let mut answers = Vec::new();
    for n in 2..42 {
        answers.push(ask(n).await);
    }
    let lost = answers.iter().filter(|answer| answer.is_none()).count();
    assert!((8..32).contains(&lost), "{answers:?}");
    provider.faults(json!({ "errorsAfter": true })).await;
    assert_eq!(ask(42).await, Some(500));
    provider.faults(json!({ "slowMs": 300 })).await;
    let begun = std::time::Instant::now();
    assert_eq!(ask(43).await, Some(200));
    assert!(begun.elapsed().as_millis() >= 300);
    provider.faults(json!({})).await;
    let (_, books) = provider.get("/books").await.expect("an answer");
    assert_eq!(books["payments"].as_array().expect("payments").len(), 42, "all but the one that found it down");
    provider.stop().await;
}

#[tokio::test]
async fn a_simulator_that_was_killed_goes_on_from_its_file() {
    let state = std::env::temp_dir().join(format!("payments-{}.jsonl", std::process::id()));
    let _ = std::fs::remove_file(&state);
    let provider = Simulator::payments(options(None, Some(state.clone()))).await;
    let id = provider.create("o-1").await;
    let confirmed = provider.confirm(&id, "tok_ok").await.expect("an answer");
    let (_, books) = provider.get("/books").await.expect("an answer");
    provider.stop().await;
    // Half a line, as who is killed leaves it.
    let mut bytes = std::fs::read(&state).expect("it is there");
    bytes.extend(b"{\"object\":{\"id\":\"pay");
    std::fs::write(&state, bytes).expect("it is ours");
    for _ in 0..2 {
        let again = Simulator::payments(options(None, Some(state.clone()))).await;
        assert_eq!(again.get("/books").await.expect("an answer").1["payments"][0]["captured"], books["payments"][0]["captured"]);
        assert_eq!(again.confirm(&id, "tok_ok").await.expect("an answer"), confirmed);
        again.stop().await;
    }
    let last = Simulator::payments(options(None, Some(state.clone()))).await;
    let (_, told) = last.get("/books").await.expect("an answer");
    let calls: Vec<_> = told["payments"][0]["keys"].as_array().expect("keys").iter().map(|k| k["calls"].clone()).collect();
    assert!(calls.contains(&json!(3)), "{calls:?}");
    last.stop().await;
    std::fs::remove_file(state).expect("it is ours");
}

#[tokio::test]
async fn payments_are_listed_the_newest_first_a_list_after_the_other() {
    let provider = Simulator::payments(options(None, None)).await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(provider.create(&format!("o-{n}")).await);
    }
    made.reverse();
    let (mut listed, mut after, mut lists) = (Vec::new(), String::new(), 0);
    loop {
        let (status, list) = provider.get(&format!("/v1/payments?limit=2{after}")).await.expect("an answer");
        assert_eq!(status, 200, "{list}");
        listed.extend(list["data"].as_array().expect("a list").iter().map(|payment| payment["id"].as_str().expect("an id").to_owned()));
        lists += 1;
        after = format!("&starting_after={}", listed.last().expect("some"));
        if list["hasMore"] == false {
            break;
        }
    }
    assert_eq!((listed, lists), (made, 3));
    let (_, by_default) = provider.get("/v1/payments").await.expect("an answer");
    assert_eq!((by_default["data"].as_array().map(Vec::len), &by_default["hasMore"]), (Some(5), &json!(false)));
    for (path, status) in [("?limit=0", 400), ("?limit=101", 400), ("?starting_after=no", 404)] {
        assert_eq!(provider.get(&format!("/v1/payments{path}")).await.map_or(0, |answer| answer.0), status, "{path}");
    }
    provider.stop().await;
}
