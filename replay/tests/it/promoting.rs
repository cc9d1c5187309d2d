//! `promote`: which generation is served, and who has followed.

use daybook_bus::{Headers, PartitionReader, Producer, ProducerOptions, Record, StartAt, headers};
use daybook_kernel::ReadModel;
use daybook_log::Writer;
use daybook_projections::lifecycle::{GenerationState, describe, known_generations, pods_on, retire};
use daybook_projections::rebuild::Tail;
use daybook_projections::{LiveGeneration, prepare};
use daybook_proto::v1::{GenerationSwitched, QueryPod};
use daybook_replay::{Promoted, RebuildOutcome, ReplayError, Then, promote};
use daybook_testkit::TransactionalClient;
use prost::Message as _;

use crate::shop::{
    Shop, by_category, by_category_broken, by_category_with_marks, categorized, created, quick, retitled, titles, waits_for_a_lock,
};

async fn try_promote(shop: &Shop, model: &ReadModel, number: Option<i32>) -> Result<Promoted, ReplayError> {
    promote(&shop.database.databases(), &shop.bus, model, shop_proto::descriptors(), number, &quick()).await
}

/// As [`try_promote`], with little patience for a generation that is behind.
async fn promote_soon(shop: &Shop, model: &ReadModel, number: Option<i32>) -> Result<Promoted, ReplayError> {
    let options = daybook_replay::PromoteOptions { catch_up: std::time::Duration::from_millis(500), ..quick() };
    promote(&shop.database.databases(), &shop.bus, model, shop_proto::descriptors(), number, &options).await
}

async fn refusal(shop: &Shop, model: &ReadModel, number: Option<i32>) -> String {
    let error = promote_soon(shop, model, number).await.expect_err("it must be refused");
    assert!(error.is_refusal(), "{error}");
    error.to_string()
}

/// A pod says which generation it serves, with a clock that is an hour fast: a slow test must not mistake it for gone.
async fn pod(shop: &Shop, id: &str, generation: i32) {
    let generations = [("by-category".to_owned(), generation)].into();
    let says = QueryPod { at_micros: Writer::now().micros() + 3_600_000_000, generations, hot: Default::default() };
    tell(shop, id, Some(says.encode_to_vec())).await;
}

async fn tell(shop: &Shop, id: &str, says: Option<Vec<u8>>) {
    let record = Record {
        topic: shop.bus.query_pods().into(),
        partition: 0,
        key: id.to_owned().into(),
        headers: Headers::new(),
        value: says.map(Into::into),
    };
    Producer::new(&shop.bus, ProducerOptions::default()).expect("a producer").send(vec![record]).await.expect("Kafka takes it");
}

#[tokio::test]
async fn a_generation_is_promoted_the_one_before_is_kept_and_is_the_way_back() {
    let model = by_category();
    let mut shop = Shop::new(2, &model).await;
    shop.trade(30, 300).await;
    shop.project(&model).await;
    let report = shop.rebuild(&model, shop.promotion(false)).await;
    let RebuildOutcome::Promoted(promoted) = &report.outcome else { panic!("{report}") };
    assert_eq!((promoted.promotion.from, promoted.promotion.to), (Some(1), 2));
    assert_eq!(shop.generations(&model).await, [(1, "kept".to_owned()), (2, "live".to_owned())]);

    // What is written now is folded into both; then back.
    shop.append([retitled("P-1", "after the switch")]).await;
    shop.project(&model).await;
    let back = try_promote(&shop, &model, Some(1)).await.expect("it is this build's");
    assert_eq!((back.promotion.from, back.promotion.to), (Some(2), 1));
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "kept".to_owned())]);
    assert_eq!(shop.holds(&model, 1).await, shop.holds(&model, 2).await, "it was folded on before it was served");

    // Each switch was announced.
    let mut topic = PartitionReader::open(&shop.bus, &shop.bus.read(model.name), 0, StartAt::Earliest).await.expect("it is there");
    let end = topic.stable_end().await.expect("Kafka answers");
    let said = topic.recv_before(end, 10, 1 << 20).await.expect("two were sent");
    let switched: Vec<_> = said
        .iter()
        .map(|m| {
            let name = m.headers.get_str(headers::CE_TYPE).expect("readable").expect("it has one").to_owned();
            (name, GenerationSwitched::decode(m.value.clone().expect("it has one")).expect("readable").generation)
        })
        .collect();
    let name = "daybook.v1.GenerationSwitched".to_owned();
    assert_eq!(switched, [(name.clone(), 2), (name, 1)]);
}

