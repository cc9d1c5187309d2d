//! A query API on a port of its own, and read models filled by hand.

use daybook_kernel::{ReadModel, Secret};
use daybook_projectors::{models::read_models, prepare};
use daybook_query_api::{QueryApi, QueryConfig, QueryModel};
use daybook_testkit::TestDatabase;
use prost::Message as _;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use shop_proto::common::v1::Money;
use shop_proto::read::v1::{ProductPage, StockLine};
use tokio::sync::watch;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";

pub(crate) struct Api {
    pub(crate) database: TestDatabase,
    pub(crate) address: String,
    pub(crate) api: QueryApi,
    pub(crate) client: reqwest::Client,
    _stop: watch::Sender<bool>,
}

/// The shop's read models, and a list.
fn models() -> Vec<ReadModel> {
    let pages = read_models().into_iter().find(|m| m.name == "product-pages").expect("the shop has pages");
    let list = ReadModel { name: "page-list", root: None, ..pages.clone() };
    vec![pages, list]
}

impl Api {
    /// Read models of 4 partitions a service, with nothing in them.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::migrated(&["catalog", "inventory"], 4).await;
        prepare(&database.databases(), &daybook_testkit::bus(), &models()).await.expect("the logs are there");
        Self::on(database).await
    }

    pub(crate) async fn on(database: TestDatabase) -> Self {
        let (stop, shutdown) = daybook_http::shutdown();
        let listening = daybook_http::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let address = format!("http://{}", listening.address());
        let models = models().iter().map(QueryModel::from).collect();
        let config = QueryConfig::new(&database.url, models, shop_proto::descriptors().clone(), Secret::new([7; 32]));
        let api = QueryApi::start(config, listening, shutdown).await.expect("it starts");
        Self { database, address, api, client: reqwest::Client::new(), _stop: stop }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.address))
    }

    /// Another writer's part.
    pub(crate) async fn put(&self, key: &str, part: &str, message: &ProductPage) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let (service, partition) = if part.starts_with("stock") { ("inventory", 2) } else { ("catalog", 1) };
        let sql = "INSERT INTO read.product_pages_1 (key, part, bytes, service, stream_id, partition, \"offset\") VALUES ($1, $2, $3, $4, $2, $5, 0) \
                   ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes";
        let owner = self.database.owner().await;
        owner.execute(sql, &[&key, &part, &bytes, &service, &partition]).await.expect("the owner may");
        bytes
    }

    /// A page of details and two warehouses; the stored bytes, in the order of the parts.
    pub(crate) async fn put_page(&self, sku: &str) -> Vec<u8> {
        let details = ProductPage {
            sku: sku.into(),
            title: "Cable".into(),
            price: Some(Money { currency: "EUR".into(), minor_units: 1999 }),
            attributes: (0..20).map(|n| (format!("a{n}"), "x".to_owned())).collect(),
            ..Default::default()
        };
        let line = |warehouse: &str, on_hand| ProductPage {
            stock: vec![StockLine { warehouse: warehouse.into(), on_hand, reserved: 0, available: on_hand }],
            ..Default::default()
        };
        let first = self.put(sku, "details", &details).await;
        // Written last, served in between: byte order is not insertion order, and no locale's.
        let third = self.put(sku, "stock/a", &line("a", 1)).await;
        let second = self.put(sku, "stock/B", &line("B", 2)).await;
        [first, second, third].concat()
    }

    /// Moves a checkpoint of `product-pages`.
    pub(crate) async fn move_to(&self, service: &str, partition: i32, next: i64, epoch: i32) {
        let sql = "UPDATE read.checkpoint SET next_offset = $3, epoch = $4 WHERE projection = 'product-pages' AND service = $1 AND partition = $2";
        let moved = self.database.owner().await.execute(sql, &[&service, &partition, &next, &epoch]).await;
        assert_eq!(moved.expect("the owner may"), 1);
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name} in {:?}", response.headers())).to_str().expect("text")
}

/// The problem that a response must be.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let answered = response.status().as_u16();
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!((answered, &problem["status"]), (status, &status.into()), "{problem}");
    problem
}
