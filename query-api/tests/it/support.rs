//! A query API on a port of its own, and read models filled by hand.

use daybook_bus::{Headers, Producer, ProducerOptions, Record, headers};
use daybook_http::{Gate, Surface};
use daybook_kernel::{ReadModel, Secret};
use daybook_projections::prepare;
use daybook_proto::Named;
use daybook_proto::v1::{PartChange, PushMarker, part_change::Content};
use daybook_query_api::{QueryApi, QueryConfig, QueryModel};
use daybook_testkit::{TestBus, TestDatabase, eventually};
use prost::Message as _;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use shop_projectors::read_models;
use shop_proto::common::v1::Money;
use shop_proto::read::v1::{ProductPage, StockLine};
use tokio::sync::watch;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";

pub(crate) struct Api {
    pub(crate) database: TestDatabase,
    pub(crate) address: String,
    pub(crate) api: QueryApi,
    pub(crate) client: reqwest::Client,
    pub(crate) bus: TestBus,
    producer: Producer,
    stop: watch::Sender<bool>,
}

/// Read models of the shop, and a list.
fn models() -> Vec<ReadModel> {
    let of_shop = |name| read_models().into_iter().find(|m| m.name == name).expect("the shop has it");
    let pages = of_shop("product-pages");
    let list = ReadModel { name: "page-list", root: None, ..pages.clone() };
    vec![pages, list, of_shop("category-listings"), of_shop("carts")]
}

/// Read models in a database, and their topics.
pub(crate) struct Prepared {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
}

/// A free port behind a gate.
pub(crate) async fn surface(gate: Gate) -> Surface {
    Surface::bind("127.0.0.1:0".parse().expect("an address"), gate).await.expect("a free port")
}

impl Prepared {
    /// Of 4 partitions a service, with nothing in them.
    pub(crate) async fn new() -> Self {
        let (database, bus) = (TestDatabase::migrated(&["cart", "catalog", "inventory"], 4).await, daybook_testkit::bus());
        prepare(&database.databases(), &bus, &models()).await.expect("the logs are there");
        Self { database, bus }
    }
}

impl Api {
    /// Read models of 4 partitions a service, with nothing in them.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut QueryConfig)) -> Self {
        let api = Self::begin(Prepared::new().await, change).await;
        eventually("it to follow pushes", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
        api
    }