#[tokio::test]
async fn a_promotion_stands_although_kafka_could_not_be_told() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    let nowhere = daybook_bus::BusConfig { brokers: "127.0.0.1:1".to_owned(), ..shop.bus.clone() };
    let promoted = promote(&shop.database.databases(), &nowhere, &model, shop_proto::descriptors(), None, &quick()).await;
    let promoted = promoted.expect("the switch is made");
    assert_eq!((promoted.promotion.to, promoted.pods), (2, None));
    assert!(promoted.unannounced.is_some());
    assert_eq!(shop.generations(&model).await, [(1, "kept".to_owned()), (2, "live".to_owned())]);
}

#[tokio::test]
async fn a_generation_that_differs_is_served_only_when_that_is_accepted() {
    let mut shop = Shop::new(1, &by_category()).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "books")]).await;
    shop.project(&by_category()).await;
    let changed = by_category_with_marks();
    let report = shop.rebuild(&changed, shop.promotion(false)).await;
    assert!(matches!(report.outcome, RebuildOutcome::Refused { .. }) && !report.is_good(), "{report}");
    assert_eq!(shop.generations(&changed).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
    let Then::Promote { bus, options, .. } = shop.promotion(false) else { unreachable!("it was asked for") };
    let expecting = Then::Promote { bus, options, accept_differences: false, expect: vec!["media.alt".to_owned()] };
    let report = shop.rebuild(&changed, expecting).await;
    assert!(matches!(report.outcome, RebuildOutcome::Promoted(_)), "{report}");
    let report = shop.rebuild(&by_category(), shop.promotion(true)).await;
    assert!(matches!(report.outcome, RebuildOutcome::Promoted(_)) && report.is_good(), "{report}");
    // The one before is another build's: only that can make it live again.
    assert!(refusal(&shop, &by_category(), Some(3)).await.contains("other folds"));
}

#[tokio::test]
async fn a_broken_fold_is_not_promoted_whatever_is_accepted_and_the_live_one_is_untouched() {
    let mut shop = Shop::new(1, &by_category()).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys"), retitled("A", "sour")]).await;
    shop.project(&by_category()).await;
    let before = shop.holds(&by_category(), 1).await;
    let report = shop.rebuild(&by_category_broken(), shop.promotion(true)).await;
    let RebuildOutcome::Refused { why } = &report.outcome else { panic!("{report}") };
    assert!(why.contains("1 streams are parked") && why.contains("product/A"), "{why}");
    assert_eq!(shop.holds(&by_category(), 1).await, before);
    assert_eq!(shop.generations(&by_category()).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
}

#[tokio::test]
async fn only_streams_that_are_not_parked_in_the_live_generation_refuse_a_promotion() {
    let (model, broken) = (by_category(), by_category_broken());
    let mut shop = Shop::new(1, &model).await;
    shop.append(["A", "B"].map(|sku| created(sku, "new", "toys"))).await;
    shop.append([retitled("A", "sour"), retitled("B", "can't be folded")]).await;
    shop.project(&model).await;
    // And what is parked in other places.
    let elsewhere = r#"INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
                       VALUES ('by-category', 1, 'inventory', 0, 'product/A', 0, 'test'), ('titles', 1, 'catalog', 0, 'product/A', 0, 'test'),
                              ('by-category', 9, 'catalog', 0, 'product/Y', 0, 'test'), ('titles', 2, 'catalog', 0, 'product/Z', 0, 'test')"#;
    shop.database.owner().await.batch_execute(elsewhere).await.expect("the owner may");
    // Of the two that are parked in the new one, the live one has one parked.
    let report = shop.rebuild(&broken, shop.promotion(true)).await;
    let RebuildOutcome::Refused { why } = &report.outcome else { panic!("{report}") };
    assert!(why.contains("1 streams are parked") && why.contains("(catalog product/A)"), "{why}");
    // What both have parked is no reason.
    assert_eq!(shop.rebuild(&model, Then::Keep).await.filled.parked.len(), 1);
    assert_eq!(try_promote(&shop, &model, None).await.expect("it is this build's").promotion.to, 3);
}

#[tokio::test]
async fn a_refusal_names_five_streams_and_says_whether_there_are_more() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    let owner = shop.database.owner().await;
    for (range, count, named, more) in [("1, 5", 5, 5, false), ("6, 6", 6, 5, true)] {
        let park = format!(
            r#"INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
               SELECT 'by-category', 2, 'catalog', 0, 'product/' || n, 0, 'test' FROM generate_series({range}) AS n"#
        );
        owner.batch_execute(&park).await.expect("the owner may");
        let why = refusal(&shop, &model, None).await;
        assert!(why.contains(&format!("{count} streams")), "{why}");
        assert_eq!((why.matches("product/").count(), why.contains('…')), (named, more), "{why}");
    }
}

