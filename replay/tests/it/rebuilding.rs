//! `rebuild`: what it makes, from what, and what is left when it is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daybook_projections::lifecycle::{Building, clear_dead};
use daybook_projections::prepare;
use daybook_projections::rebuild::{RebuildOptions, RebuildProgress};
use daybook_replay::{RebuildOutcome, RebuildRequest, Then, rebuild};

use crate::shop::{
    Shop, all_models, by_category, by_category_broken, categorized, colliding, created, pages, received, retitled, unheard_of, with_memory,
};

#[tokio::test]
async fn a_rebuilt_generation_holds_what_the_live_one_holds() {
    for model in all_models() {
        let mut shop = Shop::new(3, &model).await;
        shop.trade(60, 1_000).await;
        shop.project(&model).await;
        let report = shop.rebuild(&model, Then::Keep).await;
        assert!(report.diff.is_identical() && report.is_good(), "{report}");
        assert!(matches!(report.outcome, RebuildOutcome::Ready));
        assert_eq!((report.generation, report.filled.streams), (2, shop.holds(&model, 1).await.views.len() as u64));
        assert_eq!(shop.holds(&model, 2).await, shop.holds(&model, 1).await);
        assert_eq!(shop.writers(&model, 2).await, shop.writers(&model, 1).await);
        assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);

        // Also what serving and going on need: indexes, statistics, nothing to push.
        let owner = shop.database.owner().await;
        let table = model.name.replace('-', "_");
        let indexes = "SELECT replace(indexdef, $1, '') FROM pg_indexes WHERE schemaname = 'read' AND tablename LIKE $1 || '%' ORDER BY 1";
        let of = async |n: i32| -> Vec<String> {
            owner.query(indexes, &[&format!("{table}_{n}")]).await.expect("it answers").iter().map(|r| r.get(0)).collect()
        };
        assert_eq!((of(2).await, of(2).await.len()), (of(1).await, 4));
        let unpushed = "SELECT count(*) FROM read.checkpoint WHERE projection = $1 AND generation = 2 AND pushed <> next_offset";
        assert_eq!(owner.query_one(unpushed, &[&model.name]).await.expect("it answers").get::<_, i64>(0), 0);
        // -1: never. A table that is empty is not: the planner would take it for empty while it grows.
        let known =
            format!("SELECT (reltuples >= 0) = EXISTS (SELECT FROM read.{table}_2) FROM pg_class WHERE oid = 'read.{table}_2'::regclass");
        assert!(owner.query_one(&known, &[]).await.expect("it answers").get::<_, bool>(0), "it was analysed");
    }
}

#[tokio::test]
async fn every_key_that_a_stream_ever_had_a_part_under_is_remembered() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), categorized("A", "games"), categorized("A", "toys"), created("B", "b", "books")]).await;
    shop.append([categorized("A", "puzzles")]).await;
    shop.rebuild(&model, Then::Keep).await;
    let writers = shop.writers(&model, 2).await;
    let expected = [("books", "product/B"), ("games", "product/A"), ("puzzles", "product/A"), ("toys", "product/A")];
    assert_eq!(writers, expected.map(|(k, s)| (k.to_owned(), s.to_owned())));
}

#[tokio::test]
async fn with_too_little_memory_partitions_are_read_again_and_give_the_same_tables() {
    let model = pages();
    let mut shop = Shop::new(2, &model).await;
    shop.trade(300, 3_000).await;
    shop.project(&model).await;
    let roomy = shop.rebuild_with(&model, &with_memory(512 << 20, Then::Drop)).await.expect("nothing is in the way");
    assert_eq!(roomy.filled.passes, 4, "once a partition");
    let mut passes = roomy.filled.passes;
    for memory in [64 << 10, 24 << 10, 8 << 10] {
        let report = shop.rebuild_with(&model, &with_memory(memory, Then::Keep)).await.expect("nothing is in the way");
        assert!(report.diff.is_identical(), "{report}");
        assert_eq!(shop.holds(&model, report.generation).await, shop.holds(&model, 1).await);
        assert_eq!((report.filled.folded, report.filled.streams), (roomy.filled.folded, roomy.filled.streams), "each event once");
        assert!(report.filled.passes > passes, "{} passes with {memory} bytes, {passes} with more", report.filled.passes);
        passes = report.filled.passes;
    }
    // A stream counts with 224 bytes at least, so of 8 KiB for two partitions at once each can't hold more than 18.
    assert!(u64::from(passes) >= roomy.filled.streams / 18, "{passes} passes for {} streams", roomy.filled.streams);
}

