//! Searching over HTTP, from parts in the database.

use daybook_http::{Gate, Surface};
use daybook_kernel::Secret;
use daybook_projections::prepare;
use daybook_query_api::{QueryApi, QueryConfig, QueryModel};
use daybook_search::SearchSchema;
use daybook_testkit::{TestBus, TestDatabase, eventually};
use prost::Message as _;
use serde_json::{Value, json};
use shop_projectors::read_models;
use shop_proto::common::v1::Money;
use shop_proto::read::v1::{SearchedProduct, SearchedStock};
use tokio::sync::watch;

use crate::support::{header, problem};

pub(crate) fn schema() -> SearchSchema {
    SearchSchema {
        model: "products".into(),
        key: "sku".into(),
        root: "product".into(),
        stock: "stock/".into(),
        title: "title".into(),
        brand: "brand".into(),
        category: "category".into(),
        description: "description".into(),
        attributes: "attributes".into(),
        price: "price.minor_units".into(),
        currency: "price.currency".into(),
        language: None,
        created: "created_at".into(),
        quantity: "stock.available".into(),
        identifiers: vec!["gtins".into(), "manufacturer_number".into()],
        filters: vec!["colour".into(), "shoe size".into()],
        price_edges: vec![1_000],
        decimals: shop_proto::currency::decimals,
        default_currency: "EUR".into(),
    }
}

pub(crate) struct Searched {
    address: String,
    client: reqwest::Client,
    api: QueryApi,
    pub(crate) database: TestDatabase,
    _bus: TestBus,
    _stop: watch::Sender<bool>,
}

impl Searched {
    /// Five lamps, of which the cheapest is not in stock.
    pub(crate) async fn new() -> Self {
        let lamps: Vec<_> =
            (0..5_i64).map(|n| (product(&format!("L-{n}"), &format!("Lamp {n}"), 500 + n * 200), u32::from(n > 0))).collect();
        Self::of(&lamps).await
    }

    /// Products, each with how many there are of it.
    pub(crate) async fn of(products: &[(SearchedProduct, u32)]) -> Self {
        let database = TestDatabase::migrated(&["catalog", "inventory"], 4).await;
        let models: Vec<_> = read_models().into_iter().filter(|m| m.name == "products").collect();
        let bus = daybook_testkit::bus();
        prepare(&database.databases(), &bus, &models).await.expect("the logs are there");
        let owner = database.owner().await;
        for (product, available) in products {
            put(&owner, (&product.sku, "product", "catalog"), product, 0).await;
            put_stock(&owner, &product.sku, *available, 0).await;
        }
        let (stop, shutdown) = daybook_process::shutdown();
        let surface = Surface::bind("127.0.0.1:0".parse().expect("an address"), Gate::anonymous()).await.expect("a free port");
        let address = format!("http://{}/v1/products", surface.address());
        let models = models.iter().map(QueryModel::from).collect();
        let new = QueryConfig::new(&database.url, bus.clone(), models, shop_proto::descriptors().clone(), Secret::new([7; 32]));
        let api = QueryApi::start(QueryConfig { search: Some(schema()), ..new }, surface, shutdown).await.expect("it starts");
        let searched = Self { address, client: reqwest::Client::new(), api, database, _bus: bus, _stop: stop };
        eventually("the index is read", async || (searched.raw("/search").await.status() == 200).then_some(())).await;
        searched
    }

    pub(crate) async fn raw(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.address)).send().await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.raw(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }
}

/// A product of one brand, priced in euro cents.
pub(crate) fn product(sku: &str, title: &str, price: i64) -> SearchedProduct {
    let price = Some(Money { currency: "EUR".into(), minor_units: price });
    SearchedProduct { sku: sku.into(), title: title.into(), brand: "Lux".into(), price, ..Default::default() }
}

/// A product's part, as it is after the event at this offset.
pub(crate) async fn put_product(owner: &tokio_postgres::Client, sku: &str, title: &str, price: i64, offset: i64) {
    put(owner, (sku, "product", "catalog"), &product(sku, title, price), offset).await;
}

/// How many there are in the one warehouse.
pub(crate) async fn put_stock(owner: &tokio_postgres::Client, sku: &str, available: u32, offset: i64) {
    let stock = vec![SearchedStock { warehouse: "w".into(), available }];
    put(owner, (sku, "stock/w", "inventory"), &SearchedProduct { stock, ..Default::default() }, offset).await;
}

async fn put(owner: &tokio_postgres::Client, (key, part, service): (&str, &str, &str), message: &SearchedProduct, offset: i64) {
    let sql = "INSERT INTO read.products_1 (key, part, bytes, service, stream_id, partition, \"offset\") VALUES ($1, $2, $3, $4, $2, 0, $5) \
               ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes, \"offset\" = EXCLUDED.\"offset\"";
    owner.execute(sql, &[&key, &part, &message.encode_to_vec(), &service, &offset]).await.expect("the owner may");
}

