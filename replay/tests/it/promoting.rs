//! `promote`: which generation is served, and who has followed.

use daybook_bus::{Headers, PartitionReader, Producer, ProducerOptions, Record, StartAt, headers};
use daybook_kernel::ReadModel;
use daybook_log::Writer;
use daybook_projectors::lifecycle::{GenerationState, describe, known_generations, retire};
use daybook_projectors::rebuild::Tail;
use daybook_proto::v1::{GenerationSwitched, QueryPod};
use daybook_replay::{Outcome, Promoted, ReplayError, Then, promote};
use daybook_testkit::TransactionalClient;
use prost::Message as _;

use crate::shop::{Shop, by_category, by_category_broken, by_category_with_marks, created, quick, retitled, titles};

async fn try_promote(shop: &Shop, model: &ReadModel, number: Option<i32>) -> Result<Promoted, ReplayError> {
    promote(&shop.database.databases(), &shop.bus, model, shop_proto::descriptors(), number, &quick()).await
}

async fn refusal(shop: &Shop, model: &ReadModel, number: Option<i32>) -> String {
    let error = try_promote(shop, model, number).await.expect_err("it must be refused");
    assert!(error.is_refusal(), "{error}");
    error.to_string()
}

/// A pod says which generation it serves, with a clock that is an hour fast: a slow test must not mistake it for gone.
async fn pod(shop: &Shop, id: &str, generation: i32) {
    let generations = [("by-category".to_owned(), generation)].into();
    let says = QueryPod { at_micros: Writer::now().micros() + 3_600_000_000, generations, hot: Default::default() };
    let record = Record {
        topic: shop.bus.query_pods().into(),
        partition: 0,
        key: id.to_owned().into(),
        headers: Headers::new(),
        value: Some(says.encode_to_vec().into()),
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
    let Outcome::Promoted(promoted) = &report.outcome else { panic!("{report}") };
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
async fn a_generation_that_differs_is_served_only_when_that_is_accepted() {
    let mut shop = Shop::new(1, &by_category()).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "books")]).await;
    shop.project(&by_category()).await;
    let changed = by_category_with_marks();
    let report = shop.rebuild(&changed, shop.promotion(false)).await;
    assert!(matches!(report.outcome, Outcome::Refused { .. }) && !report.is_good(), "{report}");
    assert_eq!(shop.generations(&changed).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
    let Then::Promote { bus, options, .. } = shop.promotion(false) else { unreachable!("it was asked for") };
    let expecting = Then::Promote { bus, options, accept_differences: false, expect: vec!["media.alt".to_owned()] };
    let report = shop.rebuild(&changed, expecting).await;
    assert!(matches!(report.outcome, Outcome::Promoted(_)), "{report}");
    let report = shop.rebuild(&by_category(), shop.promotion(true)).await;
    assert!(matches!(report.outcome, Outcome::Promoted(_)) && report.is_good(), "{report}");
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
    let Outcome::Refused { why } = &report.outcome else { panic!("{report}") };
    assert!(why.contains("1 streams are parked") && why.contains("product/A"), "{why}");
    assert_eq!(shop.holds(&by_category(), 1).await, before);
    assert_eq!(shop.generations(&by_category()).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
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
    let Outcome::Refused { why } = &report.outcome else { panic!("{report}") };
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
    // Its number is not given again.
    assert_eq!(shop.rebuild(&model, Then::Drop).await.generation, 3);
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
    let reader = shop.reader().await;
    let known = known_generations(&reader, model.name).await.expect("it answers");
    let mut tail = Tail::of(&shop.database.databases(), &model, &known[0]).await.expect("it opens");
    assert_eq!(tail.catch_up().await.expect("foldable"), 10);
}