#[tokio::test]
async fn a_stream_that_has_no_room_alone_is_folded_all_the_same() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.trade(4, 100).await;
    shop.project(&model).await;
    let report = shop.rebuild_with(&model, &with_memory(1, Then::Keep)).await.expect("nothing is in the way");
    assert!(report.diff.is_identical(), "{report}");
}

#[tokio::test]
async fn what_was_written_meanwhile_is_in_it() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.trade(20, 100).await;
    let databases = shop.database.databases();
    let mut building = Building::begin(&databases, &model).await.expect("nobody else rebuilds");
    building.fill(&RebuildOptions::default(), &Arc::default()).await.expect("foldable");
    shop.trade(40, 300).await;
    building.tail().await.expect("it opens").catch_up().await.expect("foldable");
    assert_eq!(building.finish().await.expect("it is still there"), 2);
    shop.project(&model).await;
    assert_eq!(shop.holds(&model, 2).await, shop.holds(&model, 1).await);
}

#[tokio::test]
async fn a_rebuild_that_is_killed_leaves_nothing_behind_once_the_next_one_has_begun() {
    let model = pages();
    let mut shop = Shop::new(2, &model).await;
    shop.trade(200, 3_000).await;
    shop.project(&model).await;
    // By the event: while it reads, between its passes, while tables are filled and indexes are built.
    let mut cut = 0;
    for after in [0, 1, 500, 2_500, 3_300, 5_000, 9_000] {
        let (databases, model, progress) = (shop.database.databases(), pages(), Arc::<RebuildProgress>::default());
        let watched = progress.clone();
        let rebuilding = tokio::spawn(async move {
            let request = with_memory(64 << 10, Then::Keep);
            rebuild(&databases, &model, shop_proto::descriptors(), &request, &progress).await.expect("nothing is in the way")
        });
        while watched.read() < after && !rebuilding.is_finished() {
            tokio::task::yield_now().await;
        }
        rebuilding.abort();
        if let Ok(report) = rebuilding.await {
            daybook_projections::lifecycle::retire(&shop.database.databases(), &shop.bus, &pages(), report.generation)
                .await
                .expect("unserved");
            continue;
        }
        cut += 1;
        clear_dead(&shop.database.databases(), pages().name, Duration::from_secs(30)).await.expect("the dead one's lock ends");
        let left = shop.rubbish().await;
        assert!(left.is_empty(), "cut after {after} events: {left:?}");
        assert!(shop.generations(&pages()).await.iter().all(|(_, state)| state == "live" || state == "retired"));
    }
    assert!(cut >= 3, "{cut} were cut");
    let report = shop.rebuild(&model, Then::Keep).await;
    assert_eq!(shop.holds(&model, report.generation).await, shop.holds(&model, 1).await);
}

#[tokio::test]
async fn migrate_and_the_next_rebuild_clear_a_dead_generation_away() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    let databases = shop.database.databases();
    let dead = async || {
        let mut building = Building::begin(&databases, &model).await.expect("nobody else rebuilds");
        building.fill(&RebuildOptions::default(), &Arc::default()).await.expect("foldable");
        assert!(!shop.rubbish().await.is_empty());
        drop(building);
    };
    dead().await;
    daybook_testkit::eventually("migrate to clear up", || async {
        prepare(&databases, &shop.bus, std::slice::from_ref(&model)).await.expect("it is migrated");
        shop.rubbish().await.is_empty().then_some(())
    })
    .await;
    dead().await;
    let report = daybook_testkit::eventually("the lock to end", || async {
        shop.rebuild_with(&model, &RebuildRequest { then: Then::Drop, ..Default::default() }).await.ok()
    })
    .await;
    assert_eq!(report.generation, 4, "the numbers of the dead ones are not given again");
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
    let retired = |number| (number, "retired".to_owned());
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), retired(2), retired(3), retired(4)]);
}

