//! A shop's logs, filled by hand, read models that exist for their tests, and what the read schema holds of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use daybook_log::{AppendOutcome, Log, NewEvent, Page, PageHead, StoredEvent, Writer, WriterSessions};
use daybook_postgres::{OwnConnection, Role};
use daybook_projections::lifecycle::live_generation;
use daybook_projections::prepare;
use daybook_projections::rebuild::{RebuildOptions, RebuildProgress, Tail};
use daybook_proto::EventSet;
use daybook_replay::{RebuildReport, RebuildRequest, ReplayError, Then, rebuild};
use daybook_testkit::{TestBus, TestDatabase};
use shop_projectors::read_models;
use shop_proto::catalog::v1::{Media, ProductCategorized, ProductCreated, ProductEvent, ProductRetired, ProductRevised};
use shop_proto::inventory::v1::{StockEvent, StockReceived};
use shop_proto::read::v1::{ProductDetailsView, ProductPage};
use tokio_postgres::Client;

pub(crate) const SERVICES: [&str; 2] = ["catalog", "inventory"];

/// An event that a test wants to have happened.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    service: &'static str,
    pub(crate) stream: StreamId,
    type_name: String,
    payload: Vec<u8>,
}

fn fact<E: EventSet>(key: &str, event: impl Into<E>) -> Fact {
    let event = event.into();
    let stream = StreamId::new(E::AGGREGATE, key);
    Fact { service: E::SERVICE, stream, type_name: event.type_name().to_owned(), payload: event.encode_to_vec() }
}

pub(crate) fn created(sku: &str, title: &str, category: &str) -> Fact {
    let event = ProductCreated { sku: sku.into(), title: title.into(), category: category.into(), ..Default::default() };
    fact::<ProductEvent>(sku, event)
}

pub(crate) fn retitled(sku: &str, title: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductRevised { sku: sku.into(), title: Some(title.into()), ..Default::default() })
}

pub(crate) fn categorized(sku: &str, category: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductCategorized { sku: sku.into(), category: category.into() })
}

pub(crate) fn retired(sku: &str) -> Fact {
    fact::<ProductEvent>(sku, ProductRetired { sku: sku.into(), ..Default::default() })
}

pub(crate) fn received(sku: &str, warehouse: &str, quantity: u32) -> Fact {
    let event = StockReceived { sku: sku.into(), warehouse: warehouse.into(), quantity, ..Default::default() };
    fact::<StockEvent>(&format!("{sku}@{warehouse}"), event)
}

/// An event that no build of today knows.
pub(crate) fn unheard_of(sku: &str) -> Fact {
    Fact { service: "catalog", stream: StreamId::new("product", sku), type_name: "shop.catalog.v1.ProductSang".into(), payload: vec![8, 1] }
}

/// Every read model of the shop that reads these services alone, and some that show what those do not.
pub(crate) fn all_models() -> Vec<ReadModel> {
    let mut all = read_models();
    all.retain(|model| model.services().iter().all(|service| SERVICES.contains(service)));
    [all, vec![by_category(), titles()]].concat()
}

/// The shop's pages.
pub(crate) fn pages() -> ReadModel {
    read_models().into_iter().find(|m| m.name == "product-pages").expect("the shop has pages")
}

/// A list: a part a product, under its category.
pub(crate) fn by_category() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<ByCategory<1>>()
}

/// The same, folded by a newer build: titles of toys end with an exclamation mark.
pub(crate) fn by_category_with_marks() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<ByCategory<2>>()
}

/// The same, folded by a build that panics on the title "sour".
pub(crate) fn by_category_broken() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<ByCategory<3>>()
}

/// The same, with parts in another order than their streams: each is called as its product, read backwards.
pub(crate) fn by_category_backwards() -> ReadModel {
    ReadModel::of::<ProductPage>("by-category", None).with::<ByCategory<4>>()
}

struct ByCategory<const BUILD: u32>;

impl<const BUILD: u32> Projection for ByCategory<BUILD> {
    type Event = ProductEvent;
    type View = ProductDetailsView;
    type Model = ProductPage;

    const FOLD_VERSION: u32 = BUILD;

