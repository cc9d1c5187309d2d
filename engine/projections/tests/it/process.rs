//! Whole processes: groups, partitions, and everything that goes wrong meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_kernel::StreamId;
use daybook_projections::Limits;
use daybook_testkit::eventually;
use uuid::Uuid;

use crate::models::{by_category, by_word, categorized, created, pages, received, retired, retitled};
use crate::pod::Pod;
use crate::support::{Fact, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_and_what_comes_after_is_folded() {
    let models = [pages(), by_category()];
    let mut shop = Shop::new(2, &models).await;
    let before = shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    shop.publish("catalog", &before).await;
    let process = shop.process(&models).await;
    for model in &models {
        shop.caught_up(model).await;
    }
    let after = shop.append([retitled("A-1", "1"), created("A-3", "three", "games")]).await;
    shop.publish("catalog", &after).await;
    let stock = shop.append([received("A-1", "w-1", 5), received("A-1", "w-2", 7)]).await;
    shop.publish("inventory", &stock).await;
    for model in &models {
        shop.caught_up(model).await;
        assert_eq!(shop.parts(model).await, shop.fresh_fold(model).await);
    }
    assert_eq!(shop.parts(&models[0]).await.len(), 5);
    let readiness = process.projectors.readiness().await;
    assert!(readiness.is_ready(), "{readiness:?}");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_followed_and_what_it_lacks_is_read_from_the_log() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    // The log is looked into once, at the start: what comes later, Kafka has to say.
    let limits = Limits { idle: Duration::from_secs(3_600), ..Limits::default() };
    let process = shop.process_with(std::slice::from_ref(&model), limits).await;
    let first = shop.append([created("A-1", "one", "toys")]).await;
    eventually("the partition to be followed", || async {
        shop.publish("catalog", &first).await;
        shop.is_caught_up(&model).await.then_some(())
    })
    .await;
    let gap =
        shop.append([retitled("A-1", "two"), created("A-2", "two", "toys"), retitled("A-1", "three"), categorized("A-1", "games")]).await;
    shop.publish("catalog", &gap[..1]).await;
    shop.publish("catalog", &gap[3..]).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_depends_on_kafka_having_kept_anything() {
    let model = pages();
    let mut shop = Shop::new(2, std::slice::from_ref(&model)).await;
    // Nothing was ever published, neither what is there at the start nor what comes later.
    let skus: Vec<String> = (0..30).map(|n| format!("A-{n}")).collect();
    shop.append(skus.iter().map(|sku| created(sku, "one", "toys")).collect::<Vec<_>>()).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.caught_up(&model).await;
    shop.append(skus.iter().map(|sku| retitled(sku, "two")).collect::<Vec<_>>()).await;
    shop.append(skus.iter().map(|sku| received(sku, "w-1", 1)).collect::<Vec<_>>()).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    process.stop().await;

    // And what Kafka had kept, and lost again.
    let kept = shop.append([retitled("A-1", "three"), created("B-1", "four", "toys")]).await;
    shop.publish("catalog", &kept).await;
    for n in 0..2 {
        daybook_testkit::delete_records(&shop.bus, &shop.bus.events("catalog"), n).await;
    }
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_topic_begins_again_and_nothing_is_missed() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let before = shop.append([created("A-1", "one", "toys"), retitled("A-1", "two")]).await;
    shop.publish("catalog", &before).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.caught_up(&model).await;
    daybook_testkit::recreate_topic(&shop.bus, &shop.bus.events("catalog"), 1).await;
    // As the relay does: it begins with what Kafka lacks, and goes on.
    let after = shop.append([retitled("A-1", "three")]).await;
    eventually("Kafka to take messages again", || async {
        shop.try_publish("catalog", &[before.clone(), after.clone()].concat()).await.then_some(())
    })
    .await;
    shop.caught_up(&model).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_partitions() {
    let model = pages();
    let mut shop = Shop::new(2, std::slice::from_ref(&model)).await;
    let one = shop.process(std::slice::from_ref(&model)).await;
    eventually("one process to have them all", || async { (one.projectors.partitions().len() == 4).then_some(()) }).await;
    let two = shop.process(std::slice::from_ref(&model)).await;
    eventually("both to have some, and none twice", || async {
        let (a, b): (BTreeSet<_>, BTreeSet<_>) =
            (one.projectors.partitions().into_iter().collect(), two.projectors.partitions().into_iter().collect());
        (a.len() == 2 && b.len() == 2 && a.is_disjoint(&b)).then_some(())
    })
    .await;
    let stored = shop.append((0..40).map(|n| created(&format!("A-{n}"), "one", "toys")).collect::<Vec<_>>()).await;
    shop.publish("catalog", &stored).await;
    shop.caught_up(&model).await;
    one.stop().await;
    eventually("the other to take them over", || async { (two.projectors.partitions().len() == 4).then_some(()) }).await;
    let stored = shop.append((0..40).map(|n| retitled(&format!("A-{n}"), "two")).collect::<Vec<_>>()).await;
    shop.publish("catalog", &stored).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_stands_still_says_so_and_goes_on_by_itself() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let owner = shop.database.owner().await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    owner.batch_execute("REVOKE UPDATE ON read.checkpoint FROM daybook_projector").await.expect("the owner may");
    shop.append([created("A-1", "one", "toys")]).await;
    let why = eventually("the trouble to be told", || async {
        let checks = process.projectors.readiness().await.checks;
        checks.into_iter().find_map(|(what, problem)| problem.filter(|_| what == "partitions"))
    })
    .await;
    assert!(why.contains("by-category catalog/0 (generation 1): "), "{why}");
    owner.batch_execute("GRANT UPDATE ON read.checkpoint TO daybook_projector").await.expect("the owner may");
    shop.caught_up(&model).await;
    eventually("the trouble to be over", || async { process.projectors.readiness().await.is_ready().then_some(()) }).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_a_partition_go_has_noted_what_kafka_acknowledged() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    for n in 0..5 {
        let process = shop.process(std::slice::from_ref(&model)).await;
        let stored = shop.append([created(&format!("A-{n}"), "one", "toys")]).await;
        shop.publish("catalog", &stored).await;
        shop.caught_up(&model).await;
        process.stop().await;
        assert_eq!(shop.pushed(&model, "catalog", 0).await, n + 1);
    }
}

/// Two builds beside each other. The one that ends in order leaves nothing that the other would have to see stand still.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_in_order_gives_up_what_it_holds_and_a_rebalance_gives_up_nothing() {
    let models = [pages(), by_category()];
    let mut shop = Shop::new(2, &models).await;
    let given_up = "SELECT count(*) FROM read.checkpoint WHERE given_up_at_term = term";
    let ever = "SELECT count(*) FROM read.checkpoint WHERE given_up_at_term >= 0";
    let one = shop.process(&models).await;
    eventually("one process to have them all", || async { (one.projectors.partitions().len() == 6).then_some(()) }).await;
    let two = shop.process(&models).await;
    eventually("both to have some", || async {
        (one.projectors.partitions().len() == 3 && two.projectors.partitions().len() == 3).then_some(())
    })
    .await;
    let stored = shop.append((0..20).map(|n| created(&format!("A-{n}"), "one", "toys")).collect::<Vec<_>>()).await;
    shop.publish("catalog", &stored).await;
    for model in &models {
        shop.caught_up(model).await;
    }
    assert_eq!(shop.count(ever).await, 0);
    let has = |process: &crate::support::Process| process.projectors.partitions().len();
    two.stop().await;
    eventually("the first to have them all", || async { (has(&one) == 6).then_some(()) }).await;
    one.stop().await;
    assert_eq!(shop.count(given_up).await, 6);

    // Another build's, which has one read model alone: it takes over what it finds, and the rest stays given up.
    let other = shop.process(&models[..1]).await;
    let stored = shop.append((0..20).map(|n| retitled(&format!("A-{n}"), "two")).collect::<Vec<_>>()).await;
    shop.publish("catalog", &stored).await;
    shop.caught_up(&models[0]).await;
    assert_eq!(shop.count(given_up).await, 2);
    other.stop().await;
    assert_eq!(shop.count(given_up).await, 6);
}

/// Changed rows are taken to be there. If one is not, the batch is written in the other way.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_there_after_all_is_written_again() {
    let model = by_word();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    let stored = shop.append([created("A-1", "one more", "toys"), created("A-2", "two more", "toys")]).await;
    shop.publish("catalog", &stored).await;
    shop.caught_up(&model).await;
    for table in ["by_word_1", "by_word_1_view"] {
        // Until nothing that was removed before can wait to be pushed, batches are written in full.
        for n in 0..3 {
            let end = shop.checkpoint(&model, "catalog", 0).await.0;
            eventually("all to be pushed", || async { (shop.pushed(&model, "catalog", 0).await == end).then_some(()) }).await;
            let stored = shop.append([categorized("A-1", &format!("{table} {n}")), categorized("A-2", "toys")]).await;
            shop.publish("catalog", &stored).await;
            shop.caught_up(&model).await;
        }
        let gone = format!("DELETE FROM read.{table} WHERE stream_id = 'product/A-1'");
        shop.database.owner().await.batch_execute(&gone).await.expect("the owner may");
        let stored = shop.append([categorized("A-1", table), categorized("A-2", table)]).await;
        shop.publish("catalog", &stored).await;
        shop.caught_up(&model).await;
        if table == "by_word_1" {
            assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
        } else {
            // Without its view a stream can't be told from one that is new: it is parked, and not passed over.
            assert_eq!(shop.parked(&model).await.len(), 1);
        }
    }
    process.stop().await;
}

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn fact(&mut self, alive: &mut BTreeSet<u64>) -> Fact {
        let n = self.below(25);
        let sku = format!("A-{n}");
        let text = format!("t{}", self.below(4));
        match self.below(8) {
            0 | 1 => received(&sku, &format!("w-{}", self.below(3)), 1 + u32::try_from(self.below(9)).expect("small")),
            _ if alive.insert(n) => created(&sku, &text, &text),
            2 | 3 => retitled(&sku, &text),
            4 => retired(&sku),
            _ => categorized(&sku, &text),
        }
    }
}