#[tokio::test]
async fn a_read_model_that_was_never_migrated_is_not_rebuilt_and_no_number_is_taken() {
    let shop = Shop::new(1, &pages()).await;
    let model = by_category();
    let refused = shop.rebuild_with(&model, &RebuildRequest::default()).await.expect_err("nothing is live").to_string();
    assert!(refused.contains("by-category") && refused.contains("daybook migrate"), "{refused}");
    assert!(shop.generations(&model).await.is_empty());
    prepare(&shop.database.databases(), &shop.bus, std::slice::from_ref(&model)).await.expect("nothing is in the way");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned())]);
}

#[tokio::test]
async fn of_two_rebuilds_at_once_the_second_says_who_runs_and_touches_nothing() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    let first = Building::begin(&databases, &model).await.expect("nobody else rebuilds");
    let refused = shop.rebuild_with(&model, &RebuildRequest::default()).await.expect_err("one is running").to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    // Nor does a migration mistake it for a dead one.
    prepare(&databases, &shop.bus, std::slice::from_ref(&model)).await.expect("it is migrated");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "building".to_owned())]);
    first.discard().await.expect("it answers");
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_cant_be_folded_parks_its_stream_where_a_projector_parks_it() {
    let model = by_category_broken();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys"), created("C", "c", "toys"), created("D", "sour", "toys")]).await;
    shop.append([retitled("A", "a2"), retitled("A", "sour"), retitled("A", "a3"), retitled("B", "can't be rendered")]).await;
    shop.append([retitled("B", "b3"), unheard_of("C"), retitled("C", "c3")]).await;
    shop.project(&model).await;
    let report = shop.rebuild(&model, Then::Keep).await;
    assert!(report.diff.is_identical(), "{report}");
    let holds = shop.holds(&model, 2).await;
    assert_eq!(holds, shop.holds(&model, 1).await);
    assert_eq!(holds.parked.len(), 4);
    let named: BTreeSet<(&str, i64)> = report.filled.parked.iter().map(|p| (p.stream.as_str(), p.offset)).collect();
    assert_eq!(named, BTreeSet::from([("product/A", 5), ("product/B", 7), ("product/C", 9), ("product/D", 3)]));
    assert!(report.to_string().contains("this build is broken"), "{report}");
}

#[tokio::test]
async fn events_that_an_operator_skipped_are_passed_over() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), retitled("A", "can't be folded"), categorized("A", "games"), created("B", "b", "toys")]).await;
    shop.append([unheard_of("C"), retitled("B", "b2")]).await;
    let skip = r#"INSERT INTO read.skipped (projection, service, partition, stream_id, "offset", reason) VALUES
                  ('by-category', 'catalog', 0, 'product/A', 1, 'test'), ('by-category', 'catalog', 0, 'product/C', 4, 'test'),
                  ('titles', 'catalog', 0, 'product/B', 5, 'test')"#;
    shop.database.owner().await.batch_execute(skip).await.expect("the owner may");
    let report = shop.rebuild(&model, Then::Keep).await;
    assert!(report.filled.parked.is_empty(), "{report}");
    let holds = shop.holds(&model, 2).await;
    let parts: Vec<_> = holds.parts.keys().map(|(k, p)| (k.as_str(), p.as_str())).collect();
    assert_eq!(parts, [("games", "A"), ("toys", "B")]);
    let b = &holds.parts[&("toys".to_owned(), "B".to_owned())].0;
    assert!(b.windows(2).any(|w| w == b"b2"), "what another read model does without is not passed over");
    assert_eq!((holds.views["product/A"].0, holds.views["product/C"].0), (3, 1), "what was passed over counts as a version");
}

