//! From the cart to the confirmed order, over HTTP, with the books looked at afterwards.

use std::time::Duration;

use daybook_failpoint::Fault;
use daybook_testkit::eventually;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::{Shop, checkout};
use crate::support::Points;

/// The place where a look-up is begun, and nothing was read.
const BEGUN: &str = "call.before";
/// A look-up that is held up for so long is under way when the customer's command is answered.
const LONG_ENOUGH: Duration = Duration::from_secs(8);

impl Shop {
    /// The result of a command that another one's result names as `next`.
    async fn follow(&self, next: &Value) -> Value {
        let location = next["location"].as_str().expect("a path");
        let told = eventually("the command to be decided", || async {
            let request = self.install.client.get(format!("{}{location}", self.up.commands));
            let response = request.send().await.expect("the endpoint answers");
            assert!([200, 202].contains(&response.status().as_u16()), "{next} is not given up while it is under way: {response:?}");
            if response.status() == 200 { Some(response.json::<Value>().await.expect("JSON")) } else { None }
        })
        .await;
        assert_eq!((&told["stream"], &told["commandId"]), (&next["stream"], &next["commandId"]));
        told
    }

    /// All is quiet, and the provider has never heard of an order.
    async fn nothing_asked_of(&self, order: &str) {
        self.nothing_left_of(order).await;
        assert_eq!(self.books(order).await, (0, 0, 0, false), "{order}: nobody was asked for money");
    }

    /// Pieces in a cart, as its page has them.
    async fn pieces(&self, cart: &str) -> u64 {
        let page = self.page("carts", cart).await.unwrap_or_default();
        page["lines"].as_array().into_iter().flatten().filter_map(|line| line["quantity"].as_u64()).sum()
    }

