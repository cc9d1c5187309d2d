//! Which generations are kept up, by whom.

use daybook_projections::{LiveGeneration, ProjectorError, ReadStore, prepare};
use daybook_testkit::eventually;

use crate::models::{by_category, by_category_of_another_build, created, pages, retitled};
use crate::support::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_with_other_folds_leaves_this_ones_tables_alone() {
    let (model, other) = (by_category(), by_category_of_another_build());
    let mut shop = Shop::new(1, &[model.clone(), pages()]).await;
    let process = shop.process(&[other.clone(), pages()]).await;
    shop.append([created("A-1", "one", "toys")]).await;
    shop.caught_up(&pages()).await;
    assert_eq!((shop.parts(&model).await.len(), shop.checkpoint(&model, "catalog", 0).await), (0, (0, 1)));
    let problems = process.projectors.readiness().await.checks;
    let of = |name: &str| problems.iter().find(|(what, _)| what.contains(name)).and_then(|(_, problem)| problem.clone());
    assert!(of("by-category").is_some_and(|p| p.contains("daybook replay rebuild by-category --promote")), "{problems:?}");
    assert!(process.projectors.partitions().iter().all(|(model, ..)| *model == "product-pages"));

    let store = ReadStore::new(&shop.database.databases()).expect("a URL");
    let refused = store.live(&other).await.err();
    assert!(matches!(refused, Some(ProjectorError::Outdated { generation: 1, .. })), "{refused:?}");
    let prepared = prepare(&shop.database.databases(), &shop.bus, std::slice::from_ref(&other)).await.expect("migrating goes on");
    assert_eq!(prepared[0].found, LiveGeneration::Outdated);

    // A rebuild by this build's folds: the old generation is the other build's business, the new one is ours at once.
    shop.begin_generation(&other, 2, "ready").await;
    eventually("the new generation to be kept up", || async { (shop.parts_of(&other, 2).await.len() == 1).then_some(()) }).await;
    eventually("this build to be ready", || async { process.projectors.readiness().await.is_ready().then_some(()) }).await;
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (0, 1));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_are_kept_up_as_they_come_and_go() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    let running = || process.projectors.partitions().into_iter().map(|(_, generation, ..)| generation).collect::<Vec<_>>();
    shop.append([created("A-1", "one", "toys")]).await;
    shop.caught_up(&model).await;

    // While it is being built nobody else writes to it; from then on it is kept up.
    shop.begin_generation(&model, 2, "building").await;
    shop.append([retitled("A-1", "two")]).await;
    shop.caught_up(&model).await;
    assert_eq!((running().contains(&2), shop.parts_of(&model, 2).await.len()), (false, 0));
    shop.set_state(&model, 2, "ready").await;
    eventually("both to be kept up", || async { (running() == [1, 2]).then_some(()) }).await;
    shop.append([retitled("A-1", "three")]).await;
    let fresh = shop.fresh_fold(&model).await;
    for generation in [1, 2] {
        eventually("each to have it", || async { (shop.parts_of(&model, generation).await == fresh).then_some(()) }).await;
    }

    // Promoted, and the old one kept for the way back; then it goes.
    shop.set_state(&model, 1, "kept").await;
    shop.set_state(&model, 2, "live").await;
    shop.append([retitled("A-1", "four")]).await;
    let fresh = shop.fresh_fold(&model).await;
    for generation in [1, 2] {
        eventually("each to have it", || async { (shop.parts_of(&model, generation).await == fresh).then_some(()) }).await;
    }
    shop.set_state(&model, 1, "retired").await;
    eventually("the old one to be let go", || async { (running() == [2]).then_some(()) }).await;
    shop.append([retitled("A-1", "five")]).await;
    let last = shop.fresh_fold(&model).await;
    eventually("the new one to have it", || async { (shop.parts_of(&model, 2).await == last).then_some(()) }).await;
    assert_eq!(shop.parts_of(&model, 1).await, fresh);
    process.stop().await;
}

#[tokio::test]
async fn a_generation_is_found_by_its_number() {
    let model = by_category();
    let shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.begin_generation(&model, 2, "building").await;
    let store = ReadStore::new(&shop.database.databases()).expect("a URL");
    let found = store.generation(&model, 2).await.expect("it answers").expect("it is there");
    assert_eq!((found.number, found.parts.as_str()), (2, "by_category_2"));
    assert!(store.generation(&model, 3).await.expect("it answers").is_none());
}
