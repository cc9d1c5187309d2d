//! Processes share the partitions; when one goes, the others take over.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_command_handlers::HandlerConfig;
use daybook_kernel::{ErasedReactor, EventAt, Reactor, ServiceMessage, StreamId};
use daybook_log::{AppendOutcome, Log, NewEvent, Page, Writer, WriterSessions};
use daybook_messages::Addressed;
use daybook_postgres::{Role, read_secret};
use daybook_proto::v1::{Caller, Replies, Request};
use daybook_testkit::{eventually, recreate_topic};
use prost::Message as _;
use serde_json::json;
use shop_proto::catalog::v1::{Price, ProductRepriced};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::StockEvent;

use crate::beside::{REPRICE, reprice};
use crate::invariants;
use crate::kafka::{CREATE, create};
use crate::support::{Install, PARTITIONS, SERVICES, key, partition_of, price, product, shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_shares_the_partitions_and_takes_over_when_the_first_stops() {
    let (install, first) = Install::started().await;
    for i in 0..12 {
        install.post(&first, "catalog/create-product", &key(), &product(&format!("A-{i}"))).await.expect(200);
    }
    let second = install.process().await;
    for i in 0..12 {
        install.post(&second, "catalog/reprice-product", &key(), &price(&format!("A-{i}"), i)).await.expect(200);
    }
    first.stop().await;
    for i in 0..12 {
        let answer = install.post(&second, "catalog/reprice-product", &key(), &price(&format!("A-{i}"), 100 + i)).await.expect(200);
        assert_eq!(answer.body["version"], 3);
    }
    invariants::published(&install).await;
    second.stop().await;
    invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_through_processes_that_come_and_go() {
    let install = Install::new().await;
    let stable = install.process().await;
    let load = async {
        futures_util::future::join_all((0..16).map(|client| {
            let (install, stable) = (&install, &stable);
            async move {
                for i in 0..40 {
                    let body = json!({ "sku": format!("A-{}", client % 5), "warehouse": "w-1", "quantity": 1 });
                    let k = format!("{client}-{i}");
                    // As a client does: the same key until it has its answer.
                    while install.post(stable, "inventory/receive-stock", &k, &body).await.status != 200 {}
                }
            }
        }))
        .await
    };
    let storm = async {
        for _ in 0..3 {
            let guest = install.process().await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            guest.stop().await;
        }
    };
    tokio::join!(load, storm);
    stable.stop().await;
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 16 * 40);
    invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_forced_onto_one_partition_leave_one_history() {
    let (install, p) = Install::started().await;
    let log = install.log("inventory").await;
    let usurper_log = Log::open(&install.databases(), "inventory", Role::Writer).await.expect("there");
    let at = partition_of("stock/A-1@w-1");
    let load = futures_util::future::join_all((0..8).map(|client| {
        let (install, p) = (&install, &p);
        async move {
            for i in 0..25 {
                let body = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 1 });
                while install.post(p, "inventory/receive-stock", &format!("{client}-{i}"), &body).await.status != 200 {}
            }
        }
    }));
    // Another writer that does not know that it should not be one: it takes the partition over again and again.
    let usurper = async {
        for _ in 0..5 {
            let writer = Writer::new(usurper_log.partition(at).expect("there"), &WriterSessions::new(1)).await.expect("connects");
            writer.open(Writer::now()).await.expect("takes over");
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
    };
    tokio::join!(load, usurper);
    p.stop().await;
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 200);
    assert!(log.partition(at).expect("there").last_page().await.expect("readable").page > 5);
    invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_begins_again_answers_nothing_twice() {
    let (install, p) = Install::started().await;
    // Answers go over Kafka to whoever waits in another process.
    let elsewhere = install.process_of(shop(), HandlerConfig::default(), &[]).await;
    let (log, at) = (Log::open(&install.databases(), "catalog", Role::Writer).await.expect("there"), partition_of("product/A-1"));
    install.post(&elsewhere, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    for amount in 1..=5 {
        install.post(&elsewhere, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    let writers = format!("SELECT count(DISTINCT writer) FROM catalog.page WHERE partition = {at}");
    let before = install.count(&writers).await;
    // Another writer takes the partition over: within the same assignment the lane has to take it over again.
    let usurper = Writer::new(log.partition(at).expect("there"), &WriterSessions::new(1)).await.expect("connects");
    usurper.open(Writer::now()).await.expect("takes over");
    usurper.release().await;
    for amount in 6..=8 {
        install.post(&elsewhere, "catalog/reprice-product", &key(), &price("A-1", amount)).await.expect(200);
    }
    assert!(install.count(&writers).await >= before + 2, "the other, and the lane again");
    let mut told: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for partition in 0..16 {
        for message in install.topic(&install.bus.replies(), partition).await {
            let replies = Replies::decode(message.value.as_deref().expect("replies")).expect("readable").replies;
            replies.into_iter().for_each(|reply| *told.entry(reply.command_id).or_default() += 1);
        }
    }
    assert_eq!(told.into_values().collect::<Vec<_>>(), [1; 9], "what was done before is not answered again");
    elsewhere.stop().await;
    p.stop().await;
    invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restored_log_does_not_have_is_decided_again_although_its_offset_was_committed() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let repriced = key();
    let first = install.post(&p, "catalog/reprice-product", &repriced, &price("A-1", 7)).await.expect(200);
    invariants::published(&install).await;
    p.stop().await;
    let at = partition_of("product/A-1");
    install.restore_to_before(at, 1).await;
    // The lost page's published events are gone too: the partition starts, where the log's last page has come to.
    recreate_topic(&install.bus, &install.bus.events("catalog"), 3).await;
    let p = install.process().await;
    let count = format!("SELECT count(*) FROM catalog.event_{at}");
    eventually("the command to be decided again", || async { (install.count(&count).await == 2).then_some(()) }).await;
    let again = install.post(&p, "catalog/reprice-product", &repriced, &price("A-1", 7)).await.expect(200);
    assert_eq!((again.body, again.headers.get("idempotent-replayed").is_some()), (first.body, true));
    p.stop().await;
    invariants::hold(&install).await;
}

/// A rule whose commands must not be done for an event that was lost and for the one that took its place.
struct Ending;

impl Reactor for Ending {
    const NAME: &'static str = "ending";
    const OUTLASTS_ITS_EVENT: bool = false;
    type Event = StockEvent;

    fn react(_: &StockEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reaction_that_does_not_outlast_its_event_is_rejected_where_that_is_lost() {
    let install = Install::new().await;
    // The inventory's partition 0 was restored: its second epoch begins at its first event.
    let log = Log::open(&install.databases(), "inventory", Role::Writer).await.expect("there");
    let writer = Writer::new(log.partition(0).expect("there"), &WriterSessions::new(1)).await.expect("connects");
    writer.begin_epoch(Writer::now(), 2, "restored").await.expect("nobody else writes");
    writer.release().await;
    let registry = shop().with_rules([<dyn ErasedReactor>::of::<Ending>().into()]);
    let p = install.process_of(registry, Default::default(), &SERVICES).await;
    let secret = read_secret(&install.databases(), Role::Writer).await.expect("it is there");
    let stream = StreamId::parse("product/A-1").expect("a stream id");
    let sent = |n: i64, caller: &str, cause: &str| {
        let create = if n == 0 { create("A-1") } else { reprice(n) };
        let request = Request {
            r#type: if n == 0 { CREATE } else { REPRICE }.to_owned(),
            command: create,
            caller: Some(Caller::process(caller)),
            causation_id: cause.to_owned(),
            ..Default::default()
        };
        let addressed = Addressed::new("catalog", stream.clone(), &format!("k-{n}"), request);
        addressed.record(install.bus.messages("catalog").into(), PARTITIONS, &secret)
    };
    for (n, caller, cause) in [
        (0, "reactor/ending", "inventory/0:7@2"),
        (1, "reactor/ending", "inventory/0:7@1"),
        (2, "reactor/ending", "inventory/1:7@1"),
        (3, "reactor/another", "inventory/0:7@1"),
    ] {
        let record = sent(n, caller, cause);
        install.local.offer(&record);
        let value = record.value.map(|bytes| bytes.to_vec());
        install.produce("catalog", record.partition, "product/A-1", record.headers, value).await;
    }
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 9)).await.expect(200);
    assert_eq!(install.count("SELECT count(*) FROM catalog.command").await, 4, "all but one");
    let rejected = install.database.owner().await.query("SELECT reason FROM catalog.rejected", &[]).await.expect("readable");
    let reasons: Vec<String> = rejected.iter().map(|row| row.get(0)).collect();
    assert_eq!(reasons, ["it follows from the event inventory/0:7@1, which its log has lost: the log was restored"]);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_names_no_message_that_its_log_has_lost_though_the_lane_was_done_with_it() {
    let (install, p) = Install::started().await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    // Without events: nothing on Kafka tells that their pages are lost.
    for _ in 0..5 {
        install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(409);
    }
    let at = partition_of("product/A-1");
    let lost = format!("page > (SELECT page FROM catalog.event_{at})");
    let tables = ["command", "request", "page"].map(|table| format!("DELETE FROM catalog.{table}_{at} WHERE {lost};"));
    let sql = format!("SET session_replication_role = replica; {}", tables.concat());
    install.database.owner().await.batch_execute(&sql).await.expect("the owner may, with the triggers off");
    // The lane finds out by its next page, and begins again, within its assignment. What it is handed then may come before all that it reads again.
    let handing = {
        let (local, records) = (install.local.clone(), (0..).map(|n| install.message(REPRICE, &format!("k-{n}"), reprice(100 + n))));
        let records: Vec<_> = records.take(10_000).collect();
        tokio::spawn(async move {
            for record in records {
                local.offer(&record);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let refused = format!("FROM catalog.command_{at} c WHERE NOT EXISTS (SELECT FROM catalog.event_{at} e WHERE e.page = c.page)");
    let count = format!("SELECT count(*) {refused}");
    eventually("what was refused to be refused again", || async { (install.count(&count).await >= 5).then_some(()) }).await;
    handing.abort();
    let named = format!("SELECT count(*) FROM catalog.page_{at} WHERE message_offset > 0 AND page < (SELECT min(c.page) {refused})");
    assert_eq!(install.count(&named).await, 0, "a page names what is still to be read");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lane_held_before_another_writer_wrote_is_forgotten() {
    let (install, p) = Install::started().await;
    let at = partition_of("product/A-1");
    let other = (1..100).map(|i| format!("B-{i}")).find(|sku| partition_of(&format!("product/{sku}")) == at).expect("there is one");
    for sku in ["A-1", &other] {
        install.post(&p, "catalog/create-product", &key(), &product(sku)).await.expect(200);
    }
    let log = Log::open(&install.databases(), "catalog", Role::Writer).await.expect("there");
    let usurper = Writer::new(log.partition(at).expect("there"), &WriterSessions::new(1)).await.expect("connects");
    let head = usurper.open(Writer::now()).await.expect("takes over").head;
    let list = Money { currency: "EUR".into(), minor_units: 77 };
    let repriced = ProductRepriced { sku: "A-1".into(), price: Some(Price { list: Some(list), sale: None }) };
    let event = NewEvent {
        stream_id: "product/A-1".into(),
        version: 2,
        type_name: "shop.catalog.v1.ProductRepriced".into(),
        payload: repriced.encode_to_vec(),
        metadata: vec![],
    };
    let page = Page::following(&head, at, usurper.name(), Writer::now(), head.message_offset, vec![event], vec![]);
    assert_eq!(usurper.append(&page).await, AppendOutcome::Appended);
    usurper.release().await;
    // By a command to another stream it is told that it is the old one, and takes over again; then it decides on what stands.
    install.post(&p, "catalog/reprice-product", &key(), &price(&other, 5)).await.expect(200);
    let known = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 77)).await.expect(200);
    assert_eq!((known.body["version"].as_u64(), known.body["events"].as_array().map(Vec::len)), (Some(2), Some(0)), "{known:?}");
    let next = install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 78)).await.expect(200);
    assert_eq!(next.body["version"], 3);
    p.stop().await;
    invariants::hold(&install).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_answer_was_lost_and_in_whose_place_another_stands_is_told_to_nobody_and_decided_again() {
    let (install, p) = Install::started().await;
    let at = partition_of("product/A-1");
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    // Another writer's page, which is not committed yet: the lane's waits for it.
    let other = install.database.owner().await;
    let page = format!(
        "BEGIN; INSERT INTO catalog.page_{at} (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at)
         SELECT partition, page + 1, epoch, first_offset + count, 0, message_offset, 'another', digest, '\\x01', recorded_at
         FROM catalog.page_{at} ORDER BY page DESC LIMIT 1"
    );
    other.batch_execute(&page).await.expect("the owner may");
    let (id, body) = (key(), price("A-1", 7));
    let answer = install.post(&p, "catalog/reprice-product", &id, &body);
    let loses = async {
        let watching = install.database.owner().await;
        let writers = "FROM pg_stat_activity WHERE application_name = 'daybook writer' AND datname = current_database()";
        let waits = format!("SELECT count(*) {writers} AND wait_event_type = 'Lock'");
        eventually("the lane's page to wait", || async {
            (watching.query_one(&waits, &[]).await.expect("readable").get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        watching.query(&format!("SELECT pg_terminate_backend(pid, 5000) {writers}"), &[]).await.expect("the owner may");
        other.batch_execute("COMMIT").await.expect("nobody else stands there");
    };
    let (answer, ()) = tokio::join!(answer, loses);
    let answer = answer.expect(200);
    assert_eq!((answer.body["version"].as_u64(), answer.header("idempotent-replayed")), (Some(2), None));
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 2, "what is told stands");
    p.stop().await;
    invariants::hold(&install).await;
}
