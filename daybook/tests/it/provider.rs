//! A payment provider that does not take all, and no provider at all.

use daybook_testkit::eventually;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::Shop;

impl Shop {
    /// What `calls list` shows.
    fn open_calls(&self, args: &[&str]) -> Vec<Value> {
        let output = self.install.run(&[&["calls", "list", "--json"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
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
