//! Pages whose items are filled from another read model, and finished: held in memory, changed by pushes of both, and by the clock.

use std::sync::Arc;
use std::time::Duration;

use daybook_proto::v1::part_change::Content;
use prost::Message as _;
use reqwest::Response;
use serde_json::{Value, json};
use shop_proto::catalog::v1::{Price, Sale};
use shop_proto::read::v1::{CartLineParts, CartPage, CartParts, CartStatus, ProductPage};
use shop_proto::samples::money;

use crate::events::Events;
use crate::lists_held::put_stock;
use crate::support::{Api, PROTOBUF, Prepared, Push, header, problem};

const CARTS: &str = "carts";
const URL: &str = "/v1/carts/k-1";

/// Commits a cart with these lines, and returns what would be pushed, and the token of it.
async fn commit_cart(api: &Api, lines: &[(&str, u32)]) -> (Push, String) {
    let owner = api.database.owner().await;
    let sql = "UPDATE read.checkpoint SET next_offset = next_offset + 1 \
               WHERE projection = 'carts' AND generation = 1 AND service = 'cart' AND partition = 1 RETURNING next_offset";
    let to: i64 = owner.query_one(sql, &[]).await.expect("the owner may").get(0);
    let line = |(sku, quantity): &(&str, u32)| CartLineParts { sku: (*sku).to_owned(), quantity: *quantity, ..Default::default() };
    let lines = lines.iter().map(line).collect();
    let cart = CartParts { cart_id: "k-1".into(), owner: "g-1".into(), status: CartStatus::Open.into(), lines, ..Default::default() };
    let bytes = cart.encode_to_vec();
    let sql = "INSERT INTO read.carts_1 (key, part, bytes, service, stream_id, partition, \"offset\") VALUES ('k-1', 'cart', $1, 'cart', 'cart/k-1', 1, 0) \
               ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes";
    owner.execute(sql, &[&bytes]).await.expect("the owner may");
    (Push::new("cart", 1, to - 1, to).with("k-1", "cart", Content::Bytes(bytes)), format!("cart/1:{}@1", to - 1))
}

/// Commits and pushes a cart with these lines, and returns the token of that.
pub(crate) async fn put_cart(api: &Api, lines: &[(&str, u32)]) -> String {
    let (push, token) = commit_cart(api, lines).await;
    api.push_in(CARTS, push).await;
    token
}

fn product(sku: &str, price: Price) -> ProductPage {
    let list = price.list.clone().expect("a price");
    ProductPage {
        sku: sku.into(),
        title: format!("Title of {sku}"),
        description: "What no cart shows.".into(),
        price: Some(list.clone()),
        prices: [(list.currency, price)].into(),
        ..Default::default()
    }
}

/// Commits and pushes the details of a product, and returns the token of that.
async fn put_product(api: &Api, page: &ProductPage) -> String {
    let (from, epoch) = api.checkpoint("catalog", 1).await;
    let bytes = api.write(&page.sku, "details", page).await;
    api.move_silently("catalog", 1, from + 1, epoch).await;
    api.push_in("product-pages", Push::new("catalog", 1, from, from + 1).with(&page.sku, "details", Content::Bytes(bytes))).await;
    format!("catalog/1:{from}@{epoch}")
}

async fn put_price(api: &Api, sku: &str, minor_units: i64) -> String {
    put_product(api, &product(sku, Price { list: Some(money("EUR", minor_units)), sale: None })).await
}

/// Two lines, of products that are sold.
async fn held() -> Api {
    let api = Api::new().await;
    put_price(&api, "A-1", 1999).await;
    put_price(&api, "B-2", 5).await;
    put_stock(&api, "A-1", 7).await;
    put_cart(&api, &[("A-1", 2), ("B-2", 3)]).await;
    cart(&api, "").await;
    api
}

async fn ask(api: &Api, token: &str) -> Response {
    let request = api.get(URL).header("prefer", "wait=30");
    let request = if token.is_empty() { request } else { request.header("consistency-token", token) };
    request.send().await.expect("it answers")
}

