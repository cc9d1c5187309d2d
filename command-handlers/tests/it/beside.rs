//! Commands that a sender of the same process hands to a lane, beside Kafka.

use daybook_bus::{Inspector, Record};
use daybook_command_handlers::HandlerConfig;
use daybook_messages::lanes_group;
use daybook_testkit::eventually;
use prost::Message as _;
use shop_proto::catalog::v1::RepriceProduct;
use shop_proto::common::v1::Money;

use crate::kafka::{CREATE, create};
use crate::parking::{Fragile, registry_with};
use crate::support::{Install, key, message_headers, partition_of, price, product, shop};

pub(crate) const STREAM: &str = "product/A-1";
pub(crate) const REPRICE: &str = "shop.catalog.v1.RepriceProduct";

impl Install {
    pub(crate) fn message(&self, type_name: &str, key: &str, value: Vec<u8>) -> Record {
        Record {
            topic: self.bus.messages("catalog").into(),
            partition: partition_of(STREAM),
            key: STREAM.into(),
            headers: message_headers(type_name, key),
            value: Some(value.into()),
        }
    }

    /// As senders do; the message's offset.
    async fn send(&self, record: Record) -> i64 {
        self.produce("catalog", record.partition, STREAM, record.headers, record.value.map(|bytes| bytes.to_vec())).await
    }

    /// Waits until the lane is done with this message.
    async fn is_done_with(&self, offset: i64) {
        let inspector = Inspector::new(&self.bus).expect("a client");
        let (group, topic) = (lanes_group(&self.bus, "catalog"), self.bus.messages("catalog"));
        eventually("the lane to be done with a message", || async {
            let next = inspector.committed(&group, &topic, partition_of(STREAM)).await.ok()??;
            (next > offset).then_some(())
        })
        .await;
    }

    async fn commands(&self) -> i64 {
        self.count("SELECT count(*) FROM catalog.command").await
    }
}

pub(crate) fn reprice(minor_units: i64) -> Vec<u8> {
    let price = Some(Money { currency: "EUR".into(), minor_units });
    RepriceProduct { sku: "A-1".into(), price, ..Default::default() }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_takes_effect_before_kafka_has_it_and_once() {
    let (install, p) = Install::started().await;
    let record = install.message(CREATE, "k", create("A-1"));
    // Again and again: as long as the lane has not begun, nobody takes it.
    eventually("its result", || async {
        install.local.offer(&record);
        (install.commands().await == 1).then_some(())
    })
    .await;
    // Kafka brings it, and, as after a resend, once more; then another command under its id.
    for _ in 0..2 {
        install.send(record.clone()).await;
    }
    let other = install.send(install.message(REPRICE, "k", reprice(13))).await;
    install.is_done_with(other).await;
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 14)).await.expect(200);
    assert_eq!((install.commands().await, install.count("SELECT count(*) FROM catalog.event").await), (2, 2));
    // What Kafka has brought before: a repeat, without a second effect.
    let handed = install.message(REPRICE, "k2", reprice(15));
    let offset = install.send(handed.clone()).await;
    install.is_done_with(offset).await;
    install.local.offer(&handed);
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 16)).await.expect(200);
    assert_eq!((install.commands().await, install.count("SELECT count(*) FROM catalog.event").await), (4, 4));
    // A page names the last message that is done, also where its command came by the short way.
    install.local.offer(&install.message(REPRICE, "k3", reprice(17)));
    eventually("its result", || async { (install.commands().await == 5).then_some(()) }).await;
    let named = format!("SELECT message_offset FROM catalog.page WHERE partition = {} ORDER BY page DESC LIMIT 1", partition_of(STREAM));
    assert!(install.count(&named).await > offset, "the command behind it came over Kafka too");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_in_the_lanes_process_is_answered_there_and_others_over_kafka() {
    let (install, p) = Install::started().await;
    let replies = || async {
        let mut all = 0;
        for partition in 0..16 {
            all += install.topic(&install.bus.replies(), partition).await.len();
        }
        all
    };
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    for units in 1..=10 {
        install.post(&p, "catalog/reprice-product", &key(), &price("A-1", units)).await.expect(200);
    }
    assert_eq!((install.commands().await, replies().await), (11, 0));
    let lanes_elsewhere = install.process_of(shop(), HandlerConfig::default(), &[]).await;
    install.post(&lanes_elsewhere, "catalog/reprice-product", &key(), &price("A-1", 11)).await.expect(200);
    assert_eq!((install.commands().await, replies().await), (12, 1));
    lanes_elsewhere.stop().await;
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_decided_waits_for_kafka_and_is_parked_once() {
    let install = Install::new().await;
    let p = install.process_of(registry_with::<Fragile>(), Default::default(), &["catalog"]).await;
    install.post(&p, "catalog/create-product", &key(), &product("A-1")).await.expect(200);
    let record = install.message(REPRICE, "k", reprice(13));
    install.local.offer(&record);
    // One that comes behind it is decided all the same.
    install.local.offer(&install.message(REPRICE, "k2", reprice(14)));
    eventually("the other's result", || async { (install.commands().await == 2).then_some(()) }).await;
    assert_eq!(install.count("SELECT count(*) FROM catalog.parked").await, 0);
    let offset = install.send(record).await;
    install.is_done_with(offset).await;
    assert_eq!(install.count("SELECT count(*) FROM catalog.parked").await, 1);
    assert_eq!(install.count("SELECT max(message_offset) FROM catalog.parked").await, offset);
    // Neither what is for another partition, nor what is no command.
    let mut wrong = install.message(REPRICE, "k3", reprice(15));
    wrong.key = "product/A-2".into();
    install.local.offer(&wrong);
    install.local.offer(&install.message(REPRICE, "k4", vec![0xff]));
    install.local.offer(&install.message(REPRICE, "k5", reprice(16)));
    eventually("what was handed over last", || async { (install.commands().await == 3).then_some(()) }).await;
    assert_eq!(install.count("SELECT count(*) FROM catalog.rejected").await, 0);
    p.stop().await;
}
