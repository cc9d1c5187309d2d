//! An event that can't be folded stops its stream, and nothing else.

use crate::models::{by_category, categorized, created, pages, retitled, unheard_of};
use crate::support::{Shop, message};

#[tokio::test]
async fn an_event_that_cannot_be_folded_parks_its_stream_alone_and_the_rest_flows() {
    let model = pages();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    // One page, and so one batch.
    let stored = shop
        .append([
            created("A-1", "one", "toys"),
            created("A-2", "two", "toys"),
            unheard_of("A-1"),
            retitled("A-2", "three"),
            created("A-3", "x", "y"),
        ])
        .await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");

    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (5, 1));
    let parked = shop.parked(&model).await;
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].0.as_str(), parked[0].1), ("product/A-1", stored[2].offset));
    assert!(parked[0].2.contains("this build knows no type shop.catalog.v1.ProductSang"), "{}", parked[0].2);
    // The parked stream's good parts stand, and all parts of the others.
    let titles = titles(&shop).await;
    assert_eq!(titles, [("A-1", "one"), ("A-2", "three"), ("A-3", "x")].map(|(k, t)| (k.to_owned(), t.to_owned())));
}

#[tokio::test]
async fn later_events_of_a_parked_stream_wait_behind_it() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys"), retitled("A-1", "can't be folded"), retitled("A-1", "same batch")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    let good = shop.parts(&model).await;
    let parked = shop.parked(&model).await;
    assert_eq!((parked.len(), parked[0].1), (1, 1));
    assert_eq!((projector.counts().folded, projector.counts().parked), (1, 1));
    assert!(parked[0].2.contains("panicked"), "{}", parked[0].2);

    // The next batch of this projector, and one that has only read of it.
    shop.append([categorized("A-1", "next batch")]).await;
    projector.catch_up().await.expect("it waits");
    assert_eq!((projector.counts().folded, projector.counts().parked), (1, 1));
    let mut other = shop.projector(&model, "catalog", 0).await;
    shop.append([categorized("A-1", "another process"), created("A-2", "two", "toys")]).await;
    other.catch_up().await.expect("it waits");
    assert_eq!((other.counts().folded, other.counts().parked), (1, 0));
    let mut now = shop.parts(&model).await;
    assert!(now.remove(&("toys".to_owned(), "A-2".to_owned())).is_some());
    assert_eq!(now, good);
    assert_eq!(shop.parked(&model).await, parked);
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (5 + 1, 1));
}

#[tokio::test]
async fn an_event_whose_view_cannot_be_rendered_parks_its_stream_and_the_last_good_view_stays() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let bad_key = "x".repeat(600);
    shop.append([created("A-1", "one", "toys"), created("A-2", "one", "toys"), categorized("A-1", "games")]).await;
    let bad = shop.append([retitled("A-1", "can't be rendered"), retitled("A-1", "fine again"), categorized("A-2", &bad_key)]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    let keys: Vec<_> = shop.parts(&model).await.into_keys().collect();
    assert_eq!(keys, [("games".to_owned(), "A-1".to_owned()), ("toys".to_owned(), "A-2".to_owned())]);
    let parked: Vec<_> = shop.parked(&model).await.into_iter().map(|(stream, offset, _)| (stream, offset)).collect();
    assert_eq!(parked, [("product/A-1".to_owned(), bad[0].offset), ("product/A-2".to_owned(), bad[2].offset)]);
}

#[tokio::test]
async fn only_what_the_log_says_parks_a_stream() {
    let model = pages();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop.append([created("A-1", "one", "toys"), retitled("A-1", "two"), created("A-2", "x", "y")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    let mut messages: Vec<_> = stored.iter().map(|e| message(e, 0)).collect();
    // Damaged on the way: still a message with all its headers.
    messages[1].value = Some(b"\xff\xff\xff".as_slice().into());
    shop.follow(&mut projector, &messages).await.expect("the log has it");
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (3, 1));
}

#[tokio::test]
async fn an_event_whose_predecessors_are_missing_in_its_view_parks_its_stream() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys")]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("it folds");
    // A view that somebody took away.
    shop.database.owner().await.batch_execute("DELETE FROM read.by_category_1").await.expect("the owner may");
    projector.resume().await.expect("it answers");
    shop.append([categorized("A-1", "games")]).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    let parked = shop.parked(&model).await;
    assert!(parked[0].2.contains("version 2") && parked[0].2.contains("version 0"), "{parked:?}");
}

async fn titles(shop: &Shop) -> Vec<(String, String)> {
    use prost::Message as _;
    let parts = shop.parts(&pages()).await;
    parts
        .into_iter()
        .map(|((key, _), bytes)| (key, shop_proto::read::v1::ProductPage::decode(bytes.as_slice()).expect("a page").title))
        .collect()
}
