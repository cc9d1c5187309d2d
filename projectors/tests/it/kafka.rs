//! Kafka is a pipe: whatever it repeats, loses or garbles, the log has it.

use daybook_bus::{Headers, headers as h};
use daybook_projectors::{Limits, ProjectorError};

use crate::models::{by_category, categorized, created, retitled};
use crate::support::{Shop, message};

/// Six events of three streams, in the log; a projector that has seen none.
async fn six() -> (daybook_kernel::ReadModel, Shop, Vec<daybook_bus::Message>, daybook_projectors::Projector) {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop
        .append([
            created("A-1", "one", "toys"),
            created("A-2", "two", "toys"),
            retitled("A-1", "1"),
            categorized("A-1", "games"),
            created("A-3", "three", "games"),
            retitled("A-2", "2"),
        ])
        .await;
    let messages = stored.iter().map(|e| message(e, 0)).collect();
    let projector = shop.projector(&model, "catalog", 0).await;
    (model, shop, messages, projector)
}

#[tokio::test]
async fn a_gap_on_kafka_is_read_from_the_log() {
    let (model, shop, messages, mut projector) = six().await;
    // Within a batch, before it, and at its end, where only the next message shows it.
    projector.follow(&[messages[0].clone(), messages[2].clone()]).await.expect("the log has the rest");
    assert_eq!((projector.next(), projector.counts().gaps), (3, 1));
    projector.follow(&messages[5..]).await.expect("the log has the rest");
    assert_eq!((projector.next(), projector.counts().gaps), (6, 2));
    assert_eq!(projector.counts().folded, 6);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (6, 1));
}

#[tokio::test]
async fn a_repeat_on_kafka_is_folded_once() {
    let (model, shop, messages, mut projector) = six().await;
    let order = [0, 1, 0, 1, 2, 3, 2, 4, 5, 5, 0];
    let all: Vec<_> = order.iter().map(|i| messages[*i].clone()).collect();
    projector.follow(&all[..6]).await.expect("in order");
    projector.follow(&all[6..]).await.expect("in order");
    assert_eq!((projector.counts().repeats, projector.counts().gaps, projector.counts().folded), (5, 0, 6));
    // A fold that took one twice would park its stream: versions count.
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn a_message_that_is_no_event_does_not_stop_the_partition() {
    let (model, shop, messages, mut projector) = six().await;
    let mut garbled = messages.clone();
    garbled[0].headers = Headers::new();
    garbled[2].headers.push(h::OFFSET, &b"\xff\xfe"[..]);
    garbled[4].key = None;
    garbled[5].value = None;
    projector.follow(&garbled).await.expect("the log has them");
    // Also the last one, which no later message could show as missing.
    assert_eq!(projector.next(), 6);
    assert_eq!(projector.counts().unreadable, 4);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn what_kafka_has_and_the_log_has_not_is_never_folded() {
    let (model, shop, messages, mut projector) = six().await;
    projector.follow(&messages).await.expect("in order");
    let before = shop.parts(&model).await;
    // As after a restore of the log: Kafka went on further.
    let mut beyond = messages[5].clone();
    beyond.headers.push(h::OFFSET, "9");
    let refused = projector.follow(&[beyond]).await;
    assert!(matches!(refused, Err(ProjectorError::AheadOfLog { .. })), "{refused:?}");
    assert_eq!(shop.parts(&model).await, before);

    // And in a new epoch, messages of the old one are no events.
    let owner = shop.database.owner().await;
    owner.batch_execute("UPDATE read.checkpoint SET epoch = 2").await.expect("the owner may");
    projector.resume().await.expect("it answers");
    let mut old = messages[5].clone();
    old.headers.push(h::OFFSET, "6");
    old.headers.push(h::VERSION, "3");
    projector.follow(&[old]).await.expect("it is passed over");
    assert_eq!(projector.next(), 6);
}

#[tokio::test]
async fn a_batch_is_bounded_however_much_kafka_brings() {
    let (model, shop, messages, _) = six().await;
    let limits = Limits { batch_events: 2, ..Limits::default() };
    let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
    projector.follow(&messages).await.expect("in order");
    assert_eq!((projector.next(), projector.counts().folded), (6, 6));
    let limits = Limits { batch_bytes: 1, ..Limits::default() };
    shop.database
        .owner()
        .await
        .batch_execute("UPDATE read.checkpoint SET next_offset = 0; DELETE FROM read.by_category_1; DELETE FROM read.by_category_1_view")
        .await
        .expect("the owner may");
    let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
    projector.catch_up().await.expect("an event at a time");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}