#[tokio::test]
async fn rows_that_do_not_lie_in_order_are_sorted_and_one_that_is_missing_is_damage() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), retitled("A", "b"), retitled("A", "c"), received("A", "w", 1)]).await;
    shop.project(&model).await;
    let owner = shop.database.owner().await;
    // As after an append that failed, and a vacuum: a later row lies before an earlier one.
    let disorder = r#"SET session_replication_role = replica; CREATE TABLE kept AS SELECT * FROM catalog.event_0 WHERE "offset" = 0;
                      DELETE FROM catalog.event_0 WHERE "offset" = 0; INSERT INTO catalog.event_0 SELECT * FROM kept"#;
    owner.batch_execute(disorder).await.expect("a superuser may");
    let report = shop.rebuild(&model, Then::Drop).await;
    assert!(report.diff.is_identical(), "{report}");

    owner.batch_execute(r#"DELETE FROM catalog.event_0 WHERE "offset" = 1"#).await.expect("a superuser may");
    let damaged = shop.rebuild_with(&model, &RebuildRequest::default()).await.expect_err("a gap").to_string();
    assert!(damaged.contains("catalog/0:1 is missing") && damaged.contains("verify"), "{damaged}");
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
    owner.batch_execute(r#"DELETE FROM catalog.event_0 WHERE "offset" = 2"#).await.expect("a superuser may");
    let damaged = shop.rebuild_with(&model, &RebuildRequest::default()).await.expect_err("its end is missing").to_string();
    assert!(damaged.contains("catalog/0:1 is missing"), "{damaged}");
}

#[tokio::test]
async fn a_part_that_two_streams_write_ends_the_rebuild_and_is_named() {
    let model = colliding();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys")]).await;
    let refused = shop.rebuild_with(&model, &RebuildRequest::default()).await.expect_err("both render it");
    assert!(refused.is_refusal() && refused.to_string().contains("(one, for all)"), "{refused}");
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_rate_holds_the_reading_back() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.trade(10, 190).await;
    shop.project(&model).await;
    let begun = std::time::Instant::now();
    let options = RebuildOptions { rate: std::num::NonZeroU64::new(400), ..Default::default() };
    let report = shop.rebuild_with(&model, &RebuildRequest { options, ..Default::default() }).await.expect("nothing is in the way");
    assert!(begun.elapsed() >= Duration::from_millis(report.filled.events.cast_unsigned() * 1_000 / 400), "no sooner than that");
}

#[tokio::test]
async fn a_generation_that_was_dropped_while_it_was_built_is_not_made_ready_and_no_other_is_touched() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A-1", "one", "toys")]).await;
    shop.project(&model).await;
    let owner = shop.database.owner().await;
    owner.batch_execute("UPDATE read.checkpoint SET pushed = 0").await.expect("the owner may");
    let pushed = async |generation: i32| -> i64 {
        let sql = "SELECT pushed FROM read.checkpoint WHERE projection = 'by-category' AND generation = $1";
        owner.query_one(sql, &[&generation]).await.expect("readable").get(0)
    };
    let databases = shop.database.databases();
    let building = Building::begin(&databases, &model).await.expect("nobody else builds");
    assert_eq!(building.finish().await.expect("it is there"), 2);
    assert_eq!(pushed(1).await, 0, "what the live one owes it still owes");

    let dropped = Building::begin(&databases, &model).await.expect("nobody else builds");
    owner.batch_execute("UPDATE read.generation SET state = 'retired' WHERE generation = 3").await.expect("the owner may");
    let refused = dropped.finish().await.expect_err("there is nothing to finish");
    assert!(refused.to_string().contains("was dropped"), "{refused}");
    assert_eq!(shop.generations(&model).await.pop().expect("three"), (3, "retired".to_owned()));
}
