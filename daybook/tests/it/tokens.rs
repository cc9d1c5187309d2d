//! Each test token of the payment simulator at a running shop: where its order ends, what the provider's books say, what lies on the shelf.

use daybook_testkit::eventually;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::Shop;

/// What comes of an order that is paid by a token.
#[derive(Clone, Copy, PartialEq)]
enum Comes {
    /// Its money is taken when its pieces leave.
    Taken,
    /// It is authorised, and can't be taken: the customer owes it.
    Owed,
    /// The provider declines it, with this code.
    Declined(&'static str),
}

/// All that the simulator knows, and one that it does not.
const TOKENS: [(&str, Comes); 12] = [
    ("tok_ok", Comes::Taken),
    ("tok_slow", Comes::Taken),
    ("tok_action", Comes::Taken),
    ("tok_charged_then_timeout", Comes::Taken),
    ("tok_error_after_charge", Comes::Taken),
    ("tok_webhook_twice", Comes::Taken),
    ("tok_webhook_late", Comes::Taken),
    ("tok_webhook_only", Comes::Taken),
    ("tok_webhook_forged", Comes::Taken),
    ("tok_capture_fails", Comes::Owed),
    ("tok_declined", Comes::Declined("card-declined")),
    ("tok_unknown", Comes::Declined("unknown-token")),
];

impl Shop {
    /// An order that is paid by this token comes to its end.
    async fn ends(&self, order: &str, token: &str, comes: Comes) {
        self.buy(order, 1, token).await;
        if token == "tok_action" {
            self.act(order).await;
        }
        if let Comes::Declined(code) = comes {
            let told = |page: &Value| page["timeline"].as_array().is_some_and(|all| all.iter().any(|m| m["what"] == "payment-declined"));
            let page = eventually(&format!("{order} to be declined"), || async { self.page("orders", order).await.filter(told) }).await;
            assert_eq!(page["status"], "ORDER_STATUS_AWAITING_PAYMENT", "other means may follow: {page}");
            let payment = self.page("payments", order).await.expect("it was declined");
            assert_eq!(payment["status"], "declined", "{payment}");
            assert_eq!(self.looked_at(order).await["code"], code, "{order}");
            self.done("order/cancel-order", &json!({ "orderId": order, "reason": "It can't be paid." })).await;
            self.order(order, "CANCELLED").await;
            return;
        }
        self.order(order, "CONFIRMED").await;
        assert_eq!(self.books(order).await, (1999, 0, 0, false), "{order}: nothing is taken before it leaves");
        self.packed(order, 1).await;
        self.dispatch(order, 1).await;
        self.delivered(order, 1).await;
        let page = self.order(order, "COMPLETED").await;
        if comes == Comes::Owed {
            let failed = |page: &Value| page["failures"].as_array().is_some_and(|all| !all.is_empty());
            let page = eventually("the order to owe it", || async { self.page("orders", order).await.filter(failed) }).await;
            let failure = &page["failures"][0];
            assert_eq!((&failure["what"], &failure["code"]), (&json!("capture"), &json!("capture-failed")), "{page}");
            let (amount, owed) = (&failure["amount"]["minorUnits"], &failure["owed"]["minorUnits"]);
            assert_eq!([amount, owed, &page["captured"]["minorUnits"]], ["1999", "1999", "0"], "{page}");
        } else {
            assert_eq!(page["captured"]["minorUnits"], "1999", "{page}");
        }
    }

    /// So often the payment was told something, by answers and by notices, each counted once.
    async fn heard(&self, order: &str) -> usize {
        self.events("payment", &format!("payment/{order}")).await.iter().filter(|event| *event == "ProviderHeard").count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_test_token_of_the_provider_brings_its_order_money_and_pieces_to_their_end() {
    let shop = Shop::open().await;
    let orders = TOKENS.map(|(token, comes)| (token.replace('_', "-"), token, comes));
    join_all(orders.iter().map(|(order, token, comes)| shop.ends(order, token, *comes))).await;
    for (order, token, comes) in &orders {
        // Making it and confirming it each have an answer and a notice; so has taking it, but a refusal has no notice.
        let asked = if *token == "tok_action" { 5 } else { 4 };
        let (heard, books) = match comes {
            Comes::Taken => (asked + 2, (1999, 1999, 0, false)),
            Comes::Owed => (asked + 1, (1999, 0, 0, false)),
            Comes::Declined(_) => (asked, (0, 0, 0, false)),
        };
        // One of the notices comes ten seconds late.
        eventually(&format!("{order} to hear all"), || async { (shop.heard(order).await >= heard).then_some(()) }).await;
        shop.quiet().await;
        assert_eq!((shop.heard(order).await, shop.books(order).await), (heard, books), "{order}");
        let payment = shop.looked_at(order).await;
        let mut keys: Vec<&str> = payment["keys"].as_array().expect("keys").iter().filter_map(|key| key["operation"].as_str()).collect();
        keys.sort_unstable();
        let asked: &[&str] = if matches!(comes, Comes::Declined(_)) { &["confirm", "create"] } else { &["capture", "confirm", "create"] };
        assert_eq!(keys, asked, "{order}: each was asked for under one key");
        let status = if matches!(comes, Comes::Declined(_)) { "CANCELLED" } else { "COMPLETED" };
        shop.order(order, status).await;
        let paid = shop.events("order", &format!("order/{order}")).await.iter().filter(|event| *event == "OrderPaid").count();
        assert_eq!(paid, usize::from(status == "COMPLETED"), "{order}");
    }
    let left: u64 = orders.iter().map(|(_, _, comes)| u64::from(!matches!(comes, Comes::Declined(_)))).sum();
    assert_eq!(shop.stock("A-1", "w-1").await, (100 - left, 0));
    let all = shop.provider_get("/books").await["payments"].as_array().map(Vec::len);
    assert_eq!(all, Some(orders.len()), "one payment an order");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_customer_has_paid_and_no_notice_comes_the_provider_is_asked_when_the_time_ends() {
    let shop = Shop::with(Captures::Many, &["payment=10s"]).await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    for order in ["o-1", "o-2"] {
        shop.buy(order, 1, "tok_action").await;
    }
    shop.act("o-1").await;
    // Nobody tells of it. The other customer does not act.
    shop.order("o-1", "CONFIRMED").await;
    let events = shop.events("payment", "payment/o-1").await;
    let at = |kind: &str| events.iter().position(|event| event == kind);
    assert!(at("PaymentTimedOut") < at("PaymentAuthorised") && at("PaymentTimedOut").is_some(), "{events:?}");
    assert_eq!(shop.order("o-2", "REJECTED").await["reason"], "not-paid");
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.books("o-2").await), ((1999, 0, 0, false), (0, 0, 0, false)));
    assert_eq!(shop.looked_at("o-2").await["status"], "cancelled", "nobody can pay it any more");
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 1));
    shop.install.verify().await;
}
