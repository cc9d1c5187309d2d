//! Lists: a page at a time, stable while things change, filled in from another read model.

use std::collections::BTreeSet;

use daybook_proto::v1::part_change::Content;
use prost::Message as _;
use serde_json::Value;
use shop_proto::read::v1::{CategoryItem, CategoryListing};

use crate::support::{Api, PROTOBUF, Push, header, problem};

pub(crate) const LISTS: &str = "category-listings";

/// A product in a list; none: it is gone from there.
type Listed<'a> = (&'a str, Option<&'a str>);

impl Api {
    /// A list of these SKUs, in this order, pushed.
    pub(crate) async fn put_list(&self, category: &str, skus: impl IntoIterator<Item = String>) {
        let listed: Vec<(String, String)> = skus.into_iter().map(|sku| (format!("Title of {sku}"), sku)).collect();
        let listed: Vec<Listed<'_>> = listed.iter().map(|(title, sku)| (sku.as_str(), Some(title.as_str()))).collect();
        let push = self.commit(category, &listed).await;
        self.push_in(LISTS, push).await;
    }

    async fn remove_from_list(&self, category: &str, sku: &str) {
        let push = self.commit(category, &[(sku, None)]).await;
        self.push_in(LISTS, push).await;
    }

    /// Commits changes of a list, as a projector does, and returns the batch that it would push.
    pub(crate) async fn commit(&self, category: &str, listed: &[Listed<'_>]) -> Push {
        let mut owner = self.database.owner().await;
        let transaction = owner.transaction().await.expect("it begins");
        let sql = "UPDATE read.checkpoint SET next_offset = next_offset + 1 \
                   WHERE projection = 'category-listings' AND generation = 1 AND service = 'catalog' AND partition = 1 RETURNING next_offset";
        let to: i64 = transaction.query_one(sql, &[]).await.expect("the owner may").get(0);
        let mut push = Push::new("catalog", 1, to - 1, to);
        for (sku, title) in listed {
            let (part, stream) = (format!("title/{sku}"), format!("product/{sku}"));
            let content = match title {
                Some(title) => {
                    let item = CategoryItem { title: (*title).to_owned(), sku: (*sku).to_owned(), ..Default::default() };
                    let bytes = CategoryListing { items: vec![item] }.encode_to_vec();
                    let sql = "INSERT INTO read.category_listings_1 (key, part, bytes, service, stream_id, partition, \"offset\") \
                               VALUES ($1, $2, $3, 'catalog', $4, 1, 0) ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes";
                    transaction.execute(sql, &[&category, &part, &bytes, &stream]).await.expect("the owner may");
                    Content::Bytes(bytes)
                }
                None => {
                    let sql = "DELETE FROM read.category_listings_1 WHERE key = $1 AND part = $2";
                    assert_eq!(transaction.execute(sql, &[&category, &part]).await.expect("the owner may"), 1);
                    Content::Removed(true)
                }
            };
            push = push.with(category, &part, content);
        }
        transaction.commit().await.expect("it commits");
        push
    }

    pub(crate) async fn page(&self, category: &str, query: &str) -> Value {
        let answer = self.get(&format!("/v1/category-listings/{category}?{query}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }
}

pub(crate) fn skus(page: &Value) -> Vec<String> {
    page["items"].as_array().expect("items").iter().map(|i| i["sku"].as_str().expect("a text").to_owned()).collect()
}

pub(crate) fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("A-{n:03}")).collect()
}

#[tokio::test]
async fn pages_together_are_the_list() {
    let api = Api::new().await;
    api.put_list("Home%2FLamps".replace("%2F", "/").as_str(), numbered(0..45)).await;
    let (mut all, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.page("Home%2FLamps", &format!("page_size=10&page_token={token}")).await;
        all.extend(skus(&page));
        pages += 1;
        token = page["nextPageToken"].as_str().expect("a text").to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((all, pages), (numbered(0..45), 5));
    assert_eq!(skus(&api.page("Home%2FLamps", "").await).len(), 20, "what a client gets that does not say");
}

#[tokio::test]
async fn what_stood_all_the_time_is_shown_once_whatever_comes_and_goes() {
    let api = Api::new().await;
    api.put_list("Home", numbered(0..40).into_iter().step_by(2)).await;
    let first = api.page("Home", "page_size=8").await;
    // Before, at and behind the place where the page ended.
    api.put_list("Home", ["A-001", "A-015", "A-021"].map(str::to_owned)).await;
    for gone in ["A-014", "A-002", "A-020"] {
        api.remove_from_list("Home", gone).await;
    }
    let token = first["nextPageToken"].as_str().expect("there is more");
    let rest = api.page("Home", &format!("page_size=100&page_token={token}")).await;
    let seen: Vec<String> = skus(&first).into_iter().chain(skus(&rest)).collect();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "nothing twice: {seen:?}");
    for stood in numbered(0..40).into_iter().step_by(2).filter(|s| !["A-014", "A-002", "A-020"].contains(&s.as_str())) {
        assert!(seen.contains(&stood), "{stood} is missing: {seen:?}");
    }
    assert!(seen.contains(&"A-015".to_owned()), "what was added behind the page is shown");
}

#[tokio::test]
async fn a_list_without_parts_is_empty_and_no_404() {
    let api = Api::new().await;
    assert_eq!(api.page("Nothing", "").await, serde_json::json!({ "items": [], "nextPageToken": "" }));
}

#[tokio::test]
async fn items_are_filled_from_the_other_read_model() {
    let api = Api::new().await;
    api.put_page("A-001").await;
    api.put_list("Home", numbered(1..3)).await;
    let page = api.page("Home", "").await;
    let stock = page["items"][0]["stock"].as_array().expect("a list");
    assert_eq!(stock.iter().map(|s| s["warehouse"].as_str().expect("a text")).collect::<Vec<_>>(), ["B", "a"]);
    assert_eq!(page["items"][1]["stock"], serde_json::json!([]), "it has no page");

    let answer = api.get("/v1/category-listings/Home?page_size=1").header("Accept", PROTOBUF).send().await.expect("an answer");
    assert_eq!(header(&answer, "content-type"), PROTOBUF);
    assert!(!header(&answer, "next-page-token").is_empty());
    let listing = CategoryListing::decode(answer.bytes().await.expect("a body")).expect("the stored message");
    assert_eq!((listing.items.len(), listing.items[0].stock.len()), (1, 2));
}

#[tokio::test]
async fn a_key_is_read_in_its_canonical_form_whichever_was_sent() {
    let api = Api::new().await;
    api.put_list("Café/Bar > Wall lamps", numbered(0..5)).await;
    let expected = api.page("Caf%C3%A9%2FBar%20%3E%20Wall%20lamps", "page_size=2").await;
    assert_eq!(expected["items"].as_array().expect("a list").len(), 2);
    let token = expected["nextPageToken"].as_str().expect("there is more");
    for sent in [
        "Caf%C3%A9%2FBar%3EWall%20lamps",
        "Caf%C3%A9%2FBar%3E%C2%A0Wall%20%20lamps",
        "%20Cafe%CC%81%2FBar%20%3E%09Wall%20lamps%0A",
        "%EF%BB%BFCafe%CC%81%2FBar%20%20%3EWall%E2%80%82lamps",
    ] {
        assert_eq!(api.page(sent, "page_size=2").await, expected, "{sent}");
        assert_eq!(
            api.page(sent, &format!("page_size=9&page_token={token}")).await["items"].as_array().expect("a list").len(),
            3,
            "{sent}"
        );
        let other = api.get(&format!("/v1/category-listings/{sent}/page?page_size=2")).send().await.expect("an answer");
        assert_eq!(other.json::<Value>().await.expect("JSON"), expected, "{sent}");
    }
    // What is another category stays one, and what is none is told.
    assert_eq!(api.page("caf%C3%A9%2FBar%20%3E%20Wall%20lamps", "").await["items"], serde_json::json!([]));
    for nothing in ["%20", "%E2%80%8B%C2%A0"] {
        let answer = api.get(&format!("/v1/category-listings/{nothing}")).send().await.expect("an answer");
        assert_eq!(problem(answer, 400).await["errors"][0]["field"], "key", "{nothing}");
    }
    // A key without a form is what was sent.
    api.put_page("A-1").await;
    let answer = api.get("/v1/product-pages/A-1%20").send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn a_bad_size_and_a_token_that_is_not_ours_are_400_and_named() {
    let api = Api::new().await;
    api.put_list("Home", numbered(0..5)).await;
    let token = api.page("Home", "page_size=2").await["nextPageToken"].as_str().expect("there is more").to_owned();
    for (path, field) in [
        ("Home?page_size=0".to_owned(), "page_size"),
        ("Home?page_size=101".to_owned(), "page_size"),
        ("Home?page_size=x".to_owned(), "page_size"),
        ("Home?page_token=made-up".to_owned(), "page_token"),
        (format!("Garden?page_token={token}"), "page_token"),
    ] {
        let answer = api.get(&format!("/v1/category-listings/{path}")).send().await.expect("an answer");
        assert_eq!(problem(answer, 400).await["errors"][0]["field"], field, "{path}");
    }
}

#[tokio::test]
async fn a_list_has_a_tag_that_holds_while_it_is_the_same() {
    let api = Api::new().await;
    api.put_list("Home", numbered(0..5)).await;
    let ask = |tag: String| api.get("/v1/category-listings/Home").header("If-None-Match", tag).send();
    let first = ask(String::new()).await.expect("an answer");
    let tag = header(&first, "etag").to_owned();
    assert_eq!(ask(tag.clone()).await.expect("an answer").status(), 304);
    api.put_list("Home", numbered(5..6)).await;
    assert_eq!(ask(tag).await.expect("an answer").status(), 200);
}

/// A statement's plan, its parameters put in as they are.
async fn plan(owner: &tokio_postgres::Client, statement: &str, parts: &str, values: &[&str]) -> String {
    let statement = values
        .iter()
        .enumerate()
        .rev()
        .fold(statement.replace("{parts}", parts), |sql, (n, value)| sql.replace(&format!("${}", n + 1), value));
    let rows = owner.query(&format!("EXPLAIN {statement}"), &[]).await.expect("it can be planned");
    rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_page_is_read_by_an_index_in_the_order_of_its_parts_and_so_is_what_fills_it() {
    let api = Api::new().await;
    let owner = api.database.owner().await;
    for parts in ["category_listings_1", "product_pages_1"] {
        let sql = format!(
            "INSERT INTO read.{parts} (key, part, bytes, service, stream_id, partition, \"offset\") \
             SELECT 'k-' || n % 20, 'stock/' || n, '\\x00', 'catalog', 's/' || n, 0, 0 FROM generate_series(1, 5000) AS n"
        );
        owner.batch_execute(&format!("{sql}; ANALYZE read.{parts}")).await.expect("the owner may");
    }
    let list = include_str!("../../src/store/sql/read_list.sql");
    let list = plan(&owner, list, "category_listings_1", &["'category-listings'", "1", "'k-3'", "'stock/2'", "21"]).await;
    assert!(list.contains("category_listings_1_pkey") && !list.contains("Seq Scan on category_listings_1"), "{list}");
    let page = list.split_once("Limit").expect("a page has an end").1;
    assert!(!page.contains("Sort"), "the index has the order: {list}");
    let fill = include_str!("../../src/store/sql/read_fill.sql");
    owner.batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off").await.expect("as the query API's connections");
    let fill = plan(&owner, fill, "product_pages_1", &["'product-pages'", "1", "ARRAY['k-1', 'k-2']", "'stock/'"]).await;
    assert!(fill.contains("product_pages_1_pkey") && !fill.contains("Seq Scan on product_pages_1"), "{fill}");
}
