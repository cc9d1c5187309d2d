//! Holders of a checkpoint, and what they do to the read models.

use daybook_follow::{FollowError, Follower as _};
use daybook_projections::{Limits, ProjectorError};

use crate::models::{by_category, by_category_mended, created, poisoned, retitled};
use crate::support::{Shop, message};

#[tokio::test]
async fn a_holder_that_was_replaced_writes_nothing_though_the_checkpoint_stands_where_it_was_read() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut old = shop.projector(&model, "catalog", 0).await;
    old.take_over().await.expect("nobody holds it");
    old.catch_up().await.expect("it is its own");
    let mut new = shop.projector(&model, "catalog", 0).await;
    new.take_over().await.expect("it answers");
    assert_eq!(old.next(), new.next(), "both stand at the end");

    // By Kafka, from the log, and for a parked stream that an operator asks for.
    let stored = shop.append([retitled("A-1", "two")]).await;
    let late = shop.follow(&mut old, &[message(&stored[0], 0)]).await;
    assert!(matches!(late, Err(FollowError::Moved(_))), "{late:?}");
    let late = old.catch_up().await;
    assert!(matches!(late, Err(ProjectorError::Superseded(_))), "{late:?}");
    // Nor does it go on under the term that it finds.
    let late = old.resume().await;
    assert!(matches!(late, Err(ProjectorError::Superseded(_))), "{late:?}");
    shop.follow(&mut new, &[message(&stored[0], 0)]).await.expect("it holds it");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

/// Its writes still under way are fenced, too.
#[tokio::test]
async fn a_holder_that_has_given_up_is_fenced_and_gives_up_nothing_of_another_one() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    // One that has never held it has nothing to give up.
    shop.projector(&model, "catalog", 0).await.give_up().await.expect("it answers");
    let mut old = shop.projector(&model, "catalog", 0).await;
    old.take_over().await.expect("nobody holds it");
    old.catch_up().await.expect("it is its own");
    let standing = old.standing().await.expect("it answers");
    assert_eq!((standing.next, standing.term, standing.given_up), (1, 1, false));
    // A promotion holds it: that is not waited for, and the one that stands by will see it stand still.
    let mut owner = shop.database.owner().await;
    let promotion = owner.transaction().await.expect("it begins");
    promotion.batch_execute("SELECT FROM read.checkpoint FOR UPDATE").await.expect("nobody holds it for long");
    old.give_up().await.expect("it answers");
    promotion.rollback().await.expect("it ends");
    assert!(!old.standing().await.expect("it answers").given_up);

    old.give_up().await.expect("it answers");
    let standing = old.standing().await.expect("it answers");
    assert_eq!((standing.next, standing.term, standing.given_up), (1, 2, true), "the term rises, the place stays");
    shop.append([retitled("A-1", "two")]).await;
    let late = old.catch_up().await;
    assert!(matches!(late, Err(ProjectorError::Superseded(_))), "{late:?}");

    let mut new = shop.projector(&model, "catalog", 0).await;
    new.take_over().await.expect("nobody holds it");
    old.give_up().await.expect("it answers");
    let standing = new.standing().await.expect("it answers");
    assert_eq!((standing.term, standing.given_up), (3, false), "it is not the old one's to give up");
    new.catch_up().await.expect("it holds it");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn a_follower_s_name_tells_its_generation() {
    let model = by_category();
    let shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let projector = shop.projector(&model, "catalog", 0).await;
    assert_eq!(daybook_follow::Follower::name(&projector), "by-category catalog/0 (generation 1)");
}

/// The interleaving that the offset alone does not tell: nothing moves while a stream is freed.
#[tokio::test]
async fn a_stream_is_freed_by_the_holder_alone() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", &poisoned(), "toys")]).await;
    let mut old = shop.projector(&model, "catalog", 0).await;
    old.take_over().await.expect("nobody holds it");
    old.catch_up().await.expect("it parks the stream");
    assert_eq!(shop.parked(&model).await.len(), 1);
    let mut new = shop.projector(&model, "catalog", 0).await;
    new.take_over().await.expect("it answers");
    shop.database.owner().await.batch_execute("UPDATE read.parked SET asked = 'skip'").await.expect("the owner may");
    let late = old.tend().await;
    assert!(matches!(late, Err(ProjectorError::Superseded(_))), "{late:?}");
    assert_eq!(shop.parked(&model).await.len(), 1);
    new.tend().await.expect("it holds it");
    assert!(shop.parked(&model).await.is_empty());
}

/// As in a rolling upgrade: an older build has the partition in between, and parks what only the newer one can fold.
#[tokio::test]
async fn a_stream_that_another_holder_has_parked_in_between_is_tried_again() {
    let (older, newer) = (by_category(), by_category_mended());
    let mut shop = Shop::new(1, std::slice::from_ref(&older)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut new = shop.projector(&newer, "catalog", 0).await;
    new.take_over().await.expect("nobody holds it");
    new.catch_up().await.expect("it is its own");
    let mut old = shop.projector(&older, "catalog", 0).await;
    old.take_over().await.expect("it answers");
    shop.append([retitled("A-1", &poisoned())]).await;
    old.catch_up().await.expect("it parks the stream");
    assert_eq!(shop.parked(&older).await.len(), 1);
    new.take_over().await.expect("it answers");
    new.tend().await.expect("it holds it");
    assert!(shop.parked(&older).await.is_empty());
    assert_eq!(shop.parts(&older).await, shop.fresh_fold(&newer).await);
}

#[tokio::test]
async fn what_is_held_stays_good_over_a_rebalance_unless_somebody_else_had_the_partition() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut first = shop.projector_with(&model, "catalog", 0, Limits::default()).await;
    first.take_over().await.expect("nobody holds it");
    first.catch_up().await.expect("it is its own");
    // Its view is gone from the database: a projector that reads it again parks the stream, one that holds it goes on.
    let owner = shop.database.owner().await;
    owner.batch_execute("DELETE FROM read.by_category_1").await.expect("the owner may");
    first.take_over().await.expect("it is its own");
    shop.append([retitled("A-1", "two")]).await;
    first.catch_up().await.expect("it is its own");
    assert!(shop.parked(&model).await.is_empty());

    // Another one has it meanwhile, and writes.
    let mut other = shop.projector(&model, "catalog", 0).await;
    other.take_over().await.expect("it answers");
    shop.append([retitled("A-1", "three")]).await;
    other.catch_up().await.expect("it holds it");
    first.take_over().await.expect("it answers");
    shop.append([retitled("A-1", "four")]).await;
    first.catch_up().await.expect("it holds it");
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn a_restored_log_that_has_grown_again_is_not_folded_on() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    shop.begin_epoch(("catalog", 0), 2).await;
    shop.append([retitled("A-1", "two"), retitled("A-1", "three")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("an epoch that goes on where the one before ended");
    // It has folded as far as that in the first epoch: what stands there now is of another past.
    let owner = shop.database.owner().await;
    owner.batch_execute("UPDATE read.checkpoint SET next_offset = 2, epoch = 1 WHERE service = 'catalog'").await.expect("the owner may");
    let why = projector.resume().await.expect_err("the log holds something else there");
    assert!(matches!(why, ProjectorError::OfAnotherEpoch { at: 2, folded: 1, epoch: 2, .. }), "{why}");
    // One that stands where the epoch begins goes on.
    owner.batch_execute("UPDATE read.checkpoint SET next_offset = 1, epoch = 1 WHERE service = 'catalog'").await.expect("the owner may");
    projector.resume().await.expect("nothing of it is over");
}