#[tokio::test]
async fn of_several_generations_that_are_ready_the_newest_is_promoted() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    for _ in 0..2 {
        shop.rebuild(&model, Then::Keep).await;
    }
    let promoted = try_promote(&shop, &model, None).await.expect("it is this build's").promotion;
    assert_eq!((promoted.from, promoted.to), (Some(1), 3));
    assert_eq!(shop.holds(&model, 2).await, shop.holds(&model, 1).await, "nobody took it for one that nobody will finish");
    assert_eq!(shop.generations(&model).await, [(1, "kept".to_owned()), (2, "ready".to_owned()), (3, "live".to_owned())]);
}

/// It has not been looked at whether the parts of what becomes ready meanwhile can be served.
#[tokio::test]
async fn the_generation_whose_parts_were_checked_is_the_one_that_is_promoted() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    for _ in 0..2 {
        shop.rebuild(&model, Then::Keep).await;
    }
    let mut owner = shop.database.owner().await;
    owner.batch_execute("UPDATE read.generation SET state = 'building' WHERE generation = 3").await.expect("the owner may");
    let finishing = owner.transaction().await.expect("it answers");
    let ready = r"SELECT FROM read.generation WHERE projection = 'by-category' FOR UPDATE;
                  UPDATE read.generation SET state = 'ready' WHERE generation = 3; UPDATE read.by_category_3 SET bytes = '\xff'";
    finishing.batch_execute(ready).await.expect("the owner may");
    let owner = shop.database.owner().await;
    let (promoted, ()) = tokio::join!(try_promote(&shop, &model, None), async {
        waits_for_a_lock(&owner, "daybook promote").await;
        finishing.commit().await.expect("the owner may");
    });
    assert_eq!(promoted.expect("it is sound").promotion.to, 2);
}

/// An epoch begins without events, and a token of it is waited for by the epoch that the checkpoint shows.
#[tokio::test]
async fn a_generation_that_has_not_come_to_the_epoch_of_the_live_one_is_behind() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    shop.begin_epoch(("catalog", 0), 2).await;
    shop.project(&model).await;
    let catalog = ("catalog".to_owned(), 0);
    let at = [shop.holds(&model, 1).await, shop.holds(&model, 2).await].map(|holds| holds.checkpoints[&catalog]);
    assert_eq!(at, [(1, 2), (1, 1)]);
    assert_eq!(try_promote(&shop, &model, None).await.expect("it comes to it").promotion.to, 2);
    assert_eq!(shop.holds(&model, 2).await.checkpoints[&catalog], (1, 2));
}

#[tokio::test]
async fn a_generation_that_is_behind_is_folded_on_and_refused_when_that_does_not_help() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let behind = "UPDATE read.checkpoint SET next_offset = 3, epoch = 1 WHERE projection = 'by-category' AND generation = 1";
    let owner = shop.database.owner().await;
    owner.batch_execute(behind).await.expect("the owner may");
    let why = refusal(&shop, &model, None).await;
    assert!(why.contains("behind") && why.contains("catalog/0") && why.contains("offset 1"), "{why}");
    assert!(why.contains("folded on for") && why.contains("by 0 events"), "{why}");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
    shop.append([retitled("A", "b"), retitled("A", "c")]).await;
    assert_eq!(try_promote(&shop, &model, None).await.expect("it catches up").promotion.to, 2);
    assert_eq!(shop.holds(&model, 2).await.checkpoints[&("catalog".to_owned(), 0)].0, 3);
}

