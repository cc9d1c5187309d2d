//! The payment provider beside the books: what it has and they have not, what it does not take, and no provider at all.

use daybook_testkit::eventually;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::Shop;

impl Shop {
    /// Exit code and answer of `report payments --reconcile`, in which what has just changed is a difference too.
    fn reconciled(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = self.install.run(&[&["report", "payments", "--reconcile", "--under-way", "0"], args].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// What `calls list` shows.
    fn open_calls(&self, args: &[&str]) -> Vec<Value> {
        let output = self.install.run(&[&["calls", "list", "--json"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_and_provider_say_the_same_until_somebody_moves_money_behind_our_back() {
    let shop = Shop::open().await;
    // Taken; given up; waiting for its customer, which is under way.
    for (order, token) in [("o-1", "tok_ok"), ("o-2", "tok_ok"), ("o-3", "tok_action")] {
        shop.buy(order, 1, token).await;
    }
    for (order, status) in [("o-1", "CONFIRMED"), ("o-2", "CONFIRMED"), ("o-3", "ACTION_REQUIRED")] {
        shop.order(order, status).await;
    }
    shop.dispatch("o-1", 1).await;
    shop.order("o-1", "SHIPPED").await;
    shop.done("order/cancel-order", &json!({ "orderId": "o-2", "reason": "changed my mind" })).await;
    shop.order("o-2", "CANCELLED").await;
    eventually("the money to be taken", || async { (shop.books("o-1").await.1 == 1999).then_some(()) }).await;
    shop.quiet().await;
    let (code, answer, said) = shop.reconciled(&[]);
    assert_eq!((code, answer.as_str()), (Some(0), "3 payments of 3 orders compared: 0 differences, 0 under way\n"), "{said}");

    // The customer's bank takes money back, and an object stands there that nobody of ours has asked for.
    shop.provider_faults(&json!({ "noNotices": true })).await;
    let books = shop.provider_get("/v1/payments?limit=100").await;
    let all = books["data"].as_array().expect("a list").clone();
    let id = all.iter().find(|payment| payment["order"] == "o-1").expect("it is listed")["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.provider_post(&format!("/chargeback/{id}"), &json!({ "amount": 500 })).await, 200);
    assert_eq!(shop.provider_post("/v1/payments", &json!({ "order": "o-9", "amount": 7, "currency": "EUR" })).await, 200);
    let (code, answer, said) = shop.reconciled(&["--json"]);
    assert_eq!(code, Some(1), "{answer} {said}");
    let rows: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = rows.iter().map(|row| (&row["order"], &row["field"], &row["ours"], &row["theirs"], &row["kind"])).collect();
    let (none, zero, moved) = (Value::Null, json!(0), json!(500));
    assert_eq!(
        told,
        [
            (&json!("o-1"), &json!("disputed"), &zero, &moved, &json!("amount")),
            (&json!("o-1"), &json!("refunded"), &zero, &moved, &json!("amount")),
            (&json!("o-9"), &json!("payment"), &none, &none, &json!("only-theirs")),
        ]
    );
    assert_eq!(rows[1]["payment"], id.as_str());
    let (code, csv, _) = shop.reconciled(&["--csv"]);
    assert!(code == Some(1) && csv.starts_with("order,payment,field,currency,ours,theirs,kind\n") && csv.lines().count() == 4, "{csv}");
    // What has only just changed may be on its way.
    let output = shop.install.run(&["report", "payments", "--reconcile", "--under-way", "3600"]);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(0) && answer.contains("0 differences, 3 under way"), "{answer}");

    // Once we hear of it, the books have it too.
    let disputed = shop.provider_get(&format!("/v1/payments/{id}")).await;
    assert_eq!(shop.signed(&json!({ "id": "evt_late", "type": "payment.refunded", "data": disputed })).await, 200);
    let (code, answer, _) = shop.reconciled(&[]);
    assert!(code == Some(1) && answer.contains("4 payments of 4 orders compared: 1 differences"), "{answer}");

    shop.provider_faults(&json!({ "down": true })).await;
    let (code, answer, said) = shop.reconciled(&[]);
    assert!(code == Some(3) && answer.is_empty() && said.contains("does not list its payments"), "{answer} {said}");
    let nobody = shop.install.command(&["report", "payments", "--reconcile"]).env_remove("DAYBOOK_PAYMENT_URL").output().expect("it runs");
    assert!(nobody.status.code() == Some(2) && String::from_utf8_lossy(&nobody.stderr).contains("--payment-url"));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_costs_less_than_the_provider_takes_is_rejected_before_it_is_placed() {
    let shop = Shop::set_up(Captures::Many, &[], |variables| variables.push(("DAYBOOK_PAYMENT_CURRENCIES", "EUR=2000,USD=1".into()))).await;
    shop.buy("o-1", 1, "tok_ok").await;
    let order = shop.order("o-1", "REJECTED").await;
    assert_eq!((&order["reason"], &order["total"]["minorUnits"]), (&json!("payment-not-taken"), &json!("1999")), "{order}");
    assert_eq!((&order["paymentLimits"]["minimum"], &order["paymentLimits"]["taken"]), (&json!("2000"), &json!(true)), "{order}");
    shop.quiet().await;
    assert_eq!(shop.events("order", "order/o-1").await, ["OrderOpened", "OrderRejecting", "OrderRejected"]);
    assert_eq!(shop.events("cart", "cart/k-o-1").await.last().map(String::as_str), Some("CartReopened"));
    assert!(shop.provider_get("/v1/payments").await["data"].as_array().is_some_and(Vec::is_empty), "nobody was asked for money");
    shop.buy("o-2", 2, "tok_ok").await;
    shop.order("o-2", "CONFIRMED").await;
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_an_order_ends_when_its_time_to_pay_does_and_its_cart_is_open_again() {
    let without = |variables: &mut Vec<(&'static str, String)>| variables.retain(|(name, _)| *name != "DAYBOOK_PAYMENT_URL");
    let shop = Shop::set_up(Captures::Many, &["payment=8s"], without).await;
    shop.buy("o-1", 2, "tok_ok").await;
    let of_order = ["--service", "payment", "--stream", "payment/o-1"];
    let call = eventually("the call to be listed", || async { shop.open_calls(&of_order).pop() }).await;
    assert_eq!(
        (&call["rule"], &call["kind"], &call["target"]),
        (&json!("payment-provider"), &json!("effect"), &json!("payment payment/o-1"))
    );
    assert_eq!((&call["calls"], &call["calledUntil"], &call["outcome"]), (&json!(0), &Value::Null, &Value::Null), "{call}");
    assert!(shop.open_calls(&["--service", "catalog"]).is_empty() && shop.open_calls(&["--stream", "payment/o-2"]).is_empty());
    let order = shop.order("o-1", "REJECTED").await;
    assert_eq!(order["reason"], "not-paid");
    shop.quiet().await;
    assert!(shop.open_calls(&[]).is_empty());
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    assert_eq!(shop.events("cart", "cart/k-o-1").await.last().map(String::as_str), Some("CartReopened"));
    shop.install.verify().await;
}
