//! A message that can't be handled waits; the rest flows.

use daybook_bus::{Headers, Producer, ProducerOptions, Record, headers as h};
use daybook_command_handlers::{HandlerConfig, ParkedMessages};
use daybook_kernel::{Aggregate, Context, Decider, Decision, Registry, StreamId};
use daybook_log::{AppendOutcome, NewEvent, Page, Writer, WriterSessions};
use daybook_messages::Addressed;
use daybook_proto::v1::{Request, UnverifiedMessage};
use daybook_proto::{EventSet, JsonValue, MessageSet, SetError};
use daybook_testkit::eventually;
use prost::Message as _;
use shop_domain::catalog::Product;
use shop_proto::catalog::v1::{ProductCommand, ProductEvent, ProductRefusal, ProductState};
use shop_proto::inventory::v1::ReceiveStock;
use uuid::Uuid;

use crate::kafka::{CREATE, create};
use crate::support::{Answer, Install, PARTITIONS, Process, SERVICES, key, message_headers, partition_of, price, product, shop};

/// A decider with a bug: it panics at one SKU.
pub(crate) struct Fragile;

impl Decider for Fragile {
    type Command = ProductCommand;
    type Event = ProductEvent;
    type State = ProductState;
    type Refusal = ProductRefusal;

    fn decide(state: &ProductState, command: &ProductCommand, context: &Context) -> Decision<Self> {
        if let ProductCommand::RepriceProduct(c) = command {
            assert!(c.price.as_ref().is_none_or(|p| p.minor_units != 13), "thirteen");
        }
        let Decision { mut events, refusal } = Product::decide(state, command, context);
        for event in &mut events {
            if let ProductEvent::ProductRetired(e) = event {
                e.reason = "x".repeat(1 << 20);
            }
        }
        Decision { events, refusal }
    }

    fn evolve(state: &mut ProductState, event: &ProductEvent) {
        Product::evolve(state, event);
    }
}

/// The product of a newer build, which knows one event more.
struct Newer;

#[derive(Clone, Debug, PartialEq)]
enum NewerEvent {
    Old(Box<ProductEvent>),
    Teleported,
}

const TELEPORTED: &str = "shop.catalog.v1.ProductTeleported";

impl MessageSet for NewerEvent {
    const SERVICE: &'static str = ProductEvent::SERVICE;
    const AGGREGATE: &'static str = ProductEvent::AGGREGATE;
    const TYPES: &'static [&'static str] = ProductEvent::TYPES;

    fn type_name(&self) -> &'static str {
        match self {
            Self::Old(e) => e.type_name(),
            Self::Teleported => TELEPORTED,
        }
    }

    fn encode_to_vec(&self) -> Vec<u8> {
        match self {
            Self::Old(e) => e.encode_to_vec(),
            Self::Teleported => Vec::new(),
        }
    }

    fn decode(type_name: &str, bytes: &[u8]) -> Result<Self, SetError> {
        if type_name == TELEPORTED {
            Ok(Self::Teleported)
        } else {
            ProductEvent::decode(type_name, bytes).map(|event| Self::Old(Box::new(event)))
        }
    }

    fn has_unknown_enum(&self) -> bool {
        false
    }

    fn to_json(&self) -> JsonValue {
        JsonValue::Null
    }
}

impl EventSet for NewerEvent {
    fn pool() -> &'static daybook_proto::DescriptorPool {
        shop_proto::descriptors()
    }
}

impl Decider for Newer {
    type Command = ProductCommand;
    type Event = NewerEvent;
    type State = ProductState;
    type Refusal = ProductRefusal;

    fn decide(state: &ProductState, command: &ProductCommand, context: &Context) -> Decision<Self> {
        let Decision { events, refusal } = Product::decide(state, command, context);
        Decision { events: events.into_iter().map(|event| NewerEvent::Old(Box::new(event))).collect(), refusal }
    }

    fn evolve(state: &mut ProductState, event: &NewerEvent) {
        if let NewerEvent::Old(event) = event {
            Product::evolve(state, event);
        }
    }
}