#[tokio::test]
async fn a_part_that_is_no_message_of_the_read_model_refuses_the_promotion() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    // One that is newer and gone is not the one that is meant.
    shop.rebuild(&model, Then::Drop).await;
    shop.database.owner().await.batch_execute(r"UPDATE read.by_category_2 SET bytes = '\xff'").await.expect("the owner may");
    assert!(refusal(&shop, &model, None).await.contains("toys A"));
    for (number, what) in [(Some(7), "no generation 7"), (Some(1), "live already")] {
        let error = try_promote(&shop, &model, number).await.expect_err("nothing to promote");
        assert!(error.is_usage() && error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn parts_that_are_no_message_of_the_read_model_are_not_promoted_whatever_is_accepted() {
    // What it renders is another message than it says.
    let model = ReadModel { message: "shop.read.v1.CategoryListing", ..titles() };
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.database.owner().await.batch_execute("UPDATE read.titles_1 SET bytes = ''").await.expect("the owner may");
    let report = shop.rebuild(&model, shop.promotion(true)).await;
    let RebuildOutcome::Refused { why } = &report.outcome else { panic!("{report}") };
    assert!(why.contains("1 parts are no message"), "{why}");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
}

#[tokio::test]
async fn every_pod_that_is_alive_has_to_say_that_it_moved() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    pod(&shop, "moves", 1).await;
    pod(&shop, "stays", 1).await;
    let promoting = try_promote(&shop, &model, None);
    let moving = async {
        daybook_testkit::eventually("the switch", || async { (shop.generations(&model).await[1].1 == "live").then_some(()) }).await;
        pod(&shop, "moves", 2).await;
    };
    let (promoted, ()) = tokio::join!(promoting, moving);
    let pods = promoted.expect("it is this build's").pods.expect("Kafka answers");
    // A test may be so slow that patience has ended before the first one moved.
    assert_eq!(pods.elsewhere.get("stays"), Some(&1), "{pods:?}");

    // What a pod still serves is not dropped; nor is what is live.
    let (databases, bus) = (shop.database.databases(), &shop.bus);
    pod(&shop, "stays", 1).await;
    let refused = retire(&databases, bus, &model, 1).await.expect_err("it is served");
    assert!(refused.is_refusal() && refused.to_string().contains("stays"), "{refused}");
    assert!(retire(&databases, bus, &model, 2).await.expect_err("it is live").is_refusal());
    pod(&shop, "stays", 2).await;
    retire(&databases, bus, &model, 1).await.expect("nobody serves it");
    assert_eq!(shop.generations(&model).await, [(1, "retired".to_owned()), (2, "live".to_owned())]);
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relname LIKE 'by\\_category\\_1%'";
    assert_eq!(shop.database.owner().await.query_one(tables, &[]).await.expect("it answers").get::<_, i64>(0), 0);
    let reports = describe(&databases, &model).await.expect("it answers");
    assert_eq!((reports[0].state, reports[1].state, reports[1].this_builds), (GenerationState::Retired, GenerationState::Live, true));
    let error = try_promote(&shop, &model, Some(1)).await.expect_err("it has no tables");
    assert!(error.is_usage() && error.to_string().contains("is retired"), "{error}");
    // Its number is not given again.
    assert_eq!(shop.rebuild(&model, Then::Drop).await.generation, 3);
}

#[tokio::test]
async fn a_pod_is_waited_for_until_it_has_moved_left_or_fallen_silent() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    // It serves another read model's second generation, and has not come to this one's.
    let generations = [("by-category".to_owned(), 1), ("titles".to_owned(), 2)].into();
    let says = QueryPod { at_micros: Writer::now().micros() + 3_600_000_000, generations, hot: Default::default() };
    tell(&shop, "moves", Some(says.encode_to_vec())).await;
    // On its way to a later one.
    pod(&shop, "later", 3).await;
    // The last word of one is old; one has left; one can't be read, which says nothing of where it is.
    let silent = QueryPod { at_micros: 1, ..says };
    tell(&shop, "silent", Some(silent.encode_to_vec())).await;
    pod(&shop, "left", 1).await;
    tell(&shop, "left", None).await;
    pod(&shop, "garbled", 1).await;
    tell(&shop, "garbled", Some(vec![0xff])).await;
    let now = pods_on(&shop.bus, model.name, 2, std::time::Duration::ZERO).await.expect("Kafka answers");
    let elsewhere = [("garbled", 1), ("later", 3), ("moves", 1)].map(|(id, on)| (id.to_owned(), on));
    assert_eq!((now.moved, now.elsewhere), (Vec::new(), elsewhere.into()));

    let moving = async {
        for id in ["moves", "later", "garbled"] {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            pod(&shop, id, 2).await;
        }
    };
    let (then, ()) = tokio::join!(pods_on(&shop.bus, model.name, 2, std::time::Duration::from_secs(60)), moving);
    let then = then.expect("Kafka answers");
    assert_eq!((then.moved.len(), then.elsewhere.len()), (3, 0), "{then:?}");
}