pub(crate) fn skus(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().expect("items").iter().filter_map(|i| i["sku"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_holds_is_found_page_by_page_with_its_facets() {
    let searched = Searched::new().await;
    let first = searched.get("/search?q=lamps&page_size=3&facets=brand,price&sort=price_asc").await;
    assert_eq!((&first["total"], skus(&first)), (&json!(5), vec!["L-0", "L-1", "L-2"]));
    assert_eq!(first["facets"]["brand"], json!([{ "value": "Lux", "count": 5 }]));
    assert_eq!(first["facets"]["price"], json!([{ "from": "0", "to": "1000", "count": 3 }, { "from": "1000", "count": 2 }]));
    let cheapest = json!({ "sku": "L-0", "title": "Lamp 0", "brand": "Lux", "category": "", "inStock": false, "price": { "currency": "EUR", "minorUnits": "500" } });
    assert_eq!(first["items"][0], cheapest);
    let token = first["nextPageToken"].as_str().expect("there are more");
    let second = searched.get(&format!("/search?q=lamps&page_size=3&sort=price_asc&page_token={token}")).await;
    assert_eq!((skus(&second), second.get("nextPageToken")), (vec!["L-3", "L-4"], None));
    problem(searched.raw(&format!("/search?q=other&sort=price_asc&page_token={token}")).await, 400).await;

    assert_eq!(skus(&searched.get("/search?q=lamp").await).last(), Some(&"L-0"), "what is in stock first");
    assert_eq!(searched.get("/search?q=lmap").await["corrected"], "lamp");
    assert_eq!(searched.get("/search?q=nothing+like+it").await["items"], json!([]));
    assert_eq!(searched.get("/suggest?q=la").await["suggestions"][0], json!({ "kind": "query", "text": "lamp", "count": 5 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_conditional_and_consistent_as_pages_are() {
    let searched = Searched::new().await;
    let answer = searched.raw("/search?q=lamp").await;
    assert!(header(&answer, "consistency-position").contains("catalog/0:-1@1"), "{:?}", answer.headers());
    let (etag, control) = (header(&answer, "etag").to_owned(), header(&answer, "cache-control").to_owned());
    assert_eq!(control, "no-cache");
    let get = |name: &str, value: &str| searched.client.get(format!("{}/search?q=lamp", searched.address)).header(name, value).send();
    assert_eq!(get("If-None-Match", &etag).await.expect("an answer").status(), 304);
    assert_eq!(get("Consistency-Token", "catalog/0:-1@1").await.expect("an answer").status(), 200);
    problem(get("Consistency-Token", "catalog/9:0@1").await.expect("an answer"), 400).await;
    problem(get("Consistency-Token", "rubbish").await.expect("an answer"), 400).await;
    problem(get("Consistency-Token", "stored").await.expect("an answer"), 400).await;
    problem(get("Accept", "text/html").await.expect("an answer"), 406).await;
    let late =
        searched.client.get(format!("{}/search", searched.address)).header("Consistency-Token", "catalog/0:5@1").header("Prefer", "wait=0");
    let late = problem(late.send().await.expect("an answer"), 503).await;
    assert_eq!(late["positions"][0]["wanted"], 5);
    let wrong = problem(searched.raw("/search?sort=best").await, 400).await;
    assert_eq!(wrong["errors"][0]["field"], "sort");
    eventually("it is ready", || async { searched.api.readiness().await.is_whole().then_some(()) }).await;
}

/// What a read model has routes for is no reason to hide what is called so.
#[tokio::test]
async fn a_key_that_is_called_as_a_route_is_has_a_path_of_its_own() {
    let searched = Searched::new().await;
    let owner = searched.database.owner().await;
    for sku in ["search", "suggest", "page", "events", "A-1"] {
        put_product(&owner, sku, &format!("Lamp {sku}"), 500, 0).await;
        for path in [format!("/{sku}/page"), format!("/%{:02x}{}/page", sku.as_bytes()[0], &sku[1..])] {
            let page = searched.get(&path).await;
            assert_eq!((&page["sku"], &page["title"]), (&json!(sku), &json!(format!("Lamp {sku}"))), "{path}");
        }
    }
    for sku in ["page", "events", "A-1"] {
        assert_eq!(searched.get(&format!("/{sku}")).await["sku"], sku);
    }
    assert!(searched.get("/search").await["items"].is_array());
    assert!(searched.get("/suggest?q=la").await["suggestions"].is_array());
    problem(searched.raw("/nothing/page").await, 404).await;
    problem(searched.raw("/A-1/pages").await, 404).await;
    // A live query of it has three segments too, and was never hidden.
    let mut events = searched.raw("/search/events").await;
    let first = events.chunk().await.expect("it is sent").expect("at once");
    assert!(String::from_utf8_lossy(&first).contains("Lamp search"), "{first:?}");
}
