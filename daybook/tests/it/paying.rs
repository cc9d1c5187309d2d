//! Money: paid, not paid, paid twice almost, and given back, with a payment provider that does what providers do.

use daybook_testkit::eventually;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shop_simulators::Captures;

use crate::shop::{Shop, checkout};

fn money(minor_units: i64) -> Value {
    json!({ "currency": "EUR", "minorUnits": minor_units })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lines_of_one_cart_draw_on_the_same_stock_and_only_their_sum_is_too_much() {
    let shop = Shop::open().await;
    // Two windows put the same product into one cart.
    shop.with_cart("k-1", 60).await;
    shop.with_cart("k-1", 41).await;
    shop.done("cart/checkout", &checkout("k-1", "o-1", 1999 * 101)).await;
    let order = shop.order("o-1", "REJECTED").await;
    assert_eq!(order["reason"], "out-of-stock");
    assert_eq!((&order["lacking"][0]["requested"], &order["lacking"][0]["available"]), (&json!(101), &json!(100)));
    shop.nothing_left_of("o-1").await;
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    assert_eq!(shop.events("cart", "cart/k-1").await.last().map(String::as_str), Some("CartReopened"));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carts_that_race_for_the_last_piece_make_one_order_and_the_others_pay_nothing() {
    let shop = Shop::open().await;
    shop.done("inventory/adjust-stock", &json!({ "sku": "A-1", "warehouse": "w-1", "delta": -99, "reason": "One is left." })).await;
    let buyers: Vec<String> = (1..6).map(|n| format!("o-{n}")).collect();
    join_all(buyers.iter().map(|order| shop.buy(order, 1, "tok_ok"))).await;
    let mut confirmed = 0;
    for order in &buyers {
        let page = shop.decided(order).await;
        if page["status"] == "ORDER_STATUS_CONFIRMED" {
            confirmed += 1;
        } else {
            assert_eq!((&page["reason"], &page["authorised"]["minorUnits"]), (&json!("out-of-stock"), &json!("0")), "{page}");
            let whats: Vec<&str> = page["timeline"].as_array().expect("a list").iter().filter_map(|m| m["what"].as_str()).collect();
            assert!(!whats.contains(&"paid") && !whats.contains(&"confirmed"), "{whats:?}");
            shop.nothing_left_of(order).await;
            assert_eq!(shop.books(order).await, (0, 0, 0, false), "nobody was asked for money");
        }
    }
    assert_eq!(confirmed, 1);
    assert_eq!(shop.stock("A-1", "w-1").await, (1, 1));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_is_declined_pays_by_other_means() {
    let shop = Shop::open().await;
    shop.buy("o-1", 1, "tok_declined").await;
    let declined = |page: &Value| page["timeline"].as_array().is_some_and(|all| all.iter().any(|m| m["what"] == "payment-declined"));
    eventually("the customer to be told", || async { shop.page("orders", "o-1").await.filter(declined) }).await;
    shop.done("order/change-payment", &json!({ "orderId": "o-1", "payment": { "token": "tok_ok" } })).await;
    let order = shop.order("o-1", "CONFIRMED").await;
    assert_eq!(order["authorised"]["minorUnits"], "1999");
    let (code, _) = shop.refused("order/change-payment", &json!({ "orderId": "o-1", "payment": { "token": "tok_ok" } })).await;
    assert_eq!(code, "not-awaiting-payment");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browsers_confirmation_and_the_providers_notice_arrive_together() {
    let shop = Shop::open().await;
    shop.provider_faults(&json!({ "noticesTwice": true })).await;
    shop.buy("o-1", 1, "tok_action").await;
    let order = shop.order("o-1", "ACTION_REQUIRED").await;
    let url = order["actionUrl"].as_str().expect("where to go").to_owned();
    let path = url.split_once("/act/").map(|(_, id)| format!("/act/{id}")).expect("the simulator's");
    let id = path.rsplit('/').next().expect("an id").to_owned();
    // The customer acts, and somebody tells the same of it at the same time.
    let told = json!({ "id": "evt_browser", "type": "payment.authorised", "data": shop.provider_get(&format!("/v1/payments/{id}")).await });
    let nothing = json!({});
    let (acted, told) = tokio::join!(shop.provider_post(&path, &nothing), shop.signed(&told));
    assert!(acted == 200 && (200..300).contains(&told), "{acted} {told}");
    shop.order("o-1", "CONFIRMED").await;
    shop.quiet().await;
    let paid = shop.events("order", "order/o-1").await.into_iter().filter(|event| event == "OrderPaid").count();
    assert_eq!((paid, shop.books("o-1").await), (1, (1999, 0, 0, false)));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_refunds_of_60_on_a_capture_of_100_at_once_give_back_60() {
    let shop = Shop::open().await;
    let ask = |what: &str, number: u32, units: i64| {
        (format!("payment/request-{what}"), json!({ "orderId": "o-1", "number": number, "amount": money(units) }))
    };
    let request = json!({
        "orderId": "o-1", "attempt": 1, "customerId": "c-1", "amount": money(100), "paymentToken": "tok_ok",
        "payUntil": (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339()
    });
    shop.done("payment/request-payment", &request).await;
    let authorised = || async { shop.events("payment", "payment/o-1").await.contains(&"PaymentAuthorised".to_owned()).then_some(()) };
    eventually("it to be authorised", authorised).await;
    let (path, body) = ask("capture", 1, 100);
    shop.done(&path, &body).await;
    let (first, second) = (ask("refund", 1, 60), ask("refund", 2, 60));
    tokio::join!(shop.done(&first.0, &first.1), shop.done(&second.0, &second.1));
    let ended = |events: &[String]| events.iter().filter(|e| *e == "PaymentRefunded" || *e == "RefundFailed").count() == 2;
    let events =
        eventually("both to have an answer", || async { Some(shop.events("payment", "payment/o-1").await).filter(|all| ended(all)) }).await;
    assert_eq!(events.iter().filter(|event| *event == "RefundFailed").count(), 1, "{events:?}");
    shop.quiet().await;
    assert_eq!(shop.books("o-1").await, (100, 100, 60, false));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_notice_five_times_one_of_them_forged_is_one_notice() {
    let shop = Shop::open().await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    let notice = json!({ "id": "evt_1", "type": "payment.authorised", "data": shop.looked_at("o-1").await });
    let before = shop.events("payment", "payment/o-1").await.len();
    for n in 0..5 {
        let status = if n == 2 { shop.notice(&notice, "another secret, and long enough").await } else { shop.signed(&notice).await };
        assert_eq!(status, if n == 2 { 401 } else { 200 }, "{n}");
    }
    shop.quiet().await;
    assert_eq!(shop.events("payment", "payment/o-1").await.len(), before + 1);
    assert_eq!(shop.books("o-1").await, (1999, 0, 0, false));
    shop.install.verify().await;
}

impl Shop {
    /// Somebody takes so much by hand at the provider, and gives it back: the notice of the refund.
    async fn taken_and_given_back(&self, id: &str, units: i64) -> Value {
        for operation in ["capture", "refund"] {
            assert_eq!(
                self.provider_post(&format!("/v1/payments/{id}/{operation}"), &json!({ "amount": units })).await,
                200,
                "{operation}"
            );
        }
        json!({ "id": "evt_refunded", "type": "payment.refunded", "data": self.provider_get(&format!("/v1/payments/{id}")).await })
    }

    /// So much was taken and given back that nobody here had asked for: the books show it, and nothing of the order leaves.
    async fn disputed(&self, order: &str, units: i64) {
        let held = |page: &Value| page["held"] == true;
        let page = eventually("the order to be held", || async { self.page("orders", order).await.filter(held) }).await;
        assert_eq!(page["holds"], json!(["disputed"]), "{page}");
        eventually("its shipment to be held", || async { self.page("shipments", &format!("{order}@1")).await.filter(held) }).await;
        let page = self.page("payments", order).await.expect("it is there");
        let units = json!(units.to_string());
        assert_eq!((&page["capturedBeyond"], &page["refundedBeyond"]), (&units, &units), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_comes_before_anything_was_recorded_is_kept_and_counts() {
    let shop = Shop::open().await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    // Somebody has money moved for an order that is none yet, and only the last notice of it comes.
    assert_eq!(shop.provider_post("/v1/payments", &json!({ "order": "o-1", "amount": 1999, "currency": "EUR" })).await, 200);
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.provider_post(&format!("/v1/payments/{id}/confirm"), &json!({ "token": "tok_ok" })).await, 200);
    let refunded = shop.taken_and_given_back(&id, 500).await;
    assert_eq!(shop.signed(&refunded).await, 200);
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    let events = shop.events("payment", "payment/o-1").await;
    assert_eq!(events[0], "ProviderHeard", "{events:?}");
    shop.disputed("o-1", 500).await;
    shop.quiet().await;
    assert_eq!(shop.books("o-1").await, (2 * 1999, 500, 500, false), "one of ours, and one of somebody's");
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "It is not mine." })).await;
    shop.order("o-1", "CANCELLED").await;
    shop.nothing_left_of("o-1").await;
    let books = shop.provider_get("/books").await;
    let left: Vec<&Value> = books["payments"].as_array().expect("a list").iter().map(|payment| &payment["status"]).collect();
    assert_eq!(left, ["cancelled", "cancelled"], "nobody takes more with either");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_notice_that_comes_before_the_authorisation_was_recorded_is_booked_and_holds_the_order() {
    let shop = Shop::open().await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    // The answer does not come, and somebody takes money and gives it back by hand meanwhile.
    shop.buy("o-1", 1, "tok_charged_then_timeout").await;
    eventually("the provider to have charged", || async { (shop.books("o-1").await.0 == 1999).then_some(()) }).await;
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    let refunded = shop.taken_and_given_back(&id, 500).await;
    let before = shop.events("payment", "payment/o-1").await;
    assert_eq!(before.last().map(String::as_str), Some("ProviderAsked"), "nobody has told how it stands: {before:?}");
    assert_eq!(shop.signed(&refunded).await, 200);
    let order = shop.order("o-1", "CONFIRMED").await;
    assert_eq!(order["authorised"]["minorUnits"], "1999");
    shop.disputed("o-1", 500).await;
    // The answer that was missing comes, and changes nothing.
    let since = eventually("the answer to come", || async {
        let events = shop.events("payment", "payment/o-1").await.split_off(before.len());
        (events.iter().filter(|event| *event == "ProviderHeard").count() == 2).then_some(events)
    })
    .await;
    shop.quiet().await;
    assert_eq!(since, ["ProviderHeard", "PaymentAuthorised", "PaymentDeviated", "ProviderHeard"]);
    shop.disputed("o-1", 500).await;
    assert_eq!(shop.books("o-1").await, (1999, 500, 500, false));
    let page = shop.page("payments", "o-1").await.expect("it is there");
    assert_eq!((&page["authorised"], &page["captured"], &page["refunded"]), (&json!("1999"), &json!("0"), &json!("0")), "{page}");
    let (code, problem) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 1 })).await;
    assert_eq!((code.as_str(), &problem["reason"]), ("held", &json!("disputed")));
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "It can't be paid." })).await;
    shop.order("o-1", "CANCELLED").await;
    shop.nothing_left_of("o-1").await;
    assert_eq!(shop.books("o-1").await, (1999, 500, 500, true));
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_charges_and_times_out_and_the_process_dies_and_the_customer_pays_once() {
    let mut shop = Shop::open().await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    shop.buy("o-1", 1, "tok_charged_then_timeout").await;
    eventually("the provider to have charged", || async { (shop.books("o-1").await.0 == 1999).then_some(()) }).await;
    shop.die_and_start_again().await;
    shop.order("o-1", "CONFIRMED").await;
    shop.quiet().await;
    let payment = shop.looked_at("o-1").await;
    let confirms: Vec<&Value> = payment["keys"].as_array().expect("keys").iter().filter(|key| key["operation"] == "confirm").collect();
    assert_eq!(confirms.len(), 1, "one key, however often it was called: {payment}");
    assert_eq!(shop.books("o-1").await, (1999, 0, 0, false));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_pays_ends_by_itself_and_its_cart_is_open_again() {
    let shop = Shop::with(Captures::Many, &["payment=2s"]).await;
    shop.buy("o-1", 2, "tok_action").await;
    let order = shop.order("o-1", "REJECTED").await;
    assert_eq!(order["reason"], "not-paid");
    shop.nothing_left_of("o-1").await;
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    let (code, _) = shop.refused("order/cancel-order", &json!({ "orderId": "o-1", "reason": "" })).await;
    assert_eq!(code, "not-cancellable");
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_pays_just_as_the_time_ends_is_charged_and_served_or_neither() {
    let shop = Shop::with(Captures::Many, &["payment=2s"]).await;
    for n in 0..4_u64 {
        let order = format!("o-{n}");
        shop.buy(&order, 1, "tok_action").await;
        let page = shop.order(&order, "ACTION_REQUIRED").await;
        let id = page["actionUrl"].as_str().and_then(|url| url.rsplit('/').next()).expect("where to go").to_owned();
        tokio::time::sleep(std::time::Duration::from_millis(1_600 + 150 * n)).await;
        shop.provider_post(&format!("/act/{id}"), &json!({})).await;
        let end = shop.decided(&order).await;
        if end["status"] == "ORDER_STATUS_REJECTED" {
            shop.nothing_left_of(&order).await;
        } else {
            assert_eq!(shop.books(&order).await, (1999, 0, 0, false));
        }
    }
    shop.install.verify().await;
}

/// From when an order is placed until its pieces are held no longer: eight seconds to find them, twenty to pay, none beyond.
const ENDING: [&str; 3] = ["allocation=8s", "payment=20s", "hold-after-payment=0s"];
const HELD_FOR: chrono::Duration = chrono::Duration::seconds(28);

impl Shop {
    /// Another product, of which there is one piece.
    async fn sells_one(&self, sku: &str) {
        self.done("catalog/create-product", &json!({ "sku": sku, "title": "Lamp", "price": money(1999) })).await;
        self.receive(sku, "w-1", 1).await;
    }

    async fn buy_one(&self, order: &str, sku: &str, token: &str) {
        let cart = format!("k-{order}");
        self.done("cart/add-item", &json!({ "cartId": cart, "sku": sku, "quantity": 1 })).await;
        let mut body = checkout(&cart, order, 1999);
        body["payment"]["token"] = json!(token);
        self.done("cart/checkout", &body).await;
    }

    /// The order's page once it is the customer's, or never will be.
    async fn decided(&self, order: &str) -> Value {
        eventually(&format!("{order} to be decided"), || async {
            self.page("orders", order).await.filter(|page| {
                let status = page["status"].as_str().unwrap_or_default();
                status.ends_with("CONFIRMED") || status.ends_with("REJECTED")
            })
        })
        .await
    }
}

/// Six products with one piece each. Who orders it first pays in time, and the provider says so only when the piece is held no longer, or just
/// about then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_heard_of_as_the_reservation_ends_has_the_piece_or_its_money_and_one_order_has_the_piece() {
    let shop = Shop::with(Captures::Many, &ENDING).await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    let skus: Vec<String> = (0..6).map(|n| format!("L-{n}")).collect();
    let (first, second) = (|n: usize| format!("first-{n}"), |n: usize| format!("second-{n}"));
    join_all(skus.iter().map(|sku| shop.sells_one(sku))).await;
    join_all((0..6).map(async |n| {
        shop.buy_one(&first(n), &skus[n], "tok_action").await;
        shop.act(&first(n)).await;
    }))
    .await;
    // The customers have paid. Nobody tells of it, and whom the shop asks is not there.
    shop.provider_faults(&json!({ "noNotices": true, "down": true })).await;
    let ended = async |n: usize| {
        let stock = format!("stock/{}@w-1", skus[n]);
        let has_ended = || async { shop.events("inventory", &stock).await.contains(&"ReservationExpired".to_owned()).then_some(()) };
        eventually("the reservation to end", has_ended).await;
    };
    // The notices of these come at last, around the end of the reservation, and somebody else orders the piece just before: in milliseconds.
    let around: [(i64, i64); 4] = [(-500, -200), (-300, 0), (-100, 400), (100, 900)];
    let races = join_all((2..6).zip(around).map(async |(n, (orders, told))| {
        let page = shop.page("orders", &first(n)).await.expect("it was placed");
        let placed = page["timeline"].as_array().and_then(|all| all.iter().find(|m| m["what"] == "placed")).expect("it was placed");
        let placed: chrono::DateTime<chrono::Utc> = placed["at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
        let at = async |offset: i64| {
            let left = placed + HELD_FOR + chrono::Duration::milliseconds(offset) - chrono::Utc::now();
            tokio::time::sleep(left.to_std().unwrap_or_default()).await;
        };
        let notice = json!({ "id": format!("evt_{n}"), "type": "payment.authorised", "data": shop.looked_at(&first(n)).await });
        let tells = async {
            at(told).await;
            let status = shop.signed(&notice).await;
            assert!((200..300).contains(&status), "{status}");
        };
        let buys = async {
            at(orders).await;
            shop.buy_one(&second(n), &skus[n], "tok_ok").await;
        };
        tokio::join!(tells, buys);
    }));
    // Of the others the provider tells when it is there again. Nobody wants the one, and somebody has the other meanwhile.
    let rest = async {
        ended(0).await;
        ended(1).await;
        shop.buy_one(&second(1), &skus[1], "tok_ok").await;
        let stock = format!("stock/{}@w-1", skus[1]);
        eventually("the second to hold the piece", || async {
            let events = shop.events("inventory", &stock).await;
            (events.iter().filter(|event| *event == "StockReserved").count() == 2).then_some(())
        })
        .await;
    };
    tokio::join!(races, rest);
    shop.provider_faults(&json!({ "noNotices": true })).await;

    for (n, sku) in skus.iter().enumerate() {
        let one = shop.decided(&first(n)).await;
        let has_one = one["status"] == "ORDER_STATUS_CONFIRMED";
        if !has_one {
            assert_eq!(one["reason"], "stock-lost", "{one}");
            shop.nothing_left_of(&first(n)).await;
            let (authorised, captured, _, voided) = shop.books(&first(n)).await;
            assert_eq!((authorised, captured, voided), (1999, 0, true), "{one}");
        }
        let mut has_other = false;
        if n > 0 {
            let other = shop.decided(&second(n)).await;
            has_other = other["status"] == "ORDER_STATUS_CONFIRMED";
            if !has_other {
                assert_eq!(other["reason"], "out-of-stock", "{other}");
                assert_eq!(shop.books(&second(n)).await, (0, 0, 0, false), "nobody was asked for money");
            }
        }
        assert!(has_one != has_other, "one order has the piece: {one}");
        assert!((n > 0 || has_one) && (n != 1 || has_other), "who finds it is served: {one}");
        if n == 0 {
            let stock = shop.events("inventory", &format!("stock/{sku}@w-1")).await;
            let since = stock.iter().skip_while(|event| *event != "ReservationExpired").skip(1);
            assert_eq!(since.collect::<Vec<_>>(), ["StockReserved", "ReservationConfirmed"], "it was regained");
        }
        shop.quiet().await;
        let has_it = if has_one { first(n) } else { second(n) };
        assert_eq!(shop.books(&has_it).await, (1999, 0, 0, false), "{has_it}");
        assert_eq!(shop.stock(sku, "w-1").await, (1, 1));
    }
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_cancels_while_the_order_waits_for_money_pays_nothing() {
    let shop = Shop::open().await;
    shop.buy("o-1", 1, "tok_action").await;
    let page = shop.order("o-1", "ACTION_REQUIRED").await;
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "changed my mind" })).await;
    shop.order("o-1", "CANCELLED").await;
    // And then pays all the same: the provider has nothing any more that could be paid.
    let id = page["actionUrl"].as_str().and_then(|url| url.rsplit('/').next()).expect("where to go").to_owned();
    assert_ne!(shop.provider_post(&format!("/act/{id}"), &json!({})).await, 200);
    // A late notice that says otherwise is undone, as far as the provider has anything to undo.
    shop.nothing_left_of("o-1").await;
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_is_captured_by_hand_after_the_cancellation_is_given_back() {
    let shop = Shop::open().await;
    shop.provider_faults(&json!({ "noNotices": true })).await;
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    // Somebody takes the money at the provider; its notice comes when the order is cancelled.
    assert_eq!(shop.provider_post(&format!("/v1/payments/{id}/capture"), &json!({ "amount": 1999 })).await, 200);
    let late = json!({ "id": "evt_late", "type": "payment.captured", "data": shop.provider_get(&format!("/v1/payments/{id}")).await });
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "changed my mind" })).await;
    shop.order("o-1", "CANCELLED").await;
    assert_eq!(shop.signed(&late).await, 200);
    eventually("it to be given back", || async { (shop.books("o-1").await.2 == 1999).then_some(()) }).await;
    shop.nothing_left_of("o-1").await;
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_sends_to_is_undeliverable() {
    let shop = Shop::open().await;
    shop.with_cart("k-1", 1).await;
    let mut body = checkout("k-1", "o-1", 1999);
    body["shippingAddress"]["country"] = json!("FR");
    shop.done("cart/checkout", &body).await;
    assert_eq!(shop.order("o-1", "REJECTED").await["reason"], "undeliverable");
    shop.nothing_left_of("o-1").await;
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorisation_that_ends_by_itself_holds_the_order_until_its_customer_gives_it_up() {
    let shop = Shop::open().await;
    shop.buy("o-1", 1, "tok_ok").await;
    shop.order("o-1", "CONFIRMED").await;
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.provider_post(&format!("/expire/{id}"), &json!({})).await, 200);
    let held = |page: &Value| page["held"] == true;
    eventually("the shipment to be held", || async { shop.page("shipments", "o-1@1").await.filter(held) }).await;
    let (code, problem) = shop.refused("shipping/dispatch-shipment", &json!({ "orderId": "o-1", "number": 1 })).await;
    assert_eq!((code.as_str(), &problem["reason"]), ("held", &json!("authorisation-lost")));
    let page = shop.page("orders", "o-1").await.expect("it is there");
    assert_eq!((&page["authorised"]["minorUnits"], &page["held"]), (&json!("0"), &json!(true)));
    shop.done("order/cancel-order", &json!({ "orderId": "o-1", "reason": "It can't be paid." })).await;
    shop.order("o-1", "CANCELLED").await;
    shop.nothing_left_of("o-1").await;
    assert_eq!(shop.stock("A-1", "w-1").await, (100, 0));
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_could_not_be_taken_is_on_the_page_until_staff_has_it_tried_again_and_is_taken_once() {
    let shop = Shop::open().await;
    shop.buy("o-1", 1, "tok_capture_fails").await;
    shop.order("o-1", "CONFIRMED").await;
    shop.packed("o-1", 1).await;
    let retry = |number: u32| json!({ "orderId": "o-1", "number": number });
    let (code, problem) = shop.refused("order/retry-capture", &retry(1)).await;
    assert_eq!((code.as_str(), &problem["why"]), ("not-retryable", &json!("nothing-failed")));
    shop.dispatch("o-1", 1).await;
    let owed = async |number: u32| {
        let failed = |page: &Value| page["failures"][0]["number"] == number;
        let page = eventually("the page to say what failed", || async { shop.page("payments", "o-1").await.filter(failed) }).await;
        let failure =
            json!({ "what": "capture", "number": number, "amount": { "currency": "EUR", "minorUnits": "1999" }, "code": "capture-failed" });
        assert_eq!(page["failures"], json!([failure]));
        assert_eq!([&page["captured"], &page["capturePending"], &page["captureFailed"]], ["0", "0", "1999"]);
    };
    owed(1).await;
    // The bank says no once more: another number, and the same money.
    shop.done("order/retry-capture", &retry(1)).await;
    owed(2).await;
    assert_eq!(shop.books("o-1").await, (1999, 0, 0, false));
    // Two of the staff press the button, and the bank has nothing against it any more.
    let id = shop.looked_at("o-1").await["id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.provider_post(&format!("/relent/{id}"), &json!({})).await, 200);
    let again = retry(2);
    let (one, other) = tokio::join!(shop.command("order/retry-capture", &again), shop.command("order/retry-capture", &again));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    shop.captured("o-1", 1999).await;
    let settled = |page: &Value| page["captured"] == "1999";
    let page = eventually("the page to say so", || async { shop.page("payments", "o-1").await.filter(settled) }).await;
    assert_eq!((&page["failures"], &page["captureFailed"], &page["capturedBeyond"]), (&json!([]), &json!("0"), &json!("0")));
    shop.delivered("o-1", 1).await;
    let order = shop.order("o-1", "COMPLETED").await;
    assert_eq!((&order["captured"]["minorUnits"], &order["refunded"]["minorUnits"]), (&json!("1999"), &json!("0")));
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.stock("A-1", "w-1").await), ((1999, 1999, 0, false), (99, 0)));
    shop.install.verify().await;
}