/// Messages are dropped and repeated, connections cut off, checkpoints taken over: at the end the parts are what a fresh fold of the log
/// makes, and a pod that only followed what was pushed has the same.
#[tokio::test(flavor = "multi_thread")]
async fn parts_equal_a_fresh_fold() {
    let models = [pages(), by_category()];
    let mut shop = Shop::new(2, &models).await;
    let seed = Uuid::new_v4().as_u64_pair().0;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let mut pods = [Pod::new(&shop, &models[0]).await, Pod::new(&shop, &models[1]).await];
    let mut alive = BTreeSet::new();
    let mut processes = vec![shop.process(&models).await];
    let mut published = Vec::new();
    for _ in 0..60 {
        let facts: Vec<Fact> = (0..1 + dice.below(12)).map(|_| dice.fact(&mut alive)).collect();
        for service in crate::support::SERVICES {
            let stored = shop.append(facts.iter().filter(|f| f.service == service).cloned()).await;
            for event in stored {
                match dice.below(10) {
                    0 => {}
                    1 => published.extend([(service, event.clone()), (service, event)]),
                    _ => published.push((service, event)),
                }
            }
        }
        // Some now, some with the next page, some again.
        let now = published.len() - usize::try_from(dice.below(3)).expect("small").min(published.len());
        for (service, event) in published.drain(..now) {
            shop.publish(service, &[event]).await;
        }
        match dice.below(12) {
            0 if processes.len() < 3 => processes.push(shop.process(&models).await),
            1 if processes.len() > 1 => processes.remove(0).stop().await,
            2 | 3 => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'daybook projector'";
                shop.database.owner().await.batch_execute(cut).await.expect("the owner may");
            }
            _ => {}
        }
        let pod = usize::try_from(dice.below(2)).expect("small");
        pods[pod].follow(&shop).await;
    }
    for (model, pod) in models.iter().zip(&mut pods) {
        shop.caught_up(model).await;
        assert!(shop.parked(model).await.is_empty(), "seed {seed}");
        let parts = shop.parts(model).await;
        assert_eq!(parts, shop.fresh_fold(model).await, "seed {seed}");
        pod.comes_to(&shop, &parts).await;
    }
    let streams: BTreeSet<i32> = alive.iter().map(|n| shop.partition(&StreamId::new("product", &format!("A-{n}")))).collect();
    assert_eq!(streams.len(), 2, "both partitions had something to do");
    for process in processes {
        process.stop().await;
    }
}
