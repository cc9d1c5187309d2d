//! `diff`: what it finds, and what it does not find.

use daybook_projectors::lifecycle::{known_generations, meet};
use daybook_replay::{DiffOptions, DifferenceKind, RebuildRequest, Then, diff};
use serde_json::json;

use crate::shop::{
    Shop, by_category, by_category_broken, by_category_with_marks, categorized, created, pages, received, retired, retitled,
};

#[tokio::test]
async fn a_changed_fold_differs_in_exactly_the_parts_that_it_makes_otherwise() {
    let mut shop = Shop::new(2, &by_category()).await;
    shop.append(["A", "B", "C", "D"].map(|sku| created(sku, "new", "toys"))).await;
    shop.append([categorized("B", "games"), retired("C"), retitled("D", "second")]).await;
    shop.project(&by_category()).await;
    let report = shop.rebuild(&by_category_with_marks(), Then::Drop).await;
    assert!(!report.is_good());
    let diff = &report.diff;
    assert_eq!((diff.identical, diff.differing, diff.only_old, diff.only_new, diff.unsettled), (1, 2, 0, 0, 0), "{diff}");
    let streams: Vec<&str> = diff.stream_names.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!((streams, diff.streams), (vec!["product/A", "product/D"], 2));
    assert_eq!(diff.fields, [("media.alt".to_owned(), 2)].into());
    let mut shown = diff.shown.clone();
    shown.sort_by(|a, b| a.part.cmp(&b.part));
    let fields: Vec<_> =
        shown.iter().map(|d| (&*d.key, &*d.part, d.kind, &*d.fields[0].path, &d.fields[0].old, &d.fields[0].new)).collect();
    let (new, marked, second, marked_too) = (Some(json!("new")), Some(json!("new!")), Some(json!("second")), Some(json!("second!")));
    assert_eq!(
        fields,
        [
            ("toys", "A", DifferenceKind::Differs, "media[0].alt", &new, &marked),
            ("toys", "D", DifferenceKind::Differs, "media[0].alt", &second, &marked_too),
        ]
    );
    assert!(diff.is_expected(&["media".to_owned()]) && diff.is_expected(&["media.alt".to_owned()]));
    assert!(!diff.is_expected(&["med".to_owned()]) && !diff.is_expected(&[]));
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
}

#[tokio::test]
async fn parts_that_are_gone_new_or_no_message_are_told_apart_and_all_are_counted() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append((0..50).map(|n| created(&format!("P-{n}"), "new", "toys"))).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let tampered = r"DELETE FROM read.by_category_1 WHERE part = 'P-1'; DELETE FROM read.by_category_2 WHERE part = 'P-2';
                     UPDATE read.by_category_2 SET bytes = '\xff' WHERE part = 'P-3'; UPDATE read.by_category_2 SET bytes = bytes || '\x0a0178'::bytea WHERE part > 'P-30'";
    let owner = shop.database.owner().await;
    owner.batch_execute(tampered).await.expect("the owner may");
    let all = known_generations(&owner, model.name).await.expect("it answers");
    let options = DiffOptions { show: 3, ..DiffOptions::default() };
    let databases = shop.database.databases();
    let report = diff(&databases, &model, shop_proto::descriptors(), (&all[0], &all[1]), &options, None).await.expect("it answers");
    let longer = (0..50).filter(|n| format!("P-{n}").as_str() > "P-30").count() as u64;
    assert_eq!((report.only_new, report.only_old, report.undecodable, report.differing), (1, 1, 1, 1 + longer), "{report}");
    assert_eq!((report.fields["sku"], report.shown.len(), report.streams), (longer, 3, 3 + longer));
    assert_eq!(report.identical, 50 - 3 - longer);
}

