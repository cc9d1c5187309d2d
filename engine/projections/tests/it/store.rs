//! Writes of a projector, and who may write.

use daybook_follow::FollowError;
use daybook_kernel::StreamId;
use daybook_projections::{Limits, ProjectorError};

use shop_proto::catalog::v1::{ProductCreated, ProductEvent};

use crate::models::{by_category, by_word, categorized, created, fact, levels, pages, received, retired, retitled, unheard_of};
use crate::support::Shop;

#[tokio::test]
async fn the_checkpoint_moves_in_the_statement_that_writes_the_parts() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;

    // The parts can't be written: the checkpoint does not move, and no view stays behind.
    let owner = shop.database.owner().await;
    owner.batch_execute("ALTER TABLE read.by_category_1 ADD CONSTRAINT refused CHECK (key <> 'toys')").await.expect("the owner may");
    projector.catch_up().await.expect_err("the parts are refused");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (0, 1));
    assert_eq!(owner.query("SELECT 1 FROM read.by_category_1_view", &[]).await.expect("it answers").len(), 0);

    owner.batch_execute("ALTER TABLE read.by_category_1 DROP CONSTRAINT refused").await.expect("the owner may");
    projector.resume().await.expect("it answers");
    projector.catch_up().await.expect("nothing is refused");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (1, 1));
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.parts(&model).await.len(), 1);
}

#[tokio::test]
async fn a_paused_projector_that_comes_back_writes_nothing_older() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut paused = shop.projector(&model, "catalog", 0).await;
    paused.catch_up().await.expect("nobody else writes");

    // While it is paused somebody else goes on; the product changes its title twice.
    let second = shop.append([retitled("A-1", "two")]).await;
    let mut other = shop.projector(&model, "catalog", 0).await;
    shop.append([retitled("A-1", "three")]).await;
    other.catch_up().await.expect("nobody else writes");
    let newest = shop.parts(&model).await;

    // It comes back with a message that it had in hand: two is older than three.
    let stale = shop.follow(&mut paused, &[crate::support::message(&second[0], 0)]).await;
    assert!(matches!(stale, Err(FollowError::Moved(_))), "{stale:?}");
    assert_eq!(shop.parts(&model).await, newest);
    assert_eq!(newest, shop.fresh_fold(&model).await);

    // Its memory is forgotten: from the stored checkpoint on it goes on as if it had never been away.
    paused.resume().await.expect("it answers");
    assert_eq!(paused.next(), 3);
    shop.append([categorized("A-1", "games")]).await;
    paused.catch_up().await.expect("nobody else writes");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn batches_grow_while_the_log_is_caught_up_with_and_a_paused_projector_writes_no_large_one_either() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append((0..40).map(|n| created(&format!("A-{n}"), "one", "toys"))).await;
    let limits = Limits { batch_events: 2, catch_up_events: 16, ..Limits::default() };
    let mut paused = shop.projector_with(&model, "catalog", 0, limits.clone()).await;
    for next in [2, 6, 14] {
        paused.step().await.expect("nobody else writes");
        assert_eq!(paused.next(), next);
    }
    shop.projector_with(&model, "catalog", 0, limits.clone()).await.step().await.expect("nobody else writes");
    let parts = shop.parts(&model).await;
    let stale = paused.step().await;
    assert!(matches!(stale, Err(ProjectorError::Superseded(_))), "{stale:?}");
    assert_eq!((shop.parts(&model).await, shop.checkpoint(&model, "catalog", 0).await.0), (parts, 16));
    // From where it stands now on it goes by its own steps, up to the most.
    paused.resume().await.expect("it answers");
    paused.step().await.expect("nobody else writes");
    assert_eq!(paused.next(), 32);
    paused.catch_up().await.expect("nobody else writes");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);

    // Bytes bound them as well.
    shop.append((0..40).map(|n| retitled(&format!("A-{n}"), "two"))).await;
    let tight = Limits { batch_bytes: 1, ..limits };
    let mut projector = shop.projector_with(&model, "catalog", 0, tight).await;
    for next in [42, 43, 44] {
        projector.step().await.expect("nobody else writes");
        assert_eq!(projector.next(), next);
    }
}

#[tokio::test]
async fn a_part_leaves_its_key_when_the_product_changes() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    let keys = async |shop: &Shop| shop.parts(&model).await.into_keys().map(|(key, part)| format!("{key} {part}")).collect::<Vec<_>>();

    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(keys(&shop).await, ["toys A-1", "toys A-2"]);

    shop.append([categorized("A-1", "games")]).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(keys(&shop).await, ["games A-1", "toys A-2"]);

    // The same with a view that has to be read, in one batch with others, there and back again.
    let mut fresh = shop.projector(&model, "catalog", 0).await;
    shop.append([categorized("A-1", "toys"), categorized("A-1", "books"), retired("A-2"), created("A-3", "three", "toys")]).await;
    fresh.catch_up().await.expect("it folds");
    assert_eq!(keys(&shop).await, ["books A-1", "toys A-3"]);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn what_no_fold_reads_moves_the_checkpoint_all_the_same() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut other = unheard_of("A-1");
    other.stream = StreamId::new("review", "A-1");
    shop.append([other, created("A-1", "one", "toys")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (2, 1));
    assert_eq!(projector.counts().folded, 1);
    assert!(shop.parked(&model).await.is_empty());
}