    async fn has_pieces(&self, cart: &str, pieces: u64) {
        eventually(&format!("{cart} to have {pieces} pieces"), || async { (self.pieces(cart).await == pieces).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cart_becomes_an_order_at_the_prices_of_the_shop() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 2).await;
    shop.done("cart/checkout", &checkout("k-1", "o-1", 3998)).await;
    let order = shop.order("o-1", "CONFIRMED").await;
    assert_eq!((&order["orderId"], &order["customerId"]), (&json!("o-1"), &json!("c-1")));
    assert_eq!(order["total"], json!({ "currency": "EUR", "minorUnits": "3998" }));
    let line = &order["lines"][0];
    assert_eq!((&line["sku"], &line["quantity"], &line["price"]["minorUnits"]), (&json!("A-1"), &json!(2), &json!("1999")));
    let whats: Vec<&Value> = order["timeline"].as_array().expect("a timeline").iter().map(|entry| &entry["what"]).collect();
    assert_eq!(whats, ["opened", "placed", "allocated", "awaiting-payment", "paid", "confirmed"]);
    let listed = eventually("the list", || async {
        shop.page("customer-orders", "c-1").await.filter(|list| list["items"].as_array().is_some_and(|all| all.len() == 1))
    })
    .await;
    assert_eq!(listed["items"][0]["orderId"], "o-1");
    // Later prices change nothing.
    shop.done("catalog/reprice-product", &json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": 1 } })).await;
    shop.quiet().await;
    assert_eq!(shop.order("o-1", "CONFIRMED").await["total"]["minorUnits"], "3998");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_follows_its_checkout_from_result_to_result_until_the_provider_is_asked() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 1).await;
    let (key, body) = (uuid::Uuid::new_v4().to_string(), checkout("k-1", "o-1", 1999));
    let post = || async { shop.install.post(&shop.up.commands, "cart/checkout", &key, &body).await.expect("the endpoint answers").1 };
    let first = post().await;
    let opens = &first["next"][0];
    assert_eq!((&opens["command"], &opens["stream"]), (&json!("shop.order.v1.OpenOrder"), &json!("order/o-1")), "{first}");
    let (mut open, mut seen) = (vec![first.clone()], Vec::new());
    while !seen.contains(&"shop.payment.v1.ProviderAsked".to_owned()) {
        let result = open.pop().unwrap_or_else(|| panic!("the way ended at {seen:?}"));
        let types = result["events"].as_array().expect("a list").iter().filter_map(|event| event["type"].as_str());
        seen.extend(types.map(str::to_owned));
        for next in result["next"].as_array().into_iter().flatten() {
            open.push(shop.follow(next).await);
        }
    }
    // Of the rules' commands some came to their lanes by the short way, and what Kafka brought of those was no repeat.
    let text =
        shop.install.client.get(format!("{}/metrics", shop.up.operations)).send().await.expect("answers").text().await.expect("text");
    let total = |name: &str| {
        text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    assert!(total("daybook_commands_handed_over_total") > 0.0, "{text}");
    assert!(total("daybook_commands_repeated_total") < 1.0, "{text}");
    // A repeat is told the same, from the log.
    assert_eq!(post().await, first);
    // What leads to nothing lists nothing.
    let added = shop.done("cart/add-item", &json!({ "cartId": "k-2", "sku": "A-1", "quantity": 1 })).await;
    assert!(added.get("next").is_none(), "{added}");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_token_whoever_has_just_ordered_sees_the_order() {
    let shop = Shop::open().await;
    for n in 0..5 {
        let (cart, order) = (format!("k-{n}"), format!("o-{n}"));
        shop.with_cart(&cart, 1).await;
        let ordered = shop.done("cart/checkout", &checkout(&cart, &order, 1999)).await;
        let opened = shop.follow(&ordered["next"][0]).await;
        assert_eq!(opened["stream"], format!("order/{order}"), "{ordered}");
        // Each is asked once: the token is what waits.
        let page = shop.at("orders", &order, &opened["token"]).await.expect("it is there");
        assert_eq!((&page["orderId"], &page["timeline"][0]["what"]), (&json!(order), &json!("opened")));
        let list = shop.at("customer-orders", "c-1", &opened["token"]).await.expect("a list");
        assert_eq!(list["items"][0]["orderId"], json!(order), "the newest first: {list}");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(n + 1));
    }
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_changes_between_the_cart_and_the_button_is_told_and_the_cart_is_open_again() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 1).await;
    shop.done("catalog/reprice-product", &json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": 2499 } })).await;
    eventually("the page to say so", || async {
        shop.page("product-pages", "A-1").await.filter(|page| page["price"]["minorUnits"] == "2499")
    })
    .await;
    shop.done("cart/checkout", &checkout("k-1", "o-1", 1999)).await;
    let order = shop.order("o-1", "REJECTED").await;
    assert_eq!(order["reason"], "prices-changed");
    assert_eq!(shop.events("cart", "cart/k-1").await, ["ItemAdded", "CartCheckedOut", "CartReopened"]);
    // The customer looks at the new price, and orders.
    shop.done("cart/checkout", &checkout("k-1", "o-2", 2499)).await;
    shop.order("o-2", "CONFIRMED").await;
    shop.quiet().await;
    assert_eq!(shop.order("o-1", "REJECTED").await["reason"], "prices-changed");
    shop.nothing_asked_of("o-1").await;
    assert_eq!((shop.books("o-2").await, shop.stock("A-1", "w-1").await), ((2499, 0, 0, false), (100, 1)));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sold_is_not_ordered() {
    let shop = Shop::open().await;
    shop.done("cart/add-item", &json!({ "cartId": "k-1", "sku": "never-made", "quantity": 1 })).await;
    shop.done("cart/checkout", &checkout("k-1", "o-1", 100)).await;
    assert_eq!(shop.order("o-1", "REJECTED").await["reason"], "unavailable");
    shop.done("catalog/retire-product", &json!({ "sku": "A-1" })).await;
    eventually("the page to go", || async { shop.page("product-pages", "A-1").await.is_none().then_some(()) }).await;
    shop.with_cart("k-2", 1).await;
    shop.done("cart/checkout", &checkout("k-2", "o-2", 1999)).await;
    assert_eq!(shop.order("o-2", "REJECTED").await["reason"], "unavailable");
    for order in ["o-1", "o-2"] {
        shop.nothing_asked_of(order).await;
    }
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_placed_twice_from_two_windows_with_two_keys_is_one() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 1).await;
    let (first, second) = (checkout("k-1", "o-1", 1999), checkout("k-1", "o-2", 1999));
    let (one, other) = tokio::join!(shop.command("cart/checkout", &first), shop.command("cart/checkout", &second));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    let (placed, never, refused) = if one.0 == 200 { ("o-1", "o-2", other.1) } else { ("o-2", "o-1", one.1) };
    assert_eq!(refused["type"], "urn:daybook:refusal:cart-is-checked-out");
    assert_eq!(refused["orderId"], placed, "it says under which order");
    shop.order(placed, "CONFIRMED").await;
    // The same button, pressed again with another key.
    let again = shop.done("cart/checkout", &checkout("k-1", placed, 1999)).await;
    assert_eq!(again["events"], json!([]));
    shop.nothing_asked_of(never).await;
    assert_eq!((shop.books(placed).await, shop.stock("A-1", "w-1").await), ((1999, 0, 0, false), (100, 1)));
    assert_eq!(shop.install.count("SELECT count(DISTINCT stream_id) FROM \"order\".event").await, 1);
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_id_that_another_cart_has_taken_gives_the_cart_back() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 1).await;
    shop.with_cart("k-2", 2).await;
    shop.done("cart/checkout", &checkout("k-1", "o-1", 1999)).await;
    shop.order("o-1", "CONFIRMED").await;
    shop.done("cart/checkout", &checkout("k-2", "o-1", 3998)).await;
    eventually("the second cart to be open again", || async {
        (shop.events("cart", "cart/k-2").await.last().is_some_and(|last| last == "CartReopened")).then_some(())
    })
    .await;
    assert_eq!(shop.order("o-1", "CONFIRMED").await["total"]["minorUnits"], "1999", "the first one's order is as it was");
    shop.done("cart/checkout", &checkout("k-2", "o-2", 3998)).await;
    shop.order("o-2", "CONFIRMED").await;
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.books("o-2").await), ((1999, 0, 0, false), (3998, 0, 0, false)));
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 3));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cart_that_is_merged_at_log_in_while_it_is_checked_out_loses_nothing() {
    let shop = Shop::open().await;
    shop.with_cart("guest-1", 1).await;
    shop.with_cart("k-1", 3).await;
    let (order, merge) = (checkout("guest-1", "o-1", 1999), json!({ "cartId": "guest-1", "into": "k-1" }));
    let (ordered, merged) = tokio::join!(shop.command("cart/checkout", &order), shop.command("cart/merge-cart", &merge));
    assert_eq!(merged.0, 200, "{merged:?}");
    shop.quiet().await;
    if ordered.0 == 200 {
        shop.order("o-1", "CONFIRMED").await;
        shop.has_pieces("k-1", 3).await;
        shop.quiet().await;
        assert_eq!((shop.books("o-1").await, shop.stock("A-1", "w-1").await), ((1999, 0, 0, false), (100, 1)));
    } else {
        shop.has_pieces("k-1", 4).await;
        shop.nothing_asked_of("o-1").await;
        assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    }
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_merged_into_a_cart_that_is_checked_out_are_kept_for_its_next_life() {
    let shop = Shop::open().await;
    shop.with_cart("guest-1", 2).await;
    // The order waits for its customer, who logs in meanwhile.
    shop.buy("o-1", 1, "tok_action").await;
    let order = shop.order("o-1", "ACTION_REQUIRED").await;
    shop.done("cart/merge-cart", &json!({ "cartId": "guest-1", "into": "k-o-1" })).await;
    let has_come = |events: &Vec<String>| events.last().is_some_and(|last| last == "LinesTaken");
    let events = eventually("the lines to come", || async { Some(shop.events("cart", "cart/k-o-1").await).filter(has_come) }).await;
    assert_eq!(events, ["ItemAdded", "CartCheckedOut", "LinesTaken"]);
    let has_come = |page: &Value| page["version"] == "3";
    let page = eventually("the page to have come as far", || async { shop.page("carts", "k-o-1").await.filter(has_come) }).await;
    assert_eq!((&page["status"], &page["orderId"]), (&json!("CART_STATUS_CHECKED_OUT"), &json!("o-1")));
    assert_eq!(page["lines"][0]["quantity"], 1, "the order is what it was");
    let (code, _) = shop.refused("cart/add-item", &json!({ "cartId": "guest-1", "sku": "A-1", "quantity": 1 })).await;
    assert_eq!(code, "cart-is-merged");
    let id = order["actionUrl"].as_str().and_then(|url| url.rsplit('/').next()).expect("where to go").to_owned();
    assert_eq!(shop.provider_post(&format!("/act/{id}"), &json!({})).await, 200);
    assert_eq!(shop.order("o-1", "CONFIRMED").await["total"]["minorUnits"], "1999");
    // Its next life begins with them.
    shop.has_pieces("k-o-1", 2).await;
    assert_eq!(shop.page("carts", "k-o-1").await.expect("it is there")["status"], "CART_STATUS_OPEN");
    shop.done("cart/checkout", &checkout("k-o-1", "o-2", 2 * 1999)).await;
    shop.order("o-2", "CONFIRMED").await;
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.books("o-2").await), ((1999, 0, 0, false), (3998, 0, 0, false)));
    assert_eq!((shop.stock("A-1", "w-1").await, shop.pieces("guest-1").await), ((100, 3), 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_merged_into_a_cart_whose_order_is_rejected_lie_beside_those_that_come_back() {
    let points = Points::new();
    let shop = Shop::set_up(Captures::Many, &[], |variables| variables.push(points.variable())).await;
    shop.with_cart("guest-1", 2).await;
    shop.with_cart("k-1", 1).await;
    // Not the price of the shop: it is seen when the look-up goes on.
    points.arm(BEGUN, Fault::Pause(LONG_ENOUGH));
    shop.done("cart/checkout", &checkout("k-1", "o-1", 1)).await;
    shop.done("cart/merge-cart", &json!({ "cartId": "guest-1", "into": "k-1" })).await;
    assert_eq!(shop.order("o-1", "REJECTED").await["reason"], "prices-changed");
    shop.has_pieces("k-1", 3).await;
    assert_eq!(shop.events("cart", "cart/k-1").await, ["ItemAdded", "CartCheckedOut", "LinesTaken", "CartReopened"]);
    shop.nothing_asked_of("o-1").await;
    shop.done("cart/checkout", &checkout("k-1", "o-2", 3 * 1999)).await;
    shop.order("o-2", "CONFIRMED").await;
    shop.quiet().await;
    assert_eq!((shop.books("o-2").await, shop.stock("A-1", "w-1").await), ((3 * 1999, 0, 0, false), (100, 3)));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_cancels_while_the_order_is_under_way_has_it_cancelled() {
    let points = Points::new();
    let shop = Shop::set_up(Captures::Many, &[], |variables| variables.push(points.variable())).await;
    // The first look-up reads prices and places the order, the second looks where its pieces are.
    for (order, under_way, decided) in [("o-1", "place", "OrderOpened"), ("o-2", "allocate", "OrderPlaced")] {
        let before = points.fired(BEGUN);
        points.arm(BEGUN, Fault::Pause(LONG_ENOUGH));
        let cart = format!("cart-of-{order}");
        shop.with_cart(&cart, 1).await;
        let has_begun = async |count| eventually("a look-up", || async { (points.fired(BEGUN) == before + count).then_some(()) }).await;
        if under_way == "allocate" {
            points.arm(BEGUN, Fault::Pause(Duration::from_secs(1)));
        }
        shop.done("cart/checkout", &checkout(&cart, order, 1999)).await;
        has_begun(1).await;
        if under_way == "allocate" {
            points.arm(BEGUN, Fault::Pause(LONG_ENOUGH));
            has_begun(2).await;
        }
        shop.done("order/cancel-order", &json!({ "orderId": order, "reason": "changed my mind" })).await;
        let open = format!("SELECT count(*) FROM \"order\".call WHERE name = '{under_way}' AND command IS NULL");
        assert_eq!(shop.install.count(&open).await, 1, "it was cancelled while {under_way} was under way");
        let page = shop.order(order, "CANCELLED").await;
        assert_eq!(page["reason"], "cancelled");
        shop.nothing_asked_of(order).await;
        shop.order(order, "CANCELLED").await;
        let events = shop.events("order", &format!("order/{order}")).await;
        let at = |kind: &str| events.iter().position(|event| event == kind);
        assert_eq!(at(decided).map(|n| n + 1), at("OrderCancelling").or(at("OrderCancelled")), "{events:?}");
        assert_eq!(shop.stock("A-1", "w-1").await, (100, 0), "nothing is held for it");
    }
    // A cart's next life begins.
    eventually("the cart to be free", || async { (shop.events("cart", "cart/cart-of-o-1").await.len() == 3).then_some(()) }).await;
    shop.with_cart("cart-of-o-1", 2).await;
    shop.done("cart/checkout", &checkout("cart-of-o-1", "o-3", 3998)).await;
    shop.order("o-3", "CONFIRMED").await;
    let (code, _) = shop.refused("order/cancel-order", &json!({ "orderId": "o-9", "reason": "never was" })).await;
    assert_eq!(code, "unknown-order");
    shop.quiet().await;
    assert_eq!((shop.books("o-3").await, shop.stock("A-1", "w-1").await), ((3998, 0, 0, false), (100, 2)));
    shop.install.verify().await;
}