#[tokio::test]
async fn a_stream_that_is_parked_in_one_of_them_is_told_and_is_no_stream_that_moves() {
    let mut shop = Shop::new(1, &by_category()).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys")]).await;
    shop.append([retitled("A", "sour"), retitled("A", "a3")]).await;
    shop.project(&by_category()).await;
    let report = shop.rebuild(&by_category_broken(), Then::Keep).await;
    let parked: Vec<&str> = report.diff.newly_parked.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!((parked, report.diff.differing, report.diff.unsettled), (vec!["product/A"], 1, 0), "{}", report.diff);
    // The other way round it has been healed.
    let reader = shop.reader().await;
    let all = known_generations(&reader, "by-category").await.expect("it answers");
    let databases = shop.database.databases();
    let (model, options) = (by_category(), DiffOptions::default());
    let back = diff(&databases, &model, shop_proto::descriptors(), (&all[1], &all[0]), &options, None).await.expect("it answers");
    assert_eq!((back.no_longer_parked.len(), back.newly_parked.len(), back.differing, back.unsettled), (1, 0, 1, 0), "{back}");
}

/// Whichever of the two is looked at, the other one is elsewhere; found by the fault harness, which had killed the live one's projectors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_stands_still_is_compared_while_the_live_generation_is_held() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "new", "toys"), created("B", "new", "toys")]).await;
    shop.project(&model).await;
    shop.append([retitled("A", "second")]).await;
    let mut live = shop.live(&model).await;
    let projecting = tokio::spawn(async move {
        // It is not there yet when both are looked at first.
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        live.catch_up().await.expect("foldable");
    });
    let request = RebuildRequest { diff: DiffOptions { rounds: 0, ..DiffOptions::default() }, ..RebuildRequest::default() };
    let (databases, progress) = (shop.database.databases(), std::sync::Arc::default());
    let report = daybook_replay::rebuild(&databases, &model, shop_proto::descriptors(), &request, &progress).await;
    let report = report.expect("nothing is in the way");
    assert!(report.is_good() && report.diff.identical == 2, "{report}");
    projecting.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_both_move_nothing_is_reported_that_is_not_so() {
    let model = pages();
    let mut shop = Shop::new(2, &model).await;
    shop.trade(50, 500).await;
    shop.project(&model).await;
    let mut live = shop.live(&model).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // The live generation is ahead of the new one now, and then behind it.
    let projecting = tokio::spawn(async move {
        while !*stopped.borrow() {
            live.catch_up().await.expect("foldable");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    });
    let databases = shop.database.databases();
    let rebuilding = tokio::spawn(async move {
        let mut compared = Vec::new();
        for _ in 0..6 {
            let request = RebuildRequest { diff: DiffOptions { rounds: 12, ..Default::default() }, ..Default::default() };
            let progress = std::sync::Arc::default();
            let report = daybook_replay::rebuild(&databases, &pages(), shop_proto::descriptors(), &request, &progress).await;
            compared.push(report.expect("nothing is in the way").diff);
        }
        compared
    });
    let mut n = 0;
    while !rebuilding.is_finished() {
        n += 1;
        let facts = (0..20).map(|i| retitled(&format!("P-{}", (n * 7 + i) % 50), &format!("{n}")));
        shop.append(facts.chain([received(&format!("P-{}", n % 50), "w-9", 1), created(&format!("N-{n}"), "new", "toys")])).await;
        // Slower than it can be folded, also in a build without optimisation: who writes faster is never caught up with.
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    for diff in rebuilding.await.expect("every rebuild was good") {
        assert_eq!((diff.differences(), diff.newly_parked.len()), (0, 0), "{diff}");
    }
    let _ = stop.send(true);
    projecting.await.expect("foldable");
}

#[tokio::test]
async fn a_generation_that_is_held_stands_still_until_what_holds_it_has_ended() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A-1", "one", "toys")]).await;
    shop.project(&model).await;
    let mut tail = shop.live(&model).await;
    let moves = "SET lock_timeout = '200ms'; UPDATE read.checkpoint SET next_offset = next_offset WHERE projection = 'by-category'";
    let moved = async || shop.database.owner().await.batch_execute(moves).await;
    let during = meet(&shop.database.databases(), &model, 1, &mut tail, async || moved().await).await.expect("it answers");
    let refused = during.expect("they stand at the same place").expect_err("nobody moves it");
    assert_eq!(refused.code().map(|code| code.code()), Some("55P03"), "{refused}");
    moved().await.expect("now it may move");
}