    fn fold(view: &mut ProductDetailsView, event: &ProductEvent, _: &EventAt<'_>) {
        let page = view.page.get_or_insert_default();
        view.shown = true;
        match event {
            ProductEvent::ProductCreated(e) => (page.sku, page.title, page.category) = (e.sku.clone(), e.title.clone(), e.category.clone()),
            ProductEvent::ProductCategorized(e) => page.category.clone_from(&e.category),
            ProductEvent::ProductRevised(e) => page.title = e.title.clone().unwrap_or_default(),
            ProductEvent::ProductRetired(_) => view.shown = false,
            _ => {}
        }
        assert_ne!(page.title, "can't be folded");
        assert!(BUILD != 3 || page.title != "sour", "this build is broken");
    }

    fn render(view: &ProductDetailsView, _: &StreamId) -> Vec<Part<ProductPage>> {
        let Some(page) = view.page.as_ref().filter(|_| view.shown) else { return Vec::new() };
        assert_ne!(page.title, "can't be rendered");
        let mark = if BUILD == 2 && page.category == "toys" { "!" } else { "" };
        let media = vec![Media { url: page.sku.clone(), alt: format!("{}{mark}", page.title), ..Default::default() }];
        let part = if BUILD == 4 { page.sku.chars().rev().collect() } else { page.sku.clone() };
        vec![Part { key: page.category.clone(), part, message: ProductPage { media, ..Default::default() } }]
    }
}

/// A read model whose view is its only part, and so is kept once.
pub(crate) fn titles() -> ReadModel {
    ReadModel::of::<ProductPage>("titles", Some("title")).with::<Titles>()
}

struct Titles;

impl Projection for Titles {
    type Event = ProductEvent;
    type View = ProductPage;
    type Model = ProductPage;

    fn fold(view: &mut ProductPage, event: &ProductEvent, at: &EventAt<'_>) {
        view.version = at.version.0;
        match event {
            ProductEvent::ProductCreated(e) => (view.sku, view.title) = (e.sku.clone(), e.title.clone()),
            ProductEvent::ProductRevised(e) => view.title = e.title.clone().unwrap_or_default(),
            ProductEvent::ProductRetired(_) => view.title.clear(),
            _ => {}
        }
    }

    fn render(view: &ProductPage, _: &StreamId) -> Vec<Part<ProductPage>> {
        let part = Part { key: view.sku.clone(), part: "title".to_owned(), message: view.clone() };
        if view.title.is_empty() { Vec::new() } else { vec![part] }
    }
}

/// A read model against the rules: every product writes the same part.
pub(crate) fn colliding() -> ReadModel {
    ReadModel::of::<ProductPage>("colliding", None).with::<Colliding>()
}

struct Colliding;

impl Projection for Colliding {
    type Event = ProductEvent;
    type View = ProductPage;
    type Model = ProductPage;

    fn fold(view: &mut ProductPage, _: &ProductEvent, at: &EventAt<'_>) {
        view.version = at.version.0;
    }

    fn render(view: &ProductPage, _: &StreamId) -> Vec<Part<ProductPage>> {
        vec![Part { key: "one".to_owned(), part: "for all".to_owned(), message: view.clone() }]
    }
}

/// Logs, a read schema and topics of a test's own.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    pub(crate) partitions: u32,
    sessions: WriterSessions,
    logs: BTreeMap<&'static str, Log>,
    lanes: BTreeMap<(&'static str, i32), (Writer, PageHead)>,
    versions: HashMap<StreamId, i64>,
}

impl Shop {
    pub(crate) async fn new(partitions: u32, model: &ReadModel) -> Self {
        let database = TestDatabase::migrated(&SERVICES, partitions).await;
        let bus = daybook_testkit::bus();
        prepare(&database.databases(), &bus, std::slice::from_ref(model)).await.expect("the logs are there");
        let mut logs = BTreeMap::new();
        for service in SERVICES {
            logs.insert(service, Log::open(&database.databases(), service, Role::Writer).await.expect("just migrated"));
        }
        Self { database, bus, partitions, sessions: WriterSessions::new(2), logs, lanes: BTreeMap::new(), versions: HashMap::new() }
    }