async fn cart(api: &Api, token: &str) -> Value {
    let answer = ask(api, token).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

fn total(cart: &Value) -> &str {
    cart["total"]["minorUnits"].as_str().expect("a total")
}

#[tokio::test]
async fn a_page_is_filled_and_finished_in_both_forms() {
    let api = held().await;
    let shown = cart(&api, "").await;
    let line = |sku: &str, quantity: u32, price: &str, available: u32, total: &str| {
        json!({ "sku": sku, "quantity": quantity, "price": { "currency": "EUR", "minorUnits": price }, "title": format!("Title of {sku}"), "image": "",
            "available": available, "total": { "currency": "EUR", "minorUnits": total } })
    };
    assert_eq!(shown["lines"], json!([line("A-1", 2, "1999", 7, "3998"), line("B-2", 3, "5", 0, "15")]));
    assert_eq!(
        (&shown["cartId"], &shown["status"], total(&shown), &shown["complete"]),
        (&"k-1".into(), &"CART_STATUS_OPEN".into(), "4013", &true.into())
    );
    assert_eq!(shown.get("owner"), None, "what is for the engine alone is not shown");
    let answer = api.get(URL).header("accept", PROTOBUF).send().await.expect("it answers");
    let page = CartPage::decode(answer.bytes().await.expect("a body")).expect("a page");
    assert_eq!((page.lines.len(), page.total), (2, Some(money("EUR", 4013))));
}

#[tokio::test]
async fn a_product_that_is_not_sold_is_in_no_total_until_it_is() {
    let api = held().await;
    put_cart(&api, &[("A-1", 1), ("Z-9", 1)]).await;
    let shown = cart(&api, "").await;
    assert_eq!((total(&shown), &shown["complete"], &shown["lines"][1]["available"]), ("1999", &false.into(), &0.into()));
    assert_eq!(shown["lines"][1].get("price"), None);
    let token = put_price(&api, "Z-9", 1).await;
    let shown = cart(&api, &token).await;
    assert_eq!((total(&shown), &shown["complete"]), ("2000", &true.into()));
}

#[tokio::test]
async fn nothing_under_a_key_is_nothing_whatever_could_fill_it() {
    let api = held().await;
    for _ in 0..2 {
        problem(api.get("/v1/carts/k-2").send().await.expect("it answers"), 404).await;
    }
}

#[tokio::test]
async fn what_is_pushed_of_the_page_or_of_what_fills_it_shows_at_once_without_another_look() {
    let api = held().await;
    let before = api.api.loads();
    for n in 1..=20_i64 {
        let token = put_price(&api, "A-1", n).await;
        assert_eq!(total(&cart(&api, &token).await), (2 * n + 15).to_string());
        // Also for one without a token: it was taken in.
        assert_eq!(total(&cart(&api, "").await), (2 * n + 15).to_string());
    }
    let token = put_stock(&api, "B-2", 9).await;
    assert_eq!(cart(&api, &token).await["lines"][1]["available"], 9);
    let token = put_cart(&api, &[("B-2", 1)]).await;
    assert_eq!(total(&cart(&api, &token).await), "5");
    assert_eq!(api.api.loads() - before, 1, "other lines are filled by another view, which was read once");
}

#[tokio::test]
async fn who_has_tokens_of_both_is_shown_what_they_stand_for() {
    let api = held().await;
    for n in 1..=10_u32 {
        let (push, token) = commit_cart(&api, &[("A-1", n), ("B-2", 1)]).await;
        let ((), stock, answer) = tokio::join!(api.push_of(CARTS, push), put_stock(&api, "B-2", n), ask(&api, &token));
        let shown: Value = answer.json().await.expect("JSON");
        assert_eq!(shown["lines"][0]["quantity"], n);
        let shown = cart(&api, &format!("{token}, {stock}")).await;
        assert_eq!((&shown["lines"][0]["quantity"], &shown["lines"][1]["available"]), (&n.into(), &n.into()));
    }
}

#[tokio::test]
async fn a_page_has_a_tag_that_holds_until_something_in_it_changes_and_says_all_its_positions() {
    let api = held().await;
    let get = |tag: &str| api.get(URL).header("if-none-match", tag.to_owned()).send();
    let first = get("").await.expect("it answers");
    let tag = header(&first, "etag").to_owned();
    let positions = header(&first, "consistency-position").to_owned();
    assert!(
        positions.contains("cart/1:0@1") && positions.contains("catalog/1:1@1") && positions.contains("inventory/2:0@1"),
        "{positions}"
    );
    assert_eq!(get(&tag).await.expect("it answers").status(), 304);
    // Of what it does not show nothing changes.
    let other = ProductPage { description: "Other words.".into(), ..product("B-2", Price { list: Some(money("EUR", 5)), sale: None }) };
    put_product(&api, &other).await;
    assert_eq!(get(&tag).await.expect("it answers").status(), 304);
    let token = put_price(&api, "B-2", 6).await;
    let changed = api.get(URL).header("if-none-match", &tag).header("consistency-token", &token).send().await.expect("it answers");
    assert_eq!(changed.status(), 200);
    assert_ne!(header(&changed, "etag"), tag);
    assert!(header(&changed, "consistency-position").contains(&token));
}

#[tokio::test]
async fn who_follows_a_page_hears_of_what_fills_it_and_of_what_comes_to_fill_it() {
    let api = held().await;
    let mut events = Events::new(api.get("/v1/carts/k-1/events").send().await.expect("it answers"));
    let first = events.next().await.expect("an event");
    assert_eq!((first.name.as_str(), total(&first.data)), ("state", "4013"));
    assert!(first.id.expect("an id").contains("cart/1:0@1"));
    put_price(&api, "A-1", 1).await;
    assert_eq!(total(&events.next().await.expect("an event").data), "17");
    put_cart(&api, &[("A-1", 2), ("B-2", 3), ("C-3", 1)]).await;
    assert_eq!(events.next().await.expect("an event").data["complete"], false);
    put_price(&api, "C-3", 100).await;
    assert_eq!(total(&events.next().await.expect("an event").data), "117");
    put_cart(&api, &[("B-2", 1)]).await;
    assert_eq!(total(&events.next().await.expect("an event").data), "5");
    // Of what fills it no more, nothing is heard.
    put_price(&api, "A-1", 2).await;
    put_price(&api, "B-2", 4).await;
    assert_eq!(total(&events.next().await.expect("an event").data), "4");
}

#[tokio::test]
async fn a_page_changes_by_itself_when_its_time_has_come() {
    let api = held().await;
    let mut events = Events::new(api.get("/v1/carts/k-1/events").send().await.expect("it answers"));
    events.next().await;
    let ends_at = daybook_kernel::Instant::from(chrono::Utc::now() + chrono::TimeDelta::milliseconds(1_500));
    let sale = Sale { minor_units: 999, starts_at: None, ends_at: Some(ends_at.to_proto()) };
    let token = put_product(&api, &product("A-1", Price { list: Some(money("EUR", 1999)), sale: Some(sale) })).await;
    let before = api.api.loads();
    assert_eq!(total(&cart(&api, &token).await), "2013");
    assert_eq!(total(&events.next().await.expect("an event").data), "2013");
    // Nothing happens but that time goes by.
    assert_eq!(total(&events.next().await.expect("an event").data), "4013");
    assert_eq!(total(&cart(&api, "").await), "4013");
    assert_eq!(api.api.loads(), before);
    assert!(chrono::Utc::now() >= ends_at.to_utc(), "not before");
}

#[tokio::test]
async fn what_a_parked_stream_fills_in_says_so() {
    let api = Api::new().await;
    put_price(&api, "A-1", 1999).await;
    api.write("A-1", "stock/w", &ProductPage::default()).await;
    put_cart(&api, &[("A-1", 1)]).await;
    let parked = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                  VALUES ('product-pages', 1, 'inventory', 2, 'stock/w', 0, 'unknown event')";
    api.database.owner().await.batch_execute(parked).await.expect("the owner may");
    assert_eq!(header(&ask(&api, "").await, "daybook-stale"), "stock/w");
}

#[tokio::test]
async fn a_push_that_is_lost_of_what_fills_a_page_is_found_by_the_next_one() {
    let api = held().await;
    let mut events = Events::new(api.get("/v1/carts/k-1/events").send().await.expect("it answers"));
    events.next().await;
    let (from, epoch) = api.checkpoint("catalog", 1).await;
    api.write("A-1", "details", &product("A-1", Price { list: Some(money("EUR", 1)), sale: None })).await;
    api.move_silently("catalog", 1, from + 2, epoch).await;
    api.push_in("product-pages", Push::new("catalog", 1, from + 1, from + 2)).await;
    assert_eq!(total(&cart(&api, "").await), "17", "what was held before the gap is not shown");
    assert_eq!(total(&events.next().await.expect("an event").data), "17");
}

#[tokio::test]
async fn without_kafka_pages_and_what_fills_them_are_read_through() {
    // Nobody listens there.
    let api = Api::begin(Prepared::new().await, |config| config.bus.brokers = "127.0.0.1:1".to_owned()).await;
    commit_cart(&api, &[("A-1", 2)]).await;
    for n in 1..3_i64 {
        api.write("A-1", "details", &product("A-1", Price { list: Some(money("EUR", n)), sale: None })).await;
        assert_eq!(total(&cart(&api, "").await), (2 * n).to_string());
    }
}

#[tokio::test]
async fn the_past_of_a_page_that_is_filled_when_it_is_read_is_refused_with_the_reason() {
    let api = Api::with(|config| config.past = Some(Arc::new(|_, _, _| Box::pin(async { Ok(None) })))).await;
    put_cart(&api, &[("A-1", 1)]).await;
    let answer = api.get("/v1/carts/k-1?at=2026-01-01T00:00:00Z").timeout(Duration::from_secs(30)).send().await.expect("it answers");
    let refused = problem(answer, 400).await;
    let why = refused["errors"][0]["message"].as_str().expect("a message");
    assert!(why.contains("product-pages"), "{refused}");
}