#[tokio::test]
async fn a_pod_that_is_not_heard_behind_a_client_s_open_transaction_is_not_taken_for_gone() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    try_promote(&shop, &model, None).await.expect("it is this build's");
    let client = TransactionalClient::new(&shop.bus, "stranger", std::time::Duration::from_secs(600)).await;
    client.begin();
    let topic = shop.bus.query_pods().into();
    client.send(Record { topic, partition: 0, key: "?".into(), headers: Headers::new(), value: None }).await;
    pod(&shop, "stays", 1).await;
    let (databases, bus) = (shop.database.databases(), &shop.bus);
    let undecided = retire(&databases, bus, &model, 1).await.expect_err("nobody knows who serves it");
    assert!(!undecided.is_refusal() && undecided.to_string().contains("transaction is open"), "{undecided}");
    client.abort().await;
    let refused = retire(&databases, bus, &model, 1).await.expect_err("it is served");
    assert!(refused.is_refusal() && refused.to_string().contains("stays"), "{refused}");
}

#[tokio::test]
async fn generations_are_listed_with_how_far_behind_they_are() {
    let model = by_category();
    let mut shop = Shop::new(2, &model).await;
    shop.append((0..10).map(|n| created(&format!("P-{n}"), "new", "toys"))).await;
    shop.rebuild(&model, Then::Keep).await;
    let reports = describe(&shop.database.databases(), &by_category_with_marks()).await.expect("it answers");
    assert_eq!((reports[0].behind(), reports[1].behind()), (10, 0));
    assert_eq!((reports[1].parts, reports[1].parked, reports[1].this_builds), (Some(10), 0, false));
    assert_eq!(reports[0].parts, Some(0), "that is known");
    let reader = shop.reader().await;
    let known = known_generations(&reader, model.name).await.expect("it answers");
    let mut tail = Tail::of(&shop.database.databases(), &model, &known[0]).await.expect("it opens");
    assert_eq!(tail.catch_up().await.expect("foldable"), 10);
}

/// The tables of a generation as builds made them that gave every view a row of its own.
const EARLIER_LAYOUT: &str = "ALTER TABLE read.by_category_1_view ALTER COLUMN view DROP NOT NULL;
    INSERT INTO read.by_category_1_view (service, stream_id, partition, \"offset\", version, view)
    SELECT service, stream_id, partition, \"offset\", version, view FROM read.by_category_1 WHERE version IS NOT NULL;
    ALTER TABLE read.by_category_1 DROP COLUMN version, DROP COLUMN view;
    SET search_path = read;";

#[tokio::test]
async fn a_generation_of_the_layout_before_is_left_alone_and_replaced_by_a_rebuild() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys"), categorized("A", "games")]).await;
    shop.project(&model).await;
    let migration = include_str!("../../../migrations/read/V4__view_in_part.sql");
    shop.database.owner().await.batch_execute(&format!("{EARLIER_LAYOUT}{migration}{migration}")).await.expect("the owner may");
    let found = prepare(&shop.database.databases(), &shop.bus, std::slice::from_ref(&model)).await.expect("it answers");
    assert_eq!(found[0].found, LiveGeneration::Outdated);
    let report = shop.rebuild(&model, shop.promotion(false)).await;
    assert!(report.diff.is_identical(), "{report}");
    assert_eq!(shop.generations(&model).await, [(1, "kept".to_owned()), (2, "live".to_owned())]);
}