#[tokio::test]
async fn views_that_are_not_in_memory_are_read() {
    let model = pages();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    // Nothing is held from one batch to the next, and a batch is three events.
    let limits = Limits { held_bytes: 0, catch_up_events: 3, ..Limits::default() };
    let mut projectors =
        [shop.projector_with(&model, "catalog", 0, limits.clone()).await, shop.projector_with(&model, "inventory", 0, limits).await];
    for round in 0..4 {
        let skus = ["A-1", "A-2", "A-3", "A-4", "A-5"];
        let facts = skus.iter().map(|sku| if round == 0 { created(sku, "new", "toys") } else { retitled(sku, &format!("round {round}")) });
        shop.append(facts.collect::<Vec<_>>()).await;
        shop.append(skus.iter().map(|sku| received(sku, "w-1", 3)).collect::<Vec<_>>()).await;
        for projector in &mut projectors {
            projector.catch_up().await.expect("it folds");
        }
    }
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.parts(&model).await.len(), 10);
}

#[tokio::test]
async fn a_log_that_ends_before_the_checkpoint_is_not_followed() {
    let model = by_category();
    let shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let owner = shop.database.owner().await;
    owner.batch_execute("UPDATE read.checkpoint SET next_offset = 7").await.expect("the owner may");
    let opened = shop.try_projector(&model, "catalog", 0, Limits::default()).await.err();
    assert!(matches!(opened, Some(ProjectorError::AheadOfLog { at: 7, end: 0, .. })), "{opened:?}");
}

#[tokio::test]
async fn an_epoch_that_begins_without_events_is_shown_by_the_checkpoint() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (1, 1));
    shop.begin_epoch(("catalog", 0), 2).await;
    projector.catch_up().await.expect("there is nothing to fold");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (1, 2));
    shop.append([retitled("A-1", "two")]).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (2, 2));
}

#[tokio::test]
async fn a_view_that_is_its_streams_only_part_is_kept_once() {
    let model = levels();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    // Nothing is held: every view is read.
    let limits = Limits { held_bytes: 0, catch_up_events: 1, ..Limits::default() };
    let mut projector = shop.projector_with(&model, "inventory", 0, limits).await;
    shop.append([received("A-1", "w-1", 5), received("A-2", "w-1", 1), received("A-1", "w-1", 3), received("A-1", "w-1", 4)]).await;
    projector.catch_up().await.expect("it folds");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    let owner = shop.database.owner().await;
    let kept = owner.query("SELECT stream_id, version FROM read.stock_levels_1 WHERE view IS NULL ORDER BY 1", &[]).await;
    let kept: Vec<(String, i64)> = kept.expect("it answers").iter().map(|r| (r.get(0), r.get(1))).collect();
    assert_eq!(kept, [("stock/A-1@w-1".to_owned(), 3), ("stock/A-2@w-1".to_owned(), 1)]);
    assert_eq!(owner.query("SELECT 1 FROM read.stock_levels_1_view", &[]).await.expect("it answers").len(), 0);

    // A part that somebody took away took the view with it: that is told, not guessed.
    owner.batch_execute("DELETE FROM read.stock_levels_1 WHERE key = 'A-2@w-1'").await.expect("the owner may");
    shop.append([received("A-2", "w-1", 1)]).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    assert!(shop.parked(&model).await[0].2.contains("the view stands at version 0"));
    // Folded again from the log, it is whole.
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

/// The streams whose views stand in a part's row, and those whose views have rows of their own.
async fn kept(shop: &Shop) -> [Vec<(String, i64)>; 2] {
    let owner = shop.database.owner().await;
    let mut kept = [Vec::new(), Vec::new()];
    for (streams, sql) in kept.iter_mut().zip([
        "SELECT stream_id, version FROM read.by_word_1 WHERE version IS NOT NULL ORDER BY 1",
        "SELECT stream_id, version FROM read.by_word_1_view ORDER BY 1",
    ]) {
        *streams = owner.query(sql, &[]).await.expect("it answers").iter().map(|r| (r.get(0), r.get(1))).collect();
    }
    kept
}

#[tokio::test]
async fn a_view_stands_in_the_row_of_its_streams_only_part_and_moves_as_parts_come_and_go() {
    let model = by_word();
    for (held_bytes, at_once) in [(0, 1), (0, 1_000), (1 << 20, 1)] {
        let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
        let limits = Limits { held_bytes, catch_up_events: at_once, ..Limits::default() };
        let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
        let of_a = |version| vec![("product/A".to_owned(), version)];
        shop.append([created("A", "one", "toys")]).await;
        for (title, in_part, apart) in [
            ("one", of_a(2), vec![]),
            ("one two", vec![], of_a(3)),
            ("two one", vec![], of_a(4)),
            ("two", of_a(5), vec![]),
            ("three", of_a(6), vec![]),
            ("", vec![], of_a(7)),
            ("four", of_a(8), vec![]),
            ("four", of_a(9), vec![]),
        ] {
            shop.append([retitled("A", title)]).await;
            projector.catch_up().await.expect("it folds");
            assert_eq!(kept(&shop).await, [in_part, apart], "{title:?}");
            assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await, "{title:?}");
            assert!(shop.parked(&model).await.is_empty(), "{title:?}");
        }
    }
}

/// Two streams ought not to have the same part. Where they do, neither loses its view.
#[tokio::test]
async fn a_stream_that_takes_anothers_place_does_not_take_its_view() {
    let model = by_word();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let limits = Limits { held_bytes: 0, catch_up_events: 1, ..Limits::default() };
    let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
    // The part is called as the SKU in the event, and that is not the stream's.
    let stranger = fact::<ProductEvent>("B", ProductCreated { sku: "A".into(), title: "one".into(), ..Default::default() });
    shop.append([created("A", "one", "toys"), stranger, retitled("A", "two"), retitled("B", "three")]).await;
    projector.catch_up().await.expect("it folds");
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(kept(&shop).await, [vec![("product/A".to_owned(), 2), ("product/B".to_owned(), 2)], vec![]]);
}
