//! Pages of lists are held in memory, filled, and changed by pushes; nobody is shown what is old.

use daybook_proto::v1::part_change::Content;
use daybook_testkit::eventually;
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::Value;
use shop_proto::read::v1::{ProductPage, StockLine};

use crate::lists::{LISTS, numbered, skus};
use crate::support::{Api, Prepared, Push, header, problem};

const URL: &str = "/v1/category-listings/Home?page_size=3";

/// Five products, of which a page shows three.
async fn held() -> Api {
    let api = Api::new().await;
    api.put_list("Home", numbered(1..6)).await;
    api.page("Home", "page_size=3").await;
    api
}

async fn ask(api: &Api, token: &str) -> Response {
    api.get(URL).header("consistency-token", token).header("prefer", "wait=30").send().await.expect("it answers")
}

fn titles(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|i| i["title"].as_str().expect("a text")).collect()
}

/// Commits and pushes what is in stock of a product, and returns the token of that.
pub(crate) async fn put_stock(api: &Api, sku: &str, on_hand: u32) -> String {
    let (from, epoch) = api.checkpoint("inventory", 2).await;
    let line = StockLine { warehouse: "w".into(), on_hand, reserved: 0, available: on_hand };
    let bytes = api.write(sku, "stock/w", &ProductPage { stock: vec![line], ..Default::default() }).await;
    api.move_silently("inventory", 2, from + 1, epoch).await;
    api.push(Push::new("inventory", 2, from, from + 1).with(sku, "stock/w", Content::Bytes(bytes))).await;
    format!("inventory/2:{from}@{epoch}")
}

/// What fills the list gets from one position of the list's partition to another; nothing of it changes by that.
async fn fold_silently(api: &Api, from: i64, next: i64) {
    api.move_silently("catalog", 1, next, 1).await;
    api.push_in("product-pages", Push::new("catalog", 1, from, next)).await;
}

#[tokio::test]
async fn a_page_and_what_fills_it_are_read_once_however_many_ask_and_then_no_more() {
    let api = Api::new().await;
    api.put_list("Home", numbered(1..6)).await;
    let before = api.api.loads();
    join_all((0..20).map(|_| api.page("Home", "page_size=3"))).await;
    assert_eq!(api.api.loads() - before, 2);
    // What is pushed is served without another look: of the list, and of what its items are filled with.
    let push = api.commit("Home", &[("A-002", Some("Lamp"))]).await;
    api.push_in(LISTS, push).await;
    let page = api.page("Home", "page_size=3").await;
    assert_eq!(titles(&page), ["Title of A-001", "Lamp", "Title of A-003"]);
    let token = put_stock(&api, "A-003", 7).await;
    let page: Value = ask(&api, &token).await.json().await.expect("JSON");
    assert_eq!(page["items"][2]["stock"][0]["onHand"], 7);
    assert_eq!(api.api.loads() - before, 2);
}

#[tokio::test]
async fn who_has_a_token_is_shown_what_it_stands_for_whatever_is_pushed_meanwhile() {
    let api = held().await;
    for n in 1..=20_u32 {
        let title = n.to_string();
        let push = api.commit("Home", &[("A-001", Some(&title))]).await;
        let (from, to) = (push.marker.from, push.marker.to);
        let token = format!("catalog/1:{from}@1");
        // What fills the list reads the products too, and a token is waited for in both.
        let folded = fold_silently(&api, from, to);
        let ((), (), stock, page) = tokio::join!(folded, api.push_of(LISTS, push), put_stock(&api, "A-002", n), ask(&api, &token));
        assert_eq!(page.status(), 200);
        assert_eq!(titles(&page.json().await.expect("JSON"))[0], title);
        let page: Value = ask(&api, &format!("{token}, {stock}")).await.json().await.expect("JSON");
        assert_eq!((titles(&page)[0], &page["items"][1]["stock"][0]["onHand"]), (title.as_str(), &n.into()));
    }
}

#[tokio::test]
async fn a_page_from_memory_is_the_one_that_would_be_read_whatever_comes_and_goes() {
    let api = held().await;
    for (sku, title) in [("A-000", Some("first")), ("A-002", None), ("A-009", Some("last")), ("A-001", None), ("A-003", Some("again"))] {
        let push = api.commit("Home", &[(sku, title)]).await;
        api.push_in(LISTS, push).await;
        // A page of another size that begins there too was not held.
        for size in [3, 100] {
            let page = api.page("Home", &format!("page_size={size}")).await;
            let owner = api.database.owner().await;
            let sql = "SELECT substr(part, 7) FROM read.category_listings_1 WHERE key = 'Home' ORDER BY part LIMIT $1";
            let rows = owner.query(sql, &[&i64::from(size)]).await.expect("the owner may");
            assert_eq!(skus(&page), rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>(), "{sku}");
            assert_eq!(page["nextPageToken"] == "", size == 100, "{sku}");
        }
    }
}