pub(crate) fn registry_with<D: Decider>() -> Registry {
    let others = shop_domain::aggregates().into_iter().filter(|a| a.name() != "product");
    Registry::new(others.chain([<dyn Aggregate>::of::<D>()])).expect("sound").only(&SERVICES.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_parks_its_message_and_the_stream_goes_on() {
    let install = Install::new().await;
    let p = install.process_of(registry_with::<Fragile>(), Default::default(), &["catalog"]).await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let k = key();
    let parked = install.post(&p, "catalog/reprice-product", &k, &price("A-1", 13)).await.expect(500);
    assert!(parked.body["parkedId"].as_str().is_some(), "{parked:?}");
    assert!(parked.body["detail"].as_str().is_some_and(|d| d.contains("thirteen")), "{parked:?}");
    let next = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 14)).await.expect(200);
    assert_eq!(next.body["version"], 2);
    assert_eq!(install.count("SELECT count(*) FROM catalog.parked WHERE settled_at IS NULL AND kind = 'panic'").await, 1);
    assert_eq!(install.count("SELECT count(*) FROM catalog.command").await, 2, "a parked message has no ledger row");
    p.stop().await;
    // A build without the bug does not take it up by itself: that is an operator's to decide.
    let p = install.process().await;
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 15)).await.expect(200);
    assert_eq!(install.count("SELECT count(*) FROM catalog.parked WHERE settled_at IS NULL AND kind = 'panic'").await, 1);
    assert_eq!(install.count("SELECT count(*) FROM catalog.command").await, 3);
    p.stop().await;
    let messages = ParkedMessages::open(&install.databases(), install.bus.clone(), &["catalog"]).await.expect("it answers");
    let listed = messages.list().await.expect("readable");
    assert_eq!(listed.iter().map(|(_, m)| m.kind.as_str()).collect::<Vec<_>>(), ["panic"]);
    messages.retry(listed[0].1.parked_id).await.expect("sent");
    assert!(messages.list().await.expect("readable").is_empty());
    assert!(messages.skip(listed[0].1.parked_id).await.is_err(), "settled already");
    // The repeat is a new arrival under the same command id.
    let p = install.process().await;
    let decided = install.post(&p, "catalog/reprice-product", &k, &price("A-1", 13)).await.expect(200);
    assert_eq!(decided.header("idempotent-replayed"), Some("true"), "the retry was decided first, under the same command id");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_could_not_be_published_parks_its_message() {
    let install = Install::new().await;
    let p = install.process_of(registry_with::<Fragile>(), Default::default(), &["catalog"]).await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let retire = serde_json::json!({ "sku": "A-1", "reason": "x" });
    let parked = install.post(&p, "catalog/retire-product", &key(), &retire).await.expect(500);
    assert_eq!(parked.body["type"], "urn:daybook:problem:parked:too-large");
    // Nothing of it was kept, not in memory either: the product is not retired.
    let next = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 14)).await.expect(200);
    assert_eq!(next.body["version"], 2);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_refuses_is_found_among_many_and_parked_alone() {
    let install = Install::new().await;
    let at = partition_of("product/A-1");
    let skus = || (1..).map(|i| format!("A-{i}")).filter(|sku| partition_of(&format!("product/{sku}")) == at).take(40);
    let id = |sku: &str| daybook_kernel::ids::command_id("catalog", "anonymous", &format!("product/{sku}"), sku);
    // Two that stand side by side.
    let refused: Vec<String> = skus().skip(17).take(2).map(|sku| format!("'{}'", id(&sku))).collect();
    let check = format!(
        "ALTER TABLE catalog.command_{at} ADD CONSTRAINT command_{at}_command_id_check CHECK (command_id NOT IN ({}))",
        refused.join(", ")
    );
    install.database.owner().await.batch_execute(&check).await.expect("the owner may");
    for sku in skus().take(2).chain(skus()) {
        install.produce("catalog", at, &format!("product/{sku}"), message_headers(CREATE, &sku), Some(create(&sku))).await;
    }
    let p = install.process_of(shop(), Default::default(), &["catalog"]).await;
    eventually("the others to be decided", || async { (install.count("SELECT count(*) FROM catalog.command").await == 38).then_some(()) })
        .await;
    let parked = format!("SELECT count(*) FROM catalog.parked WHERE kind = 'unwritable' AND command_id IN ({})", refused.join(", "));
    assert_eq!((install.count(&parked).await, install.count("SELECT count(*) FROM catalog.parked").await), (2, 2));
    let pages = install.count("SELECT count(*) FROM catalog.page WHERE count > 0").await;
    assert!(pages < 20, "{pages} pages: not one by one");
    // A command that Postgres has learned to take is decided when it is sent again, by the same lane.
    let mended = format!("ALTER TABLE catalog.command_{at} DROP CONSTRAINT command_{at}_command_id_check");
    install.database.owner().await.batch_execute(&mended).await.expect("the owner may");
    let messages = ParkedMessages::open(&install.databases(), install.bus.clone(), &["catalog"]).await.expect("it answers");
    for (_, parked) in messages.list().await.expect("readable") {
        messages.retry(parked.parked_id).await.expect("sent");
    }
    eventually("all to be decided", || async { (install.count("SELECT count(*) FROM catalog.command").await == 40).then_some(()) }).await;
    p.stop().await;
    crate::invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_for_a_stream_of_a_newer_build_wait_for_it_and_are_taken_up_in_order() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    p.stop().await;
    // A newer build wrote an event that this one does not know.
    let at = partition_of("product/A-1");
    let log = daybook_log::Log::open(&install.databases(), "catalog", daybook_postgres::Role::Writer).await.expect("there");
    let writer = Writer::new(log.partition(at).expect("there"), &WriterSessions::new(1)).await.expect("connects");
    let head = writer.open(Writer::now()).await.expect("nobody else writes").head;
    let event = NewEvent { stream_id: "product/A-1".into(), version: 2, type_name: TELEPORTED.into(), payload: vec![], metadata: vec![] };
    let page = Page::following(&head, at, writer.name(), Writer::now(), head.message_offset, vec![event], vec![]);
    assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
    writer.release().await;

    let p = install.process().await;
    let keys: Vec<String> = (0..3).map(|_| key()).collect();
    for (amount, k) in (1..).zip(&keys) {
        let answer = install.post(&p, "catalog/reprice-product", k, &price("A-1", amount)).await.expect(500);
        assert_eq!(answer.body["type"], "urn:daybook:problem:parked:newer-build");
        assert!(answer.body["detail"].as_str().is_some_and(|d| d.contains("ProductTeleported")), "{answer:?}");
    }
    let other = (1..100).map(|i| format!("B-{i}")).find(|sku| partition_of(&format!("product/{sku}")) == at).expect("there is one");
    install.post(&p, "catalog/create-product", &key(), &product(&other)).await.expect(200);
    let request = install
        .client
        .post(format!("{}/v1/catalog/reprice-product", p.url))
        .header("Idempotency-Key", key())
        .header("Prefer", "respond-async")
        .json(&price("A-1", 4));
    let deferred = Answer::of(request.send().await.expect("answers")).await.expect(202);
    let location = deferred.header("location").expect("a handle").to_owned();
    let gone = eventually("the lane to get there", || async {
        let answer = Answer::of(install.client.get(format!("{}{location}", p.url)).send().await.expect("answers")).await;
        (answer.status != 202).then_some(answer)
    })
    .await
    .expect(410);
    assert_eq!(gone.body["type"], "urn:daybook:problem:parked:newer-build");
    p.stop().await;

    let p = install.process_of(registry_with::<Newer>(), Default::default(), &["catalog"]).await;
    eventually("all that waited to be decided", || async {
        (install.count("SELECT count(*) FROM catalog.parked WHERE settled_at IS NULL").await == 0).then_some(())
    })
    .await;
    let last = Answer::of(install.client.get(format!("{}{location}", p.url)).send().await.expect("answers")).await.expect(200);
    assert_eq!(last.body["version"], 6, "created, teleported, and four prices in the order of their arrival");
    for (version, k) in (3..).zip(&keys) {
        let amount = version - 2;
        let answer = install.post(&p, "catalog/reprice-product", k, &price("A-1", amount)).await.expect(200);
        assert_eq!((answer.body["version"].as_i64(), answer.header("idempotent-replayed")), (Some(version), Some("true")));
    }
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_shortens_the_next_read_and_changes_nothing() {
    let install = Install::new().await;
    let config = HandlerConfig { snapshot_every: 5, streams_in_memory: 1, ..Default::default() };
    let p = install.process_of(shop(), config.clone(), &["catalog"]).await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    for amount in 1..=12 {
        install.post(&p, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    eventually("the snapshots", || async { (install.count("SELECT count(*) FROM catalog.snapshot").await == 2).then_some(()) }).await;
    p.stop().await;
    let p = install.process_of(shop(), config, &["catalog"]).await;
    let done = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 12)).await.expect(200);
    assert_eq!((done.body["version"].as_i64(), done.body["events"].as_array().map(Vec::len)), (Some(13), Some(0)), "the price is known");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_of_the_version_that_it_names_also_where_its_page_goes_on_beyond_it() {
    let install = Install::new().await;
    let config = HandlerConfig { snapshot_every: 5, streams_in_memory: 1, ..Default::default() };
    let (stream, type_name) = ("stock/A-1@w-1", "shop.inventory.v1.ReceiveStock");
    let received = ReceiveStock { sku: "A-1".into(), warehouse: "w-1".into(), quantity: 1, ..Default::default() }.encode_to_vec();
    // All of it is there when the lane begins, so that a page holds many of the stream's events.
    for n in 0..23 {
        install
            .produce("inventory", partition_of(stream), stream, message_headers(type_name, &n.to_string()), Some(received.clone()))
            .await;
    }
    let p = install.process_of(shop(), config.clone(), &["inventory"]).await;
    let events = "SELECT count(*) FROM inventory.event";
    eventually("all of it to be decided", || async { (install.count(events).await == 23).then_some(()) }).await;
    let body = serde_json::json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 1 });
    // Two more, each in its own page, and one of them the twenty-fifth.
    for _ in 0..2 {
        install.post(&p, "inventory/receive-stock", &key(), &body).await.expect(200);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM inventory.snapshot";
    eventually("a snapshot", || async { (install.count(newest).await == 25).then_some(()) }).await;
    p.stop().await;
    let pages = "SELECT count(DISTINCT page) FROM inventory.event WHERE version <= 23";
    assert!(install.count(pages).await < 10, "most of them together");
    let p = install.process_of(shop(), config, &["inventory"]).await;
    // The content of earlier snapshots of one page is seen where the newest is gone.
    let owner = install.database.owner().await;
    owner
        .batch_execute("SET session_replication_role = replica; DELETE FROM inventory.snapshot WHERE version = 25")
        .await
        .expect("the owner may");
    let reserve = serde_json::json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 100, "orderId": "o-1" });
    let refused = install.post(&p, "inventory/reserve-stock", &key(), &reserve).await.expect(409);
    assert_eq!(refused.body["available"], 25);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_only_a_newer_build_knows_waits_and_later_ones_of_its_stream_behind_it() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let secret = daybook_postgres::read_secret(&install.databases(), daybook_postgres::Role::Writer).await.expect("migrated");
    let (stream, at) = (StreamId::new("product", "A-1"), partition_of("product/A-1"));
    let (r#type, caller) = ("shop.catalog.v1.TeleportProduct".to_owned(), daybook_proto::v1::Caller::anonymous());
    let request = Request { r#type, caller: Some(caller), command: vec![1], ..Default::default() };
    let record = Addressed::new("catalog", stream, "k", request).record(install.bus.messages("catalog").into(), PARTITIONS, &secret);
    let producer = Producer::new(&install.bus, ProducerOptions::default()).expect("Kafka answers");
    producer.send(vec![record]).await.expect("delivered");
    let waits = "SELECT count(*) FROM catalog.parked WHERE settled_at IS NULL AND kind = 'newer-build'";
    eventually("it to wait", || async { (install.count(waits).await == 1).then_some(()) }).await;
    let behind = async |p: &Process, amount: i64| {
        let answer = install.post(p, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(500);
        assert_eq!(answer.body["type"], "urn:daybook:problem:parked:newer-build");
    };
    behind(&p, 2).await;
    let other = (1..100).map(|i| format!("B-{i}")).find(|sku| partition_of(&format!("product/{sku}")) == at).expect("there is one");
    install.post(&p, "catalog/create-product", &key(), &product(&other)).await.expect(200);
    p.stop().await;
    // Another process of this build takes up what waits, and gets no further.
    let p = install.process().await;
    behind(&p, 3).await;
    assert_eq!(install.count(waits).await, 3);
    assert_eq!(install.count("SELECT count(*) FROM catalog.command").await, 2);
    p.stop().await;
}

/// A record with its header of the MAC changed.
fn with_mac(record: &Record, change: impl Fn(&str) -> String) -> Record {
    let mut headers = Headers::new();
    for (name, value) in record.headers.iter() {
        let text = || change(std::str::from_utf8(value).expect("text"));
        headers.push(name.to_owned(), if name == h::MAC { text().into() } else { value.clone() });
    }
    Record { headers, ..record.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_mac_is_of_a_later_version_waits_holds_up_nobody_and_is_checked_when_it_is_taken_up() {
    let (install, p) = Install::started().await;
    let secret = daybook_postgres::read_secret(&install.databases(), daybook_postgres::Role::Writer).await.expect("migrated");
    let at = partition_of("stock/A-1@w-1");
    let signed = |key: &str, quantity: u32| {
        let command = ReceiveStock { sku: "A-1".into(), warehouse: "w-1".into(), quantity, ..Default::default() };
        let r#type = "shop.inventory.v1.ReceiveStock".to_owned();
        let caller = Some(daybook_proto::v1::Caller::anonymous());
        let request = Request { r#type, caller, command: command.encode_to_vec(), ..Default::default() };
        let addressed = Addressed::new("inventory", StreamId::new("stock", "A-1@w-1"), key, request);
        (addressed.command_id, addressed.record(install.bus.messages("inventory").into(), PARTITIONS, &secret))
    };
    let producer = Producer::new(&install.bus, ProducerOptions::default()).expect("Kafka answers");
    let ((genuine, first), (forged, second), (unknown, third)) = (signed("k1", 5), signed("k2", 70), signed("k3", 900));
    for record in [&first, &second, &third] {
        producer.send(vec![with_mac(record, |mac| format!("2:{mac}"))]).await.expect("delivered");
    }
    let waits = "SELECT count(*) FROM inventory.parked WHERE settled_at IS NULL AND kind = 'newer-mac'";
    eventually("them to wait", || async { (install.count(waits).await == 3).then_some(()) }).await;
    // Later messages of the stream flow: anybody could have sent these.
    let body = serde_json::json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 1 });
    install.post(&p, "inventory/receive-stock", &key(), &body).await.expect(200);
    // They say nothing of the commands that they claim to be.
    assert_eq!(
        install.count(&format!("SELECT count(*) FROM inventory.parked WHERE command_id IN ('{genuine}', '{forged}', '{unknown}')")).await,
        0
    );
    p.stop().await;

    // As a build reads them that knows the version of two of them: one is genuine, the other is not.
    let owner = install.database.owner().await;
    let kept = "SELECT parked_id, request FROM inventory.parked WHERE kind = 'newer-mac' ORDER BY message_offset";
    let rows = owner.query(kept, &[]).await.expect("the owner may");
    for (row, mac) in rows.iter().zip(["", "00"]) {
        let mut message = UnverifiedMessage::decode(row.get::<_, &[u8]>(1)).expect("as it was parked");
        let header = message.headers.iter_mut().find(|header| header.name == h::MAC).expect("it has one");
        header.value = [mac.as_bytes(), &header.value[2..]].concat();
        let update = "UPDATE inventory.parked SET request = $2 WHERE parked_id = $1";
        owner.execute(update, &[&row.get::<_, Uuid>(0), &message.encode_to_vec()]).await.expect("the owner may");
    }
    let p = install.process().await;
    eventually("two of them to be settled", || async { (install.count(waits).await == 1).then_some(()) }).await;
    let decided = format!("SELECT count(*) FROM inventory.command WHERE partition = {at} AND command_id = '{genuine}'");
    assert_eq!(install.count(&decided).await, 1);
    assert_eq!(install.count("SELECT count(*) FROM inventory.rejected").await, 1);
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 2, "the genuine one, and the one that flowed");
    let parked = ParkedMessages::open(&install.databases(), install.bus.clone(), &["inventory"]).await.expect("migrated");
    let (_, left) = parked.list().await.expect("it answers").remove(0);
    let why = parked.retry(left.parked_id).await.expect_err("nobody here can check it").to_string();
    assert!(why.contains("daybook parked skip"), "{why}");
    assert_eq!(parked.show(left.parked_id).await.expect("it is there").2.r#type, "shop.inventory.v1.ReceiveStock");
    parked.skip(left.parked_id).await.expect("an operator may");
    p.stop().await;
}