    /// Appends: a page a partition and call, in the order given. Answers with what stands.
    pub(crate) async fn append(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<StoredEvent> {
        let mut by_lane: BTreeMap<(&'static str, i32), Vec<NewEvent>> = BTreeMap::new();
        for fact in facts {
            let version = self.versions.entry(fact.stream.clone()).or_insert(0);
            *version += 1;
            by_lane.entry((fact.service, fact.stream.partition(self.partitions))).or_default().push(NewEvent {
                stream_id: fact.stream.as_str().to_owned(),
                version: *version,
                type_name: fact.type_name,
                payload: fact.payload,
                metadata: Vec::new(),
            });
        }
        let mut stored = Vec::new();
        for (at, events) in by_lane {
            stored.extend(self.append_page(at, events).await);
        }
        stored
    }

    /// An operator begins an epoch: by an opening page, without events.
    pub(crate) async fn begin_epoch(&mut self, at: (&'static str, i32), epoch: i32) {
        self.append_page(at, Vec::new()).await;
        self.lanes.get_mut(&at).expect("just opened").1.epoch = epoch;
        self.append_page(at, Vec::new()).await;
    }

    async fn append_page(&mut self, at: (&'static str, i32), events: Vec<NewEvent>) -> Vec<StoredEvent> {
        if !self.lanes.contains_key(&at) {
            let partition = self.logs[at.0].partition(at.1).expect("a partition");
            let writer = Writer::new(partition, &self.sessions).await.expect("the database answers");
            let head = writer.open(Writer::now()).await.expect("nobody else writes").head;
            self.lanes.insert(at, (writer, head));
        }
        let (writer, head) = self.lanes.get_mut(&at).expect("just opened");
        let page = Page::following(head, at.1, writer.name(), Writer::now(), head.message_offset + 1, events, Vec::new());
        assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
        *head = page.head().clone();
        page.stored_events().collect()
    }

    /// Something of everything: products that are created, renamed, moved and retired, and their stock.
    pub(crate) async fn trade(&mut self, products: u32, events: u32) {
        let mut random = 7_u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        self.append((0..products).map(|n| created(&format!("P-{n}"), "new", "toys"))).await;
        let mut left = events;
        while left > 0 {
            let facts: Vec<Fact> = (0..left.min(200))
                .map(|_| {
                    let (sku, n) = (format!("P-{}", next(products)), next(5));
                    match next(6) {
                        0 => categorized(&sku, &format!("category-{n}")),
                        1 if n == 0 => retired(&sku),
                        2 => received(&sku, &format!("w-{n}"), n + 1),
                        _ => retitled(&sku, &format!("title {n}")),
                    }
                })
                .collect();
            left -= left.min(200);
            self.append(facts).await;
        }
    }

    pub(crate) async fn reader(&self) -> OwnConnection {
        OwnConnection::new(&self.database.url, None, &[], "test").await.expect("the database answers")
    }

    /// The projectors of the live generation.
    pub(crate) async fn live(&self, model: &ReadModel) -> Tail {
        let reader = self.reader().await;
        let live = live_generation(&reader, model.name).await.expect("prepared");
        Tail::of(&self.database.databases(), model, &live).await.expect("the logs are there")
    }

    /// Folds all into the live generation.
    pub(crate) async fn project(&self, model: &ReadModel) {
        self.live(model).await.catch_up().await.expect("foldable");
    }

    pub(crate) async fn rebuild_with(&self, model: &ReadModel, request: &RebuildRequest) -> Result<RebuildReport, ReplayError> {
        let progress = Arc::<RebuildProgress>::default();
        rebuild(&self.database.databases(), model, shop_proto::descriptors(), request, &progress).await
    }

    pub(crate) async fn rebuild(&self, model: &ReadModel, then: Then) -> RebuildReport {
        self.rebuild_with(model, &RebuildRequest { then, ..Default::default() }).await.expect("nothing is in the way")
    }

    /// A rebuild that is promoted, as an operator would.
    pub(crate) fn promotion(&self, accept_differences: bool) -> Then {
        Then::Promote { bus: self.bus.clone(), options: quick(), accept_differences, expect: Vec::new() }
    }

    /// All that a generation holds: parts, views (stream, version, view), who is parked, and up to where.
    pub(crate) async fn holds(&self, model: &ReadModel, generation: i32) -> Holds {
        let owner = self.database.owner().await;
        let table = format!("read.{}_{generation}", model.name.replace('-', "_"));
        let parts = owner.query(&format!("SELECT key, part, bytes, service, stream_id, partition FROM {table}"), &[]).await;
        let views = owner
            .query(
                &format!(
                    "SELECT stream_id, version, view FROM {table}_view \
                     UNION ALL SELECT stream_id, version, coalesce(view, bytes) FROM {table} WHERE version IS NOT NULL"
                ),
                &[],
            )
            .await;
        let parked = r#"SELECT stream_id, "offset", reason FROM read.parked WHERE projection = $1 AND generation = $2"#;
        let checkpoints = "SELECT service, partition, next_offset, epoch FROM read.checkpoint WHERE projection = $1 AND generation = $2";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&model.name, &generation];
        let parked = owner.query(parked, &values).await;
        let checkpoints = owner.query(checkpoints, &values).await;
        Holds {
            parts: parts.expect("it is there").iter().map(|r| ((r.get(0), r.get(1)), (r.get(2), r.get(3), r.get(4), r.get(5)))).collect(),
            views: views.expect("it is there").iter().map(|r| (r.get(0), (r.get(1), r.get(2)))).collect(),
            parked: parked.expect("the owner may").iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect(),
            checkpoints: checkpoints.expect("the owner may").iter().map(|r| ((r.get(0), r.get(1)), (r.get(2), r.get(3)))).collect(),
        }
    }

    /// (key, stream), of every stream that had a part under a key.
    pub(crate) async fn writers(&self, model: &ReadModel, generation: i32) -> Vec<(String, String)> {
        let sql = format!("SELECT key, stream_id FROM read.{}_{generation}_writer ORDER BY 1, 2", model.name.replace('-', "_"));
        let rows = self.database.owner().await.query(&sql, &[]).await.expect("it is there");
        rows.iter().map(|r| (r.get(0), r.get(1))).collect()
    }

    /// Generations and their states.
    pub(crate) async fn generations(&self, model: &ReadModel) -> Vec<(i32, String)> {
        let sql = "SELECT generation, state FROM read.generation WHERE projection = $1 ORDER BY 1";
        let rows = self.database.owner().await.query(sql, &[&model.name]).await.expect("the owner may");
        rows.iter().map(|r| (r.get(0), r.get(1))).collect()
    }

    /// Tables of generations, and rows that name a generation, which are not the first one's.
    pub(crate) async fn rubbish(&self) -> Vec<String> {
        rubbish(&self.database.owner().await).await
    }
}

async fn rubbish(owner: &Client) -> Vec<String> {
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relname ~ '_[2-9]'
               UNION ALL SELECT 'generation ' || generation FROM read.generation WHERE generation > 1 AND state <> 'retired'
               UNION ALL SELECT 'checkpoint ' || generation FROM read.checkpoint WHERE generation > 1
               UNION ALL SELECT 'parked ' || generation FROM read.parked WHERE generation > 1";
    owner.query(sql, &[]).await.expect("the owner may").iter().map(|r| r.get(0)).collect()
}

/// Waits until a session waits for a lock.
pub(crate) async fn waits_for_a_lock(owner: &Client, application: &str) {
    let sql = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'";
    let asked = || async { owner.query_opt(sql, &[&application]).await.expect("it answers").map(|_| ()) };
    daybook_testkit::eventually("a session to wait for a lock", asked).await;
}

/// Long enough for what must come, and short enough where no pod is to come.
pub(crate) fn quick() -> daybook_replay::PromoteOptions {
    daybook_replay::PromoteOptions { pods: std::time::Duration::from_millis(500), ..Default::default() }
}

/// With so little memory, for two partitions at once.
pub(crate) fn with_memory(bytes: usize, then: Then) -> RebuildRequest {
    RebuildRequest { options: RebuildOptions { memory: bytes, at_once: 2, ..Default::default() }, then, ..Default::default() }
}

/// A part's bytes, service, stream and partition.
pub(crate) type PartRow = (Vec<u8>, String, String, i32);

/// What a generation's tables hold.
#[derive(Debug, PartialEq)]
pub(crate) struct Holds {
    pub(crate) parts: BTreeMap<(String, String), PartRow>,
    /// Version and view; none where it is the stream's only part.
    pub(crate) views: BTreeMap<String, (i64, Vec<u8>)>,
    pub(crate) parked: Vec<(String, i64, String)>,
    pub(crate) checkpoints: BTreeMap<(String, i32), (i64, i32)>,
}
