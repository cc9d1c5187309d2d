//! From the confirmed order to the doorstep and back, with the money of each piece.

use daybook_testkit::eventually;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::Shop;

fn lines(quantity: u32) -> Value {
    json!([{ "sku": "A-1", "quantity": quantity }])
}

impl Shop {
    /// An order of two lamps that lie in two warehouses.
    async fn in_two_shipments(&self) {
        self.done("inventory/open-warehouse", &json!({ "warehouse": "w-2", "priority": 2, "countries": ["DE"] })).await;
        self.done("inventory/adjust-stock", &json!({ "sku": "A-1", "warehouse": "w-1", "delta": -99, "reason": "One is left." })).await;
        self.receive("A-1", "w-2", 1).await;
        eventually("both to be listed", || async {
            self.page("warehouses", "DE").await.filter(|list| list["items"].as_array().is_some_and(|all| all.len() == 2))
        })
        .await;
        self.buy("o-1", 2, "tok_ok").await;
        let order = self.order("o-1", "CONFIRMED").await;
        let of: Vec<&Value> = order["shipments"].as_array().expect("a list").iter().map(|shipment| &shipment["warehouse"]).collect();
        assert_eq!(of, ["w-1", "w-2"], "{order}");
        for number in [1, 2] {
            self.packed("o-1", number).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_goes_to_the_doorstep_and_is_completed() {
    let shop = Shop::open().await;
    shop.buy("o-1", 2, "tok_ok").await;
    let order = shop.order("o-1", "CONFIRMED").await;
    assert_eq!(order["shipments"][0]["lines"], lines(2));
    assert_eq!(shop.events("cart", "cart/k-o-1").await.last().map(String::as_str), Some("CartClosed"));
    let label = |page: &Value| page["shipments"][0]["tracking"].as_str().is_some_and(|tracking| !tracking.is_empty());
    let labelled = eventually("the label", || async { shop.page("orders", "o-1").await.filter(label) }).await;
    shop.dispatch("o-1", 1).await;
    shop.order("o-1", "SHIPPED").await;
    shop.captured("o-1", 3998).await;
    // The carrier brings it, and says so.
    let tracking = labelled["shipments"][0]["tracking"].as_str().expect("a number");
    assert_eq!(shop.carrier_post(&format!("/parcels/{tracking}/deliver")).await, 200);
    let done = shop.order("o-1", "COMPLETED").await;
    assert_eq!((&done["captured"]["minorUnits"], &done["refunded"]["minorUnits"]), (&json!("3998"), &json!("0")));
    shop.quiet().await;
    assert_eq!(shop.stock("A-1", "w-1").await, (98, 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_are_sent_the_third_is_cancelled_and_one_comes_back() {
    let shop = Shop::open().await;
    shop.buy("o-1", 3, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    shop.packed("o-1", 1).await;
    shop.done("order/cancel-lines", &json!({ "orderId": "o-1", "lines": lines(1), "reason": "One too many." })).await;
    let fewer = |page: &Value| page["lines"][0]["cancelled"] == 1;
    eventually("the third to be cancelled", || async { shop.page("orders", "o-1").await.filter(fewer) }).await;
    shop.dispatch("o-1", 1).await;
    shop.captured("o-1", 2 * 1999).await;
    shop.delivered("o-1", 1).await;
    shop.order("o-1", "COMPLETED").await;
    // What was authorised for the third is let go; what was taken may be given back all the same.
    eventually("the rest to be let go", || async { shop.books("o-1").await.3.then_some(()) }).await;
    shop.done("order/request-return", &json!({ "orderId": "o-1", "lines": lines(1), "reason": "Too bright." })).await;
    let back = json!({ "orderId": "o-1", "lines": lines(1), "condition": "RESALABLE" });
    shop.done("order/receive-return", &back).await;
    let given_back = |page: &Value| page["refunded"]["minorUnits"] == "1999";
    let order = eventually("its money to be given back", || async { shop.page("orders", "o-1").await.filter(given_back) }).await;
    let line = &order["lines"][0];
    assert_eq!([&line["shipped"], &line["cancelled"], &line["returned"]], [&json!(2), &json!(1), &json!(1)]);
    shop.quiet().await;
    assert_eq!(shop.books("o-1").await, (3 * 1999, 2 * 1999, 1999, true));
    assert_eq!(shop.stock("A-1", "w-1").await, (99, 0), "two have left, one is back");
    let (code, _) = shop.refused("order/receive-return", &json!({ "orderId": "o-1", "lines": lines(2), "condition": "DAMAGED" })).await;
    assert_eq!(code, "unknown-line");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_captures_once_only_takes_all_with_the_first_of_two_shipments() {
    let shop = Shop::with(Captures::Once, &[]).await;
    shop.in_two_shipments().await;
    shop.dispatch("o-1", 1).await;
    shop.captured("o-1", 3998).await;
    // The second is cancelled now: what was taken for it is given back.
    shop.done("order/cancel-lines", &json!({ "orderId": "o-1", "lines": lines(1), "reason": "" })).await;
    eventually("its money to be given back", || async { (shop.books("o-1").await.2 == 1999).then_some(()) }).await;
    shop.delivered("o-1", 1).await;
    let order = shop.order("o-1", "COMPLETED").await;
    assert_eq!((&order["captured"]["minorUnits"], &order["refunded"]["minorUnits"]), (&json!("3998"), &json!("1999")));
    shop.quiet().await;
    assert_eq!((shop.stock("A-1", "w-1").await, shop.stock("A-1", "w-2").await), ((0, 0), (1, 0)));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_is_lost_after_its_money_was_taken_is_paid_back() {
    let shop = Shop::open().await;
    shop.in_two_shipments().await;
    for number in [1, 2] {
        shop.dispatch("o-1", number).await;
    }
    shop.captured("o-1", 3998).await;
    shop.done("shipping/record-lost", &json!({ "orderId": "o-1", "number": 1 })).await;
    shop.delivered("o-1", 2).await;
    let order = shop.order("o-1", "COMPLETED").await;
    assert_eq!((&order["lines"][0]["lost"], &order["refunded"]["minorUnits"]), (&json!(1), &json!("1999")));
    shop.quiet().await;
    assert_eq!(shop.books("o-1").await, (3998, 3998, 1999, false));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_cancelled_before_it_leaves_is_undone_and_one_that_has_left_is_not() {
    let shop = Shop::open().await;
    for order in ["o-1", "o-2"] {
        shop.buy(order, 1, "tok_ok").await;
        shop.order(order, "CONFIRMED").await;
        shop.packed(order, 1).await;
    }
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "changed my mind" })).await;
    shop.order("o-1", "CANCELLED").await;
    let (code, _) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 1 })).await;
    assert_eq!(code, "cancelled");
    shop.dispatch("o-2", 1).await;
    shop.order("o-2", "SHIPPED").await;
    let (code, _) = shop.refused("order/cancel-order", &json!({ "orderId": "o-2", "reason": "changed my mind" })).await;
    assert_eq!(code, "not-cancellable");
    shop.quiet().await;
    let (authorised, captured, _, voided) = shop.books("o-1").await;
    assert_eq!((authorised, captured, voided), (1999, 0, true));
    assert_eq!(shop.stock("A-1", "w-1").await, (99, 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_order_does_not_leave_until_the_hold_is_over() {
    let shop = Shop::open().await;
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    shop.packed("o-1", 1).await;
    shop.done("order/hold-order", &json!({ "orderId": "o-1", "reason": "A dispute." })).await;
    let held = |page: &Value| page["held"] == true;
    eventually("the shipment to be held", || async { shop.page("shipments", "o-1@1").await.filter(held) }).await;
    let (code, problem) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 1 })).await;
    assert_eq!((code.as_str(), &problem["reason"]), ("held", &json!("staff")));
    shop.done("order/end-order-hold", &json!({ "orderId": "o-1" })).await;
    eventually("the hold to be over", || async { shop.page("shipments", "o-1@1").await.filter(|page| !held(page)) }).await;
    shop.dispatch("o-1", 1).await;
    shop.order("o-1", "SHIPPED").await;
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_authorisation_ends_before_dispatch_is_held() {
    // The simulator's authorisations end after seven days: now, as this shop sees it.
    let shop = Shop::with(Captures::Many, &["authorisation=7d"]).await;
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    shop.packed("o-1", 1).await;
    let held = |page: &Value| page["held"] == true;
    eventually("the shipment to be held", || async { shop.page("shipments", "o-1@1").await.filter(held) }).await;
    let (code, problem) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 1 })).await;
    assert_eq!((code.as_str(), &problem["reason"]), ("held", &json!("authorisation-ends")));
    shop.quiet().await;
    assert_eq!(shop.books("o-1").await, (1999, 0, 0, false));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_is_taken_back_by_the_bank_holds_what_has_not_left_until_staff_lets_it_go() {
    let shop = Shop::open().await;
    shop.in_two_shipments().await;
    shop.dispatch("o-1", 1).await;
    shop.captured("o-1", 1999).await;
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.provider_post(&format!("/chargeback/{id}"), &json!({ "amount": 1999 })).await, 200);
    let held = |page: &Value| page["held"] == true;
    eventually("the second to be held", || async { shop.page("shipments", "o-1@2").await.filter(held) }).await;
    let (code, problem) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 2 })).await;
    assert_eq!((code.as_str(), &problem["reason"]), ("held", &json!("disputed")));
    let shown = eventually("the order's page to say why", || async { shop.page("orders", "o-1").await.filter(held) }).await;
    assert_eq!(shown["holds"], json!(["disputed"]));
    // It is no hold of staff's own: staff has to name what it overrules.
    let said = shop.done("order/end-order-hold", &json!({ "orderId": "o-1" })).await;
    assert_eq!(said["events"], json!([]));
    shop.done("order/end-order-hold", &json!({ "orderId": "o-1", "reason": "disputed" })).await;
    eventually("the hold to be over", || async { shop.page("shipments", "o-1@2").await.filter(|page| !held(page)) }).await;
    shop.dispatch("o-1", 2).await;
    shop.captured("o-1", 3998).await;
    for number in [1, 2] {
        shop.delivered("o-1", number).await;
    }
    let order = shop.order("o-1", "COMPLETED").await;
    // A loss: the order has given nothing back.
    assert_eq!((&order["captured"]["minorUnits"], &order["refunded"]["minorUnits"]), (&json!("3998"), &json!("0")));
    let whats: Vec<&str> = order["timeline"].as_array().expect("a list").iter().filter_map(|m| m["what"].as_str()).collect();
    assert!(whats.contains(&"disputed"), "{whats:?}");
    assert_eq!(shop.page("payments", "o-1").await.expect("it is there")["refundedBeyond"], "1999");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_are_sent_back_one_is_refused_and_the_other_is_paid_back() {
    let shop = Shop::open().await;
    shop.buy("o-1", 3, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    shop.packed("o-1", 1).await;
    let wanted = |quantity: u32| json!({ "orderId": "o-1", "lines": lines(quantity), "reason": "Too bright." });
    let (code, problem) = shop.refused("order/request-return", &wanted(2)).await;
    assert_eq!((code.as_str(), &problem["why"]), ("not-returnable", &json!("not-delivered")));
    shop.dispatch("o-1", 1).await;
    shop.captured("o-1", 3 * 1999).await;
    shop.delivered("o-1", 1).await;
    shop.order("o-1", "COMPLETED").await;
    assert_eq!(shop.page("returns", "o-1").await, None, "nothing was sent back yet");
    // Nobody has asked for it.
    let (code, _) = shop.refused("order/refuse-return", &wanted(1)).await;
    assert_eq!(code, "unknown-line");
    let result = shop.done("order/request-return", &wanted(2)).await;
    let page = shop.at("returns", "o-1", &result["token"]).await.expect("it is there");
    assert_eq!((&page["customerId"], &page["expected"], &page["items"]), (&json!("c-1"), &lines(2), &json!([])));
    let refusal = json!({ "orderId": "o-1", "lines": lines(1), "reason": "It was broken by you." });
    let result = shop.done("order/refuse-return", &refusal).await;
    let page = shop.at("returns", "o-1", &result["token"]).await.expect("it is there");
    assert_eq!((&page["expected"], page["items"].as_array().map(Vec::len)), (&lines(1), Some(1)));
    let item = &page["items"][0];
    assert_eq!((&item["what"], &item["lines"][0]["quantity"], &item["refundStatus"]), (&json!("refused"), &json!(1), &json!("")));
    shop.done("order/receive-return", &json!({ "orderId": "o-1", "lines": lines(1), "condition": "RESALABLE" })).await;
    let paid_back = |page: &Value| page["items"][1]["refundStatus"] == "refunded";
    let page = eventually("its money to be given back", || async { shop.page("returns", "o-1").await.filter(paid_back) }).await;
    let item = &page["items"][1];
    assert_eq!(
        (&item["what"], &item["lines"][0]["warehouse"], &item["amount"]["minorUnits"]),
        (&json!("returned"), &json!("w-1"), &json!("1999"))
    );
    assert_eq!((&page["expected"], page["items"].as_array().map(Vec::len)), (&json!([]), Some(2)));
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.stock("A-1", "w-1").await), ((3 * 1999, 3 * 1999, 1999, false), (98, 0)));
    shop.install.verify().await;
}