#[tokio::test]
async fn a_page_from_memory_has_a_tag_that_holds_until_it_changes_and_says_its_positions() {
    let api = held().await;
    // What fills it has folded that too.
    fold_silently(&api, 0, 1).await;
    let get = |tag: String| api.get(URL).header("if-none-match", tag).send();
    let first = get(String::new()).await.expect("it answers");
    let tag = header(&first, "etag").to_owned();
    assert!(header(&first, "consistency-position").contains("catalog/1:0@1"), "{first:?}");
    assert!(header(&first, "consistency-position").contains("inventory/2:-1@1"), "what fills it counts: {first:?}");
    assert_eq!(get(tag.clone()).await.expect("it answers").status(), 304);
    let token = put_stock(&api, "A-001", 1).await;
    let changed = api.get(URL).header("if-none-match", &tag).header("consistency-token", &token).send().await.expect("it answers");
    assert_eq!(changed.status(), 200);
    assert_ne!(header(&changed, "etag"), tag);
    assert!(header(&changed, "consistency-position").contains(&token));
}

#[tokio::test]
async fn a_list_filled_by_a_model_that_is_further_on_claims_no_more_than_it_shows() {
    let api = held().await;
    // What fills it has folded the product's next event, which the list has not.
    fold_silently(&api, 0, 2).await;
    let claimed = |answer: &Response| -> Vec<String> {
        let positions = header(answer, "consistency-position").split(", ");
        positions.filter(|position| position.starts_with("catalog/1:")).map(str::to_owned).collect()
    };
    // Read, and from memory.
    for url in ["/v1/category-listings/Home?page_size=2", "/v1/category-listings/Home?page_size=2", URL] {
        let answer = api.get(url).send().await.expect("it answers");
        assert_eq!(claimed(&answer), ["catalog/1:0@1"]);
        assert_eq!(titles(&answer.json().await.expect("JSON"))[0], "Title of A-001");
    }
    let push = api.commit("Home", &[("A-001", Some("Lamp"))]).await;
    api.push_in(LISTS, push).await;
    let answer = api.get(URL).send().await.expect("it answers");
    assert_eq!(claimed(&answer), ["catalog/1:1@1"]);
    assert_eq!(titles(&answer.json().await.expect("JSON"))[0], "Lamp");
}

#[tokio::test]
async fn what_a_parked_stream_fills_in_says_so() {
    let api = Api::new().await;
    api.put_list("Home", numbered(1..3)).await;
    api.write("A-001", "stock/w", &ProductPage::default()).await;
    let parked = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                  VALUES ('product-pages', 1, 'inventory', 2, 'stock/w', 0, 'unknown event')";
    api.database.owner().await.batch_execute(parked).await.expect("the owner may");
    let answer = api.get("/v1/category-listings/Home").send().await.expect("it answers");
    assert_eq!(header(&answer, "daybook-stale"), "stock/w");
}

#[tokio::test]
async fn a_push_of_a_list_that_is_lost_is_found_by_the_next_one() {
    let api = held().await;
    let _lost = api.commit("Home", &[("A-001", Some("Lost"))]).await;
    let push = api.commit("Home", &[]).await;
    api.push_in(LISTS, push).await;
    assert_eq!(titles(&api.page("Home", "page_size=3").await)[0], "Lost", "what was held before the gap is not shown");
}

#[tokio::test]
async fn without_kafka_lists_are_read_through() {
    // Nobody listens there.
    let api = Api::begin(Prepared::new().await, |config| config.bus.brokers = "127.0.0.1:1".to_owned()).await;
    for title in ["one", "two"] {
        api.commit("Home", &[("A-001", Some(title))]).await;
        assert_eq!(titles(&api.page("Home", "page_size=3").await), [title]);
    }
}

#[tokio::test]
async fn a_database_that_lags_behind_a_token_or_what_was_shown_is_not_believed() {
    let api = held().await;
    fold_silently(&api, 0, 3).await;
    // Pushes are further than the database that is read, as beside a replica.
    let lost = Push::new("catalog", 1, 1, 3);
    api.push_in(LISTS, lost).await;
    let url = "/v1/category-listings/Garden";
    for token in [None, Some("catalog/1:2@1")] {
        let request = token.into_iter().fold(api.get(url), |request, token| request.header("consistency-token", token));
        let answer = request.send().await.expect("it answers");
        assert_eq!(header(&answer, "retry-after"), "1");
        problem(answer, 503).await;
    }
    // What is held was pushed that far, and is shown.
    assert_eq!(ask(&api, "catalog/1:2@1").await.status(), 200);
    for _ in 0..2 {
        api.commit("Garden", &[("A-001", Some("there"))]).await;
    }
    eventually("the database to be believed", || async {
        (api.get(url).header("consistency-token", "catalog/1:2@1").send().await.expect("it answers").status() == 200).then_some(())
    })
    .await;
    assert_eq!(titles(&api.page("Garden", "").await), ["there"]);
}