    /// In a database that may not have been migrated.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        Self::begin(Prepared { database, bus: daybook_testkit::bus() }, |_| {}).await
    }

    pub(crate) async fn begin(prepared: Prepared, change: impl FnOnce(&mut QueryConfig)) -> Self {
        Self::begin_on(surface(Gate::anonymous()).await, prepared, change).await
    }

    pub(crate) async fn begin_on(surface: Surface, prepared: Prepared, change: impl FnOnce(&mut QueryConfig)) -> Self {
        let Prepared { database, bus } = prepared;
        let (stop, shutdown) = daybook_process::shutdown();
        let address = format!("http://{}", surface.address());
        let models = models().iter().map(QueryModel::from).collect();
        let mut config = QueryConfig::new(&database.url, bus.clone(), models, shop_proto::descriptors().clone(), Secret::new([7; 32]));
        change(&mut config);
        let api = QueryApi::start(config, surface, shutdown).await.expect("it starts");
        let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
        Self { database, address, api, client: reqwest::Client::new(), bus, producer, stop }
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.address))
    }

    /// Another writer's part, written and pushed. The checkpoint stays where it is, as when a parked stream is mended.
    pub(crate) async fn put(&self, key: &str, part: &str, message: &ProductPage) -> Vec<u8> {
        let bytes = self.write(key, part, message).await;
        let (service, partition) = writer(part);
        let (at, _) = self.checkpoint(service, partition).await;
        self.push_in("product-pages", Push::new(service, partition, at, at).with(key, part, Content::Bytes(bytes.clone()))).await;
        bytes
    }

    /// A part, written and not pushed.
    pub(crate) async fn write(&self, key: &str, part: &str, message: &ProductPage) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let (service, partition) = writer(part);
        let sql = "INSERT INTO read.product_pages_1 (key, part, bytes, service, stream_id, partition, \"offset\") VALUES ($1, $2, $3, $4, $2, $5, 0) \
                   ON CONFLICT (key, part) DO UPDATE SET bytes = EXCLUDED.bytes";
        let owner = self.database.owner().await;
        owner.execute(sql, &[&key, &part, &bytes, &service, &partition]).await.expect("the owner may");
        bytes
    }

    /// Pushes a batch of `product-pages`.
    pub(crate) async fn push(&self, push: Push) {
        self.push_of("product-pages", push).await;
    }

    /// Pushes a batch of a read model.
    pub(crate) async fn push_of(&self, model: &str, push: Push) {
        let topic: std::sync::Arc<str> = self.bus.read(model).into();
        let record = |name: &'static str, value: Vec<u8>| Record {
            topic: topic.clone(),
            partition: push.marker.partition,
            key: "k".into(),
            headers: Headers::new().with(headers::CE_TYPE, name),
            value: Some(value.into()),
        };
        let changes = push.changes.iter().map(|c| record(PartChange::TYPE, c.encode_to_vec()));
        let records = changes.chain([record(PushMarker::TYPE, push.marker.encode_to_vec())]).collect();
        self.producer.send(records).await.expect("Kafka answers");
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

    /// As [`push_of`](Self::push_of), and waits until it was taken in.
    pub(crate) async fn push_in(&self, model: &str, push: Push) {
        let before = self.api.pushes();
        self.push_of(model, push).await;
        eventually("the push to be taken in", || async { (self.api.pushes() > before).then_some(()) }).await;
    }

    /// Where a checkpoint of `product-pages` stands: next offset and epoch.
    pub(crate) async fn checkpoint(&self, service: &str, partition: i32) -> (i64, i32) {
        let sql = "SELECT next_offset, epoch FROM read.checkpoint WHERE projection = 'product-pages' AND generation = 1 AND service = $1 AND partition = $2";
        let row = self.database.owner().await.query_one(sql, &[&service, &partition]).await.expect("there is one");
        (row.get(0), row.get(1))
    }

    /// Moves a checkpoint of `product-pages`, and pushes that nothing has changed up to there.
    pub(crate) async fn move_to(&self, service: &str, partition: i32, next: i64, epoch: i32) {
        let (from, _) = self.checkpoint(service, partition).await;
        self.move_silently(service, partition, next, epoch).await;
        self.push(Push::new(service, partition, from, next).in_epoch(epoch)).await;
    }

    /// Moves a checkpoint of `product-pages`, and pushes nothing.
    pub(crate) async fn move_silently(&self, service: &str, partition: i32, next: i64, epoch: i32) {
        let sql = "UPDATE read.checkpoint SET next_offset = $3, epoch = $4 WHERE projection = 'product-pages' AND service = $1 AND partition = $2";
        let moved = self.database.owner().await.execute(sql, &[&service, &partition, &next, &epoch]).await;
        assert_eq!(moved.expect("the owner may"), 1);
    }
}

/// A batch to be pushed.
pub(crate) struct Push {
    pub(crate) marker: PushMarker,
    pub(crate) changes: Vec<PartChange>,
}

impl Push {
    /// That nothing has changed.
    pub(crate) fn new(service: &str, partition: i32, from: i64, to: i64) -> Self {
        let batch = uuid::Uuid::new_v4().as_bytes().to_vec();
        let marker = PushMarker { generation: 1, service: service.into(), partition, epoch: 1, from, to, batch, changes: 0, hidden: None };
        Self { marker, changes: Vec::new() }
    }

    /// That this part is now so.
    pub(crate) fn with(mut self, key: &str, part: &str, content: Content) -> Self {
        self.changes.push(PartChange {
            key: key.into(),
            part: part.into(),
            generation: self.marker.generation,
            service: self.marker.service.clone(),
            partition: self.marker.partition,
            stream: part.into(),
            offset: (self.marker.to - 1).max(0),
            batch: self.marker.batch.clone(),
            content: Some(content),
            stale: false,
        });
        self.marker.changes += 1;
        self
    }

    pub(crate) fn in_epoch(mut self, epoch: i32) -> Self {
        self.marker.epoch = epoch;
        self
    }
}

/// The log partition that writes a part.
fn writer(part: &str) -> (&'static str, i32) {
    if part.starts_with("stock") { ("inventory", 2) } else { ("catalog", 1) }
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
